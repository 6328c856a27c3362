//! Work in the background: cheap for many contents, and stopped by none of them.
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
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hayloft_core::{
    Actor, Background, BlobKey, BlobRead, BlobStore, Clock, FeedDraft, FeedTypes, LocalBlobs,
    LogOptions, LogPlaces, Logged, OpenOptions, Opened, Parts, Put, RealFs, RedbOptions, RedbStore,
    Repair, Selector, StagedFile, Store, Timestamp, UploadRequest, VerifyLevel,
};
use plain::{Plain, package};

const GRACE: i64 = 600_000;

/// Can step back between two looks at it.
#[derive(Debug)]
struct Watch {
    now: AtomicI64,
    steps_back: AtomicBool,
}

impl Watch {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(1_800_000_000_000),
            steps_back: AtomicBool::new(false),
        })
    }

    fn go(&self, by: i64) {
        self.now.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        let now = self.now.load(Ordering::SeqCst);
        if self.steps_back.swap(false, Ordering::SeqCst) {
            self.go(-GRACE);
        }
        Timestamp::from_millis(now)
    }
}

/// Does not remove one content.
#[derive(Debug)]
struct Stubborn {
    blobs: LocalBlobs,
    kept: Arc<Mutex<Option<BlobKey>>>,
}

impl BlobStore for Stubborn {
    fn put(&self, key: &BlobKey, staged: &StagedFile) -> io::Result<Put> {
        self.blobs.put(key, staged)
    }

    fn open(&self, key: &BlobKey) -> io::Result<Box<dyn BlobRead>> {
        self.blobs.open(key)
    }

    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>> {
        self.blobs.size(key)
    }

    fn delete(&self, key: &BlobKey) -> io::Result<()> {
        if *self.kept.lock().unwrap() == Some(*key) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.blobs.delete(key)
    }

    fn list(&self, shard: u8) -> io::Result<Vec<BlobKey>> {
        self.blobs.list(shard)
    }
}

struct Sample {
    directory: tempfile::TempDir,
    store: Store,
    clock: Arc<Watch>,
    kept: Arc<Mutex<Option<BlobKey>>>,
}

fn sample() -> Sample {
    let directory = tempfile::tempdir().unwrap();
    let (clock, kept) = (Watch::new(), Arc::new(Mutex::new(None)));
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.inline_limit = 0;
    options.grace = GRACE;
    options.clock = clock.clone();
    let stubborn = kept.clone();
    let make = move |root: &Path, opened: Opened| {
        assert_eq!(opened, Opened::Created);
        let fs: Arc<dyn hayloft_core::Fs> = Arc::new(RealFs);
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &RedbOptions::default());
        let blobs = LocalBlobs::create(&fs, &root.join("blobs")).unwrap();
        let blobs = Arc::new(Stubborn { blobs, kept: stubborn });
        Ok(Parts { meta: Arc::new(meta.unwrap()), blobs, fs })
    };
    let fs: Arc<dyn hayloft_core::Fs> = Arc::new(RealFs);
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_with(&fs, directory.path(), types, options, make).unwrap();
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    Sample { directory, store, clock, kept }
}

impl Sample {
    fn fill(&self, count: u64) {
        for number in 0..count {
            let bytes = package("alpha", &format!("{number}"), number, 100);
            let request = UploadRequest::default();
            self.store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
        }
    }

