//! What a server costs: large packages, long lists, and clients that hold on to it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and report what they saw"
)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hayloft::engine::{Fs, RealFs};
use hayloft::{Actor, FeedDraft, Overwrite, PromoteRequest, Selector, Store, UploadRequest};
use hayloft_testkit::{StreamedUpack, streamed_upack};
use hayloft_tests::{Answer, Body, Request, Server};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: u64 = 1 << 30;

/// On the disk that the build is on: the usual place of temporary files may lie in memory.
fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = directory.path().join("store");
    (directory, store)
}

/// The server's memory while something happens to it.
struct Watch<'s> {
    server: &'s Server,
    idle: u64,
}

impl<'s> Watch<'s> {
    fn begin(server: &'s Server) -> Self {
        let process = server.process();
        process.forget_peak();
        Self { server, idle: process.memory() }
    }

    /// Fails if the server ever took so many bytes more than in the beginning.
    fn end(self, what: &str, most: u64) {
        let grown = self.server.process().peak().saturating_sub(self.idle);
        println!(
            "{what}: {} KiB above the {} KiB of an idle server",
            grown / 1024,
            self.idle / 1024
        );
        assert!(grown < most, "{what} took {} MiB", grown / MEBIBYTE);
    }
}

/// Uploads a package that is made meanwhile, in chunks, without a type; gives its SHA-256.
fn upload_in_chunks(server: &Server, feed: &str, mut package: impl Read) -> String {
    let target = format!("/api/packages/{feed}/upload");
    let head = Request::new("PUT", &target).key(&server.key).body(Body::Chunked(Vec::new(), 1));
    let head = head.bytes(server.address);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.strip_suffix(b"0\r\n\r\n").unwrap()).unwrap();
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 1 << 18];
    loop {
        let length = package.read(&mut chunk).unwrap();
        write!(stream, "{length:x}\r\n").unwrap();
        stream.write_all(&chunk[..length]).unwrap();
        stream.write_all(b"\r\n").unwrap();
        if length == 0 {
            break;
        }
        digest.update(&chunk[..length]);
    }
    let mut answer = Answer::read(stream).unwrap().expect(200);
    io::copy(&mut answer, &mut io::sink()).unwrap();
    data_encoding::HEXLOWER.encode(&digest.finalize())
}

/// Length and SHA-256 of what comes.
fn drained(mut content: impl Read) -> (u64, String) {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let length = content.read(&mut chunk).unwrap();
        if length == 0 {
            return (size, data_encoding::HEXLOWER.encode(&digest.finalize()));
        }
        size += u64::try_from(length).unwrap();
        digest.update(&chunk[..length]);
    }
}

#[test]
fn packages_of_two_gibibytes_take_less_than_64_mebibytes_of_memory() {
    const LARGE: u32 = 2 << 30;
    const MOST: u64 = 64 * MEBIBYTE;
    let (_directory, store) = directory();
    let free = RealFs.available(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    if free < 8 * GIBIBYTE {
        println!("skipped: the disk of the build has {} MiB free, not 8 GiB", free / MEBIBYTE);
        return;
    }
    let server = Server::start(&store);
    server.create_feed("large", "universal");
    let package = streamed_upack("large", "1.0.0-rc.1", LARGE);
    let size = package.size();

    let watch = Watch::begin(&server);
    let start = Instant::now();
    let uploaded = upload_in_chunks(&server, "large", package);
    println!("uploaded in {:?}", start.elapsed());
    watch.end("an upload of 2 GiB", MOST);

    let download = |version: &str| {
        let query = format!("name=large&version={version}");
        server.begin(Request::get(&format!("/api/packages/large/download?{query}"))).expect(200)
    };
    let watch = Watch::begin(&server);
    let start = Instant::now();
    assert_eq!(drained(download("1.0.0-rc.1")), (size, uploaded));
    println!("downloaded in {:?}", start.elapsed());
    watch.end("a download of 2 GiB", MOST);

    let watch = Watch::begin(&server);
    let start = Instant::now();
    let body = r#"{"feed":"large","name":"large","version":"1.0.0-rc.1","newVersion":"1.0.0"}"#;
    let request = Request::new("POST", "/api/repackaging/repackage").json(body);
    io::copy(&mut server.begin(request).expect(200), &mut io::sink()).unwrap();
    println!("repackaged in {:?}", start.elapsed());
    watch.end("a repackaging of 2 GiB", MOST);

    let listed = server.list("/api/packages/large/versions?name=large&version=1.0.0");
    let told = (listed[0]["size"].as_u64().unwrap(), listed[0]["sha256"].as_str().unwrap());
    let (size, digest) = drained(download("1.0.0"));
    assert_eq!((size, digest.as_str()), told);
}

/// Feeds in which every package of the first was promoted to the second.
const DEV: &str = "dev";
const PROD: &str = "prod";
/// Sorts behind all other names.
const LAST: &str = "zzz-last";

/// More versions than a package ever has.
const DEEP: u32 = 10_000;

/// Fills a store: up to [`DEEP`] versions are those of one package, the rest are of a package each.
fn fill(directory: &Path, versions: u32) {
    // Many, so that one commit takes in many operations.
    const THREADS: u32 = 128;
    let start = Instant::now();
    let store = hayloft::open(directory).unwrap();
    // Every row names who did it: long rows go beyond what sockets take in sooner.
    let actor = Actor::named("tests ".repeat(42));
    for feed in [DEV, PROD] {
        store.create_feed(FeedDraft::new(feed, "universal"), &actor).unwrap();
    }
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= versions {
                        return;
                    }
                    let (name, version) = match number % 2 {
                        0 if number < 2 * DEEP => ("deep".to_owned(), format!("1.{number}.0")),
                        _ => (format!("package-{number:08}"), "1.0.0".to_owned()),
                    };
                    publish_and_promote(&store, &name, &version, &actor);
                }
            });
        }
    });
    store.close().unwrap();
    println!("filled a store with {versions} versions in {:?}", start.elapsed());
}

