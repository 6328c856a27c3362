//! A backup is a store of one moment, made beside its use and made into a store again.
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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hayloft_core::sim::SimFs;
use hayloft_core::{
    Actor, Background, BackupError, Checkpoints, Create, FeedDraft, FeedTypes, Fs, ManualClock,
    OpenError, OpenOptions, RealFs, Repair, RestoreError, Selector, Store, Timestamp,
    UploadRequest, VerifyLevel, back_up, restore,
};
use plain::{Plain, package};

const GRACE: i64 = 600_000;

fn options() -> (OpenOptions, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.inline_limit = 1_000;
    options.grace = GRACE;
    options.clock = clock.clone();
    options.log.half = 64 << 10;
    (options, clock)
}

fn open(directory: &Path) -> Store {
    Store::open(directory, FeedTypes::none().with(Plain), options().0).unwrap()
}

fn real() -> Arc<dyn Fs> {
    Arc::new(RealFs)
}

/// Versions with odd numbers are small enough to lie in rows.
fn bytes(number: u64) -> Vec<u8> {
    package("alpha", &number.to_string(), number, if number.is_multiple_of(2) { 5_000 } else { 50 })
}

fn upload(store: &Store, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let request = UploadRequest::default();
        store.upload("main", &request, &mut bytes(number).as_slice(), &Actor::api()).unwrap();
    }
}

fn delete(store: &Store, number: u64) {
    let selector = Selector::ungrouped("alpha", number.to_string().as_str());
    store.delete_version("main", &selector, &Actor::api()).unwrap();
}

/// All versions that can be downloaded, each with the right bytes.
fn held(store: &Store, up_to: u64) -> Vec<u64> {
    (0..up_to)
        .filter(|number| {
            let selector = Selector::ungrouped("alpha", number.to_string().as_str());
            let Ok(mut download) = store.download("main", &selector) else { return false };
            let mut read = Vec::new();
            std::io::copy(&mut download, &mut read).unwrap();
            assert_eq!(read, bytes(*number));
            true
        })
        .collect()
}

