use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use data_encoding::BASE64;

/// Marks requests of native protocols, whose clients need a 401 where the API has a 403.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Native;

/// What a request tells about the one who sent it; an extractor that never fails.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    pub(crate) credential: Option<Credential>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) native: bool,
    pub(crate) lenient: bool,
}

/// What a visitor shows. The debug text does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    Key(String),
    /// Name and password.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Key(_) => "Key",
            Self::Password { .. } => "Password",
        })
    }
}

impl Visitor {
    /// The same, with the key that a body carries, unless header or query had one.
    #[must_use]
    pub fn or_key(mut self, key: Option<String>) -> Self {
        self.credential = self.credential.or(key.map(Credential::Key));
        self
    }

    /// The same, but an unknown credential counts as none.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let native = parts.extensions.get::<Native>().is_some();
        Ok(Self { credential: credential(parts), address, native, lenient: false })
    }
}

fn credential(parts: &Parts) -> Option<Credential> {
    let header = |name: &str| {
        let text = parts.headers.get(name)?.to_str().ok()?.trim();
        (!text.is_empty()).then_some(text)
    };
    header("x-apikey")
        .map(|text| Credential::Key(text.to_owned()))
        .or_else(|| query_key(parts.uri.query().unwrap_or_default()).map(Credential::Key))
        .or_else(|| header("x-nuget-apikey").map(|text| Credential::Key(text.to_owned())))
        .or_else(|| header(AUTHORIZATION.as_str()).and_then(authorization))
}

fn query_key(query: &str) -> Option<String> {
    let key = |(name, value): (&str, &str)| {
        let is_key = name.eq_ignore_ascii_case("key") || name.eq_ignore_ascii_case("apikey");
        let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
        (is_key && !value.is_empty()).then(|| value.into_owned())
    };
    query.split('&').filter_map(|pair| pair.split_once('=')).find_map(key)
}

/// `Basic` with user `api` is a key, as is `Bearer` (npm) and anything without a scheme (gem).
fn authorization(text: &str) -> Option<Credential> {
    let Some((scheme, value)) = text.split_once(' ') else {
        return Some(Credential::Key(text.to_owned()));
    };
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credential::Key(value.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(value.as_bytes()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let password = password.to_owned();
    Some(match user {
        "api" => Credential::Key(password),
        user => Credential::Password { user: user.to_owned(), password },
    })
}
