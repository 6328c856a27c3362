#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

//! What npm's clients ask for and send, answered over a feed in memory.

use std::sync::Arc;

use hayloft_feed::native::{Change, Edit, Field, Fields, Framing, Native, Reply, Request};
use hayloft_feed::{Allow, Deprecation, FeedType};
use hayloft_npm::Npm;
use hayloft_testkit::{MemoryFeed, npm_tgz};
use rstest::rstest;
use serde_json::{Value, json};

const SHORT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
const URL: &str = "http://host/npm/f";

fn feed() -> MemoryFeed {
    MemoryFeed::new(Arc::new(Npm), "f")
}

fn feed_of(name: &str, versions: &[&str]) -> MemoryFeed {
    let mut feed = feed();
    for version in versions {
        feed.step(1000);
        feed.upload("x.tgz", &npm_tgz(name, version).build());
    }
    feed
}

fn json_of(feed: &mut MemoryFeed, path: &str) -> Value {
    let got = feed.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    serde_json::from_str(&got.text()).unwrap()
}

fn edit(feed: &mut MemoryFeed, name: &str, changes: Vec<Change>) {
    let (group, bare) = name.split_once('/').unwrap_or(("", name));
    feed.edit(&Edit::new(Npm.package_name(group, bare).unwrap(), changes)).unwrap();
}

/// The members that the framing wants, as an executor takes them out of a body.
fn fields(wanted: &[&str], body: &Value) -> Fields {
    fn walk(value: &Value, pattern: &[&str], path: &mut Vec<String>, out: &mut Vec<Field>) {
        let Some((first, rest)) = pattern.split_first() else {
            out.push(Field { path: path.clone(), value: value.to_string() });
            return;
        };
        let Some(object) = value.as_object() else { return };
        for (key, value) in object.iter().filter(|(key, _)| *first == "*" || *first == *key) {
            path.push(key.clone());
            walk(value, rest, path, out);
            path.pop();
        }
    }
    let mut out = Vec::new();
    for pattern in wanted {
        let pattern: Vec<&str> = pattern.split('.').filter(|part| !part.is_empty()).collect();
        walk(body, &pattern, &mut Vec::new(), &mut out);
    }
    Fields(out)
}

