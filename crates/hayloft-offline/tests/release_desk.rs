//! The example is a program of its own, without HTTP; it is run as one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft::{Selector, VersionsQuery};
use hayloft_testkit::upack;

/// What Cargo built of the example beside this test.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples/release_desk")
}

fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program()).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_candidate_in_a_folder_is_released_shown_and_carried() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs_err::create_dir(at("incoming")).unwrap();
    let candidate = upack("hay", "tools", "1.4.0-rc.2").payload(20_000);
    fs_err::write(at("incoming").join(candidate.file_name()), candidate.build()).unwrap();
    fs_err::write(at("incoming/bad-1.0.0.upack"), "no package").unwrap();

    let said = run(directory.path(), &["desk", "incoming", "site", "bundle.tar"]);
    assert!(said.contains("1 stored, 0 there already, 1 refused"), "{said}");
    assert!(said.contains("tools 1.4.0 is released"), "{said}");
    let again = run(directory.path(), &["desk", "incoming", "site", "bundle.tar"]);
    assert!(again.contains("0 stored, 1 there already, 1 refused"), "{again}");
    assert!(!again.contains("is released"), "{again}");
    assert!(at("site").join(".hayloft-export").is_dir());

    let came = run(directory.path(), &["elsewhere", "bundle.tar"]);
    assert_eq!(came, "1 packages came\n");
    let there = hayloft::open(at("elsewhere")).unwrap();
    let all: Vec<_> = there
        .versions("released", &VersionsQuery::default())
        .unwrap()
        .map(|file| file.unwrap().version)
        .collect();
    assert_eq!(all, ["1.4.0"]);
    let history = there.history("released", &Selector::grouped("hay", "tools", "1.4.0")).unwrap();
    assert_eq!(history.embedded[""].len(), 1, "the package tells where it came from");
}
