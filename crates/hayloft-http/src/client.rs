//! From whom a request is: the other side of its connection, or whom a trusted proxy names.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

/// Proxies that are believed when they tell for whom they pass a request on, and how.
///
/// Nobody is unless it is named: anybody can send such headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Arc<[Network]>,
    /// Whoever connects to a socket file.
    local: bool,
    header: ProxyHeader,
}

/// In which headers a proxy tells it. Only one kind is believed: a proxy sets its own kind and lets
/// pass what the client sent of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A text names no proxies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address, no network such as 10.0.0.0/8 and not unix")]
pub struct NoProxy(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl FromStr for TrustedProxies {
    type Err = NoProxy;

    /// Addresses, networks and `unix`, separated by commas or blanks.
    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let mut all = Self::default();
        let mut networks = Vec::new();
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            if word == "unix" {
                all.local = true;
            } else {
                let network = Network::parse(word);
                let wrong = || NoProxy(hayloft::feed_type::shorten(word));
                networks.push(network.ok_or_else(wrong)?);
            }
        }
        all.networks = networks.into();
        Ok(all)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok()?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Self { address, bits })
    }

    fn has(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                (mine.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                (mine.to_bits() ^ other.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

impl TrustedProxies {
    /// The same proxies, which tell it in these headers.
    #[must_use]
    pub fn in_headers(mut self, header: ProxyHeader) -> Self {
        self.header = header;
        self
    }

    /// Whether what connects from there is believed; without an address it is a socket file.
    pub(crate) fn trust(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => self.networks.iter().any(|network| network.has(address)),
            None => self.local,
        }
    }

    /// Who sent a request that came from `peer`.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Client {
        let direct = Client { address: peer.map(|peer| peer.to_canonical()), ..Client::default() };
        if !self.trust(peer) {
            return direct;
        }
        match self.header {
            ProxyHeader::XForwarded => self.by_x_forwarded(direct.address, headers),
            ProxyHeader::Forwarded => self.by_forwarded(direct.address, headers),
        }
    }

    fn by_x_forwarded(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Client {
        let list = |name: &str| -> Vec<String> {
            let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
            let items = values.flat_map(|value| value.split(','));
            items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
        };
        let hops = list("x-forwarded-for");
        let (address, passed) = self.walk(peer, hops.iter().map(String::as_str));
        // Each proxy adds to the list or replaces it.
        let told = |name: &str| {
            let all = list(name);
            all.get(all.len().saturating_sub(passed)).cloned()
        };
        Client {
            address,
            scheme: told("x-forwarded-proto").as_deref().and_then(Scheme::parse),
            host: told("x-forwarded-host").filter(|host| is_host(host)),
            prefix: told("x-forwarded-prefix").filter(|prefix| is_prefix(prefix)),
        }
    }

    fn by_forwarded(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Client {
        let values = headers.get_all("forwarded").into_iter();
        let hops: Vec<Hop> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| split(value, ','))
            .map(Hop::parse)
            .collect();
        let places = hops.iter().map(|hop| hop.from.as_str());
        let (address, passed) = self.walk(peer, places);
        let hop = hops.get(hops.len().saturating_sub(passed));
        Client {
            address,
            scheme: hop.and_then(|hop| Scheme::parse(&hop.proto)),
            host: hop.map(|hop| hop.host.clone()).filter(|host| is_host(host)),
            prefix: None,
        }
    }

    /// The last address that no trusted proxy has, and how many steps it is away, 1 at least. An
    /// address that cannot be read is nobody's.
    fn walk<'a>(
        &self,
        peer: Option<IpAddr>,
        hops: impl DoubleEndedIterator<Item = &'a str>,
    ) -> (Option<IpAddr>, usize) {
        let (mut address, mut passed) = (peer, 0);
        for hop in hops.rev() {
            passed += 1;
            address = node(hop);
            if !address.is_some_and(|address| self.trust(Some(address))) {
                break;
            }
        }
        (address, passed.max(1))
    }
}

/// One proxy's part of `Forwarded`.
#[derive(Debug, Default)]
struct Hop {
    from: String,
    proto: String,
    host: String,
}

impl Hop {
    fn parse(text: &str) -> Self {
        let mut hop = Self::default();
        for pair in split(text, ';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim();
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = inner.unwrap_or(value).replace('\\', "");
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => hop.from = value,
                "proto" => hop.proto = value,
                "host" => hop.host = value,
                _ => {}
            }
        }
        hop
    }
}

/// Parts of a header's value; a separator in quotes is none.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = text.split(move |letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// An address, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.0));
    let address = text.parse().ok().or_else(|| bare?.parse().ok());
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Who sent a request, and under which URL they know this server, as far as a proxy tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: Option<IpAddr>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: Option<String>,
    /// Path below which the proxy has this server, without a slash at its end.
    pub(crate) prefix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [("http", Self::Http), ("https", Self::Https)]
            .into_iter()
            .find_map(|(name, scheme)| text.eq_ignore_ascii_case(name).then_some(scheme))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Client {
    /// Whoever was found when the request came in, else the other side of the connection.
    pub(crate) fn of(parts: &Parts) -> Self {
        let known = parts.extensions.get::<Self>().cloned();
        known.unwrap_or_else(|| Self { address: peer(&parts.extensions), ..Self::default() })
    }
}

