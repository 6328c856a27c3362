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

mod support;

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use flate2::read::GzDecoder;
use hayloft_feed::{FeedType, FeedTypeError, Identity, SourceReference};
use hayloft_pypi::{Pypi, PypiName};
use hayloft_testkit::{digests, history_entry, inspect, repackage};
use sha2::{Digest, Sha256};
use support::{Row, bytes, chain, file, hexadecimal, manifest, rows};

/// Source distributions whose code computes the version.
const COMPUTED: [&str; 7] = [
    "ordereddict-1.1.tar.gz",
    "six-1.16.0.tar.gz",
    "zope.event-4.5.0.tar.gz",
    "Flask-Login-0.4.1.tar.gz",
    "azure-nspkg-3.0.2.zip",
    "pyreadline-2.1.zip",
    "foursquare-1!2020.1.30.tar.gz",
];

/// The one file beside the metadata that declares the version, where there is one.
const DECLARED: [(&str, &str); 9] = [
    ("tomlkit-0.12.0.tar.gz", "pyproject.toml"),
    ("typing_extensions-4.12.2.tar.gz", "pyproject.toml"),
    ("findpython-0.4.0.tar.gz", "pyproject.toml"),
    ("rpds_py-0.18.0.tar.gz", "pyproject.toml"),
    ("meson_python-0.16.0.tar.gz", "pyproject.toml"),
    ("pdm-pep517-1.1.2.tar.gz", "pyproject.toml"),
    ("Hayloft.Probe_Local-1.2.3+corp.4.tar.gz", "setup.cfg"),
    ("scm_probe-1.2.0rc1.tar.gz", "scm_probe.egg-info/SOURCES.txt"),
    ("scm_probe-1.2.0rc1.tar.gz", "scm_probe.egg-info/scm_version.json"),
];

fn read(row: &Row) -> (Vec<u8>, hayloft_feed::Inspected) {
    let bytes = bytes(row);
    let found = inspect(&Pypi, &bytes, Some(&row.file), &[])
        .unwrap_or_else(|error| panic!("{}: {}", row.file, chain(&error)));
    (bytes, found)
}

#[test]
fn every_file_is_read_as_indexed() {
    let rows = rows();
    let mut warned = 0;
    for row in &rows {
        let (bytes, found) = read(row);
        let manifest = manifest(&found);
        let Identity { package, version, .. } = &found.identity;
        let indexed: PypiName = row.name.parse().unwrap();
        let spelled: PypiName = package.name().parse().unwrap();
        assert_eq!(hexadecimal(&digests(&bytes).sha256), row.sha256, "{}", row.file);
        assert_eq!(spelled, indexed, "{}", row.file);
        assert_eq!(manifest["info"]["version"], row.version, "{}", row.file);
        assert_eq!(*version, Pypi.version(&row.version).unwrap(), "{}", row.file);
        assert_eq!(manifest["info"]["metadata_version"], row.metadata_version, "{}", row.file);
        assert_eq!(file(&found.identity), row.file);
        assert_eq!(manifest["filename"], row.file);
        assert!(found.history.is_empty());
        let document = &found.documents[0];
        let is_wheel = row.is_wheel();
        if is_wheel {
            assert_eq!(document.name, "METADATA");
            let digest = hexadecimal(&Sha256::digest(&document.bytes));
            assert_eq!(manifest["core-metadata"]["sha256"], digest, "{}", row.file);
            assert_eq!(manifest["packagetype"], "bdist_wheel");
        } else {
            assert_eq!(document.name, "PKG-INFO");
            assert_eq!(manifest.get("core-metadata"), None);
            assert_eq!(
                (&manifest["packagetype"], &manifest["python_version"]),
                (&"sdist".into(), &"source".into())
            );
        }
        let members = members(&row.file, &bytes);
        let metadata = members
            .iter()
            .find(|(path, _)| {
                let inner: Vec<_> = path.split('/').collect();
                inner.len() == 2
                    && (inner[0].ends_with(".dist-info") || !is_wheel)
                    && inner[1] == document.name
            })
            .unwrap_or_else(|| panic!("{}: has a {}", row.file, document.name));
        assert!(metadata.1.data == document.bytes, "{}", row.file);
        if !found.warnings.is_empty() {
            warned += 1;
            println!("{}: {}", row.file, found.warnings.join("; "));
        }
    }
    println!("{} files read, {warned} with warnings", rows.len());
}

#[test]
fn a_file_without_a_name_is_named_after_its_content() {
    for row in &rows() {
        let bytes = bytes(row);
        let found = inspect(&Pypi, &bytes, None, &[]).unwrap_or_else(|error| {
            panic!("{}: {}", row.file, chain(&error));
        });
        let name = file(&found.identity).to_owned();
        // Tag sets are not always in the order of the WHEEL file, and old names not normal.
        let again = inspect(&Pypi, &bytes, Some(&name), &[]).unwrap();
        assert_eq!(again.identity, found.identity, "{}", row.file);
        let ending = |name: &str| name.rsplit('.').next().unwrap().to_owned();
        assert_eq!(ending(&name), ending(&row.file));
    }
}

