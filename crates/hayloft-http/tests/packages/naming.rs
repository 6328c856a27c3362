//! How requests name packages.

use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, upack, wheel};
use rstest::rstest;
use serde_json::Value;

use crate::server::Server;
use crate::{encoded, listed, nuget};

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
    assert_eq!(purl.split_once('?').map(|(_, behind)| behind), qualifier.as_str());
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

#[test]
fn what_names_no_package_is_refused_with_the_reason() {
    let server = nuget(&["1.0.0"]);
    let table: &[(&str, &str, u16, &[&str])] = &[
        ("no name", "version=1.0.0", 400, &["`name`"]),
        ("no version", "name=A", 400, &["`version`"]),
        ("empty version", "name=A&version=", 400, &["`version`"]),
        ("no such version", "name=A&version=9.9.9", 404, &["`A 9.9.9`", "nu1"]),
        ("no such package", "name=B&version=1.0.0", 404, &["`B 1.0.0`"]),
        ("group without meaning", "name=A&version=1.0.0&group=g", 400, &["no group"]),
        ("qualifier without meaning", "name=A&version=1.0.0&arch=amd64", 400, &["qualifier"]),
        ("half qualifier", "name=A&version=1.0.0&qualifier=arch", 400, &["qualifier", "key=value"]),
        (
            "repeated qualifier",
            "name=A&version=1.0.0&qualifier=a%3D1%26a%3D2",
            400,
            &["more than once"],
        ),
        (
            "contradicting qualifiers",
            "name=A&version=1.0.0&qualifier=file%3Da&file=b",
            400,
            &["more than once"],
        ),
        ("no purl", "purl=A%401.0.0", 400, &["package URL"]),
        ("purl of another type", "purl=pkg:npm/A@1.0.0", 400, &["nuget"]),
        ("purl without version", "purl=pkg:nuget/A", 400, &["`version`"]),
        ("purl and other name", "purl=pkg:nuget/A@1.0.0&name=B", 400, &["purl", "name"]),
        (
            "purl and other version",
            "purl=pkg:nuget/A@1.0.0&version=2.0.0",
            400,
            &["purl", "version"],
        ),
        ("no text", "name=%ff&version=1.0.0", 400, &["UTF-8"]),
        ("bad version", "name=A&version=not%20one", 400, &["version"]),
    ];
    for (case, query, status, words) in table {
        println!("{case}");
        server.get(&format!("/api/packages/nu1/download?{query}")).refused(*status, words);
        server.get(&format!("/api/packages/nu1/metadata?{query}")).refused(*status, words);
        server.post(&format!("/api/packages/nu1/delete?{query}"), "").refused(*status, words);
    }
    assert_eq!(listed(&server.get("/api/packages/nu1/versions")), ["1.0.0"]);
}

#[test]
fn one_package_has_many_names() {
    let server = nuget(&["1.0.0"]);
    let table = [
        ("as equal versions", "purl=pkg:nuget/a@1.0&version=1.0.0.0&name=A"),
        ("in upper case", "NAME=a&VERSION=1.0.0&GROUP="),
        ("by alias", "package=A&version=1.0.0"),
    ];
    for (case, query) in table {
        println!("{case}");
        server.get(&format!("/api/packages/nu1/download?{query}")).done();
    }
}

#[test]
fn npm_scopes_are_found_in_all_spellings() {
    let server = Server::start();
    server.feed("npm1", "npm");
    let bytes = npm_tgz("@babel/runtime", "7.25.0").build();
    server.put("/api/packages/npm1/upload", &bytes).done();
    let table = [
        ("scope", "name=runtime&version=7.25.0&group=%40babel"),
        ("scope escaped twice", "name=runtime&version=7.25.0&group=%2540babel"),
        ("bare scope", "name=runtime&version=7.25.0&scope=babel"),
        ("in the name", "name=%40babel/runtime&version=7.25.0"),
        ("raw purl", "purl=pkg:npm/@babel/runtime@7.25.0"),
        ("purl with bare scope", "purl=pkg:npm/babel/runtime@7.25.0"),
        (
            "purl that repeats the rest",
            "purl=pkg:npm/%2540babel/runtime@7.25.0&group=babel&name=runtime&version=7.25.0",
        ),
    ];
    for (case, query) in table {
        let answer = server.get(&format!("/api/packages/npm1/download?{query}"));
        assert_eq!(answer.body, bytes, "{case}");
    }
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

#[test]
fn debian_files_are_found_by_qualifiers_in_all_spellings() {
    let server = debian();
    let bytes = deb("python3", "1:3.9.2-3+b1", "amd64").build();
    let table = [
        (
            "encoded twice",
            "version=1%3A3.9.2-3%2Bb1&qualifier=arch%3Damd64%26component%3Dmain%26distro%3Dstable",
        ),
        (
            "ampersands left raw",
            "version=1:3.9.2-3+b1&qualifier=arch=amd64&component=main&distro=stable",
        ),
        ("loose", "version=1%3A3.9.2-3%2Bb1&arch=AMD64"),
        ("component as group", "version=1%3A3.9.2-3%2Bb1&group=main&qualifier=arch%3Damd64"),
        (
            "raw purl",
            "purl=pkg:deb/debian/python3@1:3.9.2-3+b1?arch=amd64&component=main&distro=stable",
        ),
    ];
    for (case, query) in table {
        let answer = server.get(&format!("/api/packages/deb1/download?name=python3&{query}"));
        assert_eq!(answer.body, bytes, "{case}: {}", String::from_utf8_lossy(&answer.body));
    }
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
