//! What the engine under the feeds costs: small changes, opening contents, counting, space, copies,
//! and what work in the background does to others.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hayloft::{
    Actor, Listing, OpenOptions, Selector, StatusChange, Store, UploadRequest, VerifyLevel,
};
use hayloft_testkit::streamed_upack;

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contender, Contest, Unit, Work, contest, timed};
use crate::raw::RawLog;
use crate::stores::{Stores, create_feed, open, upload};

const FEED: &str = "feed";
/// Bytes of the packages.
const PAYLOAD: u32 = 10_000;

pub(crate) fn contests(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    let mut found = vec![status(scale, stores)?, status_of_many(scale, stores)?];
    found.push(opening(scale, stores)?);
    found.push(counting(scale, stores)?);
    found.extend(space(scale, stores)?);
    found.push(copy(scale, stores)?);
    found.push(foreground(scale, stores)?);
    Ok(found)
}

fn store_with(directory: &Path, packages: u32, payload: u32) -> Result<Store> {
    let store = open(directory)?;
    create_feed(&store, FEED)?;
    for package in 0..packages {
        upload(&store, FEED, &format!("package-{package}"), "1.0.0", payload)?;
    }
    Ok(store)
}

fn set_listed(store: &Store, package: u32, listing: Listing) -> Result<()> {
    let selector = Selector::ungrouped(format!("package-{package}"), "1.0.0");
    let change = StatusChange { listing: Some(listing), ..StatusChange::default() };
    store.set_status(FEED, &selector, &change, &Actor::named("bench"))?;
    Ok(())
}

/// Hides and shows a version, so that each call is a change.
fn change_often(store: &Store, package: u32, times: u32) -> Result<()> {
    for time in 0..times {
        let listing = if time % 2 == 0 { Listing::Unlisted } else { Listing::Listed };
        set_listed(store, package, listing)?;
    }
    Ok(())
}

fn status(scale: Scale, stores: &mut Stores) -> Result<Contest> {
    let store = store_with(&stores.directory()?, 1, 100)?;
    let mut raw = RawLog::create(&stores.directory()?.join("log"))?;
    let times = if scale.quick { 4 } else { 200 };
    contest(
        "status change",
        Work { count: times, unit: "change" },
        scale,
        vec![
            Contender::new("hayloft", || timed(|| change_often(&store, 0, times))),
            Contender::new("one record written and flushed", || {
                timed(|| (0..times).try_for_each(|_| raw.append()))
            }),
        ],
    )
}

fn status_of_many(scale: Scale, stores: &mut Stores) -> Result<Contest> {
    const CLIENTS: u32 = 16;
    let store = store_with(&stores.directory()?, CLIENTS, 100)?;
    let each = if scale.quick { 4 } else { 100 };
    contest(
        "status change, 16 clients at once",
        Work { count: CLIENTS * each, unit: "change" },
        scale,
        vec![
            Contender::new("hayloft", || {
                at_once((0..CLIENTS).collect(), |client| change_often(&store, client, each))
            }),
            Contender::new("hayloft, one client after the other", || {
                timed(|| (0..CLIENTS).try_for_each(|client| change_often(&store, client, each)))
            }),
        ],
    )
}

fn opening(scale: Scale, stores: &mut Stores) -> Result<Contest> {
    let store = store_with(&stores.directory()?, 1, 100_000)?;
    let path = stores.directory()?.join("file");
    fs_err::write(&path, vec![1; 100_000])?;
    let selector = Selector::ungrouped("package-0", "1.0.0");
    let times = if scale.quick { 10 } else { 5_000 };
    contest(
        "open a stored file",
        Work { count: times, unit: "file" },
        scale,
        vec![
            Contender::new("hayloft, found by its version", || {
                timed(|| {
                    (0..times).try_for_each(|_| {
                        std::hint::black_box(store.download(FEED, &selector)?);
                        Ok(())
                    })
                })
            }),
            Contender::new("open, length and read of a byte", || {
                timed(|| {
                    (0..times).try_for_each(|_| {
                        let mut file = fs_err::File::open(&path)?;
                        std::hint::black_box(file.metadata()?.len());
                        file.read_exact(&mut [0])?;
                        Ok(())
                    })
                })
            }),
        ],
    )
}

