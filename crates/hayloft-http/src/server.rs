use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
#[cfg(feature = "tls")]
use tokio_rustls::rustls::ServerConfig;
use tower::Service;

use self::crowd::Crowd;
use self::patient::Patient;
use self::places::{Places, Standing};
pub(crate) use self::visit::Guest;
use self::visit::{Side, Visit, Watched};
use crate::ApiError;
use crate::client::{Scheme, TrustedProxies};
use crate::edge::is_health;
use crate::pace::Pace;

mod crowd;
mod listener;
mod patient;
mod places;
#[cfg(feature = "tls")]
mod tls;
mod visit;

pub use self::listener::Listener;

/// Bytes that a connection reads ahead, or holds before more of an answer is made; also the most
/// that a request head may have.
const BUFFER: usize = 32 << 10;

/// Unsent bytes that the system keeps of an answer: a client that stops holds no more, and one that
/// goes on gets what its line takes.
const UNSENT: u32 = 128 << 10;

/// How a server treats its connections. The defaults suit a server that strangers reach.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Speaks TLS with this certificate and these protocols; `None` is plain HTTP.
    #[cfg(feature = "tls")]
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections at once; 1,024. A further one takes the place of the one that has been without a
    /// request for longest, or has let the server wait for longest without a known key.
    pub max_connections: usize,
    /// The same for connections of one address, or of one network of version 6; 512. Of what a
    /// trusted proxy passes on, so many requests are answered at once for each address that it
    /// names.
    pub max_connections_per_address: usize,
    /// Connections beyond those, in which health checks are answered at once and other requests
    /// wait for a place; 64.
    pub reserve: usize,
    /// How long a request waits for a place before it is refused; 5 s.
    pub place_timeout: Duration,
    /// A client that does not send a whole request head within this time is cut off; 15 s.
    pub head_timeout: Duration,
    /// A connection without a request for so long is closed; 60 s.
    pub idle_timeout: Duration,
    /// A TLS handshake that takes longer is given up; 10 s.
    pub handshake_timeout: Duration,
    /// A client that takes nothing of an answer for so long is cut off; 60 s. What it takes at the
    /// least rate buys it time again.
    pub write_timeout: Duration,
    /// Bytes in a second that a client has to take of an answer on average; 1,024.
    pub least_rate: u64,
    /// How long requests may go on after the shutdown began; 60 s.
    pub drain: Duration,
    /// Believed when they tell for whom they pass a request on; nobody is.
    pub trusted_proxies: TrustedProxies,
    /// Path below which the routes of an [`App`](crate::App) are mounted, such as `/packages`, so
    /// that its health is answered from the reserve; none.
    pub mounted_at: String,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            #[cfg(feature = "tls")]
            tls: None,
            max_connections: 1_024,
            max_connections_per_address: 512,
            reserve: 64,
            place_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            least_rate: 1_024,
            drain: Duration::from_secs(60),
            trusted_proxies: TrustedProxies::default(),
            mounted_at: String::new(),
        }
    }
}

/// The shortest way to serve: at an address such as `127.0.0.1:8624`, with the options there are
/// without a word, for as long as the program runs.
pub async fn serve_at(address: &str, router: Router) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    serve(listener, router, ServeOptions::default(), std::future::pending()).await;
    Ok(())
}

/// Serves HTTP/1.1 until `shutdown` is ready; then accepts no more, lets running requests finish
/// within [`ServeOptions::drain`], and closes what is left.
///
/// Handlers find the other side of the connection as `ConnectInfo<SocketAddr>`, unless it came to
/// a socket file. Runs in a Tokio runtime with I/O and time.
pub async fn serve(
    listener: impl Into<Listener>,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let listener = listener.into();
    if let Listener::Tcp(listener) = &listener {
        bound_unsent(listener);
    }
    let places =
        Places::new(options.max_connections, options.max_connections_per_address, options.reserve);
    let drain = options.drain;
    let crowd = Crowd::new(options.max_connections_per_address);
    let host = Host { router, options: Arc::new(options), stopping, crowd };
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let host = host.clone();
                    // A proxy has the connections of all its clients.
                    let trusted = host.options.trusted_proxies.trust(address.map(|it| it.ip()));
                    let of = address.filter(|_| !trusted).map(|address| address.ip());
                    let visit = Visit::new(places.seat(of));
                    connections.spawn(async move {
                        let (head, rest) = (host.options.head_timeout, host.options.idle_timeout);
                        tokio::select! {
                            () = visit.seat().evicted() => {
                                tracing::debug!(?address, "a connection made room for another");
                            }
                            () = visit.overdue(head, rest) => {
                                tracing::debug!(?address, "no request came in time");
                            }
                            () = host.serve_accepted(stream, address, visit.clone()) => {}
                        }
                    });
                }
                Err(error) => refuse(&error).await,
            },
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(drain, finished).await.is_err() {
        tracing::warn!(connections = connections.len(), "closing connections that are still busy");
        connections.shutdown().await;
    }
}

/// The system would let a client that takes nothing hold megabytes of what is to be sent.
#[cfg(target_os = "linux")]
fn bound_unsent(listener: &tokio::net::TcpListener) {
    // Connections inherit it.
    if let Err(error) = socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT) {
        tracing::warn!(%error, "the system may keep much of what clients do not take");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &tokio::net::TcpListener) {}

