//! `hayloft audit`: who changed what, and whether the log of it is whole.

use hayloft_http::wire::{AuditLogCheck, AuditLogEntry};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{PLACE, listing};
use crate::arguments::{Command, Invocation, Opt};
use crate::connection::{Answer, Connection, Target, parse};
use crate::console::{Color, Console, Table};
use crate::failure::Failure;

const FILTERS: &[Opt] = &[
    Opt::text("feed", "Only this feed, as source or target"),
    Opt::text("package", "Only this package, after its group: group/name"),
    Opt::text("actor", "Only what this user or key did"),
    Opt::text("action", "Only this action, such as upload, delete, promote, key-create"),
    Opt::text("since", "Only from this time on, such as 2030-01-02 or 2030-01-02T03:04:05Z"),
    Opt::text("until", "Only before this time"),
    Opt::text("before", "Only entries with a lower number, to go on where a list ended"),
    Opt::text("after", "Only entries with a higher number, oldest first"),
    Opt::text("count", "How many; by default 50 of a list and all of an export"),
];

/// Entries of a request: an entry may have 64 KiB, and an answer 4 MiB.
const PAGE: u64 = 50;

pub(super) const COMMAND: Command = Command::group(
    "audit",
    "What was changed and by whom",
    PLACE,
    &[
        Command::action("list", "Lists changes, the newest first", FILTERS, list).examples(&[
            "hayloft audit list --feed=prod",
            "hayloft audit list --actor=eva --since=2030-01-01 --json",
        ]),
        Command::action(
            "export",
            "Prints changes as JSON, one a line, the oldest first",
            FILTERS,
            export,
        )
        .examples(&["hayloft audit export --after=4711 >> audit.jsonl"]),
        Command::action(
            "verify",
            "Checks that nothing was changed in the log afterwards",
            &[Opt::text(
                "anchor",
                "An entry and its chain value, number:digits, as an earlier check told them",
            )],
            verify,
        )
        .examples(&["hayloft audit verify", "hayloft audit verify --anchor=4711:DIGITS"]),
    ],
);

#[derive(Deserialize)]
struct Page {
    entries: Vec<Box<RawValue>>,
    next: Option<u64>,
}

/// Pages of the log, in the order that the filters say.
struct Pages<'a> {
    connection: &'a Connection,
    invocation: &'a Invocation,
    oldest_first: bool,
    position: Option<String>,
}

impl Pages<'_> {
    fn get(&mut self, count: u64) -> Result<Page, Failure> {
        let text = |name| self.invocation.text(name);
        let (fixed, moving) =
            if self.oldest_first { ("before", "after") } else { ("after", "before") };
        let count = count.to_string();
        let target = ["feed", "package", "actor", "action", "since", "until", fixed]
            .into_iter()
            .fold(Target::new(&["api", "audit"]), |target, name| target.query(name, text(name)));
        let target = target.query(moving, self.position.as_deref()).query("count", Some(&count));
        let answer = self.connection.fetch(target)?.text()?;
        let page: Page = parse(&answer)?;
        self.position = page.next.map(|next| next.to_string());
        Ok(page)
    }
}

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let count = count(invocation)?.unwrap_or(50);
    let oldest_first = invocation.text("after").is_some();
    let position = invocation.text(if oldest_first { "after" } else { "before" });
    let position = position.map(str::to_owned);
    let mut pages = Pages { connection: &connection, invocation, oldest_first, position };
    let mut table = Table::new(&["ID", "WHEN", "WHO", "WHAT", "FEED", "PACKAGE"]);
    let mut left: u64 = count;
    console.json_only("{\"entries\":[")?;
    let next = loop {
        let page = pages.get(left.min(PAGE))?;
        for raw in &page.entries {
            if console.is_json() {
                console.json_only(if left == count { "\n" } else { ",\n" })?;
                console.json(raw.get())?;
            } else {
                let entry: AuditLogEntry = parse(raw.get())?;
                let row = row(&entry);
                if console.is_table() {
                    table.row(console, row)?;
                } else {
                    console.line(row.join(" "))?;
                }
            }
            left = left.saturating_sub(1);
        }
        if left == 0 || page.next.is_none() {
            break page.next;
        }
    };
    table.finish(console)?;
    let shown = next.map_or_else(|| "null".to_owned(), |next| next.to_string());
    console.json_only(&format!("\n],\"next\":{shown}}}\n"))?;
    if let Some(next) = next.filter(|_| !console.is_json()) {
        let option = if oldest_first { "after" } else { "before" };
        console.note(format_args!("There is more: --{option}={next}"));
    }
    Ok(())
}

