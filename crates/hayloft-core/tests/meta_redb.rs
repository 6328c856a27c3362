//! The metadata engine on real and simulated files.
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

use hayloft_core::sim::{Random, SimFs};
use hayloft_core::{
    Batch, CommitError, Direction, Expect, Fs, KeyRange, MetaStore, OpenMetaError, RealFs,
    RedbOptions, RedbStore, Table,
};
use proptest::prelude::*;
use rstest::rstest;

const ROWS: Table = Table("rows");

/// A place for a store, real or not, that is gone with it.
struct Place {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    _directory: Option<tempfile::TempDir>,
}

fn real() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meta.redb");
    Place { fs: Arc::new(RealFs), path, _directory: Some(directory) }
}

fn simulated() -> Place {
    Place { fs: SimFs::new(1).shared(), path: PathBuf::from("/meta.redb"), _directory: None }
}

fn options() -> RedbOptions {
    RedbOptions { cache_bytes: 4 << 20, ..RedbOptions::default() }
}

impl Place {
    fn create(&self) -> RedbStore {
        RedbStore::create(&self.fs, &self.path, &options()).unwrap()
    }

    fn open(&self) -> Result<RedbStore, OpenMetaError> {
        RedbStore::open(&self.fs, &self.path, &options())
    }
}

fn put(key: &[u8], value: &[u8]) -> Batch {
    Batch { put: vec![(ROWS, key.to_vec(), value.to_vec())], ..Batch::default() }
}

fn get(store: &RedbStore, key: &[u8]) -> Option<Vec<u8>> {
    store.snapshot(&[]).unwrap().get(ROWS, key).unwrap()
}

#[rstest]
#[case::real(real())]
#[case::simulated(simulated())]
fn rows_are_there_after_opening_again(#[case] place: Place) {
    let store = place.create();
    store.commit(&put(b"a", b"1")).unwrap();
    drop(store);
    let store = place.open().unwrap();
    assert_eq!(get(&store, b"a").as_deref(), Some(&b"1"[..]));
    drop(store);
    let store = place.create();
    assert_eq!(get(&store, b"a").as_deref(), Some(&b"1"[..]), "creating keeps what is complete");
}

#[rstest]
#[case::real(real())]
#[case::simulated(simulated())]
fn a_file_is_open_once_at_a_time(#[case] place: Place) {
    let store = place.create();
    assert!(matches!(place.open(), Err(OpenMetaError::InUse(_))));
    drop(store);
    assert!(place.open().is_ok());
}

#[test]
fn the_lock_is_one_that_other_redb_programs_see() {
    let place = real();
    let store = place.create();
    let other = redb::Database::open(&place.path);
    assert!(matches!(other, Err(redb::DatabaseError::DatabaseAlreadyOpen)));
    drop(store);
    assert!(redb::Database::open(&place.path).is_ok());
}

#[rstest]
#[case::real(real())]
#[case::simulated(simulated())]
fn opening_never_makes_a_file(#[case] place: Place) {
    assert!(matches!(place.open(), Err(OpenMetaError::Missing(_))));
    drop(place.fs.create(&place.path).unwrap());
    assert!(matches!(place.open(), Err(OpenMetaError::Missing(_))));
}

