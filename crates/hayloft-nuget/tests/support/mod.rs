//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;

use hayloft_archive::{Zip, ZipRules, ZipWriter};
use hayloft_feed::{FeedTypeError, HistoryEntry, Inspected, Limits, Repackaged};
use hayloft_nuget::{Manifest, NuGet};

/// The folder of real packages; printed as the reason to skip if it is not there.
pub(crate) fn corpus(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus").into(),
        PathBuf::from,
    );
    let path = root.join("nuget").join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there; set HAYLOFT_CORPUS", path.display());
    None
}

pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspected, FeedTypeError> {
    hayloft_testkit::inspect(&NuGet, bytes, None, &[])
}

pub(crate) fn manifest(inspected: &Inspected) -> Manifest {
    serde_json::from_str(&inspected.manifest).unwrap()
}

/// Repackages as the store does: the entry names the source and its SHA-1.
pub(crate) fn repackage(
    bytes: &[u8],
    to: &str,
) -> Result<(Vec<u8>, Repackaged, HistoryEntry), FeedTypeError> {
    let from = inspect(bytes)?.identity;
    let entry = hayloft_testkit::history_entry(&from, bytes);
    let (bytes, done) = hayloft_testkit::repackage(&NuGet, bytes, &from, to, &entry)?;
    Ok((bytes, done, entry))
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The refusal of a file, all its causes in one line.
pub(crate) fn refusal(bytes: &[u8]) -> String {
    match inspect(bytes) {
        Ok(found) => panic!("accepted as {:?}", found.identity),
        Err(error) => {
            assert!(error.is_input(), "{error:?}");
            chain(&error)
        }
    }
}

/// Name to data as it lies in the file, and unpacked data.
pub(crate) fn tree(bytes: &[u8]) -> BTreeMap<String, (Vec<u8>, Vec<u8>)> {
    let mut content = Cursor::new(bytes.to_vec());
    let limits = Limits::default();
    let mut zip = Zip::open_with(&mut content, &limits, &ZipRules::default()).unwrap();
    let names: Vec<String> = zip.entries().iter().map(|entry| entry.name().to_owned()).collect();
    let records = zip.layout().records.clone();
    let at = |place: u64| usize::try_from(place).unwrap();
    names
        .into_iter()
        .zip(records)
        .enumerate()
        .map(|(index, (name, record))| {
            let raw = bytes[at(record.data.start)..at(record.data.end)].to_vec();
            (name, (raw, zip.read(index, u64::MAX).unwrap()))
        })
        .collect()
}

pub(crate) fn names(bytes: &[u8]) -> Vec<String> {
    let mut content = Cursor::new(bytes.to_vec());
    let zip = Zip::open(&mut content, &Limits::default()).unwrap();
    zip.entries().iter().map(|entry| entry.name().to_owned()).collect()
}

pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, data) in entries {
        zip.add(name, None, &mut Cursor::new(data)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A nuspec of `A` 1.0.0 with more metadata.
pub(crate) fn nuspec(metadata: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?>\r\n<package><metadata><id>A</id><version>1.0.0</version>\
         <authors>x</authors><description>y</description>{metadata}</metadata></package>\r\n"
    )
    .into_bytes()
}

/// A package of a nuspec and other entries.
pub(crate) fn package(metadata: &str, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let nuspec = nuspec(metadata);
    let mut all = vec![("A.nuspec", &nuspec[..])];
    all.extend_from_slice(entries);
    zip(&all)
}
