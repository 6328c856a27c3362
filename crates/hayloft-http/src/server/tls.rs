use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// Bytes of a plain request that are read after it was answered.
const SPEAK_TLS_TO: u64 = 64 << 10;
/// To whoever forgets the `s` of `https`.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 70\r\n\
    Connection: close\r\n\r\n\
    This port speaks TLS only; the URL of this server begins with https://";

/// The encrypted stream; `None` where the other side does not get that far in time.
pub(super) async fn shake_hands(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    longest: Duration,
    address: Option<SocketAddr>,
) -> Option<TlsStream<TcpStream>> {
    match timeout(longest, accept(stream, config)).await {
        Ok(Ok(Some(stream))) => return Some(stream),
        Ok(Ok(None)) => tracing::debug!(?address, "plain HTTP came where TLS is spoken"),
        Ok(Err(error)) => tracing::debug!(?address, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(?address, "a TLS handshake took too long"),
    }
    None
}

async fn accept(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    if speaks_plainly(&stream).await? {
        stream.write_all(SPEAK_TLS).await?;
        stream.shutdown().await?;
        // Else the rest of the request would make the system take the answer back.
        let mut rest = stream.take(SPEAK_TLS_TO);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        return Ok(None);
    }
    TlsAcceptor::from(config).accept(stream).await.map(Some)
}

/// Whether the first byte is one of a method: that of a TLS handshake is no letter.
async fn speaks_plainly(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let read = stream.peek(&mut first).await?;
    Ok(read > 0 && first.iter().all(u8::is_ascii_alphabetic))
}
