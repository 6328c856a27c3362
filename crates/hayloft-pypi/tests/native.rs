#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

//! What clients are answered, over a feed in memory.

use std::sync::Arc;

use hayloft_feed::native::{
    Action, Change, Edit, Field, Fields, Native, Refusal, Request, StagedCard, UploadOrder,
};
use hayloft_feed::{Allow, Deprecation, FeedType};
use hayloft_pypi::Pypi;
use hayloft_testkit::{MemoryFeed, digests, sdist, wheel};
use rstest::rstest;
use serde_json::Value;

const JSON: (&str, &str) = ("accept", "application/vnd.pypi.simple.v1+json");

fn feed() -> MemoryFeed {
    MemoryFeed::new(Arc::new(Pypi), "py")
}

fn with_wheel(feed: &mut MemoryFeed, name: &str, version: &str) -> Vec<u8> {
    let package = wheel(name, version);
    let bytes = package.build();
    feed.upload(&package.file_name(), &bytes);
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&digests(bytes).sha256)
}

fn change(
    feed: &mut MemoryFeed,
    name: &str,
    version: &str,
    change: fn(hayloft_feed::Version) -> Change,
) {
    let package = Pypi.package_name("", name).unwrap();
    let version = Pypi.version(version).unwrap();
    feed.edit(&Edit::new(package, vec![change(version)])).unwrap();
}

fn page(feed: &mut MemoryFeed, path: &str) -> Value {
    let got = feed.get_with(path, &[JSON]);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    serde_json::from_slice(&got.body).unwrap()
}

#[test]
fn a_project_lists_its_files_as_json() {
    let mut feed = feed();
    let bytes = with_wheel(&mut feed, "Hay.Bale", "1.0");
    let got = feed.get_with("/simple/hay-bale/", &[JSON]);
    assert_eq!(got.media_type, "application/vnd.pypi.simple.v1+json");
    let (file, digest) = (wheel("Hay.Bale", "1.0").file_name(), sha256(&bytes));
    let metadata = feed.get(&format!("/files/hay-bale/{digest}/{file}.metadata"));
    assert_eq!(metadata.status, 200);
    assert!(metadata.text().starts_with("Metadata-Version: "), "{}", metadata.text());
    let metadata = sha256(&metadata.body);
    assert_eq!(
        got.text(),
        format!(
            "{{\"meta\":{{\"api-version\":\"1.4\"}},\"name\":\"hay-bale\",\"files\":[\
             {{\"filename\":\"{file}\",\"url\":\"../../files/hay-bale/{digest}/{file}\",\
             \"hashes\":{{\"sha256\":\"{digest}\"}},\"size\":{},\
             \"core-metadata\":{{\"sha256\":\"{metadata}\"}},\
             \"dist-info-metadata\":{{\"sha256\":\"{metadata}\"}},\
             \"upload-time\":\"2026-01-02T03:04:05.000Z\",\"yanked\":false}}],\
             \"versions\":[\"1.0\"]}}",
            bytes.len()
        )
        .replace(
            ",\"size\"",
            &match page(&mut feed, "/simple/hay-bale/")["files"][0]["requires-python"].as_str() {
                Some(specifier) =>
                    format!(",\"requires-python\":{},\"size\"", Value::from(specifier)),
                None => ",\"size\"".to_owned(),
            }
        )
    );
    let file = feed.get(&format!("/files/hay-bale/{digest}/{file}"));
    assert_eq!((file.status, file.body), (200, bytes));
}

#[test]
fn a_project_lists_its_files_as_html() {
    let mut feed = feed();
    let built = sdist("hay", "1.0+l.1");
    let bytes = built.build();
    feed.upload(&built.file_name(), &bytes);
    let got = feed.get("/simple/hay/");
    assert_eq!(got.media_type, "text/html; charset=utf-8");
    let digest = sha256(&bytes);
    let file = built.file_name();
    let escaped = file.replace('+', "%2B");
    let requires = page(&mut feed, "/simple/hay/")["files"][0]["requires-python"]
        .as_str()
        .map(|specifier| format!(" data-requires-python=\"{}\"", specifier.replace('>', "&gt;")));
    assert_eq!(
        got.text(),
        format!(
            "<!DOCTYPE html>\n<html>\n<head>\n\
             <meta name=\"pypi:repository-version\" content=\"1.4\">\n\
             <title>Links for hay</title>\n</head>\n<body>\n<h1>Links for hay</h1>\n\
             <a href=\"../../files/hay/{digest}/{escaped}#sha256={digest}\"{}>{file}</a><br>\n\
             </body>\n</html>\n",
            requires.unwrap_or_default()
        )
    );
    let page = page(&mut feed, "/simple/hay/");
    assert_eq!(page["files"][0]["core-metadata"], false);
    let path = format!("/files/hay/{digest}/{escaped}");
    assert_eq!(feed.get(&path).body, bytes);
    assert_eq!(feed.get(&format!("{path}.metadata")).status, 404);
}

