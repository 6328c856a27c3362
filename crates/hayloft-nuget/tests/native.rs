//! The protocol over a feed in memory.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

mod support;

use std::sync::Arc;

use hayloft_feed::native::{
    Action, ActionKind, Change, Edit, Field, Fields, ListingChange, Native, Outcome, Request,
    UploadOrder,
};
use hayloft_feed::{Allow, Deprecation, FeedType, PackageName, Version};
use hayloft_nuget::NuGet;
use hayloft_testkit::MemoryFeed;
use proptest::prelude::*;
use serde_json::{Value, json};

fn feed() -> MemoryFeed {
    MemoryFeed::new(Arc::new(NuGet), "main")
}

fn package(id: &str, version: &str, metadata: &str) -> Vec<u8> {
    let nuspec = format!(
        "<package><metadata><id>{id}</id><version>{version}</version><authors>Ann, Bob</authors>\
         <description>Things &amp; more</description>{metadata}</metadata></package>"
    );
    support::zip(&[("x.nuspec", nuspec.as_bytes())])
}

fn push(feed: &mut MemoryFeed, id: &str, version: &str, metadata: &str) {
    feed.upload("x.nupkg", &package(id, version, metadata));
}

fn name(id: &str) -> PackageName {
    NuGet.package_name("", id).unwrap()
}

fn version(text: &str) -> Version {
    NuGet.version(text).unwrap()
}

fn change(feed: &mut MemoryFeed, id: &str, change: Change) {
    feed.edit(&Edit::new(name(id), vec![change])).unwrap();
}

fn unlist(feed: &mut MemoryFeed, id: &str, text: &str) {
    change(feed, id, Change::List(version(text), ListingChange::Unlist));
}

fn block(feed: &mut MemoryFeed, id: &str, text: &str) {
    change(feed, id, Change::Allow(version(text), Some(Allow::Never)));
}

