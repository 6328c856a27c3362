//! The description of the API.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::Server;

const FEED_TYPES: [&str; 6] = ["debian", "npm", "nuget", "pypi", "rubygems", "universal"];

/// The checked-in document is the generated one; `HAYLOFT_REWRITE=1` writes it.
#[test]
fn the_document_in_the_repository_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let document = hayloft_http::openapi();
    if std::env::var_os("HAYLOFT_REWRITE").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == document, "openapi.json is stale: run this test with HAYLOFT_REWRITE=1");
    let served = Server::start().get("/api/openapi.json");
    assert_eq!(served.text(), document);
}

/// Requests that schemathesis makes up from the document do not break the server.
#[test]
fn made_up_requests_never_break_the_server() {
    let Some(python) = std::env::var_os("HAYLOFT_PYTHON") else {
        println!("skipped: HAYLOFT_PYTHON names no python with schemathesis");
        return;
    };
    let server = Server::start();
    for feed_type in FEED_TYPES {
        server.feed(feed_type, feed_type);
    }
    let package = hayloft_testkit::nupkg("A", "1.0.0").build();
    server.put("/api/packages/nuget/upload", &package).done();
    // Mostly names that there are, or nearly all requests would end at the first look-up.
    let mut document: Value = serde_json::from_str(&hayloft_http::openapi()).unwrap();
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let some = match parameter["name"].as_str().unwrap() {
                    "feed" | "fromFeed" | "toFeed" => json!({"enum": FEED_TYPES}),
                    "name" => json!({"enum": ["A", "anonymous.access"]}),
                    "version" => json!({"enum": ["1.0.0", "latest"]}),
                    _ => continue,
                };
                parameter["schema"] = json!({"type": "string", "anyOf": [some, {}]});
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).unwrap();
    let output = Command::new(python)
        .current_dir(directory.path())
        .args(["-m", "schemathesis.cli", "run", "openapi.json"])
        .args(["--url", &format!("http://{}", server.address)])
        .args(["--exclude-path", "/api/management/feeds/delete/{feed}"])
        .args(["--checks", "not_a_server_error", "--max-examples", "15", "--seed", "1"])
        .args(["--phases", "examples,coverage,fuzzing", "--no-color", "--request-timeout", "60"])
        .output()
        .unwrap();
    let (out, err) = (output.stdout, output.stderr);
    let (out, err) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    println!("{out}");
    assert!(output.status.success(), "{out}\n{err}");
}
