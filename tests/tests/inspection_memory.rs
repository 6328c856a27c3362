//! All package files that are read at one time together stay within the memory that the store has
//! for it, measured by an allocator that counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

use std::io::Read;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use flate2::{Compress, Compression, FlushCompress};
use hayloft::{Actor, Create, FeedDraft, OpenOptions, Store, UploadError, UploadRequest};
use hayloft_testkit::{deb, gem, npm_tgz, nupkg, upack, wheel};
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
    for feed_type in hayloft::feed_types().iter() {
        let tag = feed_type.tag();
        store.create_feed(FeedDraft::new(tag, tag), &actor()).unwrap();
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
        "universal" => upack("", &name, "1.0.0").field("wide", &numbers).build(),
        "nuget" => nupkg(&name, "1.0.0").file("x", vec![0; 1 << 20]).build(),
        "rubygems" => gem(&name, "1.0.0", "ruby").field("authors", &numbers).build(),
        "debian" | "pypi" => {
            let mut package =
                if feed == "pypi" { wheel(&name, "1.0") } else { deb(&name, "1.0", "all") };
            for number in 0..20_000 {
                package = package.field(&format!("X{number}"), "x");
            }
            package.build()
        }
        other => panic!("a hostile package of the type {other} is missing here"),
    }
}

#[test]
fn sixteen_hostile_uploads_at_once_stay_within_the_budget() {
    let _alone = alone();
    let directory = directory();
    let store = store(&directory, |_| {});
    for feed_type in hayloft::feed_types().iter() {
        let feed = feed_type.tag();
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

/// Unfolds to more zeros than anything real, and was made from few.
fn bomb(name: &str, mebibytes: usize) -> Vec<u8> {
    let whole = npm_tgz(name, "1.0.0").file("package/zeros", vec![0; 1 << 20]).build();
    let mut archive = Vec::new();
    GzDecoder::new(whole.as_slice()).read_to_end(&mut archive).unwrap();
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut deflate = Compress::new(Compression::best(), false);
    for (bytes, times) in [(archive, 1), (vec![0; 1 << 20], mebibytes)] {
        let mut chunk = Vec::with_capacity(1 << 20);
        deflate.compress_vec(&bytes, &mut chunk, FlushCompress::Full).unwrap();
        // Behind a full flush nothing depends on what was before.
        (0..times).for_each(|_| packed.extend_from_slice(&chunk));
    }
    packed
}

#[test]
fn bombs_are_refused_by_what_they_unfold_to_and_hold_up_nobody() {
    let _alone = alone();
    let directory = directory();
    let store = store(&directory, |options| {
        // By their size, not by a time that depends on the machine.
        options.costly_inspection_time = Duration::from_secs(3600);
    });
    // Few, for each takes a second or two of a debug build.
    let bombs: Vec<_> = (0..4).map(|number| bomb(&format!("bomb{number}"), 8 << 10)).collect();
    assert!(bombs.iter().all(|bomb| bomb.len() < 24 << 20));
    thread::scope(|scope| {
        let uploads: Vec<_> =
            bombs.iter().map(|bomb| scope.spawn(|| upload(&store, "npm", bomb))).collect();
        for number in 0..20 {
            let small = npm_tgz(&format!("small{number}"), "1.0.0").build();
            upload(&store, "npm", &small).unwrap();
        }
        for upload in uploads {
            let text = chain(&upload.join().unwrap().unwrap_err());
            assert!(text.contains("unfolds to far more") || text.contains("too many"), "{text}");
        }
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
