//! What an engine that other processes write to asks of the writer.
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hayloft_core::{
    Actor, Background, Batch, CommitError, Direction, FeedDraft, FeedError, FeedTypes, Finding, Fs,
    KeyGrant, KeyRange, LocalBlobs, MetaError, MetaRead, MetaStore, MetaTurn, OpenOptions, Parts,
    RealFs, RedbOptions, RedbStore, Repair, Row, Store, StoreError, Stored, Table, Timestamp,
    UploadRequest, VerifyLevel, Want,
};
use plain::{Plain, package};

/// How the next commits end, the last one first.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Another process came first.
    Conflict,
    /// It happens, but the answer is lost.
    AnswerLost,
    Well,
}

#[derive(Debug, Default)]
struct Seen {
    turns: AtomicUsize,
    commits: AtomicUsize,
    ends: Mutex<Vec<End>>,
    /// Rows that a turn was asked for without having been told of them when it began.
    unforeseen: Mutex<Vec<String>>,
}

/// What one process sees of an engine that others use too.
#[derive(Debug)]
struct Shared {
    meta: Arc<RedbStore>,
    seen: Arc<Seen>,
}

impl MetaStore for Shared {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        self.meta.snapshot(wants)
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        self.seen.turns.fetch_add(1, Ordering::SeqCst);
        let turn = self.meta.turn(wants)?;
        Ok(Box::new(Turn { below: turn, wants: wants.to_vec(), seen: self.seen.clone() }))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

struct Turn<'a> {
    below: Box<dyn MetaTurn + 'a>,
    wants: Vec<Want>,
    seen: Arc<Seen>,
}

impl Turn<'_> {
    fn note(&self, want: &Want) {
        if !self.wants.contains(want) {
            self.seen.unforeseen.lock().unwrap().push(format!("{want:?}"));
        }
    }
}

impl MetaRead for Turn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.note(&Want::Row(table, key.to_vec()));
        self.below.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        self.note(&Want::Range(table, range.clone(), direction, limit));
        self.below.scan(table, range, direction, limit)
    }
}

impl MetaTurn for Turn<'_> {
    fn now(&self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(1_234_567))
    }

    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        self.seen.commits.fetch_add(1, Ordering::SeqCst);
        match self.seen.ends.lock().unwrap().pop().unwrap_or(End::Well) {
            End::Conflict => Err(CommitError::Conflict),
            End::AnswerLost => {
                self.below.commit(batch)?;
                Err(CommitError::Unknown("the connection was lost".into()))
            }
            End::Well => self.below.commit(batch),
        }
    }
}

/// An engine for any number of processes.
fn engine(directory: &Path) -> Arc<RedbStore> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let path = directory.join("shared.redb");
    Arc::new(RedbStore::create(&fs, &path, &RedbOptions::default()).unwrap())
}

/// A process of its own, with small contents in rows, so that all see them.
fn process(directory: &Path, meta: &Arc<RedbStore>) -> (Store, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_with(&fs, directory, types, options, |root, _| {
        let blobs = LocalBlobs::create(&fs, &root.join("blobs"));
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(Shared { meta: meta.clone(), seen: seen.clone() }),
            blobs: Arc::new(blobs.unwrap()),
        })
    })
    .unwrap();
    (store, seen)
}

fn open(directory: &Path) -> (Store, Arc<Seen>) {
    let (store, seen) = process(&directory.join("one"), &engine(directory));
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    seen.unforeseen.lock().unwrap().clear();
    (store, seen)
}

fn upload(store: &Store) -> Stored {
    let bytes = package("a", "1", 1, 30_000);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap().stored
}

fn counted(counter: &AtomicUsize, operation: impl FnOnce()) -> usize {
    let before = counter.load(Ordering::SeqCst);
    operation();
    counter.load(Ordering::SeqCst) - before
}

#[test]
fn a_turn_begins_with_all_that_its_plan_reads() {
    let directory = tempfile::tempdir().unwrap();
    let (store, seen) = open(directory.path());
    assert_eq!(upload(&store), Stored::Created);
    assert!(seen.unforeseen.lock().unwrap().is_empty(), "{:#?}", seen.unforeseen);
}