fn json_of(feed: &mut MemoryFeed, path: &str) -> Value {
    let got = feed.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    serde_json::from_slice(&got.body).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_service_index_has_every_type_that_clients_look_up() {
    let index = json_of(&mut feed(), "/v3/index.json");
    assert_eq!(index["version"], "3.0.0");
    let kinds: Vec<&str> = index["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            assert!(found["@id"].as_str().unwrap().starts_with("http://host/nuget/main/v"));
            found["@type"].as_str().unwrap()
        })
        .collect();
    for kind in [
        "PackageBaseAddress/3.0.0",
        "RegistrationsBaseUrl/3.0.0-beta",
        "RegistrationsBaseUrl/3.4.0",
        "RegistrationsBaseUrl/Versioned",
        "SearchQueryService/3.4.0",
        "SearchAutocompleteService/3.0.0-beta",
        "PackagePublish/2.0.0",
        "PackagePublish/3.0.0-preview.1",
        "SymbolPackagePublish/4.9.0",
        "LegacyGallery/2.0.0",
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    assert!(!kinds.iter().any(|kind| kind.starts_with("RepositorySignatures")));
}

#[test]
fn the_flat_list_has_what_can_be_downloaded() {
    let mut feed = feed();
    for text in ["1.0", "1.0.0-RC.1", "2.0.0.0", "3.0+x"] {
        push(&mut feed, "Acme.Core", text, "");
    }
    unlist(&mut feed, "Acme.Core", "1.0");
    block(&mut feed, "Acme.Core", "3.0");
    let list = json_of(&mut feed, "/v3/flat/ACME.core/index.json");
    assert_eq!(list, json!({ "versions": ["1.0.0-rc.1", "1.0.0", "2.0.0"] }));
    let got = feed.get("/v3/flat/acme.core/1.0.0/Acme.Core.1.0.nupkg");
    assert_eq!((got.status, got.body), (200, package("Acme.Core", "1.0", "")));
    assert_eq!(feed.get("/v3/flat/acme.core/3.0.0/acme.core.3.0.0.nupkg").status, 403);
    assert_eq!(feed.get("/v3/flat/acme.core/3.0.0/acme.core.nuspec").status, 403);
    assert_eq!(feed.get("/v3/flat/acme.core/9.0.0/acme.core.9.0.0.nupkg").status, 404);
    assert_eq!(feed.get("/v3/flat/acme/index.json").status, 404);
    assert_eq!(feed.get("/v3/flat/a*b/index.json").status, 404);
    block(&mut feed, "Acme.Core", "1.0");
    block(&mut feed, "Acme.Core", "1.0.0-RC.1");
    block(&mut feed, "Acme.Core", "2.0");
    assert_eq!(feed.get("/v3/flat/acme.core/index.json").status, 404);
    assert_eq!(feed.get("/v3/registration/acme.core/index.json").status, 404);
}

#[test]
fn what_lies_in_a_package_is_served_beside_it() {
    let mut feed = feed();
    let nuspec = "<package><metadata><id>A</id><version>1.0</version><icon>i.png</icon>\
                  <readme>r.md</readme><license type='file'>l.txt</license></metadata></package>";
    let png = b"\x89PNG\r\n\x1a\n...";
    let bytes = support::zip(&[
        ("A.nuspec", nuspec.as_bytes()),
        ("i.png", png),
        ("r.md", b"# A"),
        ("l.txt", b"free"),
    ]);
    feed.upload("a.nupkg", &bytes);
    feed.upload("a.snupkg", &hayloft_testkit::snupkg("A", "1.0").build());
    for (file, media_type, body) in [
        ("a.nuspec", "application/xml", nuspec.as_bytes()),
        ("icon", "image/png", png),
        ("readme", "text/markdown; charset=utf-8", b"# A"),
        ("license", "text/plain; charset=utf-8", b"free"),
    ] {
        let got = feed.get(&format!("/v3/flat/a/1.0.0/{file}"));
        assert_eq!((got.status, got.media_type.as_str()), (200, media_type), "{file}");
        assert_eq!(got.body, body, "{file}");
    }
    assert_eq!(feed.get("/v3/flat/a/1.0.0/a.1.0.0.nupkg").body, bytes);
    let symbols = feed.get("/v3/flat/a/1.0.0/a.1.0.0.snupkg");
    assert_eq!(symbols.body, hayloft_testkit::snupkg("A", "1.0").build());
    let entry = &json_of(&mut feed, "/v3/registration/a/1.0.0.json")["catalogEntry"];
    for (field, file) in [("iconUrl", "icon"), ("readmeUrl", "readme"), ("licenseUrl", "license")] {
        assert_eq!(entry[field], format!("http://host/nuget/main/v3/flat/a/1.0.0/{file}"));
    }
}

#[test]
fn a_registration_index_tells_everything() {
    let mut feed = feed();
    push(
        &mut feed,
        "Acme.Core",
        "1.0-rc.1+b",
        "<title>T</title><tags>a b</tags><dependencies><group targetFramework='net6.0'>\
         <dependency id='B' version='[1.0,2.0)'/></group></dependencies>",
    );
    let base = "http://host/nuget/main/v3";
    let index = json_of(&mut feed, "/v3/registration/acme.CORE/index.json");
    let url = format!("{base}/registration/acme.core/index.json");
    let leaf = format!("{base}/registration/acme.core/1.0.0-rc.1.json");
    let content = format!("{base}/flat/acme.core/1.0.0-rc.1/acme.core.1.0.0-rc.1.nupkg");
    let entry = json!({
        "@id": leaf, "id": "Acme.Core", "version": "1.0.0-rc.1+b", "packageContent": content,
        "authors": "Ann, Bob", "description": "Things & more",
        "requireLicenseAcceptance": false, "tags": ["a", "b"], "title": "T",
        "dependencyGroups": [{ "targetFramework": "net6.0", "dependencies": [{
            "id": "B", "range": "[1.0.0, 2.0.0)", "registration": format!("{base}/registration/b/index.json"),
        }] }],
        "listed": true, "published": "2026-01-02T03:04:05.000Z",
    });
    let expected = json!({
        "@id": url, "count": 1, "items": [{
            "@id": url, "count": 1, "lower": "1.0.0-rc.1", "upper": "1.0.0-rc.1", "parent": url,
            "items": [{
                "@id": leaf, "catalogEntry": entry, "packageContent": content, "registration": url,
            }],
        }],
    });
    assert_eq!(index, expected);
    let alone = json_of(&mut feed, "/v3/registration/acme.core/1.0-RC.1.json");
    assert_eq!(alone["catalogEntry"], entry);
    assert_eq!(alone["packageContent"], content);
}

#[test]
fn status_shows_in_registration() {
    let mut feed = feed();
    for text in ["1.0", "2.0", "3.0"] {
        push(&mut feed, "A", text, "");
    }
    unlist(&mut feed, "A", "1.0");
    block(&mut feed, "A", "3.0");
    let details = r#"{"reasons":["Legacy"],"alternatePackage":{"id":"B","range":"*"}}"#;
    let reason = Deprecation { reason: Some("old".into()), details: Some(details.into()) };
    change(&mut feed, "A", Change::Deprecate(version("2.0"), Some(reason)));
    let plain = Deprecation { reason: None, details: None };
    change(&mut feed, "A", Change::Deprecate(version("1.0"), Some(plain)));
    let index = json_of(&mut feed, "/v3/registration/a/index.json");
    let items = index["items"][0]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["catalogEntry"]["listed"], false);
    assert_eq!(items[0]["catalogEntry"]["deprecation"], json!({ "reasons": ["Other"] }));
    let expected = json!({
        "reasons": ["Legacy"], "message": "old", "alternatePackage": { "id": "B", "range": "*" },
    });
    assert_eq!(items[1]["catalogEntry"]["deprecation"], expected);
    assert_eq!(feed.get("/v3/registration/a/3.0.0.json").status, 404);
}

