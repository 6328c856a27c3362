//! Feeds, keys and settings, which come from memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayloft_core::{
    Actor, Background, Batch, Direction, FeedDraft, FeedTypes, Fs, KeyGrant, LookupError,
    MetaStore, OpenOptions, RealFs, RedbOptions, RedbStore, Store, StoreError, Table,
    UploadRequest,
};
use plain::{Plain, package};

fn open(directory: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    Store::open(directory, FeedTypes::none().with(Plain), options).unwrap()
}

fn actor() -> Actor {
    Actor::api()
}

#[test]
fn what_a_finished_call_has_changed_is_seen_by_all_threads_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|number| {
            let (store, stop) = (store.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let name = format!("busy{number}");
                    store.create_feed(FeedDraft::new(&name, "plain"), &actor()).unwrap();
                    store.set_setting(&name, Some("1"), &actor()).unwrap();
                    store.delete_feed(&name, &actor()).unwrap();
                    store.feeds().unwrap();
                }
            })
        })
        .collect();
    for round in 0..40_u32 {
        let (key, text) = store.create_key(KeyGrant::default(), None, &actor()).unwrap();
        let seen = |store: &Store| store.find_key(text.reveal()).unwrap().map(|key| key.id);
        let elsewhere = |look: &(dyn Fn(&Store) + Sync)| {
            std::thread::scope(|scope| {
                scope.spawn(|| look(&store)).join().unwrap();
            });
        };
        elsewhere(&|store| assert_eq!(seen(store), Some(key.id)));
        store.delete_key(key.id, &actor()).unwrap();
        elsewhere(&|store| assert_eq!(seen(store), None));
        let value = round.to_string();
        store.set_setting("round", Some(&value), &actor()).unwrap();
        elsewhere(&|store| assert_eq!(store.setting("round").unwrap().as_ref(), Some(&value)));
        let name = format!("feed{round}");
        store.create_feed(FeedDraft::new(&name, "plain"), &actor()).unwrap();
        let renamed = format!("new-{name}");
        let to = renamed.clone();
        let rename = move |draft: &mut FeedDraft| {
            draft.name.clone_from(&to);
            Ok(())
        };
        store.update_feed(&name, rename, &actor()).unwrap();
        elsewhere(&|store| {
            assert!(store.feed(&name).is_err());
            assert!(store.feed(&renamed).is_ok());
            assert!(store.feed_stats(&name).is_err());
        });
        store.delete_feed(&renamed, &actor()).unwrap();
        elsewhere(&|store| assert!(store.feed(&renamed).is_err()));
    }
    stop.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
}

#[test]
fn a_closed_store_answers_nothing_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_feed(FeedDraft::new("main", "plain"), &actor()).unwrap();
    assert_eq!(store.feeds().unwrap().len(), 1);
    store.close().unwrap();
    assert!(matches!(store.feeds(), Err(StoreError::Closed)));
    assert!(matches!(store.feed("main"), Err(LookupError::Store(StoreError::Closed))));
    assert!(matches!(store.setting("a"), Err(StoreError::Closed)));
    assert!(matches!(store.keys(), Err(StoreError::Closed)));
}

/// Damages the first row of a table of a closed store.
fn damage(directory: &Path, table: &'static str) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let path = directory.join("meta.redb");
    let meta = RedbStore::open(&fs, &path, &RedbOptions::default()).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let found = meta.snapshot(&[]).unwrap().scan(Table(table), all, Direction::Forward, 1);
    let (key, mut value) = found.unwrap().swap_remove(0);
    let middle = value.len() / 2;
    value[middle] ^= 4;
    meta.commit(&Batch { put: vec![(Table(table), key, value)], ..Batch::default() }).unwrap();
}

#[test]
fn a_damaged_row_is_left_out_of_lists_and_is_the_error_of_who_asks_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let texts = ["first", "second"].map(|name| {
        store.create_feed(FeedDraft::new(name, "plain"), &actor()).unwrap();
        store.set_setting(name, Some("value"), &actor()).unwrap();
        store.create_key(KeyGrant::default(), None, &actor()).unwrap().1
    });
    store.close().unwrap();
    drop(store);
    for table in ["feed-1", "setting-1", "api_key-1"] {
        damage(directory.path(), table);
    }
    let store = open(directory.path());
    let names: Vec<_> = store.feeds().unwrap().into_iter().map(|feed| feed.name).collect();
    assert_eq!(names, ["second"]);
    let is_damaged = |error: &StoreError| matches!(error, StoreError::Damaged { .. });
    assert!(matches!(store.feed("first"), Err(LookupError::Store(error)) if is_damaged(&error)));
    assert!(store.feed("second").is_ok());
    assert_eq!(store.settings().unwrap().into_keys().collect::<Vec<_>>(), ["second"]);
    assert!(is_damaged(&store.setting("first").unwrap_err()));
    assert_eq!(store.setting("second").unwrap().as_deref(), Some("value"));
    assert_eq!(store.keys().unwrap().len(), 1);
    assert!(is_damaged(&store.find_key(texts[0].reveal()).unwrap_err()));
    assert!(store.find_key(texts[1].reveal()).unwrap().is_some());
    // The feed beside the damaged one takes packages as ever.
    let bytes = package("a", "1", 1, 100);
    let request = UploadRequest::default();
    store.upload("second", &request, &mut bytes.as_slice(), &actor()).unwrap();
}
