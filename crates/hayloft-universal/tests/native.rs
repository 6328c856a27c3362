//! What clients of universal packages ask for and send, answered over a feed in memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::io::Cursor;
use std::sync::Arc;

use hayloft_archive::{Compression, TarReader, decoder};
use hayloft_feed::native::{Change, Edit, Fields, ListingChange, Native, Reply, Request};
use hayloft_feed::{Allow, Deprecation, FeedType, Limits};
use hayloft_testkit::{MemoryFeed, upack, vpack};
use hayloft_universal::{Package, Universal};
use rstest::rstest;
use serde_json::{Value, json};

const URL: &str = "http://host/upack/f";

fn feed() -> MemoryFeed {
    MemoryFeed::new(Arc::new(Universal), "f")
}

fn uploaded(feed: &mut MemoryFeed, group: &str, name: &str, versions: &[&str]) {
    for version in versions {
        feed.step(1000);
        feed.upload("x.upack", &upack(group, name, version).build());
    }
}

fn json_of(feed: &mut MemoryFeed, path: &str) -> Value {
    let got = feed.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    assert!(got.media_type.starts_with("application/json"), "{path}: {}", got.media_type);
    serde_json::from_str(&got.text())
        .unwrap_or_else(|error| panic!("{path}: {error}: {}", got.text()))
}

fn send(feed: &mut MemoryFeed, method: &str, path: &str, file: Option<&[u8]>) -> Reply {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    feed.act(&Request::get(path, URL).method(method).query(query), &Fields::default(), file)
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

fn change(feed: &mut MemoryFeed, name: &str, change: Change) {
    feed.edit(&Edit::new(Universal.package_name("", name).unwrap(), vec![change])).unwrap();
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
    let mut feed = feed();
    let bytes = upack(group, name, "1.0.0+b.1").payload(5000).build();
    assert_eq!(send(&mut feed, "PUT", "/upload", Some(&bytes)).status, 200);
    assert_eq!(send(&mut feed, "POST", "/upload/", Some(&bytes)).status, 200, "the same again");
    // As pgutil installs: the versions first, then the file.
    let listed = json_of(&mut feed, &format!("/versions?group={group}&name={name}"));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["group"], &listed[0]["name"]), (&json!(group), &json!(name)));
    assert_eq!(listed[0]["version"], "1.0.0+b.1");
    for file in ["1.0.0+b.1", "1.0.0"].map(|version| format!("/download/{path}/{version}")) {
        assert!(feed.get(&file).body == bytes, "{file}");
    }
    assert!(feed.get(&format!("/download/{path}?latest")).body == bytes);
    assert!(feed.get(&format!("/download/{path}?Latest=")).body == bytes);
    assert_eq!(feed.get(&format!("/download/{path}/2.0.0")).status, 404);
    assert_eq!(send(&mut feed, "DELETE", &format!("/delete/{path}/2.0.0"), None).status, 404);
    assert_eq!(send(&mut feed, "DELETE", &format!("/delete/{path}/1.0.0"), None).status, 200);
    assert_eq!(send(&mut feed, "POST", &format!("/delete/{path}/1.0.0"), None).status, 404);
    assert_eq!(json_of(&mut feed, &format!("/versions?group={group}&name={name}")), json!([]));
    feed.assert_rebuilds_equally();
}

#[test]
fn versions_show_the_manifest_and_what_the_feed_knows() {
    let mut feed = feed();
    let number = "123456789012345678901234567890.50";
    let bytes = upack("tools", "a", "1.0.0")
        .field("_number", number)
        .field("title", "\"A\"")
        .field("isLocal", "7")
        .file("package/x.txt", b"x".to_vec())
        .build();
    feed.upload("x.upack", &bytes);
    uploaded(&mut feed, "tools", "a", &["1.10.0-rc.1", "1.9.0"]);
    let listed = json_of(&mut feed, "/versions?group=TOOLS&name=A");
    let versions: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["version"]).collect();
    assert_eq!(versions, ["1.10.0-rc.1", "1.9.0", "1.0.0"]);
    let one = feed.get("/versions?group=tools&name=a&version=1.0.0").text();
    assert!(one.contains(&format!("\"_number\":{number}")), "{one}");
    assert_eq!(one.matches("isLocal").count(), 1);
    let one: Value = serde_json::from_str(&one).unwrap();
    let sha1 = data_encoding::HEXLOWER.encode(&hayloft_testkit::digests(&bytes).sha1);
    for (name, value) in [
        ("title", json!("A")),
        ("size", json!(bytes.len())),
        ("sha1", json!(sha1)),
        ("published", json!("2026-01-02T03:04:05.000Z")),
        ("downloads", json!(0)),
        ("isLocal", json!(true)),
        ("isCached", json!(false)),
        ("isVirtual", json!(false)),
    ] {
        assert_eq!(one[name], value, "{name}");
    }
    assert!(one.get("fileList").is_none());
    let query = "/versions?group=tools&name=a&version=1.0.0&includeFileList=true";
    let files = json_of(&mut feed, query);
    let files = files["fileList"].as_array().unwrap();
    assert!(files.iter().any(|file| file["name"] == "package/x.txt" && file["size"] == 1));
    let all = json_of(&mut feed, "/versions?group=tools&name=a&count=2&includeFileList=true");
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert!(all[0]["fileList"].is_array());
    assert_eq!(feed.get("/versions?group=tools&name=a&version=7.0.0").status, 404);
    assert_eq!(json_of(&mut feed, "/versions?group=&name=none"), json!([]));
    assert_eq!(feed.get("/versions?count=x").status, 400);
}

