#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

mod server;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hayloft::{Feed, Store, StoreError};
use hayloft_http::{Caller, Credential, Gatekeeper, Refusal, Right};
use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, sdist, upack, wheel};
use rstest::rstest;
use serde_json::{Value, json};
use server::{Answer, Server};

/// Percent-encodes a query value.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[rstest]
#[case::nuget(
    "nuget",
    "",
    nupkg("Newtonsoft.Json", "13.0.3"),
    "Newtonsoft.Json.13.0.3.nupkg",
    Value::Null
)]
#[case::npm("npm", "", npm_tgz("@babel/runtime", "7.25.0"), "runtime-7.25.0.tgz", Value::Null)]
#[case::universal(
    "universal",
    "",
    upack("initrode/vendors", "ABLast", "2.2.1"),
    "ABLast-2.2.1.upack",
    Value::Null
)]
#[case::pypi("pypi", "", wheel("Django", "5.0.6"), "django-5.0.6-py3-none-any.whl", "file=django-5.0.6-py3-none-any.whl".into())]
#[case::debian("debian", "?distribution=stable", deb("python3", "1:3.9.2-3+b1", "amd64"), "python3_3.9.2-3+b1_amd64.deb", "arch=amd64&component=main&distro=stable".into())]
#[case::rubygems("rubygems", "", gem("nokogiri", "1.15.0", "ruby"), "nokogiri-1.15.0.gem", "platform=ruby".into())]
fn what_a_list_says_downloads_the_uploaded_bytes(
    #[case] feed_type: &str,
    #[case] query: &str,
    #[case] package: Package,
    #[case] file_name: &str,
    #[case] qualifier: Value,
) {
    let server = Server::start();
    server.feed("f1", feed_type);
    let bytes = package.build();
    server.put(&format!("/api/packages/f1/upload{query}"), &bytes).done();

    let rows = server.get("/api/packages/f1/versions").json();
    let row = &rows[0];
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(row["qualifier"], qualifier);
    assert_eq!(row["size"], bytes.len());
    assert_eq!(row["publishedBy"], "tester");
    let purl = row["purl"].as_str().unwrap();
    let text = |key: &str| encoded(row[key].as_str().unwrap_or_default());
    let (group, name, version) = (text("group"), text("name"), text("version"));
    let own = text("qualifier");
    for asked in [
        format!("purl={}", encoded(purl)),
        format!("purl={purl}"),
        format!("purl={}", purl.replace("%40", "@")),
        format!("name={name}&version={version}&group={group}&qualifier={own}"),
        format!("name={name}&version={version}&group={group}"),
        format!("name={}&version=latest&group={group}", name.to_uppercase()),
        format!("purl={}&name={name}&version={version}", encoded(purl)),
    ] {
        let answer = server.get(&format!("/api/packages/F1/download?{asked}"));
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(answer.body, bytes, "{asked}");
        let length = bytes.len().to_string();
        assert_eq!(answer.header("content-length"), length);
        let disposition = format!("attachment; filename=\"{file_name}\"");
        assert_eq!(answer.header("content-disposition"), disposition);
    }
}

/// A feed `nu1` with these versions of the package `A`.
fn nuget(versions: &[&str]) -> Server {
    let server = Server::start();
    server.feed("nu1", "nuget");
    for version in versions {
        server.put("/api/packages/nu1/upload", &nupkg("A", version).build()).done();
    }
    server
}

fn listed(answer: &Answer) -> Vec<String> {
    let rows = answer.json();
    let version = |row: &Value| row["version"].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(version).collect()
}

/// What the list says about the only version of `A`.
fn row(server: &Server) -> Value {
    server.get("/api/packages/nu1/versions?name=A").json()[0].take()
}

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
    server.get("/api/packages/nu1/latest?stableOnly=maybe").refused(400, &["stableonly"]);
}

