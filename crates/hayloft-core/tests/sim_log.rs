//! The log in front of the metadata engine on a disk that loses power, tears pages or fails, under a
//! process that is killed.
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
use std::sync::{Arc, Mutex};

use hayloft_core::sim::{Fault, FaultKind, Lasting, Mutations, Random, SimFs, SimImage, seed};
use hayloft_core::{
    Batch, Checkpoints, CommitError, DamagedLog, Direction, LogError, LogMutations, LogOptions,
    LogPlaces, Logged, MetaError, MetaRead, MetaStore, RedbOptions, RedbStore, Table,
};

static TABLES: [Table; 3] = [Table("one"), Table("two"), Table("counters")];
const META: &str = "/store/meta.redb";
const LOG: &str = "/store/meta.log";

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Halves of eight pages, half of which is full after a few commits.
fn options(mutations: LogMutations) -> LogOptions {
    let mut options = LogOptions::default();
    options.half = 32 << 10;
    options.checkpoints = Checkpoints::Caller;
    options.spare = 0;
    options.mutations = mutations;
    options
}

fn sound() -> LogOptions {
    options(LogMutations::default())
}

fn places() -> LogPlaces {
    LogPlaces { log: LOG.into(), meta: META.into(), quarantine: "/store/quarantine".into() }
}

fn redb_options() -> RedbOptions {
    RedbOptions { cache_bytes: 4 << 20, ..RedbOptions::default() }
}

fn redb(fs: &SimFs) -> RedbStore {
    RedbStore::open(&fs.shared(), Path::new(META), &redb_options()).unwrap()
}

fn try_open(fs: &SimFs, options: &LogOptions) -> Result<Logged, LogError> {
    Logged::open(&fs.shared(), places(), Box::new(redb(fs)), &TABLES, options)
}

fn open(fs: &SimFs, options: &LogOptions) -> Logged {
    try_open(fs, options).unwrap()
}

/// An empty store.
fn made(seed: u64, options: &LogOptions) -> (SimFs, Logged) {
    let fs = SimFs::new(seed);
    let shared = fs.shared();
    shared.create_directory(Path::new("/store")).unwrap();
    shared.sync_directory(Path::new("/")).unwrap();
    drop(RedbStore::create(&shared, Path::new(META), &redb_options()).unwrap());
    let log = open(&fs, options);
    (fs, log)
}

fn commit(log: &Logged, batch: Batch) -> Result<(), CommitError> {
    log.turn(&[]).unwrap().commit(batch)
}

