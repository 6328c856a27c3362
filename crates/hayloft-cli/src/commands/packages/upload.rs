use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use crate::arguments::{Command, Invocation, Mistake, Opt, Word};
use crate::connection::{Connection, Method, Payload, Request, Target};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "upload",
    "Adds package files to a feed",
    &[
        Opt::text("input-file", "Package file; * stands for any characters of a name"),
        Opt::flag("stdin", "Read one package file from standard input"),
        Opt::text("distribution", "Distribution that a .deb goes to"),
        Opt::text("component", "Component that a .deb goes to; by default main"),
        Opt::text("create", "Make the feed first, of this type, unless it is there"),
    ],
    upload,
)
.words(&[Word::Value("feed"), Word::Values("input-file")])
.examples(&[
    "hayloft packages upload dev tools-1.0.0.upack",
    "hayloft packages upload dev build/*.nupkg",
    "hayloft packages upload dev tools-1.0.0.upack --create=universal",
    "curl -sL URL | hayloft packages upload --feed=dev --stdin",
]);

fn upload(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let mut patterns: Vec<&str> = invocation.text("input-file").into_iter().collect();
    patterns.extend(invocation.listed().iter().map(String::as_str));
    let files = match (patterns.is_empty(), invocation.flag("stdin")) {
        (false, false) => {
            let found: Vec<Vec<PathBuf>> =
                patterns.into_iter().map(matching).collect::<Result<_, _>>()?;
            Some(found.concat())
        }
        (true, true) => None,
        (false, true) => {
            return Err(Failure::option("stdin", "give either --input-file or --stdin, not both"));
        }
        (true, false) => {
            return Err(Failure::Arguments(vec![Mistake::new(
                "missing required argument: --input-file or --stdin",
            )]));
        }
    };
    let connection = Connection::open_or_create(invocation, console)?;
    let feed = connection.feed(invocation)?;
    if let Some(kind) = invocation.text("create") {
        create(&connection, console, &feed, kind)?;
    }
    let target = |name: Option<&str>| {
        let target = Target::new(&["api", "packages", &feed, "upload"]);
        name.into_iter()
            .fold(target, Target::segment)
            .query("distribution", invocation.text("distribution"))
            .query("component", invocation.text("component"))
    };
    let mut sent: Vec<Value> = Vec::new();
    for path in files.iter().flatten() {
        console.say(format_args!("Uploading {} to {feed} feed...", path.display()))?;
        let file = fs::File::open(path).map_err(Failure::io("upload"))?;
        let length = file.metadata().map_err(Failure::io("upload"))?.len();
        let name = path.file_name().and_then(|name| name.to_str());
        send(&connection, console, target(name), file, Some(length))?;
        console.say("Upload complete.")?;
        sent.push(json!({ "feed": feed, "file": path, "size": length }));
    }
    if files.is_none() {
        console.say(format_args!("Uploading standard input to {feed} feed..."))?;
        let size = send(&connection, console, target(None), io::stdin(), None)?;
        console.say("Upload complete.")?;
        sent.push(json!({ "feed": feed, "file": Value::Null, "size": size }));
    }
    console.value(&sent)
}

/// Makes the feed if there is none of this name; what else there is to say, the upload is told.
fn create(
    connection: &Connection,
    console: &mut Console,
    feed: &str,
    kind: &str,
) -> Result<(), Failure> {
    let target = Target::new(&["api", "management", "feeds", "get", feed]);
    let asked = Request { method: Method::Get, target, payload: Payload::Nothing };
    if connection.send_unchecked(asked)?.status != 404 {
        return Ok(());
    }
    console.say(format_args!("Creating {kind} feed: {feed}..."))?;
    let target = Target::new(&["api", "management", "feeds", "create"]);
    connection.post_json(target, &json!({ "name": feed, "feedType": kind }))?;
    Ok(())
}

/// Returns how many bytes were sent.
fn send(
    connection: &Connection,
    console: &mut Console,
    target: Target,
    content: impl Read + Send + 'static,
    length: Option<u64>,
) -> Result<u64, Failure> {
    let bar = console.progress(length)?;
    let content = Box::new(bar.wrap_read(content));
    let payload = Payload::File { content, length };
    let sent = connection.send(Request { method: Method::Put, target, payload });
    let size = bar.position();
    bar.finish_and_clear();
    sent?;
    Ok(size)
}

/// The file, or all files that a pattern with `*` fits, sorted by name.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let path = Path::new(pattern);
    if path.exists() || !pattern.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    // Only the star stands for something; other marks of a pattern are parts of names.
    let escaped = pattern.replace('[', "[[]").replace('?', "[?]");
    let invalid = |error| Failure::option("input-file", error);
    let mut files = Vec::new();
    for found in glob::glob(&escaped).map_err(|error| invalid(error.to_string()))? {
        let path = found.map_err(|error| invalid(error.to_string()))?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::option("input-file", format!("no file is called as {pattern}")));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_parts_of_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a-1.upack", "b-1.upack", "c.txt", "[x]-1.upack"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        fs::create_dir(directory.path().join("d.upack")).unwrap();
        let names = |pattern: &str| {
            let found = matching(directory.path().join(pattern).to_str().unwrap());
            let names = found.map(|paths| {
                paths.iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
            });
            names.map_err(|failure| failure.to_string())
        };
        assert_eq!(names("*.upack").unwrap(), ["[x]-1.upack", "a-1.upack", "b-1.upack"]);
        assert_eq!(names("[x]-*").unwrap(), ["[x]-1.upack"]);
        assert_eq!(names("no such file").unwrap(), ["no such file"]);
        assert!(names("*.deb").unwrap_err().contains("no file is called as"));
    }
}
