use hayloft_http::wire::PackageVersionInfo;

use super::package::split;
use crate::arguments::Invocation;
use crate::commands::listing;
use crate::connection::{Connection, Target};
use crate::console::Console;
use crate::failure::Failure;

pub(super) fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let target = named(invocation, Target::new(&["api", "packages", &feed, "latest"]))
        .query("stableOnly", invocation.flag("stable").then_some("true"));
    listing::list(console, connection.fetch(target)?, |console, item: PackageVersionInfo| {
        let group = item.group.filter(|group| !group.is_empty());
        let group = group.map(|group| format!("{group}/")).unwrap_or_default();
        let qualifier = item.qualifier.filter(|qualifier| !qualifier.is_empty());
        let qualifier = qualifier.map(|text| format!(" ({text})")).unwrap_or_default();
        console.line(format_args!("{group}{}{qualifier} {}", item.name, item.version))
    })?;
    Ok(())
}

pub(super) fn versions(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let target = named(invocation, Target::new(&["api", "packages", &feed, "versions"]))
        .query("version", invocation.text("version"));
    listing::list(console, connection.fetch(target)?, |console, item: PackageVersionInfo| {
        console.line(format_args!("{} {}", item.name, item.version))
    })?;
    Ok(())
}

fn named(invocation: &Invocation, target: Target) -> Target {
    let Some((group, name)) = invocation.text("package").map(split) else { return target };
    target.query("group", group).query("name", Some(name))
}