fn put(key: u8, value: Vec<u8>) -> Batch {
    Batch { put: vec![(TABLES[0], vec![key], value)], ..Batch::default() }
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
        } else if !batch.delete.contains(&(table, key.clone()))
            && !batch.put.iter().any(|(t, k, _)| (*t, k) == (table, &key))
        {
            // Some records span pages.
            let len = if random.below(6) == 0 { 9_000 } else { random.index(300) };
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

fn rows(read: &dyn MetaRead) -> Result<Rows, MetaError> {
    let mut rows = Rows::new();
    for table in TABLES {
        let all = (Bound::Unbounded, Bound::Unbounded);
        for (key, value) in read.scan(table, all, Direction::Forward, usize::MAX)? {
            rows.insert((table, key), value);
        }
    }
    Ok(rows)
}

fn seen(log: &Logged) -> Rows {
    rows(log.snapshot(&[]).unwrap().as_ref()).unwrap()
}

/// What a history left behind: each state, and when it was acknowledged.
struct History {
    /// State 0 is the empty store; each has the number of changes made when it was durable.
    states: Vec<(Rows, u64)>,
    images: Vec<SimImage>,
    checkpoints: u64,
    options: LogOptions,
}

fn history(seed: u64, commits: usize, mutations: LogMutations, disk: Mutations) -> History {
    let options = options(mutations);
    let mut random = Random::new(seed);
    let (fs, mut log) = made(seed, &options);
    let mut states = vec![(Rows::new(), fs.changes())];
    fs.set_mutations(disk);
    fs.record(fs.changes()..u64::MAX);
    let mut checkpoints = 0;
    for number in 0..commits {
        let (batch, after) = batch(&mut random, &states[number].0);
        commit(&log, batch).unwrap();
        assert!(seen(&log) == after || mutations != LogMutations::default(), "seed {seed}");
        states.push((after, fs.changes()));
        if random.below(9) == 0 {
            checkpoints += log.log_metrics().checkpoints;
            drop(log);
            log = open(&fs, &options);
        }
    }
    checkpoints += log.log_metrics().checkpoints;
    drop(log);
    History { states, images: fs.images(), checkpoints, options }
}

/// The recovered rows are those of the newest acknowledged state, or of the one in flight.
fn judge(
    history: &History,
    image: &SimImage,
    fs: &SimFs,
    seed: u64,
) -> Result<(Logged, Rows), String> {
    let why = |text: String| format!("HAYLOFT_SIM_SEED={seed}, change {}: {text}", image.changes());
    let log = try_open(fs, &history.options).map_err(|error| why(format!("{error:?}")))?;
    let found = seen(&log);
    let acked = history.states.iter().rposition(|(_, at)| *at <= image.changes()).unwrap();
    let position = history.states.iter().position(|(rows, _)| *rows == found);
    if position != Some(acked) && position != Some(acked + 1) {
        return Err(why(format!("found state {position:?}, acknowledged {acked}")));
    }
    Ok((log, found))
}

/// Work after a recovery is as durable as before it, power cuts during the recovery included.
fn judge_recovery(
    history: &History,
    image: &SimImage,
    fs: &SimFs,
    seed: u64,
) -> Result<usize, String> {
    fs.record(0..u64::MAX);
    let (log, found) = judge(history, image, fs, seed)?;
    let opened = fs.changes();
    let (first, after) = batch(&mut Random::new(seed), &found);
    commit(&log, first).map_err(|error| format!("seed {seed}: {error:?}"))?;
    let written = fs.changes();
    drop(log);
    let images = fs.images();
    let mut random = Random::new(seed);
    let mut judged = 1;
    // The moment it was opened is the one that a forgotten flush shows at.
    let at_opening = images.iter().position(|one| one.changes() >= opened).unwrap();
    for at in [random.index(images.len()), random.index(images.len()), at_opening] {
        let again = &images[at];
        let fs = again.reboot(random.any() >> 8);
        let log = try_open(&fs, &history.options)
            .map_err(|error| format!("seed {seed}, in recovery: {error:?}"))?;
        let rows = seen(&log);
        let acked = history.states.iter().rposition(|(_, at)| *at <= image.changes()).unwrap();
        // Before anyone has seen it, the commit in flight may still get lost.
        let may_be_before = again.changes() < opened && rows == history.states[acked].0;
        let holds = (rows == found && again.changes() < written)
            || rows == after && again.changes() >= opened
            || may_be_before;
        if !holds {
            let at = again.changes();
            return Err(format!(
                "seed {seed}, change {}, recovery cut at {at} of {opened}, {written}: lost",
                image.changes()
            ));
        }
        judged += 1;
    }
    Ok(judged)
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_every_change() {
    let first = seed(1);
    let (mut judged, mut checkpoints) = (0, u64::MAX);
    for seed in first..first + 10 {
        let history = history(seed, 24, LogMutations::default(), Mutations::default());
        checkpoints = checkpoints.min(history.checkpoints);
        for image in &history.images {
            let fs = image.reboot(seed);
            judge(&history, image, &fs, seed).unwrap_or_else(|why| panic!("{why}"));
            judged += 1;
        }
    }
    println!("{judged} power cuts, at least {checkpoints} checkpoints in each history");
    assert!(judged > 1_000);
    assert!(checkpoints >= 3);
}

#[test]
fn recovery_survives_power_cuts_of_its_own() {
    let first = seed(100);
    let mut judged = 0;
    for seed in first..first + 8 {
        let history = history(seed, 30, LogMutations::default(), Mutations::default());
        assert!(history.checkpoints >= 3);
        let mut random = Random::new(seed);
        for _ in 0..40 {
            let image = &history.images[random.index(history.images.len())];
            let luck = random.any() >> 8;
            let fs = image.reboot(luck);
            judged +=
                judge_recovery(&history, image, &fs, luck).unwrap_or_else(|why| panic!("{why}"));
        }
    }
    println!("{judged} power cuts");
}

/// A process is killed at each change of histories; what the next one shows, a power cut must not
/// take back.
fn killed(seeds: std::ops::Range<u64>, mutations: LogMutations) -> Result<usize, String> {
    let mut judged = 0;
    for seed in seeds {
        let history = history(seed, 14, mutations, Mutations::default());
        for image in &history.images {
            judged += judge_recovery(&history, image, &image.kill(seed), seed)?;
        }
    }
    Ok(judged)
}

#[test]
fn what_is_seen_after_a_kill_survives_a_power_cut() {
    let first = seed(200);
    let judged = killed(first..first + 4, LogMutations::default());
    println!("{} kills and power cuts", judged.unwrap_or_else(|why| panic!("{why}")));
}

/// Histories of which any power cut loses or invents something.
fn is_noticed(mutations: LogMutations, disk: Mutations) -> Option<String> {
    (1..6).find_map(|seed| {
        let history = history(seed, 16, mutations, disk);
        history.images.iter().find_map(|image| {
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                judge(&history, image, &image.reboot(seed), seed).err()
            }));
            judged.unwrap_or_else(|_| Some(format!("seed {seed}: panicked")))
        })
    })
}

