//! `hayloft serve`: a store on this machine, for others.

mod address;
mod admin_key;
mod base_path;
mod configuration;
mod files;
mod limits;
mod memory;
mod service;
mod signals;
mod socket_file;
mod tls;
mod validity;
mod welcome;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hayloft::{OpenOptions, Store};
use hayloft_http::{App, AppBuilder, ProxyHeader, RequestLimits, ServeOptions, TrustedProxies};
use tokio::sync::oneshot;

use self::address::{Address, Bound};
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
#[cfg(unix)]
use crate::control::Control;
use crate::failure::Failure;
use crate::kinds;
use crate::logs;

pub(super) const ADMIN_KEY_FILE: Opt =
    Opt::text("admin-key-file", "Write the key for administration to this file, not to a terminal");

/// What a server is told: by the command line, else by an environment variable `HAYLOFT_NAME`, else
/// by the configuration file under the same name.
pub(super) const OPTIONS: &[Opt] = &[
    configuration::FILE,
    Opt::text("store", "Directory of the store").or("hayloft-data"),
    Opt::text("address", "Where to listen: host:port, a port, or unix:PATH").or("127.0.0.1:8624"),
    Opt::one_of(
        "socket-mode",
        &["0600", "0660", "0666"],
        "Who may use the socket of unix:PATH: its owner, its group, or everybody here",
    )
    .or("0660"),
    Opt::text("base-path", "Path below which everything is, such as /packages"),
    Opt::text(
        "trusted-proxies",
        "Addresses, networks or unix: proxies that are believed for whom they ask",
    ),
    Opt::one_of(
        "proxy-header",
        &["x-forwarded", "forwarded"],
        "Where those tell it; they must set or remove these headers themselves",
    )
    .or("x-forwarded"),
    Opt::text("tls-cert", "Certificate chain in PEM; with it the server speaks TLS only"),
    Opt::text("tls-key", "Private key of the certificate in PEM"),
    Opt::text("inspection-memory", "MiB of memory for reading package files, all at once together")
        .or("256"),
    ADMIN_KEY_FILE,
    Opt::flag(
        "save-source",
        "Keep address and first key as the source Default of who starts it, unless there is one",
    ),
    Opt::text("log", "What to log, such as warn or debug").or("info"),
    Opt::one_of("log-format", &["text", "json"], "How the log is written").or("text"),
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
    Opt::text("address-rate", "Requests in a second of one address; 0 is no limit").or("0"),
    Opt::text("key-rate", "Requests in a second of one API key; 0 is no limit").or("0"),
    Opt::text("rate-burst", "Seconds of those that may be saved up").or("10"),
    Opt::text("shutdown-delay", "Seconds in which /readyz says no before no more is accepted")
        .or("0"),
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
    "hayloft serve --address=unix:/run/hayloft/socket --trusted-proxies=unix --base-path=/packages",
]);

/// How a server is to run, read and checked.
pub(super) struct Plan {
    address: Address,
    socket_mode: u32,
    base_path: String,
    shutdown_delay: Duration,
    certificate: Option<Arc<Certificate>>,
    options: ServeOptions,
    requests: RequestLimits,
    store: OpenOptions,
}

