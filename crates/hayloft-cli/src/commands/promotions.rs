use hayloft_http::wire::PromotedPackage;

use super::packages::promotion_line;
use super::{PLACE, listing};
use crate::arguments::{Command, Invocation, Opt};
use crate::connection::{Connection, Target};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::group(
    "promotions",
    "What went from feed to feed",
    PLACE,
    &[Command::action(
        "list",
        "Lists promotions by package version",
        &[
            Opt::text("from-feed", "Only out of this feed"),
            Opt::text("to-feed", "Only into this feed"),
            Opt::text("package", "Only of this package, after its group: group/name"),
            Opt::text("version", "Only of this version"),
        ],
        list,
    )
    .examples(&["hayloft promotions list --to-feed=prod"])],
);

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let package = invocation.text("package");
    let (group, name) = match package.and_then(|package| package.rsplit_once('/')) {
        Some((group, name)) => (Some(group), Some(name)),
        None => (None, package),
    };
    let target = Target::new(&["api", "promotions", "list"])
        .query("fromFeed", invocation.text("from-feed"))
        .query("toFeed", invocation.text("to-feed"))
        .query("group", group)
        .query("package", name)
        .query("version", invocation.text("version"));
    listing::list(console, connection.fetch(target)?, |console, item: PromotedPackage| {
        let group = item.group.filter(|group| !group.is_empty());
        let group = group.map(|group| format!("{group}/")).unwrap_or_default();
        console.line(format_args!("{group}{} {}", item.package, item.version))?;
        for promotion in &item.promotions {
            console.line(format_args!("  {}", promotion_line(promotion)))?;
        }
        Ok(())
    })?;
    Ok(())
}