fn sound_disk() -> Mutations {
    Mutations::default()
}

/// What was noticed where a step was left out; `cargo xtask teeth` collects it.
fn tell(mutation: &str, noticed: Option<String>) {
    println!(
        "tooth: {mutation} {}",
        noticed.expect("a step was left out, and nothing was noticed")
    );
}

#[test]
fn leaving_out_nothing_leaves_nothing_to_notice() {
    assert_eq!(is_noticed(LogMutations::default(), sound_disk()), None);
}

#[rstest::rstest]
#[case::the_flush_of_a_record(LogMutations { skip_sync: true, ..LogMutations::default() })]
#[case::the_wait_for_a_checkpoint(LogMutations { recycle_early: true, ..LogMutations::default() })]
#[case::the_position_in_the_checkpoint(
    LogMutations { position_apart: true, ..LogMutations::default() }
)]
#[case::the_pages_of_their_own(LogMutations { unaligned: true, ..LogMutations::default() })]
fn leaving_out_a_step_is_noticed(#[case] mutations: LogMutations) {
    let noticed = is_noticed(mutations, sound_disk());
    let all = format!("{mutations:?}");
    let on = all.split([' ', ',']).zip(all.split([' ', ',']).skip(1));
    let on = on.filter(|(_, value)| *value == "true").map(|(name, _)| name).collect::<String>();
    tell(&on, noticed);
}

#[test]
fn leaving_out_the_flush_of_the_metadata_is_noticed() {
    let disk = Mutations { skip_metadata_sync: true, ..Mutations::default() };
    tell("skip_metadata_sync:", is_noticed(LogMutations::default(), disk));
}

#[test]
fn leaving_out_the_rewrite_of_the_last_record_is_noticed() {
    let mutations = LogMutations { skip_rewrite: true, ..LogMutations::default() };
    tell("skip_rewrite:", killed(1..6, mutations).err());
}

/// What readers see at each write and flush of the log, and what is left after a failure of it.
fn seen_and_lost(seed: u64, mutations: LogMutations) -> Result<(), String> {
    let options = options(mutations);
    let (fs, log) = made(seed, &options);
    let log = Arc::new(log);
    commit(&log, put(1, vec![1])).unwrap();
    let before = seen(&log);
    let (watching, watched) = (Arc::downgrade(&log), Arc::new(Mutex::new(Vec::new())));
    let seen_there = watched.clone();
    fs.watch_log(move |_, _| {
        if let Some(log) = watching.upgrade() {
            seen_there.lock().unwrap().push(seen(&log));
        }
    });
    fs.set_fault(Fault { at: fs.calls() + 1, kind: FaultKind::FailedSync, lasting: Lasting::Once });
    let outcome = commit(&log, put(1, vec![2]));
    let after = Rows::from([((TABLES[0], vec![1]), vec![2])]);
    if !matches!(outcome, Err(CommitError::Unknown(_))) {
        return Err(format!("{outcome:?}"));
    }
    let mut seen_by_readers = watched.lock().unwrap().clone();
    seen_by_readers.push(seen(&log));
    fs.clear_fault();
    drop(log);
    let image = fs.images().pop().unwrap();
    for luck in 0..8 {
        let fs = image.reboot(luck);
        let log = open(&fs, &options);
        let found = seen(&log);
        if found != before && found != after {
            return Err("neither the state before nor the one after".to_owned());
        }
        if seen_by_readers.contains(&after) && found != after {
            return Err("a reader saw what is gone".to_owned());
        }
    }
    Ok(())
}