fn send(
    feed: &mut MemoryFeed,
    method: &str,
    path: &str,
    body: &Value,
    file: Option<&[u8]>,
) -> Reply {
    let request = Request::get(path, URL).method(method).user(Some("ci"));
    let intake = Npm.route(&request).unwrap();
    let fields = match intake.map(|intake| intake.framing) {
        Some(Framing::Json { wanted, .. }) => fields(wanted, body),
        _ => Fields::default(),
    };
    feed.act(&request, &fields, file)
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

/// What npm sends to publish a package.
fn publish_body(name: &str, version: &str, tag: &str, bytes: &[u8]) -> Value {
    let digests = hayloft_testkit::digests(bytes);
    json!({
        "_id": name,
        "name": name,
        "dist-tags": {tag: version},
        "versions": {version: {
            "name": name,
            "version": version,
            "dist": {
                "integrity": format!("sha512-{}", data_encoding::BASE64.encode(&digests.sha512)),
                "shasum": data_encoding::HEXLOWER.encode(&digests.sha1),
                "tarball": format!("http://elsewhere/{name}/-/{name}-{version}.tgz"),
            }
        }},
        "access": null,
    })
}

fn publish(feed: &mut MemoryFeed, name: &str, version: &str, tag: &str) -> Reply {
    let bytes = npm_tgz(name, version).build();
    let body = publish_body(name, version, tag, &bytes);
    send(feed, "PUT", &format!("/{}", name.replace('/', "%2f")), &body, Some(&bytes))
}

#[test]
fn a_packument_holds_what_clients_need() {
    let mut feed = feed();
    let bytes = npm_tgz("@acme/tool", "1.0.0")
        .field("description", "\"A tool\"")
        .field("bin", "\"./cli.js\"")
        .field("dependencies", "{\"left-pad\":\"^1.0.0\"}")
        .field("homepage", "\"https://example.org\"")
        .field("scripts", "{\"postinstall\":\"x\"}")
        .build();
    feed.upload("tool.tgz", &bytes);
    let digests = hayloft_testkit::digests(&bytes);
    let full = json_of(&mut feed, "/@acme%2ftool");
    assert_eq!(full["_id"], "@acme/tool");
    assert_eq!(full["dist-tags"], json!({"latest": "1.0.0"}));
    assert_eq!(full["description"], "A tool");
    assert_eq!(
        (&full["readme"], &full["readmeFilename"]),
        (&json!("# For tests\n"), &json!("README.md"))
    );
    assert_eq!(full["time"]["1.0.0"], "2026-01-02T03:04:05.000Z");
    assert_eq!(full["time"]["created"], full["time"]["modified"]);
    let version = &full["versions"]["1.0.0"];
    assert_eq!(version["dist"]["tarball"], format!("{URL}/@acme/tool/-/tool-1.0.0.tgz"));
    assert_eq!(
        version["dist"]["integrity"],
        format!("sha512-{}", data_encoding::BASE64.encode(&digests.sha512))
    );
    assert_eq!(version["dist"]["fileCount"], 3);
    assert_eq!(
        (&version["_id"], &version["_hasShrinkwrap"]),
        (&json!("@acme/tool@1.0.0"), &json!(false))
    );
    assert_eq!(version["_npmUser"], json!({"name": "tester", "email": ""}));
    assert_eq!(full["maintainers"], json!([{"name": "tester", "email": ""}]));
    assert_eq!(version["scripts"], json!({"postinstall": "x"}));

    let short = feed.get_with("/@acme/tool", &[("accept", SHORT)]);
    assert_eq!(short.media_type, "application/vnd.npm.install-v1+json");
    let short: Value = serde_json::from_str(&short.text()).unwrap();
    assert_eq!(short["modified"], full["time"]["modified"]);
    assert_eq!(short["time"], full["time"]);
    assert!(short.get("_rev").is_none() && short.get("readme").is_none());
    let version = &short["versions"]["1.0.0"];
    let members: Vec<&str> = version.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "_hasShrinkwrap",
        "bin",
        "dependencies",
        "dist",
        "hasInstallScript",
        "license",
        "name",
        "version",
    ];
    assert_eq!(members, expected);
    assert_eq!(version["bin"], json!({"tool": "cli.js"}));
    assert_eq!(version["dist"], full["versions"]["1.0.0"]["dist"]);
}