#[test]
fn many_versions_are_split_into_pages_that_stay() {
    let mut feed = feed();
    for patch in 0..127 {
        push(&mut feed, "A", &format!("1.0.{patch}"), "");
    }
    let index = json_of(&mut feed, "/v3/registration/a/index.json");
    assert_eq!(index["items"][0]["items"].as_array().unwrap().len(), 127);
    push(&mut feed, "A", "1.0.127", "");
    let index = json_of(&mut feed, "/v3/registration/a/index.json");
    let pages = index["items"].as_array().unwrap();
    assert_eq!((pages.len(), &index["count"]), (2, &json!(2)));
    let bounds =
        |page: &Value| (page["lower"].clone(), page["upper"].clone(), page["count"].clone());
    assert_eq!(bounds(&pages[0]), (json!("1.0.0"), json!("1.0.63"), json!(64)));
    assert_eq!(bounds(&pages[1]), (json!("1.0.64"), json!("1.0.127"), json!(64)));
    assert!(pages[0].get("items").is_none());
    let path = pages[1]["@id"].as_str().unwrap().strip_prefix("http://host/nuget/main").unwrap();
    let page = json_of(&mut feed, path);
    assert_eq!(bounds(&page), bounds(&pages[1]));
    assert_eq!(page["@id"], pages[1]["@id"]);
    assert_eq!(page["items"].as_array().unwrap().len(), 64);
    // A version comes between, and clients still have the old address.
    push(&mut feed, "A", "1.0.100-x", "");
    assert_eq!(json_of(&mut feed, path)["count"], 65);
    for patch in 64..128 {
        change(&mut feed, "A", Change::Remove(version(&format!("1.0.{patch}")), None));
    }
    change(&mut feed, "A", Change::Remove(version("1.0.100-x"), None));
    assert_eq!(json_of(&mut feed, path)["items"], json!([]));
    assert_eq!(feed.get("/v3/registration/b/page/1.0.0/2.0.0.json").status, 404);
    assert_eq!(feed.get("/v3/registration/a/page/1.0.0/x.json").status, 404);
}

