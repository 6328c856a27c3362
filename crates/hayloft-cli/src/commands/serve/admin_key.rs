//! The first key of a store, by which all others are made. It is secret for ever, so it goes to
//! nowhere that is kept: not into the log of a service, which is what standard output is there.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use hayloft::{Actor, ApiKey, Create, KeyError, KeyGrant, OpenOptions, Store};
use serde_json::json;

use super::welcome::{Remember, default_source};
use crate::arguments::Invocation;
use crate::connection::Held;
use crate::console::Console;
use crate::failure::Failure;

/// Environment variable with the text of a key that may do everything.
const VARIABLE: &str = "HAYLOFT_ADMIN_KEY";
/// Names of the keys that are made here.
const NAME: &str = "admin";
const NAME_OF_VARIABLE: &str = "admin (HAYLOFT_ADMIN_KEY)";

/// How the one who starts a server gets at a key.
#[derive(Debug)]
pub(super) enum AdminKey {
    /// There are keys already, whose texts are nowhere.
    Known,
    /// The one that was given in the variable.
    Given(String),
    /// Made now, for the terminal.
    Shown(String),
    /// Made now, and written to a file.
    Written(PathBuf),
    /// Made now, for the source that commands of the same person use.
    ForSource(String),
    /// There is none, and no place for one.
    None,
}

/// Sees to it that there is a key if the store has none at all.
pub(super) fn first(
    store: &Store,
    invocation: &Invocation,
    remember: Remember,
    console: &Console,
) -> Result<AdminKey, Failure> {
    if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let text = text.into_string().map_err(|_| wrong_variable())?;
        of_variable(store, &text)?;
        return Ok(AdminKey::Given(text));
    }
    if !store.keys().map_err(anyhow::Error::new)?.is_empty() {
        return Ok(AdminKey::Known);
    }
    if let Some(path) = invocation.text("admin-key-file") {
        return make_into(store, Path::new(path)).map(AdminKey::Written);
    }
    if io::stdout().is_terminal() {
        return make(store).map(|(_, text)| AdminKey::Shown(text));
    }
    if remember == Remember::AsDefault && default_source()?.is_none() {
        return make(store).map(|(_, text)| AdminKey::ForSource(text));
    }
    console.note(
        "There is no key for administration yet, and no terminal to show one on. Start with \
         --admin-key-file=FILE or HAYLOFT_ADMIN_KEY, or run hayloft apikeys reset-admin.",
    );
    Ok(AdminKey::None)
}

/// Nobody will ever know the text of this key.
pub(super) fn give_up(store: &Store, text: &str) -> Result<(), Failure> {
    if let Some(key) = store.find_key(text).map_err(anyhow::Error::new)? {
        store.delete_key(key.id, &Actor::system()).map_err(anyhow::Error::new)?;
    }
    Ok(())
}

/// `hayloft apikeys reset-admin`: a new key in place of the lost one.
pub(in crate::commands) fn reset(
    invocation: &Invocation,
    console: &mut Console,
) -> Result<(), Failure> {
    if invocation.text("source").is_some() {
        let text = "this works on the store itself, on its machine: name it with --store";
        return Err(Failure::option("source", text));
    }
    let mut options = OpenOptions::default();
    options.create = Create::Never;
    let store = Held::of(invocation, options, console)?;
    let old: Vec<ApiKey> = named(&store, NAME)?;
    let path = invocation.text("admin-key-file").map(|path| console.path(path));
    // The new one first, so that there is always one.
    let (made, path) = match path {
        Some(path) => (None, Some(make_into(&store, &path)?)),
        None => (Some(make(&store)?.1), None),
    };
    for key in &old {
        store.delete_key(key.id, &Actor::system()).map_err(anyhow::Error::new)?;
    }
    store.end()?;
    if let Some(path) = &path {
        console.say(format_args!("The key for administration is in {}.", path.display()))?;
    }
    // Only the text of the key, as other commands that make keys print it.
    if let Some(text) = &made {
        console.line(text)?;
    }
    console.value(&json!({ "key": made, "file": path, "deleted": old.len() }))
}

/// The keys that may do everything and are called like this.
fn named(store: &Store, name: &str) -> Result<Vec<ApiKey>, Failure> {
    let mut keys = store.keys().map_err(anyhow::Error::new)?;
    keys.retain(|key| {
        let everything = key.grant.system_apis.iter().any(|api| api == "full-control");
        everything && key.grant.display_name.as_deref() == Some(name)
    });
    Ok(keys)
}

/// The key of the variable, and no older one of it.
fn of_variable(store: &Store, text: &str) -> Result<(), Failure> {
    let found = store.find_key(text).map_err(anyhow::Error::new)?;
    for key in named(store, NAME_OF_VARIABLE)? {
        if found.as_ref().is_none_or(|found| found.id != key.id) {
            store.delete_key(key.id, &Actor::system()).map_err(anyhow::Error::new)?;
        }
    }
    if found.is_some() {
        return Ok(());
    }
    let made = store.create_key(grant(NAME_OF_VARIABLE), Some(text), &Actor::system());
    made.map(drop).map_err(|error| match error {
        KeyError::Text => wrong_variable(),
        other => Failure::Other(anyhow::Error::new(other)),
    })
}

fn wrong_variable() -> Failure {
    Failure::text(format!(
        "{VARIABLE} holds no key: one has 16 to 256 printable ASCII characters without blanks"
    ))
}

fn make(store: &Store) -> Result<(ApiKey, String), Failure> {
    let made = store.create_key(grant(NAME), None, &Actor::system());
    let (key, text) = made.map_err(anyhow::Error::new)?;
    Ok((key, text.reveal().to_owned()))
}

/// A key whose text is only in a file of its owner. Without the file there is no key.
fn make_into(store: &Store, path: &Path) -> Result<PathBuf, Failure> {
    let (key, text) = make(store)?;
    if let Err(error) = write(path, &text) {
        store.delete_key(key.id, &Actor::system()).map_err(anyhow::Error::new)?;
        return Err(Failure::io(format_args!("write the key to `{}`", path.display()))(error));
    }
    Ok(path.to_owned())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Temporary files can be read by their owner alone.
    let mut draft = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    writeln!(draft, "{text}")?;
    draft.persist(path)?;
    Ok(())
}

fn grant(name: &str) -> KeyGrant {
    KeyGrant {
        kind: "system".to_owned(),
        display_name: Some(name.to_owned()),
        system_apis: vec!["full-control".to_owned()],
        logging: "none".to_owned(),
        ..KeyGrant::default()
    }
}