#[test]
fn latest_means_the_highest_stable_version_to_a_download() {
    let server = nuget(&["1.0.0", "2.0.0-rc.1"]);
    let get = |version: &str| {
        let answer = server.get(&format!("/api/packages/nu1/download?name=A&version={version}"));
        answer.done();
        answer.header("content-disposition").to_owned()
    };
    assert!(get("latest").contains("A.1.0.0.nupkg"));
    assert!(get("Latest-Stable").contains("A.1.0.0.nupkg"));
    assert!(get("latest-unstable").contains("A.2.0.0-rc.1.nupkg"));
    server.put("/api/packages/nu1/upload", &nupkg("Pre", "1.0.0-a").build()).done();
    server.get("/api/packages/nu1/download?name=Pre&version=latest").refused(404, &["Pre"]);
    let post = |path: &str, body: &str| {
        server.post(path, body).refused(400, &["`latest`", "name the version"]);
    };
    post("/api/packages/nu1/delete?name=A&version=latest", "");
    post("/api/packages/nu1/status?name=A&version=latest", "{}");
    post("/api/repackaging/repackage", "feed=nu1&name=A&version=latest&newVersion=3.0.0");
}

#[rstest]
#[case::no_name("version=1.0.0", 400, &["`name`"])]
#[case::no_version("name=A", 400, &["`version`"])]
#[case::empty_version("name=A&version=", 400, &["`version`"])]
#[case::no_such_version("name=A&version=9.9.9", 404, &["`A 9.9.9`", "nu1"])]
#[case::no_such_package("name=B&version=1.0.0", 404, &["`B 1.0.0`"])]
#[case::group_without_meaning("name=A&version=1.0.0&group=g", 400, &["no group"])]
#[case::qualifier_without_meaning("name=A&version=1.0.0&arch=amd64", 400, &["qualifier"])]
#[case::half_qualifier("name=A&version=1.0.0&qualifier=arch", 400, &["qualifier", "key=value"])]
#[case::repeated_qualifier("name=A&version=1.0.0&qualifier=a%3D1%26a%3D2", 400, &["more than once"])]
#[case::contradicting_qualifiers("name=A&version=1.0.0&qualifier=file%3Da&file=b", 400, &["more than once"])]
#[case::no_purl("purl=A%401.0.0", 400, &["package URL"])]
#[case::purl_of_another_type("purl=pkg:npm/A@1.0.0", 400, &["nuget"])]
#[case::purl_without_version("purl=pkg:nuget/A", 400, &["`version`"])]
#[case::purl_and_other_name("purl=pkg:nuget/A@1.0.0&name=B", 400, &["purl", "name"])]
#[case::purl_and_other_version("purl=pkg:nuget/A@1.0.0&version=2.0.0", 400, &["purl", "version"])]
#[case::no_text("name=%ff&version=1.0.0", 400, &["UTF-8"])]
#[case::bad_version("name=A&version=not%20one", 400, &["version"])]
fn what_names_no_package_is_refused_with_the_reason(
    #[case] query: &str,
    #[case] status: u16,
    #[case] words: &[&str],
) {
    let server = nuget(&["1.0.0"]);
    server.get(&format!("/api/packages/nu1/download?{query}")).refused(status, words);
    server.get(&format!("/api/packages/nu1/metadata?{query}")).refused(status, words);
    server.post(&format!("/api/packages/nu1/delete?{query}"), "").refused(status, words);
    assert_eq!(listed(&server.get("/api/packages/nu1/versions")), ["1.0.0"]);
}

#[rstest]
#[case::as_equal_versions("purl=pkg:nuget/a@1.0&version=1.0.0.0&name=A")]
#[case::in_upper_case("NAME=a&VERSION=1.0.0&GROUP=")]
#[case::by_alias("package=A&version=1.0.0")]
fn one_package_has_many_names(#[case] query: &str) {
    let server = nuget(&["1.0.0"]);
    server.get(&format!("/api/packages/nu1/download?{query}")).done();
}

