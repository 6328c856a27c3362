use std::collections::BTreeMap;

use hayloft_http::wire::PromotionData;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::package::PackageVersion;
use super::promotion_line;
use crate::arguments::Invocation;
use crate::commands::listing;
use crate::connection::{Connection, parse};
use crate::console::{Color, Console};
use crate::failure::Failure;

#[derive(Deserialize)]
struct History {
    /// What each file says about itself, oldest first.
    #[serde(default)]
    embedded: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    promotions: Vec<PromotionData>,
}

pub(super) fn history(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let text = connection.fetch(package.target(&feed, "history"))?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let history: History = parse(&text)?;
    console.colored(Color::Bold, &package)?;
    for (file, entries) in &history.embedded {
        console.line(format_args!(" {file}"))?;
        if entries.is_empty() {
            console.line("  was not repackaged")?;
        }
        for entry in entries {
            console.line(format_args!("  {}", entry_line(entry)))?;
        }
    }
    if !history.promotions.is_empty() {
        console.line(" Promotions:")?;
    }
    for promotion in &history.promotions {
        console.line(format_args!("  {}", promotion_line(promotion)))?;
    }
    Ok(())
}

/// An entry is the bare identification of a package, or an object.
fn entry_line(entry: &Value) -> String {
    let Value::Object(entry) = entry else {
        return format!("from {}", entry.as_str().unwrap_or_default());
    };
    let part = |key: &str, before: &str| {
        text(entry, key).map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    let id = part("id", "from ");
    let (date, by, using) = (part("date", " on "), part("by", " by "), part("using", " using "));
    let reason = part("reason", ": ");
    format!("{id}{date}{by}{using}{reason}")
}

fn text<'e>(entry: &'e Map<String, Value>, key: &str) -> Option<&'e str> {
    entry.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare(r#""inedox:AWS:3.1.0-CI.2""#, "from inedox:AWS:3.1.0-CI.2")]
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
