//! `hayloft serve`: a store on this machine, for others.

mod address;
mod admin_key;
mod files;
mod limits;
mod memory;
mod signals;
mod tls;
mod welcome;

use std::path::Path;
use std::sync::Arc;

use hayloft::OpenOptions;
use hayloft_http::{App, ServeOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::address::Address;
pub(super) use self::admin_key::reset;
use self::limits::Limits;
use self::signals::{Signal, Signals};
use self::tls::Certificate;
use super::STORE;
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{StorePlace, open_store};
use crate::console::Console;
use crate::failure::Failure;
use crate::logs;

pub(super) const ADMIN_KEY_FILE: Opt =
    Opt::text("admin-key-file", "Write the key for administration to this file, not to a terminal");

pub(super) const COMMAND: Command = Command::action(
    "serve",
    "Serves a store to other machines until it is told to stop",
    &[
        STORE,
        Opt::text("address", "Where to listen: host:port, or a port; by default 127.0.0.1:8624"),
        Opt::text("tls-cert", "Certificate chain in PEM; with it the server speaks TLS only"),
        Opt::text("tls-key", "Private key of the certificate in PEM"),
        Opt::text(
            "inspection-memory",
            "MiB of memory for reading package files, all at once together; by default 256",
        ),
        ADMIN_KEY_FILE,
        Opt::text("log", "What to log, such as warn or debug; by default info"),
        Opt::text(
            "max-connections",
            "Connections at once; one at rest makes room for another; by default 1024",
        ),
        Opt::text(
            "max-connections-per-address",
            "The same for each address, a proxy's too; by default 512",
        ),
        Opt::text("health-reserve", "Connections beyond those, for health checks; by default 64"),
        Opt::text(
            "place-timeout",
            "Seconds a request waits for a connection's place; by default 5",
        ),
        Opt::text("handshake-timeout", "Seconds for a TLS handshake; by default 10"),
        Opt::text("head-timeout", "Seconds for the head of a request; by default 15"),
        Opt::text("idle-timeout", "Seconds a connection may be without a request; by default 60"),
        Opt::text("stall-timeout", "Seconds a body may stand still; by default 60"),
        Opt::text("least-rate", "Bytes in a second at which bodies must move; by default 1024"),
        Opt::text(
            "request-timeout",
            "Seconds for a request, however fast it goes; by default 43200",
        ),
        Opt::text("text-timeout", "Seconds for a body of JSON or a form; by default 60"),
        Opt::text("drain-timeout", "Seconds for the rest of a refused body; by default 10"),
        Opt::text("drain-size", "MiB of a refused body that are read; by default 64"),
        Opt::text("max-upload", "MiB of the largest upload; by default the store's limit"),
        Opt::text("send-memory", "MiB of files on their way to clients; by default 64"),
        Opt::text(
            "key-threads",
            "Threads that hash chosen keys; by default a quarter of the cores",
        ),
        Opt::text("key-queue", "Requests that may wait for those; by default 64"),
        Opt::text("wrong-keys", "Chosen keys an address may get wrong in a row; by default 20"),
        Opt::text("wrong-key-pause", "Seconds until it may try one more; by default 2"),
        Opt::text("shutdown-timeout", "Seconds for running requests at the end; by default 60"),
    ],
    serve,
)
.words(&[Word::Value("store")])
.examples(&[
    "hayloft serve",
    "hayloft serve /srv/hayloft --address=0.0.0.0:443 --tls-cert=a.pem --tls-key=a.key",
]);

fn serve(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    logs::start(invocation.text("log").unwrap_or("info"));
    memory::share_one_arena();
    let address = Address::parse(invocation.text("address").unwrap_or(Address::DEFAULT))?;
    let Limits { connections: mut options, requests } = Limits::read(invocation)?;
    let certificate = match (invocation.text("tls-cert"), invocation.text("tls-key")) {
        (Some(certificate), Some(key)) => {
            Some(Certificate::load(Path::new(certificate), Path::new(key))?)
        }
        (None, None) => None,
        (Some(_), None) => return Err(Failure::option("tls-key", "the certificate needs its key")),
        (None, Some(_)) => {
            return Err(Failure::option("tls-cert", "the key needs its certificate"));
        }
    };
    options.tls = certificate.as_ref().map(Certificate::configuration).transpose()?;
    if let Some(possible) = files::connections_possible()
        && possible < options.max_connections
    {
        let wanted = options.max_connections;
        console.note(format_args!(
            "The system allows too few open files for {wanted} connections; there are {possible}."
        ));
        options.max_connections = possible;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("start threads"))?;
    // A store is made only where it can be served.
    let listener = runtime.block_on(address.listen())?;
    let store = open_store(&StorePlace::of(invocation), store_options(invocation)?, console)?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let address = listener.local_addr().map_err(Failure::io("find the address"))?;
    let app = App::builder(store.clone()).limits(requests).build();
    let encrypted = options.tls.is_some();
    if !address.ip().is_loopback() && !encrypted {
        console.note("Without --tls-cert, keys and packages travel in the clear.");
    }
    let admin_key = admin_key::first(&store, invocation, console)?;
    welcome::tell(console, &app, address, encrypted, &admin_key)?;
    console.flush()?;
    runtime.block_on(run(listener, app, options, signals, certificate, console));
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
    certificate: Option<Arc<Certificate>>,
    console: &Console,
) {
    let (stop, stopped) = oneshot::channel();
    let stopped = async { stopped.await.unwrap_or_default() };
    let router = hayloft_http::router(app);
    tokio::select! {
        () = hayloft_http::serve(listener, router, options, stopped) => {}
        () = async {
            until_stopped(&mut signals, certificate.as_deref()).await;
            console.note("Finishing what is running; a second signal stops at once.");
            // The server has ended by itself if nobody listens.
            let _ = stop.send(());
            until_stopped(&mut signals, certificate.as_deref()).await;
        } => {}
    }
}

/// Waits for a signal to stop, and does meanwhile what others ask for.
async fn until_stopped(signals: &mut Signals, certificate: Option<&Certificate>) {
    while signals.next().await == Signal::Reload {
        match certificate.map(Certificate::reload) {
            None => tracing::info!("nothing was read again: there is no certificate"),
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => {
                tracing::error!(%error, "the certificate was not read again; the old one stays");
            }
        }
    }
}
