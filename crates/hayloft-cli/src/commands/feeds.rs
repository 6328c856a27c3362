//! `hayloft feeds`: feeds and their settings.

mod properties;
mod retention;
mod storage;

use hayloft_http::wire::FeedObject;
use serde_json::{Value, json};

use super::{PLACE, listing};
use crate::arguments::{Command, Invocation, Opt};
use crate::connection::{Connection, Method, Payload, Request, Target};
use crate::console::Console;
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
                Opt::text("type", "NuGet, npm, Universal, Debian, PyPI or RubyGems").required(),
            ],
            create,
        )
        .examples(&["hayloft feeds create --name=dev --type=Universal"]),
        Command::action("delete", "Deletes a feed with all its packages", &[NAME], delete),
        Command::action(
            "list",
            "Lists feeds",
            &[Opt::flag("inactive", "Also feeds that are not active")],
            list,
        ),
        properties::COMMAND,
        retention::COMMAND,
        storage::COMMAND,
    ],
);

fn create(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let (name, kind) = (invocation.required("name")?, invocation.required("type")?);
    console.line(format_args!("Creating {kind} feed: {name}..."))?;
    let target = Target::new(&["api", "management", "feeds", "create"]);
    let body = json!({ "name": name, "feedType": kind });
    let text = connection.post_json(target, &body)?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let _: FeedObject = crate::connection::parse(&text)?;
    console.line("Feed created.")
}

fn delete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let name = invocation.required("name")?;
    console.line(format_args!("Deleting {name}..."))?;
    let target = Target::new(&["api", "management", "feeds", "delete", name]);
    connection.send(Request { method: Method::Delete, target, payload: Payload::Nothing })?;
    console.line("Feed deleted.")?;
    console.value(&json!({ "name": name, "deleted": true }))
}

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let answer = connection.fetch(Target::new(&["api", "management", "feeds", "list"]))?;
    let inactive = invocation.flag("inactive");
    listing::list(console, answer, |console, feed: FeedObject| {
        let active = feed.settings.get("active") == Some(&Value::Bool(true));
        if !active && !inactive {
            return Ok(());
        }
        let kind = feed.feed_type.unwrap_or_default();
        console.line(format_args!("{} ({kind})", feed.name.unwrap_or_default()))
    })?;
    Ok(())
}

/// The feed as the server knows it.
fn get(connection: &Connection, feed: &str) -> Result<Value, Failure> {
    connection.get(Target::new(&["api", "management", "feeds", "get", feed]))
}

/// Sends the properties that are to change.
fn update(connection: &Connection, feed: &str, body: &Value) -> Result<(), Failure> {
    let target = Target::new(&["api", "management", "feeds", "update", feed]);
    connection.post_json(target, body)?;
    Ok(())
}
