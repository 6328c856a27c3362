//! `hayloft serve`: a store on this machine, for others.

mod address;
mod admin_key;
mod configuration;
mod files;
mod limits;
mod memory;
mod service;
mod signals;
mod tls;
mod welcome;

use std::path::Path;
use std::sync::Arc;

use hayloft::OpenOptions;
use hayloft_http::{App, RequestLimits, ServeOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::address::Address;
pub(super) use self::admin_key::reset;
pub(super) use self::configuration::COMMAND as CONFIG;
use self::configuration::Configuration;
use self::limits::Limits;
use self::service::State;
use self::signals::{Signal, Signals};
use self::tls::Certificate;
use self::welcome::Remember;
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{StorePlace, open_store};
use crate::console::Console;
use crate::failure::Failure;
use crate::logs;

pub(super) const ADMIN_KEY_FILE: Opt =
    Opt::text("admin-key-file", "Write the key for administration to this file, not to a terminal");

/// What a server is told: by the command line, else by an environment variable `HAYLOFT_NAME`, else
/// by the configuration file under the same name.
pub(super) const OPTIONS: &[Opt] = &[
    configuration::FILE,
    Opt::text("store", "Directory of the store").or("hayloft-data"),
    Opt::text("address", "Where to listen: host:port, or a port").or("127.0.0.1:8624"),
    Opt::text("tls-cert", "Certificate chain in PEM; with it the server speaks TLS only"),
    Opt::text("tls-key", "Private key of the certificate in PEM"),
    Opt::text("inspection-memory", "MiB of memory for reading package files, all at once together")
        .or("256"),
    ADMIN_KEY_FILE,
    Opt::flag("save-source", "Keep address and first key as the source Default of who starts it"),
    Opt::text("log", "What to log, such as warn or debug").or("info"),
    Opt::text("max-connections", "Connections at once; one at rest makes room for another")
        .or("1024"),
    Opt::text("max-connections-per-address", "The same for each address, a proxy's too").or("512"),
    Opt::text("health-reserve", "Connections beyond those, for health checks").or("64"),
    Opt::text("place-timeout", "Seconds a request waits for a connection's place").or("5"),
    Opt::text("handshake-timeout", "Seconds for a TLS handshake").or("10"),
    Opt::text("head-timeout", "Seconds for the head of a request").or("15"),
    Opt::text("idle-timeout", "Seconds a connection may be without a request").or("60"),
    Opt::text("stall-timeout", "Seconds a body may stand still").or("60"),
    Opt::text("least-rate", "Bytes in a second at which bodies must move").or("1024"),
    Opt::text("request-timeout", "Seconds for a request, however fast it goes").or("43200"),
    Opt::text("text-timeout", "Seconds for a body of JSON or a form").or("60"),
    Opt::text("drain-timeout", "Seconds for the rest of a refused body").or("10"),
    Opt::text("drain-size", "MiB of a refused body that are read").or("64"),
    Opt::text("max-upload", "MiB of the largest upload; by default the store's limit"),
    Opt::text("send-memory", "MiB of files on their way to clients").or("64"),
    Opt::text("cache", "MiB of answers to native clients that are kept").or("32"),
    Opt::text("key-threads", "Threads that hash chosen keys; by default a quarter of the cores"),
    Opt::text("key-queue", "Requests that may wait for those").or("64"),
    Opt::text("wrong-keys", "Chosen keys an address may get wrong in a row").or("20"),
    Opt::text("wrong-key-pause", "Seconds until it may try one more").or("2"),
    Opt::text("shutdown-timeout", "Seconds for running requests at the end").or("60"),
];

pub(super) const COMMAND: Command = Command::action(
    "serve",
    "Serves a store to other machines until it is told to stop",
    OPTIONS,
    serve,
)
.words(&[Word::Value("store")])
.examples(&[
    "hayloft serve",
    "hayloft serve /srv/hayloft --address=0.0.0.0:443 --tls-cert=a.pem --tls-key=a.key",
    "hayloft serve --config=/etc/hayloft/hayloft.toml",
]);

/// How a server is to run, read and checked.
pub(super) struct Plan {
    address: Address,
    certificate: Option<Arc<Certificate>>,
    options: ServeOptions,
    requests: RequestLimits,
    store: OpenOptions,
}

impl Plan {
    /// Checks all that can be checked without opening the store.
    pub(super) fn of(invocation: &Invocation) -> Result<Self, Failure> {
        let address = Address::parse(invocation.or_default("address"))?;
        logs::check(invocation.or_default("log"))?;
        let certificate = match (invocation.text("tls-cert"), invocation.text("tls-key")) {
            (Some(certificate), Some(key)) => {
                Some(Certificate::load(Path::new(certificate), Path::new(key))?)
            }
            (None, None) => None,
            (Some(_), None) => {
                return Err(Failure::option("tls-key", "the certificate needs its key"));
            }
            (None, Some(_)) => {
                return Err(Failure::option("tls-cert", "the key needs its certificate"));
            }
        };
        let Limits { connections: mut options, requests } = Limits::read(invocation)?;
        options.tls = certificate.as_ref().map(Certificate::configuration).transpose()?;
        Ok(Self { address, certificate, options, requests, store: store_options(invocation)? })
    }
}

fn serve(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let invocation = &Configuration::of(invocation)?.into_invocation();
    let mut plan = Plan::of(invocation)?;
    logs::start(invocation.or_default("log"));
    memory::share_one_arena();
    if let Some(possible) = files::connections_possible()
        && possible < plan.options.max_connections
    {
        let wanted = plan.options.max_connections;
        console.note(format_args!(
            "The system allows too few open files for {wanted} connections; there are {possible}."
        ));
        plan.options.max_connections = possible;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("start threads"))?;
    // A store is made only where it can be served.
    let listener = match service::listener()? {
        Some(listener) => {
            let _inside = runtime.enter();
            address::activated(listener)?
        }
        None => runtime.block_on(plan.address.listen())?,
    };
    let store = open_store(&StorePlace::of(invocation), plan.store, console)?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let address = listener.local_addr().map_err(Failure::io("find the address"))?;
    let app = App::builder(store.clone()).limits(plan.requests).build();
    let encrypted = plan.options.tls.is_some();
    if !address.ip().is_loopback() && !encrypted {
        console.note("Without --tls-cert, keys and packages travel in the clear.");
    }
    let admin_key = admin_key::first(&store, invocation, console)?;
    let remember = if invocation.flag("save-source") { Remember::AsDefault } else { Remember::Not };
    welcome::tell(console, &app, address, encrypted, &admin_key, remember)?;
    console.flush()?;
    runtime.block_on(run(listener, app, plan.options, signals, plan.certificate, console));
    // Waits for what blocking threads are doing, so that nothing is cut off by closing.
    drop(runtime);
    store.close().map_err(anyhow::Error::new)?;
    Ok(())
}

/// How the store is opened, as far as the command line says.
fn store_options(invocation: &Invocation) -> Result<OpenOptions, Failure> {
    let mut options = OpenOptions::default();
    let text = invocation.or_default("inspection-memory");
    let mebibytes = text.parse().ok().filter(|number| (8..=1 << 20).contains(number));
    let mebibytes: u64 = mebibytes.ok_or_else(|| {
        Failure::option("inspection-memory", "this is no number of MiB from 8 on, such as 256")
    })?;
    options.inspection_memory = mebibytes << 20;
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
    service::tell(State::Ready);
    tokio::select! {
        () = hayloft_http::serve(listener, router, options, stopped) => {}
        () = async {
            until_stopped(&mut signals, certificate.as_deref()).await;
            service::tell(State::Stopping);
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
        service::tell(State::Reloading);
        match certificate.map(Certificate::reload) {
            None => tracing::info!("nothing was read again: there is no certificate"),
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => {
                tracing::error!(%error, "the certificate was not read again; the old one stays");
            }
        }
        service::tell(State::Ready);
    }
}
