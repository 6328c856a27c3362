//! What handles of a store keep open, and when the directory is free again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::io;
use std::path::Path;

use hayloft_core::{
    Actor, FeedDraft, FeedTypes, OpenOptions, Selector, Store, UploadRequest, VersionsQuery,
};

use plain::{Plain, package};

fn open(directory: &Path) -> Store {
    Store::open(directory, FeedTypes::none().with(Plain), OpenOptions::default()).unwrap()
}

fn upload(store: &Store, content: &[u8]) {
    let me = Actor::named("me");
    store.create_feed(FeedDraft::new("feed", "plain"), &me).unwrap();
    store.upload("feed", &UploadRequest::default(), &mut &content[..], &me).unwrap();
}

#[test]
fn the_directory_is_free_once_the_last_handle_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..40 {
        let store = open(directory.path());
        let other = store.clone();
        drop(store);
        drop(other);
    }
}

#[test]
fn a_list_keeps_its_store_open() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    upload(&store, &package("tool", "1", 7, 100));
    let list = store.versions("feed", &VersionsQuery::default()).unwrap();
    drop(store);
    assert_eq!(list.map(|file| file.unwrap().version).collect::<Vec<_>>(), ["1"]);
    drop(open(directory.path()));
}

#[test]
fn a_download_is_read_to_its_end_after_the_store_was_closed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let content = package("tool", "1", 7, 100_000);
    upload(&store, &content);
    let mut download = store.download("feed", &Selector::ungrouped("tool", "1")).unwrap();
    drop(store);
    let mut read = Vec::new();
    io::copy(&mut download, &mut read).unwrap();
    assert!(read == content, "the bytes differ");
}
