//! A store that is only read: nothing of it changes, whatever state it was left in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hayloft_core::{
    Actor, Background, Batch, Checkpoints, FeedDraft, FeedTypes, Fs, LogOptions, LogPlaces, Logged,
    MetaStore as _, OpenError, OpenOptions, RealFs, RedbOptions, RedbStore, Repair, Selector,
    Store, StoreError, Table, UploadError, UploadRequest, VerifyLevel,
};
use plain::{Plain, package};

fn open(directory: &Path, read_only: bool) -> Result<Store, OpenError> {
    let mut options = OpenOptions::default();
    options.background = if read_only { Background::Thread } else { Background::Caller };
    options.free_space_floor = 0;
    options.log.half = 64 << 10;
    let options = if read_only { options.read_only() } else { options };
    Store::open(directory, FeedTypes::none().with(Plain), options)
}

fn upload(store: &Store, version: &str, length: usize) -> Result<(), UploadError> {
    let bytes = package("alpha", version, 0, length);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).map(drop)
}

fn read(store: &Store, version: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let selector = Selector::ungrouped("alpha", version);
    io::copy(&mut store.download("main", &selector).unwrap(), &mut bytes).unwrap();
    bytes
}

/// All files of a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A store as a process left it that was killed: rows in its log, a metadata file that is not
/// closed, an upload in staging.
fn left() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), false).unwrap();
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    upload(&store, "1", 100).unwrap();
    upload(&store, "2", 300_000).unwrap();
    let file = store.file("main", &Selector::ungrouped("alpha", "1")).unwrap();
    store.count_download(file.id).unwrap();
    let mut staging = store.stage(None).unwrap();
    io::Write::write_all(&mut staging, &vec![1; 600_000]).unwrap();
    let left = tempfile::tempdir().unwrap();
    copy(directory.path(), left.path());
    drop(staging);
    left
}

#[test]
fn it_shows_all_and_changes_nothing() {
    let directory = left();
    let before = files(directory.path());
    let store = open(directory.path(), true).unwrap();
    assert_eq!(read(&store, "1"), package("alpha", "1", 0, 100));
    assert_eq!(read(&store, "2"), package("alpha", "2", 0, 300_000));
    let file = store.file("main", &Selector::ungrouped("alpha", "1")).unwrap();
    assert_eq!(file.file_downloads, 1);
    store.count_download(file.id).unwrap();
    let refused = upload(&store, "3", 10).unwrap_err();
    assert!(matches!(refused, UploadError::Store(StoreError::ReadOnly)), "{refused:?}");
    let selector = Selector::ungrouped("alpha", "1");
    let refused = store.delete_version("main", &selector, &Actor::api()).unwrap_err();
    assert!(format!("{refused:?}").contains("ReadOnly"), "{refused:?}");
    assert!(matches!(store.run_maintenance(), Err(StoreError::ReadOnly)));
    assert!(matches!(store.check_space(), Err(StoreError::ReadOnly)));
    let mut findings = 0;
    store.verify(VerifyLevel::Deep, Repair::No, &mut |_| findings += 1).unwrap();
    assert_eq!(findings, 0);
    store.close().unwrap();
    assert!(files(directory.path()) == before);
    // And the next one goes on as if it had not been there.
    let store = open(directory.path(), false).unwrap();
    upload(&store, "3", 10).unwrap();
    store.verify(VerifyLevel::Deep, Repair::No, &mut |_| findings += 1).unwrap();
    assert_eq!(findings, 0);
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let refused = open(directory.path(), true).unwrap_err();
    assert!(matches!(refused, OpenError::Missing { .. }), "{refused:?}");
    assert!(files(directory.path()).is_empty());
}

#[test]
fn a_newer_format_is_read_if_its_rows_say_that_it_can_be() {
    let directory = left();
    std::fs::write(directory.path().join("FORMAT"), "hayloft 99\n").unwrap();
    let refused = open(directory.path(), false).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { .. }), "{refused:?}");
    let store = open(directory.path(), true).unwrap();
    assert_eq!(read(&store, "1"), package("alpha", "1", 0, 100));
}

#[test]
fn it_is_not_opened_beside_a_process_that_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), false).unwrap();
    let refused = open(directory.path(), true).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused:?}");
    drop(store);
    open(directory.path(), true).unwrap();
}

/// A record of a table that only a newer release has lies behind the others.
fn with_newer_record(directory: &Path) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let base = RedbStore::open(&fs, &directory.join("meta.redb"), &RedbOptions::default()).unwrap();
    let places = LogPlaces {
        log: directory.join("meta.log"),
        meta: directory.join("meta.redb"),
        quarantine: directory.join("quarantine"),
    };
    // All that there are, and one more.
    let mut options = LogOptions::default();
    options.checkpoints = Checkpoints::Caller;
    let mut tables = hayloft_core::sim::tables().to_vec();
    tables.push(Table("newer-1"));
    let log = Logged::open(&fs, places, Box::new(base), tables.leak(), &options).unwrap();
    let put = vec![(Table("newer-1"), b"key".to_vec(), b"value".to_vec())];
    log.turn(&[]).unwrap().commit(Batch { put, ..Batch::default() }).unwrap();
    // As one that is killed: nothing of it is taken in.
    std::mem::forget(log);
}

#[test]
fn a_log_with_a_table_of_a_newer_release_is_refused_in_words_and_can_be_read() {
    let directory = left();
    let copied = tempfile::tempdir().unwrap();
    with_newer_record(directory.path());
    copy(directory.path(), copied.path());
    let directory = copied;
    let refused = open(directory.path(), false).unwrap_err();
    let mut told = refused.to_string();
    let mut cause = std::error::Error::source(&refused);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    assert!(told.contains("`newer-1`") && told.contains("reading only"), "{told}");
    let before = files(directory.path());
    let store = open(directory.path(), true).unwrap();
    assert_eq!(read(&store, "1"), package("alpha", "1", 0, 100));
    store.close().unwrap();
    assert!(files(directory.path()) == before);
}
