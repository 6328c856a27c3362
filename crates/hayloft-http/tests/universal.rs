//! What clients of universal packages send, over a real socket to a real store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

#[allow(dead_code, reason = "each test file uses a part")]
mod server;

use hayloft::{Actor, KeyGrant, VersionsQuery};
use hayloft_http::LocalUser;
use hayloft_testkit::upack;
use rstest::rstest;
use serde_json::json;
use server::Server;

fn server() -> Server {
    let server = Server::start_with(|app| app.gatekeeper(LocalUser::new("tester")));
    server.feed("f", "universal");
    server
}

fn stored(server: &Server) -> usize {
    server.store.versions("f", &VersionsQuery::default()).unwrap().count()
}

fn uploaded(server: &Server, group: &str, name: &str, versions: &[&str]) {
    for version in versions {
        server.put("/upack/f/upload", &upack(group, name, version).build()).done();
    }
}

#[rstest]
#[case::no_group("", "a", "a")]
#[case::group("tools", "a", "tools/a")]
#[case::groups("one/two/three", "a", "one/two/three/a")]
#[case::escaped_groups("one/two/three", "a", "one%2Ftwo%2Fthree/a")]
#[case::another_case("Tools", "Acme", "tools/ACME")]
#[case::name_like_a_version("tools", "1.0.0", "tools/1.0.0")]
fn a_package_is_listed_downloaded_and_deleted(
    #[case] group: &str,
    #[case] name: &str,
    #[case] path: &str,
) {
    let server = server();
    let bytes = upack(group, name, "1.0.0").payload(500_000).build();
    server.put("/upack/f/upload", &bytes).done();
    // As pgutil installs: the versions first, then the file.
    let listed = server.get(&format!("/upack/f/versions?group={group}&name={name}"));
    assert!(listed.header("content-type").starts_with("application/json"));
    let listed = listed.json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["group"], &listed[0]["name"]), (&json!(group), &json!(name)));
    for file in [format!("{path}/1.0.0"), format!("{path}?latest")] {
        let got = server.get(&format!("/upack/f/download/{file}"));
        assert_eq!(got.header("content-length"), bytes.len().to_string(), "{file}");
        assert!(got.body == bytes, "{file}");
    }
    server
        .get(&format!("/upack/f/download/{path}"))
        .refused(if path.contains('/') { 404 } else { 400 }, &[]);
    server.send("DELETE", &format!("/upack/f/delete/{path}/1.0.0"), &[], b"").done();
    server.get(&format!("/upack/f/download/{path}/1.0.0")).refused(404, &["1.0.0"]);
    server.post(&format!("/upack/f/delete/{path}/1.0.0"), "").refused(404, &["1.0.0"]);
    assert_eq!(
        server.get(&format!("/upack/f/versions?group={group}&name={name}")).json(),
        json!([])
    );
}

#[test]
fn versions_show_the_manifest_and_what_the_store_knows() {
    let server = server();
    let number = "123456789012345678901234567890.50";
    let package = upack("tools", "a", "1.0.0").field("_number", number).field("title", "\"A\"");
    let bytes = package.file("package/x.txt", b"x".to_vec()).build();
    server.put("/upack/f/upload", &bytes).done();
    uploaded(&server, "tools", "a", &["1.10.0-rc.1", "1.9.0"]);
    let listed = server.get("/upack/f/versions?group=tools&name=a").json();
    let versions: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["version"]).collect();
    assert_eq!(versions, ["1.10.0-rc.1", "1.9.0", "1.0.0"]);
    let text = server.get("/upack/f/versions?group=tools&name=a&version=1.0.0").text();
    assert!(text.contains(&format!("\"_number\":{number}")), "{text}");
    let one: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, value) in [
        ("title", json!("A")),
        ("size", json!(bytes.len())),
        ("downloads", json!(0)),
        ("isLocal", json!(true)),
        ("isCached", json!(false)),
        ("isVirtual", json!(false)),
    ] {
        assert_eq!(one[name], value, "{name}");
    }
    assert_eq!(one["sha1"].as_str().unwrap().len(), 40);
    assert!(one["published"].as_str().unwrap().ends_with('Z'));
    assert!(one.get("fileList").is_none());
    let query = "group=tools&name=a&version=1.0.0&includeFileList=true";
    let files = server.get(&format!("/upack/f/versions?{query}")).json();
    let files = files["fileList"].as_array().unwrap();
    assert!(files.iter().any(|file| file["name"] == "package/x.txt" && file["size"] == 1));
    let query = "/upack/f/versions?group=tools&name=a&count=2";
    assert_eq!(server.get(query).json().as_array().unwrap().len(), 2);
    server.get("/upack/f/versions?group=tools&name=a&version=7.0.0").refused(404, &[]);
    assert_eq!(server.get("/upack/f/versions?group=&name=none").json(), json!([]));
}

