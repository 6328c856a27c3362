//! Real packages: accepted, identified as the index says, and repackaged twice.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use hayloft_feed::{HistoryEntry, Inspected};
use hayloft_testkit::{history_entry, inspect, repackage};
use hayloft_universal::Universal;

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    let folder = folder.join("upack");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there is no corpus at {}", folder.display());
    None
}

/// Name as written, and all that a copied entry keeps.
#[derive(Debug, PartialEq)]
struct Entry {
    name: Vec<u8>,
    crc: u32,
    size: u64,
    modified: Option<zip::DateTime>,
    raw: Vec<u8>,
}

/// Read by a library, not by what is tested.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index_raw(index).unwrap();
            let mut raw = Vec::new();
            std::io::copy(&mut file, &mut raw).unwrap();
            Entry {
                name: file.name_raw().to_vec(),
                crc: file.crc32(),
                size: file.size(),
                modified: file.last_modified(),
                raw,
            }
        })
        .collect()
}

fn read(bytes: &[u8]) -> Inspected {
    inspect(&Universal, bytes, None, &[]).unwrap()
}

#[test]
fn every_package_of_the_corpus_is_read_and_repackaged_twice() {
    let Some(folder) = corpus() else { return };
    let index = fs_err::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut lines = index.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let mut count = 0;
    for line in lines.filter(|line| !line.is_empty()) {
        let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split('\t')).collect();
        let bytes = fs_err::read(folder.join(row["file"])).unwrap();
        let found = read(&bytes);
        assert_eq!(found.identity.package.spelled(), row["name"], "{}", row["file"]);
        assert_eq!(found.identity.version.text(), row["version"], "{}", row["file"]);
        repackage_twice(&bytes, &found);
        count += 1;
    }
    println!("{count} packages of the corpus read and repackaged twice");
    assert!(count >= 2);
}

fn repackage_twice(source: &[u8], found: &Inspected) {
    let old = found.history.len();
    let mut files = vec![source.to_vec()];
    for version in ["9.0.0-rc.1", "9.0.0"] {
        let from = read(files.last().unwrap()).identity;
        let entry = history_entry(&from, files.last().unwrap());
        let (bytes, _) =
            repackage(&Universal, files.last().unwrap(), &from, version, &entry).unwrap();
        let (again, _) =
            repackage(&Universal, files.last().unwrap(), &from, version, &entry).unwrap();
        assert!(bytes == again, "two runs give two files");
        files.push(bytes);
    }
    let last = read(files.last().unwrap());
    assert_eq!(last.identity.version.text(), "9.0.0");
    for (entry, source) in last.history[old..].iter().zip(&files) {
        let sha1 = data_encoding::HEXLOWER.encode(&hayloft_testkit::digests(source).sha1);
        assert!(entry.id.ends_with(&format!(":{sha1}")), "{entry:?}");
    }
    assert_eq!(last.history.len(), old + 2);

    let (before, after) = (entries(source), entries(files.last().unwrap()));
    assert_eq!(before.len(), after.len());
    for (old, new) in before.iter().zip(&after) {
        if old.name == b"upack.json" {
            assert_eq!((&old.name, old.modified), (&new.name, new.modified));
        } else {
            assert_eq!(old, new);
        }
    }
    assert_eq!(without_the_edit(&last, &last.history[old..]), found.manifest);
}

/// The manifest with the version of before, and without the new history: what was there.
fn without_the_edit(last: &Inspected, added: &[HistoryEntry]) -> String {
    let text = last.manifest.as_str();
    let from: hayloft_feed::SourceReference = added[0].id.parse().unwrap();
    let text = text.replacen("\"9.0.0\"", &format!("\"{}\"", from.version), 1);
    let (before, rest) = text.split_once("\"repackageHistory\"").unwrap();
    let (_, after) = rest.rsplit_once(']').unwrap();
    format!("{}{after}", before.rsplit_once(',').unwrap().0)
}
