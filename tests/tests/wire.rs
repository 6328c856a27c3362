//! What pgutil sends, byte for byte, to a real server on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, sdist, upack, wheel};
use hayloft_tests::{Body, Request, Server, sha256};
use serde_json::{Value, json};
use tempfile::TempDir;

const FORBIDDEN: &str =
    "The specified API key does not have the proper permissions to perform this action.";

/// Every property that a listed version has, sorted.
const VERSION_INFO: [&str; 18] = [
    "allowDownload",
    "deprecated",
    "deprecationReason",
    "downloads",
    "group",
    "listed",
    "md5",
    "name",
    "published",
    "publishedBy",
    "purl",
    "qualifier",
    "sha1",
    "sha256",
    "sha512",
    "size",
    "totalDownloads",
    "version",
];

/// One feed of each type.
fn with_feeds() -> (TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("store"));
    // The spellings that pgutil sends.
    for (name, feed_type) in [
        ("nu1", "NuGet"),
        ("npm1", "npm"),
        ("npm2", "npm"),
        ("py1", "PyPI"),
        ("deb1", "Debian"),
        ("gem1", "RubyGems"),
        ("up1", "Universal"),
    ] {
        server.create_feed(name, feed_type);
    }
    (directory, server)
}

fn put(server: &Server, target: &str, package: &Package) -> Vec<u8> {
    let bytes = package.build();
    server.send(Request::put(target, bytes.clone())).expect(200);
    bytes
}

/// Sends a request whose answer clients look at for its status only.
fn done(server: &Server, request: Request) {
    server.send(request).expect(200);
}

#[test]
fn every_answer_tells_the_version_that_clients_look_for() {
    let (_directory, server) = with_feeds();
    for (request, status) in [
        (Request::get("/health"), 200),
        (Request::get("/api/packages/nu1").key(&server.key), 200),
        (Request::get("/api/packages/nu1/versions"), 403),
        (Request::get("/nuget/nu1/v3/flat/a/index.json"), 401),
        (Request::get("/no/such/path"), 404),
    ] {
        let answer = request.send(server.address).expect(status);
        assert_eq!(answer.header("x-proget-version"), Some("25.0.10"), "{request:?}");
        assert_eq!(answer.header("x-proget-edition"), Some("Enterprise"), "{request:?}");
        assert_eq!(answer.header("location"), None);
    }
}

/// A package of one type, and what the API calls it.
struct Case {
    feed: &'static str,
    types: (&'static str, &'static str),
    /// What follows `upload`; a terminal's pgutil sends the file name for every type, unescaped.
    upload: &'static str,
    package: Package,
    file_name: &'static str,
    query: &'static str,
    purl: &'static str,
    qualifier: Option<&'static str>,
}

fn cases() -> [Case; 6] {
    [
        Case {
            feed: "nu1",
            types: ("nuget", "nuget"),
            upload: "",
            package: nupkg("A.B", "1.0.0"),
            file_name: "A.B.1.0.0.nupkg",
            query: "name=A.B&version=1.0.0",
            purl: "pkg:nuget/A.B@1.0.0",
            qualifier: None,
        },
        Case {
            feed: "npm1",
            types: ("npm", "npm"),
            upload: "/babel-runtime-7.25.0.tgz",
            package: npm_tgz("@babel/runtime", "7.25.0"),
            file_name: "runtime-7.25.0.tgz",
            query: "name=runtime&version=7.25.0&group=%40babel",
            purl: "pkg:npm/%40babel/runtime@7.25.0",
            qualifier: None,
        },
        Case {
            feed: "py1",
            types: ("pypi", "pypi"),
            upload: "/django-5.0.6.tar.gz",
            package: sdist("Django", "5.0.6"),
            file_name: "django-5.0.6.tar.gz",
            query: "name=Django&version=5.0.6&qualifier=file%3Ddjango-5.0.6.tar.gz",
            purl: "pkg:pypi/django@5.0.6?file=django-5.0.6.tar.gz",
            qualifier: Some("file=django-5.0.6.tar.gz"),
        },
        Case {
            feed: "deb1",
            types: ("debian", "deb"),
            upload: "/x?distribution=stable",
            package: deb("python3", "1:3.9.2-3", "amd64"),
            file_name: "python3_3.9.2-3_amd64.deb",
            query: "name=python3&version=1%3A3.9.2-3&\
                    qualifier=arch%3Damd64%26component%3Dmain%26distro%3Dstable",
            purl: "pkg:deb/python3@1%3A3.9.2-3?arch=amd64&component=main&distro=stable",
            qualifier: Some("arch=amd64&component=main&distro=stable"),
        },
        Case {
            feed: "gem1",
            types: ("rubygems", "gem"),
            upload: "",
            package: gem("nokogiri", "1.15.0", "x86_64-linux"),
            file_name: "nokogiri-1.15.0-x86_64-linux.gem",
            query: "name=nokogiri&version=1.15.0&qualifier=platform%3Dx86_64-linux",
            purl: "pkg:gem/nokogiri@1.15.0?platform=x86_64-linux",
            qualifier: Some("platform=x86_64-linux"),
        },
        Case {
            feed: "up1",
            types: ("universal", "upack"),
            upload: "/ABLast-2.2.1.upack",
            package: upack("initrode/vendors", "ABLast", "2.2.1"),
            file_name: "ABLast-2.2.1.upack",
            query: "name=ABLast&version=2.2.1&group=initrode%2Fvendors",
            purl: "pkg:upack/initrode/vendors/ABLast@2.2.1",
            qualifier: None,
        },
    ]
}