#[test]
fn versions_ascend_and_files_follow_their_names() {
    let mut feed = feed();
    for version in ["1.10", "1.9", "2.0rc1", "1!0"] {
        with_wheel(&mut feed, "hay", version);
    }
    let built = sdist("hay", "1.9");
    feed.upload(&built.file_name(), &built.build());
    let page = page(&mut feed, "/simple/hay/");
    assert_eq!(page["versions"].to_string(), r#"["1.9","1.10","2.0rc1","1!0"]"#);
    let names: Vec<_> = page["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["filename"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "hay-1.9-py3-none-any.whl",
            "hay-1.9.tar.gz",
            "hay-1.10-py3-none-any.whl",
            "hay-2.0rc1-py3-none-any.whl",
            "hay-1!0-py3-none-any.whl"
        ]
    );
    feed.assert_rebuilds_equally();
}

#[test]
fn deprecated_versions_are_yanked_and_hidden_ones_absent() {
    let mut feed = feed();
    let blocked = with_wheel(&mut feed, "hay", "1.0");
    with_wheel(&mut feed, "hay", "2.0");
    with_wheel(&mut feed, "hay", "3.0");
    let unlisted = with_wheel(&mut feed, "hay", "4.0");
    change(&mut feed, "hay", "1.0", |version| Change::Allow(version, Some(Allow::Never)));
    change(&mut feed, "hay", "2.0", |version| {
        let reason = Some("mouldy <hay> & \"wet\"".to_owned());
        Change::Deprecate(version, Some(Deprecation { reason, details: None }))
    });
    change(&mut feed, "hay", "3.0", |version| {
        Change::Deprecate(version, Some(Deprecation::default()))
    });
    change(&mut feed, "hay", "4.0", |version| {
        Change::List(version, hayloft_feed::native::ListingChange::Unlist)
    });
    let page = page(&mut feed, "/simple/hay/");
    assert_eq!(page["versions"].to_string(), r#"["2.0","3.0"]"#);
    assert_eq!(page["files"][0]["yanked"], "mouldy <hay> & \"wet\"");
    assert_eq!(page["files"][1]["yanked"], true);
    let html = feed.get("/simple/hay/").text();
    assert!(
        html.contains("data-yanked=\"mouldy &lt;hay&gt; &amp; &quot;wet&quot;\" href="),
        "{html}"
    );
    assert!(html.contains("<a data-yanked=\"\" href="), "{html}");
    assert_eq!(html.matches("<a ").count(), 2);
    let path = |bytes: &[u8], version: &str| {
        format!("/files/hay/{}/hay-{version}-py3-none-any.whl", sha256(bytes))
    };
    assert_eq!(feed.get(&path(&unlisted, "4.0")).status, 200);
    assert_eq!(feed.get(&format!("{}.metadata", path(&blocked, "1.0"))).status, 403);
    feed.assert_rebuilds_equally();
}

#[test]
fn projects_are_listed_while_they_have_something_to_show() {
    let mut feed = feed();
    assert_eq!(page(&mut feed, "/simple/")["projects"].to_string(), "[]");
    with_wheel(&mut feed, "Zope.Hay", "1.0");
    with_wheel(&mut feed, "straw", "1.0");
    let first = feed.get_with("/simple/", &[JSON]);
    assert_eq!(
        first.text(),
        "{\"meta\":{\"api-version\":\"1.4\"},\"projects\":[{\"name\":\"straw\"},{\"name\":\"Zope.Hay\"}]}"
    );
    let html = feed.get("/simple/").text();
    assert!(html.contains("<a href=\"zope-hay/\">Zope.Hay</a><br>"), "{html}");
    // Another version of a known project is no change of the list.
    with_wheel(&mut feed, "straw", "2.0");
    assert_eq!(feed.get_with("/simple/", &[JSON]).tag, first.tag);
    for version in ["1.0", "2.0"] {
        change(&mut feed, "straw", version, |version| {
            Change::List(version, hayloft_feed::native::ListingChange::Unlist)
        });
    }
    let second = feed.get_with("/simple/", &[JSON]);
    assert_ne!(second.tag, first.tag);
    assert!(!second.text().contains("straw"));
    feed.assert_rebuilds_equally();
    change(&mut feed, "Zope_Hay", "1.0", |_| Change::RemoveAll);
    assert_eq!(page(&mut feed, "/simple/")["projects"].to_string(), "[]");
    assert_eq!(feed.get("/simple/zope-hay/").status, 404);
    feed.assert_rebuilds_equally();
}

#[test]
fn each_form_has_a_tag_of_its_own_that_changes_with_the_project() {
    let mut feed = feed();
    with_wheel(&mut feed, "hay", "1.0");
    let json = feed.get_with("/simple/hay/", &[JSON]);
    let html = feed.get("/simple/hay/");
    assert_ne!(json.tag, html.tag);
    with_wheel(&mut feed, "straw", "1.0");
    assert_eq!(feed.get_with("/simple/hay/", &[JSON]), json);
    with_wheel(&mut feed, "hay", "1.1");
    assert_ne!(feed.get_with("/simple/hay/", &[JSON]).tag, json.tag);
}

#[rstest]
#[case::unknown("/simple/hay/", 404)]
#[case::unknown_file(
    "/files/hay/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/hay-1.tar.gz",
    404
)]
#[case::no_such_page("/other", 404)]
#[case::upload_page("/legacy/", 404)]
#[case::unknown_json("/pypi/hay/json", 404)]
#[case::not_a_version("/pypi/hay/x/json", 404)]
#[case::root("", 301)]
#[case::spelled("/simple/Hay", 301)]
fn other_requests_are_told_so(#[case] path: &str, #[case] status: u16) {
    assert_eq!(feed().get(path).status, status);
}

