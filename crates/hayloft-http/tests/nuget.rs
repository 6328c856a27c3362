//! What NuGet clients send, over a real socket to a real store.
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

use std::io::{Read, Write};
use std::net::TcpStream;

use hayloft::{
    Actor, Allow, DeleteMode, Deprecation, DeprecationChange, FeedDraft, KeyGrant, PackageFile,
    Selector, StatusChange, VersionsQuery,
};
use hayloft_http::LocalUser;
use hayloft_testkit::{nupkg, snupkg};
use rstest::rstest;
use serde_json::{Value, json};
use server::{Answer, Server};

const BASE: &str = "/nuget/f/v3/package";

fn empty_server() -> Server {
    Server::start_with(|app| app.gatekeeper(LocalUser::new("tester")))
}

fn server() -> Server {
    let server = empty_server();
    server.feed("f", "nuget");
    server
}

/// The body that nuget.exe 5.8 sends, and one more part, which does not count.
fn multipart(bytes: &[u8]) -> Vec<u8> {
    [
        b"--0a1b-2c\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; \
          name=package; filename=package.nupkg; filename*=utf-8''package.nupkg\r\n\r\n",
        bytes,
        b"\r\n--0a1b-2c\r\nContent-Disposition: form-data; name=x\r\n\r\nother\r\n--0a1b-2c--\r\n",
    ]
    .concat()
}

fn push(server: &Server, path: &str, bytes: &[u8]) -> Answer {
    let header = [("content-type", "multipart/form-data; boundary=\"0a1b-2c\"")];
    server.send("PUT", path, &header, &multipart(bytes))
}