#[test]
fn pgutil_finds_its_way_with_packages_of_every_type() {
    let (_directory, server) = with_feeds();
    for case in cases() {
        let Case { feed, query, file_name, .. } = case;
        let feed = format!("/api/packages/{feed}");
        let bytes = put(&server, &format!("{feed}/upload{}", case.upload), &case.package);

        let info = server.get(&feed).json();
        let types = (info["feedType"].as_str().unwrap(), info["packageType"].as_str().unwrap());
        assert_eq!((info["name"].as_str().unwrap(), types), (case.feed, case.types));
        assert!(info["id"].is_u64());
        let listed = server.list(&format!("{feed}/versions?{query}"));
        assert_eq!(listed.len(), 1, "{feed}: {listed:?}");
        assert_eq!(server.list(&format!("{feed}/latest")), listed, "{feed}");
        assert_version_info(&listed[0], &case, &bytes);

        let target = format!("{feed}/download?{query}");
        server.send(Request::get(&target)).assert_download(file_name, &bytes);
        let head = server.send(Request::new("HEAD", &target)).expect(200);
        assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()));
        assert_eq!(head.body, b"");
        // HEAD does not count.
        let counted = &server.list(&format!("{feed}/versions?{query}"))[0];
        assert_eq!((&counted["downloads"], &counted["totalDownloads"]), (&json!(1), &json!(1)));
        let purl = listed[0]["purl"].as_str().unwrap().replace('%', "%25").replace('&', "%26");
        server
            .send(Request::get(&format!("{feed}/download?purl={purl}")))
            .assert_download(file_name, &bytes);

        let audit = server.send(Request::post(&format!("{feed}/audit?{query}"))).expect(200).json();
        assert_eq!(audit["statusText"], "Compliant");
        assert_eq!(audit["resultCode"], "C");
        let metadata = server.get(&format!("{feed}/metadata?{query}")).json();
        assert_eq!(metadata["state"], "Local");
        assert_eq!(metadata["status"]["allowDownload"], true);

        let delete = format!("{feed}/delete?{query}");
        done(&server, Request::post(&delete));
        assert_eq!(server.get(&format!("{feed}/versions")).text(), "[]");
        server.send(Request::get(&target)).error(404);
        server.send(Request::post(&delete)).error(404);
    }
}

fn assert_version_info(entry: &Value, case: &Case, bytes: &[u8]) {
    let mut keys: Vec<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, VERSION_INFO, "{entry}");
    assert_eq!(entry["purl"], case.purl);
    assert_eq!(entry["qualifier"], case.qualifier.map_or(Value::Null, Value::from), "{entry}");
    assert_eq!(entry["sha256"], sha256(bytes));
    assert_eq!(entry["allowDownload"], Value::Null);
    assert_eq!(entry["publishedBy"], "admin");
    let published = entry["published"].as_str().unwrap();
    assert_eq!(published.len(), "2024-05-28T09:14:31.313Z".len(), "{published}");
    assert!(published.ends_with('Z') && published.as_bytes()[19] == b'.', "{published}");
}

