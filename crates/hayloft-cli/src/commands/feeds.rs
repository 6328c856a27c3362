//! `hayloft feeds`: feeds and their settings.

mod properties;
mod retention;
mod secret;
mod storage;

use hayloft_http::wire::{FeedObject, PackageVersionInfo};
use serde_json::{Value, json};

use super::going::{self, DRY_RUN, Going, YES};
use super::packages::full_name;
use super::{PLACE, listing};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Connection, Method, Payload, Request, Target};
use crate::console::{Console, Table};
use crate::failure::Failure;

const NAME: Opt = Opt::text("name", "Name of the feed").required();

pub(super) const COMMAND: Command = Command::group(
    "feeds",
    "Create, list, change and delete feeds",
    PLACE,
    &[
        Command::action(
            "create",
            "Creates a feed",
            &[
                NAME,
                Opt::text("type", "Type of its packages; a wrong one is told all there are")
                    .required(),
            ],
            create,
        )
        .words(&[Word::Value("name"), Word::Value("type")])
        .examples(&["hayloft feeds create dev universal"]),
        Command::action(
            "delete",
            "Deletes a feed with all its packages",
            &[NAME, YES, DRY_RUN],
            delete,
        )
        .words(&[Word::Value("name")]),
        Command::action(
            "list",
            "Lists feeds",
            &[Opt::flag("inactive", "Also feeds that are not active")],
            list,
        ),
        properties::COMMAND,
        retention::COMMAND,
        secret::COMMAND,
        super::use_feed::SETUP,
        storage::COMMAND,
    ],
);

fn create(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open_or_create(invocation, console)?;
    let (name, kind) = (invocation.required("name")?, invocation.required("type")?);
    console.say(format_args!("Creating {kind} feed: {name}..."))?;
    let target = Target::new(&["api", "management", "feeds", "create"]);
    let body = json!({ "name": name, "feedType": kind });
    let text = connection.post_json(target, &body)?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let _: FeedObject = crate::connection::parse(&text)?;
    console.say("Feed created.")
}

fn delete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let name = invocation.required("name")?;
    if going::is_shown(invocation, console) {
        let going = files(&connection, name)?;
        if !going::allowed(invocation, console, &format!("feed {name}"), &going)? {
            return console.value(&json!({ "name": name, "deleted": false }));
        }
    }
    console.say(format_args!("Deleting {name}..."))?;
    let target = Target::new(&["api", "management", "feeds", "delete", name]);
    connection.send(Request { method: Method::Delete, target, payload: Payload::Nothing })?;
    console.say("Feed deleted.")?;
    console.value(&json!({ "name": name, "deleted": true }))
}

/// What the feed holds, up to a number that tells enough.
fn files(connection: &Connection, feed: &str) -> Result<Going, Failure> {
    const MOST: u64 = 10_000;
    let mut going = Going::default();
    let answer = connection.fetch(Target::new(&["api", "packages", feed, "versions"]))?;
    let counted = answer.each(&mut |element| {
        let file: PackageVersionInfo = crate::connection::parse(element.get())?;
        if going.count() == MOST {
            going.and_more();
            return Err(Failure::Closed);
        }
        going.add(format!("{} {}", full_name(&file), file.version), file.size);
        Ok(())
    });
    match counted {
        Ok(()) | Err(Failure::Closed) => Ok(going),
        Err(failure) => Err(failure),
    }
}

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let answer = connection.fetch(Target::new(&["api", "management", "feeds", "list"]))?;
    let inactive = invocation.flag("inactive");
    let mut table = console.is_table().then(|| Table::new(&["FEED", "TYPE", "OTHER NAMES", ""]));
    let mut nothing = true;
    listing::list(console, answer, |console, feed: FeedObject| {
        nothing = false;
        let active = feed.settings.get("active") == Some(&Value::Bool(true));
        if !active && !inactive {
            return Ok(());
        }
        let (name, kind) = (feed.name.unwrap_or_default(), feed.feed_type.unwrap_or_default());
        let Some(table) = &mut table else {
            return console.line(format_args!("{name} ({kind})"));
        };
        let others = feed.alternate_names.unwrap_or_default().join(", ");
        let state = if active { "" } else { "inactive" };
        table.row(console, vec![name, kind, others, state.to_owned()])
    })?;
    if nothing && let Some(why) = connection.about_nothing() {
        console.note(why);
    }
    table.map_or(Ok(()), |table| table.finish(console))
}

/// The feed as the server knows it.
fn get(connection: &Connection, feed: &str) -> Result<Value, Failure> {
    connection.get(Target::new(&["api", "management", "feeds", "get", feed]))
}

/// Sends the properties that are to change; returns what the server has to say about the change.
fn update(connection: &Connection, feed: &str, body: &Value) -> Result<Option<String>, Failure> {
    let target = Target::new(&["api", "management", "feeds", "update", feed]);
    Ok(connection.post_json(target, body)?.warning)
}