/// As they go over the wire, to the byte; digests are those of the file.
#[test]
fn documents_are_written_so() {
    let mut feed = feed_of("hay", &["1.0.0"]);
    let bytes = feed.get("/hay/-/hay-1.0.0.tgz").body;
    let digests = hayloft_testkit::digests(&bytes);
    let sha1 = data_encoding::HEXLOWER.encode(&digests.sha1);
    let sha512 = data_encoding::BASE64.encode(&digests.sha512);
    let revision = json_of(&mut feed, "/hay")["_rev"].as_str().unwrap().to_owned();
    let mut written = |path: &str, accept: &str| {
        let text = feed.get_with(path, &[("accept", accept)]).text();
        text.replace(&sha1, "SHA1").replace(&sha512, "SHA512").replace(&revision, "REVISION")
    };
    assert_eq!(
        written("/hay", "*/*"),
        concat!(
            r##"{"_id":"hay","_rev":"REVISION","name":"hay","versions":{"1.0.0":{"name":"hay","##,
            r##""version":"1.0.0","description":"A package for tests","main":"index.js","license":"MIT","##,
            r##""readmeFilename":"README.md","_id":"hay@1.0.0","_hasShrinkwrap":false,"dist":{"##,
            r##""integrity":"sha512-SHA512","shasum":"SHA1","fileCount":3,"unpackedSize":162,"tarball":"http://host/npm/f/hay/-/hay-1.0.0.tgz"},"##,
            r##""_npmUser":{"name":"tester","email":""}}},"dist-tags":{"latest":"1.0.0"},"time":{"##,
            r##""created":"2026-01-02T03:04:06.000Z","modified":"2026-01-02T03:04:06.000Z","1.0.0":"2026-01-02T03:04:06.000Z"},"##,
            r##""description":"A package for tests","license":"MIT","maintainers":[{"name":"tester","##,
            r##""email":""}],"readme":"# For tests\n","readmeFilename":"README.md"}"##,
        )
    );
    assert_eq!(
        written("/hay", SHORT),
        concat!(
            r#"{"name":"hay","modified":"2026-01-02T03:04:06.000Z","versions":{"1.0.0":{"name":"hay","#,
            r#""version":"1.0.0","license":"MIT","_hasShrinkwrap":false,"dist":{"integrity":"sha512-SHA512","#,
            r#""shasum":"SHA1","fileCount":3,"unpackedSize":162,"tarball":"http://host/npm/f/hay/-/hay-1.0.0.tgz"}}},"#,
            r#""dist-tags":{"latest":"1.0.0"},"time":{"created":"2026-01-02T03:04:06.000Z","modified":"2026-01-02T03:04:06.000Z","#,
            r#""1.0.0":"2026-01-02T03:04:06.000Z"}}"#,
        )
    );
    assert_eq!(
        written("/hay/latest", "*/*"),
        concat!(
            r#"{"name":"hay","version":"1.0.0","description":"A package for tests","main":"index.js","#,
            r#""license":"MIT","readmeFilename":"README.md","_id":"hay@1.0.0","_hasShrinkwrap":false,"#,
            r#""dist":{"integrity":"sha512-SHA512","shasum":"SHA1","fileCount":3,"unpackedSize":162,"#,
            r#""tarball":"http://host/npm/f/hay/-/hay-1.0.0.tgz"},"_npmUser":{"name":"tester","#,
            r#""email":""}}"#,
        )
    );
    assert_eq!(
        written("/-/v1/search?text=hay", "*/*"),
        concat!(
            r#"{"objects":[{"package":{"name":"hay","scope":"unscoped","version":"1.0.0","description":"A package for tests","#,
            r#""keywords":[],"date":"2026-01-02T03:04:06.000Z","links":{},"license":"MIT","maintainers":["#,
            r#"{"username":"tester"}],"publisher":{"username":"tester"}},"score":{"final":1,"detail":{"#,
            r#""quality":1,"popularity":1,"maintenance":1}},"searchScore":1}],"total":1,"time":"2026-01-02T03:04:06.000Z"}"#,
        )
    );
}

#[test]
fn the_tag_of_a_packument_changes_with_everything_that_changes_it() {
    let mut feed = feed_of("a", &["1.0.0"]);
    let mut seen = vec![feed.get("/a").tag, feed.get_with("/a", &[("accept", SHORT)]).tag];
    assert_eq!(feed.get("/a").tag, seen[0], "the same document has the same tag");
    assert_eq!(feed.get("/a").headers, feed.get("/a").headers);
    let version = || Npm.version("1.0.0").unwrap();
    let changes: [Change; 3] = [
        Change::Deprecate(
            version(),
            Some(Deprecation { reason: Some("old".into()), details: None }),
        ),
        Change::SetTag("next".to_owned(), version()),
        Change::Deprecate(version(), None),
    ];
    for change in changes {
        edit(&mut feed, "a", vec![change]);
        seen.push(feed.get("/a").tag);
    }
    feed.upload("b.tgz", &npm_tgz("b", "1.0.0").build());
    assert_eq!(feed.get("/a").tag, seen[4], "another package changes nothing");
    let elsewhere = Request::get("/a", "https://elsewhere/npm/f");
    seen.push(feed.resolve(&elsewhere).tag);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "each of these is another document");
}

