use std::ops::Deref;
use std::path::PathBuf;

use hayloft::{Create, OpenError, OpenOptions, Opened, Store};

use super::local::Local;
use super::remote::Remote;
use super::{Connection, Credential, Transport};
use crate::arguments::{Invocation, Mistake, nearest};
use crate::console::Console;
#[cfg(unix)]
use crate::control;
use crate::failure::Failure;
use crate::interrupt;
use crate::kinds;
use crate::logs;
use crate::sources::{Config, Source};

/// The store that commands use if nothing else is said.
const STORE: &str = "hayloft-data";
/// The source that commands use if it is there and nothing else is said, as in pgutil.
const SOURCE: &str = "Default";

/// Where a command's requests go.
#[derive(Debug)]
pub(crate) enum Place {
    Store(StorePlace),
    Server { url: String, key: Option<String>, user: Option<String>, default_feed: Option<String> },
}

/// A directory, and who named it.
#[derive(Debug, Clone)]
pub(crate) struct StorePlace {
    pub(crate) directory: PathBuf,
    named: Named,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Option,
    Environment,
    Nobody,
}

impl StorePlace {
    /// A directory that an option names.
    pub(crate) fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), named: Named::Option }
    }

    /// The store of commands that work on nothing else.
    pub(crate) fn of(invocation: &Invocation) -> Self {
        match invocation.text("store") {
            Some(directory) => Self::at(directory),
            None => Self::of_environment()
                .unwrap_or_else(|| Self { directory: STORE.into(), named: Named::Nobody }),
        }
    }

    fn of_environment() -> Option<Self> {
        let directory = std::env::var_os("HAYLOFT_STORE").filter(|value| !value.is_empty())?;
        Some(Self { directory: directory.into(), named: Named::Environment })
    }

    fn not_opened(&self, error: OpenError) -> Failure {
        let in_use = matches!(error, OpenError::InUse { .. });
        if matches!(error, OpenError::Missing { .. }) {
            return self.missing();
        }
        let context = format!("the store in `{}` cannot be opened", self.directory.display());
        let failure = Failure::Other(anyhow::Error::new(error).context(context));
        if in_use {
            failure.advise("where hayloft serve runs, add --source=http://127.0.0.1:8624")
        } else {
            failure
        }
    }

    /// There is no store here: where that is, and how to get one.
    fn missing(&self) -> Failure {
        let place = std::path::absolute(&self.directory).unwrap_or_else(|_| self.directory.clone());
        let how = match self.named {
            Named::Option => "",
            Named::Environment => ", which HAYLOFT_STORE names",
            Named::Nobody => ", the default",
        };
        Failure::text(format!("there is no store in `{}`{how}", place.display())).advise(
            "make one with hayloft feeds create or hayloft serve; name another with --store, or a \
             server with --source",
        )
    }
}

/// In this order: `--source`, `--store`, `HAYLOFT_STORE`, the source `Default`, a directory.
pub(crate) fn place(invocation: &Invocation) -> Result<Place, Failure> {
    let store = invocation.text("store");
    match (invocation.text("source"), store) {
        (Some(_), Some(_)) => {
            return Err(Failure::option("store", "give either --source or --store, not both"));
        }
        (Some(source), None) if is_url(source) || source.starts_with("unix:") => {
            return server(&Source::new("", source), invocation);
        }
        (Some(name), None) => {
            let config = Config::load()?;
            let source = config.find(name).ok_or_else(|| {
                let known = config.sources.iter().map(|source| source.name.as_str());
                let text = format!("--source error: Source {name} not found.");
                Failure::Arguments(vec![Mistake::new(text).meaning(nearest(name, known))])
            })?;
            return server(source, invocation);
        }
        (None, Some(directory)) => return Ok(Place::Store(StorePlace::at(directory))),
        (None, None) => {}
    }
    if let Some(place) = StorePlace::of_environment() {
        return Ok(Place::Store(place));
    }
    // Where the config file is damaged the original has no sources either.
    match Config::load().unwrap_or_default().find(SOURCE) {
        Some(source) => server(source, invocation),
        None => Ok(Place::Store(StorePlace::of(invocation))),
    }
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

pub(super) fn connect(
    place: Place,
    create: Create,
    console: &Console,
) -> Result<Connection, Failure> {
    interrupt::listen();
    match place {
        Place::Server { url, key, user, default_feed } => {
            let credential = if key.is_some() { Credential::Shown } else { Credential::None };
            let transport: Box<dyn Transport> = Box::new(Remote::new(&url, key.clone())?);
            Ok(Connection { transport, default_feed, place: url, user, credential, key })
        }
        Place::Store(place) => {
            let user = user_of_the_system();
            let mut options = OpenOptions::default();
            options.create = create;
            let store = open_store(&place, options, console)?;
            Ok(Connection {
                transport: Box::new(Local::new(store, &user)?),
                default_feed: None,
                place: place.directory.display().to_string(),
                user: Some(user),
                credential: Credential::NotNeeded,
                key: None,
            })
        }
    }
}

/// The store of a command that works on nothing else.
#[derive(Debug)]
pub(crate) struct Held {
    store: Store,
    /// Whether this process is there for the command alone.
    own: bool,
}

impl Held {
    /// Opens the store that the command names. If a server holds it, that carries out the command,
    /// and the failure says that nothing is left to be done.
    pub(crate) fn of(
        invocation: &Invocation,
        options: OpenOptions,
        console: &mut Console,
    ) -> Result<Self, Failure> {
        if let Some(store) = console.lent_store() {
            return Ok(Self { store: store.clone(), own: false });
        }
        let place = StorePlace::of(invocation);
        match open(&place, options) {
            Ok(store) => Ok(Self { store: opened(&place, store, console), own: true }),
            Err(error) => {
                #[cfg(unix)]
                if matches!(error, OpenError::InUse { .. })
                    && let Some(ended) = control::ask(&place.directory, console)
                {
                    return Err(ended);
                }
                Err(place.not_opened(error))
            }
        }
    }

    /// Gives the directory free, unless others use it.
    pub(crate) fn end(self) -> Result<(), Failure> {
        if self.own { Ok(self.store.close().map_err(anyhow::Error::new)?) } else { Ok(()) }
    }
}

impl Deref for Held {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Opens the store in a directory; if it makes one there, it says so.
pub(crate) fn open_store(
    place: &StorePlace,
    options: OpenOptions,
    console: &Console,
) -> Result<Store, Failure> {
    let store = open(place, options).map_err(|error| place.not_opened(error))?;
    Ok(opened(place, store, console))
}

fn open(place: &StorePlace, options: OpenOptions) -> Result<Store, OpenError> {
    logs::start_for_command();
    Store::open(&place.directory, kinds::types(), options)
}

fn opened(place: &StorePlace, store: Store, console: &Console) -> Store {
    if store.opened() == Opened::Created {
        console.note(format_args!("Created a new store in {}.", place.directory.display()));
    }
    store
}

/// Who is logged in; `local` where the system does not tell.
pub(crate) fn user_of_the_system() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "local".to_owned())
}
