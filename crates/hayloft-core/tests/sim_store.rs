//! The whole engine on a disk that loses power or fails.
//!
//! A history of operations runs once; the disk is kept as it was before each change, and each is
//! brought back as a power cut at that moment leaves it. What is recovered has to be exactly what
//! was acknowledged, or that and the one operation under way; every file has to read back, and
//! after cleaning up nothing may be left over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

mod engine;

use hayloft_core::Clock;
use hayloft_core::sim::{Fault, FaultKind, Lasting, Mutations, Random, SimFs, SimImage, seed};

use engine::{Engine, Kind, Operation, Outcome, Setup, View, clock, garbage, view};

const INLINE: [u64; 3] = [0, 1_000, 16_000];

/// A state that was acknowledged when so many changes had been made.
struct State {
    at: u64,
    view: View,
    operation: String,
}

struct History {
    setup: Setup,
    states: Vec<State>,
    images: Vec<SimImage>,
    end: i64,
    checkpoints: u64,
}

fn setup(seed: u64) -> Setup {
    Setup::inline(INLINE[usize::try_from(seed % 3).unwrap()])
}

/// Runs operations made up by the seed; `keep` says of which changes the disk is kept.
fn history(base: &SimImage, setup: Setup, seed: u64, operations: usize, m: Mutations) -> History {
    let mut random = Random::new(seed);
    let fs = base.reboot(seed);
    let clock = clock();
    fs.set_mutations(m);
    fs.record(0..u64::MAX);
    let mut engine = setup.open(&fs, &clock).unwrap();
    let mut states =
        vec![State { at: 0, view: view(&engine.store).unwrap(), operation: "open".to_owned() }];
    let mut checkpoints = 0;
    for _ in 0..operations {
        let operation = Operation::any(&mut random);
        clock.step(1_000);
        if matches!(operation, Operation::Reopen) {
            checkpoints += engine.store.metrics().log.checkpoints;
            engine.store.close().unwrap();
            drop(engine);
            engine = setup.open(&fs, &clock).unwrap();
        }
        if let Outcome::Failed(why) = operation.run(&engine) {
            panic!("seed {seed}: {operation:?} failed: {why}");
        }
        let at = fs.changes();
        let operation = format!("{operation:?}");
        states.push(State { at, view: view(&engine.store).unwrap(), operation });
    }
    let end = clock.now().millis();
    checkpoints += engine.store.metrics().log.checkpoints;
    drop(engine);
    History { setup, states, images: fs.images(), end, checkpoints }
}

/// Judges one power cut, and `depth` more during the recovery from it.
fn judge(history: &History, image: &SimImage, seed: u64, depth: usize) -> Result<usize, String> {
    let newest = history.states.iter().rposition(|state| state.at <= image.changes()).unwrap();
    let possible = &history.states[newest..history.states.len().min(newest + 2)];
    let why = |text: String| {
        let under_way = &possible[possible.len() - 1].operation;
        format!("HAYLOFT_SIM_SEED={seed}, change {}, {under_way}: {text}", image.changes())
    };
    let fs = image.reboot(seed);
    fs.record(0..if depth > 0 { u64::MAX } else { 0 });
    let clock = clock();
    clock.step(history.end - clock.now().millis());
    let engine = history.setup.open(&fs, &clock).map_err(|error| why(format!("{error:?}")))?;
    let found = view(&engine.store).map_err(|error| why(format!("{error:?}")))?;
    if !possible.iter().any(|state| state.view == found) {
        return Err(why(format!("recovered\n{}", possible[0].view.difference(&found))));
    }
    if depth == 0 {
        let garbage = garbage(&engine);
        return if garbage.is_empty() { Ok(1) } else { Err(why(garbage.join("\n"))) };
    }
    engine.store.run_maintenance().map_err(|error| why(format!("{error:?}")))?;
    drop(engine);
    let images = fs.images();
    let mut random = Random::new(seed);
    let again = &images[random.index(images.len())];
    let states = possible
        .iter()
        .filter(|state| state.view == found)
        .map(|state| State { at: 0, view: found.clone(), operation: state.operation.clone() })
        .take(1)
        .collect();
    let recovery = History { states, images: Vec::new(), ..*history };
    judge(&recovery, again, random.any() >> 8, depth - 1).map(|judged| judged + 1)
}