    fn delete(&self, count: u64) {
        for number in 0..count {
            let selector = Selector::ungrouped("alpha", number.to_string().as_str());
            self.store.delete_version("main", &selector, &Actor::api()).unwrap();
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let shards = fs::read_dir(self.directory.path().join("blobs")).unwrap();
        shards
            .flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    }

    fn is_clean(&self) {
        let mut findings = Vec::new();
        let report = &mut |finding: &_| findings.push(format!("{finding:?}"));
        self.store.verify(VerifyLevel::Deep, Repair::No, report).unwrap();
        assert_eq!(findings, [""; 0]);
    }
}

#[test]
fn many_contents_are_collected_in_two_commits() {
    let sample = sample();
    sample.fill(60);
    sample.delete(50);
    sample.store.run_maintenance().unwrap();
    sample.clock.go(GRACE);
    let before = sample.store.metrics();
    sample.store.run_maintenance().unwrap();
    let after = sample.store.metrics();
    assert_eq!(after.blobs_collected - before.blobs_collected, 50);
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(sample.files().len(), 10);
    sample.is_clean();
}

#[test]
fn a_file_that_cannot_be_removed_keeps_no_other_from_being_removed() {
    let sample = sample();
    sample.fill(5);
    let first = blake3::hash(&package("alpha", "0", 0, 100));
    *sample.kept.lock().unwrap() = Some(BlobKey(*first.as_bytes()));
    sample.delete(5);
    sample.clock.go(GRACE);
    sample.store.run_maintenance().unwrap();
    assert_eq!(sample.files().len(), 1);
    *sample.kept.lock().unwrap() = None;
    sample.store.run_maintenance().unwrap();
    assert_eq!(sample.files().len(), 0);
    sample.is_clean();
}

#[test]
fn a_clock_that_steps_back_during_a_collection_loses_no_job() {
    let sample = sample();
    sample.fill(3);
    sample.delete(3);
    sample.clock.go(GRACE);
    // What looked old enough is young again when it is to be removed.
    sample.clock.steps_back.store(true, Ordering::SeqCst);
    sample.store.run_maintenance().unwrap();
    assert!(!sample.clock.steps_back.load(Ordering::SeqCst));
    assert_eq!(sample.files().len(), 3);
    sample.clock.go(GRACE);
    sample.store.run_maintenance().unwrap();
    assert_eq!(sample.files().len(), 0);
    sample.is_clean();
}

#[test]
fn what_earlier_runs_left_in_staging_goes_in_the_background() {
    let sample = sample();
    let old = sample.directory.path().join("tmp/77");
    fs::create_dir_all(old.join("deeper")).unwrap();
    fs::write(old.join("deeper/1"), b"x").unwrap();
    fs::write(sample.directory.path().join("tmp/stray"), b"x").unwrap();
    let mut staging = sample.store.stage(None).unwrap();
    io::Write::write_all(&mut staging, &[7; 1_000]).unwrap();
    let staged = staging.finish().unwrap();
    sample.store.run_maintenance().unwrap();
    let left: Vec<_> = fs::read_dir(sample.directory.path().join("tmp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["1"]);
    drop(staged);
}

#[test]
fn rot_is_found_within_a_month_and_healed_by_sending_the_bytes_again() {
    const HALF_A_DAY: i64 = 12 * 60 * 60 * 1000;
    let sample = sample();
    sample.fill(3);
    let bytes = package("alpha", "1", 1, 100);
    let blob = sample.files().into_iter().find(|path| fs::read(path).unwrap() == bytes).unwrap();
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, damaged).unwrap();
    let selector = Selector::ungrouped("alpha", "1");
    assert!(sample.store.download("main", &selector).is_ok());
    for _ in 0..=60 {
        sample.store.run_maintenance().unwrap();
        sample.clock.go(HALF_A_DAY);
    }
    assert_eq!(sample.store.metrics().blobs_scrubbed, 3);
    assert!(sample.store.download("main", &selector).is_err());
    let request = UploadRequest::default();
    sample.store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
    assert!(sample.store.download("main", &selector).is_ok());
    sample.is_clean();
}

#[test]
fn rot_is_looked_for_in_what_came_due_while_the_store_was_closed() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let directory = tempfile::tempdir().unwrap();
    let clock = Watch::new();
    let open = || {
        let mut options = OpenOptions::default();
        options.background = Background::Caller;
        options.free_space_floor = 0;
        options.inline_limit = 0;
        options.clock = clock.clone();
        Store::open(directory.path(), FeedTypes::none().with(Plain), options).unwrap()
    };
    let store = open();
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    for version in 0..20 {
        let bytes = package("alpha", &version.to_string(), version, 100);
        let request = UploadRequest::default();
        store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
    }
    // It is never open for longer than a moment.
    let mut store = Some(store);
    let mut read = 0;
    for _ in 0..15 {
        let now = store.take().unwrap_or_else(open);
        now.run_maintenance().unwrap();
        read += now.metrics().blobs_scrubbed;
        now.close().unwrap();
        clock.go(2 * DAY);
    }
    let last = open();
    last.run_maintenance().unwrap();
    assert_eq!(read + last.metrics().blobs_scrubbed, 20, "each once in 30 days");
    last.run_maintenance().unwrap();
    // After a year nothing is read more than once.
    clock.go(365 * DAY);
    let before = last.metrics().blobs_scrubbed;
    last.run_maintenance().unwrap();
    assert_eq!(last.metrics().blobs_scrubbed, before + 20);
}

/// Lists shards slowly, and tells which it was asked for; removes contents, and tells how many
/// shards had been listed then.
#[derive(Debug)]
struct Slow {
    blobs: LocalBlobs,
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    listed: Mutex<Vec<u8>>,
    removed_after: Mutex<Vec<usize>>,
    looks: std::sync::atomic::AtomicUsize,
    /// Someone waits until the look for orphans is under way.
    under_way: Mutex<Option<mpsc::Sender<()>>>,
    /// It goes on after that.
    goes_on: Mutex<Option<mpsc::Receiver<()>>>,
}

impl BlobStore for Slow {
    fn put(&self, key: &BlobKey, staged: &StagedFile) -> io::Result<Put> {
        self.blobs.put(key, staged)
    }