#[test]
fn search_shows_what_a_client_can_read() {
    let mut feed = feed();
    push(&mut feed, "Acme.Core", "1.0", "<tags>maths</tags>");
    push(&mut feed, "Acme.Core", "1.1-rc", "");
    push(&mut feed, "Acme.Core", "1.2-rc.1", "");
    push(
        &mut feed,
        "Acme.Tool",
        "1.0",
        "<packageTypes><packageType name='DotnetTool'/></packageTypes>",
    );
    push(&mut feed, "Beta", "1.0-a", "");
    push(&mut feed, "Gone", "1.0", "");
    unlist(&mut feed, "Gone", "1.0");
    let mut found = |query: &str| {
        let page = json_of(&mut feed, &format!("/v3/search?{query}"));
        let data = page["data"].as_array().unwrap();
        let hits: Vec<String> = data
            .iter()
            .map(|hit| {
                format!("{} {}", hit["id"].as_str().unwrap(), hit["version"].as_str().unwrap())
            })
            .collect();
        (page["totalHits"].as_u64().unwrap(), hits.join(", "))
    };
    let hits = |total, text: &str| (total, text.to_owned());
    assert_eq!(found(""), hits(2, "Acme.Core 1.0.0, Acme.Tool 1.0.0"));
    assert_eq!(
        found("prerelease=true"),
        hits(3, "Acme.Core 1.1.0-rc, Acme.Tool 1.0.0, Beta 1.0.0-a")
    );
    assert_eq!(
        found("q=acme.co&prerelease=true&semVerLevel=2.0.0"),
        hits(1, "Acme.Core 1.2.0-rc.1")
    );
    assert_eq!(found("q=tool"), hits(1, "Acme.Tool 1.0.0"));
    assert_eq!(found("q=acme&take=1&skip=1"), hits(2, "Acme.Tool 1.0.0"));
    assert_eq!(found("q=Acme+too"), hits(1, "Acme.Tool 1.0.0"));
    assert_eq!(found("q=gone&prerelease=true"), hits(0, ""));
    assert_eq!(found("packageTypeFilter=DotnetTool"), hits(1, "Acme.Tool 1.0.0"));
    assert_eq!(found("packageType=dependency"), hits(1, "Acme.Core 1.0.0"));
    assert_eq!(found("packageType=dotnet"), hits(0, ""));
    assert_eq!(found("q=things"), hits(2, "Acme.Core 1.0.0, Acme.Tool 1.0.0"));

    let hit = json_of(&mut feed, "/v3/search?q=acme.core&prerelease=true&semVerLevel=2.0.0");
    let hit = &hit["data"][0];
    let versions: Vec<&str> = hit["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["1.0.0", "1.1.0-rc", "1.2.0-rc.1"]);
    assert_eq!(hit["registration"], "http://host/nuget/main/v3/registration/acme.core/index.json");
    assert_eq!(hit["authors"], json!(["Ann", "Bob"]));
    assert_eq!(hit["packageTypes"], json!([{ "name": "Dependency" }]));
}

#[test]
fn autocomplete_tells_ids_or_versions() {
    let mut feed = feed();
    for (id, text) in [("Acme.Core", "1.0"), ("Acme.Core", "2.0-A"), ("Acme.Web", "1.0")] {
        push(&mut feed, id, text, "");
    }
    unlist(&mut feed, "Acme.Web", "1.0");
    let ids = json_of(&mut feed, "/v3/autocomplete?q=acme");
    assert_eq!((texts(&ids["data"]), &ids["totalHits"]), (vec!["Acme.Core"], &json!(1)));
    let versions = json_of(&mut feed, "/v3/autocomplete?id=acme.core&prerelease=true");
    assert_eq!(texts(&versions["data"]), ["1.0.0", "2.0.0-A"]);
    assert_eq!(json_of(&mut feed, "/v3/autocomplete?id=acme.web")["data"], json!([]));
    assert_eq!(json_of(&mut feed, "/v3/autocomplete?id=no.such")["totalHits"], 0);
}

#[test]
fn validators_change_with_what_they_stand_for() {
    let mut feed = feed();
    push(&mut feed, "A", "1.0", "");
    push(&mut feed, "B", "1.0", "");
    let paths = [
        "/v3/flat/a/index.json",
        "/v3/registration/a/index.json",
        "/v3/registration/a/1.0.0.json",
        "/v2/FindPackagesById()?id='a'",
        "/v3/search",
    ];
    let tags = |feed: &mut MemoryFeed| paths.map(|path| feed.get(path).tag.unwrap());
    let first = tags(&mut feed);
    push(&mut feed, "B", "2.0", "");
    let second = tags(&mut feed);
    assert_eq!(first[..4], second[..4]);
    assert_ne!(first[4], second[4]);
    unlist(&mut feed, "A", "1.0");
    let third = tags(&mut feed);
    assert!(second.iter().zip(&third).all(|(one, other)| one != other));
}

fn request<'a>(method: &'a str, path: &'a str, headers: &'a [(String, String)]) -> Request<'a> {
    Request::get(path, "http://host/nuget/main").method(method).headers(headers)
}