/// A connection could not be accepted. The usual reason is a lack of file descriptors, which others
/// must give back first: without a pause the loop would spin.
async fn refuse(error: &io::Error) {
    let of_the_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    if !of_the_client {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What all connections share.
#[derive(Debug, Clone)]
struct Host {
    router: Router,
    options: Arc<ServeOptions>,
    stopping: watch::Receiver<bool>,
    crowd: Crowd,
}

impl Host {
    async fn serve_accepted(
        self,
        stream: listener::Accepted,
        address: Option<SocketAddr>,
        visit: Visit,
    ) {
        match stream {
            listener::Accepted::Tcp(stream) => self.serve_connection(stream, address, visit).await,
            // Who can write to the file is on this machine.
            #[cfg(unix)]
            listener::Accepted::Unix(stream) => {
                self.serve_stream(stream, address, visit, Scheme::Http).await;
            }
        }
    }

    async fn serve_connection(self, stream: TcpStream, address: Option<SocketAddr>, visit: Visit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the socket keeps small packets back");
        }
        #[cfg(feature = "tls")]
        if let Some(config) = self.options.tls.clone() {
            let longest = self.options.handshake_timeout;
            let mut stopping = self.stopping.clone();
            let stream = tokio::select! {
                stream = tls::shake_hands(stream, config, longest, address) => stream,
                () = stopped(&mut stopping) => return,
            };
            if let Some(stream) = stream {
                self.serve_stream(stream, address, visit, Scheme::Https).await;
            }
            return;
        }
        self.serve_stream(stream, address, visit, Scheme::Http).await;
    }

    async fn serve_stream(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        address: Option<SocketAddr>,
        visit: Visit,
        scheme: Scheme,
    ) {
        let options = &self.options;
        let writing = Pace::new(options.write_timeout, options.least_rate, None);
        let stream = TokioIo::new(Patient::new(stream, visit.clone(), writing));
        let (router, longest, crowd) = (self.router, options.place_timeout, self.crowd);
        let options_of_requests = self.options.clone();
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            let proxies = &options_of_requests.trusted_proxies;
            let peer = address.map(|address| address.ip());
            let client = proxies.client(peer, request.headers());
            let guest = client.address.filter(|_| proxies.trust(peer));
            if let Some(address) = address {
                request.extensions_mut().insert(ConnectInfo(address));
            }
            if proxies.trust(peer) {
                request.extensions_mut().insert(client);
            }
            request.extensions_mut().insert(scheme);
            let path = request.uri().path().strip_prefix(&options_of_requests.mounted_at);
            let asked = Asked { guest, healthy: path.is_some_and(is_health) };
            answer(router.clone(), request, visit.clone(), longest, asked, crowd.clone())
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                // It would count the time between two requests, too.
                .header_read_timeout(None)
                .max_buf_size(BUFFER)
                .serve_connection(stream, service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut self.stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(?address, %error, "a connection ended early");
        }
    }
}

/// Another connection has the place of this one.
#[derive(Debug, thiserror::Error)]
#[error("the connection made room for another")]
struct MadeRoom;

/// What is known of a request before it is routed.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// For whom a trusted proxy passes it on.
    guest: Option<IpAddr>,
    /// It asks whether the server is healthy.
    healthy: bool,
}

async fn answer(
    mut router: Router,
    request: hyper::Request<hyper::body::Incoming>,
    visit: Visit,
    longest: Duration,
    asked: Asked,
    crowd: Crowd,
) -> Result<hyper::Response<Watched<Body>>, MadeRoom> {
    let (standing, number) = visit.begin();
    let watched = |body| Watched::new(body, Side::Request, number, visit.clone());
    let mut request = request.map(watched);
    request.extensions_mut().insert(Guest::new(visit.clone(), number));
    let place = match asked.guest.filter(|_| !asked.healthy) {
        None => Ok(()),
        Some(address) => {
            crowd.enter(address).map(|member| visit.hold(member)).ok_or(TooManyOfAddress)
        }
    };
    let placed = match standing {
        Standing::Placed => true,
        Standing::Evicted => return Err(MadeRoom),
        Standing::InReserve => !asked.healthy && visit.seat().wait(longest).await,
    };
    let mut response = if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        // What a proxy took for the name may be another one than what is read here.
        ApiError::bad_request("the request names more than one host").into_response()
    } else if place.is_err() {
        let text = "this address has too many requests at once; send this one again";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, text).retry_after(2).into_response()
    } else if placed || asked.healthy {
        // A router is always ready and never fails.
        let Ok(response) = router.call(request).await;
        response
    } else {
        let text = "the server has too many connections; send the request again";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(2).into_response()
    };
    if !placed {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Watched::new(body, Side::Answer, number, visit)))
}

/// Of what a proxy passes on for an address, so much is being answered already.
#[derive(Debug)]
struct TooManyOfAddress;

/// Ready when the shutdown has begun.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which it is only after the shutdown.
    let _ = stopping.wait_for(|stop| *stop).await.is_ok();
}
