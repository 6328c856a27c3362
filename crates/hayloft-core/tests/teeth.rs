//! Each rule of the store that a switch can leave out is missed by a test: what is found then is
//! printed, and `cargo xtask teeth` collects it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and report what they saw"
)]

#[path = "engine/by_hand.rs"]
mod by_hand;
#[path = "engine/plain.rs"]
mod plain;

use std::io;
use std::path::{Path, PathBuf};

use by_hand::options;
use hayloft_core::sim::{Fault, FaultKind, Lasting, SimFs, SimImage};
use hayloft_core::{
    Actor, FeedDraft, FeedTypes, FindingCode, Fs as _, OpenOptions, PromoteRequest, Repair,
    Selector, Store, StoreMutations, UploadRequest, VerifyLevel,
};
use plain::{Plain, package};

const STORE: &str = "/store";

fn open(fs: &SimFs, options: OpenOptions) -> Store {
    Store::open_on(fs.shared(), STORE, FeedTypes::none().with(Plain), options).unwrap()
}

/// All contents that lie in files.
fn blobs(fs: &SimFs) -> Vec<PathBuf> {
    let root = Path::new(STORE).join("blobs");
    let shards = fs.list(&root).unwrap().into_iter().map(|shard| root.join(shard.name));
    let files = |shard: PathBuf| {
        fs.list(&shard).unwrap().into_iter().map(move |file| shard.join(file.name))
    };
    shards.flat_map(files).collect()
}

fn bytes(version: u64, len: usize) -> Vec<u8> {
    package("alpha", &version.to_string(), version, len)
}

fn selector(version: u64) -> Selector {
    Selector::ungrouped("alpha", version.to_string().as_str())
}

fn upload(store: &Store, bytes: &[u8]) -> bool {
    let mut bytes = bytes;
    store.upload("main", &UploadRequest::default(), &mut bytes, &Actor::api()).is_ok()
}

fn read(store: &Store, feed: &str, version: u64) -> io::Result<Vec<u8>> {
    let mut download = store.download(feed, &selector(version)).map_err(io::Error::other)?;
    let mut found = Vec::new();
    io::copy(&mut download, &mut found)?;
    Ok(found)
}

/// The disk of a closed store of two feeds.
fn base() -> SimImage {
    let fs = SimFs::new(0);
    let store = open(&fs, options());
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &Actor::api()).unwrap();
    }
    store.close().unwrap();
    drop(store);
    fs.images().pop().unwrap()
}

fn made(mutations: StoreMutations) -> (SimFs, Store) {
    made_by(mutations, 1)
}

fn made_by(mutations: StoreMutations, luck: u64) -> (SimFs, Store) {
    let fs = base().reboot(luck);
    let mut options = options();
    options.mutations = mutations;
    let store = open(&fs, options);
    (fs, store)
}

fn damaged_groups(mutations: StoreMutations) -> Result<(), String> {
    let (fs, store) = made(mutations);
    let bytes = bytes(1, 700_000);
    assert!(upload(&store, &bytes));
    let path = &blobs(&fs)[0];
    fs.corrupt(path, |bytes| bytes[300_000] ^= 1).unwrap();
    match read(&store, "main", 1) {
        Err(_) => Ok(()),
        Ok(found) if found == bytes => Err("rot was not planted".to_owned()),
        Ok(_) => Err("a reader was given other bytes than were stored".to_owned()),
    }
}

fn cut_collection(mutations: StoreMutations) -> Result<(), String> {
    let (fs, store) = made(mutations);
    for version in 0..3 {
        assert!(upload(&store, &bytes(version, 20_000)));
        store.delete_version("main", &selector(version), &Actor::api()).unwrap();
    }
    fs.record(fs.changes()..u64::MAX);
    store.run_maintenance().unwrap();
    drop(store);
    for image in fs.images() {
        let store = open(&image.reboot(7), options());
        let mut found = Vec::new();
        let report = &mut |finding: &hayloft_core::Finding| {
            if finding.code == FindingCode::BlobMissing {
                found.push(finding.to_string());
            }
        };
        store.verify(VerifyLevel::Fast, Repair::No, report).unwrap();
        if let Some(found) = found.pop() {
            return Err(format!("power cut before change {}: {found}", image.changes()));
        }
    }
    Ok(())
}

fn miscounted(mutations: StoreMutations) -> Result<(), String> {
    let (_fs, store) = made(mutations);
    assert!(upload(&store, &bytes(1, 20_000)));
    store.promote("main", &PromoteRequest::new(selector(1), "next"), &Actor::api()).unwrap();
    store.forget_uses().unwrap();
    store.delete_version("main", &selector(1), &Actor::api()).unwrap();
    store.run_maintenance().unwrap();
    match read(&store, "next", 1) {
        Ok(found) if found == bytes(1, 20_000) => Ok(()),
        Ok(_) => Err("the promoted version has other bytes".to_owned()),
        Err(error) => Err(format!("the promoted version lost its content: {error}")),
    }
}

fn write_back_error(mutations: StoreMutations) -> Result<(), String> {
    for at in 1..60 {
        let (fs, store) = made(mutations);
        fs.set_fault(Fault {
            at: fs.calls() + at,
            kind: FaultKind::FailedSync,
            lasting: Lasting::Once,
        });
        let stored = upload(&store, &bytes(1, 20_000));
        drop(store);
        fs.clear_fault();
        fs.reboot();
        if stored && read(&open(&fs, options()), "main", 1).ok() != Some(bytes(1, 20_000)) {
            return Err(format!("what was acknowledged is lost; the flush at call {at} failed"));
        }
    }
    Ok(())
}