fn pushed(server: &Server, id: &str, versions: &[&str]) {
    for version in versions {
        let answer = push(server, BASE, &nupkg(id, version).build());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

fn file(server: &Server, id: &str, version: &str) -> PackageFile {
    server.store.file("f", &Selector::ungrouped(id, version)).unwrap()
}

fn files(server: &Server) -> Vec<PackageFile> {
    let rows = server.store.versions("f", &VersionsQuery::default()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn set_status(server: &Server, id: &str, version: &str, change: &StatusChange) {
    let selector = Selector::ungrouped(id, version);
    server.store.set_status("f", &selector, change, &Actor::system()).unwrap();
}

/// The answer to a request on a connection that ends with it.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The first line of an answer to a request with these lines and a body.
fn status_line(server: &Server, lines: &str, body: &str) -> String {
    let request = format!("{lines}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    exchange(server, request.as_bytes()).lines().next().unwrap_or_default().to_owned()
}

#[rstest]
#[case::base(BASE)]
#[case::with_slash("/nuget/f/v3/package/")]
#[case::legacy("/nuget/f/api/v2/package")]
#[case::legacy_with_slash("/nuget/f/api/v2/package/")]
fn the_first_part_of_a_push_is_stored_as_it_is(#[case] path: &str) {
    let server = server();
    let bytes = nupkg("Acme.Core", "1.0.0").payload(700_000).build();
    assert_eq!(push(&server, path, &bytes).status, 201);
    let got = server.get("/nuget/f/v3/flat/acme.core/1.0.0/acme.core.1.0.0.nupkg");
    assert_eq!(got.status, 200);
    assert!(got.body == bytes);
    assert_eq!(got.header("content-length"), bytes.len().to_string());
    assert_eq!(server.staged(), 0);
}

#[test]
fn a_body_that_is_not_multipart_is_the_package() {
    let server = server();
    let bytes = nupkg("A", "1.0.0").build();
    assert_eq!(server.put("/nuget/f/v3/package/", &bytes).status, 201);
    assert_eq!(file(&server, "a", "1.0").size, u64::try_from(bytes.len()).unwrap());
}

#[test]
fn a_chunked_push_without_a_length_is_stored() {
    let server = server();
    let body = multipart(&nupkg("A", "1.0.0").build());
    let mut request = b"PUT /nuget/f/v3/package/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Content-Type: multipart/form-data; boundary=\"0a1b-2c\"\r\n\
        Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for piece in body.chunks(100) {
        request.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        request.extend(piece);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = exchange(&server, &request);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(files(&server).len(), 1);
}

#[rstest]
#[case::empty(b"".to_vec(), "no package")]
#[case::no_package(b"hello".to_vec(), "not accepted")]
#[case::symbols(snupkg("A", "1.0.0").build(), "symbol package")]
#[case::bad_id(nupkg("A..B", "1.0.0").build(), "A..B")]
fn what_is_no_package_is_refused(#[case] bytes: Vec<u8>, #[case] text: &str) {
    let server = server();
    push(&server, BASE, &bytes).refused(400, &[text]);
    server.put(BASE, &bytes).refused(400, &[text]);
    assert!(files(&server).is_empty());
    assert_eq!(server.staged(), 0);
}

#[rstest]
#[case::no_boundary("multipart/form-data", "no usable boundary")]
#[case::other_boundary("multipart/form-data; boundary=zzz", "does not end")]
fn a_multipart_body_needs_its_boundary(#[case] content_type: &str, #[case] text: &str) {
    let server = server();
    let body = multipart(&nupkg("A", "1.0.0").build());
    server.send("PUT", BASE, &[("content-type", content_type)], &body).refused(400, &[text]);
    assert!(files(&server).is_empty());
}

#[test]
fn a_multipart_body_that_breaks_off_stores_nothing() {
    let server = server();
    let header = [("content-type", "multipart/form-data; boundary=\"0a1b-2c\"")];
    let whole = multipart(&nupkg("A", "1.0.0").payload(300_000).build());
    for length in [0, 20, 200, 1_000, 300_000] {
        let answer = server.send("PUT", BASE, &header, &whole[..length]);
        assert_eq!(answer.status, 400, "{length}: {}", answer.text());
    }
    assert!(files(&server).is_empty());
    assert_eq!(server.staged(), 0);
}

#[test]
fn a_package_larger_than_allowed_is_refused() {
    let server = Server::start_with(|app| app.gatekeeper(LocalUser::new("x")).max_upload(100_000));
    server.feed("f", "nuget");
    let bytes = nupkg("A", "1.0.0").payload(200_000).build();
    push(&server, BASE, &bytes).refused(413, &["100000"]);
    assert_eq!(server.staged(), 0);
}

#[rstest]
#[case::same_bytes(nupkg("A", "1.0.0").build())]
#[case::other_bytes(nupkg("A", "1.0.0").payload(9).build())]
#[case::same_version_in_another_form(nupkg("a", "1.0.0.0+x").build())]
fn a_package_that_exists_is_a_conflict(#[case] bytes: Vec<u8>) {
    let server = server();
    pushed(&server, "A", &["1.0"]);
    let before = file(&server, "A", "1.0").digests;
    let first = push(&server, BASE, &nupkg("A", "1.0.0").build());
    first.refused(409, &["already exists"]);
    push(&server, BASE, &bytes).refused(409, &["already exists"]);
    assert_eq!(file(&server, "A", "1.0").digests, before);
}

#[test]
fn symbols_are_kept_beside_their_package_and_can_be_pushed_again() {
    let server = server();
    let symbols = "/nuget/f/v3/symbolpackage/";
    let first = snupkg("A", "1.0.0").build();
    push(&server, symbols, &first).refused(404, &["must be uploaded before"]);
    pushed(&server, "A", &["1.0.0"]);
    push(&server, symbols, &nupkg("A", "2.0.0").build()).refused(400, &["no symbol package"]);
    let second = snupkg("A", "1.0.0").file("lib/b.pdb", b"BSJB\x01\x00\x01\x00".to_vec()).build();
    for bytes in [&first, &first, &second] {
        assert_eq!(push(&server, symbols, bytes).status, 201);
    }
    let kept = server.store.file("f", &Selector::ungrouped("A", "1.0").companion()).unwrap();
    assert_eq!(kept.size, u64::try_from(second.len()).unwrap());
    let versions = server.get("/nuget/f/v3/flat/a/index.json").json();
    assert_eq!(versions, json!({ "versions": ["1.0.0"] }));
}

#[test]
fn delete_hides_a_version_and_post_shows_it_again() {
    let server = server();
    pushed(&server, "Acme.Core", &["1.0.0", "2.0.0"]);
    for path in ["/acme.CORE/1.0", "/Acme.Core/1.0.0.0/", "/Acme.Core/1.0.0%2Bx"] {
        let answer = server.send("DELETE", &format!("{BASE}{path}"), &[], b"");
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert!(!file(&server, "Acme.Core", "1.0.0").status.is_listed());
    }
    let hidden = file(&server, "Acme.Core", "1.0.0").status_changed;
    let found = server.get("/nuget/f/v3/search?q=acme").json();
    assert_eq!(found["data"][0]["versions"].as_array().unwrap().len(), 1);
    let listed = server.get("/nuget/f/v3/flat/acme.core/index.json").json();
    assert_eq!(listed, json!({ "versions": ["1.0.0", "2.0.0"] }));
    assert_eq!(file(&server, "Acme.Core", "1.0.0").status_changed, hidden);
    for path in ["/Acme.Core/1.0.0", "/acme.core/1.0/"] {
        server.post(&format!("{BASE}{path}"), "").done();
        assert!(file(&server, "Acme.Core", "1.0.0").status.is_listed());
    }
}

#[rstest]
#[case::unknown_package("B/1.0.0")]
#[case::unknown_version("A/2.0.0")]
#[case::no_version("A/hello")]
#[case::no_name("A..B/1.0.0")]
fn what_does_not_exist_is_neither_deleted_nor_listed(#[case] path: &str) {
    for mode in [DeleteMode::Unlist, DeleteMode::Remove] {
        let server = empty_server();
        let mut draft = FeedDraft::new("f", "nuget");
        draft.settings.delete_mode = mode;
        server.store.create_feed(draft, &Actor::system()).unwrap();
        pushed(&server, "A", &["1.0.0"]);
        let path = format!("{BASE}/{path}");
        server.send("DELETE", &path, &[], b"").refused(404, &[]);
        server.post(&path, "").refused(404, &[]);
        assert_eq!(files(&server).len(), 1);
    }
}

#[test]
fn delete_removes_a_version_where_the_feed_says_so() {
    let server = empty_server();
    let mut draft = FeedDraft::new("f", "nuget");
    draft.settings.delete_mode = DeleteMode::Remove;
    server.store.create_feed(draft, &Actor::system()).unwrap();
    pushed(&server, "A", &["1.0.0", "2.0.0"]);
    push(&server, "/nuget/f/v3/symbolpackage", &snupkg("A", "1.0.0").build());
    let path = format!("{BASE}/A/1.0");
    assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
    server.send("DELETE", &path, &[], b"").refused(404, &["A 1.0"]);
    let left = files(&server);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].version, "2.0.0");
}

#[test]
fn the_reason_phrase_tells_what_is_wrong() {
    let server = server();
    pushed(&server, "A", &["1.0.0"]);
    let lines = |method: &str, path: &str| {
        format!("{method} {BASE}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: t")
    };
    let put = status_line(&server, &lines("PUT", ""), "hello");
    assert!(put.starts_with("HTTP/1.1 400 the package was not accepted"), "{put}");
    let put = status_line(&server, &lines("PUT", "/A/deprecations"), r#"{"versions":[]}"#);
    assert_eq!(put, "HTTP/1.1 400 `versions` names no version");
    let delete = status_line(&server, &lines("DELETE", "/A%0d%0aX:y/1.0.0"), "");
    assert!(delete.starts_with("HTTP/1.1 404 ") && delete.contains('A'), "{delete}");
    let again = format!("{}\r\nContent-Type: x", lines("PUT", ""));
    let bytes = nupkg("A", "1.0.0").build();
    let mut request = format!("{again}\r\nContent-Length: {}\r\n\r\n", bytes.len()).into_bytes();
    request.extend(bytes);
    let answer = exchange(&server, &request);
    assert!(answer.starts_with("HTTP/1.1 409 `A 1.0.0` already exists\r\n"), "{answer}");
}

#[test]
fn other_methods_are_refused_with_the_ones_there_are() {
    let server = server();
    for (method, path, allowed) in [
        ("GET", "", "PUT"),
        ("PUT", "/A/1.0.0", "POST"),
        ("PUT", "/A/1.0.0/", "DELETE"),
        ("GET", "/A/deprecations", "PUT"),
    ] {
        let answer = server.send(method, &format!("{BASE}{path}"), &[], b"");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").contains(allowed), "{method} {path}");
    }
}

/// A feed with versions of two packages; `Acme.Core` 3.0.0 is unlisted.
fn deprecatable() -> Server {
    let server = server();
    pushed(&server, "Acme.Core", &["1.0.0", "1.1.0", "2.0.0-rc.1", "3.0.0"]);
    pushed(&server, "Acme.New", &["1.0.0"]);
    server.send("DELETE", &format!("{BASE}/Acme.Core/3.0.0"), &[], b"");
    server
}

fn deprecate(server: &Server, id: &str, body: &str) -> Answer {
    let headers = [("user-agent", "Spoon-Knife/1.0.0")];
    server.send("PUT", &format!("{BASE}/{id}/deprecations"), &headers, body.as_bytes())
}

/// Listing and deprecation of a version as registration shows it.
fn shown(server: &Server, version: &str) -> (bool, Value) {
    let index = server.get("/nuget/f/v3/registration/acme.core/index.json").json();
    let leaves = index["items"][0]["items"].as_array().unwrap();
    let entry = leaves
        .iter()
        .map(|leaf| &leaf["catalogEntry"])
        .find(|entry| entry["version"] == version)
        .unwrap();
    (entry["listed"].as_bool().unwrap(), entry["deprecation"].clone())
}

#[rstest]
#[case::legacy(
    json!({"versions": ["1.0"], "isLegacy": true}),
    true, json!({"reasons": ["Legacy"]})
)]
#[case::all_reasons(
    json!({"versions": ["1.0.0"], "isOther": true, "hasCriticalBugs": true, "isLegacy": true,
           "message": "why"}),
    true, json!({"reasons": ["Legacy", "CriticalBugs", "Other"], "message": "why"})
)]
#[case::message_with_any_reason(
    json!({"versions": ["1.0.0"], "hasCriticalBugs": true, "message": "<b>x</b>"}),
    true, json!({"reasons": ["CriticalBugs"], "message": "<b>x</b>"})
)]
#[case::longest_message(
    json!({"versions": ["1.0.0"], "isLegacy": true, "message": "x".repeat(1000)}),
    true, json!({"reasons": ["Legacy"], "message": "x".repeat(1000)})
)]
#[case::alternate_package(
    json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageId": "acme.NEW"}),
    true, json!({"reasons": ["Legacy"], "alternatePackage": {"id": "Acme.New", "range": "*"}})
)]
#[case::alternate_version(
    json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageId": "Acme.New",
           "alternatePackageVersion": "1.0"}),
    true,
    json!({"reasons": ["Legacy"], "alternatePackage": {"id": "Acme.New", "range": "[1.0.0, )"}})
)]
#[case::unlisted_alternate_of_the_same_package(
    json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageId": "Acme.Core",
           "alternatePackageVersion": "3.0.0"}),
    true,
    json!({"reasons": ["Legacy"], "alternatePackage": {"id": "Acme.Core", "range": "[3.0.0, )"}})
)]
#[case::versions_named_twice(
    json!({"versions": ["1.0", "1.0.0", "1.0.0.0+x"], "isLegacy": true}),
    true, json!({"reasons": ["Legacy"]})
)]
#[case::unlist(
    json!({"versions": ["1.0.0"], "isLegacy": true, "listedVerb": "Unlist"}),
    false, json!({"reasons": ["Legacy"]})
)]
#[case::unlist_alone(json!({"versions": ["1.0.0"], "listedVerb": "unlist"}), false, Value::Null)]
#[case::unchanged(
    json!({"versions": ["1.0.0"], "isLegacy": true, "listedVerb": "Unchanged"}),
    true, json!({"reasons": ["Legacy"]})
)]
#[case::names_in_another_case(
    json!({"VERSIONS": ["1.0.0"], "ISLEGACY": true, "unknown": {"a": 1}, "message": null}),
    true, json!({"reasons": ["Legacy"]})
)]
fn a_version_is_deprecated(#[case] body: Value, #[case] listed: bool, #[case] expected: Value) {
    let server = deprecatable();
    deprecate(&server, "ACME.core", &body.to_string()).done();
    assert_eq!(shown(&server, "1.0.0"), (listed, expected));
    assert_eq!(shown(&server, "1.1.0"), (true, Value::Null));
}

