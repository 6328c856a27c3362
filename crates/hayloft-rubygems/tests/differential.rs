//! RubyGems itself reads the same out of every file that is accepted here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::unnecessary_debug_formatting,
    reason = "tests panic to fail and say why they skip"
)]

mod support;

use data_encoding::BASE64;
use hayloft_rubygems::RubyGems;
use hayloft_testkit::inspect;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};
use support::{SPECIFICATION, Tar, data, gzip, read_by_rubygems, with_files};
use tar::EntryType;

const OTHER: &str = "--- !ruby/object:Gem::Specification\nname: straw\n\
    version: !ruby/object:Gem::Version\n  version: 2.0.0\nplatform: java\n";

/// What may be wrong with a member: its kind, and bytes of its header.
fn member() -> impl Strategy<Value = (String, EntryType, Vec<u8>, Option<(usize, u8)>)> {
    let name = prop_oneof![
        6 => Just("metadata.gz"), 3 => Just("data.tar.gz"), 2 => Just("metadata"),
        1 => Just("checksums.yaml.gz"), 1 => Just("METADATA.gz"), 1 => Just("./metadata.gz"),
        1 => Just("metadata.gz.sig"), 1 => Just("x"),
    ];
    let kind = prop_oneof![
        8 => Just(b'0'), 1 => Just(0), 1 => Just(b'7'), 1 => Just(b'5'), 1 => Just(b'L'),
        1 => Just(b'K'), 1 => Just(b'x'), 1 => Just(b'g'), 1 => Just(b'2'),
    ];
    let first = || gzip(SPECIFICATION.as_bytes());
    let content = prop_oneof![
        4 => Just(first()),
        2 => Just(gzip(OTHER.as_bytes())),
        2 => Just(data()),
        1 => Just(SPECIFICATION.as_bytes().to_vec()),
        1 => Just([gzip(b""), first()].concat()),
        1 => Just([first(), gzip(OTHER.as_bytes())].concat()),
        1 => Just([first(), vec![0; 9]].concat()),
        1 => Just([data(), gzip(b"")].concat()),
        1 => Just(b"17 path=metadata\n".to_vec()),
        1 => Just(b"data.tar.gz\0".to_vec()),
    ];
    let byte = prop_oneof![
        Just((11, b'x')),
        Just((12, b'x')),
        Just((8, b' ')),
        Just((345, b'x')),
        Just((257, 0)),
        Just((124, b' ')),
        Just((135, b' ')),
    ];
    (name, kind, content, proptest::option::weighted(0.2, byte)).prop_map(
        |(name, kind, content, byte)| (name.to_owned(), EntryType::new(kind), content, byte),
    )
}

fn archive() -> impl Strategy<Value = Vec<u8>> {
    let sound = vec![
        ("metadata.gz".to_owned(), EntryType::Regular, gzip(SPECIFICATION.as_bytes()), None),
        ("data.tar.gz".to_owned(), EntryType::Regular, data(), None),
    ];
    let members = proptest::collection::vec(member(), 0..3);
    (members, Just(sound), 0..8_usize, any::<bool>()).prop_map(
        |(extra, sound, keep, end_inside)| {
            let mut members: Vec<_> = sound
                .into_iter()
                .enumerate()
                .filter(|(at, _)| keep & (1 << at) == 0)
                .map(|(_, m)| m)
                .collect();
            for (at, member) in extra.into_iter().enumerate() {
                members.insert((keep + at) % (members.len() + 1), member);
            }
            let mut tar = Tar::default();
            let last = members.len();
            for (at, (name, kind, content, byte)) in members.into_iter().enumerate() {
                if end_inside && keep == 7 && at + 1 == last {
                    tar.0.extend([0; 1024]);
                }
                tar = tar.member_with(&name, kind, "", &content, |header| {
                    if let Some((at, byte)) = byte {
                        header[at] = byte;
                    }
                });
            }
            tar.end()
        },
    )
}

