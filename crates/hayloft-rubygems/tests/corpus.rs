//! Every real and every odd gem of the corpus gets the verdict of its index.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::print_stdout,
    reason = "tests panic to fail and report what they saw"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use hayloft_archive::TarReader;
use hayloft_feed::{FeedType, FileRole, Limits};
use hayloft_rubygems::RubyGems;
use hayloft_testkit::{digests, history_entry, inspect, repackage};

/// Gems that the index calls sound but whose versions or names an upload may not have, and those
/// that it calls broken.
const REFUSED: &[&str] = &["must be rejected", "gem refuses it", "pre-0.8 format"];

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    let folder = folder.join("rubygems");
    if folder.exists() {
        return Some(folder);
    }
    println!("skipped: no corpus at {}", folder.display());
    None
}

/// Members of a gem by name, as stored.
fn members(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut reader = TarReader::new(Cursor::new(bytes), &Limits::default());
    let mut members = BTreeMap::new();
    while let Some(mut member) = reader.next().unwrap() {
        let name = member.path_text().unwrap().to_owned();
        let mut data = Vec::new();
        std::io::copy(&mut member.by_ref(), &mut data).unwrap();
        members.insert(name, data);
    }
    members
}

fn is_signature(member: &str) -> bool {
    member.strip_suffix(".sig").is_some()
}

fn repackaged_twice(name: &str, bytes: &[u8]) {
    let first = inspect(&RubyGems, bytes, None, &[]).unwrap();
    let entry = history_entry(&first.identity, bytes);
    let (middle, done) =
        repackage(&RubyGems, bytes, &first.identity, "77.1.0.rc1", &entry).unwrap();
    let (again, _) = repackage(&RubyGems, bytes, &first.identity, "77.1.0.rc1", &entry).unwrap();
    assert!(middle == again, "{name}: two runs differ");
    let second = inspect(&RubyGems, &middle, None, &[]).unwrap();
    assert_eq!(second.identity.version.text(), "77.1.0.rc1", "{name}");
    let entry_two = history_entry(&second.identity, &middle);
    let (last, _) = repackage(&RubyGems, &middle, &second.identity, "77.1.0", &entry_two).unwrap();
    let third = inspect(&RubyGems, &last, None, &[]).unwrap();
    let sources: Vec<&str> =
        third.history.iter().map(|entry| entry.id.rsplit(':').next().unwrap()).collect();
    let sha1 = |bytes: &[u8]| HEXLOWER.encode(&digests(bytes).sha1);
    assert_eq!(sources, [sha1(bytes), sha1(&middle)], "{name}");
    let (old, new) = (members(bytes), members(&last));
    assert_eq!(old["data.tar.gz"], new["data.tar.gz"], "{name}: the files changed");
    let mut expected: Vec<&str> = old
        .keys()
        .map(String::as_str)
        .filter(|member| !is_signature(member))
        .chain(["checksums.yaml.gz", "repackage_history.json"])
        .collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(new.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{name}");
    let signed = old.keys().any(|member| is_signature(member));
    assert_eq!(!done.signatures_removed.is_empty(), signed, "{name}");
    assert_eq!(third.history[0].other.contains_key("_signatureRemoved"), signed, "{name}");
    assert_eq!(first.identity.qualifiers, third.identity.qualifiers, "{name}");
}

#[test]
fn every_gem_gets_the_verdict_of_its_index() {
    let Some(folder) = corpus() else { return };
    let (mut accepted, mut refused) = (0, 0);
    for (index, verdict_column) in [("INDEX.tsv", None), ("odd/INDEX.tsv", Some(6))] {
        let path = folder.join(index);
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            let name = columns[0];
            let bytes = std::fs::read(path.parent().unwrap().join(name)).unwrap();
            let is_sound = match verdict_column {
                Some(column) => columns[column] == "accept",
                None => !REFUSED.iter().any(|mark| columns[6].contains(mark)),
            };
            match (inspect(&RubyGems, &bytes, Some(name), &[]), is_sound) {
                (Ok(found), true) => {
                    accepted += 1;
                    assert_eq!(found.identity.package.name(), columns[3], "{name}");
                    assert_eq!(found.identity.version.text(), columns[4], "{name}");
                    assert_eq!(found.role, FileRole::Package);
                    let manifest: serde_json::Value =
                        serde_json::from_str(&found.manifest).unwrap();
                    assert_eq!(manifest["name"], columns[3], "{name}");
                    if verdict_column.is_none() && columns[5] != "ruby" {
                        assert_eq!(found.identity.qualifiers.get("platform"), Some(columns[5]));
                    }
                    repackaged_twice(name, &bytes);
                }
                (Err(error), false) => {
                    refused += 1;
                    assert!(error.is_input(), "{name}: {error:?}");
                    let mut chain = error.to_string();
                    let mut source = std::error::Error::source(&error);
                    while let Some(next) = source {
                        chain = format!("{chain}: {next}");
                        source = next.source();
                    }
                    println!("{name}: {chain}");
                }
                (Ok(_), false) => panic!("{name} was accepted: {line}"),
                (Err(error), true) => panic!("{name} was refused: {error:?}"),
            }
        }
    }
    println!("rubygems: {accepted} accepted and repackaged, {refused} refused as expected");
    assert!(accepted > 20 && refused > 15);
}