#[test]
fn power_cuts_at_every_change_of_short_histories() {
    let (mut judged, mut histories) = (0, 0);
    let first = seed(1);
    for seed in first..first + 9 {
        let setup = Setup { half: 8 << 10, ..setup(seed) };
        let base = setup.base();
        let history = history(&base, setup, seed, 10, Mutations::default());
        assert!(history.checkpoints >= 3, "seed {seed}: {}", history.checkpoints);
        histories += 1;
        for image in &history.images {
            judged += judge(&history, image, seed, 0).unwrap_or_else(|why| panic!("{why}"));
        }
    }
    println!("{judged} simulated histories: {histories} runs, cut short at many moments");
    assert!(judged >= 1_000, "{judged}");
}

#[test]
fn power_cuts_in_long_histories_and_in_the_recovery_from_them() {
    let (mut judged, mut histories) = (0, 0);
    let first = seed(1_000);
    for seed in first..first + 6 {
        let setup = setup(seed);
        let base = setup.base();
        let history = history(&base, setup, seed, 60, Mutations::default());
        assert!(history.checkpoints >= 3, "{}", history.checkpoints);
        histories += 1;
        let mut random = Random::new(seed);
        for depth in [0, 1, 2, 3].repeat(30) {
            let image = &history.images[random.index(history.images.len())];
            judged += judge(&history, image, random.any() >> 8, depth)
                .unwrap_or_else(|why| panic!("history {seed}: {why}"));
        }
    }
    println!("{judged} simulated histories: {histories} runs, cut short at many moments");
    assert!(judged >= 1_000, "{judged}");
}

#[test]
fn power_cuts_while_a_store_is_made() {
    let first = seed(1);
    let setup = setup(first);
    let fs = SimFs::new(first);
    fs.record(0..u64::MAX);
    drop(setup.open(&fs, &clock()).unwrap());
    let images = fs.images();
    // Nearly all of it is the making of one shard after another.
    let mut random = Random::new(first);
    let near = |at: usize| at < 40 || at + 60 > images.len();
    let mut judged = 0;
    for (at, image) in images.iter().enumerate() {
        if near(at) || random.below(10) == 0 {
            let seed = first * 1_000 + at as u64;
            let engine = setup
                .open(&image.reboot(seed), &clock())
                .unwrap_or_else(|error| panic!("HAYLOFT_SIM_SEED={first}, change {at}: {error:?}"));
            assert!(engine.store.feeds().unwrap().is_empty());
            assert_eq!(garbage(&engine), Vec::<String>::new(), "change {at}");
            judged += 1;
        }
    }
    println!("{judged} simulated histories");
}

/// Something that one of several clients did.
struct Deed {
    begun: u64,
    /// `u64::MAX` is never.
    acknowledged: u64,
    name: String,
    version: String,
}

#[test]
fn power_cuts_under_several_clients_at_once() {
    let mut judged = 0;
    let first = seed(1);
    for seed in first..first + 3 {
        let setup = setup(seed);
        let fs = setup.base().reboot(seed);
        fs.record(0..u64::MAX);
        let engine = setup.open(&fs, &clock()).unwrap();
        let deeds: Vec<Deed> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4_u64)
                .map(|client| {
                    let engine = &engine;
                    scope.spawn(move || deeds(engine, client, seed))
                })
                .collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        drop(engine);
        let images = fs.images();
        let mut random = Random::new(seed);
        for _ in 0..150 {
            let image = &images[random.index(images.len())];
            let luck = random.any() >> 8;
            let engine = setup.open(&image.reboot(luck), &clock()).unwrap();
            for deed in &deeds {
                let there = is_there(&engine, deed);
                let at = format!("seed {seed}, change {}, {}", image.changes(), deed.name);
                assert!(there || image.changes() < deed.acknowledged, "{at}: lost");
                assert!(!there || image.changes() > deed.begun, "{at}: from nowhere");
            }
            assert_eq!(garbage(&engine), Vec::<String>::new(), "seed {seed}");
            judged += 1;
        }
    }
    println!("{judged} simulated histories");
}

fn deeds(engine: &Engine, client: u64, seed: u64) -> Vec<Deed> {
    let mut random = Random::new(seed * 10 + client);
    (0..6)
        .map(|number| {
            let (name, version) = (format!("client{client}"), number.to_string());
            // Some contents are the same for several clients but for the name in their head.
            let len = [20, 3_000, 20_000][random.index(3)];
            let bytes = engine::package(&name, &version, random.below(2), len);
            let begun = engine.fs.changes();
            let done = engine.store.upload(
                "main",
                &hayloft_core::UploadRequest::default(),
                &mut bytes.as_slice(),
                &engine::actor(),
            );
            done.unwrap();
            Deed { begun, acknowledged: engine.fs.changes(), name, version }
        })
        .collect()
}