#[test]
fn a_file_under_another_name_is_refused() {
    for row in &rows() {
        let bytes = bytes(row);
        for name in [
            row.file.replacen(|character: char| character.is_ascii_digit(), "7", 1),
            format!("x{}", row.file),
            row.file.replace(".whl", ".tar.gz"),
            row.file.replace(".tar.gz", ".zip"),
        ] {
            if name == row.file || inspect(&Pypi, &bytes, Some(&name), &[]).is_err() {
                continue;
            }
            panic!("{} was accepted as {name}", row.file);
        }
    }
}

#[test]
fn candidates_become_releases_with_their_history() {
    let (mut done, mut refused) = (0, 0);
    for row in &rows() {
        let (bytes, found) = read(row);
        let from = found.identity;
        let entry = history_entry(&from, &bytes);
        let first = repackage(&Pypi, &bytes, &from, "99.0-RC.1", &entry);
        if COMPUTED.contains(&row.file.as_str()) {
            let error = first.unwrap_err();
            assert!(matches!(error, FeedTypeError::NotRepackageable { .. }));
            let text = chain(&error);
            assert!(text.contains("the source distribution computes its version"), "{text}");
            assert!(text.contains("repackage the wheel with `qualifier=file=…`"), "{text}");
            refused += 1;
            continue;
        }
        let (candidate, report) =
            first.unwrap_or_else(|error| panic!("{}: {}", row.file, chain(&error)));
        let (again, _) = repackage(&Pypi, &bytes, &from, "99.0rc1", &entry).unwrap();
        assert!(candidate == again, "{}: two runs differ", row.file);
        assert_eq!(report.signatures_removed.is_empty(), !row.file.starts_with("wheel-0.24.0"));

        let named = |version: &str| Pypi.retarget(&from, &Pypi.version(version).unwrap()).unwrap();
        let target = named("99.0rc1");
        let found = inspect(&Pypi, &candidate, Some(file(&target)), &[])
            .unwrap_or_else(|error| panic!("{}: {}", row.file, chain(&error)));
        assert_eq!(found.identity, target, "{}", row.file);
        compare(row, &bytes, &candidate, "99.0rc1");

        let entry = history_entry(&target, &candidate);
        let (release, _) = repackage(&Pypi, &candidate, &target, "99", &entry)
            .unwrap_or_else(|error| panic!("{}: {}", row.file, chain(&error)));
        let found = inspect(&Pypi, &release, Some(file(&named("99"))), &[]).unwrap();
        let sources: Vec<_> = found
            .history
            .iter()
            .map(|entry| entry.id.parse::<SourceReference>().unwrap().sha1.unwrap())
            .collect();
        let sha1 = |bytes: &[u8]| hexadecimal(&digests(bytes).sha1);
        assert_eq!(sources, [sha1(&bytes), sha1(&candidate)], "{}", row.file);
        compare(row, &bytes, &release, "99");
        done += 1;
    }
    println!("{done} files repackaged twice, {refused} refused");
}

/// A member as an independent library reads it.
#[derive(Debug, PartialEq)]
struct Member {
    data: Vec<u8>,
    /// As it lies in a zip archive; empty elsewhere.
    compressed: Vec<u8>,
    /// Mode, time and what else must not change.
    about: String,
    link: Option<String>,
}

fn members(file: &str, bytes: &[u8]) -> Vec<(String, Member)> {
    if file.ends_with(".tar.gz") { tar_members(bytes) } else { zip_members(bytes) }
}

fn tar_members(bytes: &[u8]) -> Vec<(String, Member)> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        io::copy(&mut entry, &mut data).unwrap();
        let header = entry.header();
        let about = format!(
            "{:?} {:o} {} {:?} {:?} {:?}",
            header.entry_type(),
            header.mode().unwrap(),
            header.mtime().unwrap(),
            // Some writers leave the owner empty, which is no number.
            header.uid().ok(),
            header.gid().ok(),
            header.username(),
        );
        let link =
            entry.link_name_bytes().map(|link| String::from_utf8(link.into_owned()).unwrap());
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        (path, Member { data, compressed: Vec::new(), about, link })
    });
    entries.collect()
}

fn zip_members(bytes: &[u8]) -> Vec<(String, Member)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let members = (0..archive.len()).map(|index| {
        let mut compressed = Vec::new();
        io::copy(&mut archive.by_index_raw(index).unwrap(), &mut compressed).unwrap();
        let mut entry = archive.by_index(index).unwrap();
        let mut data = Vec::new();
        io::copy(&mut entry, &mut data).unwrap();
        let about = format!(
            "{:?} {:?} {:?}",
            entry.compression(),
            entry.last_modified(),
            entry.unix_mode()
        );
        (entry.name().unwrap().into_owned(), Member { data, compressed, about, link: None })
    });
    members.collect()
}

