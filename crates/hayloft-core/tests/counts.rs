//! Counts of downloads: each once, through crashes and steady traffic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::path::Path;
use std::sync::{Arc, Mutex};

use hayloft_core::sim::{Fault, FaultKind, Lasting, SimFs};
use hayloft_core::{
    Actor, Background, Checkpoints, Clock, FeedDraft, FeedTypes, FileId, OpenOptions, Selector,
    Store, Timestamp, UploadRequest,
};
use plain::{Plain, package};

const STORE: &str = "/store";

/// Downloads go on while counts are saved: one whenever the store asks for the time.
#[derive(Debug, Default)]
struct Traffic {
    downloads: Mutex<Option<(Store, FileId)>>,
    counted: Mutex<u64>,
}

impl Clock for Traffic {
    fn now(&self) -> Timestamp {
        if let Some((store, file)) = &*self.downloads.lock().unwrap() {
            store.count_download(*file).unwrap();
            *self.counted.lock().unwrap() += 1;
        }
        Timestamp::from_millis(1_800_000_000_000)
    }
}

fn open(fs: &SimFs, traffic: &Arc<Traffic>) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.log.half = 64 << 10;
    options.log.checkpoints = Checkpoints::Caller;
    options.log.spare = 0;
    options.clock = traffic.clone();
    Store::open_on(fs.shared(), STORE, FeedTypes::none().with(Plain), options).unwrap()
}

fn alpha() -> Selector {
    Selector::ungrouped("Alpha", "1")
}

fn filled(fs: &SimFs, traffic: &Arc<Traffic>) -> (Store, FileId) {
    let store = open(fs, traffic);
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    let bytes = package("Alpha", "1", 0, 100);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
    let file = store.file("main", &alpha()).unwrap().id;
    (store, file)
}

fn counted(store: &Store) -> u64 {
    store.file("main", &alpha()).unwrap().file_downloads
}

/// The disk as the next process finds it.
fn killed(fs: &SimFs) -> SimFs {
    fs.images().pop().unwrap().kill(1)
}

fn logs(fs: &SimFs) -> u64 {
    let length = |name| fs.shared().file_len(&Path::new(STORE).join(name)).unwrap().unwrap_or(0);
    length("dl.log") + length("dl.new")
}

#[test]
fn the_log_shrinks_although_downloads_never_pause() {
    let (fs, traffic) = (SimFs::new(1), Arc::new(Traffic::default()));
    let (store, file) = filled(&fs, &traffic);
    *traffic.downloads.lock().unwrap() = Some((store.clone(), file));
    let mut expected = 0;
    for _ in 0..4 {
        for _ in 0..3_000 {
            store.count_download(file).unwrap();
            expected += 1;
        }
        store.run_maintenance().unwrap();
        assert!(logs(&fs) < 1_000, "{} bytes", logs(&fs));
    }
    assert!(*traffic.counted.lock().unwrap() >= 4);
    // A process that is killed.
    *traffic.downloads.lock().unwrap() = None;
    expected += *traffic.counted.lock().unwrap();
    assert_eq!(counted(&store), expected);
    let fs = killed(&fs);
    drop(store);
    let store = open(&fs, &traffic);
    assert_eq!(counted(&store), expected);
    store.run_maintenance().unwrap();
    store.close().unwrap();
    assert_eq!(counted(&open(&fs, &traffic)), expected);
}

#[test]
fn each_download_counts_once_wherever_the_process_is_killed() {
    for at in 1.. {
        let (fs, traffic) = (SimFs::new(at), Arc::new(Traffic::default()));
        let (store, file) = filled(&fs, &traffic);
        for _ in 0..700 {
            store.count_download(file).unwrap();
        }
        // Every call fails from there on, as if there were no process.
        fs.set_fault(Fault { at: fs.calls() + at, kind: FaultKind::Io, lasting: Lasting::Until });
        let saved = store.run_maintenance().is_ok();
        let hit = fs.clear_fault();
        let now = killed(&fs);
        drop(store);
        let store = open(&now, &traffic);
        assert_eq!(counted(&store), 700, "killed at call {at}");
        if !hit {
            assert!(saved && at > 3, "{at}");
            return;
        }
    }
}

#[test]
fn downloads_go_on_where_their_log_cannot_be_written() {
    let (fs, traffic) = (SimFs::new(1), Arc::new(Traffic::default()));
    let (store, file) = filled(&fs, &traffic);
    fs.set_fault(Fault { at: 1, kind: FaultKind::NoSpace, lasting: Lasting::Until });
    for _ in 0..10 {
        store.count_download(file).unwrap();
    }
    fs.clear_fault();
    assert_eq!(counted(&store), 10);
    store.run_maintenance().unwrap();
    store.count_download(file).unwrap();
    let now = killed(&fs);
    drop(store);
    assert_eq!(counted(&open(&now, &traffic)), 11);
}
