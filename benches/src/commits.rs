use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use hayloft::{Actor, Commits, Create, OpenOptions, Store, UploadRequest};
use hayloft_testkit::streamed_upack;

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contender, Contest, Unit, Work, contest};
use crate::stores::{LARGE, Stores, WIDE, create_feed};

/// Bytes of the packages.
const PAYLOAD: u32 = 10_000;

/// Commits that go to the log against those that go to the metadata file: publishes in a second by
/// clients at once, and bytes that the process writes for each, content included.
pub(crate) fn contests(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    let mut found = Vec::new();
    for (name, clients, each) in
        [("one client", 1, 100), ("4 clients", 4, 60), ("16 clients", 16, 40)]
    {
        let each = if scale.quick { 3 } else { each };
        found.push(rates(name, clients, each, scale, stores)?);
    }
    let mut sizes = vec![("no", None)];
    sizes.push(if scale.quick { ("1,000", Some(1_000)) } else { ("10,000", Some(10_000)) });
    if scale.million {
        sizes.push(("650,000", Some(LARGE)));
    }
    for (name, versions) in sizes {
        for (who, clients, each) in [("one client", 1, 20_000), ("16 clients", 16, 1_250)] {
            let directory = match versions {
                None => {
                    let directory = stores.directory()?;
                    let store = open(&directory, Commits::Log)?;
                    create_feed(&store, WIDE)?;
                    store.close()?;
                    directory
                }
                Some(versions) => stores.filled(versions)?,
            };
            let each = if scale.quick { 3 } else { each };
            // Each opening begins with what the other has left: both close with all rows taken in.
            let below = bytes(&directory, Commits::Metadata, clients, each)?;
            let ours = bytes(&directory, Commits::Log, clients, each)?;
            found.push(Contest {
                row: format!("written for a package of 10 KB, {who}, {name} versions"),
                unit: Unit::Count("bytes"),
                ours: vec![ours],
                baselines: vec![("commits to the metadata file", vec![below])],
            });
        }
    }
    Ok(found)
}

fn open(directory: &Path, commits: Commits) -> Result<Store> {
    let mut options = OpenOptions::default();
    options.create = Create::IfMissing;
    options.log.commits = commits;
    Store::open(directory, hayloft::feed_types(), options)
        .with_context(|| format!("`{}` could not be opened", directory.display()))
}

fn publish(store: &Store, clients: u32, each: u32, label: &str) -> Result<Duration> {
    at_once((0..clients).collect(), |client: u32| {
        for number in 0..each {
            let name = format!("{label}-{client}-{number}");
            let mut package = streamed_upack(&name, "1.0.0", PAYLOAD);
            let actor = Actor::named("bench");
            store.upload(WIDE, &UploadRequest::default(), &mut package, &actor)?;
        }
        Ok(())
    })
}

fn rates(
    name: &str,
    clients: u32,
    each: u32,
    scale: Scale,
    stores: &mut Stores,
) -> Result<Contest> {
    let (ours, theirs) = (stores.directory()?, stores.directory()?);
    let (ours, theirs) = (open(&ours, Commits::Log)?, open(&theirs, Commits::Metadata)?);
    create_feed(&ours, WIDE)?;
    create_feed(&theirs, WIDE)?;
    let round = std::cell::Cell::new(0);
    let run = |store: &Store| {
        round.set(round.get() + 1);
        publish(store, clients, each, &format!("round-{}", round.get()))
    };
    let contenders = vec![
        Contender::new("hayloft", || run(&ours)),
        Contender::new("commits to the metadata file", || run(&theirs)),
    ];
    let work = Work { count: clients * each, unit: "package" };
    let contest = contest(format!("commit of 10 KB, {name}"), work, scale, contenders)?;
    ours.close()?;
    theirs.close()?;
    Ok(contest)
}

/// Bytes written for each package, the last checkpoint included.
fn bytes(directory: &Path, commits: Commits, clients: u32, each: u32) -> Result<f64> {
    let store = open(directory, commits)?;
    let label = format!("bytes-{commits:?}-{clients}");
    let before = written()?;
    publish(&store, clients, each, &label)?;
    let checkpoints = store.metrics().log.checkpoints;
    store.close()?;
    eprintln!("{commits:?}, {clients} clients: {checkpoints} checkpoints before closing");
    Ok((written()? - before) / f64::from(clients * each))
}

/// Bytes that this process has had written to disks.
fn written() -> Result<f64> {
    let text = fs_err::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(bytes.map_or(Ok(f64::NAN), str::parse)?)
}
