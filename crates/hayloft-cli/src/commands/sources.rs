use serde_json::{Value, json};

use super::health;
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Connection, Place};
use crate::console::Console;
use crate::failure::Failure;
use crate::sources::{Config, Secrets, Source};

pub(super) const COMMAND: Command = Command::group(
    "sources",
    "Servers with a name, in pgutil's config file",
    &[],
    &[
        Command::action(
            "add",
            "Adds a source, or replaces one",
            &[
                Opt::text("url", "URL of the server").required(),
                Opt::text("name", "Name of the source; by default Default"),
                Opt::text("feed", "Feed for commands that name none"),
                Opt::text("api-key", "API key"),
                Opt::text("username", "User name, in place of a key"),
                Opt::text("password", "Password of the user"),
                Opt::flag("plain-text", "Do not hide key and password in the file"),
            ],
            add,
        )
        .words(&[Word::Value("url"), Word::Value("name")])
        .examples(&["hayloft sources add --url=https://packages.example.com --api-key=KEY"]),
        Command::action("list", "Lists sources", &[], list),
        Command::action(
            "remove",
            "Removes a source",
            &[Opt::text("name", "Name of the source").required()],
            remove,
        )
        .words(&[Word::Value("name")]),
        Command::action(
            "test",
            "Asks sources whether they work",
            &[Opt::text("name", "Only this source")],
            test,
        )
        .words(&[Word::Value("name")]),
    ],
);

fn add(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let name = invocation.text("name").unwrap_or("Default");
    let url = invocation.required("url")?;
    let feed = invocation.text("feed");
    for (option, text) in [("name", Some(name)), ("feed", feed)] {
        if text.is_some_and(|text| text.trim() != text) {
            return Err(Failure::option(option, "blanks at the ends are not allowed"));
        }
    }
    let good = url.parse::<axum::http::Uri>().is_ok() && crate::connection::is_url(url);
    if !good && !url.starts_with("unix:") {
        let text = "this is no URL that begins http:// or https://, and no unix:PATH";
        return Err(Failure::option("url", text));
    }
    // Later commands run anywhere.
    let absolute = match url.strip_prefix("unix:").filter(|path| !path.starts_with('/')) {
        Some(path) => {
            let path =
                std::path::absolute(path).map_err(Failure::io("find the socket's folder"))?;
            Some(format!("unix:{}", path.display()))
        }
        None => None,
    };
    let mut source = Source::new(name, absolute.as_deref().unwrap_or(url));
    source.default_feed = feed.map(str::to_owned);
    source.username = invocation.text("username").map(str::to_owned);
    let secrets = if invocation.flag("plain-text") { Secrets::Plain } else { Secrets::Hidden };
    if let Some(key) = invocation.text("api-key") {
        source.set_key(key, secrets)?;
    }
    if let Some(password) = invocation.text("password") {
        source.set_password(password, secrets)?;
    }
    if source.has_secret() {
        console.note(match secrets {
            Secrets::Plain => "Credentials are stored as plain text.",
            Secrets::Hidden => {
                "Credentials are stored hidden, not secure: who reads the file has them."
            }
        });
    }
    let mut config = Config::load()?;
    config.sources.retain(|other| !other.name.eq_ignore_ascii_case(name));
    config.sources.push(source);
    config.save()
}

fn list(_: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let config = Config::load()?;
    let shown: Vec<Value> = config
        .sources
        .iter()
        .map(|source| {
            json!({
                "name": source.name, "url": source.url, "defaultFeed": source.default_feed,
                "username": source.username, "hasCredentials": source.has_secret(),
            })
        })
        .collect();
    console.value(&shown)?;
    if config.sources.is_empty() {
        console.line("No sources configured.")?;
    }
    for (at, source) in config.sources.iter().enumerate() {
        let feed = source.default_feed.as_deref().map(|feed| format!(" ({feed} feed)"));
        console.line(format_args!("{}. {}{}", at + 1, source.name, feed.unwrap_or_default()))?;
        console.line(format_args!("   {}", with_user(source)))?;
    }
    Ok(())
}

/// The URL with who logs in.
fn with_user(source: &Source) -> String {
    let user = source.key().map(|_| "api").or(source.username.as_deref());
    match (user, source.url.split_once("://")) {
        (Some(user), Some((scheme, rest))) => format!("{scheme}://{user}@{rest}"),
        _ => source.url.clone(),
    }
}

fn remove(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let name = invocation.required("name")?;
    let mut config = Config::load()?;
    let before = config.sources.len();
    config.sources.retain(|source| !source.name.eq_ignore_ascii_case(name));
    let removed = config.sources.len() < before;
    if removed {
        config.save()?;
        console.say(format_args!("Removed {name} source."))?;
    } else {
        console.line(format_args!("Source {name} not found."))?;
    }
    console.value(&json!({ "name": name, "removed": removed }))
}

fn test(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let config = Config::load()?;
    let name = invocation.text("name");
    let asked = |source: &&Source| name.is_none_or(|name| source.name.eq_ignore_ascii_case(name));
    let sources: Vec<&Source> = config.sources.iter().filter(asked).collect();
    if let (Some(name), true) = (name, sources.is_empty()) {
        return Err(Failure::option("name", format!("Source {name} not found.")));
    }
    let mut results = Vec::new();
    let mut works = true;
    for source in sources {
        let place = Place::Server {
            url: source.url.clone(),
            key: source.key(),
            user: None,
            default_feed: None,
        };
        let name = &source.name;
        let found = Connection::to(place, console).and_then(|connection| health::ask(&connection));
        match found {
            Ok((_, info)) => {
                let release = info.release_number;
                // The original's line stays; scripts look for it.
                console.line(format_args!("[{name}] Successfully contacted ProGet {release}."))?;
                if let Some(version) = &info.hayloft_version {
                    console.line(format_args!("[{name}] It is Hayloft {version}."))?;
                }
                results.push(json!({
                    "name": name, "releaseNumber": release,
                    "hayloftVersion": info.hayloft_version,
                }));
            }
            Err(failure) => {
                works = false;
                let failure = failure.to_string();
                console.error(format_args!("[{name}] Error contacting ProGet: {failure}"));
                results.push(json!({ "name": name, "error": failure }));
            }
        }
    }
    console.value(&results)?;
    if works { Ok(()) } else { Err(Failure::Told) }
}