/// Number, time, who, action, feed or feeds, package with its versions; `-` for what is not there.
fn row(entry: &AuditLogEntry) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let feed = match (&entry.feed, &entry.to_feed) {
        (Some(feed), Some(to)) if feed != to => Some(format!("{feed}→{to}")),
        (feed, to) => feed.clone().or_else(|| to.clone()),
    };
    let package = entry.package.as_ref().map(|name| {
        let group = entry.group.as_ref().map(|group| format!("{group}/")).unwrap_or_default();
        let version = entry.version.as_ref().map(|text| format!("@{text}")).unwrap_or_default();
        let new = entry.new_version.as_ref().map(|text| format!("→{text}")).unwrap_or_default();
        format!("{group}{name}{version}{new}")
    });
    vec![
        entry.id.to_string(),
        entry.date.clone(),
        entry.user.clone(),
        entry.action.clone(),
        or_none(feed),
        or_none(package),
    ]
}

fn export(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let position = Some(invocation.text("after").unwrap_or("0").to_owned());
    let mut pages = Pages { connection: &connection, invocation, oldest_first: true, position };
    let mut left = count(invocation)?.unwrap_or(u64::MAX);
    loop {
        let page = pages.get(left.min(PAGE))?;
        for entry in &page.entries {
            console.json(entry.get())?;
            console.json("\n")?;
        }
        left = left.saturating_sub(page.entries.len() as u64);
        if left == 0 || page.next.is_none() {
            return Ok(());
        }
    }
}

fn count(invocation: &Invocation) -> Result<Option<u64>, Failure> {
    let Some(text) = invocation.text("count") else { return Ok(None) };
    let count = text.parse().ok().filter(|count| *count > 0);
    count.map(Some).ok_or_else(|| Failure::option("count", "this is no whole number from 1 on"))
}

fn verify(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let unchecked = |failure: Failure| Failure::Unchecked(Box::new(failure));
    let anchor = match invocation.text("anchor").map(|anchor| anchor.split_once(':')) {
        None => None,
        Some(Some(anchor)) => Some(anchor),
        Some(None) => return Err(Failure::option("anchor", "give number:digits")),
    };
    let connection = Connection::open(invocation, console).map_err(unchecked)?;
    let target = Target::new(&["api", "audit", "verify"])
        .query("row", anchor.map(|(row, _)| row))
        .query("chain", anchor.map(|(_, chain)| chain));
    let text = connection.fetch(target).and_then(Answer::text).map_err(unchecked)?;
    let check: AuditLogCheck = parse(&text).map_err(unchecked)?;
    if console.is_json() {
        listing::value(console, &text)?;
        return if check.intact { Ok(()) } else { Err(Failure::Told) };
    }
    for fault in &check.faults {
        console.colored(Color::Red, fault)?;
    }
    if check.lost > 0 {
        let lost = check.lost;
        console.line(format_args!("{lost} entries were damaged once and replaced by a repair"))?;
    }
    let entries = check.entries;
    if check.intact {
        let from = connection.place();
        console.say(format_args!("The audit log of {from} is whole: {entries} entries."))?;
        console.line(format_args!("{}:{}", check.last, check.chain))?;
        console.say("Keep this elsewhere: --anchor tells later whether it still holds.")?;
        return Ok(());
    }
    let faults = check.fault_count;
    console
        .error(format_args!("The audit log is not whole: {faults} faults in {entries} entries."));
    Err(Failure::Told)
}
