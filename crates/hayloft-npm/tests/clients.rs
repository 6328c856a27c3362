#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

//! The real npm installs what was repackaged and counts it as we do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hayloft_npm::Npm;
use hayloft_testkit::{history_entry, inspect, npm_tgz, repackage};
use serde_json::Value;

fn npm_is_here() -> bool {
    let here = Command::new("npm")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !here {
        println!("skipped: npm is not installed");
    }
    here
}

/// Runs npm without network and without the settings and caches of whoever runs the test.
fn npm(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("npm")
        .current_dir(folder)
        .args(["--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"])
        .arg("--userconfig=/dev/null")
        .arg(format!("--cache={}", folder.join("cache").display()))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "npm {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn repackaged(bytes: &[u8], to: &str) -> Vec<u8> {
    let from = inspect(&Npm, bytes, None, &[]).unwrap().identity;
    repackage(&Npm, bytes, &from, to, &history_entry(&from, bytes)).unwrap().0
}

/// Asks `npm pack --dry-run` about tarballs and compares its counts and digests with ours.
fn compare_with_pack(folder: &Path, files: &[(String, Vec<u8>)]) {
    let names: Vec<String> = files.iter().map(|(name, _)| format!("./{name}")).collect();
    let mut arguments = vec!["pack", "--dry-run", "--json"];
    arguments.extend(names.iter().map(String::as_str));
    let answer: Value = serde_json::from_str(&npm(folder, &arguments)).unwrap();
    let packed = answer.as_array().expect("npm 11 answers with a list");
    assert_eq!(packed.len(), files.len());
    for (name, bytes) in files {
        let found = inspect(&Npm, bytes, None, &[]).unwrap();
        let ours: Value = serde_json::from_str(&found.manifest).unwrap();
        let theirs = packed
            .iter()
            .find(|packed| packed["integrity"] == ours["dist"]["integrity"])
            .unwrap_or_else(|| panic!("{name}: npm sees no file with this digest"));
        assert_eq!(theirs["name"], ours["name"]);
        // npm shows the raw text of old versions, such as `v0.9.74`.
        assert_eq!(theirs["version"].as_str().unwrap().trim_start_matches('v'), ours["version"]);
        for key in ["shasum", "unpackedSize"] {
            assert_eq!(theirs[key], ours["dist"][key], "{name}: {key}");
        }
        assert_eq!(theirs["size"], bytes.len(), "{name}");
    }
}

#[test]
fn npm_installs_a_package_that_was_repackaged_twice() {
    if !npm_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lock = r#"{"name":"@acme/tool","version":"1.0.0-ci.1","lockfileVersion":3,"requires":true,
        "packages":{"":{"name":"@acme/tool","version":"1.0.0-ci.1"}}}"#;
    let source = npm_tgz("@acme/tool", "1.0.0-ci.1")
        .field("bin", "\"./cli.js\"")
        .file("package/cli.js", "#!/usr/bin/env node\n")
        .file("package/npm-shrinkwrap.json", lock)
        .build();
    let candidate = repackaged(&source, "1.0.0-rc.1");
    let release = repackaged(&candidate, "1.0.0");
    fs::write(folder.path().join("tool.tgz"), &release).unwrap();
    fs::write(folder.path().join("package.json"), "{}").unwrap();
    npm(folder.path(), &["install", "./tool.tgz"]);

    let installed = folder.path().join("node_modules/@acme/tool");
    let json = |path: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let manifest = json(&installed.join("package.json"));
    assert_eq!(manifest["version"], "1.0.0");
    assert_eq!(manifest["repackageHistory"].as_array().unwrap().len(), 2);
    let shrinkwrap = json(&installed.join("npm-shrinkwrap.json"));
    assert_eq!(shrinkwrap["version"], "1.0.0");
    assert_eq!(shrinkwrap["packages"][""]["version"], "1.0.0");
    assert!(folder.path().join("node_modules/.bin/tool").exists());
    let listed: Value = serde_json::from_str(&npm(folder.path(), &["ls", "--json"])).unwrap();
    assert_eq!(listed["dependencies"]["@acme/tool"]["version"], "1.0.0");

    let files = [("tool.tgz".to_owned(), release)];
    compare_with_pack(folder.path(), &files);
}

#[test]
fn npm_counts_real_packages_and_their_repackaged_forms_as_we_do() {
    if !npm_is_here() {
        return;
    }
    let standard = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    let corpus = std::env::var("HAYLOFT_CORPUS").unwrap_or_else(|_| standard.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for name in [
        "JSON2-0.1.0",
        "ansi-color-0.2.1",
        "jade-0.12.0",
        "jsrender-0.9.74",
        "oclif-plugin-help-6.0.20",
        "paralleljs-0.2.1",
        "types-ms-0.7.31",
        "underscore-1.1.6",
    ] {
        let path = Path::new(&corpus).join("npm").join(format!("{name}.tgz"));
        let Ok(bytes) = fs::read(&path) else {
            println!("skipped: there is no {}", path.display());
            return;
        };
        let again = repackaged(&bytes, "77.0.0");
        files.push((format!("{name}.tgz"), bytes));
        files.push((format!("{name}-77.tgz"), again));
    }
    for (name, bytes) in &files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    compare_with_pack(folder.path(), &files);
}