fn counting(scale: Scale, stores: &mut Stores) -> Result<Contest> {
    let store = store_with(&stores.directory()?, 1, 100)?;
    let file = store.file(FEED, &Selector::ungrouped("package-0", "1.0.0"))?.id;
    let times = if scale.quick { 100 } else { 50_000 };
    let before = store.metrics().commits;
    let path = stores.directory()?.join("appended");
    let found = contest(
        "count a download",
        Work { count: times, unit: "download" },
        scale,
        vec![
            Contender::new("hayloft", || {
                timed(|| (0..times).try_for_each(|_| Ok(store.count_download(file)?)))
            }),
            Contender::new("24 bytes appended", || {
                use std::io::Write as _;
                let mut file = fs_err::File::create(&path)?;
                timed(|| (0..times).try_for_each(|_| Ok(file.write_all(&[0; 24])?)))
            }),
        ],
    )?;
    eprintln!("commits meanwhile: {}", store.metrics().commits - before);
    Ok(found)
}

#[cfg(unix)]
fn blocks(about: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(about) * 512
}

#[cfg(not(unix))]
fn blocks(about: &std::fs::Metadata) -> u64 {
    about.len()
}

/// Bytes of all files of a directory, as they are counted by a disk.
fn allocated(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { allocated(&entry.path())? } else { blocks(&about) };
    }
    Ok(sum)
}

fn of_file(path: &Path) -> Result<f64> {
    Ok(number(fs_err::metadata(path)?.len()))
}

#[expect(clippy::cast_precision_loss, reason = "bytes of what fits on a disk")]
fn number(bytes: u64) -> f64 {
    bytes as f64
}

/// What a store takes beside its packages, and what ten rounds of replacing half of them add.
fn space(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    const CLIENTS: u32 = 32;
    let directory = stores.directory()?;
    let each = if scale.quick { 2 } else { 300 };
    let packages = CLIENTS * each;
    let mut options = OpenOptions::default();
    options.create = hayloft::Create::IfMissing;
    options.grace = 0;
    options.background = hayloft::Background::Caller;
    let store = Store::open(&directory, hayloft::feed_types(), options.clone())?;
    let empty = allocated(&directory)?;
    create_feed(&store, FEED)?;
    let fill = |store: &Store, round: u32, part: u32| {
        at_once((0..CLIENTS).collect(), |client: u32| {
            for number in (0..each).filter(|number| number % part == 0) {
                let name = format!("package-{client}-{number}");
                let version = format!("1.{round}.0");
                let mut package = streamed_upack(&name, &version, PAYLOAD);
                let actor = Actor::named("bench");
                store.upload(FEED, &UploadRequest::default(), &mut package, &actor)?;
                if round > 0 {
                    let before = format!("1.{}.0", round - 1);
                    let selector = Selector::ungrouped(name, before.as_str());
                    store.delete_version(FEED, &selector, &actor)?;
                }
            }
            Ok(())
        })
    };
    fill(&store, 0, 1)?;
    let payload = number(store.feed_stats(FEED)?.bytes);
    store.close()?;
    drop(store);
    let metadata = directory.join("meta.redb");
    let beside = number(allocated(&directory)?.saturating_sub(empty)) - payload;
    let after_load = of_file(&metadata)?;
    let store = Store::open(&directory, hayloft::feed_types(), options)?;
    for round in 1..=10 {
        fill(&store, round, 2)?;
        store.run_maintenance()?;
    }
    store.close()?;
    let after_churn = of_file(&metadata)?;
    let count = |row: &str, ours, name, theirs| Contest {
        row: row.into(),
        unit: Unit::Count("bytes"),
        ours: vec![ours],
        baselines: vec![(name, vec![theirs])],
    };
    Ok(vec![
        count(
            "allocated beside a package of 10 KB, closed",
            beside / f64::from(packages),
            "its own bytes",
            payload / f64::from(packages),
        ),
        count("meta.redb after load", after_load, "bytes of packages", payload),
        count("meta.redb after 10 rounds of churn", after_churn, "after load", after_load),
    ])
}

