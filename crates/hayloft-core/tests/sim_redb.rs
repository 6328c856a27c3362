//! The metadata engine alone on a disk that loses power or fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use hayloft_core::sim::{Fault, FaultKind, Lasting, Mutations, Random, SimFs, SimImage, seed};
use hayloft_core::{
    Batch, CommitError, Direction, Fs, MetaError, MetaStore, RedbOptions, RedbStore, Table,
};

const FILE: &str = "/store/meta.redb";
const TABLES: [Table; 3] = [Table("one"), Table("two"), Table("counters")];

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

fn options() -> RedbOptions {
    RedbOptions { cache_bytes: 4 << 20, ..RedbOptions::default() }
}

/// A batch that touches several tables, and what it makes of the rows.
fn batch(random: &mut Random, rows: &Rows) -> (Batch, Rows) {
    let mut batch = Batch::default();
    let mut after = rows.clone();
    for _ in 0..=random.index(6) {
        let table = TABLES[random.index(2)];
        let key = vec![u8::try_from(random.below(40)).unwrap(); 1 + random.index(3)];
        if random.below(4) == 0 {
            if !batch.put.iter().any(|(t, k, _)| (*t, k) == (table, &key)) {
                after.remove(&(table, key.clone()));
                batch.delete.push((table, key));
            }
        } else if !batch.delete.contains(&(table, key.clone())) {
            // Some values span pages.
            let len = if random.below(5) == 0 { 9_000 } else { random.index(300) };
            let mut value = vec![0; len];
            random.fill(&mut value);
            after.insert((table, key.clone()), value.clone());
            batch.put.push((table, key, value));
        }
    }
    let key = (TABLES[2], b"sum".to_vec());
    let sum = after.get(&key).map_or(0, |bytes| i64::from_be_bytes(bytes[..].try_into().unwrap()));
    let value = (sum + 1).to_be_bytes().to_vec();
    batch.put.push((key.0, key.1.clone(), value.clone()));
    after.insert(key, value);
    (batch, after)
}

fn read(store: &RedbStore) -> Result<Rows, MetaError> {
    let snapshot = store.snapshot(&[])?;
    let mut rows = Rows::new();
    for table in TABLES {
        let all = (Bound::Unbounded, Bound::Unbounded);
        for (key, value) in snapshot.scan(table, all, Direction::Forward, usize::MAX)? {
            rows.insert((table, key), value);
        }
    }
    Ok(rows)
}

fn open(fs: &Arc<dyn Fs>) -> RedbStore {
    RedbStore::open(fs, Path::new(FILE), &options()).unwrap()
}

/// What a history left behind: each state, and when it was acknowledged.
struct History {
    /// State 0 is the empty store; each has the number of changes made when it was durable.
    states: Vec<(Rows, u64)>,
    images: Vec<SimImage>,
}

fn history(seed: u64, commits: usize, mutations: Mutations) -> History {
    let mut random = Random::new(seed);
    let fs = SimFs::new(seed);
    let shared = fs.shared();
    shared.create_directory(Path::new("/store")).unwrap();
    shared.sync_directory(Path::new("/")).unwrap();
    let mut store = RedbStore::create(&shared, Path::new(FILE), &options()).unwrap();
    let mut states = vec![(Rows::new(), fs.changes())];
    fs.set_mutations(mutations);
    fs.record(fs.changes()..u64::MAX);
    for number in 0..commits {
        let (batch, after) = batch(&mut random, &states[number].0);
        store.commit(&batch).unwrap();
        states.push((after, fs.changes()));
        if random.below(8) == 0 {
            drop(store);
            store = open(&shared);
        }
    }
    drop(store);
    History { states, images: fs.images() }
}

