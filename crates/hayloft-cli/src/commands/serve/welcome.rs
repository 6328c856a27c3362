use fs_err as fs;
use hayloft::Limits;
use hayloft_http::App;
use serde_json::json;

use super::admin_key::{self, AdminKey};
use crate::console::{Color, Console};
use crate::failure::Failure;
use crate::sources::{Config, Secrets, Source};

/// The source that commands use where none is named.
const DEFAULT: &str = "Default";
/// The setting that tells under which URL clients reach the server, where that is not its address.
const BASE_URL: &str = "web.base-url";

/// Whether commands on this machine are to find the server from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remember {
    AsDefault,
    Not,
}

/// The source that commands use where none is named.
pub(super) fn default_source() -> Result<Option<Source>, Failure> {
    Ok(Config::load()?.find(DEFAULT).cloned())
}

/// What came of keeping the server and its key as the source that commands use.
enum Saved {
    Yes,
    /// The default source leads here already.
    Before,
    /// Why not, and what to do.
    Not(String),
    NotAsked,
}

/// Never puts a source in place of another.
fn save(url: &str, remember: Remember, admin_key: &AdminKey) -> Result<Saved, Failure> {
    if remember == Remember::Not {
        return Ok(Saved::NotAsked);
    }
    let mut config = Config::load()?;
    if let Some(source) = config.find(DEFAULT) {
        if source.url.trim_end_matches('/') == url.trim_end_matches('/') {
            return Ok(Saved::Before);
        }
        return Ok(Saved::Not(format!(
            "No source was saved: Default is {} already. Keep this server beside it: hayloft \
             sources add {url} --name=NAME --api-key=KEY",
            source.url
        )));
    }
    let key = match admin_key {
        AdminKey::Shown(key) | AdminKey::ForSource(key) | AdminKey::Given(key) => key.clone(),
        AdminKey::Written(file) => {
            let mut file = fs::File::open(file).map_err(Failure::io("read the key"))?;
            let bytes = Limits::read(&mut file, 4096).map_err(anyhow::Error::new)?;
            String::from_utf8_lossy(&bytes).trim().to_owned()
        }
        AdminKey::Known | AdminKey::None => {
            return Ok(Saved::Not(format!(
                "No source was saved: the store has keys, and keeps nothing to use them with. Save \
                 one that you have: hayloft sources add {url} --api-key=KEY"
            )));
        }
    };
    let mut source = Source::new(DEFAULT, url);
    source.set_key(&key, Secrets::Hidden)?;
    config.sources.push(source);
    config.save()?;
    Ok(Saved::Yes)
}

/// Tells where everything is, and how clients come to it.
pub(super) fn tell(
    console: &mut Console,
    app: &App,
    url: &str,
    admin_key: &AdminKey,
    remember: Remember,
) -> Result<(), Failure> {
    let store = app.store();
    let set = store.setting(BASE_URL).map_err(anyhow::Error::new)?;
    let url = set.as_deref().map_or(url, |set| set.trim_end_matches('/'));
    let saved = save(url, remember, admin_key);
    if let (Err(_), AdminKey::ForSource(key)) = (&saved, admin_key) {
        admin_key::give_up(store, key)?;
    }
    let saved = saved?;
    let is_default = matches!(saved, Saved::Yes | Saved::Before);
    let directory = store.directory();
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let (key, file) = match admin_key {
        AdminKey::Shown(key) => (Some(key.as_str()), None),
        AdminKey::Written(file) => (None, Some(file)),
        AdminKey::Known | AdminKey::Given(_) | AdminKey::ForSource(_) | AdminKey::None => {
            (None, None)
        }
    };
    console.value(&json!({
        "url": url, "store": directory, "adminKey": key, "adminKeyFile": file,
    }))?;
    console.colored(Color::Bold, format_args!("Hayloft serves {}", directory.display()))?;
    console.line(format_args!("at {url}"))?;
    if let Some(file) = file {
        console.line(format_args!("The key for administration is in {}", file.display()))?;
    }
    if let Some(key) = key {
        console.line("")?;
        console.line("Key for administration, shown this once:")?;
        console.colored(Color::Green, format_args!("  {key}"))?;
        if !is_default {
            console.line("Let commands on this machine use it:")?;
            console.line(format_args!("  hayloft sources add {url} --api-key={key}"))?;
        }
    }
    match &saved {
        Saved::Yes => console
            .line("Commands on this machine use this server: it is the source Default now.")?,
        Saved::Before => {
            console.line("Commands on this machine use this server: it is the source Default.")?;
        }
        Saved::Not(why) => console.note(why),
        Saved::NotAsked => {}
    }
    let feeds = store.feeds().map_err(anyhow::Error::new)?;
    if feeds.is_empty() {
        console.line("")?;
        console.line("There are no feeds yet. Create one:")?;
        let place =
            if is_default { String::new() } else { format!(" --source={url} --api-key=KEY") };
        if let Some(first) = store.types().iter().next() {
            console.line(format_args!("  hayloft feeds create dev {}{place}", first.tag()))?;
        }
    }
    // A client cannot use a socket file; a proxy in front of it has another URL.
    let feeds = if url.starts_with("unix:") { Vec::new() } else { feeds };
    for feed in &feeds {
        console.line("")?;
        console.colored(Color::Bold, format_args!("{} ({})", feed.name, feed.feed_type))?;
        // One feed that is damaged keeps none of the others from being served.
        let setups =
            hayloft_http::native::client_setup(store, feed, url, key).unwrap_or_else(|error| {
                console.note(format_args!("The feed {} cannot be read: {error}.", feed.name));
                Vec::new()
            });
        for setup in setups {
            console.line(format_args!("  # {}", setup.client))?;
            for line in setup.lines {
                console.line(format_args!("  {line}"))?;
            }
        }
    }
    console.line("")?;
    console.line("Stop with Ctrl-C.")
}