fn publish_and_promote(store: &Store, name: &str, version: &str, actor: &Actor) {
    let mut package: StreamedUpack = streamed_upack(name, version, 10);
    store.upload(DEV, &UploadRequest::default(), &mut package, actor).unwrap();
    let request = PromoteRequest {
        source: Selector::ungrouped(name, version),
        to_feed: PROD.to_owned(),
        comments: None,
        overwrite: Overwrite::Refuse,
    };
    store.promote(DEV, &request, actor).unwrap();
}

/// Lists of the server, and which property of a row is the package's name.
const LISTS: [(&str, &str); 3] = [
    ("/api/packages/dev/versions", "name"),
    ("/api/packages/dev/latest", "name"),
    ("/api/promotions/list", "packageName"),
];

/// Begins a list and takes no more of it than its first byte.
fn hanging(server: &Server, target: &str) -> Answer {
    let mut answer = server.begin(Request::get(target)).expect(200);
    let mut first = [0];
    answer.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"[");
    answer
}

/// The number of rows of a list whose first bytes were read before, and the last row.
fn rows(rest: Answer, first: &[u8]) -> (usize, Value) {
    let mut last = Value::Null;
    let count = rest.each_row(first, |row| last.clone_from(row));
    (count, last)
}

#[test]
fn lists_are_read_while_they_are_sent() {
    let (_directory, store) = directory();
    // Set it to find out what a million of them cost.
    let versions = std::env::var("HAYLOFT_TEST_VERSIONS").map_or(14_000, |text| {
        text.parse::<u32>().expect("HAYLOFT_TEST_VERSIONS is the number of versions")
    });
    fill(&store, versions);
    let server = Server::start(&store);
    let packages = versions - (versions / 2).min(DEEP) + 1;
    let lengths = [versions, packages, versions].map(|length| usize::try_from(length).unwrap());

    let take_each = |most: u64| {
        for ((target, _), expected) in LISTS.iter().zip(lengths) {
            let watch = Watch::begin(&server);
            let start = Instant::now();
            let (count, _) = rows(server.begin(Request::get(target)).expect(200), b"");
            assert_eq!(count, expected, "{target}");
            println!("{target}: {count} rows in {:?}", start.elapsed());
            watch.end(target, most);
        }
    };
    // The first lists fill the cache of the metadata, which has a bound of its own.
    take_each(80 * MEBIBYTE);
    take_each(16 * MEBIBYTE);

    let watch = Watch::begin(&server);
    let hanging = LISTS.map(|(target, _)| hanging(&server, target));
    // Others are served meanwhile. What they add at the very end is in the lists that began
    // before: nobody had read so far.
    let package = streamed_upack(LAST, "1.0.0", 10);
    upload_in_chunks(&server, DEV, package);
    let body =
        format!(r#"{{"fromFeed":"{DEV}","name":"{LAST}","version":"1.0.0","toFeed":"{PROD}"}}"#);
    server.send(Request::new("POST", "/api/promotions/promote").json(&body)).expect(200);
    for ((target, _), expected) in LISTS.iter().zip(lengths) {
        let (count, _) = rows(server.begin(Request::get(target)).expect(200), b"");
        assert_eq!(count, expected + 1, "{target}");
    }
    for (((target, name), answer), expected) in LISTS.iter().zip(hanging).zip(lengths) {
        let (count, last) = rows(answer, b"[");
        assert_eq!(count, expected + 1, "{target} was read before it was taken");
        assert_eq!(last[name], LAST, "{target}");
    }
    watch.end("lists for four clients", 32 * MEBIBYTE);
}

#[test]
fn threads_of_a_server_share_one_arena() {
    let (_directory, store) = directory();
    let server = Server::start(&store);
    let variable = server.process().variable("MALLOC_ARENA_MAX");
    let expected = if cfg!(target_env = "gnu") {
        std::env::var("MALLOC_ARENA_MAX").map_or(Some("1".to_owned()), Some)
    } else {
        std::env::var("MALLOC_ARENA_MAX").ok()
    };
    assert_eq!(variable, expected);
}

/// The files that wait in the staging area of a store.
fn staged(store: &Path) -> usize {
    let Ok(epochs) = fs_err::read_dir(store.join("tmp")) else { return 0 };
    epochs.map(|epoch| fs_err::read_dir(epoch.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn clients_that_hold_on_cost_little_and_nothing_once_they_are_gone() {
    const IDLE: usize = 200;
    const SLOW: usize = 50;
    const STALLED: usize = 50;
    /// More than sockets take in.
    const LARGE: u32 = 32 << 20;
    let (_directory, store) = directory();
    let server = Server::start(&store);
    server.create_feed(DEV, "universal");
    let work = |name: &str| {
        upload_in_chunks(&server, DEV, streamed_upack(name, "1.0.0", 100_000));
        server.list("/api/packages/dev/versions").len()
    };
    upload_in_chunks(&server, DEV, streamed_upack("large", "1.0.0", LARGE));
    let download = Request::get("/api/packages/dev/download?name=large&version=1.0.0");
    let (size, digest) = drained(server.begin(download.clone()).expect(200));
    assert_eq!(work("first"), 2);
    let process = server.process();
    let files = process.open_files();
    let watch = Watch::begin(&server);

    let keep = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut idle: Vec<TcpStream> = (0..IDLE)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(keep.as_bytes()).unwrap();
            let answer = Answer::read(stream).unwrap().expect(200);
            answer.finish().unwrap()
        })
        .collect();
    let mut stalled: Vec<Answer> =
        (0..STALLED).map(|_| server.begin(download.clone()).expect(200)).collect();
    let upload = Request::put("/api/packages/dev/upload", vec![b'x'; 1 << 20]).key(&server.key);
    let upload = upload.bytes(server.address);
    let body = upload.len() - (1 << 20);
    // Enough for the server to have written some of it.
    let begun = body + (600 << 10);
    let mut slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&upload[..begun]).unwrap();
            stream
        })
        .collect();
    let mut others = 0;
    for second in 0..4 {
        for stream in &mut slow {
            stream.write_all(&upload[begun + second..=begun + second]).unwrap();
        }
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            others += 1;
            assert_eq!(work(&format!("other-{others}")), 2 + others);
        }
    }
    println!("{others} uploads and lists of another client meanwhile");
    assert!(process.open_files() >= files + IDLE + SLOW + 2 * STALLED);
    assert_eq!(staged(&store), SLOW);
    watch.end("300 clients that hold on", 64 * MEBIBYTE);

    // One of each kind goes on as if nothing had been; the others are gone without a word.
    let mut stream = idle.pop().unwrap();
    stream.write_all(keep.as_bytes()).unwrap();
    assert_eq!(Answer::read(stream).unwrap().head.status, 200);
    assert_eq!(drained(stalled.pop().unwrap()), (size, digest));
    let mut stream = slow.pop().unwrap();
    stream.write_all(&upload[begun + 4..]).unwrap();
    assert_eq!(Answer::read(stream).unwrap().head.status, 400, "that was no package");
    drop((idle, slow, stalled));
    // The server notices each end on its own; every request here gives it time to.
    for _ in 0..2_000 {
        if process.open_files() <= files && staged(&store) == 0 {
            break;
        }
        server.get("/health");
    }
    assert_eq!(staged(&store), 0);
    assert!(process.open_files() <= files, "{} open files, not {files}", process.open_files());
    assert_eq!(work("last"), 3 + others);
}