/// Holds a repackaged file against its source: same members in the same order, under the new
/// names, and other bytes only where the rules say so.
fn compare(row: &Row, old: &[u8], new: &[u8], version: &str) {
    let is_wheel = row.is_wheel();
    let old = members(&row.file, old);
    let new = members(&row.file, new);
    let prefix = if is_wheel {
        // A vendored one deeper down does not count.
        let mut infos = old.iter().filter_map(|(path, _)| path.split_once(".dist-info/"));
        infos.find(|(info, _)| !info.contains('/')).unwrap().0.to_owned()
    } else {
        old[0].0.split('/').next().unwrap().to_owned()
    };
    let name = prefix.rsplit_once('-').unwrap().0;
    let renamed = |path: &str| match path.split_once('/') {
        Some((top, rest)) if is_wheel => match top.strip_prefix(&prefix) {
            Some(".dist-info") => format!("{name}-{version}.dist-info/{rest}"),
            Some(".data") => format!("{name}-{version}.data/{rest}"),
            _ => path.to_owned(),
        },
        Some((_, rest)) => format!("{name}-{version}/{rest}"),
        None if is_wheel => path.to_owned(),
        None => format!("{name}-{version}"),
    };
    let below = |path: &str| path.split_once('/').map_or("", |(_, rest)| rest).to_owned();
    let removed = |path: &str| {
        path.ends_with(".dist-info/RECORD.jws") || path.ends_with(".egg-info/scm_version.json")
    };
    let declared = |path: &str| {
        DECLARED.iter().any(|(file, declares)| *file == row.file && *declares == below(path))
    };
    let may_change = |path: &str| {
        let inner = below(path);
        if is_wheel {
            path.starts_with(&format!("{prefix}.dist-info/"))
                && ["METADATA", "RECORD", "metadata.json"].contains(&inner.as_str())
        } else {
            inner == "PKG-INFO" || inner.ends_with(".egg-info/PKG-INFO") || declared(path)
        }
    };
    let kept: Vec<_> = old.iter().filter(|(path, _)| !removed(path)).collect();
    let (history, rest) = new.split_last().unwrap();
    assert!(history.0.ends_with("/repackage_history.json"), "{}: {}", row.file, history.0);
    let paths = |members: &mut dyn Iterator<Item = &(String, Member)>| -> Vec<String> {
        members.map(|(path, _)| path.clone()).collect()
    };
    let expected: Vec<_> = kept.iter().map(|(path, _)| renamed(path)).collect();
    assert_eq!(paths(&mut rest.iter()), expected, "{}", row.file);
    for ((path, before), (_, after)) in kept.iter().zip(rest) {
        assert_eq!(before.about, after.about, "{}: {path}", row.file);
        let link = before
            .link
            .as_ref()
            .map(|link| link.replacen(&prefix, &format!("{name}-{version}"), 1));
        assert_eq!(link, after.link, "{}: {path}", row.file);
        if may_change(path) {
            assert!(before.data != after.data, "{}: {path} is edited", row.file);
        } else {
            assert!(before.data == after.data, "{}: {path} is kept", row.file);
            assert!(before.compressed == after.compressed, "{}: {path} is copied", row.file);
        }
    }
    if is_wheel {
        check_record(row, &new);
    }
}

/// The record lists every file but itself with its digest and size, and nothing else.
fn check_record(row: &Row, members: &[(String, Member)]) {
    let (_, record) = members
        .iter()
        .find(|(path, _)| path.matches('/').count() == 1 && path.ends_with(".dist-info/RECORD"))
        .unwrap();
    let text = String::from_utf8(record.data.clone()).unwrap();
    let mut listed: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut parts = line.rsplitn(3, ',');
        let (size, hash) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
        let path = parts.next().unwrap();
        let path = path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path);
        assert!(listed.insert(path.replace("\"\"", "\""), (hash, size)).is_none());
    }
    for (path, member) in members.iter().filter(|(path, _)| !path.ends_with('/')) {
        let (hash, size) = listed.remove(path).unwrap_or_else(|| panic!("{}: {path}", row.file));
        if member.data == record.data {
            assert_eq!((hash.as_str(), size.as_str()), ("", ""), "{}", row.file);
            continue;
        }
        let digest = data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(&member.data));
        assert_eq!(hash, format!("sha256={digest}"), "{}: {path}", row.file);
        assert_eq!(size, member.data.len().to_string(), "{}: {path}", row.file);
    }
    assert!(listed.is_empty(), "{}: {listed:?}", row.file);
}