#[test]
fn what_is_hidden_is_in_no_document_but_its_file_stays() {
    let mut feed = feed_of("a", &["1.0.0", "1.1.0", "2.0.0"]);
    let version = |text: &str| Npm.version(text).unwrap();
    edit(
        &mut feed,
        "a",
        vec![Change::List(version("2.0.0"), hayloft_feed::native::ListingChange::Unlist)],
    );
    edit(&mut feed, "a", vec![Change::Allow(version("1.0.0"), Some(Allow::Never))]);
    let full = json_of(&mut feed, "/a");
    let versions: Vec<_> = full["versions"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(versions, ["1.1.0"]);
    assert_eq!(full["dist-tags"]["latest"], "1.1.0");
    assert!(full["time"].get("2.0.0").is_none());
    assert_eq!(feed.get("/a/2.0.0").status, 404);
    assert_eq!(feed.get("/a/-/a-2.0.0.tgz").status, 200);
    assert_eq!(feed.get("/a/-/a-1.0.0.tgz").status, 403);
    edit(&mut feed, "a", vec![Change::Allow(version("1.1.0"), Some(Allow::Never))]);
    assert_eq!(feed.get("/a").status, 404);
    assert_eq!(json_of(&mut feed, "/-/v1/search?text=a")["total"], 0);
    feed.assert_rebuilds_equally();
}

#[rstest]
#[case::conventional("/@acme/tool/-/tool-1.0.0-rc.1.tgz")]
#[case::yarn_4("/@acme%2ftool/-/tool-1.0.0-rc.1.tgz")]
#[case::old_lock_file("/@acme/tool/-/@acme/tool-1.0.0-rc.1.tgz")]
#[case::encoded_version("/@acme/tool/-/tool-1%2E0%2E0-rc.1.tgz")]
fn a_tarball_has_its_bytes_under_every_spelling(#[case] path: &str) {
    let bytes = npm_tgz("@acme/tool", "1.0.0-rc.1").build();
    let mut feed = feed();
    feed.upload("x.tgz", &bytes);
    let got = feed.get(path);
    assert_eq!((got.status, got.body == bytes), (200, true));
    for missing in
        ["/@acme/tool/-/tool-1.0.0.tgz", "/@acme/tool/-/tool.tgz", "/tool/-/tool-1.0.0-rc.1.tgz"]
    {
        assert_eq!(feed.get(missing).status, 404, "{missing}");
    }
}

#[test]
fn one_version_is_answered_by_itself_and_by_its_tag() {
    let mut feed = feed_of("a", &["1.0.0", "2.0.0-rc.1"]);
    let version = Npm.version("2.0.0-rc.1").unwrap();
    edit(&mut feed, "a", vec![Change::SetTag("next".to_owned(), version)]);
    for (path, expected) in
        [("/a/1.0.0", "1.0.0"), ("/a/latest", "1.0.0"), ("/a/next", "2.0.0-rc.1")]
    {
        assert_eq!(json_of(&mut feed, path)["version"], expected, "{path}");
    }
    assert_eq!(feed.get("/a/3.0.0").status, 404);
    assert_eq!(feed.get("/b").status, 404);
    assert_eq!(feed.get("/b").text(), r#"{"error":"not_found","reason":"not_found"}"#);
}

#[test]
fn a_publish_is_stored_once_and_safe_to_repeat() {
    let mut feed = feed();
    let reply = publish(&mut feed, "@acme/tool", "1.0.0", "latest");
    assert_eq!(reply.status, 201, "{}", text(&reply));
    assert_eq!(publish(&mut feed, "@acme/tool", "1.0.0", "latest").status, 201);
    assert_eq!(publish(&mut feed, "@acme/tool", "1.1.0-rc.1", "next").status, 201);
    let tags = json_of(&mut feed, "/-/package/@acme%2ftool/dist-tags");
    assert_eq!(tags, json!({"latest": "1.0.0", "next": "1.1.0-rc.1"}));
    let other = npm_tgz("@acme/tool", "1.0.0").payload(10).build();
    let body = publish_body("@acme/tool", "1.0.0", "latest", &other);
    assert_eq!(send(&mut feed, "PUT", "/@acme%2ftool", &body, Some(&other)).status, 409);
    feed.assert_rebuilds_equally();
}

#[test]
fn a_publish_that_contradicts_itself_is_refused() {
    let bytes = npm_tgz("a", "1.0.0").build();
    let sound = publish_body("a", "1.0.0", "latest", &bytes);
    let with = |pointer: &str, value: Value| {
        let mut body = sound.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let refused = [
        with("/name", json!("b")),
        with("/_id", json!("b")),
        with("/versions/1.0.0/name", json!("b")),
        with("/versions/1.0.0/version", json!("1.0.1")),
        with("/versions/1.0.0/dist/shasum", json!("00")),
        with("/versions/1.0.0/dist/integrity", json!("sha512-AAAA")),
        with("/dist-tags/latest", json!("2.0.0")),
        with("/dist-tags", json!({"1.x": "1.0.0"})),
        with("/dist-tags", json!([])),
        with("/versions", json!({})),
        with("/versions", json!({"1.0.0": {"name": "a"}, "1.0.1": {"name": "a"}})),
        with("/versions", json!({"2.0.0": {"name": "a", "version": "2.0.0"}})),
        with("/versions", json!({"1.0": {"name": "a", "version": "1.0"}})),
    ];
    let mut feed = feed();
    for body in refused {
        let reply = send(&mut feed, "PUT", "/a", &body, Some(&bytes));
        assert_eq!(reply.status, 400, "{body}: {}", text(&reply));
        assert!(text(&reply).starts_with("{\"error\":\""));
    }
    let reply = publish(&mut feed, "JSONStream", "1.0.0", "latest");
    assert!(text(&reply).contains("may not be called"), "{}", text(&reply));
    assert_eq!(send(&mut feed, "PUT", "/a", &sound, Some(&bytes)).status, 201);
}

#[test]
fn deprecation_is_set_and_taken_back_by_the_document() {
    let mut feed = feed_of("a", &["1.0.0", "2.0.0"]);
    let mut document = json_of(&mut feed, "/a?write=true");
    document["versions"]["1.0.0"]["deprecated"] = json!("use 2");
    assert_eq!(send(&mut feed, "PUT", "/a", &document, None).status, 201);
    for accept in ["", SHORT] {
        let got = feed.get_with("/a", &[("accept", accept)]);
        let shown: Value = serde_json::from_str(&got.text()).unwrap();
        assert_eq!(shown["versions"]["1.0.0"]["deprecated"], "use 2");
        assert!(shown["versions"]["2.0.0"].get("deprecated").is_none());
    }
    let to_write = feed.get_with("/a?write=true", &[("accept", SHORT)]);
    assert!(to_write.text().contains("\"_rev\""), "what is written back must be whole");
    let stale = send(&mut feed, "PUT", "/a", &document, None);
    assert_eq!(stale.status, 409, "{}", text(&stale));
    let mut document = json_of(&mut feed, "/a?write=true");
    document["versions"]["1.0.0"]["deprecated"] = json!("");
    document["versions"].as_object_mut().unwrap().remove("2.0.0");
    assert_eq!(send(&mut feed, "PUT", "/a", &document, None).status, 201);
    let shown = json_of(&mut feed, "/a");
    assert!(shown["versions"]["1.0.0"].get("deprecated").is_none());
    assert!(shown["versions"].get("2.0.0").is_some(), "only unpublishing removes versions");
}

#[test]
fn one_version_is_unpublished_in_the_steps_of_npm() {
    let mut feed = feed_of("a", &["1.0.0", "1.1.0", "2.0.0"]);
    let version = Npm.version("1.0.0").unwrap();
    edit(
        &mut feed,
        "a",
        vec![
            Change::SetTag("old".to_owned(), version),
            Change::SetTag("next".to_owned(), Npm.version("2.0.0").unwrap()),
        ],
    );
    let hidden = Change::Allow(Npm.version("1.0.0").unwrap(), Some(Allow::Never));
    edit(&mut feed, "a", vec![hidden]);
    let mut document = json_of(&mut feed, "/a?write=true");
    let revision = document["_rev"].as_str().unwrap().to_owned();
    document["versions"].as_object_mut().unwrap().remove("2.0.0");
    document["dist-tags"] = json!({"latest": "1.1.0"});
    let path = format!("/a/-rev/{revision}");
    let reply = send(&mut feed, "PUT", &path, &document, None);
    assert_eq!(reply.status, 201, "{}", text(&reply));
    assert_eq!(send(&mut feed, "PUT", &path, &document, None).status, 409, "that revision is gone");
    let shown = json_of(&mut feed, "/a?write=true");
    assert_eq!(shown["dist-tags"], json!({"latest": "1.1.0"}));
    assert_eq!(shown["versions"].as_object().unwrap().len(), 1);
    assert!(shown["time"].get("2.0.0").is_none());
    let last = format!("/a/-/a-2.0.0.tgz/-rev/{}", shown["_rev"].as_str().unwrap());
    assert_eq!(send(&mut feed, "DELETE", &last, &Value::Null, None).status, 200);
    edit(&mut feed, "a", vec![Change::Allow(Npm.version("1.0.0").unwrap(), None)]);
    let shown = json_of(&mut feed, "/a");
    assert!(shown["versions"].get("1.0.0").is_some(), "what was hidden is not taken for removed");
    feed.assert_rebuilds_equally();
}

#[test]
fn a_whole_package_is_unpublished() {
    let mut feed = feed_of("@acme/tool", &["1.0.0", "2.0.0"]);
    let revision = json_of(&mut feed, "/@acme%2ftool?write=true")["_rev"].clone();
    let path = format!("/@acme%2ftool/-rev/{}", revision.as_str().unwrap());
    assert_eq!(send(&mut feed, "DELETE", "/@acme%2ftool/-rev/1-0", &Value::Null, None).status, 409);
    assert_eq!(
        send(&mut feed, "DELETE", "/@acme%2ftool/-rev/undefined", &Value::Null, None).status,
        409
    );
    assert_eq!(send(&mut feed, "DELETE", &path, &Value::Null, None).status, 200);
    assert_eq!(feed.get("/@acme%2ftool").status, 404);
    assert_eq!(send(&mut feed, "DELETE", &path, &Value::Null, None).status, 404);
    feed.assert_rebuilds_equally();
}

#[test]
fn owners_and_stars_are_refused_and_say_so() {
    let mut feed = feed_of("a", &["1.0.0"]);
    let revision = json_of(&mut feed, "/a")["_rev"].clone();
    let owners = json!({"_id": "a", "_rev": revision, "maintainers": [{"name": "x"}]});
    let path = format!("/a/-rev/{}", revision.as_str().unwrap());
    let reply = send(&mut feed, "PUT", &path, &owners, None);
    assert_eq!(reply.status, 403);
    assert!(text(&reply).contains("owners are not kept"));
    let star = json!({"_id": "a", "_rev": revision, "users": {"x": true}});
    assert_eq!(send(&mut feed, "PUT", "/a", &star, None).status, 403);
    assert_eq!(send(&mut feed, "PUT", "/a", &json!({"_id": "a"}), None).status, 400);
    assert_eq!(json_of(&mut feed, "/a")["versions"].as_object().unwrap().len(), 1);
}

#[test]
fn tags_are_set_read_and_removed() {
    let mut feed = feed_of("a", &["1.0.0", "2.0.0"]);
    let tag = "/-/package/a/dist-tags/stable%2Fx";
    assert_eq!(send(&mut feed, "PUT", tag, &json!("1.0.0"), None).status, 201);
    let tags = json_of(&mut feed, "/-/package/a/dist-tags");
    assert_eq!(tags, json!({"latest": "2.0.0", "stable/x": "1.0.0"}));
    assert_eq!(send(&mut feed, "PUT", tag, &json!("9.0.0"), None).status, 404);
    assert_eq!(send(&mut feed, "PUT", tag, &json!(1), None).status, 400);
    assert_eq!(
        send(&mut feed, "PUT", "/-/package/a/dist-tags/1.x", &json!("1.0.0"), None).status,
        400
    );
    assert_eq!(send(&mut feed, "PUT", "/a/old", &json!("1.0.0"), None).status, 201);
    assert_eq!(send(&mut feed, "DELETE", tag, &Value::Null, None).status, 200);
    assert_eq!(send(&mut feed, "DELETE", tag, &Value::Null, None).status, 404);
    assert_eq!(
        send(&mut feed, "DELETE", "/-/package/a/dist-tags/latest", &Value::Null, None).status,
        400
    );
    assert_eq!(
        send(&mut feed, "POST", "/-/package/a/dist-tags", &json!({"next": "2.0.0"}), None).status,
        201
    );
    let all = json!({"latest": "1.0.0"});
    assert_eq!(send(&mut feed, "PUT", "/-/package/a/dist-tags", &all, None).status, 201);
    assert_eq!(json_of(&mut feed, "/-/package/a/dist-tags"), all);
    assert_eq!(
        send(&mut feed, "PUT", "/-/package/none/dist-tags/x", &json!("1.0.0"), None).status,
        404
    );
}

#[test]
fn a_search_finds_names_scopes_and_keywords() {
    let mut feed = feed();
    let package = |name: &str, description: &str| {
        npm_tgz(name, "1.0.0")
            .field("description", &format!("\"{description}\""))
            .field("keywords", "[\"build\",\"cli\"]")
            .field("repository", "{\"type\":\"git\",\"url\":\"git+https://example.org/x.git\"}")
            .build()
    };
    feed.upload("x.tgz", &package("@acme/my-tool", "Does things"));
    feed.upload("x.tgz", &package("other", "Paints walls"));
    let mut found = |query: &str| -> Vec<String> {
        let page = json_of(&mut feed, &format!("/-/v1/search?{query}"));
        let names = page["objects"].as_array().unwrap().iter();
        names.map(|hit| hit["package"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("text=tool"), ["@acme/my-tool"]);
    assert_eq!(found("text=%40acme%2Fmy-tool"), ["@acme/my-tool"]);
    assert_eq!(found("text=scope:acme"), ["@acme/my-tool"]);
    assert_eq!(found("text=paints+wal"), ["other"]);
    assert_eq!(found("text=keywords:cli&size=1").len(), 1);
    assert_eq!(found("text=keywords:cli&size=1&from=1").len(), 1);
    assert_eq!(found("text=nothing"), Vec::<String>::new());
    let page = json_of(&mut feed, "/-/v1/search?text=tool&size=20");
    assert_eq!(page["total"], 1);
    let hit = &page["objects"][0]["package"];
    assert_eq!((&hit["version"], &hit["scope"]), (&json!("1.0.0"), &json!("acme")));
    assert_eq!(hit["links"], json!({"repository": "git+https://example.org/x.git"}));
    assert_eq!(hit["publisher"]["username"], "tester");
    assert_eq!(hit["keywords"], json!(["build", "cli"]));
}

#[test]
fn accounts_are_keys() {
    let mut feed = feed();
    assert_eq!(feed.get("/-/whoami").status, 401);
    let me = Request::get("/-/whoami", URL).user(Some("ci"));
    assert_eq!(feed.resolve(&me).text(), r#"{"username":"ci"}"#);
    let body =
        json!({"_id": "org.couchdb.user:me", "name": "me", "password": "secret", "type": "user"});
    let reply = send(&mut feed, "PUT", "/-/user/org.couchdb.user:me", &body, None);
    assert_eq!(reply.status, 201);
    let answer: Value = serde_json::from_str(&text(&reply)).unwrap();
    assert_eq!(
        (&answer["token"], &answer["id"]),
        (&json!("secret"), &json!("org.couchdb.user:me"))
    );
    let other = json!({"name": "you", "password": "secret"});
    assert_eq!(send(&mut feed, "PUT", "/-/user/org.couchdb.user:me", &other, None).status, 400);
    assert_eq!(send(&mut feed, "DELETE", "/-/user/token/secret", &Value::Null, None).status, 200);
    assert_eq!(send(&mut feed, "POST", "/-/v1/login", &json!({}), None).status, 404);
}

#[test]
fn small_requests_get_small_answers() {
    let mut feed = feed();
    assert_eq!(feed.get("/-/ping").text(), "{}");
    assert_eq!(feed.get("/-/npm/v1/keys").text(), r#"{"keys":[]}"#);
    let audit = "/-/npm/v1/security/advisories/bulk";
    assert_eq!(text(&send(&mut feed, "POST", audit, &json!({}), None)), "{}");
    let report = send(&mut feed, "POST", "/-/npm/v1/security/audits/quick", &json!({}), None);
    let report: Value = serde_json::from_str(&text(&report)).unwrap();
    assert_eq!(report["metadata"]["vulnerabilities"]["high"], 0);
    for nothing in ["/-/all", "/-/npm/v1/attestations/a@1.0.0", "/-/org/x", "/", "/%ff", "/a/b/c/d"]
    {
        assert_eq!(feed.get(nothing).status, 404, "{nothing}");
    }
}

#[test]
fn every_path_and_sample_is_answered() {
    let mut feed = feed_of("sample", &["1.0.0", "1.1.0-rc.1"]);
    feed.upload("x.tgz", &npm_tgz("@scope/sample", "1.0.0").build());
    for sample in Npm.samples().iter().filter(|sample| sample.action.is_none()) {
        let (path, query) = sample.path.split_once('?').unwrap_or((&sample.path, ""));
        let request = Request::get(path, URL).query(query).user(Some("ci"));
        assert_eq!(feed.resolve(&request).status, 200, "{}", sample.path);
    }
    let names = ["sample", "@scope/sample"];
    let mut paths = Vec::new();
    for name in names {
        let (group, bare) = name.split_once('/').unwrap_or(("", name));
        let name = Npm.package_name(group, bare).unwrap();
        let head = hayloft_feed::native::FeedView::package(&feed, name.key()).unwrap().unwrap();
        Npm.paths(&feed, Some(&head), &mut |path| paths.push(path.to_owned())).unwrap();
    }
    let expected = [
        "/sample",
        "/sample/-/sample-1.0.0.tgz",
        "/sample/-/sample-1.1.0-rc.1.tgz",
        "/@scope/sample",
        "/@scope/sample/-/sample-1.0.0.tgz",
    ];
    assert_eq!(paths, expected);
    for path in paths {
        assert_eq!(feed.get(&path).status, 200, "{path}");
    }
}

#[test]
fn setup_lines_name_the_feed_and_the_key() {
    let card = hayloft_feed::native::FeedCard::new("f");
    let setup = Npm.setup(&card, "http://localhost:8624/npm/f", Some("secret"));
    let clients: Vec<_> = setup.iter().map(|setup| setup.client).collect();
    assert_eq!(clients, ["npm", "pnpm", "yarn1", "yarn"]);
    assert_eq!(
        setup[0].lines,
        [
            "npm config set registry http://localhost:8624/npm/f/",
            "npm config set //localhost:8624/npm/f/:_authToken secret",
        ]
    );
    assert!(setup[3].lines.iter().any(|line| line.contains("'[\"localhost\"]'")));
}
