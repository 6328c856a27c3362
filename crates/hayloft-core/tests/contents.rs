//! Contents: every byte that is read was held against its digest, however it is read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hayloft_core::{
    Actor, Background, Batch, Direction, FeedDraft, FeedTypes, FindingCode, Fs, MetaStore,
    OpenOptions, RealFs, RedbOptions, RedbStore, Repair, Selector, Store, Table, UploadRequest,
    VerifyLevel,
};
use plain::{Plain, package};

const GROUP: usize = 256 << 10;

fn open(directory: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.grace = 0;
    options.log.half = 64 << 10;
    Store::open(directory, FeedTypes::none().with(Plain), options).unwrap()
}

fn send(store: &Store, bytes: &[u8]) {
    let mut bytes = bytes;
    store.upload("main", &UploadRequest::default(), &mut bytes, &Actor::api()).unwrap();
}

fn alpha() -> Selector {
    Selector::ungrouped("Alpha", "1")
}

/// A store with one package of so many bytes.
fn sample(length: usize) -> (tempfile::TempDir, Store, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    let bytes = package("Alpha", "1", 0, length);
    send(&store, &bytes);
    (directory, store, bytes)
}

fn blob(directory: &Path) -> PathBuf {
    let shards = fs::read_dir(directory.join("blobs")).unwrap();
    let mut files = shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap());
    files.next().unwrap().unwrap().path()
}

