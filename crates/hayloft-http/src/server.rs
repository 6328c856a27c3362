use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::Service;

use self::patient::Patient;
use self::places::{Places, Standing};
pub(crate) use self::visit::Guest;
use self::visit::{Side, Visit, Watched};
use crate::ApiError;
use crate::access::{HEALTH, HEALTH_JSON};
use crate::base_url::Encrypted;
use crate::pace::Pace;

mod patient;
mod places;
mod visit;

/// Bytes that a connection reads ahead, or holds before more of an answer is made; also the most
/// that a request head may have.
const BUFFER: usize = 32 << 10;

/// Unsent bytes that the system keeps of an answer: a client that stops holds no more, and one that
/// goes on gets what its line takes.
const UNSENT: u32 = 128 << 10;
/// How long a client waits before it asks again where there was no place for it.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// How a server treats its connections. The defaults suit a server that strangers reach.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Speaks TLS with this certificate and these protocols; `None` is plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections at once; 1,024. A further one takes the place of the one that has been without a
    /// request for longest, or has let the server wait for longest without a known key.
    pub max_connections: usize,
    /// The same for connections of one address, or of one network of version 6; 512.
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
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
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
        }
    }
}

/// Serves HTTP/1.1 until `shutdown` is ready; then accepts no more, lets running requests finish
/// within [`ServeOptions::drain`], and closes what is left.
///
/// Handlers find the address of the client as `ConnectInfo<SocketAddr>`. Runs in a Tokio runtime
/// with I/O and time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    bound_unsent(&listener);
    let places =
        Places::new(options.max_connections, options.max_connections_per_address, options.reserve);
    let drain = options.drain;
    let host = Host { router, options: Arc::new(options), stopping };
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let host = host.clone();
                    let visit = Visit::new(places.seat(address.ip()));
                    connections.spawn(async move {
                        let (head, rest) = (host.options.head_timeout, host.options.idle_timeout);
                        tokio::select! {
                            () = visit.seat().evicted() => {
                                tracing::debug!(%address, "a connection made room for another");
                            }
                            () = visit.overdue(head, rest) => {
                                tracing::debug!(%address, "no request came in time");
                            }
                            () = host.serve_connection(stream, address, visit.clone()) => {}
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
fn bound_unsent(listener: &TcpListener) {
    // Connections inherit it.
    if let Err(error) = socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT) {
        tracing::warn!(%error, "the system may keep much of what clients do not take");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &TcpListener) {}

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
}

impl Host {
    async fn serve_connection(mut self, stream: TcpStream, address: SocketAddr, visit: Visit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the socket keeps small packets back");
        }
        let Some(config) = self.options.tls.clone() else {
            return self.serve_stream(stream, address, visit, None).await;
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let handshake = timeout(self.options.handshake_timeout, handshake);
        let stream = tokio::select! {
            stream = handshake => stream,
            () = stopped(&mut self.stopping) => return,
        };
        match stream {
            Ok(Ok(stream)) => self.serve_stream(stream, address, visit, Some(Encrypted)).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
        }
    }

    async fn serve_stream(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        address: SocketAddr,
        visit: Visit,
        encrypted: Option<Encrypted>,
    ) {
        let options = &self.options;
        let writing = Pace::new(options.write_timeout, options.least_rate, None);
        let stream = TokioIo::new(Patient::new(stream, visit.clone(), writing));
        let (router, longest) = (self.router, options.place_timeout);
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            if let Some(encrypted) = encrypted {
                request.extensions_mut().insert(encrypted);
            }
            answer(router.clone(), request, visit.clone(), longest)
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
            tracing::debug!(%address, %error, "a connection ended early");
        }
    }
}

/// Another connection has the place of this one.
#[derive(Debug, thiserror::Error)]
#[error("the connection made room for another")]
struct MadeRoom;

async fn answer(
    mut router: Router,
    request: hyper::Request<hyper::body::Incoming>,
    visit: Visit,
    longest: Duration,
) -> Result<hyper::Response<Watched<Body>>, MadeRoom> {
    let (standing, number) = visit.begin();
    let mut request = request.map(|body| Watched::new(body, Side::Request, number, visit.clone()));
    request.extensions_mut().insert(Guest::new(visit.clone(), number));
    let placed = match standing {
        Standing::Placed => true,
        Standing::Evicted => return Err(MadeRoom),
        Standing::InReserve => !is_health(request.uri()) && visit.seat().wait(longest).await,
    };
    let mut response = if placed || is_health(request.uri()) {
        // A router is always ready and never fails.
        let Ok(response) = router.call(request).await;
        response
    } else {
        let text = "the server has too many connections; send the request again";
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text);
        let mut response = error.into_response();
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        response
    };
    if !placed {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Watched::new(body, Side::Answer, number, visit)))
}

/// Monitors are answered also where the routes are mounted below a path.
fn is_health(uri: &Uri) -> bool {
    let path = uri.path().trim_end_matches('/');
    [HEALTH, HEALTH_JSON].iter().any(|endpoint| path.ends_with(endpoint.path))
}

/// Ready when the shutdown has begun.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which it is only after the shutdown.
    let _ = stopping.wait_for(|stop| *stop).await.is_ok();
}
