//! The crate keeps the contract of every feed type.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say why they skip"
)]

use std::process::Command;

use hayloft_feed::FeedType;
use hayloft_rubygems::RubyGems;
use hayloft_testkit::{Sample, check, gem, history_entry, inspect, repackage};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

#[test]
fn rubygems_meets_the_contract() {
    let plain = gem("hay-bale", "1.0.0.rc1", "ruby");
    let java = gem("hay-bale", "1.0.0.rc1", "java");
    check(
        &RubyGems,
        &[
            Sample::new(&plain.file_name(), plain.build()),
            Sample::new(&java.file_name(), java.build()),
        ],
        "1.0.0",
    );
}

#[test]
fn versions_ascend() {
    hayloft_testkit::check_order(
        &RubyGems,
        &["0.9", "1.a", "1.a.1", "1.0.b", "1", "1.0.1.pre.1", "1.0.1", "1.1", "1.10", "2.0.a", "2"],
    );
}

fn version() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "0{0,2}[0-9]{1,2}",
        2 => Just("0".to_owned()),
        2 => "[a-c]{1,2}[0-9]{0,2}",
        1 => "[0-9]{20,24}",
    ];
    ("[0-9]{1,2}", proptest::collection::vec(part, 0..5), proptest::option::of("[a-b0-9]{1,3}"))
        .prop_map(|(first, rest, hyphen)| {
            let mut text = [vec![first], rest].concat().join(".");
            if let Some(suffix) = hyphen {
                text = format!("{text}-{suffix}");
            }
            text
        })
}

/// One Ruby process judges a batch of pairs; starting one for each would take minutes.
#[test]
fn order_is_that_of_gem_version() {
    if Command::new("ruby").arg("--version").output().is_err() {
        println!("skipped: no ruby on this machine");
        return;
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let pairs: Vec<(String, String)> = (0..4000)
        .map(|_| (version(), version()).new_tree(&mut runner).unwrap().current())
        .collect();
    let script =
        "ARGF.each_line { |l| a, b = l.split; puts Gem::Version.new(a) <=> Gem::Version.new(b) }";
    let folder = std::env::temp_dir().join(format!("hayloft-gem-order-{}", std::process::id()));
    let input: Vec<String> = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    std::fs::write(&folder, input.concat()).unwrap();
    let output = Command::new("ruby").args(["-e", script]).arg(&folder).output().unwrap();
    std::fs::remove_file(&folder).unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        answers.lines().count(),
        pairs.len(),
        "{:?}",
        String::from_utf8_lossy(&output.stderr)
    );
    for ((a, b), answer) in pairs.iter().zip(answers.lines()) {
        let (left, right) = (RubyGems.version(a).unwrap(), RubyGems.version(b).unwrap());
        let ours = left.sort_key().cmp(right.sort_key()) as i8;
        assert_eq!(ours.to_string(), answer, "{a} <=> {b}");
        assert_eq!(left == right, answer == "0", "{a} equals {b}");
    }
}

#[test]
fn gem_installs_what_was_repackaged() {
    if Command::new("gem").arg("--version").output().is_err() {
        println!("skipped: no gem on this machine");
        return;
    }
    let package =
        gem("hay-fork", "2.0.0.rc1", "ruby").file("lib/hay_fork.rb", "module HayFork; end\n");
    let bytes = package.build();
    let found = inspect(&RubyGems, &bytes, None, &[]).unwrap();
    let entry = history_entry(&found.identity, &bytes);
    let (result, _) = repackage(&RubyGems, &bytes, &found.identity, "2.0.0", &entry).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hay-fork-2.0.0.gem");
    std::fs::write(&file, result).unwrap();
    let home = folder.path().join("home");
    let run = |arguments: &[&str]| {
        let output = Command::new("gem")
            .args(arguments)
            .env("GEM_HOME", &home)
            .env("GEM_PATH", &home)
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let installed = run(&["install", "--local", "--no-document", "hay-fork-2.0.0.gem"]);
    assert!(installed.contains("Successfully installed hay-fork-2.0.0"), "{installed}");
    assert!(home.join("gems/hay-fork-2.0.0/lib/hay_fork.rb").exists());
    let specification = run(&["specification", "hay-fork-2.0.0.gem", "version"]);
    assert!(specification.contains("version: 2.0.0"), "{specification}");
}
