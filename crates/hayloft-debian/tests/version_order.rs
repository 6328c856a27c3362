//! The order of sort keys against dpkg's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::cmp::Ordering;
use std::io::Write;
use std::process::{Command, Stdio};

use hayloft_debian::DebianVersion;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Short parts from a small alphabet, so that two versions often share a beginning.
fn part(marks: &'static str) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[0-9]{1,3}",
        1 => "0{0,3}[0-9]{18,24}",
        2 => "[aAzZ]{1,2}",
        3 => proptest::sample::select(marks.chars().collect::<Vec<_>>()).prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn version() -> impl Strategy<Value = String> {
    let epoch = proptest::option::weighted(0.3, "0{0,2}[0-3]");
    let revision = proptest::option::of(part("~+.").prop_map(|text| format!("-{text}0")));
    (epoch, "[0-2]", part("~+.-:"), revision).prop_map(|(epoch, first, rest, revision)| {
        // A colon needs an epoch, a hyphen needs a revision.
        let rest = if epoch.is_some() { rest } else { rest.replace(':', ".") };
        let rest = if revision.is_some() { rest } else { rest.replace('-', "+") };
        let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
        format!("{epoch}{first}{rest}{}", revision.unwrap_or_default())
    })
}

/// Pairs that are near each other as often as not.
fn pair() -> impl Strategy<Value = (String, String)> {
    let suffix = prop_oneof!["~", "0", "\\.", "\\+b1", "a", "00", "~~", "A"];
    prop_oneof![
        (version(), version()),
        (version(), suffix).prop_map(|(base, suffix)| (base.clone(), base + &suffix)),
    ]
}

fn compare(pair: &(String, String)) -> Ordering {
    let key = |text: &str| {
        let version: DebianVersion = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        version.sort_key().clone()
    };
    let (a, b) = (key(&pair.0), key(&pair.1));
    let (a_bytes, b_bytes) = (a.as_bytes(), b.as_bytes());
    assert!(
        a == b || !(a_bytes.starts_with(b_bytes) || b_bytes.starts_with(a_bytes)),
        "the key of one of {pair:?} begins that of the other"
    );
    a.cmp(&b)
}

fn is_installed(program: &str, argument: &str) -> bool {
    let found = Command::new(program).arg(argument).output().is_ok_and(|ran| ran.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// Many comparisons by one process of dpkg's Perl library.
fn perl_compares(pairs: &[(String, String)]) -> Vec<Ordering> {
    let script = "use Dpkg::Version; while (<STDIN>) { chomp; my ($x, $y) = split / /; \
        for ($x, $y) { my ($ok, $why) = version_check($_); die qq($_: $why) unless $ok } \
        print version_compare($x, $y), qq(\\n) }";
    let mut perl = Command::new("perl")
        .args(["-e", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    let mut input = perl.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()));
    let output = perl.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "perl refused a version");
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(|line| line.parse::<i32>().unwrap().cmp(&0)).collect()
}

#[test]
fn keys_order_as_the_perl_library_of_dpkg_compares() {
    if !is_installed("perl", "-MDpkg::Version") {
        return;
    }
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let batch = proptest::collection::vec(pair(), 400);
    let property = |pairs: Vec<(String, String)>| {
        for (pair, expected) in pairs.iter().zip(perl_compares(&pairs)) {
            prop_assert_eq!(compare(pair), expected, "{:?}", pair);
        }
        Ok(())
    };
    runner.run(&batch, property).unwrap();
}

fn dpkg_compares(pair: &(String, String)) -> Ordering {
    let holds = |relation: &str| {
        let mut dpkg = Command::new("dpkg");
        dpkg.args(["--compare-versions", &pair.0, relation, &pair.1]);
        dpkg.status().unwrap().success()
    };
    if holds("eq") {
        Ordering::Equal
    } else if holds("lt") {
        Ordering::Less
    } else {
        assert!(holds("gt"), "{pair:?}");
        Ordering::Greater
    }
}

#[test]
fn keys_order_as_dpkg_itself_compares() {
    if !is_installed("dpkg", "--version") {
        return;
    }
    let mut runner = TestRunner::new(Config { cases: 500, ..Config::default() });
    let property = |pair: (String, String)| {
        prop_assert_eq!(compare(&pair), dpkg_compares(&pair), "{:?}", pair);
        Ok(())
    };
    runner.run(&pair(), property).unwrap();
}

#[test]
fn what_parses_is_what_dpkg_calls_valid() {
    if !is_installed("dpkg", "--version") {
        return;
    }
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let property = |text: String| {
        let answer = Command::new("dpkg").args(["--validate-version", &text]).output().unwrap();
        let read = text.parse::<DebianVersion>();
        let valid = read.is_ok_and(|version| version.begins_with_digit());
        prop_assert_eq!(valid, answer.status.success(), "{:?}", text);
        Ok(())
    };
    let text = prop_oneof!["[0-9a:.~+_ -]{1,6}", version(), "[0-9]{1,11}:1", "[ -~]{1,4}"];
    // A leading hyphen would be an option; dpkg trims blanks, which are the control file's matter.
    let text = text.prop_filter("an option or blanks", |text: &String| {
        !text.starts_with('-') && text.trim() == text
    });
    runner.run(&text, property).unwrap();
}