#[test]
fn a_refusal_takes_no_turn_and_a_success_without_a_change_does() {
    let directory = tempfile::tempdir().unwrap();
    let (store, seen) = open(directory.path());
    let turns = counted(&seen.turns, || {
        let again = store.create_feed(FeedDraft::new("main", "plain"), &Actor::api());
        assert!(matches!(again, Err(FeedError::Exists(_))));
    });
    assert_eq!(turns, 0);
    assert_eq!(upload(&store), Stored::Created);
    let commits = counted(&seen.commits, || assert_eq!(upload(&store), Stored::Unchanged));
    assert_eq!(commits, 1);
}

#[test]
fn a_turn_that_came_too_late_is_taken_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, seen) = open(directory.path());
    *seen.ends.lock().unwrap() = vec![End::Conflict, End::Conflict];
    let turns = counted(&seen.turns, || assert_eq!(upload(&store), Stored::Created));
    assert_eq!(turns, 3);
    let stats = store.feed_stats("main").unwrap();
    assert_eq!((stats.packages, stats.versions, stats.files), (1, 1, 1));
}

#[test]
fn a_lost_answer_is_told_and_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let (store, seen) = open(directory.path());
    *seen.ends.lock().unwrap() = vec![End::AnswerLost];
    let error = store.set_setting("a", Some("b"), &Actor::api()).unwrap_err();
    assert!(error.to_string().contains("unknown whether"), "{error}");
    assert_eq!(store.setting("a").unwrap().as_deref(), Some("b"));
    assert_eq!(upload(&store), Stored::Created);
}

#[test]
fn the_time_is_that_of_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    assert_eq!(store.feed("main").unwrap().created, Timestamp::from_millis(1_234_567));
}

#[test]
fn a_closed_store_rehearses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    store.close().unwrap();
    let error = store.delete_feed("main", &Actor::api()).unwrap_err();
    assert!(matches!(error, FeedError::Store(StoreError::Closed)), "{error:?}");
}

#[test]
fn what_one_process_changes_the_others_see_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let meta = engine(directory.path());
    let (one, _) = process(&directory.path().join("one"), &meta);
    let (other, _) = process(&directory.path().join("other"), &meta);
    let actor = Actor::api();
    for round in 0..5 {
        let (key, text) = one.create_key(KeyGrant::default(), None, &actor).unwrap();
        assert_eq!(other.find_key(text.reveal()).unwrap().map(|key| key.id), Some(key.id));
        other.delete_key(key.id, &actor).unwrap();
        assert!(one.find_key(text.reveal()).unwrap().is_none());
        let name = format!("feed{round}");
        one.create_feed(FeedDraft::new(&name, "plain"), &actor).unwrap();
        assert_eq!(other.feed_stats(&name).unwrap().files, 0);
        other.delete_feed(&name, &actor).unwrap();
        assert!(one.feed_stats(&name).is_err());
        assert!(one.feed(&name).is_err());
    }
}

#[test]
fn processes_that_write_at_the_same_time_lose_nothing() {
    const EACH: u64 = 30;
    let directory = tempfile::tempdir().unwrap();
    let meta = engine(directory.path());
    let stores = ["one", "other"].map(|name| process(&directory.path().join(name), &meta).0);
    stores[0].create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    std::thread::scope(|scope| {
        for (process, store) in (0..).zip(&stores) {
            scope.spawn(move || {
                for number in 0..EACH {
                    // Every version comes from both, with equal bytes.
                    let version = if process == 0 { number } else { EACH - 1 - number };
                    let bytes = package("a", &version.to_string(), version, 100);
                    let request = UploadRequest::default();
                    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
                }
            });
        }
    });
    for store in &stores {
        let stats = store.feed_stats("main").unwrap();
        assert_eq!((stats.packages, stats.versions, stats.files), (1, EACH, EACH));
        let mut findings = Vec::new();
        let mut report = |finding: &Finding| findings.push(finding.text.clone());
        store.verify(VerifyLevel::Normal, Repair::No, &mut report).unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
