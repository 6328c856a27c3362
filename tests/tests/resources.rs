//! What an embedded store costs and what it survives, measured on real processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Barrier, Mutex};
use std::thread;

use hayloft::engine::{Fs, RealFs};
use hayloft::{
    Actor, FeedDraft, Finding, FindingCode, Repair, Selector, Store, UploadRequest, VerifyLevel,
    VersionsQuery,
};
use hayloft_testkit::{StreamedUpack, streamed_upack};
use tempfile::TempDir;

const FEED: &str = "apps";
/// Names the job of a child process; its value is the directory of the store.
const UPLOADS_A_LARGE_PACKAGE: &str = "HAYLOFT_TEST_UPLOADS_A_LARGE_PACKAGE";
const UPLOADS_UNTIL_KILLED: &str = "HAYLOFT_TEST_UPLOADS_UNTIL_KILLED";
/// Sets the names of one round of killing apart from those of all others.
const ROUND: &str = "HAYLOFT_TEST_ROUND";

const MEBIBYTE: u64 = 1 << 20;
const THREADS_TO_KILL: u32 = 4;

fn actor() -> Actor {
    Actor::named("tests")
}

/// On the disk that the build is on: the usual place of temporary files may lie in memory.
fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn upload(store: &Store, mut package: StreamedUpack) {
    store.upload(FEED, &UploadRequest::default(), &mut package, &actor()).unwrap();
}

/// Starts this program again, for one job only.
fn child(job: &str, directory: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "works_in_a_child_process", "--ignored", "--nocapture"])
        .env(job, directory)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Says something to the parent, on a line of its own.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The test harness may have begun a line.
    write!(out, "\n{line}\n").unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "the part of other tests that runs in processes of their own"]
fn works_in_a_child_process() {
    if let Some(directory) = std::env::var_os(UPLOADS_A_LARGE_PACKAGE) {
        upload_a_large_package(Path::new(&directory));
    } else if let Some(directory) = std::env::var_os(UPLOADS_UNTIL_KILLED) {
        upload_until_killed(Path::new(&directory));
    } else {
        panic!("no job; this part is not for running by hand");
    }
}

const LARGE: u32 = 2 << 30;

/// A value of `/proc/self/status` in bytes.
fn memory(field: &str) -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kibibytes = line.trim_start_matches(':').trim().strip_suffix(" kB").unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

fn upload_a_large_package(directory: &Path) {
    let store = hayloft::open(directory).unwrap();
    store.create_feed(FeedDraft::new(FEED, "universal"), &actor()).unwrap();
    let package = streamed_upack("large", "1.0.0", LARGE);
    say(&format!("idle {}", memory("VmRSS")));
    upload(&store, package);
    say(&format!("peak {}", memory("VmHWM")));
    store.close().unwrap();
}

#[test]
fn a_package_of_two_gibibytes_takes_less_than_64_mebibytes_of_memory() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: memory is read from /proc, which only Linux has");
        return;
    }
    let directory = directory();
    let free = RealFs.available(directory.path()).unwrap();
    if free < 8 << 30 {
        eprintln!("skipped: the disk of the build has {} MiB free, not 8 GiB", free / MEBIBYTE);
        return;
    }
    let mut child = child(UPLOADS_A_LARGE_PACKAGE, directory.path(), 0);
    let mut said = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((name, Ok(bytes))) = line
            .unwrap()
            .split_once(' ')
            .map(|(name, bytes)| (name.to_owned(), bytes.parse::<u64>()))
        {
            said.insert(name, bytes);
        }
    }
    assert!(child.wait().unwrap().success());
    let grown = said["peak"] - said["idle"];
    assert!(grown < 64 * MEBIBYTE, "grew by {} MiB", grown / MEBIBYTE);

    let store = hayloft::open(directory.path()).unwrap();
    let stored = store.file(FEED, &Selector::ungrouped("large", "1.0.0")).unwrap();
    assert_eq!(stored.size, streamed_upack("large", "1.0.0", LARGE).size());
}

#[test]
fn sixteen_threads_lose_nothing_and_share_commits() {
    const THREADS: u32 = 16;
    const EACH: u32 = 12;
    let directory = directory();
    let store = hayloft::open(directory.path()).unwrap();
    store.create_feed(FeedDraft::new(FEED, "universal"), &actor()).unwrap();
    // Half of them lie inline, half in files of their own.
    let package = |thread: u32, number: u32| {
        streamed_upack(&format!("package-{thread}"), &format!("1.{number}.0"), number % 2 * 40_000)
    };
    let before = store.metrics();
    let ready = Barrier::new(16);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, ready) = (&store, &ready);
            scope.spawn(move || {
                ready.wait();
                for number in 0..EACH {
                    upload(store, package(thread, number));
                }
            });
        }
    });
    let after = store.metrics();
    let packages = u64::from(THREADS * EACH);
    assert_eq!(after.files_stored - before.files_stored, packages);
    let commits = after.commits - before.commits;
    assert!(commits < packages, "{commits} commits for {packages} packages");
    store.close().unwrap();

    let store = hayloft::open(directory.path()).unwrap();
    assert_eq!(store.feed_stats(FEED).unwrap().versions, packages);
    for thread in 0..THREADS {
        for number in 0..EACH {
            assert_stored(&store, &format!("package-{thread}"), package(thread, number), number);
        }
    }
}

