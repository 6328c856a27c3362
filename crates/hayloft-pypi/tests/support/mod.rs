//! Where the corpus is, and the one process that asks Python.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::io::Write;
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

/// What a Python program answers, in JSON, to a value in JSON; `None`, with a printed reason, if
/// there is no Python or the modules it needs are not there.
pub(crate) fn ask_python(program: &str, question: &serde_json::Value) -> Option<serde_json::Value> {
    let child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no python3");
        return None;
    };
    // A program that lacks its module exits before it reads.
    let _ = child.stdin.take().unwrap().write_all(question.to_string().as_bytes());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && errors.contains("ModuleNotFoundError") {
        println!("skipped: {errors}");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
