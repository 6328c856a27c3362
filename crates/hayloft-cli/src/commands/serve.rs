//! `hayloft serve`: a store on this machine, for others.

mod address;
mod admin_key;
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
    let mut options = ServeOptions::default();
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
    let app = App::builder(store.clone()).built_in_protocols().build();
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
