//! Status and audit of versions.

use serde_json::{Value, json};

use crate::{nuget, row};

#[test]
fn status_is_tri_state() {
    let server = nuget(&["1.0.0"]);
    let set = |body: &str| {
        server.post("/api/packages/nu1/status?name=A&version=1.0.0", body).done();
        row(&server)
    };
    let row = set(r#"{"listed":false}"#);
    assert_eq!((&row["listed"], &row["allowDownload"]), (&json!(false), &Value::Null));
    let row = set(r#"{"allow":false,"listed":null}"#);
    assert_eq!((&row["listed"], &row["allowDownload"]), (&json!(false), &json!(false)));
    let download = "/api/packages/nu1/download?name=A&version=1.0.0";
    server.get(download).refused(403, &["blocked"]);
    let blocked = server.get("/api/packages/nu1/metadata?name=A&version=1.0.0").json();
    assert_eq!(
        blocked["status"],
        json!({ "deprecated": false, "listed": false, "allowDownload": false })
    );
    assert_eq!(set(r#"{"listed":true}"#)["allowDownload"], false);
    assert_eq!(set("{}")["allowDownload"], Value::Null);
    server.get(download).done();
    assert_eq!(set(r#"{"allow":true}"#)["allowDownload"], true);
    assert_eq!(set(r#"{"allow":null,"listed":true}"#)["allowDownload"], Value::Null);
    let row = set(r#"{"deprecated":true,"deprecationReason":"old"}"#);
    assert_eq!((&row["deprecated"], &row["deprecationReason"]), (&json!(true), &json!("old")));
    assert_eq!(set(r#"{"deprecatedReason":"older"}"#)["deprecationReason"], "older");
    assert_eq!(set(r#"{"deprecated":true}"#)["deprecationReason"], Value::Null);
    assert_eq!(set(r#"{"deprecated":false}"#)["deprecated"], false);
    for body in ["", "listed=false", "[]", r#"{"listed":"no"}"#] {
        server
            .post("/api/packages/nu1/status?name=A&version=1.0.0", body)
            .refused(400, &["JSON object"]);
    }
    server.post("/api/packages/nu1/status?name=A&version=2.0.0", "{}").refused(404, &["A 2.0.0"]);
}

#[test]
fn json_under_a_form_type_and_in_chunks_is_read() {
    let server = nuget(&["1.0.0"]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/api/packages/nu1/status/?name=A&version=1.0.0";
    server.send("PUT", path, &form, b"\r\n {\"listed\":false}").done();
    assert_eq!(row(&server)["listed"], false);
    let chunked = "POST /api/packages/nu1/status?name=A&version=1.0.0 HTTP/1.1\r\nHost: x\r\n\
        Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n8\r\n{\"listed\r\n7\r\n\":true}\r\n0\r\n\r\n";
    let answer = server.raw(chunked.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(row(&server)["listed"], true);
}

#[test]
fn a_body_of_parameters_has_a_limit() {
    let server = nuget(&["1.0.0"]);
    let body = format!("{{\"listed\":false,\"x\":\"{}\"}}", "y".repeat(1 << 20));
    server.post("/api/packages/nu1/status?name=A&version=1.0.0", &body).refused(413, &["1048576"]);
}

#[test]
fn an_audit_finds_every_package_compliant() {
    let server = nuget(&["1.0.0"]);
    let result = server.post("/api/packages/nu1/audit?name=A&version=1.0.0", "").json();
    assert_eq!(result["resultCode"], "C");
    assert_eq!(result["statusText"], "Compliant");
    assert!(result["analysisDate"].as_str().unwrap().ends_with('Z'));
    server.post("/api/packages/nu1/audit?name=A&version=2.0.0", "").refused(404, &["A 2.0.0"]);
}

#[test]
fn properties_compare_without_case_and_a_published_sample_is_taken_as_it_is() {
    let server = nuget(&["1.0.0"]);
    let set = |body: &str| server.post("/api/packages/nu1/status?name=A&version=1.0.0", body);
    set(r#"{"allow":false}"#).done();
    set(r#"{"Listed":false,"DeprecationReason":null}"#).done();
    assert_eq!(
        (&row(&server)["listed"], &row(&server)["allowDownload"]),
        (&json!(false), &json!(false))
    );
    let sample = "{\r\n  \"listed\": false,\r\n  \"allow\": null, \r\n  \"deprecated\": true,\r\n  \
        \"deprecationReason\": \"Legacy Package\",\r\n}";
    set(sample).done();
    let after = row(&server);
    assert_eq!((&after["listed"], &after["allowDownload"]), (&json!(false), &Value::Null));
    assert_eq!(
        (&after["deprecated"], &after["deprecationReason"]),
        (&json!(true), &json!("Legacy Package"))
    );
    for body in ["[]", "[false]", "null", "", "{,}"] {
        set(body).refused(400, &["JSON object"]);
    }
}
