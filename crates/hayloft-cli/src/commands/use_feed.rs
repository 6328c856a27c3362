//! `hayloft use`: the clients of this machine, told to use a feed.

mod marked;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use hayloft::feed_type::native::{
    ClientBase, ClientChange, ClientConfiguration, ClientDocument, ClientSetup, FeedCard, Native,
};
use hayloft::{FeedType, Limits};
use hayloft_http::wire::FeedObject;
use serde_json::json;

use super::{API_KEY, FEED, PASSWORD, SOURCE, STORE, USERNAME};
use crate::arguments::{Command, Invocation, Mistake, Opt, Word, nearest};
use crate::connection::{Connection, Target, is_url};
use crate::console::{Color, Console};
use crate::failure::Failure;
use crate::kinds;

pub(super) const COMMAND: Command = Command::action(
    "use",
    "Makes a client of this machine use a feed, or shows how all are made to",
    &[
        FEED,
        Opt::text("client", "The client, such as npm or pip; without one all are shown"),
        Opt::flag("undo", "Take back what was written into the client's files"),
        SOURCE,
        STORE,
        API_KEY,
        USERNAME,
        PASSWORD,
    ],
    use_feed,
)
.words(&[Word::Value("feed")])
.examples(&[
    "hayloft use dev --source=https://packages.example.com",
    "hayloft use dev --client=npm",
    "hayloft use dev --client=npm --undo",
]);

/// The same lines under the name that stands beside the other commands of feeds.
pub(super) const SETUP: Command = Command::action(
    "setup",
    "Shows how clients are made to use a feed",
    &[FEED, Opt::text("client", "The client, such as npm or pip; without one all are shown")],
    setup,
)
.words(&[Word::Value("feed")])
.examples(&["hayloft feeds setup dev --client=npm --source=https://packages.example.com"]);

/// Bytes of a client's file.
const LARGEST: u64 = 4 << 20;

fn use_feed(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    if invocation.flag("undo") {
        return take_back(invocation, console);
    }
    let used = Used::open(invocation, console)?;
    let Some(client) = invocation.text("client") else {
        return show(console, used.setups()?);
    };
    let named = |other: &str| other.eq_ignore_ascii_case(client);
    let configurations = used.native()?.configurations(&used.card(), &used.url, used.key());
    if let Some(mut configuration) = configurations.into_iter().find(|each| named(each.client)) {
        for change in &mut configuration.changes {
            if let Some(document) = change.document.take() {
                change.lines.push_str(&used.lines_of(&document)?);
            }
        }
        return write(console, &used.feed, &used.url, &configuration);
    }
    // Those that have no file for all projects.
    let setup = one(used.setups()?, client)?;
    console.say(format_args!("{client} is told by these lines:"))?;
    show_one(console, &setup)
}

/// `hayloft feeds setup`: nothing is written.
fn setup(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let setups = Used::open(invocation, console)?.setups()?;
    match invocation.text("client") {
        Some(client) => show_one(console, &one(setups, client)?),
        None => show(console, setups),
    }
}

/// A feed on a server, for its clients.
struct Used {
    feed: String,
    url: String,
    connection: Connection,
    feed_type: Arc<dyn FeedType>,
}

impl Used {
    fn open(invocation: &Invocation, console: &Console) -> Result<Self, Failure> {
        let connection = Connection::open(invocation, console)?;
        let feed = connection.feed(invocation)?;
        let place = connection.place().trim_end_matches('/');
        if !is_url(place) {
            return Err(Failure::text(
                "clients need a server, and this is a store on this machine",
            )
            .advise("start hayloft serve, and name it with --source"));
        }
        let found: FeedObject =
            connection.get(Target::new(&["api", "management", "feeds", "get", &feed]))?;
        let feed = found.name.unwrap_or(feed);
        let tag = found.feed_type.unwrap_or_default();
        let types = kinds::types();
        let feed_type = types.get(&tag).ok_or_else(|| no_client(&tag))?.clone();
        let native = feed_type.native().ok_or_else(|| no_client(&tag))?;
        let segment = hayloft::feed_type::native::encoded(&feed);
        let url = format!("{place}/{}/{segment}", native.prefix());
        Ok(Self { feed, url, connection, feed_type })
    }

