use std::path::{Path, PathBuf};

use hayloft::{OpenOptions, Opened, Store};

use super::local::Local;
use super::remote::Remote;
use super::{Connection, Transport};
use crate::arguments::Invocation;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::logs;
use crate::sources::{Config, Source};

/// The store that commands use if nothing else is said.
const STORE: &str = "hayloft-data";
/// The source that commands use if it is there and nothing else is said, as in pgutil.
const SOURCE: &str = "Default";

/// Where a command's requests go.
#[derive(Debug)]
pub(crate) enum Place {
    Store { directory: PathBuf },
    Server { url: String, key: Option<String>, user: Option<String>, default_feed: Option<String> },
}

/// In this order: `--source`, `--store`, `HAYLOFT_STORE`, the source `Default`, a directory.
pub(super) fn place(invocation: &Invocation) -> Result<Place, Failure> {
    let store = invocation.text("store");
    match (invocation.text("source"), store) {
        (Some(_), Some(_)) => {
            return Err(Failure::option("store", "give either --source or --store, not both"));
        }
        (Some(source), None) if is_url(source) => {
            return server(&Source::new("", source), invocation);
        }
        (Some(name), None) => {
            let config = Config::load()?;
            let source = config
                .find(name)
                .ok_or_else(|| Failure::option("source", format!("Source {name} not found.")))?;
            return server(source, invocation);
        }
        (None, Some(directory)) => return Ok(Place::Store { directory: directory.into() }),
        (None, None) => {}
    }
    if let Some(directory) = store_of_environment() {
        return Ok(Place::Store { directory });
    }
    // Where the config file is damaged the original has no sources either.
    match Config::load().unwrap_or_default().find(SOURCE) {
        Some(source) => server(source, invocation),
        None => Ok(Place::Store { directory: STORE.into() }),
    }
}

/// The store of commands that work on nothing else.
pub(crate) fn store_directory(invocation: &Invocation) -> PathBuf {
    let asked = invocation.text("store").map(PathBuf::from);
    asked.or_else(store_of_environment).unwrap_or_else(|| STORE.into())
}

fn store_of_environment() -> Option<PathBuf> {
    let directory = std::env::var_os("HAYLOFT_STORE").filter(|value| !value.is_empty())?;
    Some(directory.into())
}

/// Whether this is the URL of a server and not a name.
pub(crate) fn is_url(text: &str) -> bool {
    let starts = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts("http://") || starts("https://")
}

fn server(source: &Source, invocation: &Invocation) -> Result<Place, Failure> {
    let asked = invocation.text("username");
    let user = asked.map(str::to_owned).or_else(|| source.username.clone());
    // A user travels in the header of the key, as in pgutil.
    let pair = |user: &str, password: Option<String>| match password {
        Some(password) => Ok(format!("{user}:{password}")),
        None => Err(Failure::option("password", "a user name needs a password")),
    };
    let password = invocation.text("password").map(str::to_owned);
    let key = match (invocation.text("api-key"), asked, source.key()) {
        (Some(key), _, _) => Some(key.to_owned()),
        (None, Some(user), _) => Some(pair(user, password)?),
        (None, None, Some(key)) => Some(key),
        (None, None, None) => match &source.username {
            Some(user) => Some(pair(user, password.or_else(|| source.secret()))?),
            None => None,
        },
    };
    let default_feed = source.default_feed.clone();
    Ok(Place::Server { url: source.url.clone(), key, user, default_feed })
}

pub(super) fn connect(place: Place, console: &Console) -> Result<Connection, Failure> {
    interrupt::listen();
    match place {
        Place::Server { url, key, user, default_feed } => {
            let transport: Box<dyn Transport> = Box::new(Remote::new(&url, key)?);
            Ok(Connection { transport, default_feed, place: url, user })
        }
        Place::Store { directory } => {
            let user = user_of_the_system();
            let store = open_store(&directory, OpenOptions::default(), console)?;
            Ok(Connection {
                transport: Box::new(Local::new(store, &user)?),
                default_feed: None,
                place: directory.display().to_string(),
                user: Some(user),
            })
        }
    }
}

/// Opens the store in a directory; if it makes one there, it says so.
pub(crate) fn open_store(
    directory: &Path,
    options: OpenOptions,
    console: &Console,
) -> Result<Store, Failure> {
    logs::start("error");
    let opened = Store::open(directory, hayloft::feed_types(), options);
    let store = opened.map_err(|error| {
        let context = format!("the store in `{}` cannot be opened", directory.display());
        Failure::Other(anyhow::Error::new(error).context(context))
    })?;
    if store.opened() == Opened::Created {
        console.note(format_args!("Created a new store in {}.", directory.display()));
    }
    Ok(store)
}

/// Who is logged in; `local` where the system does not tell.
pub(crate) fn user_of_the_system() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "local".to_owned())
}