#[test]
fn readers_see_no_commit_whose_flush_fails() {
    for seed in seed(1)..seed(1) + 6 {
        seen_and_lost(seed, LogMutations::default()).unwrap();
    }
    let mutations = LogMutations { visible_before_sync: true, ..LogMutations::default() };
    tell("visible_before_sync:", (1..6).find_map(|seed| seen_and_lost(seed, mutations).err()));
}

/// A flush fails, the store is opened again in the same boot, goes on, and loses power.
fn failed_flush(seed: u64, at: u64) -> Result<bool, String> {
    let options = sound();
    let (fs, log) = made(seed, &options);
    let mut random = Random::new(seed);
    let mut possible = vec![Rows::new()];
    fs.set_fault(Fault {
        at: fs.calls() + at,
        kind: FaultKind::FailedSync,
        lasting: Lasting::Once,
    });
    for _ in 0..9 {
        let newest = possible.last().unwrap().clone();
        let (batch, after) = batch(&mut random, &newest);
        match commit(&log, batch) {
            Ok(()) => possible = vec![after],
            Err(CommitError::Unknown(_)) => possible.push(after),
            Err(CommitError::Rejected(_)) => {}
            Err(error) => return Err(format!("{error:?}")),
        }
        if log.must_reopen() {
            break;
        }
    }
    let failed = log.must_reopen();
    drop(log);
    let fired = fs.clear_fault();
    let why = |text: String| format!("seed {seed}, call {at}: {text}");
    let log = try_open(&fs, &options).map_err(|error| why(format!("{error:?}")))?;
    let found = seen(&log);
    if !possible.contains(&found) {
        return Err(why(format!("none of {} states", possible.len())));
    }
    let mut rows = found;
    for _ in 0..6 {
        let (batch, after) = batch(&mut random, &rows);
        commit(&log, batch).map_err(|error| why(format!("{error:?}")))?;
        rows = after;
    }
    let image = fs.images().pop().unwrap();
    drop(log);
    for luck in 0..3 {
        let fs = image.reboot(luck);
        let log = try_open(&fs, &options).map_err(|error| why(format!("later: {error:?}")))?;
        if seen(&log) != rows {
            return Err(why("later work is lost".to_owned()));
        }
    }
    Ok(fired || failed)
}

#[test]
fn a_failed_flush_of_either_file_costs_nothing_that_was_acknowledged() {
    let mut runs = 0;
    for seed in seed(1)..seed(1) + 5 {
        for at in (1..).step_by(2) {
            if !failed_flush(seed, at).unwrap_or_else(|why| panic!("{why}")) {
                break;
            }
            runs += 1;
        }
    }
    println!("{runs} failed flushes");
    assert!(runs > 100);
}

/// Runs commits under a fault; false once the fault comes too late to matter.
fn fails_well(fault: Fault, seed: u64) -> bool {
    let (fs, log) = made(seed, &sound());
    let at = format!("{fault:?}, seed {seed}");
    fs.set_fault(Fault { at: fault.at + fs.calls(), ..fault });
    let mut random = Random::new(seed);
    let mut possible = vec![Rows::new()];
    for _ in 0..9 {
        let newest = possible.last().unwrap().clone();
        let (batch, after) = batch(&mut random, &newest);
        match commit(&log, batch) {
            Ok(()) => possible = vec![after],
            Err(CommitError::Rejected(_)) => assert!(log.must_reopen(), "{at}"),
            Err(CommitError::Unknown(_)) => {
                assert!(log.must_reopen(), "{at}");
                possible.push(after);
            }
            Err(error) => panic!("{at}: {error:?}"),
        }
        if log.must_reopen() {
            let refused = commit(&log, Batch::default());
            assert!(matches!(refused, Err(CommitError::Rejected(_))), "{at}");
            break;
        }
    }
    drop(log);
    let fired = fs.clear_fault();
    if random.coin() {
        fs.reboot();
    }
    let log = open(&fs, &sound());
    let found = seen(&log);
    assert!(possible.contains(&found), "{at}: {} possible", possible.len());
    commit(&log, batch(&mut random, &found).0).unwrap();
    fired
}