#[rstest]
#[case::scope("name=runtime&version=7.25.0&group=%40babel")]
#[case::scope_escaped_twice("name=runtime&version=7.25.0&group=%2540babel")]
#[case::bare_scope("name=runtime&version=7.25.0&scope=babel")]
#[case::in_the_name("name=%40babel/runtime&version=7.25.0")]
#[case::raw_purl("purl=pkg:npm/@babel/runtime@7.25.0")]
#[case::purl_with_bare_scope("purl=pkg:npm/babel/runtime@7.25.0")]
#[case::purl_that_repeats_the_rest(
    "purl=pkg:npm/%2540babel/runtime@7.25.0&group=babel&name=runtime&version=7.25.0"
)]
fn npm_scopes_are_found_in_all_spellings(#[case] query: &str) {
    let server = Server::start();
    server.feed("npm1", "npm");
    let bytes = npm_tgz("@babel/runtime", "7.25.0").build();
    server.put("/api/packages/npm1/upload", &bytes).done();
    assert_eq!(server.get(&format!("/api/packages/npm1/download?{query}")).body, bytes);
    let rows = server.get("/api/packages/npm1/latest?group=babel").json();
    assert_eq!(rows[0]["group"], "@babel");
    assert_eq!(rows[0]["purl"], "pkg:npm/%40babel/runtime@7.25.0");
}

/// A feed `deb1` with one version for two architectures.
fn debian() -> Server {
    let server = Server::start();
    server.feed("deb1", "debian");
    for architecture in ["amd64", "arm64"] {
        let bytes = deb("python3", "1:3.9.2-3+b1", architecture).build();
        server.put("/api/packages/deb1/upload?distribution=stable", &bytes).done();
    }
    server
}

#[rstest]
#[case::encoded_twice(
    "version=1%3A3.9.2-3%2Bb1&qualifier=arch%3Damd64%26component%3Dmain%26distro%3Dstable"
)]
#[case::ampersands_left_raw(
    "version=1:3.9.2-3+b1&qualifier=arch=amd64&component=main&distro=stable"
)]
#[case::loose("version=1%3A3.9.2-3%2Bb1&arch=AMD64")]
#[case::component_as_group("version=1%3A3.9.2-3%2Bb1&group=main&qualifier=arch%3Damd64")]
#[case::raw_purl(
    "purl=pkg:deb/debian/python3@1:3.9.2-3+b1?arch=amd64&component=main&distro=stable"
)]
fn debian_files_are_found_by_qualifiers_in_all_spellings(#[case] query: &str) {
    let server = debian();
    let query = format!("/api/packages/deb1/download?name=python3&{query}");
    let answer = server.get(&query);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, deb("python3", "1:3.9.2-3+b1", "amd64").build());
}

#[test]
fn a_name_that_fits_several_files_is_refused_with_the_qualifiers() {
    let server = debian();
    let query = "name=python3&version=1%3A3.9.2-3%2Bb1";
    let both =
        ["arch=amd64&component=main&distro=stable", "arch=arm64&component=main&distro=stable"];
    server.get(&format!("/api/packages/deb1/download?{query}")).refused(400, &both);
    server.post(&format!("/api/packages/deb1/delete?{query}"), "").refused(400, &both);
    let one = format!("{query}&qualifier=arch%3Darm64%26component%3Dmain%26distro%3Dstable");
    server.get(&format!("/api/packages/deb1/download?{query}&arch=mips")).refused(404, &["mips"]);

    let metadata = server.get(&format!("/api/packages/deb1/metadata?{query}")).json();
    assert_eq!(metadata["artifacts"].as_array().unwrap().len(), 2);
    assert_eq!(metadata["status"]["allowDownload"], true);
    assert_eq!(metadata["state"], "Local");
    let metadata = server.get(&format!("/api/packages/deb1/metadata?{one}")).json();
    assert_eq!(metadata["artifacts"][0]["qualifier"], both[1]);

    assert_eq!(
        server.get("/api/packages/deb1/versions?group=main&arch=arm64").json()[0]["qualifier"],
        both[1]
    );
    assert_eq!(server.get("/api/packages/deb1/latest?group=contrib").text(), "[]");
    server.post(&format!("/api/packages/deb1/delete?{one}"), "").done();
    server.post(&format!("/api/packages/deb1/delete/?{one}"), "").refused(404, &["python3"]);
    assert_eq!(listed(&server.get("/api/packages/deb1/versions")), ["1:3.9.2-3+b1"]);
    server.send("DELETE", &format!("/api/packages/deb1/delete?{query}"), &[], b"").done();
    assert_eq!(server.get("/api/packages/deb1/versions").text(), "[]");
}

