#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they did"
)]

//! Real packages of fourteen years, read and repackaged. `HAYLOFT_CORPUS` says where they are.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use hayloft_archive::{Compression, TarKind, TarReader, Trailing, decoder_with};
use hayloft_feed::{FeedType, Identity, Inspected, Limits};
use hayloft_npm::Npm;
use hayloft_testkit::{digests, history_entry, inspect, repackage};
use serde_json::Value;

/// Files whose text repackaging changes.
const EDITED: [&str; 3] = ["package.json", "npm-shrinkwrap.json", "package-lock.json"];

struct Row {
    file: String,
    name: String,
    version: String,
    sha256: String,
    remarks: String,
}

#[derive(Debug, PartialEq)]
struct Member {
    path: Vec<u8>,
    kind: TarKind,
    header: Vec<u8>,
    data: Vec<u8>,
}

fn folder() -> PathBuf {
    let standard = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    PathBuf::from(std::env::var("HAYLOFT_CORPUS").unwrap_or_else(|_| standard.to_owned()))
        .join("npm")
}

fn rows() -> Option<Vec<Row>> {
    let index = folder().join("INDEX.tsv");
    let Ok(text) = fs::read_to_string(&index) else {
        println!("skipped: there is no {}", index.display());
        return None;
    };
    let rows = text.lines().skip(1).map(|line| {
        let mut cells = line.split('\t').map(str::to_owned);
        let mut cell = || cells.next().unwrap();
        Row { file: cell(), name: cell(), version: cell(), sha256: cell(), remarks: cell() }
    });
    Some(rows.collect())
}