#[test]
fn every_failing_call_leaves_a_log_that_opens_again() {
    let mut runs = 0;
    for kind in FaultKind::ALL {
        for lasting in [Lasting::Once, Lasting::Until] {
            let mut at = 1;
            while fails_well(Fault { at, kind, lasting }, seed(1) + at) {
                runs += 1;
                at += if kind == FaultKind::Io { 1 } else { 3 };
            }
        }
    }
    println!("{runs} faults");
    assert!(runs > 200);
}

#[test]
fn every_failing_call_while_opening_leaves_a_log_that_opens() {
    let history = history(3, 14, LogMutations::default(), Mutations::default());
    let image = &history.images[history.images.len() - 30];
    let mut runs = 0;
    for kind in [FaultKind::Io, FaultKind::NoSpace, FaultKind::TooManyFiles] {
        for at in 1.. {
            let fs = image.reboot(at);
            fs.set_fault(Fault { at, kind, lasting: Lasting::Once });
            let base = RedbStore::open(&fs.shared(), Path::new(META), &redb_options());
            if let Ok(base) = base {
                drop(Logged::open(&fs.shared(), places(), Box::new(base), &TABLES, &sound()));
            }
            if !fs.clear_fault() {
                break;
            }
            if at.is_multiple_of(2) {
                fs.reboot();
            }
            judge(&history, image, &fs, at).unwrap_or_else(|why| panic!("{kind:?} {at}: {why}"));
            runs += 1;
        }
    }
    println!("{runs} faults");
}

#[test]
fn a_half_made_log_is_made_anew() {
    for seed in seed(1)..seed(1) + 6 {
        let fs = SimFs::new(seed);
        let shared = fs.shared();
        shared.create_directory(Path::new("/store")).unwrap();
        shared.sync_directory(Path::new("/")).unwrap();
        drop(RedbStore::create(&shared, Path::new(META), &redb_options()).unwrap());
        fs.record(0..u64::MAX);
        drop(open(&fs, &sound()));
        for image in fs.images() {
            for fs in [image.reboot(seed), image.kill(seed)] {
                let log = try_open(&fs, &sound())
                    .unwrap_or_else(|error| panic!("seed {seed}, {}: {error:?}", image.changes()));
                assert!(seen(&log).is_empty());
                commit(&log, put(1, vec![1])).unwrap();
            }
        }
    }
}

/// A log that is given up, cut at every change.
fn given_up(seed: u64, mutations: LogMutations) -> Result<(), String> {
    let (fs, log) = made(seed, &sound());
    let mut random = Random::new(seed);
    let mut rows = Rows::new();
    for _ in 0..5 {
        let (batch, after) = batch(&mut random, &rows);
        commit(&log, batch).unwrap();
        rows = after;
    }
    let fs = fs.images().pop().unwrap().kill(seed);
    fs.record(0..u64::MAX);
    let give_up = |fs: &SimFs| {
        let base = redb(fs);
        let options = options(mutations);
        Logged::give_up(&fs.shared(), &places(), &base, &TABLES, &options).map(|()| base)
    };
    let base = give_up(&fs).map_err(|error| format!("{error:?}"))?;
    assert_eq!(self::rows(base.snapshot(&[]).unwrap().as_ref()).unwrap(), rows);
    drop(base);
    assert_eq!(fs.shared().file_len(Path::new(LOG)).unwrap(), None);
    for image in fs.images() {
        let fs = image.reboot(seed);
        let base = give_up(&fs).map_err(|error| format!("{}: {error:?}", image.changes()))?;
        if self::rows(base.snapshot(&[]).unwrap().as_ref()).unwrap() != rows {
            return Err(format!("{}: lost", image.changes()));
        }
        drop(base);
        // And it can be taken up again.
        let log = open(&fs, &sound());
        if seen(&log) != rows {
            return Err(format!("{}: lost by the next log", image.changes()));
        }
    }
    Ok(())
}

