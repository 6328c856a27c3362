//! Everything at once, for as long as one likes: clients of all types, strangers, kills, full disks
//! and clocks that step, against a real server. `cargo xtask soak --minutes N` runs it for longer than
//! the tests do; `HAYLOFT_SIM_SEED` replays what each client does and what is done to the server, in
//! the same order.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests panic to fail and report what they saw"
)]

mod client;
mod clock;
mod disk;
mod facts;
mod kinds;
mod strangers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use clock::SteppingClock;
use disk::SmallDisk;
use facts::Facts;
use hayloft_core::sim::{Random, seed};
use hayloft_tests::{Hayloft, Request, Server};
use kinds::KINDS;

const CLIENTS: usize = 4;
const MEBIBYTE: u64 = 1 << 20;
/// Of the disk: room for the files of all clients above what the store keeps free.
const DISK: u64 = 640;
/// Below what the store keeps free for itself.
const SCARCE: u64 = 100 * MEBIBYTE;
/// What a server may need more in the end than when it was warm.
const GROWTH: u64 = 128 * MEBIBYTE;
/// Descriptors beyond those of an idle server, for what it does in the background.
const FEW: usize = 8;
const MINUTE: i64 = 60;

/// What clients and the one who torments the server share.
#[derive(Debug)]
pub(crate) struct Ring {
    address: Mutex<Option<SocketAddr>>,
    key: Mutex<String>,
    answers: AtomicU64,
    over: AtomicBool,
}

impl Ring {
    /// Where the server is; nothing, after a moment, while there is none.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if address.is_none() {
            thread::sleep(Duration::from_millis(20));
        }
        address
    }

    pub(crate) fn key(&self) -> String {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn publish(&self, server: Option<&Server>) {
        *self.address.lock().unwrap() = server.map(|server| server.address);
    }

    /// Waits for so many answers, or until a time.
    fn await_answers(&self, count: u64, end: Instant) {
        let until = self.answers.load(Ordering::Relaxed) + count;
        while self.answers.load(Ordering::Relaxed) < until && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Is raised when it goes, so that no one works for ever beside a test that has failed.
struct Over<'r>(&'r Ring);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn duration() -> Duration {
    let seconds = std::env::var("HAYLOFT_SOAK_SECONDS")
        .map_or(45, |text| text.parse().expect("HAYLOFT_SOAK_SECONDS is a number of seconds"));
    Duration::from_secs(seconds)
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_and_nothing_leaks() {
    let seed = seed(0x0501_f00d);
    println!("HAYLOFT_SIM_SEED={seed}, for {:?}", duration());
    let disk = SmallDisk::new(DISK);
    let beside = tempfile::tempdir().unwrap();
    let mut clock = SteppingClock::new(beside.path());
    let store = disk.path().join("store");
    // Strangers do not let go by themselves.
    let mut environment = clock.environment();
    environment.push(("HAYLOFT_SHUTDOWN_TIMEOUT", "2".into()));
    let server = Server::start_in(&store, &[], &environment);
    for kind in KINDS {
        let own = (0..CLIENTS).map(|client| kind.own_feed(client));
        for feed in own.chain([kind.released(), kind.strange()]) {
            server.create_feed(&feed, kind.tag);
        }
    }
    if clock.can_step() {
        assert_clock_steps(&server, &mut clock);
    }
    let idle = server.process().open_files();
    let ring = Ring {
        address: Mutex::new(Some(server.address)),
        key: Mutex::new(server.key.clone()),
        answers: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let (mut server, facts, events, visits) = thread::scope(|scope| {
        let ring = &ring;
        let over = Over(ring);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    // One who fails ends the others.
                    let failed = Over(ring);
                    let facts = Client::new(ring, seed, number).work();
                    std::mem::forget(failed);
                    facts
                })
            })
            .collect();
        let strangers = scope.spawn(move || strangers::haunt(ring, seed));
        let (server, events) = torment(server, ring, &disk, &mut clock, seed);
        drop(over);
        let mut facts = Facts::new();
        for client in clients {
            facts.extend(client.join().unwrap());
        }
        (server, facts, events, strangers.join().unwrap())
    });
    await_descriptors(&server, idle);
    let answers = ring.answers.load(Ordering::Relaxed);
    let versions = facts::check(&server, &KINDS, CLIENTS, &facts);
    println!("{answers} requests, {visits} visits of strangers, {events:?}");
    println!("{} places known, {versions} versions there and whole", facts.len());
    assert!(answers > 0 && versions > 0);

    server.stop();
    verify(&store);
    if clock.can_step() {
        assert_space_comes_back(server.restart(), &store, &mut clock);
        verify(&store);
    }
}

/// The clock that steps is the one that the server reads.
fn assert_clock_steps(server: &Server, clock: &mut SteppingClock) {
    let kind = KINDS[0];
    let published = |name: &str| {
        let upload = format!("/api/packages/{}/upload", kind.strange());
        server.put(&upload, kind.file(name, "1.0.0", 100));
        let entry = &server.list(&format!("/api/packages/{}/versions?name={name}", kind.strange()));
        entry[0]["published"].as_str().unwrap().to_owned()
    };
    published("before");
    clock.step(400 * 24 * 60 * MINUTE);
    let ahead = published("ahead");
    clock.step(-400 * 24 * 60 * MINUTE);
    assert!(published("behind") < ahead, "the clock of the server does not step");
}