impl Plan {
    /// Checks all that can be checked without opening the store.
    pub(super) fn of(invocation: &Invocation) -> Result<Self, Failure> {
        let address = Address::parse(invocation.or_default("address"))?;
        let mode = u32::from_str_radix(invocation.or_default("socket-mode"), 8);
        let socket_mode = mode.map_err(|error| Failure::option("socket-mode", error))?;
        let base_path = base_path::parse(invocation.text("base-path").unwrap_or_default())?;
        logs::check(invocation.or_default("log"))?;
        let certificate = match (invocation.text("tls-cert"), invocation.text("tls-key")) {
            (Some(_), _) if address.is_file() => {
                return Err(Failure::option("tls-cert", "TLS is not spoken on a socket file"));
            }
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
        options.trusted_proxies = trusted_proxies(invocation)?;
        options.mounted_at.clone_from(&base_path);
        let delay = invocation.or_default("shutdown-delay").parse().ok();
        let delay = delay.filter(|seconds| *seconds <= 86_400).ok_or_else(|| {
            Failure::option("shutdown-delay", "this is no whole number of seconds")
        })?;
        Ok(Self {
            address,
            socket_mode,
            base_path,
            shutdown_delay: Duration::from_secs(delay),
            certificate,
            options,
            requests,
            store: store_options(invocation)?,
        })
    }
}

fn serve(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let invocation = &Configuration::of(invocation)?.into_invocation();
    let mut plan = Plan::of(invocation)?;
    logs::start(
        invocation.or_default("log"),
        logs::Format::of(invocation.or_default("log-format")),
    );
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
    let Bound { listener, place } = match service::listener()? {
        Some(listener) => {
            let _inside = runtime.enter();
            address::activated(listener)?
        }
        None => runtime.block_on(plan.address.listen(plan.socket_mode))?,
    };
    let store = open_store(&StorePlace::of(invocation), plan.store, console)?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let app = App::builder(store.clone())
        .limits(plan.requests)
        .trusted_proxies(plan.options.trusted_proxies.clone());
    let app = kinds::protocols().fold(app, AppBuilder::protocol).build();
    let encrypted = plan.options.tls.is_some();
    if !place.is_local() && !encrypted && plan.options.trusted_proxies == TrustedProxies::default()
    {
        console.note("Without --tls-cert, keys and packages travel in the clear.");
    }
    if let Some(certificate) = &plan.certificate {
        certificate.tell(&app);
    }
    let remember = if invocation.flag("save-source") { Remember::AsDefault } else { Remember::Not };
    let admin_key = admin_key::first(&store, invocation, remember, console)?;
    #[cfg(unix)]
    let control = control(&store, invocation, console);
    let url = place.url(encrypted, &plan.base_path);
    welcome::tell(console, &app, &url, &admin_key, remember)?;
    console.flush()?;
    let mut router = hayloft_http::router(app.clone());
    if !plan.base_path.is_empty() {
        router = axum::Router::new().nest(&plan.base_path, router);
    }
    runtime.block_on(async {
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or_default() };
        let serving = hayloft_http::serve(listener, router, plan.options, stopped);
        let certificate = plan.certificate.as_deref();
        let ending = Ending { app: &app, signals, certificate, delay: plan.shutdown_delay };
        service::tell(State::Ready);
        tokio::select! {
            () = serving => {}
            () = ending.wait(stop, console) => {}
        }
    });
    drop(place);
    // Waits for what blocking threads are doing, so that nothing is cut off by closing.
    drop(runtime);
    store.close().map_err(anyhow::Error::new)?;
    #[cfg(unix)]
    if let Some(control) = control {
        control.end();
    }
    Ok(())
}

/// Lets commands reach this server that need the store itself.
#[cfg(unix)]
fn control(store: &Store, invocation: &Invocation, console: &Console) -> Option<Control> {
    let directory = StorePlace::of(invocation).directory;
    let control = Control::listen(store, &directory);
    control
        .inspect_err(|error| {
            console.note(format_args!(
                "Commands such as hayloft backup will not reach this server: {error}"
            ));
        })
        .ok()
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

/// Whom to believe for whom they pass a request on.
fn trusted_proxies(invocation: &Invocation) -> Result<TrustedProxies, Failure> {
    let text = invocation.text("trusted-proxies").unwrap_or_default();
    let proxies: TrustedProxies =
        text.parse().map_err(|error| Failure::option("trusted-proxies", error))?;
    Ok(proxies.in_headers(match invocation.or_default("proxy-header") {
        "forwarded" => ProxyHeader::Forwarded,
        _ => ProxyHeader::XForwarded,
    }))
}

/// What ends a server.
struct Ending<'a> {
    app: &'a App,
    signals: Signals,
    certificate: Option<&'a Certificate>,
    delay: Duration,
}

impl Ending<'_> {
    /// Waits for the first signal to stop, lets the server finish what is running, and is done with
    /// the second.
    async fn wait(mut self, stop: oneshot::Sender<()>, console: &Console) {
        self.until_stopped().await;
        service::tell(State::Stopping);
        self.app.drain();
        console.note("Finishing what is running; a second signal stops at once.");
        if !self.delay.is_zero() {
            // So that whoever sends requests here finds out and sends them elsewhere.
            let delay = tokio::time::sleep(self.delay);
            tokio::select! {
                () = delay => {}
                () = self.until_stopped() => return,
            }
        }
        // The server has ended by itself if nobody listens.
        let _ = stop.send(());
        self.until_stopped().await;
    }

    /// Waits for a signal to stop, and does meanwhile what others ask for.
    async fn until_stopped(&mut self) {
        while self.signals.next().await == Signal::Reload {
            service::tell(State::Reloading);
            match self.certificate.map(Certificate::reload) {
                None => tracing::info!("nothing was read again: there is no certificate"),
                Some(Ok(())) => tracing::info!("the certificate was read again"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the certificate was not read again; the old one stays");
                }
            }
            if let Some(certificate) = self.certificate {
                certificate.tell(self.app);
            }
            service::tell(State::Ready);
        }
    }
}