fn assert_sound(store: &Store) {
    let mut findings = Vec::new();
    let report = &mut |finding: &_| findings.push(format!("{finding:?}"));
    store.verify(VerifyLevel::Deep, Repair::No, report).unwrap();
    assert_eq!(findings, [""; 0]);
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for shard in fs::read_dir(root.join("blobs")).unwrap() {
        for file in fs::read_dir(shard.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found.sort();
    found
}

struct Sample {
    root: tempfile::TempDir,
    store: Store,
    clock: Arc<ManualClock>,
}

fn sample() -> Sample {
    let root = tempfile::tempdir().unwrap();
    let (options, clock) = options();
    let types = FeedTypes::none().with(Plain);
    let store = Store::open(root.path().join("store"), types, options).unwrap();
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    Sample { root, store, clock }
}

impl Sample {
    fn place(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

#[test]
fn what_was_backed_up_while_in_use_is_a_sound_store_once_restored() {
    let sample = sample();
    upload(&sample.store, 0..10);
    let backup = sample.place("backup");
    let made = back_up(&sample.store, &backup).unwrap();
    assert_eq!((made.contents, made.kept, made.lost), (5, 0, 0));
    upload(&sample.store, 10..12);
    let restored = restore(&real(), &backup, sample.place("restored")).unwrap();
    assert_eq!((&restored.root, restored.rows), (&made.root, made.rows));
    let store = open(&sample.place("restored"));
    assert_eq!(held(&store, 12), (0..10).collect::<Vec<_>>());
    assert_sound(&store);
    assert_eq!(store.id(), sample.store.id());
    assert_ne!(store.timeline(), sample.store.timeline());
    upload(&store, 20..22);
    assert_sound(&store);
}

#[test]
fn a_second_run_brings_only_what_is_new_and_drops_what_is_gone() {
    let sample = sample();
    upload(&sample.store, 0..10);
    let backup = sample.place("backup");
    back_up(&sample.store, &backup).unwrap();
    let first = files(&backup);
    delete(&sample.store, 0);
    sample.store.run_maintenance().unwrap();
    sample.clock.step(2 * GRACE);
    sample.store.run_maintenance().unwrap();
    upload(&sample.store, 10..13);
    let made = back_up(&sample.store, &backup).unwrap();
    assert_eq!((made.contents, made.kept), (6, 4));
    let second = files(&backup);
    assert_eq!(second.len(), 6);
    assert_eq!(first.iter().filter(|path| second.contains(path)).count(), 4);
    restore(&real(), &backup, sample.place("restored")).unwrap();
    let store = open(&sample.place("restored"));
    assert_eq!(held(&store, 13), (1..13).collect::<Vec<_>>());
    assert_sound(&store);
    let metadata = fs::read_dir(&backup)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "redb"))
        .count();
    assert_eq!(metadata, 1);
}

#[test]
fn equal_stores_have_equal_roots_in_backups_of_restored_ones_too() {
    let sample = sample();
    upload(&sample.store, 0..4);
    let one = back_up(&sample.store, sample.place("one")).unwrap();
    let two = back_up(&sample.store, sample.place("two")).unwrap();
    assert_eq!(one.root, two.root);
    upload(&sample.store, 4..5);
    let three = back_up(&sample.store, sample.place("three")).unwrap();
    assert_ne!(one.root, three.root);
}

#[test]
fn only_an_empty_directory_or_the_same_backup_is_written_to() {
    let sample = sample();
    let other = sample.place("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine.txt"), "x").unwrap();
    let made = back_up(&sample.store, &other);
    assert!(matches!(made, Err(BackupError::NotABackup { .. })), "{made:?}");
    let own = back_up(&sample.store, sample.place("store"));
    assert!(matches!(own, Err(BackupError::NotABackup { .. })), "{own:?}");
    let backup = sample.place("backup");
    back_up(&sample.store, &backup).unwrap();
    let second = open(&sample.place("second"));
    let made = back_up(&second, &backup);
    assert!(matches!(made, Err(BackupError::OtherStore { .. })), "{made:?}");
    let made = restore(&real(), &backup, &other);
    assert!(matches!(made, Err(RestoreError::NotEmpty { .. })), "{made:?}");
    let made = restore(&real(), &other, sample.place("new"));
    assert!(matches!(made, Err(RestoreError::NotABackup { .. })), "{made:?}");
}

#[test]
fn a_run_that_never_ended_is_no_backup_and_no_store() {
    let sample = sample();
    upload(&sample.store, 0..4);
    let backup = sample.place("backup");
    back_up(&sample.store, &backup).unwrap();
    let manifest = fs::read(backup.join("backup.json")).unwrap();
    fs::remove_file(backup.join("backup.json")).unwrap();
    let target = sample.place("restored");
    let made = restore(&real(), &backup, &target);
    assert!(matches!(made, Err(RestoreError::Incomplete { .. })), "{made:?}");
    let opened = Store::open(&backup, FeedTypes::none().with(Plain), options().0);
    assert!(matches!(opened, Err(OpenError::NotAStore { .. })));
    fs::write(backup.join("backup.json"), manifest).unwrap();

    restore(&real(), &backup, &target).unwrap();
    fs::remove_file(target.join("FORMAT")).unwrap();
    let identity = fs::read_to_string(backup.join("hayloft-backup")).unwrap();
    let root = back_up(&sample.store, &backup).unwrap().root;
    fs::write(target.join("restoring"), format!("{} {root}\n", identity.trim_end())).unwrap();
    for create in [Create::Never, OpenOptions::default().create] {
        let mut options = options().0;
        options.create = create;
        let opened = Store::open(&target, FeedTypes::none().with(Plain), options);
        assert!(matches!(opened, Err(OpenError::NotAStore { .. } | OpenError::Missing { .. })));
    }
    restore(&real(), &backup, &target).unwrap();
    let store = open(&target);
    assert_eq!(held(&store, 4), [0, 1, 2, 3]);
    assert_sound(&store);
}

#[test]
fn damaged_backups_are_found_out_when_they_are_restored() {
    let sample = sample();
    upload(&sample.store, 0..4);
    let backup = sample.place("backup");
    back_up(&sample.store, &backup).unwrap();
    let victim = files(&backup).remove(0);
    let len = fs::metadata(&victim).unwrap().len();
    // Removed first: it may be the store's own file under a second name.
    fs::remove_file(&victim).unwrap();
    fs::write(&victim, vec![1; usize::try_from(len).unwrap()]).unwrap();
    let made = restore(&real(), &backup, sample.place("restored")).unwrap();
    assert_eq!(made.lost, 1);
    let text = fs::read_to_string(backup.join("backup.json")).unwrap();
    let root = back_up(&sample.store, sample.place("other")).unwrap().root;
    fs::write(backup.join("backup.json"), text.replace(&root, &"0".repeat(root.len()))).unwrap();
    let made = restore(&real(), &backup, sample.place("again"));
    assert!(matches!(made, Err(RestoreError::Damaged { .. })), "{made:?}");
    assert_sound(&sample.store);
}

fn open_in(disk: &SimFs) -> Store {
    let types = FeedTypes::none().with(Plain);
    let mut options = options().0;
    options.log.checkpoints = Checkpoints::Caller;
    Store::open_on(disk.shared(), "/store", types, options).unwrap()
}

/// A store with a complete backup of four versions, and two versions more.
fn disk(seed: u64) -> (SimFs, Store) {
    let disk = SimFs::new(seed);
    let store = open_in(&disk);
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    upload(&store, 0..4);
    back_up(&store, "/backup").unwrap();
    upload(&store, 4..6);
    (disk, store)
}

fn held_in(disk: &SimFs, directory: &str) -> Vec<u64> {
    let types = FeedTypes::none().with(Plain);
    let mut options = options().0;
    options.log.checkpoints = Checkpoints::Caller;
    let store = Store::open_on(disk.shared(), directory, types, options).unwrap();
    let held = held(&store, 6);
    assert_sound(&store);
    held
}

#[test]
fn nothing_is_collected_while_a_backup_reads() {
    let disk = SimFs::new(3);
    let (mut options, clock) = options();
    options.log.checkpoints = Checkpoints::Caller;
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_on(disk.shared(), "/store", types, options).unwrap();
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    upload(&store, 0..6);
    let other = store.clone();
    let later = clock.clone();
    // Among the directories that a backup makes before it copies its first content.
    disk.interrupt(disk.changes() + 200, move || {
        delete(&other, 4);
        other.run_maintenance().unwrap();
        later.step(2 * GRACE);
        other.run_maintenance().unwrap();
        assert_eq!(other.metrics().blobs_collected, 0);
    });
    assert_eq!(back_up(&store, "/backup").unwrap().lost, 0);
    assert_eq!(held(&store, 6), [0, 1, 2, 3, 5]);
    restore(&disk.shared(), "/backup", "/restored").unwrap();
    assert_eq!(held_in(&disk, "/restored"), [0, 1, 2, 3, 4, 5]);
    store.run_maintenance().unwrap();
    assert_eq!(store.metrics().blobs_collected, 1);
}

/// Power cuts, spread over all that a run writes.
const CUTS: u64 = 12;

#[test]
fn a_backup_that_loses_power_leaves_the_one_before_or_the_new_one() {
    let (whole, store) = disk(1);
    let first = whole.changes();
    back_up(&store, "/backup").unwrap();
    let last = whole.changes();
    drop(store);
    for cut in 0..CUTS {
        let (disk, store) = disk(1);
        disk.crash_at(first + 1 + (last - first) * cut / CUTS);
        let made = back_up(&store, "/backup");
        drop(store);
        assert!(disk.is_off(), "cut {cut}");
        disk.reboot();
        restore(&disk.shared(), "/backup", "/before").unwrap();
        let before = held_in(&disk, "/before");
        assert!(before == [0, 1, 2, 3] || before == [0, 1, 2, 3, 4, 5], "cut {cut}: {before:?}");
        assert!(made.is_err() || before.len() == 6, "cut {cut}: an acknowledged run is gone");
        let store = open_in(&disk);
        back_up(&store, "/backup").unwrap();
        drop(store);
        restore(&disk.shared(), "/backup", "/after").unwrap();
        assert_eq!(held_in(&disk, "/after"), [0, 1, 2, 3, 4, 5], "cut {cut}");
    }
}

#[test]
fn a_restore_that_loses_power_is_no_store_until_the_next_one_completes_it() {
    let (whole, store) = disk(2);
    drop(store);
    let first = whole.changes();
    restore(&whole.shared(), "/backup", "/restored").unwrap();
    let last = whole.changes();
    for cut in 0..CUTS {
        let (disk, store) = disk(2);
        drop(store);
        disk.crash_at(first + 1 + (last - first) * cut / CUTS);
        let made = restore(&disk.shared(), "/backup", "/restored");
        disk.reboot();
        let types = FeedTypes::none().with(Plain);
        let mut options = options().0;
        options.create = Create::Never;
        options.log.checkpoints = Checkpoints::Caller;
        match Store::open_on(disk.shared(), "/restored", types, options) {
            Ok(store) => assert_eq!(held(&store, 6), [0, 1, 2, 3], "cut {cut}"),
            Err(OpenError::Missing { .. } | OpenError::NotAStore { .. }) => {
                assert!(made.is_err(), "cut {cut}: an acknowledged restore is gone");
            }
            Err(error) => panic!("cut {cut}: {error}"),
        }
        if made.is_err() {
            let again = restore(&disk.shared(), "/backup", "/restored");
            // Cut between the last name and the removal of the marker.
            assert!(
                matches!(again, Ok(_) | Err(RestoreError::NotEmpty { .. })),
                "cut {cut}: {again:?}"
            );
        }
        assert_eq!(held_in(&disk, "/restored"), [0, 1, 2, 3], "cut {cut}");
    }
}