#[test]
fn what_nobody_offers_is_not_acceptable() {
    let got = feed().get_with("/simple/", &[("accept", "application/xml")]);
    assert_eq!(got.status, 406);
    assert_eq!(
        feed().get("/simple/?format=application/vnd.pypi.simple.v1%2Bjson").media_type,
        JSON.1
    );
}

#[test]
fn programs_without_a_simple_index_read_json() {
    let mut feed = feed();
    with_wheel(&mut feed, "Hay", "1.0");
    let bytes = with_wheel(&mut feed, "Hay", "1.1");
    with_wheel(&mut feed, "Hay", "2.0rc1");
    with_wheel(&mut feed, "Hay", "1.2");
    change(&mut feed, "hay", "1.2", |version| {
        Change::Deprecate(version, Some(Deprecation::default()))
    });
    let page = page(&mut feed, "/pypi/hay/json");
    assert_eq!(page["info"]["name"], "Hay");
    assert_eq!(page["info"]["version"], "1.1");
    let releases: Vec<_> = page["releases"].as_object().unwrap().keys().collect();
    assert_eq!(releases, ["1.0", "1.1", "1.2", "2.0rc1"]);
    assert_eq!(page["releases"]["1.2"][0]["yanked"], true);
    let file = &page["urls"][0];
    assert_eq!(
        file["url"],
        format!("http://host/pypi/py/files/hay/{}/hay-1.1-py3-none-any.whl", sha256(&bytes))
    );
    assert_eq!(file["packagetype"], "bdist_wheel");
    assert_eq!(file["upload_time"], "2026-01-02T03:04:05");
    let one: Value = serde_json::from_slice(&feed.get("/pypi/hay/2.0-rc.1/json").body).unwrap();
    assert_eq!(one["info"]["version"], "2.0rc1");
    assert_eq!(one.get("releases"), None);
    let elsewhere = feed.get("/pypi/HAY/json");
    assert_eq!(elsewhere.status, 301);
}

fn form(fields: &[(&str, &str)]) -> Fields {
    let field = |(name, value): &(&str, &str)| Field {
        path: vec![(*name).to_owned()],
        value: (*value).to_owned(),
    };
    Fields(fields.iter().map(field).collect())
}

fn decide(fields: &[(&str, &str)], staged: Option<&StagedCard>) -> Result<Action, Refusal> {
    let request = Request::get("/legacy/", "http://host/pypi/py").method("POST");
    assert!(Pypi.route(&request).unwrap().is_some());
    Pypi.decide(&feed(), &request, &form(fields), staged)
}

fn staged(name: &str, bytes: &[u8]) -> StagedCard {
    StagedCard::new(bytes.len() as u64, digests(bytes), Some(name.to_owned()))
}