fn is_there(engine: &Engine, deed: &Deed) -> bool {
    let selector = hayloft_core::Selector::ungrouped(&deed.name, &deed.version);
    match engine.store.download("main", &selector) {
        Ok(mut download) => {
            std::io::copy(&mut download, &mut std::io::sink()).unwrap();
            true
        }
        Err(hayloft_core::SelectError::NotFound { .. }) => false,
        Err(error) => panic!("{error:?}"),
    }
}

fn noticed(mutations: Mutations) -> Option<String> {
    let setup = Setup::inline(0);
    let base = setup.base();
    (1..6).find_map(|seed| {
        let history = history(&base, setup, seed, 8, mutations);
        history.images.iter().find_map(|image| judge(&history, image, seed, 0).err())
    })
}

/// What was noticed where a step was left out; `cargo xtask teeth` collects it.
fn tell(mutation: &str, noticed: Option<String>) {
    let noticed = noticed.expect("a step was left out, and nothing was noticed");
    println!("tooth: {mutation} {}", noticed.lines().next().unwrap_or_default());
}

#[test]
fn leaving_out_the_flush_of_files_is_noticed() {
    let mutations = Mutations { skip_blob_sync: true, ..Mutations::default() };
    tell("skip_blob_sync of the store:", noticed(mutations));
}

#[test]
fn leaving_out_the_flush_of_shards_is_noticed() {
    let mutations = Mutations { skip_directory_sync: true, ..Mutations::default() };
    tell("skip_directory_sync of the store:", noticed(mutations));
}

#[test]
fn leaving_out_the_flush_of_the_metadata_is_noticed() {
    let mutations = Mutations { skip_metadata_sync: true, ..Mutations::default() };
    tell("skip_metadata_sync of the store:", noticed(mutations));
}

#[test]
fn leaving_out_nothing_leaves_nothing_to_notice() {
    assert_eq!(noticed(Mutations::default()), None);
}

/// The disk of a closed store that holds one version.
fn one_version(setup: Setup) -> SimImage {
    let fs = setup.base().reboot(1);
    let engine = setup.open(&fs, &clock()).unwrap();
    let upload = Operation::Upload { feed: "main", name: "a", version: 1, content: 1, len: 40_000 };
    assert!(matches!(upload.run(&engine), Outcome::Done));
    engine.store.close().unwrap();
    drop(engine);
    fs.images().pop().unwrap()
}

/// Runs one operation under a fault; false once the fault comes too late to matter.
fn fails_well(base: &SimImage, setup: Setup, kind: Kind, after: &View, fault: Fault) -> bool {
    let at = format!("{kind:?} under {fault:?}");
    let seed = fault.at;
    let fs = base.reboot(seed);
    let clock = clock();
    let engine = setup.open(&fs, &clock).unwrap();
    let before = view(&engine.store).unwrap();
    fs.set_fault(Fault { at: fs.calls() + fault.at, ..fault });
    let outcome = kind.operation().run(&engine);
    let _ = engine.store.close();
    drop(engine);
    let fired = fs.clear_fault();
    if seed.is_multiple_of(2) {
        fs.reboot();
    }
    let engine = setup.open(&fs, &clock).unwrap_or_else(|error| panic!("{at}: {error:?}"));
    let found = view(&engine.store).unwrap();
    match outcome {
        Outcome::Done => assert!(found == *after, "{at}:\n{}", after.difference(&found)),
        Outcome::Failed(_) if found == before || found == *after => {}
        Outcome::Failed(why) => {
            panic!("{at} failed: {why}\n{}", before.difference(&found))
        }
        Outcome::Refused => panic!("{at} was refused"),
    }
    // What failed can be done again, and whatever it took is given back.
    if let Outcome::Failed(why) = kind.operation().run(&engine) {
        panic!("{at}: again: {why}");
    }
    assert_eq!(garbage(&engine), Vec::<String>::new(), "{at}");
    fired
}

#[test]
fn every_failing_call_fails_one_operation_and_harms_nothing() {
    let mut runs = 0;
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let setup = Setup::inline(INLINE[number % 2]);
        let base = one_version(setup);
        let engine = setup.open(&base.reboot(0), &clock()).unwrap();
        assert!(matches!(kind.operation().run(&engine), Outcome::Done), "{kind:?}");
        let after = view(&engine.store).unwrap();
        drop(engine);
        for fault in FaultKind::ALL {
            for lasting in [Lasting::Once, Lasting::Until] {
                let mut at = 1;
                while fails_well(&base, setup, kind, &after, Fault { at, kind: fault, lasting }) {
                    runs += 1;
                    // The kinds take the same ways through the code.
                    at += if fault == FaultKind::Io { 1 } else { 5 };
                }
            }
        }
    }
    println!("{runs} faults");
    assert!(runs > 500);
}