#[test]
fn a_snapshot_keeps_its_state() {
    let place = simulated();
    let store = place.create();
    store.commit(&put(b"a", b"1")).unwrap();
    let before = store.snapshot(&[]).unwrap();
    store.commit(&put(b"a", b"2")).unwrap();
    assert_eq!(before.get(ROWS, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&store, b"a").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_table_that_was_never_written_is_empty() {
    let store = simulated().create();
    let snapshot = store.snapshot(&[]).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(snapshot.get(Table("none"), b"a").unwrap(), None);
    assert!(snapshot.scan(Table("none"), all, Direction::Forward, 9).unwrap().is_empty());
}

#[rstest]
#[case::absent_and_is(b"new", Expect::Absent, true)]
#[case::absent_but_there(b"old", Expect::Absent, false)]
#[case::same_value(b"old", Expect::Value(b"1".to_vec()), true)]
#[case::other_value(b"old", Expect::Value(b"2".to_vec()), false)]
#[case::value_but_absent(b"new", Expect::Value(b"1".to_vec()), false)]
fn a_batch_is_applied_only_if_all_it_expects_holds(
    #[case] key: &[u8],
    #[case] expect: Expect,
    #[case] applied: bool,
) {
    let store = simulated().create();
    store.commit(&put(b"old", b"1")).unwrap();
    let mut batch = put(b"other", b"x");
    batch.expect.push((ROWS, b"old".to_vec(), Expect::Value(b"1".to_vec())));
    batch.expect.push((ROWS, key.to_vec(), expect));
    match store.commit(&batch) {
        Ok(()) => assert!(applied),
        Err(CommitError::Conflict) => assert!(!applied),
        Err(error) => panic!("{error:?}"),
    }
    assert_eq!(get(&store, b"other").is_some(), applied);
    assert!(!store.must_reopen());
    store.commit(&put(b"later", b"y")).unwrap();
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    let key = || proptest::collection::vec(0_u8..4, 0..4);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn scans_agree_with_a_sorted_map(
        rows in proptest::collection::btree_map(
            proptest::collection::vec(0_u8..4, 0..4), proptest::collection::vec(any::<u8>(), 0..9), 0..40
        ),
        asked in proptest::collection::vec((bound(), bound(), any::<bool>(), 0_usize..50), 1..12),
    ) {
        let store = simulated().create();
        let put = rows.iter().map(|(key, value)| (ROWS, key.clone(), value.clone())).collect();
        store.commit(&Batch { put, ..Batch::default() }).unwrap();
        let snapshot = store.snapshot(&[]).unwrap();
        for (start, end, backward, limit) in asked {
            let range = (start, end);
            let mut expected: Vec<_> = rows
                .iter()
                .filter(|(key, _)| contains(&range, key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let direction = if backward { Direction::Backward } else { Direction::Forward };
            if backward {
                expected.reverse();
            }
            expected.truncate(limit);
            let mut seen = Vec::new();
            snapshot
                .visit(ROWS, &range, direction, limit, &mut |key, value| {
                    seen.push((key.to_vec(), value.to_vec()));
                    // A visitor may read in the same view, and stop when it has seen enough.
                    assert_eq!(snapshot.get(ROWS, key).unwrap().as_deref(), Some(value));
                    if seen.len() == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
            prop_assert_eq!(&seen, &expected.iter().take(7).cloned().collect::<Vec<_>>());
            let found = snapshot.scan(ROWS, range, direction, limit).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}

/// Rot in the file: wrong rows are for the checksums above to find; here nothing may panic, and
/// what opens has to keep answering.
#[test]
fn a_rotten_file_gives_errors_and_no_panic() {
    let mut outcomes = BTreeMap::<&str, u32>::new();
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let fs = SimFs::new(seed);
        let shared = fs.shared();
        let path = Path::new("/meta.redb");
        let store = RedbStore::create(&shared, path, &options()).unwrap();
        for number in 0..20_u8 {
            let mut value = vec![0; 700];
            random.fill(&mut value);
            store.commit(&put(&[number], &value)).unwrap();
        }
        drop(store);
        fs.corrupt(path, |bytes| match random.below(4) {
            0 => bytes.truncate(random.index(bytes.len())),
            1 => {
                let at = random.index(bytes.len() / 512) * 512;
                bytes[at..at + 512].fill(0);
            }
            2 => {
                // The header and the first pages hold the trees' roots.
                let at = random.index(16 * 4096);
                bytes[at] ^= 1 << random.index(8);
            }
            _ => {
                let at = random.index(bytes.len());
                bytes[at] ^= 1 << random.index(8);
            }
        })
        .unwrap();
        let outcome = match RedbStore::open(&shared, path, &options()) {
            Err(_) => "refused",
            Ok(store) => {
                let all = (Bound::Unbounded, Bound::Unbounded);
                let read = store
                    .snapshot(&[])
                    .and_then(|snapshot| snapshot.scan(ROWS, all, Direction::Forward, usize::MAX));
                let commit = store.commit(&put(b"z", b"z"));
                if read.is_err() || commit.is_err() { "failed" } else { "unnoticed" }
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    assert!(outcomes.get("refused").is_some_and(|count| *count > 10), "{outcomes:?}");
}

#[test]
fn a_visitor_that_panics_leaves_the_file_in_use() {
    let place = simulated();
    let store = place.create();
    store.commit(&put(b"a", b"1")).unwrap();
    let snapshot = store.snapshot(&[]).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let visited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        snapshot
            .visit(ROWS, &all, Direction::Forward, 1, &mut |_, _| panic!("not the file's fault"))
    }));
    assert!(visited.is_err());
    assert!(!store.must_reopen());
    store.commit(&put(b"a", b"2")).unwrap();
}