#[test]
fn many_versions_come_newest_first() {
    let mut feed = feed();
    let versions: Vec<String> = (0..200).map(|number| format!("1.{number}.0")).collect();
    let texts: Vec<&str> = versions.iter().map(String::as_str).collect();
    uploaded(&mut feed, "", "a", &texts);
    let listed = json_of(&mut feed, "/versions?group=&name=a");
    let found: Vec<_> =
        listed.as_array().unwrap().iter().map(|row| row["version"].clone()).collect();
    let expected: Vec<_> = versions.iter().rev().map(|version| json!(version)).collect();
    assert_eq!(found, expected);
}

#[test]
fn packages_are_listed_with_their_versions() {
    let mut feed = feed();
    let bytes = upack("tools", "a", "1.0.0").field("title", "\"A\"").build();
    feed.upload("x.upack", &bytes);
    uploaded(&mut feed, "tools", "a", &["1.1.0-rc.1"]);
    uploaded(&mut feed, "tools/more", "a", &["3.0.0"]);
    uploaded(&mut feed, "", "b", &["0.1.0"]);
    let all = json_of(&mut feed, "/packages");
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(json_of(&mut feed, "/packages?group=*"), all);
    let group = json_of(&mut feed, "/packages?group=Tools");
    assert_eq!(group.as_array().unwrap().len(), 1);
    let one = json_of(&mut feed, "/packages?group=tools&name=a");
    assert_eq!(one, group[0]);
    assert_eq!(one["latestVersion"], "1.1.0-rc.1");
    assert_eq!(one["versions"], json!(["1.1.0-rc.1", "1.0.0"]));
    assert_eq!((&one["title"], &one["icon"]), (&json!("A"), &Value::Null));
    assert_eq!((&one["isLocal"], &one["downloads"]), (&json!(true), &json!(0)));
    assert_eq!(feed.get("/packages?name=a").status, 404);
    assert_eq!(json_of(&mut feed, "/packages?count=1").as_array().unwrap().len(), 1);
    assert_eq!(
        json_of(&mut feed, "/search?term=more"),
        json_of(&mut feed, "/packages?group=tools/more")
    );
    assert_eq!(json_of(&mut feed, "/search?query=b").as_array().unwrap().len(), 1);
    assert_eq!(json_of(&mut feed, "/search?term=none"), json!([]));
    let meta = json_of(&mut feed, "/meta");
    assert_eq!((&meta["name"], &meta["packageCount"]), (&json!("f"), &json!(3)));
}

#[test]
fn the_newest_is_the_highest_stable_version_if_there_is_one() {
    let mut feed = feed();
    uploaded(&mut feed, "", "a", &["2.0.0-rc.1", "2.0.0-rc.2"]);
    let version = |feed: &mut MemoryFeed| -> Value {
        let got = feed.get("/download-file/a?latest&path=upack.json");
        serde_json::from_str::<Value>(&got.text()).unwrap()["version"].clone()
    };
    assert_eq!(version(&mut feed), "2.0.0-rc.2");
    uploaded(&mut feed, "", "a", &["1.0.0"]);
    assert_eq!(version(&mut feed), "1.0.0");
}

