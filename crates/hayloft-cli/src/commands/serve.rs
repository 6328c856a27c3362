//! `hayloft serve`: a store on this machine, for others.

mod memory;
mod tls;

use std::net::SocketAddr;
use std::path::Path;

use hayloft::{Actor, KeyGrant, OpenOptions, Store};
use hayloft_http::{App, ServeOptions};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::STORE;
use crate::arguments::{Command, Invocation, Opt};
use crate::connection::{open_store, store_directory};
use crate::console::{Color, Console};
use crate::failure::Failure;
use crate::logs;

/// Where a server listens if nothing else is said: reachable from this machine alone.
const ADDRESS: &str = "127.0.0.1:8624";
/// The setting that tells under which URL clients reach the server, where that is not its address.
const BASE_URL: &str = "web.base-url";

pub(super) const COMMAND: Command = Command::action(
    "serve",
    "Serves a store to other machines until it is told to stop",
    &[
        STORE,
        Opt::text("address", "Address and port to listen on; by default 127.0.0.1:8624"),
        Opt::text("tls-cert", "Certificate chain in PEM; with it the server speaks TLS only"),
        Opt::text("tls-key", "Private key of the certificate in PEM"),
        Opt::text(
            "inspection-memory",
            "MiB of memory for reading package files, all at once together; by default 256",
        ),
        Opt::text("log", "What to log, such as warn or debug; by default info"),
    ],
    serve,
)
.examples(&[
    "hayloft serve",
    "hayloft serve --store=/srv/hayloft --address=0.0.0.0:443 --tls-cert=a.pem --tls-key=a.key",
]);

fn serve(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    logs::start(invocation.text("log").unwrap_or("info"));
    memory::share_one_arena();
    let address = invocation.text("address").unwrap_or(ADDRESS);
    let address: SocketAddr = address.parse().map_err(|_| {
        Failure::option("address", "this is no IP address and port, such as 127.0.0.1:8624")
    })?;
    let mut options = ServeOptions::default();
    options.tls = match (invocation.text("tls-cert"), invocation.text("tls-key")) {
        (Some(certificate), Some(key)) => {
            Some(tls::configuration(Path::new(certificate), Path::new(key))?)
        }
        (None, None) => None,
        (Some(_), None) => return Err(Failure::option("tls-key", "the certificate needs its key")),
        (None, Some(_)) => {
            return Err(Failure::option("tls-cert", "the key needs its certificate"));
        }
    };
    let store = open_store(&store_directory(invocation), store_options(invocation)?, console)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("start threads"))?;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .map_err(Failure::io(format_args!("listen on {address}")))?;
    let address = listener.local_addr().map_err(Failure::io("find the address"))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let app = App::builder(store.clone()).built_in_protocols().build();
    let encrypted = options.tls.is_some();
    if !address.ip().is_loopback() && !encrypted {
        console.note("Without --tls-cert, keys and packages travel in the clear.");
    }
    welcome(console, &app, &url(&store, address, encrypted)?)?;
    console.flush()?;
    runtime.block_on(run(listener, app, options, signals, console));
    // Waits for what blocking threads are doing, so that nothing is cut off by closing.
    drop(runtime);
    store.close().map_err(anyhow::Error::new)?;
    Ok(())
}

/// How the store is opened, as far as the command line says.
fn store_options(invocation: &Invocation) -> Result<OpenOptions, Failure> {
    let mut options = OpenOptions::default();
    if let Some(text) = invocation.text("inspection-memory") {
        let mebibytes = text.parse().ok().filter(|number| (8..=1 << 20).contains(number));
        let mebibytes: u64 = mebibytes.ok_or_else(|| {
            Failure::option("inspection-memory", "this is no number of MiB from 8 on, such as 256")
        })?;
        options.inspection_memory = mebibytes << 20;
    }
    Ok(options)
}

/// Serves until the first signal to stop, then until running requests are done or a second one.
async fn run(
    listener: TcpListener,
    app: App,
    options: ServeOptions,
    mut signals: Signals,
    console: &Console,
) {
    let (stop, stopped) = oneshot::channel();
    let stopped = async { stopped.await.unwrap_or_default() };
    let router = hayloft_http::router(app);
    tokio::select! {
        () = hayloft_http::serve(listener, router, options, stopped) => {}
        () = async {
            signals.next().await;
            console.note("Finishing what is running; a second signal stops at once.");
            // The server has ended by itself if nobody listens.
            let _ = stop.send(());
            signals.next().await;
        } => {}
    }
}

/// Ctrl-C, and what service managers send.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(Failure::io("listen to signals"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
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

/// Tells where everything is, and how clients come to it.
fn welcome(console: &mut Console, app: &App, url: &str) -> Result<(), Failure> {
    let store = app.store();
    let directory = store.directory();
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let key = first_key(store)?;
    console.value(&json!({ "url": url, "store": directory, "adminKey": key }))?;
    console.colored(Color::Bold, format_args!("Hayloft serves {}", directory.display()))?;
    console.line(format_args!("at {url}"))?;
    if let Some(key) = &key {
        console.line("")?;
        console.line("Key for administration, shown this once:")?;
        console.colored(Color::Green, format_args!("  {key}"))?;
        console.line("Let commands on this machine use it:")?;
        console.line(format_args!("  hayloft sources add --url={url} --api-key={key}"))?;
    }
    let feeds = store.feeds().map_err(anyhow::Error::new)?;
    if feeds.is_empty() {
        console.lines("\nThere are no feeds yet. Create one:")?;
        let command = format!("hayloft feeds create --source={url} --api-key=KEY");
        console.line(format_args!("  {command} --name=dev --type=NuGet"))?;
    }
    for feed in &feeds {
        console.line("")?;
        console.colored(Color::Bold, format_args!("{} ({})", feed.name, feed.feed_type))?;
        let mut native = app.protocols().filter(|each| each.feed_type() == feed.feed_type);
        let Some(protocol) = native.next() else {
            let command = format!("hayloft packages list --source={url} --api-key=KEY");
            console.line(format_args!("  {command} --feed={}", feed.name))?;
            continue;
        };
        let feed_url = format!("{url}/{}/{}", protocol.path(), feed.name);
        for line in protocol.client_setup(feed, &feed_url) {
            console.line(format_args!("  {line}"))?;
        }
    }
    console.lines("\nStop with Ctrl-C.")
}

/// Makes a key that may do everything if the store has no key at all.
fn first_key(store: &Store) -> Result<Option<String>, Failure> {
    if !store.keys().map_err(anyhow::Error::new)?.is_empty() {
        return Ok(None);
    }
    let grant = KeyGrant {
        kind: "system".to_owned(),
        display_name: Some("admin".to_owned()),
        system_apis: vec!["full-control".to_owned()],
        logging: "none".to_owned(),
        ..KeyGrant::default()
    };
    let (_, text) = store.create_key(grant, None, &Actor::system()).map_err(anyhow::Error::new)?;
    Ok(Some(text.reveal().to_owned()))
}