#[test]
fn a_debian_upload_needs_a_distribution_until_there_is_only_one() {
    let server = Server::start();
    server.feed("deb1", "debian");
    let put = |query: &str, version: &str| {
        server.put(&format!("/api/packages/deb1/upload{query}"), &deb("aa", version, "all").build())
    };
    put("", "1").refused(400, &["distribution"]);
    put("?distro=main&component=contrib", "1").done();
    put("/", "2").done();
    let rows = server.get("/api/packages/deb1/versions").json();
    assert_eq!(rows[0]["qualifier"], "arch=all&component=main&distro=main");
    assert_eq!(rows[1]["qualifier"], "arch=all&component=contrib&distro=main");
}

#[test]
fn python_file_names_come_from_the_path_or_the_metadata() {
    let server = Server::start();
    server.feed("py1", "pypi");
    let (binary, source) = (wheel("django", "5.0.6"), sdist("django", "5.0.6"));
    server.put("/api/packages/py1/upload", &binary.build()).done();
    server.put("/api/packages/py1/upload/other-1.0.tar.gz", &source.build()).refused(400, &[]);
    server.put(&format!("/api/packages/py1/upload/{}", source.file_name()), &source.build()).done();
    let query = "name=Django&version=5.0.6&qualifier=file%3Ddjango-5.0.6.tar.gz";
    assert_eq!(server.get(&format!("/api/packages/py1/download?{query}")).body, source.build());
    let alias = "name=Django&version=5.0.6.0&filename=django-5.0.6-py3-none-any.whl";
    assert_eq!(server.get(&format!("/api/packages/py1/download?{alias}")).body, binary.build());
}

#[test]
fn uploads_come_in_every_published_way() {
    let server = nuget(&[]);
    let package = |version: &str| nupkg("A", version).build();
    server.send("POST", "/api/packages/nu1/upload/", &[], &package("1.0.0")).done();
    server.put("/api/packages/nu1/upload/whatever.bin", &package("2.0.0")).done();
    let bytes = package("3.0.0");
    let mut request = format!(
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n{:x}\r\n",
        bytes.len()
    )
    .into_bytes();
    request.extend_from_slice(&bytes);
    request.extend_from_slice(b"\r\n0\r\n\r\n");
    assert!(server.raw(&request).starts_with("HTTP/1.1 200"));
    let mut request = format!(
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        package("4.0.0").len()
    )
    .into_bytes();
    request.extend_from_slice(&package("4.0.0"));
    assert!(server.raw(&request).starts_with("HTTP/1.1 200"));
    assert_eq!(
        listed(&server.get("/api/packages/nu1/versions")),
        ["4.0.0", "3.0.0", "2.0.0", "1.0.0"]
    );
}

#[test]
fn multipart_bodies_and_damaged_packages_are_refused_and_leave_nothing() {
    let server = nuget(&[]);
    let multipart = [("content-type", "multipart/form-data; boundary=x")];
    server
        .send("PUT", "/api/packages/nu1/upload", &multipart, b"--x--")
        .refused(400, &["send the raw file"]);
    server.put("/api/packages/nu1/upload", b"no package").refused(400, &["not accepted"]);
    server.put("/api/packages/nu1/upload", b"").refused(400, &["not accepted"]);
    server.put("/api/packages/nope/upload", b"x").refused(404, &["Feed nope not found."]);
    assert_eq!(server.get("/api/packages/nu1/versions").text(), "[]");
    assert_eq!(server.staged(), 0);
}