fn act(feed: &mut MemoryFeed, method: &str, path: &str, file: Option<&[u8]>) -> (u16, String) {
    let agent = [("user-agent".to_owned(), "NuGet".to_owned())];
    let reply = feed.act(&request(method, path, &agent), &Fields::default(), file);
    (reply.status, reply.reason.unwrap_or_default())
}

#[test]
fn clients_push_delete_and_relist() {
    let mut feed = feed();
    let bytes = package("A", "1.0", "");
    let status = |(status, _): (u16, String)| status;
    assert_eq!(status(act(&mut feed, "PUT", "/v3/package/", Some(&bytes))), 201);
    let again = act(&mut feed, "PUT", "/v3/package", Some(&bytes));
    assert_eq!(again.0, 409);
    assert!(again.1.contains("exists already"), "{}", again.1);
    let symbols = hayloft_testkit::snupkg("A", "1.0").build();
    assert_eq!(status(act(&mut feed, "PUT", "/v3/package/", Some(&symbols))), 400);
    assert_eq!(status(act(&mut feed, "PUT", "/v3/symbolpackage/", Some(&bytes))), 400);
    assert_eq!(status(act(&mut feed, "PUT", "/v3/symbolpackage/", Some(&symbols))), 201);
    assert_eq!(status(act(&mut feed, "PUT", "/v3/symbolpackage/", Some(&symbols))), 201);
    let empty = act(&mut feed, "PUT", "/v3/package/", Some(b""));
    assert_eq!((empty.0, empty.1.as_str()), (400, "the request has no package in its body"));
    for path in ["/v2", "/v2/", "/v2/package", "/v2/package/", "/api/v2/package", "/api/v2/"] {
        let text = format!("2.0.{}", path.len());
        assert_eq!(status(act(&mut feed, "PUT", path, Some(&package("A", &text, "")))), 201);
    }
    assert_eq!(status(act(&mut feed, "DELETE", "/v3/package/a/1.0.0.0", None)), 204);
    assert_eq!(status(act(&mut feed, "DELETE", "/v3/package/A/1.0/", None)), 204);
    let listed = |feed: &mut MemoryFeed| {
        json_of(feed, "/v3/registration/a/1.0.0.json")["listed"].as_bool().unwrap()
    };
    assert!(!listed(&mut feed));
    assert_eq!(status(act(&mut feed, "POST", "/v3/package/A/01.0", None)), 200);
    assert_eq!(status(act(&mut feed, "POST", "/v3/package/A/01.0", None)), 200);
    assert!(listed(&mut feed));
    assert_eq!(status(act(&mut feed, "DELETE", "/v2/A/1.0+meta", None)), 204);
    assert_eq!(status(act(&mut feed, "DELETE", "/v2/package/A/2.0.3", None)), 204);
    assert_eq!(status(act(&mut feed, "POST", "/api/v2/package/A/2.0.3", None)), 200);
    assert_eq!(status(act(&mut feed, "PUT", "/api/v2/symbolpackage", Some(&symbols))), 201);
    for path in ["/v3/package/A/9.0", "/v3/package/B/1.0", "/v3/package/A/x", "/v3/package/a*/1.0"]
    {
        assert_eq!(status(act(&mut feed, "DELETE", path, None)), 404, "{path}");
    }
    assert_eq!(status(act(&mut feed, "PATCH", "/v3/package/A/1.0", None)), 405);
    assert_eq!(status(act(&mut feed, "POST", "/v3/package/", Some(&bytes))), 405);
    feed.deletes(ListingChange::Delete);
    assert_eq!(status(act(&mut feed, "DELETE", "/v3/package/A/1.0", None)), 204);
    assert_eq!(feed.get("/v3/registration/a/1.0.0.json").status, 404);
    feed.assert_rebuilds_equally();
}

