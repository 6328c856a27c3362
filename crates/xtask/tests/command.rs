//! Asking for help, and mistakes, start no chore.

#![allow(clippy::unwrap_used, reason = "tests panic to fail")]

use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Output {
    // Where a chore started nevertheless, it would find no cargo.
    let nowhere = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("CARGO", nowhere.path().join("cargo"))
        .env("PATH", nowhere.path())
        .output()
        .unwrap()
}

#[test]
fn every_command_has_help() {
    let help = xtask(&["help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    let command = |line: &str| {
        let name = line.strip_prefix("  ")?.split(' ').next()?.to_owned();
        (!name.is_empty()).then_some(name)
    };
    let commands: Vec<String> = text.lines().filter_map(command).collect();
    for expected in ["test", "ci", "check", "tools", "fuzz", "dist", "bench"] {
        assert!(commands.iter().any(|name| name == expected), "{expected}: {text}");
    }
    for name in commands {
        for option in ["--help", "-h"] {
            let output = xtask(&[&name, option]);
            assert!(output.status.success(), "{name} {option}: {output:?}");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{name} {option}");
        }
    }
}

#[test]
fn what_is_not_known_is_refused_before_anything_starts() {
    let wrong: &[&[&str]] = &[
        &["chekc"],
        &["--halp"],
        &["check", "--fast"],
        &["ci", "hayloft-core"],
        &["tools", "--all"],
        &["deny", "x"],
        &["package", "x"],
        &["semver", "x"],
        &["rust-version", "1.90"],
        &["fuzz", "--seconds=3"],
        &["fuzz", "npm", "nuget"],
        &["dist", "--output=x"],
        &["soak", "--hours"],
    ];
    for arguments in wrong {
        let output = xtask(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("see `cargo xtask help`"), "{arguments:?}: {text}");
        assert!(!text.contains("$ "), "{arguments:?}: {text}");
    }
}

#[test]
fn options_that_the_help_names_reach_their_command() {
    let output = xtask(&["soak", "--minutes", "2", "--seed", "x", "--large"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("`x` is no number"), "{text}");
}