#[test]
fn equal_bytes_change_nothing_and_other_bytes_keep_the_counts() {
    let server = nuget(&["1.0.0"]);
    server.get("/api/packages/nu1/download?name=A&version=1.0.0").done();
    let before = row(&server);
    assert_eq!((&before["downloads"], &before["totalDownloads"]), (&json!(1), &json!(1)));
    server.put("/api/packages/nu1/upload", &nupkg("A", "1.0.0").build()).done();
    assert_eq!(row(&server), before);
    server.put("/api/packages/nu1/upload", &nupkg("A", "1.0.0").payload(40_000).build()).done();
    let after = row(&server);
    assert_ne!(after["sha256"], before["sha256"]);
    assert_eq!(after["downloads"], 1);
}

#[test]
fn status_is_tri_state() {
    let server = nuget(&["1.0.0"]);
    let set = |body: &str| {
        server.post("/api/packages/nu1/status?name=A&version=1.0.0", body).done();
        row(&server)
    };
    let row = set(r#"{"listed":false}"#);
    assert_eq!((&row["listed"], &row["allowDownload"]), (&json!(false), &Value::Null));
    let row = set(r#"{"allow":false,"listed":null}"#);
    assert_eq!((&row["listed"], &row["allowDownload"]), (&json!(false), &json!(false)));
    let download = "/api/packages/nu1/download?name=A&version=1.0.0";
    server.get(download).refused(403, &["blocked"]);
    let blocked = server.get("/api/packages/nu1/metadata?name=A&version=1.0.0").json();
    assert_eq!(
        blocked["status"],
        json!({ "deprecated": false, "listed": false, "allowDownload": false })
    );
    assert_eq!(set(r#"{"listed":true}"#)["allowDownload"], false);
    assert_eq!(set("{}")["allowDownload"], Value::Null);
    server.get(download).done();
    assert_eq!(set(r#"{"allow":true}"#)["allowDownload"], true);
    assert_eq!(set(r#"{"allow":null,"listed":true}"#)["allowDownload"], Value::Null);
    let row = set(r#"{"deprecated":true,"deprecationReason":"old"}"#);
    assert_eq!((&row["deprecated"], &row["deprecationReason"]), (&json!(true), &json!("old")));
    assert_eq!(set(r#"{"deprecatedReason":"older"}"#)["deprecationReason"], "older");
    assert_eq!(set(r#"{"deprecated":true}"#)["deprecationReason"], Value::Null);
    assert_eq!(set(r#"{"deprecated":false}"#)["deprecated"], false);
    for body in ["", "listed=false", "[]", r#"{"listed":"no"}"#] {
        server
            .post("/api/packages/nu1/status?name=A&version=1.0.0", body)
            .refused(400, &["JSON object"]);
    }
    server.post("/api/packages/nu1/status?name=A&version=2.0.0", "{}").refused(404, &["A 2.0.0"]);
}

#[test]
fn json_under_a_form_type_and_in_chunks_is_read() {
    let server = nuget(&["1.0.0"]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/api/packages/nu1/status/?name=A&version=1.0.0";
    server.send("PUT", path, &form, b"\r\n {\"listed\":false}").done();
    assert_eq!(row(&server)["listed"], false);
    let chunked = "POST /api/packages/nu1/status?name=A&version=1.0.0 HTTP/1.1\r\nHost: x\r\n\
        Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n8\r\n{\"listed\r\n7\r\n\":true}\r\n0\r\n\r\n";
    let answer = server.raw(chunked.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(row(&server)["listed"], true);
}

#[test]
fn a_body_of_parameters_has_a_limit() {
    let server = nuget(&["1.0.0"]);
    let body = format!("{{\"listed\":false,\"x\":\"{}\"}}", "y".repeat(1 << 20));
    server.post("/api/packages/nu1/status?name=A&version=1.0.0", &body).refused(413, &["1048576"]);
}

#[test]
fn an_audit_finds_every_package_compliant() {
    let server = nuget(&["1.0.0"]);
    let result = server.post("/api/packages/nu1/audit?name=A&version=1.0.0", "").json();
    assert_eq!(result["resultCode"], "C");
    assert_eq!(result["statusText"], "Compliant");
    assert!(result["analysisDate"].as_str().unwrap().ends_with('Z'));
    server.post("/api/packages/nu1/audit?name=A&version=2.0.0", "").refused(404, &["A 2.0.0"]);
}

#[rstest]
#[case::middle("bytes=2-4", 206, "bytes 2-4/10", "234")]
#[case::end("bytes=-3", 206, "bytes 7-9/10", "789")]
#[case::rest("bytes=8-", 206, "bytes 8-9/10", "89")]
#[case::nothing("bytes=10-", 416, "bytes */10", "")]
#[case::several("bytes=0-1,4-5", 200, "", "0123456789")]
fn one_range_of_a_file_can_be_had(
    #[case] range: &str,
    #[case] status: u16,
    #[case] content_range: &str,
    #[case] expected: &str,
) {
    let (server, bytes) = with_payload();
    // The ten bytes of the table lie far into the file.
    let place = |text: &str| -> String {
        let mut out = String::new();
        let mut digits = text.chars().peekable();
        while let Some(letter) = digits.next() {
            let mut number = letter.to_string();
            while letter.is_ascii_digit() && digits.peek().is_some_and(char::is_ascii_digit) {
                number.extend(digits.next());
            }
            out += &number
                .parse::<usize>()
                .map_or(number.clone(), |at| (at + bytes.len() - 10).to_string());
        }
        out
    };
    let range = if range.starts_with("bytes=-") { range.to_owned() } else { place(range) };
    let answer = server.send("GET", PAYLOAD, &[("range", &range)], b"");
    assert_eq!(answer.status, status, "{range}");
    if !content_range.is_empty() {
        let shown =
            if status == 416 { format!("bytes */{}", bytes.len()) } else { place(content_range) };
        assert_eq!(answer.header("content-range"), shown);
    }
    let tail = &bytes[bytes.len() - 10..];
    let wanted: Vec<u8> = match status {
        200 => bytes.clone(),
        _ => expected.bytes().map(|digit| tail[usize::from(digit - b'0')]).collect(),
    };
    assert_eq!(answer.body, wanted);
    let counted = u64::from(status == 200);
    assert_eq!(row(&server)["downloads"], counted, "only whole files count");
}

const PAYLOAD: &str = "/api/packages/nu1/download?name=A&version=1.0.0";

/// A package larger than a few chunks.
fn with_payload() -> (Server, Vec<u8>) {
    let server = nuget(&[]);
    let bytes = nupkg("A", "1.0.0").payload(1_200_000).build();
    server.put("/api/packages/nu1/upload", &bytes).done();
    (server, bytes)
}

#[test]
fn caches_and_resumed_downloads_are_served_by_validators() {
    let (server, bytes) = with_payload();
    let head = server.send("HEAD", PAYLOAD, &[], b"");
    head.done();
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), bytes.len().to_string());
    assert_eq!(head.header("accept-ranges"), "bytes");
    assert_eq!(head.header("content-type"), "application/octet-stream");
    let (tag, date) = (head.header("etag"), head.header("last-modified"));
    assert!(tag.starts_with('"') && date.ends_with(" GMT"), "{tag} {date}");

    let weak = format!("\"x\", W/{tag}");
    for known in [tag, "*", &weak] {
        let answer = server.send("GET", PAYLOAD, &[("if-none-match", known)], b"");
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), tag);
    }
    let resume = |validator: &str| {
        let headers = [("range", "bytes=1000000-"), ("if-range", validator)];
        server.send("GET", PAYLOAD, &headers, b"")
    };
    for same in [tag, date] {
        let answer = resume(same);
        assert_eq!((answer.status, answer.body.as_slice()), (206, &bytes[1_000_000..]));
    }
    assert_eq!(row(&server)["downloads"], 0);
    let answer = resume("\"other\"");
    assert_eq!((answer.status, answer.body.len()), (200, bytes.len()));
    assert_eq!(row(&server)["downloads"], 1);
}

/// Waits for something that happens by itself, at most ten seconds.
fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never happened: {what}");
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let server = nuget(&[]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![7; 2_000_000]).unwrap();
    eventually("bytes are staged", || server.staged() == 1);
    drop(stream);
    eventually("staging is empty", || server.staged() == 0);
    assert_eq!(server.get("/api/packages/nu1/versions").text(), "[]");

    let mut stream = TcpStream::connect(server.address).unwrap();
    let short = "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc";
    stream.write_all(short.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_client_that_goes_silent_is_given_up_on() {
    let server = Server::start_with(|app| {
        app.gatekeeper(hayloft_http::LocalUser::new("tester"))
            .idle(Duration::from_millis(50))
            .calls(1)
    });
    server.feed("nu1", "nuget");
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nabc";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(server.staged(), 0);
}

#[test]
fn slow_clients_do_not_take_the_place_of_others() {
    let server =
        Server::start_with(|app| app.gatekeeper(hayloft_http::LocalUser::new("tester")).calls(1));
    server.feed("nu1", "nuget");
    let bytes = nupkg("A", "1.0.0").payload(20_000_000).build();
    server.put("/api/packages/nu1/upload", &bytes).done();
    // One client reads nothing of a file that no socket buffer holds, one sends half a file.
    let mut reader = TcpStream::connect(server.address).unwrap();
    let request = format!("GET {PAYLOAD} HTTP/1.1\r\nHost: x\r\n\r\n");
    reader.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 12];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut writer = TcpStream::connect(server.address).unwrap();
    let head = "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc";
    writer.write_all(head.as_bytes()).unwrap();
    assert_eq!(server.get(PAYLOAD).body, bytes);
    server.put("/api/packages/nu1/upload", &nupkg("A", "2.0.0").build()).done();
    let mut rest = Vec::new();
    reader.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut buffer = [0; 65_536];
    while !rest.ends_with(&bytes[bytes.len() - 64..]) {
        let read = reader.read(&mut buffer).unwrap();
        assert!(read > 0, "the download ended early");
        rest.extend_from_slice(&buffer[..read]);
    }
    assert!(rest.ends_with(&bytes));
}

#[test]
fn uploads_beyond_the_limit_are_refused_before_and_while_they_come() {
    let server = Server::start_with(|app| {
        app.gatekeeper(hayloft_http::LocalUser::new("tester")).max_upload(100_000)
    });
    server.feed("nu1", "nuget");
    let large = nupkg("A", "1.0.0").payload(200_000).build();
    server.put("/api/packages/nu1/upload", &large).refused(413, &["100000"]);
    let declared = "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\n\
        Content-Length: 99999999999\r\nConnection: close\r\n\r\n";
    assert!(server.raw(declared.as_bytes()).starts_with("HTTP/1.1 413"));
    let mut chunked = b"PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n30d40\r\n"
        .to_vec();
    chunked.extend_from_slice(&vec![1; 200_000]);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    assert!(server.raw(&chunked).starts_with("HTTP/1.1 413"));
    server.put("/api/packages/nu1/upload", &nupkg("A", "1.0.0").payload(50_000).build()).done();
    assert_eq!(server.staged(), 0);
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
    server.post("/api/packages/nu1/status?name=A&version=1.0.0-rc.1", r#"{"allow":false}"#).done();
    repackage("feed=nu1&name=A&version=1.0.0-rc.1&newVersion=2.0.0").refused(403, &["blocked"]);

    let history = server.get("/api/packages/nu2/history?name=A&version=1.0.0").json();
    let embedded = history["embedded"]["A.1.0.0.nupkg"].as_array().unwrap();
    assert_eq!(embedded.len(), 2);
    assert!(embedded[0]["id"].as_str().unwrap().starts_with("A:1.0.0-ci.1"));
    assert_eq!(embedded[0]["by"], "tester");
    assert_eq!(embedded[0]["reason"], "by CI");
    let repackagings = history["repackagings"].as_array().unwrap();
    assert_eq!(repackagings.len(), 2);
    assert_eq!(repackagings[1]["fromVersion"], "1.0.0-rc.1");
    assert_eq!(repackagings[1]["toFeed"], "nu2");
    assert_eq!(repackagings[1]["files"][0]["toName"], "A.1.0.0.nupkg");
    let row = server.get("/api/packages/nu2/versions").json();
    assert_eq!(repackagings[1]["files"][0]["toSha256"], row[0]["sha256"]);
    assert_eq!(history["promotions"].as_array().unwrap().len(), 1);
    assert_eq!(history["promotions"][0]["version"], "1.0.0");
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

/// Callers have the rights that their key lists, in all feeds, such as `view+add`; the key
/// `bad` is unknown, and without a key one has none.
#[derive(Debug)]
struct Listed;

impl Gatekeeper for Listed {
    fn identify(&self, _: &Store, credential: Option<&Credential>) -> Result<Caller, Refusal> {
        let (name, anonymous) = match credential {
            None => ("", true),
            Some(Credential::Key(key)) if key != "bad" => (key.as_str(), false),
            Some(_) => return Err(Refusal::Unknown),
        };
        Ok(Caller { name: name.to_owned(), key: None, anonymous })
    }

    fn may(
        &self,
        _: &Store,
        caller: &Caller,
        right: Right,
        feed: Option<&Feed>,
    ) -> Result<bool, StoreError> {
        let right = format!("{right:?}").to_lowercase();
        let feed = feed.map_or("*", |feed| feed.name.as_str());
        Ok(caller
            .name
            .split('+')
            .any(|granted| granted == right || granted == format!("{right}:{feed}")))
    }
}

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
    ask("add", "PUT", "/api/packages/nu1/upload", &bytes).done();
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
        ("add", "PUT", path("/upload"), &bytes),
        ("setstatus", "POST", path(&format!("/status?{id}")), br#"{"listed":true}"#),
        ("view:nu1+add:nu2", "POST", "/api/repackaging/repackage".into(), repackage),
        (
            "view:nu1+download:nu1+acceptpromotion:nu2",
            "POST",
            "/api/promotions/promote".into(),
            promote,
        ),
        ("delete", "POST", path(&format!("/delete?{id}")), b""),
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
    put("add", "nu1", 1).done();
    put("add", "nu1", 1).done();
    put("add", "nu1", 2).refused(403, &["A 1.0.0", "already exists and cannot be overwritten"]);
    put("add+overwrite", "nu1", 2).done();
    put("add", "nu2", 3).done();
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
    let key = [("x-apikey", "add")];
    server.send("PUT", "/api/packages/nu1/upload", &key, &nupkg("A", "1.0.0").build()).done();
    let body = r#"{"API_Key":"view+download+acceptpromotion","fromFeed":"nu1","name":"A","version":"1.0.0","toFeed":"nu2"}"#;
    server.post("/api/promotions/promote", body).done();
    let body = "key=view%2Badd&feed=nu1&name=A&version=1.0.0&newVersion=2.0.0";
    server.post("/api/repackaging/repackage", body).done();
    let status = "/api/packages/nu1/status?name=A&version=1.0.0";
    server.post(status, r#"{"API_Key":"setstatus","listed":false}"#).done();
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
