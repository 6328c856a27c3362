//! Every call of the file system fails once: the store refuses what it must, loses nothing it has
//! acknowledged, and goes on by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

#[path = "engine/by_hand.rs"]
mod by_hand;
#[path = "engine/plain.rs"]
mod plain;

use std::collections::BTreeMap;
use std::io;

use hayloft_core::sim::{Fault, FaultKind, Lasting, SimFs, SimImage};
use hayloft_core::{
    Actor, FeedDraft, FeedTypes, PromoteRequest, Repair, Selector, Store, UploadRequest,
    VerifyLevel,
};
use plain::{Plain, package};

fn open(fs: &SimFs) -> Store {
    let mut options = by_hand::options();
    options.inline_limit = 1_000;
    Store::open_on(fs.shared(), "/store", FeedTypes::none().with(Plain), options).unwrap()
}

fn selector(version: u64) -> Selector {
    Selector::ungrouped("alpha", version.to_string().as_str())
}

/// Small ones lie in the metadata, large ones in files.
fn bytes(version: u64) -> Vec<u8> {
    package(
        "alpha",
        &version.to_string(),
        version,
        if version.is_multiple_of(2) { 100 } else { 5_000 },
    )
}

fn upload(store: &Store, version: u64) -> bool {
    let bytes = bytes(version);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).is_ok()
}

/// A store with two versions.
fn base() -> SimImage {
    let fs = SimFs::new(0);
    let store = open(&fs);
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &Actor::api()).unwrap();
    }
    assert!(upload(&store, 0) && upload(&store, 1));
    store.close().unwrap();
    fs.images().pop().unwrap()
}

/// What is known of versions: there, gone, or either (`None`).
type Known = BTreeMap<u64, Option<bool>>;

/// Changes of all kinds; each that is acknowledged must last.
fn run(store: &Store, known: &mut Known) {
    for version in 2..6 {
        let stored = upload(store, version);
        known.insert(version, stored.then_some(true));
        if let Ok(file) = store.file("main", &selector(version)) {
            store.count_download(file.id).unwrap();
        }
        let request = PromoteRequest::new(selector(version), "next");
        let _ = store.promote("main", &request, &Actor::api());
    }
    for version in 0..2 {
        let deleted = store.delete_version("main", &selector(version), &Actor::api()).is_ok();
        known.insert(version, deleted.then_some(false));
    }
    let _ = store.run_maintenance();
}

fn judge(store: &Store, known: &Known, what: &str) {
    for (version, expected) in known {
        let mut found = Vec::new();
        let there = match store.download("main", &selector(*version)) {
            Ok(mut download) => {
                io::copy(&mut download, &mut found).unwrap();
                assert!(found == bytes(*version), "{what}: other bytes of {version}");
                true
            }
            Err(_) => false,
        };
        assert!(expected.is_none_or(|expected| expected == there), "{what}: {version} is {there}");
    }
    let mut findings = Vec::new();
    let report = &mut |finding: &hayloft_core::Finding| {
        // What a failed upload left is swept, not wrong.
        if finding.code != hayloft_core::FindingCode::BlobOrphan {
            findings.push(format!("{finding:?}"));
        }
    };
    store.verify(VerifyLevel::Normal, Repair::No, report).unwrap();
    assert_eq!(findings, [""; 0], "{what}");
}

/// How many calls were made to fail.
fn each_call_fails(kind: FaultKind, lasting: Lasting, stride: usize) -> u64 {
    let base = base();
    let mut tried = 0;
    for at in (1..).step_by(stride) {
        let what = format!("{kind:?} {lasting:?} at {at}");
        let fs = base.reboot(at);
        let store = open(&fs);
        let mut known = Known::from([(0, Some(true)), (1, Some(true))]);
        fs.set_fault(Fault { at: fs.calls() + at, kind, lasting });
        run(&store, &mut known);
        let hit = fs.clear_fault();
        // Killed before it is closed, and then without power: what one process shows the next has.
        let killed = fs.images().pop().unwrap().kill(at);
        judge(&open(&killed), &known, &format!("{what}, killed"));
        let cut = killed.images().pop().unwrap().reboot(at);
        judge(&open(&cut), &known, &format!("{what}, killed and rebooted"));
        // No one opens it anew: it does so by itself.
        let recovered = (0..3).any(|_| store.run_maintenance().is_ok());
        assert!(recovered, "{what}: it does not go on");
        assert!(upload(&store, 9), "{what}: nothing is stored any more");
        known.insert(9, Some(true));
        judge(&store, &known, &what);
        // What was acknowledged outlasts a loss of power.
        let after = fs.images().pop().unwrap().reboot(at);
        drop(store);
        judge(&open(&after), &known, &format!("{what}, rebooted"));
        if !hit {
            return tried;
        }
        tried += 1;
    }
    tried
}

#[rstest::rstest]
#[case::any_call(FaultKind::Io, 1)]
#[case::flush(FaultKind::FailedSync, 1)]
#[case::room(FaultKind::NoSpace, 1)]
#[case::quota(FaultKind::Quota, 4)]
#[case::descriptors(FaultKind::TooManyFiles, 4)]
#[case::interrupted(FaultKind::Interrupted, 4)]
#[case::short(FaultKind::ShortWrite, 4)]
fn a_store_goes_on_by_itself_after_any_call_has_failed(
    #[case] kind: FaultKind,
    #[case] stride: usize,
) {
    for lasting in [Lasting::Once, Lasting::Until] {
        let tried = each_call_fails(kind, lasting, stride);
        println!("{kind:?} {lasting:?}: {tried} calls");
        assert!(tried > 5, "{tried}");
    }
}