#[test]
fn what_is_hidden_is_in_no_list_but_its_file_stays() {
    let mut feed = feed();
    uploaded(&mut feed, "", "a", &["1.0.0", "2.0.0", "3.0.0"]);
    let version = |text: &str| Universal.version(text).unwrap();
    change(&mut feed, "a", Change::List(version("3.0.0"), ListingChange::Unlist));
    change(&mut feed, "a", Change::Allow(version("1.0.0"), Some(Allow::Never)));
    let deprecation = Deprecation { reason: Some("old".to_owned()), details: None };
    change(&mut feed, "a", Change::Deprecate(version("2.0.0"), Some(deprecation)));
    let listed = json_of(&mut feed, "/versions?group=&name=a");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["version"], &listed[0]["isDeprecated"]),
        (&json!("2.0.0"), &json!(true))
    );
    assert_eq!(json_of(&mut feed, "/packages?name=a")["versions"], json!(["2.0.0"]));
    assert_eq!(feed.get("/versions?group=&name=a&version=3.0.0").status, 404);
    assert_eq!(feed.get("/download/a/3.0.0").status, 200);
    assert_eq!(feed.get("/download/a/1.0.0").status, 403);
    feed.assert_rebuilds_equally();
}

#[test]
fn the_content_comes_alone_as_zip_and_as_tgz() {
    let mut feed = feed();
    let bytes = upack("", "a", "1.0.0")
        .file("package/bin/tool", b"tool".to_vec())
        .file("Package/b", vec![7; 100_000])
        .file("meta/notes.txt", b"notes".to_vec())
        .build();
    feed.upload("x.upack", &bytes);
    let zip = feed.get("/download/a/1.0.0?contentOnly=zip");
    assert_eq!((zip.status, zip.media_type.as_str()), (200, "application/zip"));
    let mut archive = zip::ZipArchive::new(Cursor::new(zip.body.clone())).unwrap();
    let mut names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    assert_eq!(names.iter().filter(|name| *name == "bin/tool" || *name == "b").count(), 2);
    assert!(names.iter().all(|name| !name.contains("upack.json") && !name.contains("meta")));
    let mut content = Vec::new();
    std::io::copy(&mut archive.by_name("b").unwrap(), &mut content).unwrap();
    assert!(content == vec![7; 100_000]);

    let tgz = feed.get("/download/a?latest&contentOnly=TGZ");
    let limits = Limits::default();
    let stream = decoder(Compression::Gzip, Box::new(tgz.body.as_slice()), &limits).unwrap();
    let mut tar = TarReader::new(stream, &limits);
    let mut found = Vec::new();
    while let Some(mut member) = tar.next().unwrap() {
        let size = member.read(1 << 20).unwrap().len();
        found.push((String::from_utf8(member.path().to_vec()).unwrap(), size));
    }
    assert!(
        found.contains(&("bin/tool".to_owned(), 4)) && found.contains(&("b".to_owned(), 100_000))
    );
    assert_ne!(zip.tag, tgz.tag);
    assert_eq!(feed.get("/download/a/1.0.0?contentOnly=rar").status, 400);
}

#[test]
fn of_a_file_that_is_there_twice_the_one_that_remains_after_unpacking_is_taken_out() {
    let mut feed = feed();
    let package = upack("", "a", "1.0.0")
        .file("package/x", b"first".to_vec())
        .file("package/X", b"another".to_vec())
        .file("package/y", b"last".to_vec());
    let mut bytes = package.build();
    while let Some(at) = bytes.windows(9).position(|window| window == b"package/y") {
        bytes[at + 8] = b'x';
    }
    feed.upload("x.upack", &bytes);
    for (path, expected) in [("package/x", "last"), ("package/X", "another")] {
        let got = feed.get(&format!("/download-file/a/1.0.0?path={path}"));
        assert_eq!((got.status, got.text().as_str()), (200, expected), "{path}");
    }
}

#[test]
fn one_file_is_taken_out_of_a_package() {
    let mut feed = feed();
    feed.upload(
        "x.upack",
        &upack("g", "a", "1.0.0").file("package/A.bin", b"bytes".to_vec()).build(),
    );
    for path in ["package/A.bin", "package\\A.bin", "/package/a.BIN", "package%2FA.bin"] {
        let got = feed.get(&format!("/download-file/g/a/1.0.0?path={path}"));
        assert_eq!((got.status, got.text().as_str()), (200, "bytes"), "{path}");
    }
    assert_eq!(feed.get("/download-file/g/a/1.0.0?path=package/none").status, 404);
    assert_eq!(feed.get("/download-file/g/a/1.0.0").status, 400);
    assert_eq!(feed.get("/download-file/g/a/2.0.0?path=upack.json").status, 404);
    assert_eq!(feed.get("/download-file/g/a/1.0.0?path=..%2F..%2Fetc%2Fpasswd").status, 404);
}