    fn native(&self) -> Result<&dyn Native, Failure> {
        self.feed_type.native().ok_or_else(|| no_client(self.feed_type.tag()))
    }

    fn card(&self) -> FeedCard {
        FeedCard::new(&self.feed)
    }

    fn key(&self) -> Option<&str> {
        self.connection.key()
    }

    /// A document of the feed, as it stands in a client's file.
    fn lines_of(&self, document: &ClientDocument) -> Result<String, Failure> {
        let feed = [self.native()?.prefix(), &self.feed];
        let path: Vec<&str> =
            feed.into_iter().chain(document.path.iter().map(String::as_str)).collect();
        let text = self.connection.fetch(Target::new(&path))?.text()?;
        if !text.starts_with(document.begins) {
            let path = path.join("/");
            return Err(Failure::text(format!("/{path} is not what clients need of the feed"))
                .advise("a proxy in front of the server has to pass on all paths"));
        }
        let lines = text.trim_end().lines().map(|line| match line {
            "" => format!("{}\n", document.empty),
            line => format!("{}{line}\n", document.indent),
        });
        Ok(lines.collect())
    }

    fn setups(&self) -> Result<Vec<ClientSetup>, Failure> {
        Ok(self.native()?.setup(&self.card(), &self.url, self.key()))
    }
}

fn no_client(tag: &str) -> Failure {
    let tag = hayloft::feed_type::shorten(tag);
    Failure::text(format!("there is no client of its own for feeds of the type `{tag}`"))
}

fn show(console: &mut Console, setups: Vec<ClientSetup>) -> Result<(), Failure> {
    console.value(
        &setups
            .iter()
            .map(|setup| json!({ "client": setup.client, "lines": setup.lines }))
            .collect::<Vec<_>>(),
    )?;
    for setup in setups {
        console.colored(Color::Bold, setup.client)?;
        setup.lines.iter().try_for_each(|line| console.line(format_args!("  {line}")))?;
    }
    Ok(())
}

fn show_one(console: &mut Console, setup: &ClientSetup) -> Result<(), Failure> {
    setup.lines.iter().try_for_each(|line| console.line(line))?;
    console.value(&json!({ "client": setup.client, "lines": setup.lines }))
}

/// The lines for one client.
fn one(setups: Vec<ClientSetup>, client: &str) -> Result<ClientSetup, Failure> {
    let known: Vec<&str> = setups.iter().map(|setup| setup.client).collect();
    let text = format!("--client error: `{client}` is not one of {}", known.join(", "));
    let mistake = Mistake::new(text).meaning(nearest(client, known));
    let found = setups.into_iter().find(|setup| setup.client.eq_ignore_ascii_case(client));
    found.ok_or_else(|| Failure::Arguments(vec![mistake]))
}

fn write(
    console: &mut Console,
    feed: &str,
    url: &str,
    configuration: &ClientConfiguration,
) -> Result<(), Failure> {
    let mut files = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    for change in configuration.changes.iter().filter(|change| change.secret) {
        secrets.insert(path(change)?);
    }
    for change in &configuration.changes {
        let path = path(change)?;
        let old = read(&path)?;
        let text = if files.contains(&path) {
            old.clone()
        } else if change.replaces.is_empty() {
            marked::undo(&old, change.comment, Some(feed))
        } else {
            // Of two that replace the same, the later one counts.
            marked::undo(&old, change.comment, None)
        };
        let text = marked::apply(&text, change, feed).ok_or_else(|| {
            let shown = path.display();
            Failure::text(format!("`{shown}` has no place for the change; nothing was written"))
                .advise(format!("hayloft use {feed} shows what to write"))
        })?;
        let whose = if secrets.contains(&path) { Whose::OwnersAlone } else { Whose::AsBefore };
        save(&path, &text, whose)?;
        files.insert(path);
    }
    for path in &files {
        console.say(format_args!("{} uses {url} by {}.", configuration.client, path.display()))?;
    }
    for path in &secrets {
        let path = path.display();
        console.note(format_args!("{path} holds your key as plain text, for your eyes only."));
    }
    console.value(&json!({
        "feed": feed, "client": configuration.client, "url": url, "files": files,
    }))
}

