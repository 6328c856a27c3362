//! What a feed holds.

use hayloft_testkit::{nupkg, upack};
use serde_json::Value;

use crate::server::Server;
use crate::{listed, nuget, row};

#[test]
fn a_feed_tells_what_clients_ask_before_a_download() {
    let server = Server::start();
    server.feed("Apps", "universal");
    for path in ["/api/packages/apps", "/api/packages/APPS/"] {
        let info = server.get(path).json();
        assert_eq!(info["name"], "Apps");
        assert_eq!(info["feedType"], "universal");
        assert_eq!(info["packageType"], "upack");
        assert!(info["id"].is_u64());
    }
    let missing = server.get("/api/packages/nope");
    missing.refused(404, &["Feed nope not found."]);
    assert_eq!(missing.text(), "Feed nope not found.");
}

#[test]
fn rows_have_every_key_and_exact_timestamps() {
    let server = nuget(&["1.0.0"]);
    let row = row(&server);
    let keys = [
        "purl",
        "group",
        "name",
        "version",
        "qualifier",
        "totalDownloads",
        "downloads",
        "published",
        "publishedBy",
        "size",
        "listed",
        "md5",
        "sha1",
        "sha256",
        "sha512",
        "allowDownload",
        "deprecated",
        "deprecationReason",
    ];
    for key in keys {
        assert!(row.get(key).is_some(), "{key} is not in {row}");
    }
    let published = row["published"].as_str().unwrap();
    let shape: String = published
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    assert_eq!(row["group"], Value::Null);
    assert_eq!(row["allowDownload"], Value::Null);
    assert_eq!(row["listed"], true);
    assert_eq!(row["sha512"].as_str().unwrap().len(), 128);
}

#[test]
fn lists_of_nothing_are_empty_arrays() {
    let server = nuget(&[]);
    for path in [
        "/api/packages/nu1/versions",
        "/api/packages/nu1/versions?name=Missing&version=1.0.0",
        "/api/packages/nu1/versions?name=no%20name%21",
        "/api/packages/nu1/latest?name=Missing&stableOnly=True",
        "/api/packages/nu1/latest/?group=",
        "/api/promotions/list?package=Missing",
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"), "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[test]
fn latest_and_versions_are_filtered_and_ordered() {
    let server = nuget(&["1.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0"]);
    server.put("/api/packages/nu1/upload", &nupkg("A.B", "3.0.0-beta").build()).done();
    let versions = |query: &str| listed(&server.get(&format!("/api/packages/nu1/{query}")));
    assert_eq!(versions("versions?name=a"), ["2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"]);
    assert_eq!(versions("versions?name=A&version=1.9"), ["1.9.0"]);
    assert_eq!(versions("versions?packageName=A.B"), ["3.0.0-beta"]);
    assert_eq!(versions("versions?purl=pkg:nuget/A@1.0.0"), ["1.0.0"]);
    assert_eq!(versions("versions").len(), 5);
    assert_eq!(versions("latest"), ["2.0.0-rc.1", "3.0.0-beta"]);
    assert_eq!(versions("latest?stableOnly=True"), ["1.10.0"]);
    assert_eq!(versions("latest?name=A.B&stableOnly=True"), [""; 0]);
    server.get("/api/packages/nu1/latest?stableOnly=maybe").refused(400, &["`stableOnly`"]);
    server
        .get("/api/packages/nu1/versions?group=g")
        .refused(400, &["`g` is not a valid group: nuget packages have no group"]);
}

#[test]
fn a_long_list_streams() {
    let server = Server::start();
    server.feed("u1", "universal");
    for number in 0..120 {
        let package = upack("some/group/with/a/long/name", "package", &format!("1.0.{number}"));
        server.put("/api/packages/u1/upload", &package.build()).done();
    }
    let answer = server.get("/api/packages/u1/versions");
    assert!(answer.headers.get("content-length").is_none(), "the list is larger than a chunk");
    let versions = listed(&answer);
    assert_eq!(versions.len(), 120);
    assert_eq!(versions[0], "1.0.119");
}