#[test]
fn a_virtual_package_shows_its_manifest() {
    let mut feed = feed();
    feed.upload("x.upack", &upack("", "a", "1.0.0").build());
    feed.upload("x.vpack", &vpack("", "v", "1.0.0", r#"["a:1.0.0"]"#).build());
    let manifest = br#"{"name":"bare","version":"1.0.0","contents":["a:1.0.0"]}"#;
    feed.upload("x.vpack", manifest);
    assert_eq!(json_of(&mut feed, "/download-vpack/v/1.0.0")["contents"], json!(["a:1.0.0"]));
    assert_eq!(json_of(&mut feed, "/versions?name=v&version=1.0.0")["isVirtual"], true);
    assert_eq!(feed.get("/download-vpack/a/1.0.0").status, 400);
    assert_eq!(feed.get("/download-file/bare/1.0.0?path=upack.json").body, manifest);
    assert_eq!(feed.get("/download-file/bare/1.0.0?path=package/a").status, 404);
    assert_eq!(feed.get("/download/bare/1.0.0?contentOnly=zip").status, 400);
}

#[test]
fn a_virtual_package_is_put_together_from_packages_of_the_feed() {
    let mut feed = feed();
    let tool = upack("g", "tool", "1.0.0")
        .file("package/bin/tool", b"tool".to_vec())
        .file("package/shared", b"of tool".to_vec())
        .file("meta/notes.txt", b"notes".to_vec());
    let tool = tool.build();
    feed.upload("x.upack", &tool);
    feed.upload(
        "x.upack",
        &upack("", "other", "2.0.0").file("package/shared", b"other".to_vec()).build(),
    );
    let sha1 = data_encoding::HEXLOWER.encode(&hayloft_testkit::digests(&tool).sha1);
    let manifest = format!(
        r#"{{"name":"v","version":"1.0.0","contents":["g/tool:1.0.0:{sha1}",
            {{"virtualPath":"sub","source":"other:2.0.0"}},"other:2.0.0",
            {{"type":"virtualFile","virtualPath":"one","source":
                {{"group":"g","name":"tool","version":"1.0.0","packagePath":"package/bin/tool"}}}}],
            "metaContents":[{{"virtualPath":"kept","source":
                {{"group":"g","name":"tool","version":"1.0.0","packagePath":"meta"}}}}]}}"#
    );
    feed.upload("x.vpack", manifest.as_bytes());
    let got = feed.get("/download/v/1.0.0");
    assert_eq!(got.status, 200, "{}", got.text());
    let mut cursor = Cursor::new(got.body.clone());
    let mut package = Package::open(&mut cursor, &Limits::default()).unwrap();
    assert_eq!(package.manifest().text(), r#"{"name":"v","version":"1.0.0"}"#);
    let found: Vec<_> =
        package.entries().map(|entry| (entry.index(), entry.path().to_owned())).collect();
    let mut text = |path: &str| {
        let (index, _) = found.iter().find(|(_, found)| found == path)?;
        let mut bytes = Vec::new();
        package.copy_to(*index, 1 << 20, &mut bytes).unwrap();
        Some(String::from_utf8(bytes).unwrap())
    };
    for (path, expected) in [
        ("package/bin/tool", "tool"),
        ("package/shared", "of tool"),
        ("package/sub/shared", "other"),
        ("package/one", "tool"),
        ("kept/notes.txt", "notes"),
    ] {
        assert_eq!(text(path).as_deref(), Some(expected), "{path}");
    }
    assert_eq!(found.iter().filter(|(_, path)| path == "package/shared").count(), 1);
    assert_eq!(feed.get("/download/v/1.0.0"), got, "the same parts make the same bytes");
    change(
        &mut feed,
        "other",
        Change::Allow(Universal.version("2.0.0").unwrap(), Some(Allow::Never)),
    );
    assert_eq!(feed.get("/download/v/1.0.0").status, 403);
}