#[test]
fn an_upload_is_stored_once_and_other_bytes_conflict() {
    let mut feed = feed();
    let package = wheel("hay", "1.0");
    let bytes = package.build();
    let fields = [
        (":action", "file_upload"),
        ("name", "hay"),
        ("version", "1.0"),
        ("sha256_digest", &sha256(&bytes)),
    ];
    let order = |bytes: &[u8]| match decide(&fields, Some(&staged(&package.file_name(), bytes))) {
        Ok(Action::Upload(order)) => order,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        feed.store(&order(&bytes), &bytes).unwrap();
    }
    let other = wheel("hay", "1.0").file("more.py", "").build();
    let wrong = feed.store(&order(&other), &other).unwrap_err();
    assert!(
        matches!(&wrong, Refusal::Invalid(text) if text.contains("`sha256_digest`")),
        "{wrong:?}"
    );
    let plain = UploadOrder { hints: std::collections::BTreeMap::new(), ..order(&other) };
    let conflict = feed.store(&plain, &other).unwrap_err();
    let request = Request::get("/legacy/", "http://host/pypi/py").method("POST");
    let reply = Pypi.refuse(&request, &conflict);
    assert_eq!(reply.status, 409);
    assert!(reply.reason.unwrap().starts_with("File already exists"));
    let headers = [("accept".to_owned(), "application/json, text/plain;q=0.9".to_owned())];
    let reply = Pypi.refuse(&request.headers(&headers), &conflict);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(body["code"].as_str().unwrap().starts_with("409 File already exists"), "{body}");
}

#[test]
fn a_file_under_another_spelling_does_not_stand_in_for_the_first() {
    let mut feed = feed();
    let package = wheel("hay_bale", "1.0");
    feed.upload("hay_bale-1.0-py3-none-any.whl", &package.build());
    // The same bytes are there already.
    feed.upload("Hay.Bale-1.0-py3-none-any.whl", &package.build());
    assert_eq!(page(&mut feed, "/simple/hay-bale/")["files"].as_array().unwrap().len(), 1);
    let name = Some("Hay.Bale-1.0-py3-none-any.whl".to_owned());
    let order = UploadOrder { file_name: name, ..UploadOrder::default() };
    let other = wheel("hay_bale", "1.0").file("evil.py", "").build();
    assert!(matches!(feed.store(&order, &other), Err(Refusal::Conflict(_))));
}

#[rstest]
#[case::old_poetry(&[(":action", "submit")], 200)]
#[case::old_devpi(&[(":action", "verify")], 200)]
#[case::documentation(&[(":action", "doc_upload")], 410)]
fn other_actions_are_answered(#[case] fields: &[(&str, &str)], #[case] status: u16) {
    let Ok(Action::Reply(reply)) = decide(fields, None) else { panic!("a reply") };
    assert_eq!(reply.status, status);
}

#[rstest]
#[case::no_file(&[(":action", "file_upload")])]
#[case::unknown(&[(":action", "remove_pkg")])]
fn malformed_uploads_are_refused(#[case] fields: &[(&str, &str)]) {
    assert!(matches!(decide(fields, None), Err(Refusal::Invalid(_))));
}

#[test]
fn every_sample_and_every_path_is_answered() {
    let mut feed = feed();
    with_wheel(&mut feed, "hay", "1.0");
    for sample in Pypi.samples() {
        let (path, query) = sample.path.split_once('?').unwrap_or((&sample.path, ""));
        let request = Request::get(path, "http://host/pypi/py").method(sample.method).query(query);
        let routed = Pypi.route(&request).unwrap();
        assert_eq!(routed.map(|intake| intake.least), sample.action, "{sample:?}");
    }
    let mut paths = Vec::new();
    let head = {
        use hayloft_feed::native::FeedView as _;
        let name = Pypi.package_name("", "hay").unwrap();
        feed.package(name.key()).unwrap().unwrap()
    };
    Pypi.paths(&feed, None, &mut |path| paths.push(path.to_owned())).unwrap();
    Pypi.paths(&feed, Some(&head), &mut |path| paths.push(path.to_owned())).unwrap();
    assert_eq!(paths.len(), 6);
    for path in paths {
        assert_eq!(feed.get(&path).status, 200, "{path}");
    }
}

#[rstest]
#[case("/simple/%00/")]
#[case("/simple/%ff/")]
#[case("/simple/../")]
#[case("/files/hay/zz/x")]
#[case("/files/../../x")]
#[case("/pypi//json")]
#[case("/pypi/hay/%2e%2e/json")]
fn hostile_paths_are_not_found(#[case] path: &str) {
    let mut feed = feed();
    with_wheel(&mut feed, "hay", "1.0");
    assert_eq!(feed.get(path).status, 404);
    let long = format!("{path}{}", "a/".repeat(50_000));
    assert_eq!(feed.get(&long).status, 404);
}