    fn open(&self, key: &BlobKey) -> io::Result<Box<dyn BlobRead>> {
        self.blobs.open(key)
    }

    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>> {
        self.told.looks.fetch_add(1, Ordering::SeqCst);
        self.blobs.size(key)
    }

    fn delete(&self, key: &BlobKey) -> io::Result<()> {
        let listed = self.told.listed.lock().unwrap().len();
        self.told.removed_after.lock().unwrap().push(listed);
        self.blobs.delete(key)
    }

    fn list(&self, shard: u8) -> io::Result<Vec<BlobKey>> {
        self.told.listed.lock().unwrap().push(shard);
        if shard == 20 {
            if let Some(under_way) = self.told.under_way.lock().unwrap().take() {
                let _ = under_way.send(());
            }
            if let Some(goes_on) = self.told.goes_on.lock().unwrap().take() {
                let _ = goes_on.recv_timeout(Duration::from_secs(300));
            }
        }
        // All of them take many slices.
        thread::sleep(Duration::from_millis(10));
        self.blobs.list(shard)
    }
}

#[test]
fn the_look_for_orphans_goes_on_in_slices_and_asks_for_no_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_owned();
    {
        let mut options = OpenOptions::default();
        options.background = Background::Caller;
        options.free_space_floor = 0;
        options.inline_limit = 0;
        let store = Store::open(&root, FeedTypes::none().with(Plain), options).unwrap();
        store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
        for version in 0..50 {
            let bytes = package("alpha", &version.to_string(), version, 100);
            let request = UploadRequest::default();
            store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
        }
        store.close().unwrap();
    }
    let (begun, under_way) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let told = Arc::new(Told {
        under_way: Mutex::new(Some(begun)),
        goes_on: Mutex::new(Some(goes_on)),
        ..Told::default()
    });
    let mut options = OpenOptions::default();
    options.free_space_floor = 0;
    options.inline_limit = 0;
    options.grace = 0;
    let slow = told.clone();
    let fs: Arc<dyn hayloft_core::Fs> = Arc::new(RealFs);
    let make = move |root: &Path, _: Opened| {
        let fs: Arc<dyn hayloft_core::Fs> = Arc::new(RealFs);
        let redb = RedbOptions::default();
        let meta = RedbStore::open(&fs, &root.join("meta.redb"), &redb).unwrap();
        let places = LogPlaces {
            log: root.join("meta.log"),
            meta: root.join("meta.redb"),
            quarantine: root.join("quarantine"),
        };
        let tables = hayloft_core::sim::tables();
        let log = LogOptions::default();
        let meta = Logged::open(&fs, places, Box::new(meta), tables, &log).unwrap();
        let blobs = LocalBlobs::open(&fs, &root.join("blobs")).unwrap();
        Ok(Parts { meta: Arc::new(meta), blobs: Arc::new(Slow { blobs, told: slow }), fs })
    };
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_with(&fs, &root, types, options, make).unwrap();
    under_way.recv_timeout(Duration::from_secs(300)).unwrap();
    store.delete_version("main", &Selector::ungrouped("alpha", "7"), &Actor::api()).unwrap();
    go_on.send(()).unwrap();
    let start = Instant::now();
    while told.listed.lock().unwrap().len() < 256 {
        assert!(start.elapsed() < Duration::from_secs(300));
        thread::sleep(Duration::from_millis(20));
    }
    store.close().unwrap();
    let mut listed = told.listed.lock().unwrap().clone();
    listed.sort_unstable();
    assert_eq!(listed, (0..=255).collect::<Vec<u8>>(), "each shard once");
    let removed = told.removed_after.lock().unwrap().clone();
    assert!(removed.iter().all(|after| *after < 256) && removed.len() == 1, "{removed:?}");
    assert_eq!(told.looks.load(Ordering::SeqCst), 0);
}
