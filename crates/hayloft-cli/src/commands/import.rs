//! `hayloft import`: packages out of files, folders, exports and other servers' storage.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use hayloft::{Actor, Create, OpenOptions, Overwrite};
use hayloft_offline::{Fate, ImportOptions, import};
use serde_json::json;

use super::{FEED, STORE};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::Held;
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "import",
    "Stores the packages in files, folders, exports and other servers' storage into a feed",
    &[
        FEED,
        Opt::text("from", "A file or folder; several are given as words"),
        Opt::text("distribution", "The distribution of .deb files that no list places"),
        Opt::text("component", "The component of .deb files that no list places"),
        Opt::flag("overwrite", "Replace stored files by other bytes, if the feed allows it"),
        Opt::flag("dry-run", "Read and judge everything, and store nothing"),
        Opt::text("workers", "Files that are read at the same time"),
        STORE,
    ],
    run,
)
.words(&[Word::Value("feed"), Word::Values("from")])
.examples(&[
    "hayloft import dev /var/lib/verdaccio/storage",
    "hayloft import debs /srv/repository --dry-run",
]);

/// Files between two lines of progress.
const TELL_EVERY: u64 = 1_000;

fn run(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let feed = invocation.required("feed")?;
    let named = invocation.listed().iter().map(String::as_str).chain(invocation.text("from"));
    let paths: Vec<PathBuf> = named.map(|name| console.path(name)).collect();
    if paths.is_empty() {
        invocation.required("from")?;
    }
    let mut options = ImportOptions::default();
    for name in ["distribution", "component"] {
        if let Some(value) = invocation.text(name) {
            options.hints.insert(name.to_owned(), value.to_owned());
        }
    }
    if invocation.flag("overwrite") {
        options.overwrite = Overwrite::Replace;
    }
    options.dry_run = invocation.flag("dry-run");
    if let Some(workers) = invocation.text("workers") {
        options.workers = workers
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Failure::option("workers", "it is a number above zero"))?;
    }
    let mut open = OpenOptions::default();
    open.create = Create::Never;
    let store = Held::of(invocation, open, console)?;
    let actor = Actor::named(console.user());
    let seen = AtomicU64::new(0);
    let speaks = !invocation.flag("quiet");
    let told: &Console = console;
    let report = import(&store, feed, &paths, &options, &actor, &|path, fate| {
        if let Fate::Refused(reason) = fate {
            told.note(format_args!("{}: {reason}", path.display()));
        }
        let seen = seen.fetch_add(1, Ordering::Relaxed) + 1;
        if speaks && seen.is_multiple_of(TELL_EVERY) {
            told.note(format_args!("{seen} files"));
        }
    });
    let report = report.map_err(anyhow::Error::new)?;
    store.end()?;
    let would = if options.dry_run { "would be stored" } else { "stored" };
    console.line(format_args!(
        "{} files {would}, {} there already, {} refused, {} no packages.",
        report.stored, report.unchanged, report.refused, report.ignored
    ))?;
    if report.tags + report.deprecated > 0 {
        console.line(format_args!(
            "{} tags set, {} versions deprecated.",
            report.tags, report.deprecated
        ))?;
    }
    console.value(&json!({
        "feed": feed, "dryRun": options.dry_run, "stored": report.stored,
        "unchanged": report.unchanged, "refused": report.refused, "ignored": report.ignored,
        "bytes": report.bytes, "tags": report.tags, "deprecated": report.deprecated,
    }))?;
    if report.refused == 0 { Ok(()) } else { Err(Failure::Told) }
}
