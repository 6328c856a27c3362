//! Promotions and repackagings.

use hayloft_testkit::{npm_tgz, sdist, wheel};
use serde_json::json;

use crate::server::Server;
use crate::{listed, nuget};

#[test]
fn promotions_take_forms_and_json_and_are_listed_from_both_feeds() {
    let server = Server::start();
    for feed in ["a", "b", "c"] {
        server.feed(feed, "npm");
    }
    server.feed("other", "nuget");
    for version in ["1.0.0", "2.0.0-rc.1"] {
        server.put("/api/packages/a/upload", &npm_tgz("@x/y", version).build()).done();
    }
    let promote = |body: &str| server.post("/api/promotions/promote", body);
    promote(r#"{"fromFeed":"a","group":"@x","name":"y","version":"latest-stable","toFeed":"b"}"#)
        .done();
    let done =
        promote("fromFeed=A&groupName=x&packageName=y&version=latest&toFeed=b&comments=by+CI");
    assert_eq!(done.json()["files"][0]["version"], "2.0.0-rc.1");
    let again = server.send(
        "POST",
        "/api/promotions/promote/",
        &[("content-type", "application/json")],
        br#" {"fromFeed":"a","purl":"pkg:npm/%40x/y@1.0.0","toFeed":"c","comments":null}"#,
    );
    again.done();
    assert_eq!(listed(&server.get("/api/packages/b/versions")), ["2.0.0-rc.1", "1.0.0"]);

    promote(r#"{"name":"y","version":"1","toFeed":"b"}"#).refused(400, &["fromFeed"]);
    promote(r#"{"name":"y","version":"1","fromFeed":"a"}"#).refused(400, &["toFeed"]);
    promote(r#"{"version":"1","fromFeed":"a","toFeed":"b"}"#).refused(400, &["`name`"]);
    promote("fromFeed=a&toFeed=a&group=x&name=y&version=1.0.0").refused(400, &["`a`"]);
    promote("fromFeed=a&toFeed=other&group=x&name=y&version=1.0.0").refused(400, &["a", "other"]);
    promote("fromFeed=a&toFeed=nope&group=x&name=y&version=1.0.0")
        .refused(404, &["Feed nope not found."]);
    promote("fromFeed=a&toFeed=b&group=x&name=y&version=9.0.0").refused(404, &["y 9.0.0"]);

    let list = |query: &str| server.get(&format!("/api/promotions/list?{query}")).json();
    let found = list("package=y&group=x&version=1.0.0");
    assert_eq!(found.as_array().unwrap().len(), 1);
    let package = &found[0];
    for key in ["package", "packageName"] {
        assert_eq!(package[key], "y");
    }
    for key in ["group", "groupName"] {
        assert_eq!(package[key], "@x");
    }
    assert_eq!((&package["packageType"], &package["version"]), (&json!("npm"), &json!("1.0.0")));
    let promotions = package["promotions"].as_array().unwrap();
    assert_eq!(promotions.len(), 2);
    assert_eq!(promotions[0]["toFeed"], "b");
    assert_eq!(promotions[1]["toFeed"], "c");
    assert_eq!(promotions[0]["comments"], "");
    assert_eq!(promotions[0]["user"], "tester");
    assert!(promotions[0]["date"].as_str().unwrap().ends_with('Z'));
    assert!(promotions[0]["id"].is_u64());
    for query in
        ["package=%40x/y", "packageName=y&groupName=%2540x", "name=y&group=%40X", "fromFeed=A"]
    {
        assert_eq!(list(query).as_array().unwrap().len(), 2, "{query}");
    }
    let bare = list("package=y&group=x&version=1.0.0");
    assert_eq!(bare[0]["promotions"].as_array().unwrap().len(), 2, "each is told once");
    assert_eq!(list("toFeed=c").as_array().unwrap().len(), 1);
    assert_eq!(list("fromFeed=c"), json!([]));
    assert_eq!(list("").as_array().unwrap().len(), 2);
}

#[test]
fn repackaging_takes_forms_and_json_and_leaves_a_history() {
    let server = nuget(&["1.0.0-ci.1"]);
    server.feed("nu2", "nuget");
    let repackage = |body: &str| server.post("/api/repackaging/repackage", body);
    let form = "feed=nu1&packageName=A&version=1.0.0-ci.1&newVersion=1.0.0-rc.1&comments=by+CI";
    let answer = repackage(form).json();
    assert_eq!(answer["files"][0]["version"], "1.0.0-rc.1");
    repackage(r#"{"feed":"nu1","name":"A","version":"1.0.0-rc.1","newVersion":"1.0.0","toFeed":"nu2","comments":null}"#).done();
    assert_eq!(listed(&server.get("/api/packages/nu1/versions")), ["1.0.0-rc.1", "1.0.0-ci.1"]);
    assert_eq!(listed(&server.get("/api/packages/nu2/versions")), ["1.0.0"]);
    repackage(form).refused(400, &["A 1.0.0-rc.1", "exists"]);
    repackage("feed=nu1&name=A&version=1.0.0-rc.1&newVersion=1.0.0-rc.1")
        .refused(400, &["A 1.0.0-rc.1"]);
    repackage("feed=nu1&name=A&version=1.0.0-rc.1").refused(400, &["newVersion"]);
    repackage("name=A&version=1.0.0-rc.1&newVersion=2.0.0").refused(400, &["`feed`"]);
    repackage("feed=nu1&name=A&version=1.0.0-rc.1&newVersion=x").refused(400, &["`x`", "nuget"]);
    repackage("feed=nu1&name=A&version=3&newVersion=4.0.0").refused(404, &["A 3"]);
    repackage(r#"{"feed":"nu1","name":"A","version":"1.0.0-rc.1","newVersion":"2.0.0 b"}"#)
        .refused(400, &["`2.0.0 b`", "nuget"]);
    repackage(r#"["nu1","A","1.0.0-rc.1","2.0.0"]"#).refused(400, &["not valid"]);
    let in_query = "/api/repackaging/repackage?feed=nu1&name=A&version=1.0.0-rc.1&newVersion=2.0.0";
    server.post(in_query, "[]").refused(400, &["not valid"]);
    server.post("/api/packages/nu1/status?name=A&version=1.0.0-rc.1", r#"{"allow":false}"#).done();
    repackage("feed=nu1&name=A&version=1.0.0-rc.1&newVersion=2.0.0").refused(403, &["blocked"]);

    let history = server.get("/api/packages/nu2/history?name=A&version=1.0.0").json();
    let embedded = history["embedded"]["A.1.0.0.nupkg"].as_array().unwrap();
    assert_eq!(embedded.len(), 2);
    assert!(embedded[0]["id"].as_str().unwrap().starts_with("A:1.0.0-ci.1"));
    assert_eq!(embedded[0]["by"], "tester");
    assert_eq!(embedded[0]["reason"], "by CI");
    let repackagings = history["repackagings"].as_array().unwrap();
    assert_eq!(repackagings.len(), 1);
    assert_eq!(repackagings[0]["fromVersion"], "1.0.0-rc.1");
    assert_eq!(repackagings[0]["toFeed"], "nu2");
    assert_eq!(repackagings[0]["files"][0]["toName"], "A.1.0.0.nupkg");
    let row = server.get("/api/packages/nu2/versions").json();
    assert_eq!(repackagings[0]["files"][0]["toSha256"], row[0]["sha256"]);
    let promotions = history["promotions"].as_array().unwrap();
    assert_eq!(promotions.len(), 1);
    assert_eq!(
        (&promotions[0]["fromFeed"], &promotions[0]["toFeed"]),
        (&json!("nu1"), &json!("nu2"))
    );
    let history = server.get("/api/packages/nu1/history?name=A&version=1.0.0-ci.1").json();
    assert_eq!(history["embedded"], json!({ "A.1.0.0-ci.1.nupkg": [] }));
    assert_eq!(history["repackagings"][0]["toVersion"], "1.0.0-rc.1");
    assert_eq!(history["promotions"], json!([]));
}

#[test]
fn equal_repackagings_that_race_give_one_success_and_one_refusal() {
    let server = nuget(&["1.0.0-rc.1"]);
    let body = "feed=nu1&name=A&version=1.0.0-rc.1&newVersion=1.0.0";
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || server.post("/api/repackaging/repackage", body).status;
        let racing: Vec<_> = (0..2).map(|_| scope.spawn(ask)).collect();
        racing.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(listed(&server.get("/api/packages/nu1/versions")), ["1.0.0", "1.0.0-rc.1"]);
}

#[test]
fn a_repackaged_wheel_and_source_come_together() {
    let server = Server::start();
    server.feed("py1", "pypi");
    for package in [wheel("demo", "1.0rc1"), sdist("demo", "1.0rc1")] {
        server.put("/api/packages/py1/upload", &package.build()).done();
    }
    let body = "feed=py1&name=demo&version=1.0rc1&newVersion=1.0";
    assert_eq!(
        server.post("/api/repackaging/repackage", body).json()["files"].as_array().unwrap().len(),
        2
    );
    assert_eq!(listed(&server.get("/api/packages/py1/latest?stableOnly=true")), ["1.0", "1.0"]);
}

#[test]
fn an_unescaped_plus_sign_of_a_form_belongs_to_the_version() {
    let server = nuget(&["1.0.0-rc.1"]);
    server.feed("nu2", "nuget");
    let body = "feed=nu1&name=A&version=1.0.0-rc.1&newVersion=1.0.0+b1&comments=by+CI";
    let done = server.post("/api/repackaging/repackage", body).json();
    assert_eq!(done["files"][0]["version"], "1.0.0+b1");
    server
        .post("/api/promotions/promote", "fromFeed=nu1&toFeed=nu2&name=A&version=1.0.0+b1")
        .done();
    for version in ["1.0.0+b1", "1.0.0%2Bb1", "1.0", ""] {
        let found = server.get(&format!("/api/promotions/list?package=A&version={version}")).json();
        assert_eq!(found[0]["version"], "1.0.0+b1", "{version}");
    }
    assert_eq!(server.get("/api/promotions/list?package=A&version=1.0.1").text(), "[]");
}

#[test]
fn a_file_that_cannot_be_repackaged_is_named_in_the_refusal() {
    let server = Server::start();
    server.feed("npm1", "npm");
    let package = npm_tgz("@x/y", "1.0.0").file("package/npm-shrinkwrap.json", "[");
    server.put("/api/packages/npm1/upload", &package.build()).done();
    let body = "feed=npm1&name=@x/y&version=1.0.0&newVersion=1.1.0";
    server
        .post("/api/repackaging/repackage", body)
        .refused(400, &["the file `y-1.0.0.tgz` was refused", "npm-shrinkwrap.json"]);
    assert_eq!(listed(&server.get("/api/packages/npm1/versions")), ["1.0.0"]);
}