fn copy(scale: Scale, stores: &mut Stores) -> Result<Contest> {
    let (packages, payload) = if scale.quick { (4, 10_000) } else { (200, 1 << 20) };
    let directory = stores.directory()?;
    let store = store_with(&directory, packages, payload)?;
    let targets = stores.directory()?;
    let number = std::cell::Cell::new(0);
    let next = || {
        number.set(number.get() + 1);
        targets.join(number.get().to_string())
    };
    contest(
        "back up 200 MiB",
        Work { count: packages, unit: "MiB" },
        scale,
        vec![
            Contender::new("hayloft", || {
                let target = next();
                let time = timed(|| Ok(hayloft::back_up(&store, &target)?))?;
                fs_err::remove_dir_all(target)?;
                Ok(time)
            }),
            Contender::new("plain copy, flushed", || {
                let target = next();
                let time = timed(|| copy_flushed(&directory.join("blobs"), &target))?;
                fs_err::remove_dir_all(target)?;
                Ok(time)
            }),
        ],
    )
}

fn copy_flushed(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_flushed(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
            fs_err::File::open(&target)?.sync_data()?;
        }
    }
    Ok(())
}

/// The slowest of a hundred publishes, while everything that the background has to do goes on, and
/// while nothing does.
fn foreground(scale: Scale, stores: &mut Stores) -> Result<Contest> {
    let directory = stores.directory()?;
    let mut options = OpenOptions::default();
    options.create = hayloft::Create::IfMissing;
    options.grace = 0;
    options.background = hayloft::Background::Caller;
    let store = Store::open(&directory, hayloft::feed_types(), options)?;
    create_feed(&store, FEED)?;
    let count = if scale.quick { 10 } else { 400 };
    let round = std::cell::Cell::new(0);
    let slow = || {
        round.set(round.get() + 1);
        slowest(&store, round.get(), count)
    };
    contest(
        "publish of 10 KB, the 99th of a hundred",
        Work { count: 1, unit: "package" },
        scale,
        vec![
            Contender::new("hayloft, with collection and reading of all contents", || {
                let over = std::sync::atomic::AtomicBool::new(false);
                std::thread::scope(|scope| {
                    let background = scope.spawn(|| -> Result<()> {
                        while !over.load(std::sync::atomic::Ordering::Relaxed) {
                            for package in 0..20 {
                                let name = format!("garbage-{package}");
                                upload(&store, FEED, &name, "1.0.0", 50_000)?;
                                let selector = Selector::ungrouped(name, "1.0.0");
                                let actor = Actor::named("bench");
                                store.delete_version(FEED, &selector, &actor)?;
                            }
                            store.run_maintenance()?;
                            let ignored = &mut |_: &hayloft::Finding| ();
                            store.verify(VerifyLevel::Normal, hayloft::Repair::No, ignored)?;
                        }
                        Ok(())
                    });
                    let time = slow();
                    over.store(true, std::sync::atomic::Ordering::Relaxed);
                    background.join().ok().context("the background panicked")??;
                    time
                })
            }),
            Contender::new("hayloft alone", slow),
        ],
    )
}

fn slowest(store: &Store, round: u32, count: u32) -> Result<Duration> {
    let mut times = Vec::new();
    for number in 0..count {
        let start = Instant::now();
        upload(store, FEED, &format!("fore-{round}-{number}"), "1.0.0", PAYLOAD)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times.get(times.len() * 99 / 100).or(times.last()).copied().context("nothing was published")
}
