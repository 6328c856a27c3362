//! What the log shows is what a map would, whatever lies in memory and whatever below.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hayloft_core::sim::SimFs;
use hayloft_core::{
    Batch, Checkpoints, CommitError, Direction, Fs, KeyRange, LogOptions, LogPlaces, Logged,
    MetaError, MetaRead, MetaStore, MetaTurn, RealFs, RedbOptions, RedbStore, Row, Table, Visit,
    Want,
};
use proptest::prelude::*;

static TABLES: [Table; 2] = [Table("one"), Table("two")];
const ROWS: Table = TABLES[0];

fn places(root: &Path) -> LogPlaces {
    LogPlaces {
        log: root.join("meta.log"),
        meta: root.join("meta.redb"),
        quarantine: root.join("quarantine"),
    }
}

fn options(half: u64, checkpoints: Checkpoints) -> LogOptions {
    let mut options = LogOptions::default();
    options.half = half;
    options.checkpoints = checkpoints;
    options.spare = 0;
    options
}

fn made(half: u64, checkpoints: Checkpoints) -> Logged {
    let fs = SimFs::new(1).shared();
    let root = PathBuf::from("/");
    let redb = RedbOptions { cache_bytes: 4 << 20, ..RedbOptions::default() };
    let base = RedbStore::create(&fs, &root.join("meta.redb"), &redb).unwrap();
    let options = options(half, checkpoints);
    Logged::open(&fs, places(&root), Box::new(base), &TABLES, &options).unwrap()
}

fn commit(log: &Logged, batch: Batch) {
    log.turn(&[]).unwrap().commit(batch).unwrap();
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    let key = || proptest::collection::vec(0_u8..4, 0..3);
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded)
    ]
}

fn contains(range: &KeyRange, key: &[u8]) -> bool {
    let above = match &range.0 {
        Bound::Unbounded => true,
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
    };
    let below = match &range.1 {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
    };
    above && below
}

fn expected(map: &Map, range: &KeyRange, direction: Direction, limit: usize) -> Vec<Row> {
    let rows = map.iter().filter(|(key, _)| contains(range, key));
    let rows = rows.map(|(key, value)| (key.clone(), value.clone()));
    match direction {
        Direction::Forward => rows.take(limit).collect(),
        Direction::Backward => rows.rev().take(limit).collect(),
    }
}

/// A few puts and deletes; a value of pages among them, so that halves fill up.
fn changes() -> impl Strategy<Value = Vec<(Vec<u8>, Option<Vec<u8>>)>> {
    let value = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..9),
        1 => any::<u8>().prop_map(|byte| vec![byte; 6_000]),
    ];
    let key = proptest::collection::vec(0_u8..4, 0..3);
    proptest::collection::vec((key, proptest::option::weighted(0.6, value)), 1..6)
}

