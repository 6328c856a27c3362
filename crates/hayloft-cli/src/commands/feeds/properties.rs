use serde_json::{Map, Value, json};

use super::{get, update};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::commands::FEED;
use crate::connection::Connection;
use crate::console::Console;
use crate::failure::Failure;

/// What the original shows of a feed.
const SHOWN: [&str; 8] = [
    "alternateNames",
    "feedType",
    "active",
    "dropPath",
    "endpointUrl",
    "connectors",
    "canPublish",
    "vulnerabilitiesEnabled",
];

pub(super) const COMMAND: Command = Command::group(
    "properties",
    "Properties of a feed",
    &[FEED],
    &[
        Command::action("list", "Lists properties", &[], list).words(&[Word::Value("feed")]),
        Command::action(
            "set",
            "Changes one property",
            &[
                Opt::one_of(
                    "property",
                    &[
                        "alternateNames",
                        "active",
                        "dropPath",
                        "connectors",
                        "vulnerabilitiesEnabled",
                    ],
                    "The property",
                )
                .required(),
                Opt::text("value", "New value; parts of a list have commas between them")
                    .required(),
            ],
            set,
        )
        .words(&[Word::Value("feed"), Word::Value("property"), Word::Value("value")])
        .examples(&["hayloft feeds properties set dev alternateNames ci"]),
    ],
);

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = get(&connection, &connection.feed(invocation)?)?;
    console.value(&feed)?;
    for name in SHOWN {
        let value = feed.get(name).map(shown).unwrap_or_default();
        let value = if value.is_empty() { "*not set*" } else { &value };
        console.line(format_args!("{name}={value}"))?;
    }
    Ok(())
}

/// A value for people: lists with commas.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(shown).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn set(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let (name, value) = (invocation.required("property")?, invocation.required("value")?);
    let value = match name {
        "alternateNames" | "connectors" => {
            json!(
                value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>()
            )
        }
        "active" | "vulnerabilitiesEnabled" => match value.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(Failure::option("value", "give true or false")),
        },
        _ => Value::String(value.to_owned()),
    };
    let change = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    update(&connection, &feed, &change)?;
    console.say("Property updated.")?;
    console.value(&change)
}