#[rstest]
#[case::unknown_package("Acme.None", json!({"versions": ["1.0.0"], "isLegacy": true}), 404, "Acme.None")]
#[case::no_id("a..b", json!({"versions": ["1.0.0"], "isLegacy": true}), 404, "a..b")]
#[case::unknown_version("Acme.Core", json!({"versions": ["1.0.0", "9.0.0"], "isLegacy": true}), 404, "9.0.0")]
#[case::malformed_version("Acme.Core", json!({"versions": ["1.0.0", "x"], "isLegacy": true}), 404, "`x`")]
#[case::no_versions("Acme.Core", json!({"isLegacy": true}), 400, "`versions`")]
#[case::empty_versions("Acme.Core", json!({"versions": [], "isLegacy": true}), 400, "`versions`")]
#[case::versions_that_are_no_list("Acme.Core", json!({"versions": "1.0.0"}), 400, "`versions`")]
#[case::flag_that_is_none("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": 1}), 400, "`isLegacy`")]
#[case::other_without_message("Acme.Core", json!({"versions": ["1.0.0"], "isOther": true}), 400, "`message`")]
#[case::other_with_blank_message("Acme.Core", json!({"versions": ["1.0.0"], "isOther": true, "message": " \n"}), 400, "`message`")]
#[case::long_message("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": true, "message": "x".repeat(1001)}), 400, "1000")]
#[case::unknown_alternate("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageId": "Acme.None"}), 404, "Acme.None")]
#[case::unknown_alternate_version("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageId": "Acme.New", "alternatePackageVersion": "9.0.0"}), 404, "9.0.0")]
#[case::alternate_version_alone("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageVersion": "1.0.0"}), 400, "`alternatePackageId`")]
#[case::itself("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": true, "alternatePackageId": "acme.core"}), 400, "alternate")]
#[case::the_same_version("Acme.Core", json!({"versions": ["1.0.0", "1.1.0"], "isLegacy": true, "alternatePackageId": "Acme.Core", "alternatePackageVersion": "1.1"}), 400, "alternatePackageVersion")]
#[case::listed_verb("Acme.Core", json!({"versions": ["1.0.0"], "isLegacy": true, "listedVerb": "Hide"}), 400, "Hide")]
#[case::unknown_alternate_when_undeprecating("Acme.Core", json!({"versions": ["1.0.0"], "alternatePackageId": "Acme.None"}), 404, "Acme.None")]
fn a_refused_deprecation_changes_nothing(
    #[case] id: &str,
    #[case] body: Value,
    #[case] status: u16,
    #[case] text: &str,
) {
    let server = deprecatable();
    let revision = server.store.feed_revision("f").unwrap();
    deprecate(&server, id, &body.to_string()).refused(status, &[text]);
    assert_eq!(server.store.feed_revision("f").unwrap(), revision);
    assert_eq!(shown(&server, "1.0.0"), (true, Value::Null));
}

