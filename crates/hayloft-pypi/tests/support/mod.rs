//! Where the corpus is, and how Python is run.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use hayloft_feed::{Identity, Inspected};

/// One row of the corpus index.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
    pub(crate) metadata_version: String,
}

impl Row {
    pub(crate) fn is_wheel(&self) -> bool {
        self.file.rsplit('.').next() == Some("whl")
    }
}

pub(crate) fn folder() -> PathBuf {
    let standard = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    PathBuf::from(std::env::var("HAYLOFT_CORPUS").unwrap_or_else(|_| standard.to_owned()))
        .join("pypi")
}

/// All rows; none, with a printed reason, if there is no corpus.
pub(crate) fn rows() -> Vec<Row> {
    let index = folder().join("INDEX.tsv");
    let Ok(text) = std::fs::read_to_string(&index) else {
        println!("skipped: there is no {}", index.display());
        return Vec::new();
    };
    let rows = text.lines().skip(1).map(|line| {
        let mut cells = line.split('\t').map(str::to_owned);
        let mut cell = || cells.next().unwrap();
        Row {
            file: cell(),
            name: cell(),
            version: cell(),
            sha256: cell(),
            metadata_version: cell(),
        }
    });
    rows.collect()
}

pub(crate) fn bytes(row: &Row) -> Vec<u8> {
    std::fs::read(folder().join(&row.file)).unwrap()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

pub(crate) fn manifest(found: &Inspected) -> serde_json::Value {
    serde_json::from_str(&found.manifest).unwrap()
}

pub(crate) fn file(identity: &Identity) -> &str {
    identity.qualifiers.get("file").unwrap()
}

/// An error with all its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The Python that has `modules`; `None`, with a printed reason, if there is none.
pub(crate) fn python(modules: &[&str]) -> Option<Command> {
    const FIND: &str = "import sys, importlib.util as u\n\
        sys.exit(any(u.find_spec(module) is None for module in sys.argv[1:]))";
    let program = std::env::var_os("HAYLOFT_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&program)
        .args(["-c", FIND])
        .args(modules)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if probe.is_ok_and(|status| status.success()) {
        return Some(Command::new(program));
    }
    println!(
        "skipped: {} is no Python that has {}; HAYLOFT_PYTHON names another one",
        program.display(),
        modules.join(", ")
    );
    None
}

/// What a command prints; it has to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{text}\n{errors}");
    text
}