#[rstest]
#[case::missing(r#"["none:1.0.0"]"#, "not in the feed")]
#[case::other_version(r#"["a:2.0.0"]"#, "not in the feed")]
#[case::other_hash(r#"["a:1.0.0:da39a3ee5e6b4b0d3255bfef95601890afd80709"]"#, "another hash")]
#[case::itself(r#"["v:1.0.0"]"#, "virtual itself")]
#[case::elsewhere(r#"["https://example.org/a.zip"]"#, "only packages of the same feed")]
fn parts_that_cannot_be_had_are_named(#[case] contents: &str, #[case] words: &str) {
    let mut feed = feed();
    feed.upload("x.upack", &upack("", "a", "1.0.0").build());
    feed.upload("x.vpack", &vpack("", "v", "1.0.0", contents).build());
    let got = feed.get("/download/v/1.0.0");
    assert_eq!(got.status, 400);
    assert!(got.text().contains(words), "{}", got.text());
}

#[test]
fn what_unfolds_without_measure_is_not_taken_out() {
    let mut feed = feed();
    let zeros = vec![0; 300 << 20];
    feed.upload("x.upack", &upack("", "bomb", "1.0.0").file("package/zeros", zeros).build());
    assert_eq!(feed.get("/download-file/bomb/1.0.0?path=package/zeros").status, 404);
    assert_eq!(feed.get("/download/bomb/1.0.0?contentOnly=tgz").status, 404);
    assert_eq!(feed.get("/download/bomb/1.0.0?contentOnly=zip").status, 200, "it stays packed");
}

#[test]
fn an_upload_must_be_what_the_request_says() {
    let mut feed = feed();
    let bytes = upack("tools", "a", "1.0.0").build();
    for path in ["/upload/tools/b/1.0.0", "/upload?group=x", "/upload?version=2.0.0"] {
        let reply = send(&mut feed, "PUT", path, Some(&bytes));
        assert_eq!(reply.status, 400, "{path}");
        assert!(text(&reply).contains("the request says"), "{}", text(&reply));
    }
    for path in ["/upload/tools/a/1.0.0?name=b", "/upload/a"] {
        assert_eq!(send(&mut feed, "PUT", path, Some(&bytes)).status, 400, "{path}");
    }
    let headers = [("content-type".to_owned(), "multipart/form-data; boundary=x".to_owned())];
    let multipart = Request::get("/upload", URL).method("PUT").headers(&headers);
    assert_eq!(feed.act(&multipart, &Fields::default(), Some(&bytes)).status, 415);
    assert_eq!(
        send(&mut feed, "POST", "/upload?Group=Tools&name=A&version=1.0.0", Some(&bytes)).status,
        200
    );
    let other = upack("tools", "a", "1.0.0").payload(10).build();
    assert_eq!(send(&mut feed, "PUT", "/upload", Some(&other)).status, 409);
    assert_eq!(send(&mut feed, "PUT", "/upload", Some(b"MZ")).status, 400);
    assert_eq!(send(&mut feed, "PUT", "/import", Some(&bytes)).status, 404);
}

#[test]
fn every_path_and_sample_is_answered() {
    let mut feed = feed();
    uploaded(&mut feed, "", "sample", &["1.0.0", "1.1.0+b"]);
    uploaded(&mut feed, "one/two", "sample", &["1.0.0"]);
    feed.upload("x.vpack", &vpack("", "virtual", "1.0.0", r#"["sample:1.0.0"]"#).build());
    for sample in Universal.samples().iter().filter(|sample| sample.action.is_none()) {
        assert_eq!(feed.get(&sample.path).status, 200, "{}", sample.path);
    }
    let mut paths = Vec::new();
    Universal.paths(&feed, None, &mut |path| paths.push(path.to_owned())).unwrap();
    for (group, name) in [("", "sample"), ("one/two", "sample")] {
        let name = Universal.package_name(group, name).unwrap();
        let head = hayloft_feed::native::FeedView::package(&feed, name.key()).unwrap().unwrap();
        Universal.paths(&feed, Some(&head), &mut |path| paths.push(path.to_owned())).unwrap();
    }
    assert_eq!(paths.len(), 6);
    for path in paths {
        assert_eq!(feed.get(&path).status, 200, "{path}");
    }
    for nothing in
        ["", "/", "/download", "/download/", "/nothing", "/packages/x", "/%ff", "/import"]
    {
        assert!(matches!(feed.get(nothing).status, 400 | 404), "{nothing}");
    }
}

#[test]
fn setup_lines_name_the_feed_and_the_key() {
    let card = hayloft_feed::native::FeedCard::new("f");
    let setup = Universal.setup(&card, "http://localhost:8624/upack/f", Some("secret"));
    assert_eq!(
        setup[0].lines[0],
        "pgutil sources add --name=f --url=http://localhost:8624 --feed=f --api-key=secret"
    );
    assert!(setup[1].lines[0].contains("X-ApiKey: secret"));
}
