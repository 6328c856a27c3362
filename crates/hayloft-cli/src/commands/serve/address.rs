use std::fmt;

use tokio::net::TcpListener;

use crate::failure::Failure;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an IP address, without brackets.
    host: String,
    port: u16,
}

impl Address {
    const PORT: u16 = 8624;

    /// `host:port`, a host alone, or a port alone, which is one of this machine.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::option(
                "address",
                "give host and port such as 127.0.0.1:8624, [::1]:8624 or localhost:8624, or a port",
            )
        };
        let local = || "127.0.0.1".to_owned();
        let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self { host: local(), port: port(text)? });
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
        Ok(Self { host, port })
    }

    pub(super) async fn listen(&self) -> Result<TcpListener, Failure> {
        let bound = TcpListener::bind((self.host.as_str(), self.port)).await;
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
pub(super) fn activated(listener: std::net::TcpListener) -> Result<TcpListener, Failure> {
    let take = || {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    take().map_err(Failure::io("listen on the socket of the service manager"))
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
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
    fn others_are_refused(#[case] text: &str) {
        // A colon too many is an address, which is found out when it is listened on.
        let parsed = Address::parse(text);
        assert!(parsed.is_err() || text == "a:1:b", "{parsed:?}");
    }
}