/// Specifications made of lines that say the same thing in several ways.
fn specification() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("name: hay\n"),
        Just("name: 'hay'\n"),
        Just("\"name\": hay\n"),
        Just("name: !str hay\n"),
        Just("name: !binary aGF5\n"),
        Just("name: yes\n"),
        Just("name: ! 'no'\n"),
        Just("name: on\n"),
        Just("name: 0x1\n"),
        Just("name: null\n"),
        Just("name: |-\n  hay\n"),
        Just("name: &a hay\n"),
        Just("name: >-\n  hay\n"),
        Just("? name\n: hay\n"),
        Just("name: 1_0\n"),
        Just("!str name: a\n"),
        Just("name: hay # x\n"),
        Just("name: :hay\n"),
        Just("name: \"h\\x61y\"\n"),
        Just("name: y\n"),
    ];
    let version = prop_oneof![
        4 => Just("version: !ruby/object:Gem::Version\n  version: 1.0.0\n"),
        1 => Just("version: !ruby/object:Gem::Version\n  version: '1.10'\n"),
        1 => Just("version: !ruby/object:Gem::Version {version: 1.2.3}\n"),
        1 => Just("version: !ruby/object:Gem::Version\n  version: !binary |-\n    MS4wLjE=\n"),
        1 => Just("version: !ruby/object:Gem::Version\n  prerelease: true\n  version: 1.0.b\n"),
        1 => Just("version: 1.0.0\n"),
    ];
    let more = prop_oneof![
        Just("platform: java\n"),
        Just("platform: ruby\n"),
        Just("<<: {name: straw}\n"),
        Just("\"<<\": {name: straw}\n"),
        Just("!binary \"bmFtZQ==\": straw\n"),
        Just("# c\u{2028}name: straw\n"),
        Just("description: |\n  x\u{2028}name: straw\n"),
        Just("summary: x\u{85}  y\n"),
        Just("description: \"a\\\n  name: straw\"\n"),
        Just("name: straw\n"),
        Just("---\nname: straw\n"),
        Just("...\n"),
        Just("summary: \"\\u2028name: straw\"\n"),
        Just("description: '\n\n  name: straw'\n"),
        Just("metadata:\n  a: b\n"),
        Just(
            "required_ruby_version: !ruby/object:Gem::Requirement\n  requirements:\n  - - '>='\n    - !ruby/object:Gem::Version\n      version: '2'\n"
        ),
        Just(
            "dependencies:\n- !ruby/object:Gem::Dependency\n  name: dep\n  requirement: &r !ruby/object:Gem::Requirement\n    requirements:\n    - - '>='\n      - !ruby/object:Gem::Version\n        version: '2'\n  type: :runtime\n  prerelease: false\n  version_requirements: *r\n"
        ),
        Just(
            "dependencies:\n- !ruby/object:Gem::Dependency\n  name: dep\n  requirement: !ruby/object:Gem::Requirement\n    requirements:\n    - - '>='\n      - !ruby/object:Gem::Version\n        version: '2'\n  type: :development\n  prerelease: false\n"
        ),
        Just("platform: !ruby/object:Gem::Platform\n  cpu: x86\n  os: mingw32\n  version:\n"),
        Just("files:\n- a\n- b\n"),
        Just("authors: [a, null]\n"),
        Just("date: 2020-01-01\n"),
    ];
    let tail = proptest::collection::vec(more, 0..3);
    (name, version, tail, any::<bool>(), 0..6_u8).prop_map(|(name, version, tail, crlf, order)| {
        let mut parts = vec![name.to_owned(), version.to_owned()];
        for (at, part) in tail.into_iter().enumerate() {
            parts.insert((usize::from(order) + at) % (parts.len() + 1), part.to_owned());
        }
        let text = format!("--- !ruby/object:Gem::Specification\n{}", parts.concat());
        if crlf && order == 0 { text.replace('\n', "\r\n") } else { text }
    })
}

/// Files with names that readers take differently.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        4 => Just("lib/a"), 1 => Just("lib//b"), 1 => Just("./lib/c"), 1 => Just("lib/../d"), 1 => Just("../e"),
        1 => Just("lib/link/f"), 1 => Just("lib/link"), 1 => Just("/g"), 1 => Just("lib/h "), 1 => Just("x/y/z/l"),
    ];
    let kind = prop_oneof![4 => Just(b'0'), 1 => Just(b'2'), 1 => Just(b'5'), 1 => Just(b'x'), 1 => Just(b'L')];
    let target = prop_oneof![
        Just("a"),
        Just("../a"),
        Just("../../.."),
        Just("../.."),
        Just("z/l/../../../../o")
    ];
    let byte = proptest::option::weighted(
        0.2,
        prop_oneof![Just((345, b'p')), Just((8, b'x')), Just((257, 0))],
    );
    proptest::collection::vec((name, kind, target, byte), 1..5).prop_map(|members| {
        let tar = members.into_iter().fold(Tar::default(), |tar, (name, kind, target, byte)| {
            let (target, data): (_, &[u8]) = match kind {
                b'2' => (target, b""),
                b'5' => ("", b""),
                b'x' => ("", b"12 path=lib\n"),
                b'L' => ("", b"lib/long\0"),
                _ => ("", b"text"),
            };
            tar.member_with(name, EntryType::new(kind), target, data, |header| {
                if let Some((at, byte)) = byte {
                    header[at] = byte;
                }
            })
        });
        with_files(tar)
    })
}