#[test]
fn warnings_are_headers() {
    let mut feed = feed();
    let bytes = package("A", "1.0", "<projectUrl>javascript:x\u{e4}</projectUrl>");
    let reply = feed.act(&request("PUT", "/v3/package/", &[]), &Fields::default(), Some(&bytes));
    assert_eq!(reply.status, 201);
    let [(name, text)] = &reply.headers[..] else { panic!("one warning: {:?}", reply.headers) };
    assert_eq!(*name, "x-nuget-warning");
    assert!(text.is_ascii() && text.contains("`projectUrl` is left out"), "{text}");
}

fn deprecate(feed: &mut MemoryFeed, id: &str, body: &Value) -> (u16, String) {
    let agent = [("user-agent".to_owned(), "x".to_owned())];
    let fields = Fields(vec![Field { path: Vec::new(), value: body.to_string() }]);
    let path = format!("/v3/package/{id}/deprecations");
    let reply = feed.act(&request("PUT", &path, &agent), &fields, None);
    (reply.status, reply.reason.unwrap_or_default())
}

#[test]
fn versions_are_deprecated_all_or_none() {
    let mut feed = feed();
    for text in ["1.0", "2.0", "3.0"] {
        push(&mut feed, "A", text, "");
    }
    push(&mut feed, "B", "1.5", "");
    let deprecation = |feed: &mut MemoryFeed, text: &str| {
        json_of(feed, &format!("/v3/registration/a/{text}.json"))["catalogEntry"]["deprecation"]
            .clone()
    };
    let body = json!({
        "versions": ["1.0", "01.0.0.0", "2.0"], "isLegacy": true, "HASCRITICALBUGS": true,
        "message": "old", "alternatePackageId": "b", "alternatePackageVersion": "1.5",
        "listedVerb": "Unlist",
    });
    assert_eq!(deprecate(&mut feed, "a", &body).0, 200);
    let expected = json!({
        "reasons": ["Legacy", "CriticalBugs"], "message": "old",
        "alternatePackage": { "id": "B", "range": "[1.5.0, )" },
    });
    assert_eq!(deprecation(&mut feed, "1.0.0"), expected);
    assert_eq!(deprecation(&mut feed, "2.0.0"), expected);
    assert_eq!(deprecation(&mut feed, "3.0.0"), Value::Null);
    let leaf = json_of(&mut feed, "/v3/registration/a/2.0.0.json");
    assert_eq!(leaf["listed"], false);
    for (status, body) in [
        (404, json!({ "versions": ["3.0", "9.0"], "isLegacy": true })),
        (404, json!({ "versions": ["3.0", "x"], "isLegacy": true })),
        (400, json!({ "versions": [], "isLegacy": true })),
        (400, json!({ "versions": ["3.0"], "isOther": true })),
        (400, json!({ "versions": ["3.0"], "isLegacy": true, "alternatePackageId": "A" })),
        (404, json!({ "versions": ["3.0"], "isLegacy": true, "alternatePackageId": "Z" })),
        (400, json!({ "versions": ["3.0"], "isLegacy": true, "alternatePackageVersion": "1.0" })),
        (
            400,
            json!({
                "versions": ["3.0"], "isLegacy": true, "alternatePackageId": "A",
                "alternatePackageVersion": "3.0.0",
            }),
        ),
        (400, json!([1])),
    ] {
        let (found, reason) = deprecate(&mut feed, "A", &body);
        assert_eq!(found, status, "{body}: {reason}");
        assert!(!reason.is_empty());
    }
    assert_eq!(deprecate(&mut feed, "Z", &body).0, 404);
    assert_eq!(deprecation(&mut feed, "3.0.0"), Value::Null);
    let own = json!({
        "versions": ["1.0"], "isOther": true, "message": "m", "alternatePackageId": "A",
        "alternatePackageVersion": "3.0",
    });
    assert_eq!(deprecate(&mut feed, "A", &own).0, 200);
    let undo = json!({ "versions": ["1.0", "2.0"], "listedVerb": "relist", "message": "gone" });
    assert_eq!(deprecate(&mut feed, "A", &undo).0, 200);
    assert_eq!(deprecation(&mut feed, "1.0.0"), Value::Null);
    assert_eq!(json_of(&mut feed, "/v3/registration/a/2.0.0.json")["listed"], true);
    let nobody = feed.act(
        &request("PUT", "/v3/package/A/deprecations", &[]),
        &Fields(vec![Field { path: Vec::new(), value: undo.to_string() }]),
        None,
    );
    assert_eq!(nobody.status, 400, "a User-Agent is needed");
}