/// The recovered rows are those of the newest acknowledged state, or of the one in flight.
fn judge(history: &History, image: &SimImage, seed: u64, depth: usize) -> usize {
    let fs = image.reboot(seed);
    let shared = fs.shared();
    fs.record(0..if depth == 0 { 0 } else { u64::MAX });
    let store = open(&shared);
    let found = read(&store).unwrap();
    let acked = history.states.iter().rposition(|(_, at)| *at <= image.changes()).unwrap();
    let position = history.states.iter().position(|(rows, _)| *rows == found);
    assert!(
        position == Some(acked) || position == Some(acked + 1),
        "seed {seed}, change {}: found state {position:?}, acknowledged {acked}",
        image.changes()
    );
    // The recovered store has to take commits, and those have to last as well.
    let (batch, after) = batch(&mut Random::new(seed), &found);
    store.commit(&batch).unwrap();
    drop(store);
    let mut judged = 1;
    if depth > 0 {
        let images = fs.images();
        let last = images.last().unwrap().clone();
        let picked = &images[Random::new(seed).index(images.len())];
        let again = picked.reboot(seed + 1);
        let store = open(&again.shared());
        let rows = read(&store).unwrap();
        assert!(rows == found || rows == after, "seed {seed}, crash during recovery");
        drop(store);
        let store = open(&last.reboot(seed + 2).shared());
        assert_eq!(read(&store).unwrap(), after, "seed {seed}, after recovery");
        judged += 2;
    }
    judged
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_every_change() {
    let first = seed(1);
    let (mut judged, mut changes) = (0, 0);
    for seed in first..first + 12 {
        let history = history(seed, 6, Mutations::default());
        changes += history.images.len();
        for image in &history.images {
            judged += judge(&history, image, seed, 0);
        }
    }
    println!("{judged} power cuts at {changes} changes");
    assert!(judged > 500);
}

#[test]
fn leaving_out_the_flush_of_the_metadata_is_noticed() {
    let mutations = Mutations { skip_metadata_sync: true, ..Mutations::default() };
    let noticed = (1..5).find_map(|seed| {
        let history = history(seed, 6, mutations);
        history.images.iter().find_map(|image| {
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                judge(&history, image, seed, 0)
            }));
            judged.is_err().then(|| format!("seed {seed}, change {}", image.changes()))
        })
    });
    println!("tooth: skip_metadata_sync of redb: {}", noticed.unwrap());
}

#[test]
fn recovery_survives_power_cuts_of_its_own() {
    let first = seed(100);
    let mut judged = 0;
    for seed in first..first + 6 {
        let history = history(seed, 30, Mutations::default());
        let mut random = Random::new(seed);
        for _ in 0..20 {
            let image = &history.images[random.index(history.images.len())];
            judged += judge(&history, image, random.any() >> 8, 1);
        }
    }
    println!("{judged} power cuts");
}

#[test]
fn a_half_made_file_is_replaced() {
    for seed in seed(1)..seed(1) + 8 {
        let fs = SimFs::new(seed);
        let shared = fs.shared();
        shared.create_directory(Path::new("/store")).unwrap();
        shared.sync_directory(Path::new("/")).unwrap();
        fs.record(0..u64::MAX);
        drop(RedbStore::create(&shared, Path::new(FILE), &options()).unwrap());
        for image in fs.images() {
            let shared = image.reboot(seed).shared();
            let store = RedbStore::create(&shared, Path::new(FILE), &options())
                .unwrap_or_else(|error| panic!("seed {seed}, {}: {error:?}", image.changes()));
            assert!(read(&store).unwrap().is_empty());
        }
    }
}

/// Runs commits under a fault; false once the fault comes too late to matter.
fn fails_well(fault: Fault, seed: u64) -> bool {
    let fs = SimFs::new(seed);
    let shared = fs.shared();
    shared.create_directory(Path::new("/store")).unwrap();
    shared.sync_directory(Path::new("/")).unwrap();
    let store = RedbStore::create(&shared, Path::new(FILE), &options()).unwrap();
    let at = format!("{fault:?}, seed {seed}");
    fs.set_fault(Fault { at: fault.at + fs.calls(), ..fault });
    let mut random = Random::new(seed);
    let mut possible = vec![Rows::new()];
    for _ in 0..4 {
        let newest = possible.last().unwrap().clone();
        let (batch, after) = batch(&mut random, &newest);
        match store.commit(&batch) {
            Ok(()) => possible = vec![after],
            Err(CommitError::Rejected(_)) => assert!(store.must_reopen(), "{at}"),
            Err(CommitError::Unknown(_)) => {
                assert!(store.must_reopen(), "{at}");
                possible.push(after);
            }
            Err(CommitError::Conflict | _) => panic!("{at}: conflict"),
        }
        if store.must_reopen() {
            let refused = store.commit(&Batch::default());
            assert!(matches!(refused, Err(CommitError::Rejected(_))), "{at}");
            break;
        }
    }
    drop(store);
    let fired = fs.clear_fault();
    if random.coin() {
        fs.reboot();
    }
    let store = open(&shared);
    let found = read(&store).unwrap();
    assert!(possible.contains(&found), "{at}: {} possible", possible.len());
    store.commit(&batch(&mut random, &found).0).unwrap();
    fired
}

#[test]
fn every_failing_call_leaves_a_store_that_opens_again() {
    let mut runs = 0;
    for kind in FaultKind::ALL {
        for lasting in [Lasting::Once, Lasting::Until] {
            let mut at = 1;
            while fails_well(Fault { at, kind, lasting }, seed(1) + at) {
                runs += 1;
                at += 1;
            }
        }
    }
    println!("{runs} faults");
    assert!(runs > 200);
}
