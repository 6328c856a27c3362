use std::net::SocketAddr;

use hayloft::Store;
use hayloft_http::App;
use serde_json::json;

use super::admin_key::AdminKey;
use crate::console::{Color, Console};
use crate::failure::Failure;

/// The setting that tells under which URL clients reach the server, where that is not its address.
const BASE_URL: &str = "web.base-url";

/// Tells where everything is, and how clients come to it.
pub(super) fn tell(
    console: &mut Console,
    app: &App,
    address: SocketAddr,
    encrypted: bool,
    admin_key: &AdminKey,
) -> Result<(), Failure> {
    let store = app.store();
    let url = &url(store, address, encrypted)?;
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
        console.line("Let commands on this machine use it:")?;
        console.line(format_args!("  hayloft sources add {url} --api-key={key}"))?;
    }
    let feeds = store.feeds().map_err(anyhow::Error::new)?;
    if feeds.is_empty() {
        console.line("")?;
        console.line("There are no feeds yet. Create one:")?;
        let command = "hayloft feeds create dev nuget";
        console.line(format_args!("  {command} --source={url} --api-key=KEY"))?;
    }
    for feed in &feeds {
        console.line("")?;
        console.colored(Color::Bold, format_args!("{} ({})", feed.name, feed.feed_type))?;
        let setups = hayloft_http::native::client_setup(store, feed, url, key);
        for setup in setups.map_err(anyhow::Error::new)? {
            console.line(format_args!("  # {}", setup.client))?;
            for line in setup.lines {
                console.line(format_args!("  {line}"))?;
            }
        }
    }
    console.line("")?;
    console.line("Stop with Ctrl-C.")
}

/// Under which URL clients find the server.
fn url(store: &Store, address: SocketAddr, encrypted: bool) -> Result<String, Failure> {
    if let Some(url) = store.setting(BASE_URL).map_err(anyhow::Error::new)? {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let scheme = if encrypted { "https" } else { "http" };
    Ok(if address.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    })
}
