use std::io::{self, Cursor, Write as _};
use std::path::Path;

use fs_err as fs;
use hayloft::Limits;
use serde_json::json;

use crate::arguments::{Command, Invocation, Opt, Word};
use crate::commands::FEED;
use crate::connection::{Connection, Method, Payload, Request, Target};
use crate::console::Console;
use crate::failure::Failure;

/// Bytes of a secret in a file; a key with many signatures of others is some kilobytes.
const LARGEST: u64 = 1 << 20;

pub(super) const COMMAND: Command = Command::group(
    "key",
    "The key that a feed signs with",
    &[FEED],
    &[
        Command::action(
            "export",
            "Writes the secret key, so that it can be kept elsewhere",
            &[Opt::text("to", "File to write, for your eyes only; without it, the output")],
            export,
        )
        .words(&[Word::Value("feed")])
        .examples(&["hayloft feeds key export dev --to=dev-key.asc"]),
        Command::action(
            "replace",
            "Lets the feed sign with a key of your own; clients need its public part",
            &[Opt::text("from", "File with the armored secret key; `-` for the input").required()],
            replace,
        )
        .words(&[Word::Value("feed")])
        .examples(&[
            "gpg --armor --export-secret-keys ID | hayloft feeds key replace dev --from=-",
        ]),
    ],
);

fn target(feed: &str) -> Target {
    Target::new(&["api", "management", "feeds", "secret", feed])
}

fn export(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let secret = connection.fetch(target(&feed))?.text()?;
    let Some(file) = invocation.text("to") else {
        console.value(&json!({ "feed": feed, "secret": secret }))?;
        return secret.lines().try_for_each(|line| console.line(line));
    };
    let path = Path::new(file);
    save(path, secret.as_bytes()).map_err(Failure::io(format_args!("write `{file}`")))?;
    console
        .say(format_args!("The secret key of {feed} is in {file}. Who has it signs as {feed}."))?;
    console.value(&json!({ "feed": feed, "file": file }))
}

fn replace(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let file = invocation.required("from")?;
    let read = || {
        if file == "-" { read(&mut io::stdin()) } else { read(&mut fs::File::open(file)?) }
    };
    let given = read().map_err(Failure::io(format_args!("read `{file}`")))?;
    let length = u64::try_from(given.len()).ok();
    let content = Box::new(Cursor::new(given));
    let payload = Payload::File { content, length };
    connection.send(Request { method: Method::Put, target: target(&feed), payload })?;
    console.say(format_args!("{feed} signs with this key now. Give clients its public part."))?;
    console.value(&json!({ "feed": feed, "replaced": true }))
}

fn read(file: &mut dyn io::Read) -> io::Result<Vec<u8>> {
    Limits::read(file, LARGEST).map_err(io::Error::other)
}

/// Files of this kind can be read by their owner alone; what is there already is replaced whole.
fn save(path: &Path, secret: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut draft = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    draft.write_all(secret)?;
    draft.persist(path)?;
    Ok(())
}
