use fs_err as fs;
use hayloft::Limits;
use hayloft_http::App;
use serde_json::json;

use super::admin_key::AdminKey;
use crate::console::{Color, Console};
use crate::failure::Failure;
use crate::sources::{Config, Secrets, Source};

/// The setting that tells under which URL clients reach the server, where that is not its address.
const BASE_URL: &str = "web.base-url";

/// Whether commands on this machine are to find the server from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remember {
    AsDefault,
    Not,
}

/// Keeps the server and its new key as the source that commands use; never in place of another.
fn save(url: &str, admin_key: &AdminKey) -> Result<bool, Failure> {
    const NAME: &str = "Default";
    let key = match admin_key {
        AdminKey::Shown(key) => key.clone(),
        AdminKey::Written(file) => {
            let mut file = fs::File::open(file).map_err(Failure::io("read the key"))?;
            let bytes = Limits::read(&mut file, 4096).map_err(anyhow::Error::new)?;
            String::from_utf8_lossy(&bytes).trim().to_owned()
        }
        AdminKey::Known | AdminKey::None => return Ok(false),
    };
    let mut config = Config::load()?;
    if config.find(NAME).is_some() {
        return Ok(false);
    }
    let mut source = Source::new(NAME, url);
    source.set_key(&key, Secrets::Hidden)?;
    config.sources.push(source);
    config.save()?;
    Ok(true)
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
    let saved = remember == Remember::AsDefault && save(url, admin_key)?;
    let directory = store.directory();
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let (key, file) = match admin_key {
        AdminKey::Shown(key) => (Some(key.as_str()), None),
        AdminKey::Written(file) => (None, Some(file)),
        AdminKey::Known | AdminKey::None => (None, None),
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
        if !saved {
            console.line("Let commands on this machine use it:")?;
            console.line(format_args!("  hayloft sources add {url} --api-key={key}"))?;
        }
    }
    if saved {
        console.line("Commands on this machine use this server: it is the source Default now.")?;
    } else if remember == Remember::AsDefault {
        console.note("No source was saved: there is one called Default, or the key is not new.");
    }
    let feeds = store.feeds().map_err(anyhow::Error::new)?;
    if feeds.is_empty() {
        console.line("")?;
        console.line("There are no feeds yet. Create one:")?;
        let place = if saved { String::new() } else { format!(" --source={url} --api-key=KEY") };
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