#[test]
fn a_log_that_is_given_up_leaves_its_rows_behind() {
    for seed in seed(1)..seed(1) + 4 {
        given_up(seed, LogMutations::default()).unwrap_or_else(|why| panic!("{why}"));
    }
    let mutations = LogMutations { unlink_first: true, ..LogMutations::default() };
    tell("unlink_first:", (1..5).find_map(|seed| given_up(seed, mutations).err()));
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let run = |mutations| {
        let (_fs, log) = made(1, &options(mutations));
        let mut random = Random::new(1);
        let mut rows = Rows::new();
        (0..20).find_map(|number| {
            let (batch, after) = batch(&mut random, &rows);
            commit(&log, batch).unwrap();
            rows = after;
            let seen = seen(&log);
            let lacks = rows.len().abs_diff(seen.len());
            (seen != rows).then(|| format!("after commit {number} {lacks} rows are amiss"))
        })
    };
    assert_eq!(run(LogMutations::default()), None);
    let mutations = LogMutations { snapshot_in_two: true, ..LogMutations::default() };
    tell("snapshot_in_two:", run(mutations));
}

/// Bytes of the log.
fn log_bytes(fs: &SimFs) -> Vec<u8> {
    let mut file = fs.shared().open(Path::new(LOG)).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut file, &mut bytes).unwrap();
    bytes
}

