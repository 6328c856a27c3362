//! `hayloft bundle`: packages from one store to another in one file.

use std::path::Path;

use fs_err as fs;
use hayloft::{Actor, Create, OpenOptions, Overwrite};
use hayloft_offline::{
    ApplyOptions, BundleError, BundleHeader, BundleOptions, KeyError, SigningKey, VerifyingKey,
    apply, create, inspect, sign,
};
use serde_json::json;

use super::{FEED, STORE};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::Held;
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::group(
    "bundle",
    "Carries packages of a feed to another store in one file",
    &[],
    &[CREATE, SIGN, INSPECT, APPLY],
);

const FILE: Opt = Opt::text("file", "The file of the bundle");

const CREATE: Command = Command::action(
    "create",
    "Writes packages of a feed, with their state and history, into a file",
    &[
        FEED,
        FILE,
        Opt::text(
            "package",
            "Only these packages, between commas, each with its group before a slash",
        ),
        Opt::text("since", "An earlier bundle of the feed: only what has changed since"),
        STORE,
    ],
    run_create,
)
.words(&[Word::Value("feed"), Word::Value("file")])
.examples(&[
    "hayloft bundle create prod monday.hayloft",
    "hayloft bundle create prod tuesday.hayloft --since=monday.hayloft",
]);

const SIGN: Command = Command::action(
    "sign",
    "Puts a signature beside a bundle, as minisign does",
    &[FILE, Opt::text("key", "The file of a secret key that minisign has made")],
    run_sign,
)
.words(&[Word::Value("file"), Word::Value("key")])
.examples(&["hayloft bundle sign monday.hayloft ~/.minisign/minisign.key"]);

const SIGNED_BY: Opt = Opt::text(
    "signed-by",
    "A public key of minisign, or its file: a bundle without its signature is refused",
);

const INSPECT: Command = Command::action(
    "inspect",
    "Verifies a bundle and tells what it holds",
    &[FILE, SIGNED_BY],
    run_inspect,
)
.words(&[Word::Value("file")])
.examples(&[
    "hayloft bundle inspect monday.hayloft",
    "hayloft bundle inspect monday.hayloft --signed-by=releases.pub",
]);

const APPLY: Command = Command::action(
    "apply",
    "Brings what a bundle holds into a feed, once all of it is verified",
    &[
        FEED,
        FILE,
        Opt::flag("overwrite", "Replace stored files by other bytes, if the feed allows it"),
        SIGNED_BY,
        STORE,
    ],
    run_apply,
)
.words(&[Word::Value("feed"), Word::Value("file")])
.examples(&[
    "hayloft bundle apply prod monday.hayloft",
    "hayloft bundle apply prod monday.hayloft --signed-by=releases.pub",
]);

fn store(invocation: &Invocation, console: &mut Console) -> Result<Held, Failure> {
    let mut open = OpenOptions::default();
    open.create = Create::Never;
    Held::of(invocation, open, console)
}

fn failed(error: BundleError) -> Failure {
    Failure::Other(anyhow::Error::new(error))
}

fn run_create(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let feed = invocation.required("feed")?;
    let file = console.path(invocation.required("file")?);
    let mut options = BundleOptions::default();
    for package in invocation.text("package").unwrap_or_default().split(',') {
        if package.is_empty() {
            continue;
        }
        let (group, name) = package.rsplit_once('/').unwrap_or(("", package));
        options.packages.push((group.to_owned(), name.to_owned()));
    }
    options.since = invocation.text("since").map(|name| console.path(name));
    let store = store(invocation, console)?;
    console.say(format_args!("Bundling {feed} into {}...", file.display()))?;
    console.flush()?;
    let header = create(&store, feed, &file, &options).map_err(failed)?;
    store.end()?;
    if header.blocked > 0 {
        console.note(format_args!("{} files of blocked versions are left out.", header.blocked));
    }
    tell(&header, console)
}

/// The password of a key that has one.
const PASSWORD: &str = "HAYLOFT_SIGNING_PASSWORD";

fn run_sign(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let file = Path::new(invocation.required("file")?);
    let key = invocation.required("key")?;
    let text = fs::read_to_string(key).map_err(Failure::io("read the key"))?;
    let key = SigningKey::parse(&text, std::env::var(PASSWORD).ok()).map_err(|error| {
        let needs_password = matches!(error, KeyError::NoPassword);
        let failure = Failure::Other(anyhow::Error::new(error));
        if needs_password {
            failure.advise(format!("set {PASSWORD}, or sign with minisign -S"))
        } else {
            failure
        }
    })?;
    let signature = sign(file, &key).map_err(failed)?;
    console.line(format_args!("Signed in {}.", signature.display()))?;
    console.value(&json!({ "signature": signature }))
}

/// A key is a line of letters, which is no path of a file that is there.
fn signed_by(invocation: &Invocation, console: &Console) -> Result<Option<VerifyingKey>, Failure> {
    let Some(told) = invocation.text("signed-by") else { return Ok(None) };
    let file = console.path(told);
    let text = if file.exists() {
        fs::read_to_string(file).map_err(Failure::io("read the public key"))?
    } else {
        told.to_owned()
    };
    let key = VerifyingKey::parse(&text).map_err(|error| Failure::option("signed-by", error))?;
    Ok(Some(key))
}

fn run_inspect(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let file = Path::new(invocation.required("file")?);
    let signed_by = signed_by(invocation, console)?;
    let header = inspect(file, signed_by.as_ref()).map_err(failed)?;
    console.line(format_args!("Feed: {} ({})", header.feed, header.feed_type))?;
    if header.since.is_some() {
        console.line("It follows an earlier bundle, which has to be applied first.")?;
    }
    tell(&header, console)
}

fn tell(header: &BundleHeader, console: &mut Console) -> Result<(), Failure> {
    console.line(format_args!(
        "{} files in {} contents ({} bytes), {} promotions.",
        header.files, header.blobs, header.bytes, header.promotions
    ))?;
    console.value(header)
}

fn run_apply(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let feed = invocation.required("feed")?;
    let file = console.path(invocation.required("file")?);
    let mut options = ApplyOptions::default();
    if invocation.flag("overwrite") {
        options.overwrite = Overwrite::Replace;
    }
    options.signed_by = signed_by(invocation, console)?;
    let store = store(invocation, console)?;
    console.say(format_args!("Applying {} to {feed}...", file.display()))?;
    console.flush()?;
    let actor = Actor::named(console.user());
    let applied = apply(&store, feed, &file, &options, &actor).map_err(failed)?;
    store.end()?;
    console.line(format_args!(
        "{} files stored, {} there already, {} statuses and {} tags changed, {} promotions new.",
        applied.stored, applied.unchanged, applied.statuses, applied.tags, applied.promotions
    ))?;
    console.value(&json!({
        "feed": feed, "stored": applied.stored, "unchanged": applied.unchanged,
        "statuses": applied.statuses, "tags": applied.tags, "promotions": applied.promotions,
    }))
}
