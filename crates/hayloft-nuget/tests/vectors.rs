//! Versions and ranges as the reference library of the clients reads them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::cmp::Ordering;
use std::path::PathBuf;

use hayloft_nuget::{NuGetVersion, VersionRange};

fn corpus() -> PathBuf {
    std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus").into(),
        PathBuf::from,
    )
}

#[test]
fn every_observed_outcome_is_ours() {
    let path = corpus().join("nuget/version-vectors.tsv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not there", path.display());
        return;
    };
    let mut rows = 0;
    for row in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut cells = row.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (kind, input, second, outcome) = (cell(), cell(), cell(), cell());
        let details = [cell(), cell(), cell(), cell()];
        match kind {
            "parse" => parse(row, input, outcome, details),
            "cmp" => compare(row, input, second, outcome, details[0]),
            "range" => range(row, input, outcome, details[0]),
            "satisfies" => satisfies(row, input, second, outcome, details[0]),
            other => panic!("unknown kind {other}"),
        }
        rows += 1;
    }
    assert!(rows >= 635, "only {rows} rows");
    println!("{rows} observed outcomes hold");
}

fn parse(row: &str, input: &str, outcome: &str, details: [&str; 4]) {
    let read = input.parse::<NuGetVersion>();
    if outcome == "invalid" {
        assert!(read.is_err(), "{row}");
        return;
    }
    let version = read.unwrap_or_else(|error| panic!("{row}: {error}"));
    let seen = [
        version.normalized(),
        version.to_string(),
        version.is_prerelease().to_string(),
        version.is_semver2().to_string(),
    ];
    assert_eq!(seen, details, "{row}");
    let again: NuGetVersion = version.to_string().parse().unwrap();
    assert_eq!(again.to_string(), version.to_string());
}

fn compare(row: &str, one: &str, other: &str, outcome: &str, equals: &str) {
    let (one, other): (NuGetVersion, NuGetVersion) = (one.parse().unwrap(), other.parse().unwrap());
    let expected = match outcome {
        "-1" => Ordering::Less,
        "0" => Ordering::Equal,
        "1" => Ordering::Greater,
        other => panic!("{other}"),
    };
    assert_eq!(one.compare(&other), expected, "{row}");
    assert_eq!(other.compare(&one), expected.reverse(), "{row}");
    let keys = (one.sort_key().unwrap(), other.sort_key().unwrap());
    assert_eq!(keys.0.cmp(&keys.1), expected, "{row}");
    assert_eq!((one == other).to_string(), equals, "{row}");
}

fn range(row: &str, input: &str, outcome: &str, normalized: &str) {
    let read = input.parse::<VersionRange>();
    if outcome == "invalid" {
        assert!(read.is_err(), "{row}: {read:?}");
        return;
    }
    let range = read.unwrap_or_else(|error| panic!("{row}: {error}"));
    assert_eq!(range.to_string(), normalized, "{row}");
}

fn satisfies(row: &str, range: &str, version: &str, outcome: &str, normalized: &str) {
    let range: VersionRange = range.parse().unwrap();
    let version: NuGetVersion = version.parse().unwrap();
    assert_eq!(range.is_satisfied_by(&version).to_string(), outcome, "{row}");
    assert_eq!(range.to_string(), normalized, "{row}");
}
