//! All package files that are read at one time together stay within the memory that the store has
//! for it, measured by an allocator that counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hayloft::{Actor, Create, FeedDraft, OpenOptions, Store, UploadError, UploadRequest};
use hayloft_testkit::{deb, npm_tgz, nupkg, upack};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const THREADS: usize = 16;
const MEMORY: usize = 64 << 20;
/// Buffers of uploads and commits, for all threads.
const BESIDE: usize = 48 << 20;

fn actor() -> Actor {
    Actor::named("tests")
}

/// Memory is that of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store(directory: &TempDir, change: impl FnOnce(&mut OpenOptions)) -> Store {
    let mut options = OpenOptions::default();
    options.create = Create::IfMissing;
    options.inspection_memory = u64::try_from(MEMORY).unwrap();
    change(&mut options);
    let store = Store::open(directory.path(), hayloft::feed_types(), options).unwrap();
    for (feed, tag) in
        [("npm", "npm"), ("apps", "universal"), ("debian", "debian"), ("nuget", "nuget")]
    {
        store.create_feed(FeedDraft::new(feed, tag), &actor()).unwrap();
    }
    store
}

fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn upload(store: &Store, feed: &str, bytes: &[u8]) -> Result<(), UploadError> {
    let mut request = UploadRequest::default();
    request.hints.insert("distribution".to_owned(), "sid".to_owned());
    store.upload(feed, &request, &mut &*bytes, &actor()).map(drop)
}

/// A small file whose manifest takes much memory as a tree; it need not be accepted.
fn hostile(feed: &str, number: usize) -> Vec<u8> {
    let numbers = format!("[{}0]", "0,".repeat(1_000_000));
    let name = format!("wide{number}");
    match feed {
        "npm" => npm_tgz(&name, "1.0.0").field("wide", &numbers).build(),
        "apps" => upack("", &name, "1.0.0").field("wide", &numbers).build(),
        "nuget" => nupkg(&name, "1.0.0").file("x", vec![0; 1 << 20]).build(),
        _ => {
            let mut package = deb(&name, "1.0", "all");
            for number in 0..20_000 {
                package = package.field(&format!("X{number}"), "x");
            }
            package.build()
        }
    }
}

#[test]
fn sixteen_hostile_uploads_at_once_stay_within_the_budget() {
    let _alone = alone();
    let directory = directory();
    let store = store(&directory, |_| {});
    for feed in ["npm", "apps", "debian", "nuget"] {
        let files: Vec<_> = (0..THREADS).map(|number| hostile(feed, number)).collect();
        let largest = files.iter().map(Vec::len).max().unwrap();
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let together = Barrier::new(THREADS);
        thread::scope(|scope| {
            for file in &files {
                scope.spawn(|| {
                    together.wait();
                    // Refused or stored, but answered.
                    let _ = upload(&store, feed, file);
                });
            }
        });
        let taken = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(
            taken < MEMORY + BESIDE,
            "{feed}: {THREADS} files of at most {largest} bytes took {} MiB",
            taken >> 20
        );
    }
}

/// 600 MiB of zeros in less than one.
fn swollen() -> Vec<u8> {
    npm_tgz("swollen", "1.0.0").file("package/zeros", vec![0; 600 << 20]).build()
}

#[test]
fn small_packages_are_stored_while_costly_ones_are_read() {
    let _alone = alone();
    let directory = directory();
    let store = store(&directory, |_| {});
    let swollen = swollen();
    thread::scope(|scope| {
        let upload_swollen = || upload(&store, "npm", &swollen).map(|()| Instant::now());
        let costly: Vec<_> = (0..4).map(|_| scope.spawn(upload_swollen)).collect();
        let mut stored = Vec::new();
        for number in 0..20 {
            let small = npm_tgz(&format!("small{number}"), "1.0.0").build();
            upload(&store, "npm", &small).unwrap();
            stored.push(Instant::now());
        }
        let ends: Vec<_> = costly.into_iter().map(|costly| costly.join().unwrap()).collect();
        let last = ends.into_iter().map(Result::unwrap).max().unwrap();
        assert!(stored.iter().all(|stored| *stored < last), "a small one came last");
    });
}

#[test]
fn a_costly_package_is_given_up_after_its_time() {
    let _alone = alone();
    let directory = directory();
    let store = store(&directory, |options| {
        options.costly_inspection_time = Duration::from_millis(50);
    });
    let error = upload(&store, "npm", &swollen()).unwrap_err();
    let text = chain(&error);
    assert!(text.contains("it takes too long to be read"), "{text}");
}

fn chain(error: &dyn std::error::Error) -> String {
    let next = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", next.unwrap_or_default())
}