#[test]
fn samples_and_paths_are_known() {
    let mut feed = feed();
    push(&mut feed, "a", "1.0.0", "");
    push(&mut feed, "a", "2.0.0", "");
    let native: &dyn Native = &NuGet;
    for sample in native.samples() {
        let (path, query) = sample.path.split_once('?').unwrap_or((&sample.path, ""));
        let agent = [("user-agent".to_owned(), "x".to_owned())];
        let asked = request(sample.method, path, &agent).query(query);
        let intake = native.route(&asked).unwrap();
        assert_eq!(intake.as_ref().map(|intake| intake.least), sample.action, "{}", sample.path);
        if sample.action.is_none() {
            let got = feed.get(&sample.path);
            let absent = ["snupkg", "/icon", "/readme", "/license"];
            let expected = if absent.iter().any(|end| path.ends_with(end)) { 404 } else { 200 };
            assert_eq!(got.status, expected, "{}: {}", sample.path, got.text());
        }
    }
    let head = hayloft_feed::native::FeedView::package(&feed, name("a").key()).unwrap().unwrap();
    let mut paths = Vec::new();
    native.paths(&feed, Some(&head), &mut |path| paths.push(path.to_owned())).unwrap();
    native.paths(&feed, None, &mut |path| paths.push(path.to_owned())).unwrap();
    assert_eq!(paths.len(), 2 * 3 + 2 + 1);
    for path in paths {
        assert_eq!(feed.get(&path).status, 200, "{path}");
    }
}

