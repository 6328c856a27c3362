use serde_json::{Map, Value, json};

use super::properties::shown;
use super::{get, update};
use crate::arguments::{Command, Invocation, Mistake, Opt, Word};
use crate::commands::FEED;
use crate::connection::Connection;
use crate::console::Console;
use crate::failure::Failure;

/// The property of a feed that holds its rules.
const RULES: &str = "retentionRules";

const RULE: Opt = Opt::text("rule", "Number of the rule").required();

/// What an option of a rule holds. An empty value clears it.
#[derive(Clone, Copy)]
enum Holds {
    Boolean,
    Number,
    List,
}

/// The options of a rule, with their property names and what these hold.
const PARTS: [(&str, &str, Holds); 14] = [
    ("deleteCached", "deleteCached", Holds::Boolean),
    ("deletePackageIds", "deletePackageIds", Holds::List),
    ("deletePrereleaseVersions", "deletePrereleaseVersions", Holds::Boolean),
    ("deleteVersions", "deleteVersions", Holds::List),
    ("keepConsumedWithinDays", "keepConsumedWithinDays", Holds::Number),
    ("keepIfActivelyConsumed", "keepIfActivelyConsumed", Holds::Boolean),
    ("keepPackageIds", "keepPackageIds", Holds::List),
    ("keepPackageUsageRemovedDays", "keepPackageUsageRemovedDays", Holds::Number),
    ("keepUsedWithinDays", "keepUsedWithinDays", Holds::Number),
    ("keepVersionsCount", "keepVersionsCount", Holds::Number),
    ("keepVersions", "keepVersions", Holds::List),
    ("sizeExclusive", "sizeExclusive", Holds::Boolean),
    ("sizeTrigger", "sizeTriggerKb", Holds::Number),
    ("triggerDownloadCount", "triggerDownloadCount", Holds::Number),
];

const DELETE_CACHED: Opt = Opt::text("deleteCached", "true: also packages out of connectors");
const DELETE_IDS: Opt = Opt::text("deletePackageIds", "Only these packages: a,b*");
const DELETE_PRERELEASES: Opt = Opt::text("deletePrereleaseVersions", "true: only prereleases");
const DELETE_VERSIONS: Opt = Opt::text("deleteVersions", "Only these versions: 1.*,2.0.0");
const KEEP_CONSUMED: Opt = Opt::text("keepConsumedWithinDays", "Keep what was used lately");
const KEEP_ACTIVE: Opt = Opt::text("keepIfActivelyConsumed", "true: keep what is in use");
const KEEP_IDS: Opt = Opt::text("keepPackageIds", "Keep these packages: a,b*");
const KEEP_REMOVED: Opt = Opt::text("keepPackageUsageRemovedDays", "Keep what was in use lately");
const KEEP_USED: Opt = Opt::text("keepUsedWithinDays", "Keep what was downloaded lately");
const KEEP_COUNT: Opt = Opt::text("keepVersionsCount", "Keep this many versions");
const KEEP_VERSIONS: Opt = Opt::text("keepVersions", "Keep these versions: 1.*,2.0.0");
const SIZE_EXCLUSIVE: Opt = Opt::text("sizeExclusive", "true: only while the feed is too large");
const SIZE_TRIGGER: Opt = Opt::text("sizeTrigger", "Size of the feed in KB from which it counts");
const DOWNLOADS: Opt = Opt::text("triggerDownloadCount", "Only with fewer downloads than this");

pub(super) const COMMAND: Command = Command::group(
    "retention",
    "Rules by which a feed may delete packages by itself",
    &[FEED],
    &[
        Command::action("list", "Lists rules", &[], list).words(&[Word::Value("feed")]),
        Command::action(
            "create",
            "Adds a rule",
            &[
                DELETE_CACHED,
                DELETE_IDS,
                DELETE_PRERELEASES,
                DELETE_VERSIONS,
                KEEP_CONSUMED,
                KEEP_ACTIVE,
                KEEP_IDS,
                KEEP_REMOVED,
                KEEP_USED,
                KEEP_COUNT,
                KEEP_VERSIONS,
                SIZE_EXCLUSIVE,
                SIZE_TRIGGER,
                DOWNLOADS,
            ],
            create,
        )
        .words(&[Word::Value("feed")])
        .examples(&["hayloft feeds retention create --feed=dev --deletePrereleaseVersions=true \
             --keepVersionsCount=10"]),
        Command::action(
            "update",
            "Changes a rule",
            &[
                RULE,
                DELETE_CACHED,
                DELETE_IDS,
                DELETE_PRERELEASES,
                DELETE_VERSIONS,
                KEEP_CONSUMED,
                KEEP_ACTIVE,
                KEEP_IDS,
                KEEP_REMOVED,
                KEEP_USED,
                KEEP_COUNT,
                KEEP_VERSIONS,
                SIZE_EXCLUSIVE,
                SIZE_TRIGGER,
                DOWNLOADS,
            ],
            change,
        )
        .words(&[Word::Value("feed"), Word::Value("rule")]),
        Command::action("delete", "Removes a rule", &[RULE], delete)
            .words(&[Word::Value("feed"), Word::Value("rule")]),
    ],
);

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = get(&connection, &connection.feed(invocation)?)?;
    let rules = rules(&feed);
    console.value(&rules)?;
    if rules.is_empty() {
        console.line("* no rules defined *")?;
    }
    for (at, rule) in rules.iter().enumerate() {
        console.line(format_args!("[{}]", at + 1))?;
        for (option, property, _) in PARTS {
            let value = rule.get(property).map(shown).unwrap_or_default();
            if !value.is_empty() {
                console.line(format_args!(" {option}={value}"))?;
            }
        }
    }
    Ok(())
}