/// The other side of the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

/// True for a host with or without a port; everything else would let a request put what it likes
/// into documents that other clients may get from a cache.
pub(crate) fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

/// True for a path such as `/packages`.
fn is_prefix(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.len() <= 255
        && text.strip_prefix('/').is_some_and(|path| {
            path.split('/')
                .all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(is_letter))
        })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn address(client: &Client) -> String {
        client.address.map(|address| address.to_string()).unwrap_or_default()
    }

    #[rstest]
    #[case::a_stranger_is_not_believed("192.0.2.9", "198.51.100.1", "192.0.2.9")]
    #[case::a_proxy_is("10.0.0.1", "198.51.100.1", "198.51.100.1")]
    #[case::mapped("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1")]
    #[case::what_the_client_made_up("10.0.0.1", "10.9.9.9, 8.8.8.8, 198.51.100.1", "198.51.100.1")]
    #[case::two_proxies("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1")]
    #[case::with_a_port("10.0.0.1", "198.51.100.1:4711", "198.51.100.1")]
    #[case::six("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1")]
    #[case::nothing("10.0.0.1", "", "10.0.0.1")]
    #[case::nonsense_is_nobody("10.0.0.1", "127.0.0.1, unknown", "")]
    #[case::only_proxies("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3")]
    fn the_client_is_whom_a_trusted_proxy_names(
        #[case] peer: &str,
        #[case] list: &'static str,
        #[case] expected: &str,
    ) {
        let proxies: TrustedProxies = "10.0.0.0/8, ::1".parse().unwrap();
        let peer = Some(peer.parse().unwrap());
        let client = proxies.client(peer, &headers(&[("x-forwarded-for", list)]));
        assert_eq!(address(&client), expected);
        // The other kind of header is whatever the client sent.
        let other = proxies.in_headers(ProxyHeader::Forwarded);
        let client = other.client(peer, &headers(&[("x-forwarded-for", list)]));
        assert_eq!(client.address, peer.map(|peer| peer.to_canonical()));
    }

    #[rstest]
    #[case::plain("for=198.51.100.1;proto=https;host=a.example", "198.51.100.1", "a.example")]
    #[case::quoted("FOR=\"[2001:db8::1]:80\" ; Host=\"b:1\";proto=https", "2001:db8::1", "b:1")]
    #[case::a_comma_in_quotes("for=1.1.1.1;x=\"a,b\";host=c;proto=https", "1.1.1.1", "c")]
    #[case::two("for=6.6.6.6;host=evil, for=1.1.1.1;host=d;proto=https", "1.1.1.1", "d")]
    #[case::chain("for=1.1.1.1;host=e;proto=https, for=10.0.0.2;host=inner", "1.1.1.1", "e")]
    #[case::hidden("for=_gazonk;host=f;proto=https", "", "f")]
    fn forwarded_is_read(#[case] value: &'static str, #[case] from: &str, #[case] host: &str) {
        let proxies: TrustedProxies = "10.0.0.0/8".parse().unwrap();
        let proxies = proxies.in_headers(ProxyHeader::Forwarded);
        let client = proxies.client(Some([10, 0, 0, 1].into()), &headers(&[("forwarded", value)]));
        assert_eq!((address(&client).as_str(), client.host.as_deref()), (from, Some(host)));
        assert_eq!(client.scheme, Some(Scheme::Https));
    }

    #[test]
    fn url_parts_belong_to_the_client_and_are_checked() {
        let proxies: TrustedProxies = "10.0.0.1 unix".parse().unwrap();
        let told = headers(&[
            ("x-forwarded-for", "1.1.1.1, 10.0.0.1"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "a.example"),
            ("x-forwarded-prefix", "/packages"),
        ]);
        let client = proxies.client(None, &told);
        assert_eq!(client.scheme, Some(Scheme::Https));
        assert_eq!(client.host.as_deref(), Some("a.example"));
        assert_eq!(client.prefix.as_deref(), Some("/packages"));
        let odd = headers(&[
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-host", "a/b?"),
            ("x-forwarded-prefix", "/a/../b"),
        ]);
        assert_eq!(proxies.client(None, &odd), Client::default());
        let nobody = TrustedProxies::default();
        assert_eq!(nobody.client(None, &told), Client::default());
    }

    #[rstest]
    #[case("10.0.0.0/33")]
    #[case("::1/129")]
    #[case("proxy.example")]
    #[case("10.0.0/8")]
    fn what_is_no_network_is_refused(#[case] text: &str) {
        assert!(text.parse::<TrustedProxies>().is_err());
    }

    #[rstest]
    #[case("/a", true)]
    #[case("/a/b-c_d.e/", true)]
    #[case("/", false)]
    #[case("a", false)]
    #[case("//a", false)]
    #[case("/a//b", false)]
    #[case("/a/..", false)]
    #[case("/a?b", false)]
    fn a_prefix_is_a_plain_path(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_prefix(text), expected);
    }
}