#[test]
fn reads_of_what_is_written_to_are_refused() {
    let mut feed = feed();
    for path in
        ["/v3/package", "/v3/symbolpackage/", "/v3/package/a/1.0", "/v3/package/a/deprecations"]
    {
        assert_eq!(feed.get(path).status, 405, "{path}");
    }
    for path in
        ["", "/", "/v3", "/v3/x", "/v4/index.json", "/v3/flat/a", "/%ff", "/v3/flat/a/1.0/../x"]
    {
        assert_eq!(feed.get(path).status, 404, "{path}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, usize, bool),
    Symbols(usize, usize),
    Unlist(usize, usize),
    List(usize, usize),
    Block(usize, usize),
    Allow(usize, usize),
    Deprecate(usize, usize),
    Remove(usize, usize),
    RemoveAll(usize),
}

const IDS: [&str; 3] = ["Acme.Core", "acme.web", "B"];
const VERSIONS: [&str; 7] = ["1.0", "1.0-a", "1.1-rc.1", "1.2+x", "0.9", "1.0.0.1", "1.0.0--1"];

fn step() -> impl Strategy<Value = Step> {
    let at = || (0..IDS.len(), 0..VERSIONS.len());
    prop_oneof![
        6 => (at(), any::<bool>()).prop_map(|((id, at), deep)| Step::Push(id, at, deep)),
        1 => at().prop_map(|(id, at)| Step::Symbols(id, at)),
        2 => at().prop_map(|(id, at)| Step::Unlist(id, at)),
        1 => at().prop_map(|(id, at)| Step::List(id, at)),
        2 => at().prop_map(|(id, at)| Step::Block(id, at)),
        1 => at().prop_map(|(id, at)| Step::Allow(id, at)),
        1 => at().prop_map(|(id, at)| Step::Deprecate(id, at)),
        2 => at().prop_map(|(id, at)| Step::Remove(id, at)),
        1 => (0..IDS.len()).prop_map(Step::RemoveAll),
    ]
}

fn apply(feed: &mut MemoryFeed, step: &Step) {
    let mut edit = |id: usize, change: Change| {
        // What is not there stays as it is.
        let _ = feed.edit(&Edit::new(name(IDS[id]), vec![change]));
    };
    let at = |at: usize| version(VERSIONS[at]);
    match *step {
        Step::Push(id, at, deep) => {
            let needs = "<dependencies><dependency id='X' version='1.0-a.b'/></dependencies>";
            let bytes = package(IDS[id], VERSIONS[at], if deep { needs } else { "" });
            let _ = feed.store(&UploadOrder::default(), &bytes);
        }
        Step::Symbols(id, at) => {
            let name = hayloft_feed::native::FeedView::package(feed, name(IDS[id]).key()).unwrap();
            let versions = name.is_some_and(|_| {
                let path = format!("/v3/flat/{}/{}/x.nupkg", IDS[id], VERSIONS[at]);
                feed.get(&path).status == 200
            });
            if versions {
                let bytes = hayloft_testkit::snupkg(IDS[id], VERSIONS[at]).build();
                let _ = feed.store(&UploadOrder::default(), &bytes);
            }
        }
        Step::Unlist(id, v) => edit(id, Change::List(at(v), ListingChange::Unlist)),
        Step::List(id, v) => edit(id, Change::List(at(v), ListingChange::List)),
        Step::Block(id, v) => edit(id, Change::Allow(at(v), Some(Allow::Never))),
        Step::Allow(id, v) => edit(id, Change::Allow(at(v), None)),
        Step::Deprecate(id, v) => edit(id, Change::Deprecate(at(v), Some(Deprecation::default()))),
        Step::Remove(id, v) => edit(id, Change::Remove(at(v), None)),
        Step::RemoveAll(id) => edit(id, Change::RemoveAll),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_derived_step_by_step_is_what_is_derived_at_once(
        steps in prop::collection::vec(step(), 0..30)
    ) {
        let mut feed = feed();
        for step in &steps {
            apply(&mut feed, step);
        }
        feed.assert_rebuilds_equally();
        // Search and lists of versions agree about what is to be seen.
        for query in ["", "prerelease=true", "semVerLevel=2.0.0", "prerelease=true&semVerLevel=2.0.0"] {
            let page = json_of(&mut feed, &format!("/v3/search?{query}"));
            let hits = page["data"].as_array().unwrap().clone();
            prop_assert_eq!(page["totalHits"].as_u64(), u64::try_from(hits.len()).ok());
            for id in IDS {
                let versions = json_of(&mut feed, &format!("/v3/autocomplete?id={id}&{query}"));
                let versions = texts(&versions["data"]);
                let hit = hits.iter().find(|hit| hit["id"].as_str().unwrap().eq_ignore_ascii_case(id));
                prop_assert_eq!(hit.is_some(), !versions.is_empty(), "{} {}", id, query);
                if let Some(hit) = hit {
                    let shown = hit["version"].as_str().unwrap();
                    let shown = shown.split('+').next().unwrap();
                    prop_assert_eq!(Some(&shown), versions.last());
                }
            }
        }
    }
}

#[test]
fn actions_are_of_the_kind_that_their_rights_need() {
    let native: &dyn Native = &NuGet;
    let feed = feed();
    let fields = Fields::default();
    let delete = request("DELETE", "/v2/a/1.0", &[]);
    let action = native.decide(&feed, &delete, &fields, None).unwrap();
    assert_eq!(action.kind(), ActionKind::Delete);
    assert!(matches!(action, Action::Edit(_)));
    let outcome = Outcome::Answered;
    assert_eq!(native.answer(&delete, &action, &outcome).status, 204);
}
