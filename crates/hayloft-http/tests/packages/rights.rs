//! Who may do what.

use hayloft_testkit::{Package, nupkg, sdist, wheel};
use serde_json::Value;

use crate::listed::Listed;
use crate::server::Server;

const FORBIDDEN: &str =
    "The specified API key does not have the proper permissions to perform this action.";

#[test]
fn every_endpoint_asks_for_its_rights() {
    let server = Server::start_with(|app| app.gatekeeper(Listed));
    server.feed("nu1", "nuget");
    server.feed("nu2", "nuget");
    let bytes = nupkg("A", "1.0.0-a").build();
    let id = "name=A&version=1.0.0-a";
    let ask = |key: &str, method: &str, path: &str, body: &[u8]| {
        let headers = [("x-apikey", key)];
        let headers = if key.is_empty() { &headers[..0] } else { &headers[..] };
        server.send(method, path, headers, body)
    };
    ask("view+add", "PUT", "/api/packages/nu1/upload", &bytes).done();
    let repackage = b"feed=nu1&name=A&version=1.0.0-a&newVersion=1.0.0&toFeed=nu2";
    let promote = b"fromFeed=nu1&name=A&version=1.0.0-a&toFeed=nu2";
    let path = |rest: &str| format!("/api/packages/nu1{rest}");
    let table: [(&str, &str, String, &[u8]); 12] = [
        ("view", "GET", path(""), b""),
        ("view", "GET", path("/latest"), b""),
        ("view", "GET", path("/versions"), b""),
        ("view", "GET", path(&format!("/metadata?{id}")), b""),
        ("view", "GET", path(&format!("/history?{id}")), b""),
        ("view", "POST", path(&format!("/audit?{id}")), b""),
        ("view+download", "GET", path(&format!("/download?{id}")), b""),
        ("view+add", "PUT", path("/upload"), &bytes),
        ("setstatus", "POST", path(&format!("/status?{id}")), br#"{"listed":true}"#),
        ("view:nu1+add:nu2", "POST", "/api/repackaging/repackage".into(), repackage),
        (
            "view:nu1+download:nu1+acceptpromotion:nu2",
            "POST",
            "/api/promotions/promote".into(),
            promote,
        ),
        ("view+delete", "POST", path(&format!("/delete?{id}")), b""),
    ];
    for (rights, method, path, body) in &table {
        let mut lacking: Vec<String> = vec![String::new(), "bad".into()];
        let needed: Vec<&str> = rights.split('+').collect();
        for left_out in &needed {
            let rest: Vec<_> = needed.iter().filter(|one| one != &left_out).copied().collect();
            lacking.push(format!("none+{}", rest.join("+")));
        }
        for key in lacking {
            let answer = ask(&key, method, path, body);
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (403, FORBIDDEN),
                "{method} {path} `{key}`"
            );
        }
        ask(rights, method, path, body).done();
    }
}

#[test]
fn replacing_needs_the_right_to_overwrite() {
    let server = Server::start_with(|app| app.gatekeeper(Listed));
    server.feed("nu1", "nuget");
    server.feed("nu2", "nuget");
    let put = |key: &str, feed: &str, payload: usize| {
        let bytes = nupkg("A", "1.0.0").payload(payload).build();
        server.send("PUT", &format!("/api/packages/{feed}/upload"), &[("x-apikey", key)], &bytes)
    };
    put("view+add", "nu1", 1).done();
    put("view+add", "nu1", 1).done();
    put("view+add", "nu1", 2)
        .refused(403, &["A 1.0.0", "already exists and cannot be overwritten"]);
    put("view+add+overwrite", "nu1", 2).done();
    put("view+add", "nu2", 3).done();
    let promote = |key: &str| {
        let body = b"fromFeed=nu1&name=A&version=1.0.0&toFeed=nu2";
        server.send("POST", "/api/promotions/promote", &[("x-apikey", key)], body)
    };
    promote("view+download+acceptpromotion")
        .refused(403, &["already exists and cannot be overwritten"]);
    promote("view+download+acceptpromotion+overwrite").done();
}

