use hayloft_http::wire::PackageStatus;
use serde_json::{Value, json};

use super::package::PackageVersion;
use super::{ONE, ONE_WORDS};
use crate::arguments::{Command, Invocation, Opt};
use crate::connection::Connection;
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::group(
    "status",
    "Hides, blocks or deprecates a package, or takes it back",
    ONE,
    &[
        Command::action(
            "unlisted",
            "Hides a package from search",
            &[Opt::one_of("state", &["listed", "unlisted"], "New state; by default unlisted")],
            unlisted,
        )
        .words(ONE_WORDS),
        Command::action(
            "blocked",
            "Blocks downloads of a package, or always allows them",
            &[Opt::one_of(
                "state",
                &["blocked", "notset", "allowed"],
                "New state; by default blocked",
            )],
            blocked,
        )
        .words(ONE_WORDS),
        Command::action(
            "deprecated",
            "Marks a package as one that should not be used any more",
            &[
                Opt::one_of("state", &["deprecated", "clear"], "New state; by default deprecated"),
                Opt::text("reason", "Why"),
            ],
            deprecated,
        )
        .words(ONE_WORDS),
    ],
);

fn unlisted(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let listed = invocation.text("state") == Some("listed");
    let status = PackageStatus { listed: Some(listed), ..PackageStatus::default() };
    let state = if listed { "listed" } else { "unlisted" };
    change(invocation, console, &status, state)
}

fn blocked(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    // An object without any property clears the override.
    let (allow, state) = match invocation.text("state") {
        Some("notset") => (None, "(default)"),
        Some("allowed") => (Some(Some(true)), "allowed"),
        _ => (Some(Some(false)), "blocked"),
    };
    change(invocation, console, &PackageStatus { allow, ..PackageStatus::default() }, state)
}

/// The original deprecates even when told to clear; this clears.
fn deprecated(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let deprecated = invocation.text("state") != Some("clear");
    let reason = invocation.text("reason").filter(|_| deprecated);
    let status = PackageStatus {
        deprecated: Some(deprecated),
        deprecation_reason: reason.map(|reason| Some(reason.to_owned())),
        ..PackageStatus::default()
    };
    let state = match (deprecated, reason) {
        (true, Some(reason)) => format!("deprecated: {reason}"),
        (true, None) => "deprecated".to_owned(),
        (false, _) => "not deprecated".to_owned(),
    };
    change(invocation, console, &status, &state)
}

fn change(
    invocation: &Invocation,
    console: &mut Console,
    status: &PackageStatus,
    state: &str,
) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    console.say(format_args!("Setting {package} in {feed} feed to {state}..."))?;
    connection.post_json(package.target(&feed, "status"), status)?;
    console.say("Package status changed.")?;
    let changed: Value = json!({
        "feed": feed, "group": package.group, "name": package.name, "version": package.version,
        "qualifier": package.qualifier, "status": status,
    });
    console.value(&changed)
}
