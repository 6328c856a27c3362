use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use redb::Database;

use crate::Scale;
use crate::measure::{Contender, Contest, Work, contest, timed};
use crate::stores::{LARGE, Stores, WIDE, open, upload};

const READY: &str = "ready";

/// Opening a store whose process was killed, against opening one that was closed.
pub(crate) fn contests(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    let mut sizes = vec![if scale.quick { ("1,000", 1_000) } else { ("10,000", 10_000) }];
    if scale.million {
        sizes.push(("650,000", LARGE));
    }
    sizes
        .into_iter()
        .map(|(name, versions)| of_size(name, &stores.filled(versions)?, scale))
        .collect()
}

fn of_size(name: &str, directory: &Path, scale: Scale) -> Result<Contest> {
    let metadata = directory.join("meta.redb");
    let contenders = vec![
        Contender::new("hayloft after kill -9", || {
            kill(writing(directory)?)?;
            opened(directory)
        }),
        Contender::new("hayloft after a clean close", || opened(directory)),
        Contender::new("redb alone after a clean close", || {
            opened(directory)?;
            let cache = hayloft::OpenOptions::default().cache;
            timed(|| Ok(Database::builder().set_cache_size(cache).open(&metadata)?))
        }),
    ];
    contest(
        format!("reopen after kill -9, {name} versions"),
        Work { count: 1, unit: "open" },
        scale,
        contenders,
    )
}

/// Opens the store and closes it again; the time of the opening.
fn opened(directory: &Path) -> Result<Duration> {
    let start = Instant::now();
    let store = open(directory)?;
    let time = start.elapsed();
    store.close()?;
    Ok(time)
}

/// A process that has the store open and has just stored something in it.
fn writing(directory: &Path) -> Result<Child> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program)
        .arg("--hold")
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the process to be killed could not be started")?;
    let output = child.stdout.take().context("the process to be killed has no output")?;
    let line = BufReader::new(output).lines().next().transpose()?;
    ensure!(line.as_deref() == Some(READY), "the process to be killed failed");
    Ok(child)
}

fn kill(mut child: Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// The process that is killed: stores something, says so, and waits.
#[expect(clippy::print_stdout, reason = "how the parent learns of it")]
pub(crate) fn hold(directory: &Path) -> Result<()> {
    let store = open(directory)?;
    let version = format!("1.0.{}", store.feed_stats(WIDE)?.versions);
    upload(&store, WIDE, "held", &version, 64)?;
    println!("{READY}");
    std::io::stdin().lines().next();
    Ok(())
}