#[test]
fn keys_in_bodies_count_and_the_list_of_promotions_challenges_the_nameless() {
    let server = Server::start_with(|app| app.gatekeeper(Listed));
    server.feed("nu1", "nuget");
    server.feed("nu2", "nuget");
    let key = [("x-apikey", "view+add")];
    server.send("PUT", "/api/packages/nu1/upload", &key, &nupkg("A", "1.0.0").build()).done();
    let body = r#"{"API_Key":"view+download+acceptpromotion","fromFeed":"nu1","name":"A","version":"1.0.0","toFeed":"nu2"}"#;
    server.post("/api/promotions/promote", body).done();
    let body = "key=view%2Badd&feed=nu1&name=A&version=1.0.0&newVersion=2.0.0";
    server.post("/api/repackaging/repackage", body).done();
    let status = "/api/packages/nu1/status?name=A&version=1.0.0";
    server.post(status, r#"{"API_Key":"view+setstatus","listed":false}"#).done();
    server.post(status, r#"{"listed":false}"#).refused(403, &[FORBIDDEN]);

    let nameless = server.get("/api/promotions/list");
    nameless.refused(401, &[]);
    assert!(nameless.header("www-authenticate").starts_with("Basic"));
    server.get("/api/promotions/list?key=bad").refused(403, &[FORBIDDEN]);
    let count = |key: &str| {
        let list = server.get(&format!("/api/promotions/list?apikey={key}")).json();
        list.as_array().unwrap().len()
    };
    assert_eq!([count("view"), count("view:nu1"), count("view:nu2"), count("add")], [1, 1, 1, 0]);
}

#[test]
fn who_sees_one_end_of_a_step_does_not_learn_of_the_other() {
    let server = Server::start_with(|app| app.gatekeeper(Listed));
    server.feed("nu1", "nuget");
    server.feed("secret", "nuget");
    let key = [("x-apikey", "view+download+add+acceptpromotion+overwrite")];
    server.send("PUT", "/api/packages/nu1/upload", &key, &nupkg("A", "1.0.0").build()).done();
    let body = b"fromFeed=nu1&name=A&version=1.0.0&toFeed=secret&comments=hush";
    server.send("POST", "/api/promotions/promote", &key, body).done();
    let body = b"feed=nu1&name=A&version=1.0.0&newVersion=2.0.0&toFeed=secret&comments=hush";
    server.send("POST", "/api/repackaging/repackage", &key, body).done();
    let steps = |key: &str| {
        let list = server.get(&format!("/api/promotions/list?apikey={key}")).json();
        let path = format!("/api/packages/nu1/history?name=A&version=1.0.0&apikey={key}");
        let history = server.get(&path).json();
        [
            list[0]["promotions"][0].clone(),
            history["promotions"][0].clone(),
            history["repackagings"][0].clone(),
        ]
    };
    for step in steps("view:nu1") {
        let told = ["fromFeed", "toFeed", "user", "comments"].map(|name| step[name].clone());
        assert_eq!(told, ["nu1", "", "", ""], "{step}");
    }
    for step in steps("view:nu1%2Bview:secret") {
        assert_eq!((&step["toFeed"], &step["comments"]), (&"secret".into(), &"hush".into()));
    }

    // Nor, at the other end, of who made the step.
    let publishers = |key: &str| {
        ["versions?name=A", "latest?name=A", "metadata?name=A&version=2.0.0"].map(|list| {
            let answer = server.get(&format!("/api/packages/secret/{list}&apikey={key}")).json();
            let rows = answer.as_array().cloned().unwrap_or_else(|| vec![answer]);
            rows.into_iter().map(|row| row["publishedBy"].clone()).collect::<Vec<_>>()
        })
    };
    let maker = Value::from(key[0].1);
    for (key, expected) in [("view:secret", Value::Null), ("view:nu1%2Bview:secret", maker)] {
        for shown in publishers(key) {
            assert!(!shown.is_empty() && shown.iter().all(|shown| *shown == expected), "{shown:?}");
        }
    }
}

#[test]
fn who_brought_a_file_into_a_version_of_others_is_not_told_either() {
    let server = Server::start_with(|app| app.gatekeeper(Listed));
    server.feed("here", "pypi");
    server.feed("secret", "pypi");
    let maker = [("x-apikey", "view+download+add+acceptpromotion+overwrite+maker")];
    let other = [("x-apikey", "view+download+add+overwrite+other")];
    let put = |key: &[(&str, &str)], feed: &str, file: Package| {
        let path = format!("/api/packages/{feed}/upload?filename={}", file.file_name());
        server.send("PUT", &path, key, &file.build()).done();
    };
    let promote = || {
        let body = b"fromFeed=secret&name=A&version=1.0.0&toFeed=here";
        server.send("POST", "/api/promotions/promote", &maker, body).done();
    };
    let publishers = || {
        let rows = server.get("/api/packages/here/versions?apikey=view:here").json();
        let rows = rows.as_array().unwrap().clone();
        rows.into_iter().map(|row| row["publishedBy"].clone()).collect::<Vec<_>>()
    };
    // Into a version that was uploaded.
    put(&other, "here", wheel("A", "1.0.0"));
    put(&maker, "secret", sdist("A", "1.0.0"));
    promote();
    let mut told = publishers();
    told.sort_by_key(Value::is_null);
    assert_eq!(told, [Value::from(other[0].1), Value::Null]);
    // Into an empty feed, where an upload takes the place of one of the files later.

    for file in [wheel("A", "1.0.0"), sdist("A", "1.0.0")].map(|file| file.file_name()) {
        let path = format!("/api/packages/here/delete?name=A&version=1.0.0&file={file}");
        server.send("POST", &path, &[("x-apikey", "view+delete")], b"").done();
    }
    put(&maker, "secret", wheel("A", "1.0.0").field("X-Other", "y"));
    promote();
    put(&other, "here", wheel("A", "1.0.0"));
    let mut told = publishers();
    told.sort_by_key(Value::is_null);
    assert_eq!(told, [Value::from(other[0].1), Value::Null]);
}