#[test]
fn the_second_published_sample_is_refused_until_its_comma_is_there() {
    let server = server();
    pushed(&server, "NuGet.Core", &["2.12.0", "2.13.0", "2.14.0"]);
    let printed = "{\n    \"versions\": [ \"2.12.0\", \"2.13.0\", \"2.14.0\" ],\n    \
        \"isLegacy\": true,\n    \"isOther\": true\n    \"message\": \"Replaced.\",\n    \
        \"listedVerb\": \"Unlist\"\n}";
    deprecate(&server, "NuGet.Core", printed).refused(400, &["line 5"]);
    deprecate(&server, "NuGet.Core", &printed.replace("true\n", "true,\n")).done();
    for file in files(&server) {
        assert!(!file.status.is_listed());
        let deprecated = file.status.deprecated.unwrap();
        assert_eq!(deprecated.reason.as_deref(), Some("Replaced."));
        assert_eq!(deprecated.details.as_deref(), Some(r#"{"reasons":["Legacy","Other"]}"#));
    }
}

#[test]
fn a_request_without_reasons_takes_the_deprecation_back() {
    let server = deprecatable();
    let body = json!({"versions": ["1.0.0", "1.1.0"], "isLegacy": true, "message": "m",
        "alternatePackageId": "Acme.New", "listedVerb": "Unlist"});
    deprecate(&server, "Acme.Core", &body.to_string()).done();
    assert!(shown(&server, "1.0.0").1.is_object());
    deprecate(&server, "Acme.Core", r#"{"versions":["1.0.0"]}"#).done();
    assert_eq!(shown(&server, "1.0.0"), (false, Value::Null));
    assert!(shown(&server, "1.1.0").1.is_object());
    let relist = json!({"versions": ["1.0.0", "1.1.0"], "listedVerb": "Relist"});
    deprecate(&server, "Acme.Core", &relist.to_string()).done();
    assert_eq!(shown(&server, "1.0.0"), (true, Value::Null));
    assert_eq!(shown(&server, "1.1.0"), (true, Value::Null));
}

#[test]
fn a_deprecation_that_is_there_already_succeeds_and_touches_nothing() {
    let server = deprecatable();
    let body = json!({"versions": ["1.0.0"], "isLegacy": true, "message": "m"}).to_string();
    deprecate(&server, "Acme.Core", &body).done();
    let before = (file(&server, "Acme.Core", "1.0.0"), server.store.feed_revision("f").unwrap());
    deprecate(&server, "Acme.Core", &body).done();
    let after = (file(&server, "Acme.Core", "1.0.0"), server.store.feed_revision("f").unwrap());
    assert_eq!(before.0.status_changed, after.0.status_changed);
    assert_eq!(before.1, after.1);
    pushed(&server, "Acme.Core", &["4.0.0"]);
    assert_eq!(shown(&server, "4.0.0"), (true, Value::Null));
}

#[rstest]
#[case::none("")]
#[case::blank("User-Agent:  \r\n")]
fn a_deprecation_needs_a_user_agent(#[case] header: &str) {
    let server = deprecatable();
    let lines = format!(
        "PUT {BASE}/Acme.Core/deprecations/ HTTP/1.1\r\nHost: x\r\n{header}Connection: close"
    );
    let line = status_line(&server, &lines, r#"{"versions":["1.0.0"],"isLegacy":true}"#);
    assert_eq!(line, "HTTP/1.1 400 the request needs a User-Agent header");
    assert_eq!(shown(&server, "1.0.0").1, Value::Null);
}

#[test]
fn a_deprecation_by_another_protocol_has_a_reason_too() {
    let server = deprecatable();
    let deprecation = Deprecation { reason: Some("old".to_owned()), details: None };
    let change = StatusChange {
        deprecation: Some(DeprecationChange::Set(deprecation)),
        ..StatusChange::default()
    };
    set_status(&server, "Acme.Core", "1.0.0", &change);
    let expected = json!({"reasons": ["Other"], "message": "old"});
    assert_eq!(shown(&server, "1.0.0"), (true, expected));
}

/// A server with a gatekeeper that knows keys, and the keys: to view, to add, to delete.
fn guarded() -> (Server, [String; 3]) {
    let server = Server::start_with(|app| app);
    server.feed("f", "nuget");
    let keys = [&["view"][..], &["view", "add"], &["view", "delete"]].map(|permissions| {
        let grant = KeyGrant {
            kind: "feed".to_owned(),
            package_permissions: permissions.iter().map(|word| (*word).to_owned()).collect(),
            feed: Some(server.store.feed("f").unwrap().id),
            ..KeyGrant::default()
        };
        server.store.create_key(grant, None, &Actor::system()).unwrap().1.reveal().to_owned()
    });
    (server, keys)
}

#[test]
fn a_push_needs_a_key_with_the_right_to_add() {
    let (server, [view, add, _]) = guarded();
    let bytes = nupkg("A", "1.0.0").build();
    let put = |key: Option<&str>| {
        let headers: Vec<_> = key.map(|key| ("x-nuget-apikey", key)).into_iter().collect();
        server.send("PUT", BASE, &headers, &bytes)
    };
    let anonymous = put(None);
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.header("www-authenticate").starts_with("Basic"));
    assert_eq!(put(Some("hl_00000000000000000000000000000000")).status, 403);
    assert_eq!(put(Some(&view)).status, 403);
    assert!(files(&server).is_empty());
    assert_eq!(put(Some(&add)).status, 201);
}

#[test]
fn who_may_not_delete_changes_no_listing() {
    let (server, [view, add, delete]) = guarded();
    let bytes = nupkg("A", "1.0.0").build();
    assert_eq!(server.send("PUT", BASE, &[("x-nuget-apikey", &add)], &bytes).status, 201);
    let path = format!("{BASE}/A/1.0.0");
    let body = br#"{"versions":["1.0.0"],"isLegacy":true}"#;
    for (key, status) in [(None, 401), (Some(&view), 403)] {
        let mut headers = vec![("user-agent", "t")];
        headers.extend(key.map(|key| ("x-nuget-apikey", key.as_str())));
        assert_eq!(server.send("DELETE", &path, &headers, b"").status, status);
        assert_eq!(server.send("POST", &path, &headers, b"").status, status);
        let deprecations = format!("{BASE}/A/deprecations");
        assert_eq!(server.send("PUT", &deprecations, &headers, body).status, status);
    }
    assert!(file(&server, "A", "1.0.0").status.is_listed());
    assert_eq!(server.send("DELETE", &path, &[("x-nuget-apikey", &delete)], b"").status, 204);
}

#[test]
fn without_a_key_the_service_index_is_there_and_says_nothing() {
    let (server, _) = guarded();
    let hidden = server.get("/nuget/f/v3/index.json").text();
    let unknown = server.get("/nuget/g/v3/index.json").text();
    assert_eq!(hidden.replace("/nuget/f/", "/nuget/g/"), unknown);
    for path in ["flat/a/index.json", "registration/a/index.json", "search", "autocomplete"] {
        assert_eq!(server.get(&format!("/nuget/f/v3/{path}")).status, 401, "{path}");
    }
}

#[test]
fn feeds_of_other_types_are_not_there() {
    let server = empty_server();
    server.feed("u", "universal");
    for path in ["index.json", "flat/a/index.json", "search"] {
        server.get(&format!("/nuget/u/v3/{path}")).refused(404, &["Feed u not found."]);
    }
    let answer = server.put("/nuget/u/v3/package", &nupkg("A", "1.0.0").build());
    answer.refused(404, &["Feed u not found."]);
}

#[test]
fn all_that_the_service_index_lists_is_there() {
    let server = server();
    pushed(&server, "Acme.Core", &["1.0.0"]);
    let index = server.get("/nuget/f/v3/index.json/").json();
    assert_eq!(index["version"], "3.0.0");
    let host = format!("http://{}", server.address);
    let url = |kind: &str| {
        let resources = index["resources"].as_array().unwrap();
        let resource = resources.iter().find(|resource| resource["@type"] == kind);
        let url = resource.unwrap_or_else(|| panic!("no {kind}"))["@id"].as_str().unwrap();
        url.strip_prefix(&host).unwrap().to_owned()
    };
    for kind in ["PackagePublish/2.0.0", "PackagePublish/3.0.0-preview.1"] {
        assert_eq!(url(kind), BASE);
    }
    assert_eq!(
        push(&server, &url("SymbolPackagePublish/4.9.0"), &snupkg("Acme.Core", "1.0.0").build())
            .status,
        201
    );
    server.get(&format!("{}acme.core/index.json", url("PackageBaseAddress/3.0.0"))).done();
    for kind in ["", "/3.0.0-beta", "/3.0.0-rc", "/3.4.0", "/3.6.0", "/Versioned"] {
        let registration = url(&format!("RegistrationsBaseUrl{kind}"));
        server.get(&format!("{registration}acme.core/index.json")).done();
    }
    for kind in ["", "/3.0.0-beta", "/3.0.0-rc", "/3.4.0", "/3.5.0"] {
        let found = server.get(&url(&format!("SearchQueryService{kind}"))).json();
        assert_eq!(found["totalHits"], 1);
    }
    for kind in ["", "/3.0.0-beta", "/3.5.0"] {
        let found = server.get(&url(&format!("SearchAutocompleteService{kind}"))).json();
        assert_eq!(found["data"], json!(["Acme.Core"]));
    }
}

#[rstest]
#[case::as_asked(None, "http://feeds.test/nuget/f/v3/package")]
#[case::as_set(Some("https://set.test/root"), "https://set.test/root/nuget/f/v3/package")]
fn links_lead_to_where_clients_reach_the_server(#[case] set: Option<&str>, #[case] url: &str) {
    let server = server();
    if let Some(base) = set {
        server.store.set_setting("web.base-url", Some(base), &Actor::system()).unwrap();
    }
    let headers = [("host", "feeds.test")];
    let index = server.send("GET", "/nuget/f/v3/index.json", &headers, b"").json();
    assert_eq!(index["resources"][0]["@id"], url);
}

#[test]
fn the_flat_container_serves_what_can_be_downloaded() {
    let server = server();
    pushed(&server, "Acme.Core", &["1.10.0", "1.2.0", "1.2.0-RC.1", "2.0.0+x"]);
    let block = StatusChange { allow: Some(Some(Allow::Never)), ..StatusChange::default() };
    set_status(&server, "Acme.Core", "1.10.0", &block);
    let flat = "/nuget/f/v3/flat/Acme.CORE";
    let versions = server.get(&format!("{flat}/index.json")).json();
    assert_eq!(versions, json!({ "versions": ["1.2.0-rc.1", "1.2.0", "2.0.0"] }));
    for version in ["1.2.0-rc.1", "1.2.0-RC.1", "1.2.0", "2.0.0", "2.0"] {
        let answer = server.get(&format!("{flat}/{version}/acme.core.{version}.nupkg"));
        assert_eq!(answer.status, 200, "{version}");
        assert!(answer.body.starts_with(b"PK"), "{version}");
    }
    let nuspec = server.get(&format!("{flat}/2.0.0/acme.core.nuspec"));
    assert_eq!(nuspec.header("content-type"), "application/xml");
    assert!(nuspec.text().contains("<id>Acme.Core</id>"));
    let package = format!("{flat}/1.2.0/acme.core.1.2.0.nupkg");
    let part = server.send("GET", &package, &[("range", "bytes=0-1")], b"");
    assert_eq!((part.status, part.body.as_slice()), (206, &b"PK"[..]));
    let head = server.send("HEAD", &package, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.get(&format!("{flat}/1.10.0/acme.core.1.10.0.nupkg")).refused(403, &["blocked"]);
    server.get(&format!("{flat}/1.10.0/acme.core.nuspec")).refused(403, &["blocked"]);
    for path in ["9.0.0/acme.core.9.0.0.nupkg", "x/x.nupkg", "1.2.0/x.exe", "1.2.0/icon"] {
        server.get(&format!("{flat}/{path}")).refused(404, &[]);
    }
    server.get("/nuget/f/v3/flat/none/index.json").refused(404, &[]);
}

#[test]
fn registration_tells_what_the_manifest_says() {
    let server = server();
    let dependencies = "<group targetFramework=\"net8.0\"><dependency id=\"Acme.Base\" \
                        version=\"[1.0,2.0)\" /></group>";
    let package = nupkg("Acme.Core", "1.0.0-rc.1+x")
        .field("title", "Core")
        .field("tags", "one two")
        .field("projectUrl", "https://acme.test/")
        .field("dependencies", dependencies)
        .field("icon", "icon.png")
        .field("readme", "README.md")
        .file("icon.png", b"\x89PNG\r\n\x1a\n".to_vec())
        .file("README.md", b"# Core".to_vec());
    assert_eq!(push(&server, BASE, &package.build()).status, 201);
    pushed(&server, "Acme.Core", &["0.9.0"]);
    let base = format!("http://{}/nuget/f/v3", server.address);
    let index = server.get("/nuget/f/v3/registration/Acme.core/index.json").json();
    let page = &index["items"][0];
    assert_eq!(index["count"], 1);
    assert_eq!((&page["lower"], &page["upper"]), (&json!("0.9.0"), &json!("1.0.0-rc.1")));
    assert_eq!(page["count"], 2);
    assert_eq!(page["parent"], index["@id"]);
    let leaf = &page["items"][1];
    assert_eq!(leaf["@id"], format!("{base}/registration/acme.core/1.0.0-rc.1.json"));
    let content = format!("{base}/flat/acme.core/1.0.0-rc.1/acme.core.1.0.0-rc.1.nupkg");
    assert_eq!(leaf["packageContent"], content);
    let entry = &leaf["catalogEntry"];
    for (name, value) in [
        ("id", json!("Acme.Core")),
        ("version", json!("1.0.0-rc.1+x")),
        ("listed", json!(true)),
        ("title", json!("Core")),
        ("authors", json!("Hayloft")),
        ("tags", json!(["one", "two"])),
        ("projectUrl", json!("https://acme.test/")),
        ("iconUrl", json!(format!("{base}/flat/acme.core/1.0.0-rc.1/icon"))),
        ("readmeUrl", json!(format!("{base}/flat/acme.core/1.0.0-rc.1/readme"))),
        (
            "dependencyGroups",
            json!([{"targetFramework": "net8.0", "dependencies": [{
                "id": "Acme.Base",
                "range": "[1.0.0, 2.0.0)",
                "registration": format!("{base}/registration/acme.base/index.json"),
            }]}]),
        ),
    ] {
        assert_eq!(entry[name], value, "{name}");
    }
    let icon = server.get("/nuget/f/v3/flat/acme.core/1.0.0-rc.1/icon");
    assert_eq!(icon.header("content-type"), "image/png");
    assert_eq!(icon.header("x-content-type-options"), "nosniff");
    assert_eq!(server.get("/nuget/f/v3/flat/acme.core/1.0.0-rc.1/readme").body, b"# Core");
    let alone = server.get("/nuget/f/v3/registration/acme.core/1.0.0-RC.1.json").json();
    assert_eq!(alone["packageContent"], leaf["packageContent"]);
    assert_eq!(alone["catalogEntry"], *entry);
    server.get("/nuget/f/v3/registration/acme.core/7.0.0.json").refused(404, &[]);
    server.get("/nuget/f/v3/registration/acme.core/1.0.0").refused(404, &[]);
    server.get("/nuget/f/v3/registration/acme.none/index.json").refused(404, &[]);
}

#[test]
fn a_registration_of_many_versions_is_whole() {
    let server = server();
    for number in 0..300 {
        let bytes = nupkg("A", &format!("1.{number}.0")).build();
        server
            .store
            .upload(
                "f",
                &hayloft::UploadRequest::default(),
                &mut bytes.as_slice(),
                &Actor::system(),
            )
            .unwrap();
    }
    let index = server.get("/nuget/f/v3/registration/a/index.json").json();
    let mut versions = Vec::new();
    for page in index["items"].as_array().unwrap() {
        assert!(page["items"].is_null(), "so many are not told at once");
        let url = page["@id"].as_str().unwrap();
        let path = url.split_once(&server.address.to_string()).unwrap().1;
        let page = server.get(path).json();
        let leaves = page["items"].as_array().unwrap();
        assert_eq!(page["count"], leaves.len());
        let version = |leaf: &serde_json::Value| leaf["catalogEntry"]["version"].clone();
        versions.extend(leaves.iter().map(version));
    }
    let expected: Vec<_> = (0..300).map(|number| json!(format!("1.{number}.0"))).collect();
    assert_eq!(versions, expected);
}

/// Ids with the versions that a search shows.
fn found(server: &Server, query: &str) -> (u64, Vec<(String, Vec<String>)>) {
    let answer = server.get(&format!("/nuget/f/v3/search?{query}")).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let data = answer["data"].as_array().unwrap().iter();
    let hits = data
        .map(|hit| {
            let versions = hit["versions"].as_array().unwrap();
            (text(&hit["id"]), versions.iter().map(|each| text(&each["version"])).collect())
        })
        .collect();
    (answer["totalHits"].as_u64().unwrap(), hits)
}

#[test]
fn search_finds_listed_versions_by_parts_of_ids() {
    let server = server();
    pushed(&server, "Web.Acme", &["1.0.0"]);
    pushed(&server, "Acme", &["1.0.0", "1.1.0", "2.0.0-rc"]);
    pushed(&server, "Acme.Core", &["1.0.0", "2.0.0"]);
    pushed(&server, "Acme.Early", &["0.1.0-a"]);
    pushed(&server, "Acme.Hidden", &["1.0.0"]);
    for path in ["Acme.Hidden/1.0.0", "Acme.Core/2.0.0"] {
        server.send("DELETE", &format!("{BASE}/{path}"), &[], b"");
    }
    let names = |query: &str| -> Vec<String> {
        found(&server, query).1.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(names("q=acme&semVerLevel=2.0.0"), ["Acme", "Acme.Core", "Web.Acme"]);
    assert_eq!(
        names("q=acme&prerelease=true&semVerLevel=2.0.0"),
        ["Acme", "Acme.Core", "Acme.Early", "Web.Acme"]
    );
    assert_eq!(names("q=core+ACME"), ["Acme.Core"]);
    assert_eq!(names("q=none"), [""; 0]);
    assert_eq!(names("").len(), 3);
    let (total, page) = found(&server, "q=acme&skip=1&take=1");
    assert_eq!((total, page), (3, vec![("Acme.Core".to_owned(), vec!["1.0.0".to_owned()])]));
    let versions = |query: &str| found(&server, query).1.remove(0).1;
    assert_eq!(versions("q=acme"), ["1.0.0", "1.1.0"]);
    assert_eq!(versions("q=acme&prerelease=True"), ["1.0.0", "1.1.0", "2.0.0-rc"]);
    let ids = server.get("/nuget/f/v3/autocomplete?q=acme&take=2").json();
    assert_eq!(ids, json!({"totalHits": 3, "data": ["Acme", "Acme.Core"]}));
    let versions = server.get("/nuget/f/v3/autocomplete?id=acme&prerelease=true").json();
    assert_eq!(versions["data"], json!(["1.0.0", "1.1.0", "2.0.0-rc"]));
}

#[test]
fn old_clients_do_not_see_what_they_cannot_read() {
    let server = server();
    pushed(&server, "Plain", &["1.0.0"]);
    pushed(&server, "Labels", &["1.0.0-a.1", "1.0.0-a"]);
    let dependency = "<dependency id=\"Plain\" version=\"1.0.0-a.1\" />";
    let package = nupkg("Needs", "1.0.0").field("dependencies", dependency).build();
    assert_eq!(push(&server, BASE, &package).status, 201);
    let old = found(&server, "prerelease=true").1;
    let one = |id: &str, version: &str| (id.to_owned(), vec![version.to_owned()]);
    assert_eq!(old, [one("Labels", "1.0.0-a"), one("Plain", "1.0.0")]);
    assert_eq!(found(&server, "prerelease=true&semVerLevel=2.0.0").0, 3);
}

#[test]
fn search_can_be_limited_to_a_package_type() {
    let server = server();
    pushed(&server, "Plain", &["1.0.0"]);
    let types = "<packageType name=\"DotnetTool\" />";
    let package = nupkg("Tool", "1.0.0").field("packageTypes", types).build();
    assert_eq!(push(&server, BASE, &package).status, 201);
    let names = |query: &str| -> Vec<String> {
        found(&server, query).1.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(names("packageTypeFilter=dotnettool"), ["Tool"]);
    assert_eq!(names("packageType=Dependency"), ["Plain"]);
    assert_eq!(names("packageTypeFilter=Template"), [""; 0]);
}