fn asked() -> impl Strategy<Value = (KeyRange, bool)> {
    ((bound(), bound()), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn scans_and_gets_agree_with_a_map_across_checkpoints(
        batches in proptest::collection::vec(changes(), 1..20),
        asked in proptest::collection::vec(asked(), 1..6),
        keep_every in 1_usize..5,
    ) {
        let log = made(32 << 10, Checkpoints::Caller);
        let mut map = Map::new();
        let mut kept: Vec<(Box<dyn MetaRead>, Map)> = Vec::new();
        for (number, changes) in batches.into_iter().enumerate() {
            let mut batch = Batch::default();
            // A batch names each row once.
            let changes: BTreeMap<_, _> = changes.into_iter().collect();
            for (key, value) in changes {
                if let Some(value) = value {
                    map.insert(key.clone(), value.clone());
                    batch.put.push((ROWS, key, value));
                } else {
                    map.remove(&key);
                    batch.delete.push((ROWS, key));
                }
            }
            commit(&log, batch);
            if number % keep_every == 0 {
                kept.push((log.snapshot(&[]).unwrap(), map.clone()));
            }
        }
        kept.push((log.snapshot(&[]).unwrap(), map));
        for (read, map) in &kept {
            for (range, backward) in &asked {
                let direction =
                    if *backward { Direction::Backward } else { Direction::Forward };
                for limit in 0..=map.len() + 1 {
                    let expected = expected(map, range, direction, limit);
                    let found = read.scan(ROWS, range.clone(), direction, limit).unwrap();
                    prop_assert_eq!(&found, &expected);
                    for (key, value) in &found {
                        let got = read.get(ROWS, key).unwrap();
                        prop_assert_eq!(got.as_ref(), Some(value));
                    }
                }
                let mut seen = Vec::new();
                read.visit(ROWS, range, direction, usize::MAX, &mut |key, value| {
                    seen.push((key.to_vec(), value.to_vec()));
                    // A visitor may read in the same view, and stop when it has seen enough.
                    assert_eq!(read.get(ROWS, key).unwrap().as_deref(), Some(value));
                    if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
                prop_assert_eq!(seen, expected_three(map, range, direction));
            }
            for first in 0..4_u8 {
                let key = vec![first];
                prop_assert_eq!(read.get(ROWS, &key).unwrap(), map.get(&key).cloned());
            }
        }
    }
}

fn expected_three(map: &Map, range: &KeyRange, direction: Direction) -> Vec<Row> {
    expected(map, range, direction, 3)
}

/// Calls of the engine below, and rows that it was made to show.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    rows: AtomicU64,
}

#[derive(Debug)]
struct Counting {
    meta: RedbStore,
    counts: Arc<Counts>,
}

impl MetaStore for Counting {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        let read = self.meta.snapshot(wants)?;
        Ok(Box::new(CountingRead { read, counts: self.counts.clone() }))
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        self.meta.turn(wants)
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

struct CountingRead {
    read: Box<dyn MetaRead>,
    counts: Arc<Counts>,
}

impl MetaRead for CountingRead {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        self.read.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        let rows = self.read.scan(table, range, direction, limit)?;
        self.counts.rows.fetch_add(rows.len() as u64, Ordering::Relaxed);
        Ok(rows)
    }

    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        self.read.visit(table, range, direction, limit, &mut |key, value| {
            self.counts.rows.fetch_add(1, Ordering::Relaxed);
            visit(key, value)
        })
    }
}

fn key(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

#[test]
fn scans_over_many_rows_of_the_log_ask_the_engine_below_once() {
    const MANY: u32 = 16_000;
    let directory = tempfile::tempdir().unwrap();
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let counts = Arc::new(Counts::default());
    let meta = RedbStore::create(&fs, &directory.path().join("meta.redb"), &RedbOptions::default())
        .unwrap();
    // Below: as many rows, of which the log deletes those in the middle, and a few around.
    let put = (0..MANY + 200).map(|number| (ROWS, key(number), vec![0])).collect();
    meta.commit(&Batch { put, ..Batch::default() }).unwrap();
    let base = Counting { meta, counts: counts.clone() };
    let options = options(8 << 20, Checkpoints::Caller);
    let log =
        Logged::open(&fs, places(directory.path()), Box::new(base), &TABLES, &options).unwrap();
    let delete = (100..MANY + 100).map(|number| (ROWS, key(number))).collect();
    commit(&log, Batch { delete, ..Batch::default() });
    let put = (0..MANY - 8_000).map(|number| (TABLES[1], key(number), vec![1])).collect();
    commit(&log, Batch { put, ..Batch::default() });
    assert_eq!(log.log_metrics().checkpoints, 0);
    let read = log.snapshot(&[]).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let middle = (Bound::Included(key(100)), Bound::Unbounded);
    for direction in [Direction::Forward, Direction::Backward] {
        for limit in [1, 100, 101] {
            for (table, range) in [(ROWS, &all), (ROWS, &middle), (TABLES[1], &all)] {
                counts.calls.store(0, Ordering::Relaxed);
                counts.rows.store(0, Ordering::Relaxed);
                let found = read.scan(table, range.clone(), direction, limit).unwrap();
                assert!(!found.is_empty());
                let (calls, rows) =
                    (counts.calls.load(Ordering::Relaxed), counts.rows.load(Ordering::Relaxed));
                assert!(calls <= 1, "{direction:?} {limit} {range:?}: {calls} calls");
                // Deleted rows have to be passed by; nothing else is.
                let passes = table == ROWS && (range != &all || limit > 100);
                let most = if passes { u64::from(MANY) + 200 } else { limit as u64 };
                assert!(rows <= most, "{direction:?} {limit} {range:?}: {rows} rows");
            }
        }
    }
}

/// Readers beside a writer and a thread that checkpoints: each view is whole.
#[test]
fn every_view_is_whole_while_halves_take_turns() {
    let log = Arc::new(made(32 << 10, Checkpoints::Thread));
    std::thread::scope(|scope| {
        let writer = Arc::new(scope.spawn(|| {
            for number in 1..=400_u32 {
                let put = vec![
                    (ROWS, key(number), vec![1; 100]),
                    (TABLES[1], b"newest".to_vec(), key(number)),
                ];
                commit(&log, Batch { put, ..Batch::default() });
            }
        }));
        for _ in 0..2 {
            let (log, writer) = (log.clone(), writer.clone());
            scope.spawn(move || {
                let mut last = 0;
                while !writer.is_finished() {
                    let read = log.snapshot(&[]).unwrap();
                    let all = (Bound::Unbounded, Bound::Unbounded);
                    let rows = read.scan(ROWS, all, Direction::Forward, usize::MAX).unwrap();
                    let number = rows.len();
                    let newest = read.get(TABLES[1], b"newest").unwrap();
                    let newest =
                        newest.map_or(0, |value| u32::from_be_bytes(value[..].try_into().unwrap()));
                    assert_eq!(u32::try_from(number).unwrap(), newest);
                    assert!(newest >= last);
                    last = newest;
                }
            });
        }
    });
    assert!(log.log_metrics().checkpoints > 20, "{}", log.log_metrics().checkpoints);
}

#[test]
fn memory_of_generations_is_given_back_with_the_last_view_of_them() {
    let log = made(32 << 10, Checkpoints::Caller);
    let mut views = Vec::new();
    for number in 0..40_u32 {
        commit(&log, Batch { put: vec![(ROWS, key(number), vec![1; 3_000])], ..Batch::default() });
        views.push(log.snapshot(&[]).unwrap());
    }
    let held = log.log_metrics().memory;
    assert!(held > 100_000, "{held}");
    drop(views);
    assert!(log.log_metrics().memory < 40_000, "{}", log.log_metrics().memory);
}

/// A map that a broken base would leave: commits end with an error, not with a wait.
#[test]
fn a_base_that_fails_ends_commits() {
    #[derive(Debug)]
    struct Broken(RedbStore, AtomicBool);
    impl MetaStore for Broken {
        fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
            self.0.snapshot(wants)
        }
        fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
            // The first commit is that of the log's own row.
            if self.1.swap(true, Ordering::SeqCst) {
                return Err(MetaError::Engine("gone".into()));
            }
            self.0.turn(wants)
        }
        fn must_reopen(&self) -> bool {
            self.0.must_reopen()
        }
    }
    for checkpoints in [Checkpoints::Caller, Checkpoints::Thread] {
        let fs = SimFs::new(1).shared();
        let root = PathBuf::from("/");
        let redb = RedbOptions { cache_bytes: 4 << 20, ..RedbOptions::default() };
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &redb).unwrap();
        let base = Box::new(Broken(meta, AtomicBool::new(false)));
        let options = options(32 << 10, checkpoints);
        let log = Logged::open(&fs, places(&root), base, &TABLES, &options).unwrap();
        let mut last = None;
        for number in 0..40_u32 {
            let put = vec![(ROWS, key(number), vec![1; 3_000])];
            let turn = log.turn(&[]).unwrap();
            if let Err(error) = turn.commit(Batch { put, ..Batch::default() }) {
                last = Some(error);
                break;
            }
        }
        assert!(matches!(last, Some(CommitError::Rejected(_))), "{last:?}");
        assert!(log.must_reopen());
    }
}

#[test]
fn the_oldest_view_that_is_held_is_told() {
    let log = made(64 << 10, Checkpoints::Caller);
    assert_eq!(log.log_metrics().oldest_snapshot, 0);
    let (oldest, newer) = (log.snapshot(&[]).unwrap(), log.snapshot(&[]).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(log.log_metrics().oldest_snapshot >= 20);
    drop(oldest);
    assert!(log.log_metrics().oldest_snapshot >= 20);
    drop(newer);
    assert_eq!(log.log_metrics().oldest_snapshot, 0);
}
