//! `hayloft backup` and `hayloft restore`: a whole store into a directory and back.

use std::path::Path;
use std::sync::Arc;

use hayloft::engine::{Fs, RealFs};
use hayloft::{BackupSummary, Create, OpenOptions, back_up, restore};
use serde_json::json;

use super::STORE;
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::Held;
use crate::console::Console;
use crate::failure::Failure;

pub(super) const BACKUP: Command = Command::action(
    "backup",
    "Copies a store into a directory; the next run brings only new contents",
    &[Opt::text("directory", "Where the backup lies: new, empty, or an earlier backup"), STORE],
    run_backup,
)
.words(&[Word::Value("directory")])
.examples(&["hayloft backup /mnt/backup/hayloft --store=/srv/hayloft"]);

pub(super) const RESTORE: Command = Command::action(
    "restore",
    "Makes a store out of a backup, and verifies every byte of it",
    &[
        Opt::text("backup", "The directory of the backup, which stays as it is"),
        Opt::text("directory", "Where the store is made: new or empty"),
    ],
    run_restore,
)
.words(&[Word::Value("backup"), Word::Value("directory")])
.examples(&["hayloft restore /mnt/backup/hayloft /srv/hayloft"]);

fn run_backup(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let directory = console.path(invocation.required("directory")?);
    let mut open = OpenOptions::default();
    open.create = Create::Never;
    let store = Held::of(invocation, open, console)?;
    console.say(format_args!("Backing up into {}...", directory.display()))?;
    console.flush()?;
    let summary = back_up(&store, &directory).map_err(anyhow::Error::new)?;
    store.end()?;
    tell(&summary, console)
}

fn run_restore(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let backup = Path::new(invocation.required("backup")?);
    let directory = Path::new(invocation.required("directory")?);
    console.say(format_args!("Restoring into {}...", directory.display()))?;
    console.flush()?;
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let summary = restore(&fs, backup, directory).map_err(anyhow::Error::new)?;
    tell(&summary, console)
}

fn tell(summary: &BackupSummary, console: &mut Console) -> Result<(), Failure> {
    console.line(format_args!(
        "{} rows, {} contents ({} bytes), {} of them there already.",
        summary.rows, summary.contents, summary.bytes, summary.kept
    ))?;
    console.value(&json!({
        "rows": summary.rows, "contents": summary.contents, "bytes": summary.bytes,
        "kept": summary.kept, "linked": summary.linked, "lost": summary.lost,
        "root": summary.root,
    }))?;
    if summary.lost == 0 {
        return Ok(());
    }
    console.flush()?;
    console.error(format_args!(
        "{} contents are missing or damaged; hayloft verify names them.",
        summary.lost
    ));
    Err(Failure::Told)
}