#[test]
fn file_names_with_a_plus_survive_being_escaped_twice() {
    let (_directory, server) = with_feeds();
    let package = wheel("local", "1.2.3+corp.4");
    let name = package.file_name();
    let bytes = put(&server, &format!("/api/packages/py1/upload/{name}"), &package);
    assert!(name.contains('+'));
    let twice = name.replace('+', "%252B");
    for query in [
        format!("name=local&version=1.2.3%2Bcorp.4&qualifier=file%3D{twice}"),
        // An unescaped plus sign reads as a blank.
        format!("name=local&version=1.2.3+corp.4&qualifier=file%3D{twice}"),
        format!("name=LOCAL&version=1.2.3%2Bcorp.4&filename={}", name.replace('+', "%2B")),
    ] {
        let answer = server.send(Request::get(&format!("/api/packages/py1/download?{query}")));
        answer.assert_download(&name, &bytes);
    }
}

#[test]
fn status_is_changed_as_pgutil_asks() {
    let (_directory, server) = with_feeds();
    put(&server, "/api/packages/nu1/upload", &nupkg("A", "1.0.0"));
    let target = "/api/packages/nu1/status?name=A&version=1.0.0";
    let status = |body: &str| {
        done(&server, Request::new("POST", target).json(body));
        let entry = server.list("/api/packages/nu1/versions?name=A").remove(0);
        ["listed", "allowDownload", "deprecated", "deprecationReason"].map(|key| entry[key].clone())
    };
    let (yes, no, null) = (json!(true), json!(false), Value::Null);
    assert_eq!(status(r#"{"listed":false}"#), [&no, &null, &no, &null].map(Clone::clone));
    assert_eq!(status(r#"{"allow":false}"#), [&no, &no, &no, &null].map(Clone::clone));
    let blocked = server.send(Request::get("/api/packages/nu1/download?name=A&version=1.0.0"));
    assert_ne!(blocked.error(403), FORBIDDEN);
    for (path, body) in [
        (
            "/api/repackaging/repackage",
            r#"{"feed":"nu1","name":"A","version":"1.0.0","newVersion":"2.0.0"}"#,
        ),
        (
            "/api/promotions/promote",
            r#"{"fromFeed":"nu1","name":"A","version":"1.0.0","toFeed":"nu2"}"#,
        ),
    ] {
        if path.contains("promote") {
            server.create_feed("nu2", "nuget");
        }
        let refused = server.send(Request::new("POST", path).json(body));
        assert_ne!(refused.error(403), FORBIDDEN, "{path}");
    }
    // `packages status blocked --state=notset`
    assert_eq!(status("{}"), [&no, &null, &no, &null].map(Clone::clone));
    assert_eq!(status(r#"{"allow":true}"#), [&no, &yes, &no, &null].map(Clone::clone));
    let reason = json!("Legacy Package");
    assert_eq!(
        status(r#"{"deprecated":true,"deprecationReason":"Legacy Package"}"#),
        [&no, &yes, &yes, &reason].map(Clone::clone)
    );
    // The published object, with the names of the first releases and JSON under a form's type.
    let form = Request::new("PUT", target)
        .form(r#" {"listed": true, "allow": null, "deprecated": false}"#);
    done(&server, form);
    assert_eq!(status(r#"{"listed":true}"#), [&yes, &null, &no, &null].map(Clone::clone));
}

#[test]
fn packages_are_repackaged_and_promoted_as_json_and_as_forms() {
    let (_directory, server) = with_feeds();
    put(&server, "/api/packages/nu1/upload", &nupkg("A", "1.0.0-rc.1"));
    let repackage = |request: Request| server.send(request);
    let path = "/api/repackaging/repackage";
    let form = "feed=nu1&packageName=A&version=1.0.0-rc.1&newVersion=1.0.0&comments=by+CI";
    done(&server, Request::new("POST", path).form(form));
    let again = repackage(Request::new("POST", path).form(form));
    let text = again.error(400);
    assert!(text.contains("A 1.0.0") && text.contains("exists"), "{text}");
    let history = server.get("/api/packages/nu1/history?name=A&version=1.0.0").text().to_owned();
    assert!(history.contains("by CI"), "{history}");
    let body =
        r#"{"feed":"nu1","name":"A","version":"1.0.0-rc.1","newVersion":"2.0.0","comments":"x"}"#;
    done(&server, Request::new("POST", path).json(body));
    for (body, status, words) in [
        (r#"{"feed":"nu1","name":"A","version":"1.0.0"}"#, 400, "newVersion"),
        (r#"{"feed":"nu1","version":"1.0.0","newVersion":"3"}"#, 400, "name"),
        (r#"{"name":"A","version":"1.0.0","newVersion":"3"}"#, 400, "feed"),
        (r#"{"feed":"nu1","name":"A","version":"1.0.0","newVersion":"1.0"}"#, 400, "1.0"),
        (r#"{"feed":"nu1","name":"A","version":"1.0.0","newVersion":"one"}"#, 400, "`one`"),
        (r#"{"feed":"nu1","name":"A","version":"latest","newVersion":"9"}"#, 400, "latest"),
        (r#"{"feed":"nu1","name":"B","version":"1.0.0","newVersion":"9"}"#, 404, "B 1.0.0"),
        (
            r#"{"feed":"none","name":"A","version":"1.0.0","newVersion":"9"}"#,
            404,
            "Feed none not found.",
        ),
        (
            r#"{"feed":"nu1","name":"A","version":"1.0.0","newVersion":"9","toFeed":"npm1"}"#,
            400,
            "npm1",
        ),
    ] {
        let refused = repackage(Request::new("POST", path).json(body));
        let text = refused.error(status);
        assert!(text.contains(words), "{body}: {text}");
    }
    assert_eq!(server.list("/api/packages/nu1/versions").len(), 3);

    for version in ["1.0.0", "2.0.0-beta"] {
        put(&server, "/api/packages/npm1/upload", &npm_tgz("@x/y", version));
    }
    let path = "/api/promotions/promote";
    let body =
        r#"{"fromFeed":"npm1","group":"@x","name":"y","version":"latest-stable","toFeed":"npm2"}"#;
    done(&server, Request::new("POST", path).json(body));
    // The scope as documents write it; here `latest` is the highest of all.
    let form = "name=y&group=x&version=latest&fromFeed=npm1&toFeed=npm2&comments=approved+by+admin";
    done(&server, Request::new("POST", path).form(form));
    let there = server.list("/api/packages/npm2/versions?group=x&name=y");
    let versions: Vec<_> = there.iter().map(|entry| entry["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["2.0.0-beta", "1.0.0"]);
    for (body, status, words) in [
        (r#"{"fromFeed":"npm1","name":"@x/y","version":"1.0.0","toFeed":"npm1"}"#, 400, "npm1"),
        (r#"{"fromFeed":"npm1","name":"@x/y","version":"1.0.0","toFeed":"nu1"}"#, 400, "nu1"),
        (r#"{"fromFeed":"npm1","name":"@x/y","version":"1.0.0"}"#, 400, "toFeed"),
        (r#"{"name":"@x/y","version":"1.0.0","toFeed":"npm2"}"#, 400, "fromFeed"),
        (r#"{"fromFeed":"npm1","name":"@x/y","toFeed":"npm2"}"#, 400, "version"),
        (r#"{"fromFeed":"npm1","name":"@x/y","version":"7.0.0","toFeed":"npm2"}"#, 404, "7.0.0"),
    ] {
        let refused = server.send(Request::new("POST", path).json(body));
        let text = refused.error(status);
        assert!(text.contains(words), "{body}: {text}");
    }
    for query in ["package=y&group=%40x", "packageName=y&groupName=x", "toFeed=npm2", ""] {
        let found = server.list(&format!("/api/promotions/list?{query}"));
        assert_eq!(found.len(), 2, "{query}: {found:?}");
        for package in &found {
            for (one, other, value) in
                [("package", "packageName", "y"), ("group", "groupName", "@x")]
            {
                assert_eq!(package[one], value, "{package}");
                assert_eq!(package[other], value, "{package}");
            }
            assert_eq!(package["packageType"], "npm");
            let promotion = &package["promotions"][0];
            assert_eq!(
                (&promotion["fromFeed"], &promotion["toFeed"]),
                (&json!("npm1"), &json!("npm2"))
            );
            assert_eq!(promotion["user"], "admin");
            assert!(promotion["id"].is_u64() && promotion["date"].is_string());
        }
    }
    let found = server.list("/api/promotions/list?package=y&version=1.0.0");
    assert_eq!(found[0]["promotions"][0]["comments"], "");
    assert_eq!(server.get("/api/promotions/list?package=none").text(), "[]");
}

#[test]
fn latest_and_stable_are_as_each_endpoint_means_them() {
    let (_directory, server) = with_feeds();
    for version in ["1.0.0", "2.0.0-rc.1"] {
        put(&server, "/api/packages/nu1/upload", &nupkg("A.B", version));
    }
    put(&server, "/api/packages/nu1/upload", &nupkg("Only.Candidates", "1.0.0-a"));
    let versions = |target: &str| -> Vec<String> {
        let listed = server.list(target);
        listed.iter().map(|entry| entry["version"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(versions("/api/packages/nu1/latest?name=A.B&stableOnly=True"), ["1.0.0"]);
    assert_eq!(versions("/api/packages/nu1/latest?name=a.b&stableOnly=False"), ["2.0.0-rc.1"]);
    assert_eq!(versions("/api/packages/nu1/latest?stableOnly=true"), ["1.0.0"]);
    assert_eq!(versions("/api/packages/nu1/latest"), ["2.0.0-rc.1", "1.0.0-a"]);
    assert_eq!(versions("/api/packages/nu1/versions?name=A.B"), ["2.0.0-rc.1", "1.0.0"]);
    assert_eq!(server.get("/api/packages/nu1/versions?name=none").text(), "[]");
    for (word, name) in [
        ("latest", "A.B.1.0.0.nupkg"),
        ("latest-stable", "A.B.1.0.0.nupkg"),
        ("latest-unstable", "A.B.2.0.0-rc.1.nupkg"),
    ] {
        let target = format!("/api/packages/nu1/download?name=A.B&version={word}");
        let answer = server.get(&target);
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.contains(name), "{word}: {disposition}");
    }
    let none = "/api/packages/nu1/download?name=Only.Candidates&version=latest";
    server.send(Request::get(none)).error(404);
    for refused in ["delete", "status"] {
        let target = format!("/api/packages/nu1/{refused}?name=A.B&version=latest");
        server.send(Request::new("POST", &target).json("{}")).error(400);
    }
}

#[test]
fn uploads_come_in_every_shape_that_clients_send() {
    let (_directory, server) = with_feeds();
    let target = "/api/packages/nu1/upload";
    let package = nupkg("A", "1.0.0").build();
    // `--stdin`: chunked, no length, no type.
    let chunked = Request::new("PUT", target).body(Body::Chunked(package.clone(), 1000));
    done(&server, chunked);
    // The same bytes again change nothing.
    done(&server, Request::put(target, package.clone()));
    // `curl -X POST -T file URL/upload/`
    let slash = format!("{target}/");
    done(&server, Request::new("POST", &slash).body(Body::Sized(nupkg("B", "1.0.0").build())));
    let multipart = Request::new("POST", target)
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(Body::Sized(b"--x\r\n\r\n--x--\r\n".to_vec()));
    let refused = server.send(multipart);
    assert!(refused.error(400).contains("raw file"), "{}", refused.text());
    server.send(Request::put(target, b"no package at all".to_vec())).error(400);
    server.send(Request::put(target, Vec::new())).error(400);
    server.send(Request::put("/api/packages/deb1/upload", deb("a", "1", "all").build())).error(400);
    server
        .send(Request::put("/api/packages/py1/upload/other-1.0.0.tar.gz", sdist("a", "1").build()))
        .error(400);
    assert_eq!(server.list("/api/packages/nu1/versions").len(), 2);
    for feed in ["deb1", "py1"] {
        assert_eq!(server.get(&format!("/api/packages/{feed}/versions")).text(), "[]");
    }
}

#[test]
fn keys_are_made_listed_used_and_removed_as_pgutil_does_it() {
    let (_directory, server) = with_feeds();
    put(&server, "/api/packages/nu1/upload", &nupkg("A", "1.0.0"));
    let create = |body: &str| {
        let made = server.send(Request::new("POST", "/api/api-keys/create").json(body)).expect(200);
        let made = made.json();
        for property in ["type", "logging", "key"] {
            assert!(made[property].is_string(), "{made}");
        }
        made
    };
    let feed_key = create(
        r#"{"type":"Feed","packagePermissions":["view","add"],"feed":"nu1","logging":"None"}"#,
    );
    assert_eq!((&feed_key["type"], &feed_key["logging"]), (&json!("feed"), &json!("none")));
    let key = feed_key["key"].as_str().unwrap();
    let system =
        create(r#"{"type":"System","systemApis":["feeds","sca","sbom-upload"],"logging":"None"}"#);
    create(r#"{"type":"Personal","user":"ann","logging":"None"}"#);
    for body in [
        r#"{"type":"Feed","packagePermissions":["view"],"logging":"None"}"#,
        r#"{"type":"Feed","packagePermissions":["fly"],"feed":"nu1","logging":"None"}"#,
        r#"{"type":"Feed","packagePermissions":["view"],"feed":"nu1","feedGroup":"g","logging":"None"}"#,
    ] {
        server.send(Request::new("POST", "/api/api-keys/create").json(body)).error(400);
    }
    let listed = server.list("/api/api-keys/list");
    assert_eq!(listed.len(), 4);
    assert!(!server.get("/api/api-keys/list").text().contains(key), "keys are told once");

    let target = "/api/packages/nu1/versions";
    let basic = |text: &str| {
        let text = data_encoding::BASE64.encode(text.as_bytes());
        Request::get(target).header("Authorization", &format!("Basic {text}"))
    };
    for request in [
        Request::get(target).key(key),
        Request::get(target).key(&format!("api:{key}")),
        Request::get(&format!("{target}?key={key}")),
        Request::get(&format!("{target}?apikey={key}")),
        Request::get(&format!("{target}?ApiKey={key}")),
        basic(&format!("api:{key}")),
    ] {
        assert_eq!(request.send(server.address).expect(200).json()[0]["name"], "A");
    }
    for request in [
        Request::get(target),
        Request::get(target).key("unknown"),
        Request::get("/api/packages/npm1/versions").key(key),
        Request::post("/api/packages/nu1/delete?name=A&version=1.0.0").key(key),
        Request::get("/api/api-keys/list").key(key),
        Request::get("/api/settings/list?showAll=False").key(key),
    ] {
        assert_eq!(request.send(server.address).error(403), FORBIDDEN, "{request:?}");
    }
    let body = format!(
        r#"{{"API_Key":"{key}","feed":"nu1","name":"A","version":"1.0.0","newVersion":"1.1.0"}}"#
    );
    let by_body = Request::new("POST", "/api/repackaging/repackage").json(&body);
    by_body.send(server.address).expect(200);
    let form = format!("key={key}&feed=nu1&name=A&version=1.0.0&newVersion=1.2.0");
    let by_form = Request::new("POST", "/api/repackaging/repackage").form(&form);
    by_form.send(server.address).expect(200);

    // Replacing needs the right to overwrite.
    let other = nupkg("A", "1.0.0").payload(10).build();
    let replaced = Request::put("/api/packages/nu1/upload", other).key(key).send(server.address);
    assert!(replaced.error(403).ends_with("already exists and cannot be overwritten"));

    // Nobody without a credential sees promotions, but is asked for one; feeds are filtered.
    let anonymous = Request::get("/api/promotions/list").send(server.address);
    anonymous.error(401);
    assert!(anonymous.header("www-authenticate").unwrap().starts_with("Basic"));
    Request::get("/api/promotions/list").key("unknown").send(server.address).error(403);
    let visible = Request::get("/api/management/feeds/list").key(key).send(server.address);
    assert_eq!(visible.json().as_array().unwrap().len(), 1);
    let visible = Request::get("/api/management/feeds/list").key("unknown").send(server.address);
    assert_eq!(visible.expect(200).text(), "[]");

    let id = feed_key["id"].as_u64().unwrap();
    done(&server, Request::post(&format!("/api/api-keys/delete?id={id}")));
    Request::get(target).key(key).send(server.address).error(403);
    server.send(Request::post(&format!("/api/api-keys/delete?id={id}"))).error(404);
    let system_text = system["key"].as_str().unwrap();
    Request::get(target).key(system_text).send(server.address).expect(200);
    Request::get("/api/api-keys/list").key(system_text).send(server.address).error(403);
}

#[test]
fn feeds_storage_connectors_settings_and_health_answer_pgutil() {
    let (_directory, server) = with_feeds();
    let duplicate = r#"{"name":"NU1","feedType":"npm"}"#;
    server.send(Request::new("POST", "/api/management/feeds/create").json(duplicate)).error(400);
    let unknown = r#"{"name":"d","feedType":"Docker"}"#;
    server.send(Request::new("POST", "/api/management/feeds/create").json(unknown)).error(400);
    let feeds = server.list("/api/management/feeds/list");
    assert_eq!(feeds.len(), 7);
    for feed in &feeds {
        assert_eq!(feed["active"], true);
        for array in ["retentionRules", "connectors", "alternateNames"] {
            assert!(feed[array].is_array(), "{array}: {feed}");
        }
        for object in ["packageFilters", "packageAccessRules", "variableDictionary", "variables"] {
            assert!(feed[object].is_object(), "{object}: {feed}");
        }
    }
    // `feeds properties set`, then `feeds retention create`: the whole object goes back.
    let update = "/api/management/feeds/update/nu1";
    let renamed = r#"{"alternateNames":["nuget-old"]}"#;
    let updated = server.send(Request::new("POST", update).json(renamed)).expect(200).json();
    assert_eq!(updated["alternateNames"], json!(["nuget-old"]));
    let mut whole = server.get("/api/management/feeds/get/nu1").json();
    whole["retentionRules"] = json!([{ "deletePrereleaseVersions": true, "deleteCached": false,
        "sizeExclusive": false, "keepIfActivelyConsumed": false, "keepVersionsCount": 5 }]);
    server.send(Request::new("POST", update).json(&whole.to_string())).expect(200);
    let feed = server.get("/api/management/feeds/get/nuget-old").json();
    assert_eq!(feed["retentionRules"][0]["keepVersionsCount"], 5);
    assert_eq!(feed["retentionRules"][0]["keepUsedWithinDays"], Value::Null);
    assert_eq!((&feed["name"], &feed["feedType"]), (&json!("nu1"), &json!("nuget")));
    assert_eq!(
        server.send(Request::get("/api/management/feeds/get/x")).error(404),
        "Feed x not found."
    );

    let kinds = server.list("/api/storage");
    let disk = kinds.iter().find(|kind| kind["id"] == "disk").expect("disk is offered");
    assert!(disk["properties"]["StoragePath"]["required"].is_boolean(), "{disk}");
    let storage = server.get("/api/storage?feed=nu1").json();
    assert!(storage["id"] == "disk" && storage["properties"].is_object(), "{storage}");
    assert_eq!(server.get("/api/management/connectors/list").text(), "[]");
    server.send(Request::new("POST", "/api/management/connectors/create").json("{}")).error(400);

    let health = Request::get("/health").send(server.address).expect(200).json();
    for status in ["databaseStatus", "licenseStatus", "serviceStatus"] {
        assert_eq!(health[status], "OK");
    }
    assert_eq!(health["applicationName"], "ProGet");
    assert_eq!(
        (&health["versionNumber"], &health["releaseNumber"]),
        (&json!("25.0.10.1"), &json!("25.0.10"))
    );
    let settings = server.list("/api/settings/list?showAll=False");
    for setting in &settings {
        for property in ["name", "value", "description"] {
            assert!(setting.get(property).is_some(), "{setting}");
        }
        let kind = setting["valueType"].as_str().unwrap();
        assert!(["text", "integer", "boolean"].contains(&kind), "{setting}");
    }

    server.send(Request::new("DELETE", "/api/management/feeds/delete/npm2")).expect(200);
    server.send(Request::new("DELETE", "/api/management/feeds/delete/npm2")).error(404);
    let gone = server.send(Request::get("/api/packages/npm2/versions"));
    assert_eq!(gone.error(404), "Feed npm2 not found.");
}

#[test]
fn universal_packages_are_found_and_fetched_for_installing() {
    let (_directory, server) = with_feeds();
    let package = upack("", "tools", "1.0.0");
    let bytes = put(&server, "/api/packages/up1/upload", &package);
    let grouped = put(&server, "/api/packages/up1/upload", &upack("a/b", "tools", "2.0.0"));
    // The group is sent even if it is empty.
    let found = server.list("/upack/up1/versions?group=&name=tools");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["name"], &found[0]["version"]), (&json!("tools"), &json!("1.0.0")));
    let download = Request::get("/upack/up1/download/tools/1.0.0");
    assert!(server.send(download).expect(200).body == bytes);
    let found = server.list("/upack/up1/versions?group=a%2Fb&name=tools");
    assert_eq!(found[0]["group"], "a/b");
    let download = server.send(Request::get("/upack/up1/download/a/b/tools/2.0.0"));
    assert!(download.expect(200).body == grouped);
    let anonymous = Request::get("/upack/up1/versions?group=&name=tools").send(server.address);
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.header("www-authenticate").unwrap().starts_with("Basic"));
}
