use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::Service;

use self::patient::Patient;
use crate::base_url::Encrypted;

mod patient;

/// Bytes that a connection reads ahead, or holds before more of an answer is made; also the most
/// that a request head may have.
const BUFFER: usize = 64 << 10;

/// How a server treats its connections. The defaults suit a server that strangers reach.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Speaks TLS with this certificate and these protocols; `None` is plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Further clients wait to be accepted; 1,024.
    pub max_connections: usize,
    /// A connection without a whole request head for so long is closed, also between two
    /// requests; 30 s.
    pub head_timeout: Duration,
    /// A TLS handshake that takes longer is given up; 10 s.
    pub handshake_timeout: Duration,
    /// A client that takes nothing of an answer for so long is cut off; 60 s.
    pub write_timeout: Duration,
    /// How long requests may go on after the shutdown began; 60 s.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 1_024,
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
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
    let places = Arc::new(Semaphore::new(options.max_connections));
    let drain = options.drain;
    let host = Host { router, options: Arc::new(options), stopping };
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = accepted => match accepted {
                (Ok((stream, address)), place) => {
                    let host = host.clone();
                    connections.spawn(async move {
                        let _place = place;
                        host.serve_connection(stream, address).await;
                    });
                }
                (Err(error), _) => refuse(&error).await,
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
    async fn serve_connection(mut self, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the socket keeps small packets back");
        }
        let Some(config) = self.options.tls.clone() else {
            return self.serve_stream(stream, address, None).await;
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let handshake = timeout(self.options.handshake_timeout, handshake);
        let stream = tokio::select! {
            stream = handshake => stream,
            () = stopped(&mut self.stopping) => return,
        };
        match stream {
            Ok(Ok(stream)) => self.serve_stream(stream, address, Some(Encrypted)).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
        }
    }

    async fn serve_stream(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        address: SocketAddr,
        encrypted: Option<Encrypted>,
    ) {
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            if let Some(encrypted) = encrypted {
                request.extensions_mut().insert(encrypted);
            }
            // A router is always ready.
            router.clone().call(request)
        });
        let stream = TokioIo::new(Patient::new(stream, self.options.write_timeout));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.options.head_timeout)
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

/// Ready when the shutdown has begun.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which it is only after the shutdown.
    let _ = stopping.wait_for(|stop| *stop).await.is_ok();
}