fn create(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let rule = parts(invocation)?;
    if rule.is_empty() {
        return Err(Failure::Arguments(vec![Mistake::new("give at least one part of a rule")]));
    }
    let connection = Connection::open(invocation, console)?;
    let mut number = 0;
    let warning = with_rules(&connection, invocation, |rules| {
        rules.push(with(Map::new(), rule));
        number = rules.len();
        Ok(())
    })?;
    console.say(format_args!("Rule #{number} created."))?;
    warn(console, warning)?;
    console.value(&json!({ "rule": number }))
}

fn change(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let number = invocation.required("rule")?;
    let changes = parts(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let warning = with_rules(&connection, invocation, |rules| {
        let rule = rules.get_mut(index(number)?).ok_or_else(|| no_such(number))?;
        let old = rule.as_object().cloned().unwrap_or_default();
        *rule = with(old, changes);
        Ok(())
    })?;
    console.say(format_args!("Rule #{number} updated."))?;
    warn(console, warning)?;
    console.value(&json!({ "rule": number }))
}

fn delete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let number = invocation.required("rule")?;
    let connection = Connection::open(invocation, console)?;
    with_rules(&connection, invocation, |rules| {
        let at = index(number)?;
        if at >= rules.len() {
            return Err(no_such(number));
        }
        rules.remove(at);
        Ok(())
    })?;
    console.say("Rule deleted.")?;
    console.value(&json!({ "rule": number, "deleted": true }))
}

fn warn(console: &mut Console, warning: Option<String>) -> Result<(), Failure> {
    console.flush()?;
    if let Some(warning) = warning {
        console.note(format_args!("Warning: {warning}"));
    }
    Ok(())
}

/// Reads the feed, changes its rules and sends the whole feed, as the original does.
fn with_rules(
    connection: &Connection,
    invocation: &Invocation,
    change: impl FnOnce(&mut Vec<Value>) -> Result<(), Failure>,
) -> Result<Option<String>, Failure> {
    let name = connection.feed(invocation)?;
    let mut feed = get(connection, &name)?;
    let mut changed = rules(&feed);
    change(&mut changed)?;
    if let Some(feed) = feed.as_object_mut() {
        feed.insert(RULES.to_owned(), Value::Array(changed));
    }
    update(connection, &name, &feed)
}

fn rules(feed: &Value) -> Vec<Value> {
    feed.get(RULES).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Numbers begin at one.
fn index(number: &str) -> Result<usize, Failure> {
    let number: Option<usize> = number.parse().ok();
    let index = number.and_then(|number| number.checked_sub(1));
    index.ok_or_else(|| Failure::option("rule", "this is no number from 1 on"))
}

fn no_such(number: &str) -> Failure {
    Failure::option("rule", format!("there is no rule {number}"))
}

/// The parts that were given; null for those given without a value.
fn parts(invocation: &Invocation) -> Result<Map<String, Value>, Failure> {
    let mut parts = Map::new();
    for (option, property, holds) in PARTS {
        let Some(text) = invocation.given(option) else { continue };
        parts.insert(property.to_owned(), part(option, text, holds)?);
    }
    Ok(parts)
}

fn part(option: &str, text: &str, holds: Holds) -> Result<Value, Failure> {
    Ok(match holds {
        Holds::Boolean if text.is_empty() => Value::Bool(false),
        _ if text.is_empty() => Value::Null,
        Holds::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(Failure::option(option, "give true or false")),
        },
        Holds::Number => match text.parse::<u64>() {
            Ok(number) => json!(number),
            Err(_) => return Err(Failure::option(option, "give a whole number")),
        },
        Holds::List => json!(text.split(',').map(str::trim).collect::<Vec<_>>()),
    })
}

/// A rule with changes; a null takes the part away.
fn with(mut rule: Map<String, Value>, changes: Map<String, Value>) -> Value {
    for (property, value) in changes {
        if value.is_null() {
            rule.remove(&property);
        } else {
            rule.insert(property, value);
        }
    }
    Value::Object(rule)
}