fn damage(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn range(store: &Store, from: usize, length: usize) -> io::Result<Vec<u8>> {
    let mut download = store.download("main", &alpha()).unwrap();
    download.seek(SeekFrom::Start(from as u64))?;
    let mut bytes = vec![0; length];
    download.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn whole(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    io::copy(&mut store.download("main", &alpha()).unwrap(), &mut bytes).unwrap();
    bytes
}

fn verify(store: &Store, repair: Repair) -> Vec<FindingCode> {
    let mut codes = Vec::new();
    store.verify(VerifyLevel::Fast, repair, &mut |finding| codes.push(finding.code)).unwrap();
    codes
}

/// Changes a row of a table of the closed store.
fn change(directory: &Path, table: &'static str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let meta = RedbStore::open(&fs, &directory.join("meta.redb"), &RedbOptions::default()).unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows =
        meta.snapshot(&[]).unwrap().scan(Table(table), all, Direction::Forward, 1_000).unwrap();
    assert!(!rows.is_empty());
    let mut batch = Batch::default();
    for (key, value) in rows {
        match change(&value) {
            Some(value) => batch.put.push((Table(table), key, value)),
            None => batch.delete.push((Table(table), key)),
        }
    }
    meta.commit(&batch).unwrap();
}

#[test]
fn a_range_needs_only_its_own_groups_to_be_right() {
    let (directory, store, bytes) = sample(5 * GROUP);
    damage(&blob(directory.path()), 3 * GROUP + 7);
    let ranges = [(GROUP - 5, 10), (0, 3 * GROUP), (4 * GROUP, GROUP), (bytes.len() - 1, 1)];
    for (from, length) in ranges {
        assert_eq!(range(&store, from, length).unwrap(), bytes[from..from + length]);
    }
    let refused = range(&store, 3 * GROUP + 100_000, 1).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn no_byte_of_a_damaged_group_is_handed_out() {
    let (directory, store, bytes) = sample(3 * GROUP);
    damage(&blob(directory.path()), GROUP + 200_000);
    let mut download = store.download("main", &alpha()).unwrap();
    let mut read = Vec::new();
    let refused = io::copy(&mut download, &mut read).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    assert_eq!(read, bytes[..GROUP]);
}

#[test]
fn pieces_are_held_against_the_groups_that_they_touch() {
    for size in [1, 300, GROUP, GROUP + 1, 3 * GROUP + 77] {
        let (_directory, store, bytes) = sample(size);
        for length in [1_000, 100_000, GROUP, GROUP + 1, 2 * GROUP] {
            let mut download = store.download("main", &alpha()).unwrap();
            let mut read = Vec::new();
            for piece in bytes.chunks(length).take(9) {
                let mut piece = vec![0; piece.len()];
                download.read_piece(&mut piece).unwrap();
                read.extend(piece);
            }
            assert!(bytes.starts_with(&read), "{size} in pieces of {length}");
            if read.len() == bytes.len() {
                let beyond = download.read_piece(&mut [0]).unwrap_err();
                assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }
    let (directory, store, bytes) = sample(3 * GROUP);
    damage(&blob(directory.path()), GROUP + 200_000);
    let mut download = store.download("main", &alpha()).unwrap();
    let mut piece = vec![0; GROUP / 2];
    for half in bytes.chunks(GROUP / 2).take(2) {
        download.read_piece(&mut piece).unwrap();
        assert!(piece == half);
    }
    // What is damaged lies behind this piece, in its group.
    let refused = download.read_piece(&mut piece[..100]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    download.seek(io::SeekFrom::Start(2 * GROUP as u64 + 5)).unwrap();
    download.read_piece(&mut piece).unwrap();
    assert!(piece == bytes[2 * GROUP + 5..][..GROUP / 2]);
}

#[test]
fn a_content_whose_group_hashes_are_lost_or_damaged_is_read_and_they_are_made_again() {
    for lost in [true, false] {
        let (directory, store, bytes) = sample(3 * GROUP);
        store.close().unwrap();
        change(directory.path(), "group-1", |value| {
            let mut value = value.to_vec();
            value[10] ^= 1;
            (!lost).then_some(value)
        });
        let store = open(directory.path());
        assert_eq!(range(&store, 2 * GROUP, 10).unwrap(), bytes[2 * GROUP..2 * GROUP + 10]);
        assert_eq!(whole(&store), bytes);
        assert_eq!(verify(&store, Repair::Derived), [FindingCode::BlobGroups]);
        assert_eq!(verify(&store, Repair::No), []);
        damage(&blob(directory.path()), 7);
        assert_eq!(range(&store, 2 * GROUP, 10).unwrap(), bytes[2 * GROUP..2 * GROUP + 10]);
    }
}

#[test]
fn a_content_that_is_deleted_can_be_read_to_its_end() {
    // More groups than one row has hashes of.
    let (directory, store, bytes) = sample(130 * GROUP + 5);
    let mut download = store.download("main", &alpha()).unwrap();
    let mut read = vec![0; GROUP];
    download.read_exact(&mut read).unwrap();
    store.delete_version("main", &alpha(), &Actor::api()).unwrap();
    store.run_maintenance().unwrap();
    let shards = fs::read_dir(directory.path().join("blobs")).unwrap();
    assert!(shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap()).next().is_none());
    io::copy(&mut download, &mut read).unwrap();
    assert!(read == bytes);
    assert_eq!(verify(&store, Repair::No), []);
}

#[test]
fn who_sends_a_content_again_is_told_that_it_is_stored_only_if_it_is() {
    let (directory, store, bytes) = sample(2 * GROUP);
    damage(&blob(directory.path()), GROUP);
    send(&store, &bytes);
    assert_eq!(whole(&store), bytes);
    fs::remove_file(blob(directory.path())).unwrap();
    send(&store, &bytes);
    assert_eq!(whole(&store), bytes);
    // As another version's file, too.
    damage(&blob(directory.path()), 9);
    store.create_feed(FeedDraft::new("next", "plain"), &Actor::api()).unwrap();
    let mut again = bytes.as_slice();
    store.upload("next", &UploadRequest::default(), &mut again, &Actor::api()).unwrap();
    assert_eq!(whole(&store), bytes);
    assert_eq!(verify(&store, Repair::No), []);
}

#[test]
fn a_small_content_that_is_sent_again_takes_the_place_of_damaged_rows() {
    let (directory, store, bytes) = sample(9_000);
    store.close().unwrap();
    change(directory.path(), "blob_data-1", |value| {
        let mut value = value.to_vec();
        value[100] ^= 1;
        Some(value)
    });
    let store = open(directory.path());
    send(&store, &bytes);
    assert_eq!(whole(&store), bytes);
}