/// What is accepted here, in the words of the script that asks RubyGems.
fn ours(gem: &[u8]) -> Option<Value> {
    let found = inspect(&RubyGems, gem, None, &[]).ok()?;
    let manifest: Value = serde_json::from_str(&found.manifest).unwrap();
    let sorted = |list: &Value| {
        let mut list: Vec<String> = serde_json::from_value(list.clone()).unwrap();
        list.sort();
        list
    };
    let needs: Vec<Value> = manifest["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["type"] == "runtime")
        .map(|dependency| json!([dependency["name"], sorted(&dependency["requirements"])]))
        .collect();
    Some(json!({
        "name": found.identity.package.name(), "version": found.identity.version.text(),
        "platform": found.identity.qualifiers.get("platform").unwrap(), "needs": needs,
        "ruby": sorted(&manifest["requiredRubyVersion"]),
    }))
}

fn agree(gems: &[Vec<u8>], least: usize, show: &dyn Fn(usize) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let Some(theirs) = read_by_rubygems(folder.path(), gems) else { return };
    let (mut both, mut only_ours) = (0, 0);
    for (at, (gem, theirs)) in gems.iter().zip(&theirs).enumerate() {
        let Some(ours) = ours(gem) else { continue };
        let Ok(mut theirs) = serde_json::from_str::<Value>(theirs) else {
            only_ours += 1;
            continue;
        };
        theirs.as_object_mut().unwrap().remove("files");
        assert_eq!(ours, theirs, "{}", show(at));
        both += 1;
    }
    println!("{} gems: {both} read by both, {only_ours} not by RubyGems", gems.len());
    assert!(both >= least, "the generator makes too few sound gems");
}

fn generated<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn archives_read_alike() {
    let gems = generated(archive(), 3_000);
    agree(&gems, 50, &|at| BASE64.encode(&gems[at]));
}

#[test]
fn specifications_read_alike() {
    let texts = generated(specification(), 3_000);
    let gems: Vec<_> = texts.iter().map(|text| support::gem(text)).collect();
    agree(&gems, 300, &|at| texts[at].clone());
}

/// What RubyGems unpacks of an accepted gem lies in its folder.
#[test]
fn files_stay_in_their_folder() {
    const UNPACK: &str = r#"
        require "rubygems/package"
        ARGF.each_line do |line|
          gem, folder = line.chomp.split("\t")
          begin
            Gem::Package.new(gem).extract_files(folder)
          rescue Exception => e
          end
        end
    "#;
    let gems = generated(files(), 2_000);
    let folder = tempfile::tempdir().unwrap();
    if read_by_rubygems(folder.path(), &[]).is_none() {
        return;
    }
    let accepted: Vec<_> = gems.iter().filter(|gem| ours(gem).is_some()).collect();
    println!("{} of {} accepted", accepted.len(), gems.len());
    assert!(accepted.len() > 100);
    let mut lines = String::new();
    for (at, gem) in accepted.iter().enumerate() {
        let outer = folder.path().join(at.to_string());
        std::fs::create_dir_all(outer.join("in/gem")).unwrap();
        std::fs::write(outer.join("a.gem"), gem).unwrap();
        lines += &format!("{0}/a.gem\t{0}/in/gem\n", outer.display());
    }
    let list = folder.path().join("list");
    std::fs::write(&list, lines).unwrap();
    let output =
        std::process::Command::new("ruby").args(["-e", UNPACK]).arg(&list).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (at, gem) in accepted.iter().enumerate() {
        let outer = folder.path().join(at.to_string());
        let names = |folder: &std::path::Path| -> Vec<String> {
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&outer), ["a.gem", "in"], "{gem:?}");
        assert_eq!(names(&outer.join("in")), ["gem"], "{gem:?}");
        for link in links_below(&outer.join("in/gem")) {
            if let Ok(target) = std::fs::canonicalize(&link) {
                let root = std::fs::canonicalize(outer.join("in/gem")).unwrap();
                assert!(target.starts_with(&root), "{link:?} leads to {target:?}");
            }
        }
    }
}

fn links_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            found.push(entry.path());
        } else if kind.is_dir() {
            found.extend(links_below(&entry.path()));
        }
    }
    found
}
