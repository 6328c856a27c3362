//! A disk without room: what is stored is read, deletes make room, and writing goes on after that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/by_hand.rs"]
mod by_hand;
#[path = "engine/plain.rs"]
mod plain;

use std::io;

use hayloft_core::sim::SimFs;
use hayloft_core::{
    Actor, FeedDraft, FeedTypes, OpenOptions, Repair, Selector, Store, StoreError, UploadError,
    UploadRequest, VerifyLevel,
};
use plain::{Plain, package};

fn options() -> OpenOptions {
    let mut options = by_hand::options();
    options.free_space_floor = 1 << 20;
    options.log.half = 256 << 10;
    options
}

fn open(fs: &SimFs, options: OpenOptions) -> Store {
    Store::open_on(fs.shared(), "/store", FeedTypes::none().with(Plain), options).unwrap()
}

fn upload(store: &Store, number: u64) -> Result<(), UploadError> {
    let bytes = package("alpha", &number.to_string(), number, 200_000);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).map(drop)
}

fn read(store: &Store, number: u64) -> io::Result<u64> {
    let selector = Selector::ungrouped("alpha", number.to_string().as_str());
    io::copy(&mut store.download("main", &selector).unwrap(), &mut io::sink())
}

fn delete(store: &Store, number: u64) {
    let selector = Selector::ungrouped("alpha", number.to_string().as_str());
    store.delete_version("main", &selector, &Actor::api()).unwrap();
}

fn is_clean(store: &Store) {
    let mut findings = Vec::new();
    let report = &mut |finding: &_| findings.push(format!("{finding:?}"));
    store.verify(VerifyLevel::Deep, Repair::No, report).unwrap();
    assert_eq!(findings, [""; 0]);
}

#[test]
fn what_adds_anything_is_refused_below_the_floor_and_deletes_make_room() {
    let fs = SimFs::new(1);
    fs.set_capacity(8 << 20);
    let store = open(&fs, options());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    let mut stored = 0;
    let refused = loop {
        match upload(&store, stored) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100);
    };
    assert!(
        matches!(refused, UploadError::Store(StoreError::NoSpace { .. })),
        "after {stored}: {refused:?}"
    );
    assert!(stored > 10);
    // What was refused gave its room back; and a row of the audit log is as much a write as a file.
    store.set_setting("name", Some("value"), &Actor::api()).unwrap();
    let error = (1..64_u64)
        .find_map(|less| {
            fs.set_capacity((8 << 20) - (less << 14));
            store.set_setting("name", Some("value"), &Actor::api()).err()
        })
        .unwrap();
    assert!(format!("{error:?}").contains("NoSpace"), "{error:?}");
    assert!(read(&store, 0).is_ok());
    // A start with so little room serves reads and deletes, too.
    store.close().unwrap();
    let store = open(&fs, options());
    assert!(read(&store, 1).is_ok());
    for number in 0..10 {
        delete(&store, number);
    }
    store.run_maintenance().unwrap();
    upload(&store, 100).unwrap();
    store.set_setting("name", Some("value"), &Actor::api()).unwrap();
    is_clean(&store);
}

#[test]
fn a_log_that_cannot_be_taken_in_keeps_room_for_deletes() {
    let fs = SimFs::new(2);
    let store = open(&fs, options());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    for number in 0..3 {
        upload(&store, number).unwrap();
    }
    store.close().unwrap();
    let mut full = options();
    full.free_space_floor = 0;
    // No disk has so much room that a checkpoint begins.
    full.log.spare = u64::MAX / 2;
    let fs = fs.images().pop().unwrap().kill(1);
    fs.set_capacity(64 << 20);
    let store = open(&fs, full.clone());
    let value = "x".repeat(2_000);
    let mut written = 0;
    let error = loop {
        match store.set_setting(&format!("name{written}"), Some(&value), &Actor::api()) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000);
    };
    assert!(format!("{error:?}").contains("NoSpace"), "{error:?}");
    for number in 0..3 {
        delete(&store, number);
    }
    store.run_maintenance().unwrap();
    assert_eq!(store.metrics().blobs_collected, 3);
    // Killed in that state it opens, and goes on once there is room.
    let fs = fs.images().pop().unwrap().kill(1);
    drop(store);
    let store = open(&fs, options());
    upload(&store, 7).unwrap();
    is_clean(&store);
}