/// A record as the log writes it, but for the salt, which no one outside knows.
fn forged(generation: u64, sequence: u64) -> Vec<u8> {
    let mut body = vec![1, 3];
    body.extend_from_slice(b"one");
    body.extend_from_slice(&[2, 1, 6, 7]);
    body.extend_from_slice(b"forged");
    let mut bytes = b"hlr\x01".to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0; 16]);
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes), &body);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// A content full of records, in every place where one could begin, of which a power cut leaves the
/// pages behind the first.
fn forging(mutations: LogMutations) -> Result<(), String> {
    let options = options(mutations);
    let (fs, log) = made(1, &options);
    commit(&log, put(1, vec![1])).unwrap();
    // Where in its record the value begins.
    let marker = vec![0xab; 9_000];
    commit(&log, put(2, marker.clone())).unwrap();
    let bytes = log_bytes(&fs);
    let at = bytes.windows(64).position(|window| window == &marker[..64]).unwrap() % 4096;
    for generation in 1..4 {
        for sequence in 2..6 {
            let mut value = vec![0; 12_000];
            let record = forged(generation, sequence);
            for page in [4096 - at, 8192 - at] {
                value[page..page + record.len()].copy_from_slice(&record);
            }
            let (fs, log) = made(1, &options);
            commit(&log, put(1, vec![1])).unwrap();
            fs.record(0..u64::MAX);
            let _ = commit(&log, put(2, value));
            let images = fs.images();
            for image in &images {
                // Its first page is lost, the others are there.
                let fs = image.kill(1);
                let begin = 4096 + 32768 + 4096;
                fs.corrupt(Path::new(LOG), |bytes| bytes[begin..begin + 4096].fill(0)).unwrap();
                let log = try_open(&fs, &options).map_err(|error| format!("{error:?}"))?;
                if seen(&log).values().any(|value| value == b"forged") {
                    return Err("a forged row is there".to_owned());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn records_inside_of_contents_are_not_taken_for_records() {
    forging(LogMutations::default()).unwrap();
    let mutations = LogMutations { skip_salt: true, ..LogMutations::default() };
    tell("skip_salt:", forging(mutations).err());
}

fn copied(fs: &SimFs, path: &str) -> Vec<u8> {
    let mut file = fs.shared().open(Path::new(path)).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut file, &mut bytes).unwrap();
    bytes
}

#[test]
fn metadata_that_are_older_than_their_log_are_refused_or_brought_up_to_it() {
    let (fs, mut log) = made(1, &sound());
    let mut random = Random::new(1);
    let mut rows = Rows::new();
    let mut older = Vec::new();
    for _ in 0..5 {
        for _ in 0..4 {
            let (batch, after) = batch(&mut random, &rows);
            commit(&log, batch).unwrap();
            rows = after;
        }
        drop(log);
        older.push(copied(&fs, META));
        log = open(&fs, &sound());
    }
    let (batch, after) = batch(&mut random, &rows);
    commit(&log, batch).unwrap();
    let now = fs.images().pop().unwrap();
    let mut refused = 0;
    for (age, bytes) in older.iter().rev().enumerate() {
        let fs = now.kill(1);
        fs.corrupt(Path::new(META), |content| content.clone_from(bytes)).unwrap();
        match try_open(&fs, &sound()) {
            Ok(log) => assert!(seen(&log) == after, "{age}"),
            Err(LogError::Ahead | LogError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("{age}: {error:?}"),
        }
    }
    assert!(refused >= 3, "{refused}");
}

#[test]
fn a_log_that_is_missing_or_of_another_store_is_refused() {
    let (fs, log) = made(1, &sound());
    commit(&log, put(1, vec![1])).unwrap();
    let now = fs.images().pop().unwrap();
    let alone = now.kill(1);
    alone.shared().remove_file(Path::new(LOG)).unwrap();
    assert!(matches!(try_open(&alone, &sound()), Err(LogError::Missing)));
    let (other, _log) = made(2, &sound());
    let foreign = now.kill(1);
    let bytes = log_bytes(&other);
    foreign.corrupt(Path::new(LOG), |content| content.clone_from(&bytes)).unwrap();
    assert!(matches!(try_open(&foreign, &sound()), Err(LogError::Foreign)));
}

#[test]
fn a_batch_that_is_too_large_for_a_record_goes_past_the_log() {
    for seed in 1..4 {
        let options = sound();
        let (fs, log) = made(seed, &options);
        commit(&log, put(1, vec![1])).unwrap();
        commit(&log, put(2, vec![2])).unwrap();
        fs.record(0..u64::MAX);
        let before = (seen(&log), fs.changes());
        commit(&log, put(1, vec![7; 100_000])).unwrap();
        let large = (seen(&log), fs.changes());
        assert_eq!(large.0[&(TABLES[0], vec![1])], vec![7; 100_000]);
        commit(&log, put(3, vec![3])).unwrap();
        let last = (seen(&log), fs.changes());
        drop(log);
        let states = vec![before, large, last];
        let history = History { states, images: fs.images(), checkpoints: 0, options };
        for image in &history.images {
            judge(&history, image, &image.reboot(seed), seed).unwrap_or_else(|why| panic!("{why}"));
        }
    }
}

#[test]
fn what_the_engine_below_would_refuse_is_refused_before_it_is_written() {
    let (_fs, log) = made(1, &sound());
    let unknown = Batch { put: vec![(Table("unheard of"), vec![1], vec![1])], ..Batch::default() };
    assert!(matches!(commit(&log, unknown), Err(CommitError::Rejected(_))));
    assert_eq!(log.log_metrics().records, 0);
    assert!(!log.must_reopen());
    commit(&log, put(1, vec![1])).unwrap();
}

#[rstest::rstest]
#[case::by_whoever_commits(Checkpoints::Caller)]
#[case::by_a_thread(Checkpoints::Thread)]
fn without_room_for_a_checkpoint_commits_end_and_go_on_once_there_is(#[case] by: Checkpoints) {
    let mut options = sound();
    options.checkpoints = by;
    options.spare = 1 << 20;
    let (fs, log) = made(1, &options);
    fs.set_capacity(4 << 20);
    let full = fs.shared();
    // Everything but what a checkpoint wants is taken.
    let mut filler = full.create(Path::new("/store/filler")).unwrap();
    let left = full.available(Path::new("/store")).unwrap();
    std::io::Write::write_all(&mut filler, &vec![1; usize::try_from(left - 300_000).unwrap()])
        .unwrap();
    let mut rows = Rows::new();
    let mut random = Random::new(1);
    let mut committed = 0;
    let refused = loop {
        let (batch, after) = batch(&mut random, &rows);
        match commit(&log, batch) {
            Ok(()) => rows = after,
            Err(error) => break error,
        }
        committed += 1;
        assert!(committed < 100);
        assert_eq!(seen(&log), rows);
    };
    assert!(matches!(refused, CommitError::NoSpace { .. }), "{refused:?}");
    assert!(committed > 4, "{committed}");
    assert_eq!(log.log_metrics().checkpoints, 0);
    assert!(!log.must_reopen());
    assert_eq!(seen(&log), rows);
    full.remove_file(Path::new("/store/filler")).unwrap();
    drop(filler);
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let (batch, after) = batch(&mut random, &rows);
        match commit(&log, batch) {
            Ok(()) => rows = after,
            Err(CommitError::NoSpace { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        // A smaller batch may have had room where a larger one had none.
        if log.log_metrics().checkpoints > 0 {
            break;
        }
        assert!(std::time::Instant::now() < limit);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(seen(&log), rows);
    drop(log);
    fs.reboot();
    assert_eq!(seen(&open(&fs, &options)), rows);
}

#[test]
fn rot_costs_the_last_record_at_most_or_is_named() {
    let (fs, log) = made(1, &sound());
    let mut states = vec![Rows::new()];
    for number in 1..=3 {
        commit(&log, put(number, vec![number; 3_000])).unwrap();
        states.push(seen(&log));
    }
    let now = fs.images().pop().unwrap();
    let length = log_bytes(&fs).len();
    let (mut whole, mut last_lost, mut named) = (0, 0, 0);
    for at in (0..length).step_by(97) {
        let fs = now.kill(1);
        fs.corrupt(Path::new(LOG), |bytes| bytes[at] ^= 1 << (at % 8)).unwrap();
        match try_open(&fs, &sound()) {
            Ok(log) if seen(&log) == states[3] => whole += 1,
            Ok(log) => {
                assert!(seen(&log) == states[2], "byte {at}");
                last_lost += 1;
            }
            Err(LogError::Damaged { first_lost }) => {
                named += 1;
                let mut kept = sound();
                kept.damaged = DamagedLog::Quarantine;
                let fs = fs.images().pop().unwrap().kill(2);
                let log = open(&fs, &kept);
                let good = usize::try_from(first_lost - 1).unwrap();
                assert!(seen(&log) == states[good], "byte {at}, {first_lost}");
                commit(&log, put(9, vec![9])).unwrap();
                let rows = seen(&log);
                drop(log);
                assert_eq!(seen(&open(&fs, &sound())), rows);
                let copies = fs.shared().list(Path::new("/store/quarantine")).unwrap();
                assert_eq!(copies.len(), 1, "{copies:?}");
                assert_eq!(copies[0].name, format!("meta.log-{first_lost}"));
            }
            Err(error) => panic!("byte {at}: {error:?}"),
        }
    }
    println!("{whole} unharmed, {last_lost} without the last, {named} named");
    assert!(whole > 100 && last_lost > 5 && named > 5);
}

/// The next commit is planned while the one before is flushed; it sees it, readers do not.
#[test]
fn a_commit_is_planned_while_the_one_before_is_flushed() {
    let (fs, log) = made(1, &sound());
    let log = Arc::new(log);
    commit(&log, put(1, vec![1])).unwrap();
    let (reached, at_flush) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    fs.watch_log(move |_, flush| {
        if flush {
            let _ = reached.send(());
            let _ = gone.lock().unwrap().recv();
        }
    });
    let value = |read: &dyn MetaRead| read.get(TABLES[0], &[1]).unwrap().unwrap();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let submit = |number: u8| {
        let ended = ended.clone();
        let done = Box::new(move |outcome: Result<(), CommitError>| {
            ended.lock().unwrap().push((number, outcome.is_ok()));
        });
        log.turn(&[]).unwrap().submit(Some(put(1, vec![number])), done);
    };
    submit(2);
    at_flush.recv().unwrap();
    assert_eq!(value(log.snapshot(&[]).unwrap().as_ref()), [1]);
    let turn = log.turn(&[]).unwrap();
    assert_eq!(value(turn.as_ref()), [2]);
    drop(turn);
    // The next two wait for it, and it fails.
    fs.set_fault(Fault { at: fs.calls() + 1, kind: FaultKind::FailedSync, lasting: Lasting::Once });
    let waiting = std::thread::scope(|scope| {
        let next = scope.spawn(|| {
            submit(3);
            let ended = ended.clone();
            let done = Box::new(move |outcome: Result<(), CommitError>| {
                ended.lock().unwrap().push((4, outcome.is_ok()));
            });
            log.turn(&[]).unwrap().submit(None, done);
        });
        go.send(()).unwrap();
        drop(go);
        next.join().unwrap();
        value(log.snapshot(&[]).unwrap().as_ref())
    });
    assert_eq!(waiting, [1]);
    assert_eq!(*ended.lock().unwrap(), [(2, false), (3, false), (4, false)]);
    assert!(log.must_reopen());
}