#[test]
fn every_failing_call_while_opening_leaves_a_store_that_opens() {
    let setup = Setup::inline(0);
    let base = one_version(setup);
    let before = view(&setup.open(&base.reboot(0), &clock()).unwrap().store).unwrap();
    let mut runs = 0;
    for kind in FaultKind::ALL {
        for lasting in [Lasting::Once, Lasting::Until] {
            for at in 1.. {
                let fs = base.reboot(at);
                fs.set_fault(Fault { at, kind, lasting });
                drop(setup.open(&fs, &clock()));
                if !fs.clear_fault() {
                    break;
                }
                if at.is_multiple_of(2) {
                    fs.reboot();
                }
                let engine = setup.open(&fs, &clock()).unwrap();
                assert!(view(&engine.store).unwrap() == before, "{kind:?} {lasting:?} {at}");
                runs += 1;
            }
        }
    }
    println!("{runs} faults");
}

/// Cleans up at a moment in the middle of an upload, for each moment; an error tells what was lost.
fn upload_meets_cleanup(skip_pin: bool) -> Result<usize, String> {
    let setup = Setup::inline(0);
    let upload = Operation::Upload { feed: "main", name: "b", version: 1, content: 1, len: 40_000 };
    for at in 0.. {
        let fs = setup.base().reboot(1);
        let engine = setup.open(&fs, &clock()).unwrap();
        if skip_pin {
            engine.store.skip_pins();
        }
        let (store, clock) = (engine.store.clone(), engine.clock.clone());
        let (met, meeting) = std::sync::mpsc::channel();
        fs.interrupt(fs.changes() + at, move || {
            clock.step(3 * 86_400_000);
            let _ = met.send(store.run_maintenance().is_ok());
        });
        assert!(matches!(upload.run(&engine), Outcome::Done));
        if meeting.try_recv().is_err() {
            return Ok(usize::try_from(at).unwrap());
        }
        let seen = view(&engine.store).map_err(|error| format!("{at}: {error:?}"))?;
        if format!("{seen:?}").contains("unreadable") {
            return Err(format!("{at}: unreadable"));
        }
        let garbage = garbage(&engine);
        if !garbage.is_empty() {
            return Err(format!("{at}: {garbage:?}"));
        }
    }
    Ok(0)
}

#[test]
fn cleaning_up_in_the_middle_of_an_upload_removes_nothing_it_needs() {
    assert!(upload_meets_cleanup(false).unwrap() > 3);
}

#[test]
fn leaving_out_the_pin_is_noticed() {
    tell("skip_pins:", upload_meets_cleanup(true).err());
}

/// Fills a small disk; the number of uploads that were acknowledged.
fn fill(engine: &Engine, name: &'static str) -> u64 {
    for version in 1.. {
        let upload =
            Operation::Upload { feed: "main", name, version, content: version, len: 100_000 };
        match upload.run(engine) {
            Outcome::Done => {}
            Outcome::Failed(_) => return version - 1,
            Outcome::Refused => panic!("refused"),
        }
    }
    0
}

#[rstest::rstest]
#[case::with_room_kept_free(1 << 20)]
#[case::to_the_last_byte(0)]
fn a_full_disk_refuses_uploads_and_works_again_once_there_is_room(#[case] free_space_floor: u64) {
    const CAPACITY: u64 = 8 << 20;
    let setup = Setup { free_space_floor, ..Setup::inline(1_000) };
    let fs = setup.base().reboot(1);
    fs.set_capacity(CAPACITY);
    let engine = setup.open(&fs, &clock()).unwrap();
    let stored = fill(&engine, "a");
    assert!(stored > 30, "{stored}");
    if free_space_floor > 0 {
        // What was refused gave its room back. A row of the audit log is no less than a file.
        let status = Operation::Status { feed: "main", name: "a", version: 1, change: 0 };
        let refused = |less: u64| {
            fs.set_capacity(CAPACITY - (less << 14));
            matches!(status.run(&engine), Outcome::Failed(_))
        };
        assert!((1..64).any(refused));
    }
    drop(engine);
    fs.set_capacity(CAPACITY + (1 << 20));
    let engine = setup.open(&fs, &clock()).unwrap();
    for version in 1..=stored {
        let deed =
            Deed { begun: 0, acknowledged: 0, name: "a".into(), version: version.to_string() };
        assert!(is_there(&engine, &deed), "{version}");
        let delete = Operation::Delete { feed: "main", name: "a", version };
        assert!(matches!(delete.run(&engine), Outcome::Done));
    }
    assert_eq!(garbage(&engine), Vec::<String>::new());
    let again = fill(&engine, "b");
    assert!(again >= stored, "{again} after {stored}");
}