/// Needs no server: which files a client has does not depend on it.
fn take_back(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let feed = invocation.text("feed");
    let client = invocation.text("client");
    let card = FeedCard::new(feed.unwrap_or("feed"));
    let types = kinds::types();
    let configurations: Vec<ClientConfiguration> = types
        .iter()
        .filter_map(|feed_type| feed_type.native())
        .flat_map(|native| native.configurations(&card, "https://localhost", Some("key")))
        .filter(|each| client.is_none_or(|client| each.client.eq_ignore_ascii_case(client)))
        .collect();
    if let (Some(client), true) = (client, configurations.is_empty()) {
        let text = format!("nothing is written for the client `{client}`, so nothing is undone");
        return Err(Failure::option("client", text));
    }
    let mut files = BTreeSet::new();
    for change in configurations.iter().flat_map(|configuration| &configuration.changes) {
        let path = path(change)?;
        let old = read(&path)?;
        let text = marked::undo(&old, change.comment, feed);
        if text.lines().eq(old.lines()) {
            continue;
        }
        if text.trim().is_empty() {
            fs::remove_file(&path).map_err(Failure::io("remove the file"))?;
        } else {
            save(&path, &text, Whose::AsBefore)?;
        }
        files.insert(path);
    }
    for path in &files {
        console.say(format_args!("{} is as it was.", path.display()))?;
    }
    if files.is_empty() {
        console.say("There was nothing to undo.")?;
    }
    console.value(&json!({ "feed": feed, "client": client, "files": files }))
}

pub(super) fn path(change: &ClientChange) -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = change.variable.and_then(variable) {
        return Ok(path.into());
    }
    let home = || {
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        home.ok_or_else(|| Failure::text("there is no home directory"))
    };
    let base = match change.base {
        ClientBase::Home => home()?,
        ClientBase::System => PathBuf::from("/"),
        ClientBase::Config => match variable("XDG_CONFIG_HOME") {
            Some(directory) => directory.into(),
            None => home()?.join(".config"),
        },
    };
    Ok(base.join(&change.path))
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let cannot = || format!("`{}` cannot be changed", path.display());
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(Failure::Other(anyhow::Error::new(error).context(cannot()))),
    };
    let bytes = Limits::read(&mut file, LARGEST)
        .map_err(|error| Failure::Other(anyhow::Error::new(error).context(cannot())))?;
    String::from_utf8(bytes).map_err(|_| Failure::text(format!("{}: it is not UTF-8", cannot())))
}

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Of a file that is new, whoever may read new files.
    AsBefore,
    OwnersAlone,
}

/// All of the file or none; a link to it stays one.
fn save(path: &Path, text: &str, whose: Whose) -> Result<(), Failure> {
    let save = || {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let before = fs::metadata(&path).ok();
        let mut draft = match (whose, &before) {
            (Whose::AsBefore, None) => new_draft(directory)?,
            // Temporary files can be read by their owner alone.
            _ => tempfile::NamedTempFile::new_in(directory)?,
        };
        io::Write::write_all(&mut draft, text.as_bytes())?;
        if let (Whose::AsBefore, Some(about)) = (whose, before) {
            draft.as_file().set_permissions(about.permissions())?;
        }
        draft.persist(&path)?;
        Ok(())
    };
    save().map_err(Failure::io(format_args!("write `{}`", path.display())))
}

/// A file with the permissions that new files have here.
fn new_draft(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}
