//! `hayloft export`: a feed as files, for any web server.

use std::path::Path;

use hayloft::{Create, OpenOptions};
use hayloft_offline::{
    ExportError, ExportOptions, Exported, Folder, FolderError, Snippet, export, snippet,
};
use serde_json::json;

use super::{FEED, STORE};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::Held;
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "export",
    "Writes a feed into a folder that any web server serves to its clients",
    &[
        FEED,
        Opt::text(
            "to-directory",
            "The folder: new, empty, or an export, which is brought up to date",
        ),
        Opt::text(
            "base-url",
            "Where the folder will be served; feeds with addresses in their documents need it",
        ),
        Opt::flag("check", "Look at every file in the folder, not only at what has changed"),
        Opt::one_of(
            "snippet",
            &["nginx", "caddy", "apache"],
            "Print how a web server is told to serve the folder, and do nothing else",
        ),
        STORE,
    ],
    run,
)
.words(&[Word::Value("feed"), Word::Value("to-directory")])
.examples(&[
    "hayloft export dev /srv/www/dev --base-url=https://packages.example.com/dev",
    "hayloft export --snippet=nginx --to-directory=/srv/www/dev \
     --base-url=https://packages.example.com/dev",
]);

fn run(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let directory = invocation.required("to-directory")?;
    if let Some(server) = invocation.text("snippet") {
        return tell(server, directory, invocation.text("base-url"), console);
    }
    let feed = invocation.required("feed")?;
    let mut options = ExportOptions::default();
    if let Some(url) = invocation.text("base-url") {
        options = options.base_url(url);
    }
    if invocation.flag("check") {
        options = options.check();
    }
    let mut open = OpenOptions::default();
    open.create = Create::Never;
    let store = Held::of(invocation, open, console)?;
    let folder = Folder::open(console.path(directory)).map_err(folder_failure)?;
    console.say(format_args!("Exporting {feed} to {directory}..."))?;
    console.flush()?;
    let mut told = Ok(());
    let report = export(&store, feed, &folder, &options, &mut |done: Exported| {
        if done.packages.is_multiple_of(TELL_EVERY) && told.is_ok() {
            told = console
                .say(format_args!("{} packages, {} files written", done.packages, done.written))
                .and_then(|()| console.flush());
        }
    });
    let report = report.map_err(export_failure)?;
    told?;
    store.end()?;
    for unfit in &report.left_out {
        console.note(unfit);
    }
    console.line(format_args!(
        "{} files written ({} bytes), {} unchanged, {} removed.",
        report.written, report.bytes, report.unchanged, report.removed
    ))?;
    console.value(&json!({
        "feed": feed, "directory": directory, "packages": report.packages, "full": report.full,
        "written": report.written, "bytes": report.bytes, "unchanged": report.unchanged,
        "removed": report.removed,
        "leftOut": report.left_out.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))?;
    if report.left_out.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// Packages between two lines of progress.
const TELL_EVERY: u64 = 1_000;

fn tell(
    server: &str,
    directory: &str,
    url: Option<&str>,
    console: &mut Console,
) -> Result<(), Failure> {
    let server = match server.to_ascii_lowercase().as_str() {
        "caddy" => Snippet::Caddy,
        "apache" => Snippet::Apache,
        _ => Snippet::Nginx,
    };
    let folder =
        std::path::absolute(Path::new(directory)).map_err(Failure::io("name the folder"))?;
    let folder = folder.to_str().filter(|path| !path.contains(['"', '$', '\\', '\n']));
    let folder = folder.ok_or_else(|| {
        Failure::option("to-directory", "web servers cannot be told of a folder of this name")
    })?;
    let rest = url.and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    let path = rest.and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~/".contains(&byte);
    if !path.bytes().all(plain) {
        return Err(Failure::option(
            "base-url",
            "a path for a snippet is made of letters, digits, - _ ~ and slashes",
        ));
    }
    let slash = if path.is_empty() { "" } else { "/" };
    let text = snippet(server, folder, &format!("{slash}{path}"));
    console.lines(&text)?;
    console.value(&json!({ "snippet": text }))
}

fn folder_failure(error: FolderError) -> Failure {
    Failure::Other(anyhow::Error::new(error))
}

fn export_failure(error: ExportError) -> Failure {
    let needs_url = matches!(error, ExportError::NeedsBaseUrl);
    let failure = Failure::Other(anyhow::Error::new(error));
    if needs_url {
        return failure.advise("add --base-url=https://... as clients will name the folder");
    }
    failure
}