#[test]
fn index_lines_are_those_of_the_golden_feed() {
    let Some(folder) = corpus() else { return };
    let feed = folder.join("mini-feed");
    let mut checked = 0;
    for entry in std::fs::read_dir(feed.join("gems")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = inspect(&RubyGems, &bytes, None, &[]).unwrap();
        let line = std::str::from_utf8(&found.fragments[0].bytes).unwrap();
        let info =
            std::fs::read_to_string(feed.join("info").join(found.identity.package.name())).unwrap();
        assert!(
            info.lines()
                .any(|known| known == line || known.starts_with(&format!("{line},created_at"))),
            "{}: `{line}` is not in\n{info}",
            path.display()
        );
        checked += 1;
    }
    assert!(checked > 0);
    assert!(RubyGems.version("1").is_ok());
}

/// The YAML of constraints such as `< 2.0&>= 0.1`, below `indent` blanks.
fn requirement(constraints: &str, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    let items: String = constraints
        .split('&')
        .rev()
        .map(|constraint| {
            let (operator, version) = constraint.split_once(' ').unwrap();
            format!(
                "{blanks}- - \"{operator}\"\n{blanks}  - !ruby/object:Gem::Version\n\
                 {blanks}    version: '{version}'\n"
            )
        })
        .collect();
    format!("!ruby/object:Gem::Requirement\n{blanks}requirements:\n{items}")
}

/// A gem that says what a line of the public registry says comes to that line.
#[test]
fn lines_of_the_public_registry_are_written_as_it_writes_them() {
    let Some(folder) = corpus() else { return };
    let index = std::fs::read_to_string(folder.join("compact-index/INDEX.tsv")).unwrap();
    let mut checked = 0;
    for row in index.lines().skip(1) {
        let name = row.split('\t').next().unwrap();
        let info = std::fs::read_to_string(folder.join("compact-index").join(name)).unwrap();
        for line in info.lines().skip(1) {
            let (number, rest) = line.split_once(' ').unwrap();
            let (needs, told) = rest.split_once('|').unwrap();
            let (version, platform) = number.split_once('-').unwrap_or((number, "ruby"));
            let mut text = format!(
                "--- !ruby/object:Gem::Specification\nname: '{name}'\n\
                 version: !ruby/object:Gem::Version\n  version: '{version}'\nplatform: {platform}\n"
            );
            if !needs.is_empty() {
                text.push_str("dependencies:\n");
            }
            let needs: Vec<&str> = needs.split(',').filter(|need| !need.is_empty()).collect();
            for need in needs.into_iter().rev() {
                let (name, constraints) = need.split_once(':').unwrap();
                let requirement = requirement(constraints, 4);
                text.push_str(&format!(
                    "- !ruby/object:Gem::Dependency\n  name: {name}\n  type: :runtime\n  \
                     requirement: {requirement}"
                ));
            }
            let mut checksum = "";
            for part in told.split(',') {
                let (key, value) = part.split_once(':').unwrap();
                match key {
                    "checksum" => checksum = value,
                    "ruby" | "rubygems" => {
                        let requirement = requirement(value, 2);
                        text.push_str(&format!("required_{key}_version: {requirement}"));
                    }
                    other => panic!("{other}"),
                }
            }
            let bytes = support::gem(&text);
            let found = inspect(&RubyGems, &bytes, None, &[])
                .unwrap_or_else(|error| panic!("{line}: {}", support::chain(&error)));
            let ours = String::from_utf8(found.fragments[0].bytes.clone()).unwrap();
            let own = HEXLOWER.encode(&digests(&bytes).sha256);
            // Old gems are listed under their own spelling of a platform, here under its normal form.
            let line = match found.identity.qualifiers.get("platform").unwrap() {
                "ruby" => line.to_owned(),
                normal => format!("{version}-{normal} {rest}"),
            };
            assert_eq!(ours.replace(&own, checksum), line, "{name}");
            checked += 1;
        }
    }
    println!("{checked} lines");
    assert!(checked > 400);
}