/// Fails unless the package is there byte for byte.
fn assert_stored(store: &Store, name: &str, expected: StreamedUpack, number: u32) {
    let asked = Selector::ungrouped(name, format!("1.{number}.0"));
    let stored = store.download(FEED, &asked).unwrap();
    assert!(drained(stored) == drained(expected), "{name} 1.{number}.0 has other bytes");
}

fn drained(mut content: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::copy(&mut content, &mut bytes).unwrap();
    bytes
}

/// The package that a thread to be killed uploads as its `number`-th: every third lies in a file.
fn package_to_kill(name: &str, number: u32) -> StreamedUpack {
    let size = if number % 3 == 2 { 100_000 } else { 100 * number };
    streamed_upack(name, &format!("1.{number}.0"), size)
}

fn upload_until_killed(directory: &Path) {
    let round = std::env::var(ROUND).unwrap();
    let store = hayloft::open(directory).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS_TO_KILL {
            let (store, round) = (&store, &round);
            scope.spawn(move || {
                let name = format!("package-{round}-{thread}");
                for number in 0..10_000 {
                    upload(store, package_to_kill(&name, number));
                    say(&format!("stored {name} {number} durably"));
                }
            });
        }
    });
    panic!("was never killed");
}

/// Numbers that look random and are the same in every run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn what_was_acknowledged_before_kill_9_is_there_and_nothing_is_half_there() {
    const ROUNDS: u32 = 20;
    let directory = directory();
    let store = hayloft::open(directory.path()).unwrap();
    store.create_feed(FeedDraft::new(FEED, "universal"), &actor()).unwrap();
    store.close().unwrap();
    let mut seed = 0x0dd0_ba11_cafe_f00d_u64;
    let acknowledged = Mutex::new(BTreeMap::<String, u32>::new());
    let note = |line: &str| {
        let mut words = line.strip_prefix("stored ")?.split(' ');
        let (name, number) = (words.next()?, words.next()?.parse::<u32>().ok()?);
        // The last line may be cut off.
        words.next().filter(|word| *word == "durably")?;
        acknowledged.lock().unwrap().insert(name.to_owned(), number + 1);
        Some(())
    };
    for round in 0..ROUNDS {
        let enough = 1 + random(&mut seed) % 40;
        let mut child = child(UPLOADS_UNTIL_KILLED, directory.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut counted = 0;
        while counted < enough {
            let line = lines.next().expect("the child lives until it is killed").unwrap();
            counted += u64::from(note(&line).is_some());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts as well.
        for line in lines {
            note(&line.unwrap());
        }

        let store = hayloft::open(directory.path()).unwrap();
        assert_whole(&store, &acknowledged.lock().unwrap());
        store.close().unwrap();
    }
}

/// Every acknowledged package is there, each is whole, and of each thread at most one more than
/// it told of. Contents that no row names yet may lie about: a sweep takes them away later.
fn assert_whole(store: &Store, acknowledged: &BTreeMap<String, u32>) {
    let mut wrong = Vec::new();
    let mut report = |finding: &Finding| {
        if finding.code != FindingCode::BlobOrphan {
            wrong.push(finding.to_string());
        }
    };
    store.verify(VerifyLevel::Deep, Repair::No, &mut report).unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let mut found = BTreeMap::<String, u32>::new();
    let mut bytes = 0;
    let mut files = 0;
    for file in store.versions(FEED, &VersionsQuery::default()).unwrap() {
        let file = file.unwrap();
        let number = file.version.split('.').nth(1).unwrap().parse().unwrap();
        assert_stored(store, &file.name, package_to_kill(&file.name, number), number);
        *found.entry(file.name).or_default() += 1;
        bytes += file.size;
        files += 1;
    }
    for name in found.keys().chain(acknowledged.keys()) {
        let stored = found.get(name).copied().unwrap_or_default();
        let told = acknowledged.get(name).copied().unwrap_or_default();
        assert!((told..=told + 1).contains(&stored), "{name}: told of {told}, stored {stored}");
    }
    let stats = store.feed_stats(FEED).unwrap();
    assert_eq!((stats.files, stats.versions, stats.bytes), (files, files, bytes));
    assert_eq!(stats.packages, u64::try_from(found.len()).unwrap());
}
