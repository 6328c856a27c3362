use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft_http::wire::PackageVersionInfo;

use crate::arguments::{Outcome, parse};
use crate::commands::ROOT;
use crate::connection::{Connection, Place, StorePlace, Target};
use crate::console::{Color, Console};
use crate::failure::Failure;

/// Commands that are shown and then carried out, one after the other.
pub(super) struct Script<'c> {
    store: PathBuf,
    downloads: PathBuf,
    console: &'c mut Console,
    step: u32,
}

/// A file that was downloaded, and what the feed says about it.
pub(super) struct Downloaded {
    pub(super) feed: String,
    pub(super) path: PathBuf,
    pub(super) sha256: Option<String>,
}

impl<'c> Script<'c> {
    pub(super) fn new(directory: &Path, console: &'c mut Console) -> Self {
        Self {
            store: directory.join("store"),
            downloads: directory.join("downloads"),
            console,
            step: 0,
        }
    }

    /// Begins a part.
    pub(super) fn title(&mut self, text: &str) -> Result<(), Failure> {
        self.step += 1;
        let step = self.step;
        self.console.line("")?;
        self.console.colored(Color::Bold, format_args!("{step}. {text}"))
    }

    /// A line of the demo itself.
    pub(super) fn say(&mut self, text: impl Display) -> Result<(), Failure> {
        self.console.line(text)
    }

    /// Shows a command and carries it out, in the demo's store.
    pub(super) fn run(&mut self, words: &[&str]) -> Result<(), Failure> {
        let shown: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        self.console.colored(Color::Green, format_args!("$ hayloft {}", shown.join(" ")))?;
        let store = (words.first() != Some(&"upack")).then(|| {
            let mut option = OsString::from("--store=");
            option.push(&self.store);
            option
        });
        match parse(&ROOT, words.iter().map(OsString::from).chain(store)) {
            Outcome::Run(invocation, action) => action(&invocation, self.console),
            _ => Err(Failure::text(format!("the demo has a mistake: {}", shown.join(" ")))),
        }
    }

    /// Downloads a package and asks the feed for its digest.
    pub(super) fn download(
        &mut self,
        feed: &str,
        package: &str,
        version: &str,
    ) -> Result<Downloaded, Failure> {
        let directory = self.downloads.join(feed);
        fs::create_dir_all(&directory).map_err(Failure::io("make a directory"))?;
        self.run(&[
            "packages",
            "download",
            &format!("--feed={feed}"),
            &format!("--package={package}"),
            &format!("--version={version}"),
            &format!("--output-file={}", directory.display()),
        ])?;
        let mut files = fs::read_dir(&directory).map_err(Failure::io("find the download"))?;
        let file = files.next().and_then(Result::ok);
        let path = file.ok_or_else(|| Failure::text("the download is gone"))?.path();
        let (group, name) = package.rsplit_once('/').unwrap_or(("", package));
        let place = Place::Store(StorePlace::at(&self.store));
        let target = Target::new(&["api", "packages", feed, "versions"])
            .query("group", (!group.is_empty()).then_some(group))
            .query("name", Some(name))
            .query("version", Some(version));
        let listed: Vec<PackageVersionInfo> = Connection::to(place, self.console)?.get(target)?;
        let sha256 = listed.into_iter().next().and_then(|file| file.sha256);
        Ok(Downloaded { feed: feed.to_owned(), path, sha256 })
    }
}

/// As it would be typed in a shell.
fn quoted(word: &str) -> String {
    if !word.contains([' ', '*']) {
        return word.to_owned();
    }
    match word.split_once('=') {
        Some((option, value)) => format!("{option}=\"{value}\""),
        None => format!("\"{word}\""),
    }
}