fn refused(mutations: StoreMutations) -> Result<(), String> {
    let (fs, store) = made(mutations);
    assert!(upload(&store, &bytes(1, 20_000)));
    let other = package("alpha", "1", 99, 30_000);
    assert!(!upload(&store, &other));
    let left = blobs(&fs).len();
    if left == 1 { Ok(()) } else { Err(format!("{left} contents, and one version")) }
}

fn counted_twice(mutations: StoreMutations) -> Result<(), String> {
    for (at, luck) in (1..16).flat_map(|at| (0..4).map(move |luck| (at, luck))) {
        let (fs, store) = made_by(mutations, luck);
        assert!(upload(&store, &bytes(1, 20_000)));
        let file = store.file("main", &selector(1)).unwrap().id;
        for _ in 0..10 {
            store.count_download(file).unwrap();
        }
        fs.set_fault(Fault {
            at: fs.calls() + at,
            kind: FaultKind::FailedSync,
            lasting: Lasting::Once,
        });
        let _ = store.run_maintenance();
        fs.clear_fault();
        // The first opens the store again, where that is needed.
        for _ in 0..2 {
            store.run_maintenance().unwrap();
        }
        let found = store.file("main", &selector(1)).unwrap().file_downloads;
        if found != 10 {
            return Err(format!("10 downloads became {found}; the flush at call {at} failed"));
        }
    }
    Ok(())
}

fn stale_rows(mutations: StoreMutations) -> Result<(), String> {
    for at in 1..40 {
        for luck in 0..4 {
            let fs = base().reboot(luck);
            let mut options = options();
            options.mutations = mutations;
            let store = open(&fs, options);
            let names = |store: &Store| -> Vec<String> {
                store.feeds().unwrap().into_iter().map(|feed| feed.name).collect()
            };
            names(&store);
            fs.set_fault(Fault {
                at: fs.calls() + at,
                kind: FaultKind::FailedSync,
                lasting: Lasting::Once,
            });
            let draft = FeedDraft::new("third", "plain");
            let _ = store.create_feed(draft, &Actor::api());
            fs.clear_fault();
            names(&store);
            store.run_maintenance().unwrap();
            let seen = names(&store);
            drop(store);
            let found = names(&open(&fs, self::options()));
            if seen != found {
                return Err(format!("{seen:?} after reopening, and {found:?} are there"));
            }
        }
    }
    Ok(())
}

type Rule = fn(StoreMutations) -> Result<(), String>;

#[rstest::rstest]
#[case::hashes_of_groups(
    damaged_groups,
    StoreMutations { skip_group_hashes: true, ..StoreMutations::default() }
)]
#[case::forbidding_use_before_removal(
    cut_collection,
    StoreMutations { remove_before_forbidden: true, ..StoreMutations::default() }
)]
#[case::agreement_of_counts_and_use_rows(
    miscounted,
    StoreMutations { trust_use_counts: true, ..StoreMutations::default() }
)]
#[case::the_flush_by_the_descriptor_that_wrote(
    write_back_error,
    StoreMutations { flush_by_another: true, ..StoreMutations::default() }
)]
#[case::taking_back_what_was_refused(
    refused,
    StoreMutations { skip_taking_back: true, ..StoreMutations::default() }
)]
#[case::looking_what_became_of_counts(
    counted_twice,
    StoreMutations { count_again: true, ..StoreMutations::default() }
)]
#[case::forgetting_rows_in_memory(
    stale_rows,
    StoreMutations { keep_small_rows: true, ..StoreMutations::default() }
)]
fn leaving_out_a_rule_is_noticed(#[case] rule: Rule, #[case] mutations: StoreMutations) {
    assert_eq!(rule(StoreMutations::default()), Ok(()));
    let noticed = rule(mutations).unwrap_err();
    let all = format!("{mutations:?}");
    let name = all.split([' ', ',']).zip(all.split([' ', ',']).skip(1));
    let name = name.filter(|(_, value)| *value == "true").map(|(name, _)| name).collect::<String>();
    println!("tooth: {name} {noticed}");
}

/// With a disk on which no checkpoint begins, the log fills; deletes have to go on.
fn deletes_when_full(skip_reserve: bool) -> Result<(), String> {
    let fs = base().reboot(1);
    let mut options = options();
    let store = open(&fs, options.clone());
    assert!(upload(&store, &bytes(1, 20_000)));
    store.close().unwrap();
    drop(store);
    let fs = fs.images().pop().unwrap().kill(1);
    fs.set_capacity(64 << 20);
    options.log.spare = u64::MAX / 2;
    options.log.mutations.skip_reserve = skip_reserve;
    let store = open(&fs, options);
    let value = "x".repeat(300);
    let mut written = 0;
    while store.set_setting(&format!("name{written}"), Some(&value), &Actor::api()).is_ok() {
        written += 1;
        assert!(written < 1_000);
    }
    let deleted = store.delete_version("main", &selector(1), &Actor::api());
    deleted.map(drop).map_err(|error| format!("after {written} settings: {error}"))
}

#[test]
fn leaving_out_the_reserve_for_deletes_is_noticed() {
    assert_eq!(deletes_when_full(false), Ok(()));
    let noticed = deletes_when_full(true).unwrap_err();
    println!("tooth: skip_reserve: {noticed}");
}
