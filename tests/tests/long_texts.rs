//! Whatever is written by who may not administer, however long and however many: it is taken or
//! refused in words, and lists, a new start and verification go on as before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use hayloft_testkit::{npm_tgz, upack};
use hayloft_tests::{Body, Hayloft, Request, Server};
use serde_json::{Value, json};

/// Bytes that a text may have, and a name.
const TEXT: usize = 4_096;
const NAME: usize = 1_024;

/// A request that carries a value of whoever sends it.
struct Case {
    key: &'static str,
    target: &'static str,
    property: &'static str,
    /// What goes with it.
    rest: Value,
    limit: usize,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |key, target, rest: &Value, limit, properties: &[&'static str]| {
        for property in properties {
            cases.push(Case { key, target, property, rest: rest.clone(), limit });
        }
    };
    let status = "/api/packages/dev/status?name=first&version=1.0.0";
    add("member", status, &json!({ "deprecated": true }), TEXT, &["reason", "details", "comments"]);
    let promote =
        json!({ "fromFeed": "dev", "name": "first", "version": "1.0.0", "toFeed": "next" });
    add("member", "/api/promotions/promote", &promote, TEXT, &["comments"]);
    add("member", "/api/promotions/promote", &promote, NAME, &["group", "name", "version"]);
    let repackage =
        json!({ "feed": "dev", "name": "first", "version": "1.0.0", "newVersion": "1.0.1" });
    add("member", "/api/repackaging/repackage", &repackage, TEXT, &["comments"]);
    add("member", "/api/repackaging/repackage", &repackage, NAME, &["newVersion"]);
    let update = "/api/management/feeds/update/dev";
    let lists = ["alternateNames", "allowedLicenses", "blockedLicenses", "retentionRules"];
    add("feeds", update, &json!({}), TEXT, &["description", "promoteTo", "packageFilters"]);
    add("feeds", update, &json!({}), TEXT, &lists);
    let key = json!({ "type": "personal", "user": "eva" });
    add("eva", "/api/api-keys/create", &key, TEXT, &["description", "packagePermissions"]);
    add("eva", "/api/api-keys/create", &key, NAME, &["displayName", "feedGroup", "logging"]);
    cases
}

fn key(server: &Server, grant: &Value) -> String {
    let made = server.send(Request::new("POST", "/api/api-keys/create").json(&grant.to_string()));
    made.expect(200).json()["key"].as_str().unwrap().to_owned()
}

#[test]
fn texts_of_any_length_and_number_are_taken_or_refused_and_stop_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let server = Server::start(&store);
    for (name, tag) in [("dev", "universal"), ("next", "universal"), ("npm", "npm")] {
        server.create_feed(name, tag);
    }
    server.upload("dev", upack("", "first", "1.0.0").build());
    let permissions = json!(["view", "add", "promote", "delete"]);
    let of_feed =
        |feed: &str| json!({ "type": "feed", "feed": feed, "packagePermissions": permissions });
    let member = key(&server, &of_feed("dev"));
    let feeds = key(&server, &json!({ "type": "system", "systemApis": ["feeds"] }));
    let eva = key(&server, &json!({ "type": "personal", "user": "eva" }));
    let key_of = |name: &str| match name {
        "feeds" => &feeds,
        "eva" => &eva,
        _ => &member,
    };
    let mut taken = 0;
    for Case { key, target, property, rest, limit } in cases() {
        let send = |value: &Value| {
            let mut body = rest.clone();
            body[property] = value.clone();
            let body = Body::Sized(body.to_string().into_bytes());
            let request = Request::new("POST", target).header("Content-Type", "application/json");
            request.key(key_of(key)).body(body).send(server.address).status
        };
        let what = |length: usize| format!("{property} of {length} to {target}");
        for letter in ["x", "\u{1}", "\u{1f980}"] {
            let text = |length: usize| json!(letter.repeat(length.div_ceil(letter.len())));
            let status = send(&text(limit));
            assert!(status < 500, "{}: {status}", what(limit));
            taken += usize::from(status == 200);
            for length in [limit + 1, 65_536, 1 << 20] {
                let status = send(&text(length));
                assert!((400..500).contains(&status), "{}: {status}", what(length));
            }
        }
        for count in [1_000, 9_000, 20_000] {
            let many: Vec<String> = (0..count).map(|number| format!("entry-{number}")).collect();
            for many in [json!(many), json!({ "a": many })] {
                let status = send(&many);
                assert!(status < 500, "{}: {status}", what(count));
            }
        }
    }
    assert!(taken > 5, "only {taken} were taken");

    // What packages say of themselves.
    for length in [TEXT, 65_537, 1 << 20, 3 << 20] {
        let words: Vec<String> = (0..length / 8).map(|number| format!("w{number}")).collect();
        let text = json!("d".repeat(length)).to_string();
        for (number, (field, value)) in
            [("description", &text), ("keywords", &json!(words).to_string()), ("readme", &text)]
                .into_iter()
                .enumerate()
        {
            let name = format!("p{length}-{number}");
            for (feed, package) in
                [("npm", npm_tgz(&name, "1.0.0")), ("dev", upack("", &name, "1.0.0"))]
            {
                let target = format!("/api/packages/{feed}/upload");
                let package = package.field(field, value).build();
                let status = server.send(Request::put(&target, package)).status;
                assert!(status < 500, "{field} of {length} to {feed}: {status}");
            }
        }
    }

    let lists = |server: &Server| {
        server.get("/api/management/feeds/list");
        for list in ["api-keys/list", "promotions/list", "settings/list", "audit?count=1000"] {
            server.get(&format!("/api/{list}"));
        }
        for feed in ["dev", "next", "npm"] {
            server.get(&format!("/api/packages/{feed}/versions"));
            server.get(&format!("/api/packages/{feed}/latest"));
        }
        server.get("/npm/npm/-/v1/search?text=p");
    };
    lists(&server);
    let mut server = server.restart();
    lists(&server);
    server.kill();
    let verified = Hayloft::on_store(&store).run(["verify"]);
    verified.success();
}
