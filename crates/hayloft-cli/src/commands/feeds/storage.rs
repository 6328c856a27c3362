use hayloft_http::wire::{StorageConfiguration, StorageType};
use serde_json::Value;

use crate::arguments::{Command, Invocation, Kind, Mistake, Opt, Word, nearest};
use crate::commands::{FEED, listing};
use crate::connection::{Connection, Target, parse};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::group(
    "storage",
    "Where the packages of a feed lie",
    &[],
    &[
        Command::action("types", "Lists ways to store feeds", &[], types),
        Command::action("info", "Shows how a feed is stored", &[FEED], info)
            .words(&[Word::Value("feed")]),
        Command {
            name: "change",
            description: "Changes how a feed is stored",
            options: &[FEED, Opt::text("type", "One of the ways").required()],
            kind: Kind::OpenAction(change),
            words: &[],
            hidden: false,
            examples: &[
                "hayloft feeds storage change --feed=dev --type=disk --StoragePath=/srv/dev",
            ],
        },
    ],
);

fn target() -> Target {
    Target::new(&["api", "storage"])
}

fn types(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    listing::list(console, connection.fetch(target())?, |console, item: StorageType| {
        console.line(format_args!("Type: {}", item.id))?;
        if let Some(description) = item.description {
            console.line(description)?;
        }
        console.line("Options:")?;
        for (name, option) in &item.properties {
            let required = if option.required { " *REQUIRED*" } else { "" };
            console.line(format_args!("  --{name}=<value>{required}"))?;
            if let Some(description) = &option.description {
                console.line(format_args!("    {description}"))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn info(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let text = connection.fetch(target().query("feed", Some(&feed)))?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let found: StorageConfiguration = parse(&text)?;
    console.line(format_args!("Type: {}", found.id))?;
    for (name, value) in &found.properties {
        let value = match value {
            Value::Null => "<default>".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        console.line(format_args!("{name}: {value}"))?;
    }
    Ok(())
}

fn change(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let asked = invocation.required("type")?;
    let types: Vec<StorageType> = connection.get(target())?;
    let Some(kind) = types.iter().find(|kind| kind.id.eq_ignore_ascii_case(asked)) else {
        let known: Vec<&str> = types.iter().map(|kind| kind.id.as_str()).collect();
        let asked = hayloft::feed_type::shorten(asked);
        let text = format!("`{asked}` is not one of {}", known.join(", "));
        return Err(Failure::option("type", text));
    };
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut configuration =
        StorageConfiguration { id: kind.id.clone(), properties: std::collections::BTreeMap::new() };
    for (name, value) in invocation.others() {
        let known = kind.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((name, option)) = known else {
            let meant = nearest(name, kind.properties.keys().map(String::as_str));
            let meant = meant.map(|meant| format!("--{meant}"));
            mistakes.push(Mistake::new(format!("unexpected argument: --{name}")).meaning(meant));
            continue;
        };
        let value = match (option.kind.as_deref(), value.to_ascii_lowercase().as_str()) {
            (Some("boolean"), "true") => Value::Bool(true),
            (Some("boolean"), "false") => Value::Bool(false),
            (Some("boolean"), _) => {
                mistakes.push(format!("--{name} error: give true or false").into());
                continue;
            }
            _ => Value::String(value.clone()),
        };
        configuration.properties.insert(name.clone(), value);
    }
    for (name, option) in &kind.properties {
        if option.required && !configuration.properties.contains_key(name) {
            mistakes.push(Mistake::missing(name));
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::Arguments(mistakes));
    }
    connection.post_json(target().query("feed", Some(&feed)), &configuration)?;
    console.say(format_args!("Storage changed to {}.", kind.id))?;
    console.value(&configuration)
}
