//! Feeds, keys, storage, settings, health and what every answer has, over real sockets.

use crate::server::Server;
use hayloft::{Actor, KeyGrant};
use rstest::rstest;
use serde_json::{Value, json};

const KEYS: &str = "/api/api-keys";
const FEEDS: &str = "/api/management/feeds";

#[test]
fn a_feed_is_created_read_changed_and_deleted() {
    let server = Server::start();
    let made =
        server.post(&format!("{FEEDS}/create"), r#"{"name":"apps","feedType":"Universal"}"#).json();
    assert_eq!(made["feedType"], "universal");
    assert_eq!(made["active"], true);
    for array in ["retentionRules", "connectors", "alternateNames"] {
        assert_eq!(made[array], json!([]), "{array}");
    }
    for object in ["packageFilters", "packageAccessRules", "variableDictionary", "variables"] {
        assert_eq!(made[object], json!({}), "{object}");
    }
    let get = || server.get(&format!("{FEEDS}/get/APPS")).json();
    assert_eq!(get(), made);
    assert_eq!(server.get(&format!("{FEEDS}/list")).json(), json!([made]));

    let changed = server
        .send(
            "PATCH",
            &format!("{FEEDS}/update/apps"),
            &[],
            br#"{"alternateNames":["old"],"active":false,"dropPath":"/drop","description":"d"}"#,
        )
        .json();
    assert_eq!(changed["active"], false);
    assert_eq!(changed["dropPath"], "/drop");
    assert_eq!(server.get(&format!("{FEEDS}/get/old")).json(), changed);

    server.send("DELETE", &format!("{FEEDS}/delete/apps"), &[], b"").done();
    server.get(&format!("{FEEDS}/get/apps")).refused(404, &["Feed apps not found."]);
    server.post(&format!("{FEEDS}/delete/apps"), "").refused(404, &["Feed apps not found."]);
}

#[test]
fn a_feed_that_a_client_sends_back_stays_as_it_is() {
    let server = Server::start();
    server.post(&format!("{FEEDS}/create"), r#"{"name":"apps","feedType":"npm"}"#).done();
    server.post(&format!("{FEEDS}/create"), r#"{"name":"prod","feedType":"npm"}"#).done();
    let set = r#"{"retentionRules":[{"keepVersionsCount":5,"deleteVersions":["*-ci*"]}],
        "variables":{"a":"b"},"packageFilters":{"x":{"y":1}},"vulnerabilitySources":["s"],
        "stripSource":true,"packagesPath":"p","allowOverwrite":false,"promoteTo":"prod"}"#;
    let answer = server.post(&format!("{FEEDS}/update/apps"), set);
    assert!(answer.header("warning").contains("this release does not run them"), "a rule is data");
    let mut whole = server.get(&format!("{FEEDS}/get/apps")).json();
    assert_eq!(whole["retentionRules"][0]["keepVersionsCount"], 5);
    assert_eq!(whole["retentionRules"][0]["deleteCached"], false);
    let answer = server.post(&format!("{FEEDS}/update/apps"), &whole.to_string()).json();
    assert_eq!(answer, whole);

    // As pgutil does it: append a rule, drop what it does not know.
    let rule = json!({"deletePrereleaseVersions": true});
    whole["retentionRules"].as_array_mut().unwrap().push(rule);
    for unknown in ["variables", "allowOverwrite", "promoteTo", "nativeDeleteRemoves"] {
        whole.as_object_mut().unwrap().remove(unknown);
    }
    let answer = server.post(&format!("{FEEDS}/update/apps"), &whole.to_string()).json();
    assert_eq!(answer["retentionRules"].as_array().unwrap().len(), 2);
    assert_eq!(answer["retentionRules"][1]["keepVersionsCount"], Value::Null);
    assert_eq!(answer["allowOverwrite"], false);
    assert_eq!(answer["promoteTo"], "prod");
    assert_eq!(answer["variableDictionary"], json!({"a": "b"}));
}

#[test]
fn packages_do_not_go_to_another_feed_of_the_name() {
    let server = Server::start();
    let make = |body: &str| server.post(&format!("{FEEDS}/create"), body);
    make(r#"{"name":"apps","feedType":"npm","promoteTo":"prod"}"#)
        .refused(400, &["promoteTo names no feed: prod"]);
    make(r#"{"name":"prod","feedType":"npm"}"#).done();
    make(r#"{"name":"apps","feedType":"npm","promoteTo":"Prod"}"#).done();
    let shown = || server.get(&format!("{FEEDS}/get/apps")).json();
    assert_eq!(shown()["promoteTo"], "prod");
    server.post(&format!("{FEEDS}/delete/prod"), "").done();
    make(r#"{"name":"prod","feedType":"npm"}"#).done();
    assert_eq!(shown()["promoteTo"], "(deleted feed 1)");
    let back = server.post(&format!("{FEEDS}/update/apps"), &shown().to_string()).json();
    assert_eq!(back["promoteTo"], "(deleted feed 1)");
    for (text, then) in [("\"prod\"", json!("prod")), ("\"\"", Value::Null)] {
        let body = format!(r#"{{"promoteTo":{text}}}"#);
        assert_eq!(server.post(&format!("{FEEDS}/update/apps"), &body).json()["promoteTo"], then);
    }
}

#[rstest]
#[case::no_body("create", "", "empty")]
#[case::no_object("create", "[]", "not valid")]
#[case::no_name("create", r#"{"feedType":"npm"}"#, "name")]
#[case::no_type("create", r#"{"name":"a"}"#, "feedType")]
#[case::odd_name("create", r#"{"name":"a/b","feedType":"npm"}"#, "a/b")]
#[case::taken_name("create", r#"{"name":"THERE","feedType":"npm"}"#, "already exists")]
#[case::unknown_type("create", r#"{"name":"a","feedType":"tarball"}"#, "tarball")]
#[case::another_name("update/there", r#"{"name":"a"}"#, "name")]
#[case::another_type("update/there", r#"{"feedType":"Universal"}"#, "universal")]
#[case::rule_as_array("update/there", r#"{"retentionRules":[[true]]}"#, "retentionRules")]
#[case::connector("update/there", r#"{"connectors":["nuget.org"]}"#, "nuget.org")]
#[case::not_a_flag("update/there", r#"{"active":"yes"}"#, "active")]
fn bad_feeds_are_refused(#[case] path: &str, #[case] body: &str, #[case] word: &str) {
    let server = Server::start();
    server.feed("there", "npm");
    server.post(&format!("{FEEDS}/{path}"), body).refused(400, &[word]);
}

#[test]
fn a_key_is_told_once_and_works_until_it_is_deleted() {
    let server = Server::start_with(|app| app);
    server.feed("nu1", "nuget");
    let grant = KeyGrant {
        kind: "system".to_owned(),
        system_apis: vec!["full-control".to_owned()],
        ..KeyGrant::default()
    };
    let (_, admin) = server.store.create_key(grant, None, &Actor::system()).unwrap();
    let admin = [("X-ApiKey", admin.reveal())];
    // As pgutil sends it.
    let body = br#"{"type":"Feed","packagePermissions":["view","add"],"feed":"NU1",
        "logging":"None","displayName":"ci"}"#;
    let made = server.send("POST", &format!("{KEYS}/create"), &admin, body).json();
    assert_eq!(made["type"], "feed");
    assert_eq!(made["logging"], "none");
    assert_eq!(made["feed"], "nu1");
    let text = made["key"].as_str().unwrap();
    let ask = || server.send("GET", "/api/packages/nu1", &[("X-ApiKey", text)], b"").status;
    assert_eq!(ask(), 200);
    let listed = server.send("GET", &format!("{KEYS}/list"), &admin, b"").json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(text));
    assert_eq!(listed[1]["displayName"], "ci");
    let delete = format!("{KEYS}/delete?id={}", made["id"]);
    server.send("POST", &delete, &admin, b"").done();
    assert_eq!(ask(), 403);
    server.send("DELETE", &delete, &admin, b"").refused(404, &["API key"]);
}

#[rstest]
#[case::neither_feed_nor_group(r#"{"type":"feed","packagePermissions":["view"]}"#, "exactly one")]
#[case::both(
    r#"{"type":"feed","feed":"a","feedGroup":"b","packagePermissions":["view"]}"#,
    "exactly one"
)]
#[case::unknown_permission(r#"{"type":"feed","feed":"a","packagePermissions":["own"]}"#, "own")]
#[case::no_permission(r#"{"type":"feed","feed":"a"}"#, "packagePermissions")]
#[case::unknown_api(r#"{"type":"system","systemApis":["all"]}"#, "all")]
#[case::no_user(r#"{"type":"personal"}"#, "user")]
#[case::other(r#"{"type":"other"}"#, "type")]
#[case::no_type("{}", "type")]
#[case::odd_date(r#"{"type":"personal","user":"eva","expiration":"soon"}"#, "soon")]
#[case::short_key(r#"{"type":"personal","user":"eva","key":"short"}"#, "16 to 256")]
fn bad_keys_are_refused(#[case] body: &str, #[case] word: &str) {
    let server = Server::start();
    server.feed("a", "npm");
    server.post(&format!("{KEYS}/create"), body).refused(400, &[word]);
}

#[test]
fn a_chosen_key_is_a_matter_of_a_setting() {
    let server = Server::start();
    let body = r#"{"type":"Personal","user":"eva","logging":"None","key":"chosen-by-a-person"}"#;
    let made = server.post(&format!("{KEYS}/create"), body).json();
    assert_eq!(made["key"], "chosen-by-a-person");
    server.post("/api/settings/set?name=keys.custom&value=False", "").done();
    let again = body.replace("by-a-person", "by-another-person");
    server.post(&format!("{KEYS}/create"), &again).refused(400, &["cannot be chosen"]);
}

#[test]
fn users_make_and_see_their_own_keys_only() {
    let server = Server::start_with(|app| app);
    let personal = |user: &str| {
        let kind = "personal".to_owned();
        let grant = KeyGrant { kind, user: Some(user.to_owned()), ..KeyGrant::default() };
        let (_, text) = server.store.create_key(grant, None, &Actor::system()).unwrap();
        text.reveal().to_owned()
    };
    let (eva, _adam) = (personal("eva"), personal("adam"));
    let eva = [("X-ApiKey", eva.as_str())];
    let create = |body: &str| server.send("POST", &format!("{KEYS}/create"), &eva, body.as_bytes());
    create(r#"{"type":"personal","logging":"none"}"#).done();
    let listed = server.send("GET", &format!("{KEYS}/list"), &eva, b"").json();
    let users: Vec<_> = listed.as_array().unwrap().iter().map(|key| &key["user"]).collect();
    assert_eq!(users, ["eva", "eva"]);
    for body in [
        r#"{"type":"personal","user":"adam"}"#,
        r#"{"type":"system","systemApis":["full-control"]}"#,
    ] {
        assert_eq!(create(body).status, 403, "{body}");
    }
}

#[test]
fn storage_is_disk() {
    let server = Server::start();
    server.feed("apps", "universal");
    let types = server.get("/api/storage").json();
    assert_eq!(types[0]["id"], "disk");
    assert_eq!(types[0]["properties"]["StoragePath"]["required"], false);
    let of_feed = "/api/storage?feed=apps";
    assert_eq!(
        server.get(of_feed).json(),
        json!({"id": "disk", "properties": {"StoragePath": null}})
    );
    let body = r#"{"id":"Disk","properties":{"StoragePath":"/srv/apps"}}"#;
    server.post(of_feed, body).done();
    assert_eq!(server.get(of_feed).json()["properties"]["StoragePath"], "/srv/apps");
    // Not part of the feed object, and not lost with it.
    server.post(&format!("{FEEDS}/update/apps"), r#"{"stripSource":true}"#).done();
    assert_eq!(server.get(of_feed).json()["properties"]["StoragePath"], "/srv/apps");
    server.post(of_feed, r#"{"id":"s3","properties":{}}"#).refused(400, &["s3"]);
    server.post(of_feed, r#"{"id":"disk","properties":{"Bucket":"b"}}"#).refused(400, &["Bucket"]);
    server.get("/api/storage?feed=none").refused(404, &["Feed none not found."]);
}

#[test]
fn there_are_no_connectors() {
    let server = Server::start();
    assert_eq!(server.get("/api/management/connectors/list").json(), json!([]));
    for path in ["create", "update/a", "delete/a", "get/a"] {
        let path = format!("/api/management/connectors/{path}");
        server.post(&path, "{}").refused(400, &["no connectors"]);
    }
}

#[test]
fn settings_are_known_by_name() {
    let server = Server::start();
    let listed = server.get("/api/settings/list?showAll=False").json();
    for setting in listed.as_array().unwrap() {
        assert!(setting["description"].is_string());
        assert!(["text", "boolean"].contains(&setting["valueType"].as_str().unwrap()));
        assert_eq!(setting["value"], Value::Null);
    }
    server.post("/api/settings/set?name=Anonymous.Access&value=READ", "").done();
    let listed = server.get("/api/settings/list").json();
    let found = listed.as_array().unwrap().iter().find(|each| each["name"] == "anonymous.access");
    assert_eq!(found.unwrap()["value"], "read");
    // By a body, too: JSON or a form; what is nothing there does not hide the query.
    let value = |name: &str| {
        let listed = server.get("/api/settings/list").json();
        let found = listed.as_array().unwrap().iter().find(|each| each["name"] == name).unwrap();
        found["value"].clone()
    };
    let set = "/api/settings/set";
    server.post(set, r#"{"name":"web.base-url","value":"https://a.example"}"#).done();
    assert_eq!(value("web.base-url"), "https://a.example");
    server.post(set, "name=web.base-url&value=https%3A%2F%2Fb.example").done();
    assert_eq!(value("web.base-url"), "https://b.example");
    server.post(&format!("{set}?name=web.base-url"), r#"{"value":"https://c.example"}"#).done();
    assert_eq!(value("web.base-url"), "https://c.example");
    server.post(set, r#"{"name":"keys.custom","value":false}"#).done();
    assert_eq!(value("keys.custom"), "false");
    server.post(set, r#"{"name":"access.rules","value":[]}"#).done();
    assert_eq!(value("access.rules"), "[]");
    server.post(set, r#"{"name":"access.rules","value":[7]}"#).refused(400, &["access.rules"]);
    assert_eq!(value("access.rules"), "[]");
    server.post(set, r#"{"name":"web.base-url","value":null}"#).done();
    assert_eq!(value("web.base-url"), Value::Null);
    server.post("/api/settings/set?name=odd&value=1", "").refused(400, &["odd"]);
    server.post("/api/settings/set?value=1", "").refused(400, &["name"]);
    server.post("/api/settings/set?name=anonymous.access&value=x", "").refused(400, &["none"]);
}

#[test]
fn health_is_json_unless_text_is_asked_for() {
    let server = Server::start_with(|app| app);
    let health = server.get("/health").json();
    for status in ["databaseStatus", "licenseStatus", "serviceStatus"] {
        assert_eq!(health[status], "OK", "{status}");
    }
    assert_eq!(health["applicationName"], "ProGet");
    assert_eq!(health["versionNumber"], "25.0.10.1");
    assert_eq!(health["releaseNumber"], "25.0.10");
    for path in ["/health/", "/health?format=json", "/health/json"] {
        assert_eq!(server.get(path).json(), health, "{path}");
    }
    assert_eq!(server.get("/health?format=text").text(), "OK");
    assert_eq!(server.send("GET", "/health", &[("Accept", "text/plain")], b"").text(), "OK");
    server.store.close().unwrap();
    // What was found within the last second is told once more.
    let closed = (0..100).map(|_| server.get("/health")).find(|health| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        health.status != 200
    });
    let closed = closed.expect("it goes on being told healthy");
    assert_eq!(closed.status, 500);
    let closed: Value = serde_json::from_slice(&closed.body).unwrap();
    assert_eq!(closed["databaseStatus"], "Error");
}

#[test]
fn every_answer_has_the_headers_that_clients_look_for() {
    let server = Server::start();
    let mut ids = std::collections::HashSet::new();
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/api/nowhere/", 404),
        ("DELETE", "/health", 405),
        ("POST", "/api/management/feeds/list", 405),
        ("GET", "/api/packages/none", 404),
    ] {
        let answer = server.send(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("x-proget-version"), "25.0.10");
        assert_eq!(answer.header("x-proget-edition"), "Enterprise");
        assert!(ids.insert(answer.header("x-request-id").to_owned()));
        if status != 200 {
            answer.refused(status, &[]);
        }
    }
}

#[test]
fn a_failure_names_the_request_and_keeps_the_cause() {
    let server = Server::start();
    server.store.close().unwrap();
    let answer = server.get("/api/management/feeds/list");
    let id = answer.header("x-request-id").to_owned();
    answer.refused(500, &["The server failed", &id]);
}

#[test]
fn a_panic_is_a_500() {
    #[derive(Debug)]
    struct Panics;
    impl hayloft_http::Gatekeeper for Panics {
        fn identify(
            &self,
            _: &hayloft::Store,
            _: &hayloft_http::Visitor,
        ) -> Result<hayloft_http::Caller, hayloft_http::Refusal> {
            panic!("on purpose")
        }
        fn may(
            &self,
            _: &hayloft::Store,
            _: &hayloft_http::Caller,
            _: hayloft_http::Right,
            _: Option<&hayloft::Feed>,
        ) -> Result<bool, hayloft::StoreError> {
            Ok(true)
        }
    }
    let server = Server::start_with(|app| app.gatekeeper(Panics));
    server.get("/api/management/feeds/list").refused(500, &["The server failed"]);
    server.get("/health").done();
}

#[test]
fn metrics_count_requests_by_class() {
    let server = Server::start_with(|app| app);
    server.get("/health").done();
    server.get("/nowhere");
    let text = server.get("/metrics").text();
    for line in [
        "hayloft_requests_total{status=\"2xx\"} 1",
        "hayloft_requests_total{status=\"4xx\"} 1",
        "hayloft_running_requests 1",
        "hayloft_running_uploads 0",
        "hayloft_commits_total ",
    ] {
        assert!(text.lines().any(|each| each.starts_with(line)), "{line} is not in {text}");
    }
    let proxied = server.send("GET", "/metrics", &[("X-Forwarded-For", "192.0.2.1")], b"");
    assert_eq!(proxied.status, 403);
}

#[rstest]
#[case::description(&format!("{FEEDS}/update/nu1"), "description", 4_001, "description of the feed")]
#[case::variables(&format!("{FEEDS}/update/nu1"), "dropPath", 40_000, "dropPath")]
#[case::key_description(&format!("{KEYS}/create"), "description", 1_001, "description of the API key")]
#[case::key_name(&format!("{KEYS}/create"), "displayName", 257, "display name of the API key")]
#[case::reason(
    "/api/packages/nu1/status?name=A&version=1.0.0",
    "deprecatedReason",
    4_001,
    "reason of the deprecation"
)]
#[case::promotion("/api/promotions/promote", "comments", 4_001, "comment")]
#[case::repackaging("/api/repackaging/repackage", "comments", 4_001, "comment")]
fn a_text_that_is_too_long_is_the_clients_fault(
    #[case] path: &str,
    #[case] property: &str,
    #[case] length: usize,
    #[case] named: &str,
) {
    let server = crate::nuget(&["1.0.0"]);
    server.feed("nu2", "nuget");
    for length in [length, (1 << 20) - 200] {
        let mut body = json!({
            "type": "system", "systemApis": ["full-control"],
            "fromFeed": "nu1", "toFeed": "nu2", "feed": "nu1", "name": "A", "version": "1.0.0",
            "newVersion": "2.0.0", "deprecated": true,
        });
        let kept: &[&str] = match path {
            path if path.starts_with(FEEDS) => &[],
            path if path.starts_with(KEYS) => &["type", "systemApis"],
            path if path.contains("status") => &["deprecated"],
            path if path.contains("promote") => &["fromFeed", "toFeed", "name", "version"],
            _ => &["feed", "name", "version", "newVersion"],
        };
        body.as_object_mut().unwrap().retain(|name, _| kept.contains(&name.as_str()));
        body[property] = json!("x".repeat(length));
        let answer = server.post(path, &body.to_string());
        assert!((400..=413).contains(&answer.status), "{} {}", answer.status, answer.text());
        if length < 100_000 {
            answer.refused(400, &[named, "at most"]);
        }
    }
    // Nothing of it is in the way afterwards.
    assert_eq!(server.get(&format!("{FEEDS}/list")).json().as_array().unwrap().len(), 2);
    server.get(&format!("{KEYS}/list")).done();
    server.get("/api/packages/nu1/versions?name=A").done();
}