#[test]
fn the_newest_is_the_highest_stable_version_if_there_is_one() {
    let server = server();
    uploaded(&server, "", "a", &["2.0.0-rc.1", "2.0.0-rc.2"]);
    let newest = || {
        let answer = server.get("/upack/f/download/a?latest");
        answer.header("content-disposition").to_owned()
    };
    assert_eq!(newest(), "attachment; filename=\"a-2.0.0-rc.2.upack\"");
    uploaded(&server, "", "a", &["1.0.0"]);
    assert_eq!(newest(), "attachment; filename=\"a-1.0.0.upack\"");
    server.get("/upack/f/download/none?latest").refused(404, &["none"]);
    let content = server.get("/upack/f/download/a/1.0.0?contentOnly=zip");
    assert_eq!(content.status, 200);
    assert!(content.body.starts_with(b"PK"));
}

#[test]
fn packages_are_listed_with_their_versions() {
    let server = server();
    uploaded(&server, "tools", "a", &["1.0.0", "1.1.0"]);
    uploaded(&server, "", "b", &["0.1.0"]);
    let all = server.get("/upack/f/packages").json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(server.get("/upack/f/packages?group=*").json(), all);
    let one = server.get("/upack/f/packages?group=tools&name=a").json();
    assert_eq!(one["latestVersion"], "1.1.0");
    assert_eq!(one["versions"], json!(["1.1.0", "1.0.0"]));
    assert_eq!((&one["isLocal"], &one["isCached"]), (&json!(true), &json!(false)));
    server.get("/upack/f/packages?name=a").refused(404, &[]);
    assert_eq!(server.get("/upack/f/packages?count=1").json().as_array().unwrap().len(), 1);
}

#[rstest]
#[case::put("PUT", "/upload", &[])]
#[case::post_with_slash("POST", "/upload/", &[("content-type", "application/x-www-form-urlencoded")])]
#[case::named_by_path("PUT", "/upload/tools/a/1.0.0", &[("content-type", "application/zip")])]
#[case::named_by_query("POST", "/upload?group=Tools&name=A&version=1.0.0", &[])]
fn an_upload_is_stored_whatever_its_type_says(
    #[case] method: &str,
    #[case] path: &str,
    #[case] headers: &[(&str, &str)],
) {
    let server = server();
    let bytes = upack("tools", "a", "1.0.0").build();
    server.send(method, &format!("/upack/f{path}"), headers, &bytes).done();
    assert_eq!(stored(&server), 1);
    server.send(method, &format!("/upack/f{path}"), headers, &bytes).done();
}

#[rstest]
#[case::other_name_in_path("/upload/tools/b/1.0.0", &[], 400, "`name`")]
#[case::other_version_in_query("/upload?version=2.0.0", &[], 400, "`version`")]
#[case::contradiction("/upload/tools/a/1.0.0?name=b", &[], 400, "different values for `name`")]
#[case::parts("/upload", &[("content-type", "multipart/form-data; boundary=x")], 415, "body itself")]
fn an_upload_that_says_something_else_is_refused(
    #[case] path: &str,
    #[case] headers: &[(&str, &str)],
    #[case] status: u16,
    #[case] text: &str,
) {
    let server = server();
    let bytes = upack("tools", "a", "1.0.0").build();
    server.send("PUT", &format!("/upack/f{path}"), headers, &bytes).refused(status, &[text]);
    assert_eq!(stored(&server), 0);
    assert_eq!(server.staged(), 0);
}

#[test]
fn other_bytes_need_the_right_to_overwrite() {
    let server = Server::start_with(|app| app);
    server.feed("f", "universal");
    let key = |permissions: &[&str]| {
        let grant = KeyGrant {
            kind: "feed".to_owned(),
            package_permissions: permissions.iter().map(|word| (*word).to_owned()).collect(),
            feed: Some(server.store.feed("f").unwrap().id),
            ..KeyGrant::default()
        };
        server.store.create_key(grant, None, &Actor::system()).unwrap().1.reveal().to_owned()
    };
    let (add, all) = (key(&["view", "add"]), key(&["view", "add", "delete"]));
    let put = |key: &str, size: usize| {
        let bytes = upack("", "a", "1.0.0").payload(size).build();
        server.send("PUT", "/upack/f/upload", &[("x-apikey", key)], &bytes)
    };
    put(&add, 1).done();
    put(&add, 1).done();
    put(&add, 2).refused(409, &["already exists"]);
    put(&all, 2).done();
    assert_eq!(server.get("/upack/f/versions").status, 401);
    let delete =
        |key: &str| server.send("DELETE", "/upack/f/delete/a/1.0.0", &[("x-apikey", key)], b"");
    assert_eq!(delete(&add).status, 403);
    delete(&all).done();
}

#[test]
fn feeds_of_other_types_are_not_there() {
    let server = server();
    server.feed("n", "nuget");
    for path in ["versions", "packages", "download/a/1.0.0"] {
        server.get(&format!("/upack/n/{path}")).refused(404, &["Feed n not found."]);
    }
}
