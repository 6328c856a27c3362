use hayloft::{Create, DamagedLog, Finding, OpenOptions, Repair, VerifyLevel};
use serde_json::{Value, json};

use super::STORE;
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Held, StorePlace};
use crate::console::{Color, Console};
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "verify",
    "Looks for damage in a store on this machine",
    &[
        STORE,
        Opt::one_of(
            "level",
            &["fast", "normal", "deep"],
            "fast: records and lengths; normal (the default): all bytes; deep: all digests and \
             manifests, too",
        ),
        Opt::flag("repair", "Mend what can be derived again; never deletes packages"),
    ],
    verify,
)
.words(&[Word::Value("store")])
.examples(&["hayloft verify /srv/hayloft --level=deep"]);

/// Damage is one thing, a store that cannot be looked at another: each has its own status.
fn verify(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    look(invocation, console).map_err(|failure| match failure {
        Failure::Told | Failure::Closed | Failure::Elsewhere(_) => failure,
        other => Failure::Unchecked(Box::new(other)),
    })
}

fn look(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let mut options = OpenOptions::default();
    options.create = Create::Never;
    if invocation.flag("repair") {
        options.log.damaged = DamagedLog::Quarantine;
    }
    let store = Held::of(invocation, options, console)?;
    // What a crash left unfinished is cleared away after any opening, at some time. Here it comes
    // first, for it is no damage.
    store.run_maintenance().map_err(anyhow::Error::new)?;
    let level = match invocation.text("level") {
        Some("fast") => VerifyLevel::Fast,
        Some("deep") => VerifyLevel::Deep,
        _ => VerifyLevel::Normal,
    };
    let repair = if invocation.flag("repair") { Repair::Derived } else { Repair::No };
    let directory = StorePlace::of(invocation).directory;
    console.say(format_args!("Verifying {}...", directory.display()))?;
    console.flush()?;
    let mut findings: Vec<Value> = Vec::new();
    let mut told = Ok(());
    let watch = console.watch();
    let mut report = |finding: &Finding| {
        if console.is_json() {
            findings.push(json!({
                "code": finding.code.as_str(), "text": finding.text, "repaired": finding.repaired,
            }));
        } else if told.is_ok() {
            told = console.colored(Color::Yellow, finding);
        }
    };
    let summary = store.verify_watched(level, repair, &mut report, &|_| watch.go_on());
    told?;
    let summary = summary.map_err(anyhow::Error::new)?;
    store.end()?;
    console.line(format_args!(
        "{} rows, {} contents, {} bytes read.",
        summary.rows, summary.blobs, summary.bytes
    ))?;
    console.value(&json!({
        "rows": summary.rows, "blobs": summary.blobs, "bytes": summary.bytes,
        "findings": findings, "repaired": summary.repaired, "clean": summary.is_clean(),
    }))?;
    if summary.is_clean() {
        let mended = match summary.repaired {
            0 => String::new(),
            repaired => format!(" after {repaired} repairs"),
        };
        return console.colored(Color::Green, format_args!("The store is sound{mended}."));
    }
    let left = summary.findings - summary.repaired;
    console.flush()?;
    console.error(format_args!("{left} findings are left."));
    Err(Failure::Told)
}
