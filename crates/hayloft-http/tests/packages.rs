#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

mod server;

use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, upack, wheel};
use rstest::rstest;
use serde_json::Value;
use server::Server;

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
