use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hayloft_http::Listener;
use tokio::net::TcpListener;

use super::socket_file::SocketFile;
use crate::failure::Failure;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Port {
        /// A name or an IP address, without brackets.
        host: String,
        port: u16,
    },
    /// A socket file on this machine.
    File(PathBuf),
}

/// A server that listens.
pub(super) struct Bound {
    pub(super) listener: Listener,
    pub(super) place: Place,
}

/// Where a server listens, as it turned out.
#[derive(Debug)]
pub(super) enum Place {
    Port(SocketAddr),
    /// Removed with this value.
    File(SocketFile),
}

impl Address {
    const PORT: u16 = 8624;

    /// `host:port`, a host alone, a port alone, which is one of this machine, or `unix:PATH`.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::option(
                "address",
                "give host and port such as 127.0.0.1:8624, [::1]:8624 or localhost:8624, a port, or \
                 unix:PATH",
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::File(path.into())) };
        }
        let local = || "127.0.0.1".to_owned();
        let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Port { host: local(), port: port(text)? });
        }
        let (host, rest) = match text.strip_prefix('[') {
            Some(text) => text.split_once(']').ok_or_else(wrong)?,
            // More than one colon is an IPv6 address without a port.
            None if text.matches(':').count() > 1 => (text, ""),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(text) => port(text)?,
            None if rest.is_empty() => Self::PORT,
            None => return Err(wrong()),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if !host.bytes().all(is_name) {
            return Err(wrong());
        }
        let host = if host.is_empty() { local() } else { host.to_owned() };
        Ok(Self::Port { host, port })
    }

    /// Whether it is a socket file.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Called inside of a runtime; `mode` is that of a socket file.
    pub(super) async fn listen(&self, mode: u32) -> Result<Bound, Failure> {
        match self {
            Self::Port { host, port } => of_port(self.listen_on(host, *port).await?),
            Self::File(path) => {
                let (listener, file) = SocketFile::bind(path, mode)?;
                Ok(Bound { listener, place: Place::File(file) })
            }
        }
    }

    async fn listen_on(&self, host: &str, port: u16) -> Result<TcpListener, Failure> {
        let bound = TcpListener::bind((host, port)).await;
        bound.map_err(|error| {
            let kind = error.kind();
            let failure = Failure::io(format_args!("listen on {self}"))(error);
            match kind {
                std::io::ErrorKind::AddrInUse => failure.advise(
                    "another program has this port, maybe another hayloft serve; choose one with \
                     --address",
                ),
                std::io::ErrorKind::PermissionDenied => failure
                    .advise("ports below 1024 need a right of their own; choose a higher one"),
                _ => failure,
            }
        })
    }
}

/// A socket that is open already; called inside of a runtime.
pub(super) fn activated(listener: std::net::TcpListener) -> Result<Bound, Failure> {
    let take = || {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    of_port(take().map_err(Failure::io("listen on the socket of the service manager"))?)
}

fn of_port(listener: TcpListener) -> Result<Bound, Failure> {
    let address = listener.local_addr().map_err(Failure::io("find the address"))?;
    Ok(Bound { listener: listener.into(), place: Place::Port(address) })
}

impl Place {
    /// The URL of a server there, or `unix:PATH`, with a colon before a base path.
    pub(super) fn url(&self, encrypted: bool, base_path: &str) -> String {
        let scheme = if encrypted { "https" } else { "http" };
        match self {
            Self::Port(address) if address.ip().is_unspecified() => {
                format!("{scheme}://localhost:{}{base_path}", address.port())
            }
            Self::Port(address) => format!("{scheme}://{address}{base_path}"),
            Self::File(file) => {
                let colon = if base_path.is_empty() { "" } else { ":" };
                format!("unix:{}{colon}{base_path}", shown(file.path()))
            }
        }
    }

    /// Whether only this machine gets there.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Port(address) => address.ip().is_loopback(),
            Self::File(_) => true,
        }
    }
}

fn shown(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self::Port { host, port } => write!(out, "{host}:{port}"),
            Self::File(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole("10.0.0.1:80", "10.0.0.1:80")]
    #[case::port("8080", "127.0.0.1:8080")]
    #[case::port_with_a_colon(":8080", "127.0.0.1:8080")]
    #[case::name("localhost:8624", "localhost:8624")]
    #[case::name_alone("localhost", "localhost:8624")]
    #[case::everywhere("0.0.0.0", "0.0.0.0:8624")]
    #[case::six("[::1]:80", "[::1]:80")]
    #[case::six_alone("::", "[::]:8624")]
    #[case::six_in_brackets("[::1]", "[::1]:8624")]
    #[case::file("unix:/run/a b", "unix:/run/a b")]
    fn addresses_are_read(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Address::parse(text).unwrap().to_string(), expected);
    }

    #[rstest]
    #[case("localhost:http")]
    #[case("80800")]
    #[case("a:1:b")]
    #[case("[::1")]
    #[case("[::1]x")]
    #[case("http://localhost:8624")]
    #[case("a b")]
    #[case("unix:")]
    fn others_are_refused(#[case] text: &str) {
        // A colon too many is an address, which is found out when it is listened on.
        let parsed = Address::parse(text);
        assert!(parsed.is_err() || text == "a:1:b", "{parsed:?}");
    }
}