/// Once everybody is gone, so is what they held.
fn await_descriptors(server: &Server, idle: usize) {
    let start = Instant::now();
    loop {
        let now = server.process().open_files();
        if now <= idle + FEW {
            println!("{now} descriptors in the end, {idle} in the beginning");
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(180), "{now} descriptors, {idle} once");
        thread::sleep(Duration::from_millis(100));
    }
}

/// How often each thing was done to the server.
#[derive(Debug, Default)]
struct Events {
    kills: u32,
    ends: u32,
    full: u32,
    steps: u32,
}

fn torment(
    mut server: Server,
    ring: &Ring,
    disk: &SmallDisk,
    clock: &mut SteppingClock,
    seed: u64,
) -> (Server, Events) {
    let mut random = Random::new(seed ^ 0x70_7274);
    let mut events = Events::default();
    let begin = Instant::now();
    let end = begin + duration();
    // The last third is one process, whose memory and descriptors are looked at over time.
    let calm = begin + duration() * 2 / 3;
    while Instant::now() < calm && !ring.is_over() {
        ring.await_answers(20 + random.below(80), calm);
        match random.below(10) {
            0..4 => {
                events.kills += 1;
                ring.publish(None);
                server = server.restart();
                ring.publish(Some(&server));
            }
            4 => {
                events.ends += 1;
                ring.publish(None);
                server.stop();
                server = server.restart();
                ring.publish(Some(&server));
            }
            5..7 => {
                events.full += u32::from(fill(disk, &mut random));
                ring.await_answers(20 + random.below(40), calm);
                // A start on a full disk.
                if random.coin() {
                    events.kills += 1;
                    ring.publish(None);
                    server = server.restart();
                    ring.publish(Some(&server));
                    ring.await_answers(10, calm);
                }
                disk.free();
            }
            _ => events.steps += u32::from(step(clock, &mut random)),
        }
    }
    disk.free();
    let process = server.process();
    let warm_up = (end.saturating_duration_since(Instant::now()) / 3).min(Duration::from_secs(120));
    ring.await_answers(u64::MAX / 2, Instant::now() + warm_up);
    let (memory, files) = (process.memory(), process.open_files());
    let mut most = 0;
    while Instant::now() < end && !ring.is_over() {
        ring.await_answers(60 + random.below(60), end);
        match random.below(3) {
            0 => {
                events.full += u32::from(fill(disk, &mut random));
                ring.await_answers(20, end);
                disk.free();
            }
            1 => events.steps += u32::from(step(clock, &mut random)),
            _ => {}
        }
        most = most.max(process.memory());
    }
    disk.free();
    println!(
        "warm: {} MiB, {files} descriptors; afterwards at most {} MiB",
        memory / MEBIBYTE,
        most / MEBIBYTE
    );
    assert!(most < memory + GROWTH, "memory grew from {memory} to {most} bytes");
    // All others go now; whoever held on is noticed.
    ring.over.store(true, Ordering::Relaxed);
    (server, events)
}

fn fill(disk: &SmallDisk, random: &mut Random) -> bool {
    if disk.can_be_full() {
        disk.fill(if random.coin() { 0 } else { SCARCE });
    }
    disk.can_be_full()
}

fn step(clock: &mut SteppingClock, random: &mut Random) -> bool {
    let minutes = [11, 120, 40 * 24 * 60, -60, -3 * 24 * 60][random.index(5)];
    // Keys and logs know no time before their own.
    let back = clock.offset() + minutes * MINUTE < 0;
    clock.step(if back { 11 * MINUTE } else { minutes * MINUTE });
    clock.can_step()
}

fn verify(store: &Path) {
    let told = Hayloft::on_store(store).ok(["verify", "--level=deep"]);
    println!("{}", told.trim());
}

/// Once nothing is left and the clock is far ahead, no content is, either.
fn assert_space_comes_back(mut server: Server, store: &Path, clock: &mut SteppingClock) {
    for kind in KINDS {
        let own = (0..CLIENTS).map(|client| kind.own_feed(client));
        for feed in own.chain([kind.released(), kind.strange()]) {
            let target = format!("/api/management/feeds/delete/{feed}");
            server.send(Request::new("DELETE", &target)).expect(200);
        }
    }
    let start = Instant::now();
    while contents(store) > 0 {
        assert!(start.elapsed() < Duration::from_secs(180), "{} contents stay", contents(store));
        // Ahead of whatever was noted before the clock stepped back.
        clock.step(24 * 60 * MINUTE);
        thread::sleep(Duration::from_secs(1));
    }
    println!("all contents were removed within {:?}", start.elapsed());
    server.stop();
}

fn contents(store: &Path) -> usize {
    let shards = fs_err::read_dir(store.join("blobs")).unwrap();
    shards.map(|shard| fs_err::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}