fn number_in(remarks: &str, key: &str) -> u64 {
    let (_, rest) = remarks.split_once(&format!("{key}=")).unwrap();
    rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn manifest(found: &Inspected) -> Value {
    serde_json::from_str(&found.manifest).unwrap()
}

#[test]
fn every_package_is_read_as_indexed() {
    let Some(rows) = rows() else { return };
    let (mut scoped, mut warned) = (0, 0);
    for row in &rows {
        let bytes = fs::read(folder().join(&row.file)).unwrap();
        assert_eq!(hexadecimal(&digests(&bytes).sha256), row.sha256, "{}", row.file);
        let found = inspect(&Npm, &bytes, None, &[]).unwrap_or_else(|error| {
            panic!("{}: {error}: {:?}", row.file, std::error::Error::source(&error))
        });
        let Identity { package, version, .. } = &found.identity;
        assert_eq!(package.spelled(), row.name, "{}", row.file);
        assert_eq!(version.text(), row.version, "{}", row.file);
        let manifest = manifest(&found);
        assert_eq!(manifest["name"], row.name);
        assert_eq!(manifest["version"], row.version);
        assert_eq!(manifest["_id"], format!("{}@{}", row.name, row.version));
        let dist = &manifest["dist"];
        assert_eq!(dist["fileCount"], number_in(&row.remarks, "fileCount"), "{}", row.file);
        assert_eq!(dist["unpackedSize"], number_in(&row.remarks, "unpackedSize"), "{}", row.file);
        assert_eq!(dist["shasum"], hexadecimal(&digests(&bytes).sha1));
        let purl = Npm.purl(&found.identity).to_string();
        let again = Npm.identify(&Npm.coordinates(&purl.parse().unwrap()).unwrap()).unwrap();
        assert_eq!(again, found.identity);
        scoped += u32::from(!package.group().is_empty());
        warned += u32::from(!found.warnings.is_empty());
    }
    println!("{} packages read, {scoped} scoped, {warned} with warnings", rows.len());
}

/// What the remarks of the index say, as it shows in manifests.
#[test]
fn strange_packages_show_their_strangeness() {
    let Some(rows) = rows() else { return };
    let read = |file: &str| {
        let row = rows.iter().find(|row| row.file == file).expect("the index names the file");
        manifest(&inspect(&Npm, &fs::read(folder().join(&row.file)).unwrap(), None, &[]).unwrap())
    };
    assert_eq!(read("JSONStream-1.3.5.tgz")["bin"]["JSONStream"], "bin.js");
    assert_eq!(read("marked-0.2.9.tgz")["bin"]["marked"], "bin/marked");
    assert!(read("aws-cdk-cloud-assembly-schema-36.0.5.tgz")["bundleDependencies"].is_array());
    assert!(read("npm-1.1.25.tgz")["bundleDependencies"].as_array().unwrap().len() > 10);
    assert!(read("node-uuid-1.2.0.tgz").get("dependencies").is_none());
    assert!(read("underscore-1.1.6.tgz").get("dependencies").is_none());
    let esbuild = read("esbuild-0.19.12.tgz");
    assert_eq!(esbuild["optionalDependencies"].as_object().unwrap().len(), 23);
    assert_eq!(esbuild["hasInstallScript"], true);
    assert_eq!(read("fsevents-0.3.8.tgz")["hasInstallScript"], true);
    assert!(read("events-3.3.0.tgz").get("hasInstallScript").is_none());
    for (file, expected) in [
        ("nsp-2.6.3.tgz", true),
        ("oclif-plugin-help-6.0.20.tgz", true),
        ("ms-3.0.0-canary.1.tgz", false),
    ] {
        assert_eq!(read(file)["_hasShrinkwrap"], expected, "{file}");
    }
    let watcher = read("parcel-watcher-linux-x64-musl-2.4.1.tgz");
    assert_eq!(watcher["libc"], serde_json::json!(["musl"]));
    assert!(read("zustand-4.4.7.tgz")["peerDependenciesMeta"].is_object());
    assert!(
        read("isaacs-cliui-8.0.2.tgz")["dependencies"]["string-width-cjs"]
            .as_str()
            .unwrap()
            .starts_with("npm:")
    );
}

#[test]
fn every_package_is_repackaged_twice_and_stays_the_same_but_for_its_version() {
    let Some(rows) = rows() else { return };
    let mut pins = 0;
    for row in &rows {
        let source = fs::read(folder().join(&row.file)).unwrap();
        let from = inspect(&Npm, &source, None, &[]).unwrap();
        let entry = history_entry(&from.identity, &source);
        let (candidate, done) =
            repackage(&Npm, &source, &from.identity, "77.0.0-rc.1", &entry).unwrap();
        let again = repackage(&Npm, &source, &from.identity, "77.0.0-rc.1", &entry).unwrap();
        assert!(again == (candidate.clone(), done.clone()), "{}: not deterministic", row.file);
        pins += done.sibling_pins.len();
        let middle = inspect(&Npm, &candidate, None, &[]).unwrap();
        let second = history_entry(&middle.identity, &candidate);
        let (release, _) =
            repackage(&Npm, &candidate, &middle.identity, "77.0.0", &second).unwrap();
        let last = inspect(&Npm, &release, None, &[]).unwrap();

        assert_eq!(last.identity.package.spelled(), row.name);
        assert_eq!(last.identity.version.text(), "77.0.0");
        let ids: Vec<_> = last.history.iter().map(|entry| entry.id.clone()).collect();
        let id = |version: &str, bytes: &[u8]| {
            format!("{}:{version}:{}", row.name, hexadecimal(&digests(bytes).sha1))
        };
        assert_eq!(ids, [id(&row.version, &source), id("77.0.0-rc.1", &candidate)]);
        assert_same_tree(&row.file, &members(&source), &members(&release));
        assert_same_manifest(&row.file, manifest(&from), manifest(&last));
    }
    println!("{} packages repackaged twice, {pins} sibling pins", rows.len());
    assert!(pins >= 23, "esbuild alone pins its 23 siblings");
}

fn members(bytes: &[u8]) -> Vec<Member> {
    let limits = Limits::default();
    let stream =
        decoder_with(Compression::Gzip, Box::new(Cursor::new(bytes)), &limits, Trailing::Anything)
            .unwrap();
    let mut reader = TarReader::new(stream, &limits);
    let mut members = Vec::new();
    while let Some(mut member) = reader.next().unwrap() {
        let data = member.read(1 << 30).unwrap();
        let mut header = member.header().to_vec();
        // Size and checksum may differ.
        header[124..136].fill(0);
        header[148..156].fill(0);
        members.push(Member { path: member.path().to_vec(), kind: member.kind(), header, data });
    }
    members
}

fn assert_same_tree(file: &str, before: &[Member], after: &[Member]) {
    assert_eq!(before.len(), after.len(), "{file}");
    for (old, new) in before.iter().zip(after) {
        let path = String::from_utf8_lossy(&old.path).into_owned();
        assert_eq!((&old.path, old.kind), (&new.path, new.kind), "{file}");
        assert!(old.header == new.header, "{file}: the header of {path} changed");
        let inner = path.split_once('/').map_or("", |(_, inner)| inner);
        if !EDITED.contains(&inner) {
            assert!(old.data == new.data, "{file}: {path} changed");
            continue;
        }
        // What is left of a manifest without the lines of the history and the version.
        let (old, new) = (json(&old.data), json(&new.data));
        let expected = with_version(old, "77.0.0");
        assert_eq!(without_history(new), expected, "{file}: {path}");
    }
}

fn json(data: &[u8]) -> Value {
    let text = String::from_utf8(data.to_vec()).unwrap();
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

fn with_version(mut value: Value, version: &str) -> Value {
    if value.get("version").is_some() {
        value["version"] = version.into();
    }
    if let Some(root) = value.pointer_mut("/packages/").and_then(Value::as_object_mut)
        && root.contains_key("version")
    {
        root.insert("version".to_owned(), version.into());
    }
    value
}

fn without_history(mut value: Value) -> Value {
    value.as_object_mut().unwrap().remove("repackageHistory");
    value
}

fn assert_same_manifest(file: &str, before: Value, after: Value) {
    let strip = |value: Value| {
        let mut value = without_history(value);
        let object = value.as_object_mut().unwrap();
        for key in ["version", "_id"] {
            object.remove(key);
        }
        let dist = object["dist"].as_object_mut().unwrap();
        for key in ["integrity", "shasum", "unpackedSize"] {
            assert!(dist.remove(key).is_some());
        }
        value
    };
    assert_eq!(strip(after), strip(before), "{file}");
}
