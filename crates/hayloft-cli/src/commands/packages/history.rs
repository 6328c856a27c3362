use hayloft::HistoryEntry;
use hayloft_http::wire::PackageHistory;

use super::package::PackageVersion;
use super::promotion_line;
use crate::arguments::Invocation;
use crate::commands::listing;
use crate::connection::{Connection, parse};
use crate::console::{Color, Console};
use crate::failure::Failure;

pub(super) fn history(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let text = connection.fetch(package.target(&feed, "history"))?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let history: PackageHistory = parse(&text)?;
    console.colored(Color::Bold, &package)?;
    for (file, entries) in &history.embedded {
        console.line(format_args!(" Inside of {file}:"))?;
        if entries.is_empty() {
            console.line("  nothing; it was not repackaged")?;
        }
        for entry in entries {
            console.line(format_args!("  {}", entry_line(entry)))?;
        }
    }
    if !history.repackagings.is_empty() {
        console.line(" Repackaged:")?;
    }
    for each in &history.repackagings {
        let (from, to) = (&each.from_version, &each.to_version);
        let (from_feed, to_feed) = (&each.from_feed, &each.to_feed);
        let (date, user, comments) = (&each.date, &each.user, comments(&each.comments));
        console.line(format_args!(
            "  {from} in {from_feed} -> {to} in {to_feed} on {date} by {user}{comments}"
        ))?;
    }
    if !history.promotions.is_empty() {
        console.line(" Promoted:")?;
    }
    for each in &history.promotions {
        console.line(format_args!("  {}", promotion_line(each)))?;
    }
    Ok(())
}

fn comments(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What a file says about one of its predecessors; all but the identification may be missing.
fn entry_line(entry: &HistoryEntry) -> String {
    let part = |before: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    format!(
        "from {}{}{}{}{}",
        entry.id,
        part(" on ", &entry.date),
        part(" by ", &entry.by),
        part(" using ", &entry.using),
        part(": ", &entry.reason),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::id_alone(r#"{"id":"inedox:AWS:3.1.0-CI.2"}"#, "from inedox:AWS:3.1.0-CI.2")]
    #[case::whole(
        r#"{"id":"a:1","date":"2026-01-02T03:04:05Z","reason":"passed",
        "using":"hayloft/0.1.0","by":"ann"}"#,
        "from a:1 on 2026-01-02T03:04:05Z by ann using hayloft/0.1.0: passed"
    )]
    #[case::some(r#"{"id":"a:1","using":"ProGet/24.0.17"}"#, "from a:1 using ProGet/24.0.17")]
    fn entries_of_all_forms_are_told(#[case] json: &str, #[case] expected: &str) {
        assert_eq!(entry_line(&serde_json::from_str(json).unwrap()), expected);
    }
}
