use hayloft_http::wire::{PromoteInput, PromotionData, Published, RepackageInput};
use serde::Serialize;

use super::package::PackageVersion;
use super::{
    ARCH, COMMENT, COMPONENT, DISTRO, FILE_NAME, PACKAGE, PLATFORM, QUALIFIER, TO_FEED, VERSION,
};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Answer, Connection, Target};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const REPACKAGE: Command = Command::action(
    "repackage",
    "Writes a package again as another version, with the same content",
    &[
        PACKAGE.required(),
        VERSION.required(),
        Opt::text("new-version", "Version of the result").required(),
        TO_FEED,
        COMMENT,
        QUALIFIER,
        ARCH,
        DISTRO,
        COMPONENT,
        FILE_NAME,
        PLATFORM,
    ],
    repackage,
)
.words(&[Word::Value("feed"), Word::Package, Word::Value("new-version")])
.examples(&[
    "hayloft packages repackage dev tools@1.0.0-rc.1 1.0.0 --comment=\"passed all tests\"",
]);

pub(super) const PROMOTE: Command = Command::action(
    "promote",
    "Brings a package into another feed, byte for byte",
    &[
        PACKAGE.required(),
        VERSION.required(),
        TO_FEED.required(),
        COMMENT,
        QUALIFIER,
        ARCH,
        DISTRO,
        COMPONENT,
        FILE_NAME,
        PLATFORM,
    ],
    promote,
)
.words(&[Word::Value("feed"), Word::Package, Word::Value("to-feed")])
.examples(&["hayloft packages promote dev tools@1.0.0 prod"]);

fn repackage(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let new_version = invocation.required("new-version")?;
    let to_feed = invocation.text("to-feed");
    console.say(format_args!("Repackaging {package}"))?;
    console.say(format_args!("  from {feed}"))?;
    console.say(format_args!("  to {}: {new_version}", to_feed.unwrap_or(&feed)))?;
    let input = RepackageInput {
        feed: Some(feed.clone()),
        group: package.group,
        name: Some(package.name),
        version: Some(package.version),
        new_version: Some(new_version.to_owned()),
        comments: invocation.text("comment").map(str::to_owned),
        to_feed: to_feed.map(str::to_owned),
        qualifier: package.qualifier,
        purl: None,
    };
    let target = Target::new(&["api", "repackaging", "repackage"]);
    let answer = connection.post_json(target, &input)?;
    console.say("Repackage successful.")?;
    told(console, answer, &input)
}

fn promote(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let to_feed = invocation.required("to-feed")?;
    console.say(format_args!("Promoting {package}"))?;
    console.say(format_args!("  from {feed}"))?;
    console.say(format_args!("  to {to_feed}"))?;
    let input = PromoteInput {
        from_feed: Some(feed.clone()),
        group: package.group,
        name: Some(package.name),
        version: Some(package.version),
        to_feed: Some(to_feed.to_owned()),
        comments: invocation.text("comment").map(str::to_owned),
        qualifier: package.qualifier,
        purl: None,
    };
    let answer = connection.post_json(Target::new(&["api", "promotions", "promote"]), &input)?;
    console.say("Promote successful.")?;
    told(console, answer, &input)
}

/// Tells what the server says about the result. Other servers of this API say nothing, or something
/// else; then what was asked has to do.
fn told(console: &mut Console, answer: Answer, asked: &impl Serialize) -> Result<(), Failure> {
    let Ok(published) = answer.json::<Published>() else { return console.value(asked) };
    for removed in &published.signatures_removed {
        console.note(format_args!("The signature {removed} was over the old bytes and is gone."));
    }
    for pin in &published.sibling_pins {
        console.note(format_args!("The dependency {pin} still names the old version."));
    }
    for warning in &published.warnings {
        console.note(warning);
    }
    console.value(&published)
}

/// One promotion for people.
pub(in crate::commands) fn promotion_line(promotion: &PromotionData) -> String {
    let PromotionData { from_feed, to_feed, date, user, comments, .. } = promotion;
    let comments = if comments.is_empty() { String::new() } else { format!(": {comments}") };
    format!("{from_feed} -> {to_feed} on {date} by {user}{comments}")
}
