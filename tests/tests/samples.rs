//! The published sample scripts, addresses, forms and requests, taken out of their documents and run
//! against a real server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::PathBuf;
use std::process::Command;

use hayloft_testkit::{Package, deb, npm_tgz, nupkg};
use hayloft_tests::{Body, Request, Server, has_program, python, run};
use serde_json::json;
use tempfile::TempDir;

fn start() -> (TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("store"));
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

/// The documents with the samples, which `HAYLOFT_SEEDS` names.
fn seed(start: &str) -> Option<String> {
    let folder = std::env::var_os("HAYLOFT_SEEDS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/seeds")),
        PathBuf::from,
    );
    let Ok(entries) = fs_err::read_dir(&folder) else {
        println!("skipped: there are no documents in {}; see HAYLOFT_SEEDS", folder.display());
        return None;
    };
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(start);
    let path = entries.map(|entry| entry.unwrap().path()).find(named)?;
    Some(fs_err::read_to_string(path).unwrap())
}

/// The code blocks of a document in a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.trim().strip_prefix("```") else { continue };
        let block: Vec<&str> =
            lines.by_ref().take_while(|line| !line.trim().starts_with("```")).collect();
        if name.trim_start_matches('`') == language {
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// The sample with its placeholders filled in; each must be there.
fn filled(sample: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(sample.to_owned(), |sample, (place, value)| {
        assert!(sample.contains(place), "`{place}` is not in the sample:\n{sample}");
        sample.replace(place, value)
    })
}

#[test]
fn the_published_scripts_download_packages() {
    let Some(document) = seed("002") else { return };
    let (directory, server) = start();
    server.create_feed("private-nuget", "NuGet");
    let files: Vec<(String, Vec<u8>)> = ["3.0.2", "3.0.3", "4.0.0-rc.1"]
        .iter()
        .map(|version| nupkg("GeneralUtils.NET", version).payload(5_000))
        .map(|package| {
            (package.file_name(), put(&server, "/api/packages/private-nuget/upload", &package))
        })
        .collect();
    let url = format!("http://{}", server.address);
    let folder = directory.path().join("downloads");
    fs_err::create_dir(&folder).unwrap();

    let scripts = blocks(&document, "bash");
    let curl: Vec<&String> = scripts.iter().filter(|script| script.contains("curl -o")).collect();
    assert_eq!(curl.len(), 1);
    if has_program("curl") {
        let saved = folder.join("by-curl.nupkg");
        let script = filled(
            curl[0],
            &[
                ("a1b2c3d4e5", &server.key),
                ("https://proget.corp.local", &url),
                ("C:/MyFiles/GeneralUtils.NET-3.0.3.nupkg", saved.to_str().unwrap()),
            ],
        );
        run(Command::new("bash").args(["-euc", &script]));
        assert!(fs_err::read(saved).unwrap() == files[1].1);
    }
    let scripts = blocks(&document, "python");
    assert_eq!(scripts.len(), 1);
    if let Some(mut python) = python(&["requests"]) {
        let target = folder.join("by-python");
        let script = filled(
            &scripts[0],
            &[
                ("a1b2c3d4e5", &server.key),
                ("https://proget.corp.local", &url),
                (r"C:\MyOrganizationFolder\GeneralUtilsPackages", target.to_str().unwrap()),
            ],
        );
        let told = run(python.args(["-c", &script]).env("NO_PROXY", "*"));
        assert_eq!(told.matches("Downloaded GeneralUtils.NET version").count(), 3, "{told}");
        for (name, bytes) in &files {
            assert!(fs_err::read(target.join(name)).unwrap() == *bytes, "{name}");
        }
        assert_eq!(fs_err::read_dir(target).unwrap().count(), 3);
    }
    // There is no PowerShell to run the third; these are its requests.
    assert_eq!(blocks(&document, "powershell").len(), 1);
    let query = "/api/packages/private-nuget/latest?name=GeneralUtils.NET&stableOnly=true";
    let header = |target: &str| Request::get(target).header("X-APIKey", &server.key);
    let latest = header(query).send(server.address).expect(200).json();
    assert_eq!(latest[0]["version"], "3.0.3");
    let query = "/api/packages/private-nuget/download?name=GeneralUtils.NET&version=3.0.3";
    header(query).send(server.address).assert_download(&files[1].0, &files[1].1);
}

#[test]
fn the_published_addresses_name_packages() {
    let Some(document) = seed("003") else { return };
    let (_directory, server) = start();
    server.create_feed("NpmFeed", "npm");
    server.create_feed("MyDebianFeed", "debian");
    server.create_feed("MyNugetFeed", "nuget");
    let animation = npm_tgz("@angular/animation", "12.3.1");
    let animation = put(&server, "/api/packages/NpmFeed/upload", &animation);
    let python3 = deb("python3", "3.9.2-3", "amd64");
    let python3 = put(&server, "/api/packages/MyDebianFeed/upload?distro=stable", &python3);
    let mut seen = 0;
    for block in blocks(&document, "") {
        let target = block.trim();
        if !target.starts_with("/api/packages/") {
            continue;
        }
        let answer = server.send(Request::get(target));
        let (name, bytes) = if target.contains("MyDebianFeed") {
            ("python3_3.9.2-3_amd64.deb", &python3)
        } else {
            ("animation-12.3.1.tgz", &animation)
        };
        answer.assert_download(name, bytes);
        seen += 1;
    }
    assert_eq!(seen, 3, "the document has three addresses");
    let curl: Vec<String> = blocks(&document, "")
        .into_iter()
        .filter(|block| block.trim_start().starts_with("curl -X GET"))
        .collect();
    assert_eq!(curl.len(), 1);
    if has_program("curl") {
        let url = format!("http://{}", server.address);
        let script =
            filled(&curl[0], &[("abc12345", &server.key), ("https://proget.corp.local", &url)]);
        assert_eq!(
            run(Command::new("bash").args(["-euc", &format!("{} -sS", script.trim())])),
            "[]"
        );
    }
    let refusal =
        blocks(&document, "").into_iter().find(|block| block.starts_with("403 ")).unwrap();
    let refused = Request::get("/api/packages/MyNugetFeed/versions").key("no").send(server.address);
    assert_eq!(refused.error(403), refusal.trim_start_matches("403 ").trim());
}

#[test]
fn the_published_forms_repackage_and_promote() {
    let (Some(repackage), Some(promote)) = (seed("000"), seed("001")) else { return };
    let (_directory, server) = start();
    server.create_feed("myFeed", "nuget");
    put(&server, "/api/packages/myFeed/upload", &nupkg("myPackage", "4.3.2-rc.1"));
    let form = blocks(&repackage, "")
        .into_iter()
        .find_map(|block| Some(block.split_once("\n\nfeed=")?.1.trim().to_owned()))
        .expect("the document has a form");
    let form = format!("feed={form}");
    done(&server, Request::new("POST", "/api/repackaging/repackage").form(&form));
    let found = server.get("/api/packages/myFeed/history?name=myPackage&version=4.3.2");
    let comments = "This package was repackaged by an automated process";
    assert!(found.text().contains(comments), "{}", found.text());

    server.create_feed("from-feed-name", "npm");
    server.create_feed("to-feed-name", "npm");
    put(
        &server,
        "/api/packages/from-feed-name/upload",
        &npm_tgz("@scope-name/package-name", "1.0.0"),
    );
    let form = blocks(&promote, "")
        .into_iter()
        .find_map(|block| Some(block.lines().find(|line| line.starts_with("name="))?.to_owned()))
        .expect("the document has a form");
    // Placeholders stand in quotation marks of the document, which lost their encoding.
    let form: String = form.chars().filter(char::is_ascii).collect();
    let form = form.replace("version=version", "version=1.0.0");
    done(&server, Request::new("POST", "/api/promotions/promote").form(&form));
    let there = server.list("/api/packages/to-feed-name/versions");
    assert_eq!(there[0]["group"], "@scope-name");
}

#[test]
fn the_published_nuget_requests_push_unlist_relist_and_deprecate() {
    let Some(document) = seed("004") else { return };
    let (_directory, server) = start();
    server.create_feed("nuget.org", "nuget");
    let base = "/nuget/nuget.org";
    let key = |request: Request| {
        let request = request.header("User-Agent", "Spoon-Knife/1.0.0");
        request.header("X-NuGet-ApiKey", &server.key).send(server.address)
    };
    let push = |bytes: &[u8]| {
        let mut form = b"--b\r\nContent-Disposition: form-data; name=\"package\"; \
            filename=\"package.nupkg\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            .to_vec();
        form.extend_from_slice(bytes);
        form.extend_from_slice(b"\r\n--b--\r\n");
        let push = Request::new("PUT", &format!("{base}/api/v2/package"));
        let push = push.header("Content-Type", "multipart/form-data; boundary=b");
        key(push.body(Body::Sized(form)))
    };
    for (id, version) in [
        ("NuGet.Core", "2.12.0"),
        ("NuGet.Core", "2.13.0"),
        ("NuGet.Core", "2.14.0"),
        ("NuGet.Protocol", "6.4.0"),
    ] {
        push(&nupkg(id, version).build()).expect(201);
    }
    push(&nupkg("NuGet.Core", "2.12.0").build()).error(409);
    push(b"no package").error(400);

    let one = format!("{base}/api/v2/package/NuGet.Core/2.12.0");
    let entry =
        || server.list("/api/packages/nuget.org/versions?name=NuGet.Core&version=2.12.0").remove(0);
    key(Request::new("DELETE", &one)).expect(204);
    assert_eq!(entry()["listed"], false);
    key(Request::post(&one)).expect(200);
    key(Request::post(&one)).expect(200);
    assert_eq!(entry()["listed"], true);
    key(Request::new("DELETE", &format!("{base}/api/v2/package/NuGet.Core/9.9.9"))).error(404);
    key(Request::post(&format!("{base}/api/v2/package/NuGet.Core/9.9.9"))).error(404);

    let samples: Vec<(String, String)> = blocks(&document, "")
        .iter()
        .filter_map(|block| {
            let (head, body) = block.split_once("\n\n{")?;
            let target = head.lines().next()?.strip_prefix("PUT https://www.nuget.org")?;
            // One sample of the document lacks a comma.
            let body = body.replace("\"isOther\": true\n", "\"isOther\": true,\n");
            Some((format!("{base}{target}"), format!("{{{body}")))
        })
        .collect();
    assert_eq!(samples.len(), 2, "the document has two requests");
    for (target, body) in &samples {
        let put = Request::new("PUT", target).header("Content-Type", "application/json");
        key(put.body(Body::Sized(body.clone().into_bytes()))).expect(200);
        assert_eq!(entry()["deprecated"], true);
    }
    for entry in server.list("/api/packages/nuget.org/versions?name=NuGet.Core") {
        assert_eq!(
            (&entry["deprecated"], &entry["listed"]),
            (&json!(true), &json!(false)),
            "{entry}"
        );
        assert!(
            entry["deprecationReason"].as_str().unwrap().contains("NuGet.Core has been replaced")
        );
    }
    let flat = Request::get(&format!("{base}/v3/flat/nuget.core/index.json"));
    flat.send(server.address).error(401);
    key(flat).expect(200);
    // Pushing clients have no credential for the index.
    let index = Request::get(&format!("{base}/v3/index.json"));
    let index = index.send(server.address).expect(200).json();
    let types: Vec<&str> = index["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["@type"].as_str().unwrap())
        .collect();
    for kind in ["PackagePublish/2.0.0", "PackagePublish/3.0.0-preview.1"] {
        assert!(types.contains(&kind), "{types:?}");
    }
}
