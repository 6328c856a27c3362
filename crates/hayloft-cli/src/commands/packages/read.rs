use hayloft_http::wire::PackageVersionInfo;

use super::package::split;
use crate::arguments::Invocation;
use crate::commands::{listing, size};
use crate::connection::{Connection, Target};
use crate::console::Console;
use crate::failure::Failure;

/// What people see of a file.
const HEADS: &[&str] = &["PACKAGE", "VERSION", "SIZE", "PUBLISHED", "DOWNLOADS", "STATUS"];

pub(super) fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let target = named(invocation, Target::new(&["api", "packages", &feed, "latest"]))
        .query("stableOnly", invocation.flag("stable").then_some("true"));
    let row = |item: &PackageVersionInfo| row(item, item.total_downloads);
    listing::table(console, connection.fetch(target)?, HEADS, row, |console, item| {
        console.line(format_args!("{} {}", full_name(&item), item.version))
    })?;
    Ok(())
}

pub(super) fn versions(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let target = named(invocation, Target::new(&["api", "packages", &feed, "versions"]))
        .query("version", invocation.text("version"));
    let row = |item: &PackageVersionInfo| row(item, item.downloads);
    listing::table(console, connection.fetch(target)?, HEADS, row, |console, item| {
        console.line(format_args!("{} {}", item.name, item.version))
    })?;
    Ok(())
}

fn named(invocation: &Invocation, target: Target) -> Target {
    let Some((group, name)) = invocation.text("package").map(split) else { return target };
    target.query("group", group).query("name", Some(name))
}

/// `group/name (qualifier)`.
pub(in crate::commands) fn full_name(item: &PackageVersionInfo) -> String {
    let group = item.group.as_deref().filter(|group| !group.is_empty());
    let group = group.map(|group| format!("{group}/")).unwrap_or_default();
    let qualifier = item.qualifier.as_deref().filter(|qualifier| !qualifier.is_empty());
    let qualifier = qualifier.map(|text| format!(" ({text})")).unwrap_or_default();
    format!("{group}{}{qualifier}", item.name)
}

fn row(item: &PackageVersionInfo, downloads: u64) -> Vec<String> {
    let published = item.published.get(..16).unwrap_or(&item.published).replace('T', " ");
    let states = [
        (!item.listed, "unlisted"),
        (item.allow_download == Some(false), "blocked"),
        (item.deprecated, "deprecated"),
    ];
    let states: Vec<&str> = states.iter().filter(|(is, _)| *is).map(|(_, state)| *state).collect();
    vec![
        full_name(item),
        item.version.clone(),
        size::shown(item.size),
        published,
        downloads.to_string(),
        states.join(", "),
    ]
}
