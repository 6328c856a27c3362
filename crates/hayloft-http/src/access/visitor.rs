use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use data_encoding::BASE64;

use super::{Caller, Noted};
use crate::client::Client;
#[cfg(feature = "serve")]
use crate::server::Guest;

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
    /// Its request on a connection of this crate's server.
    #[cfg(feature = "serve")]
    pub(crate) guest: Option<Guest>,
    pub(crate) noted: Noted,
    extensions: Arc<Extensions>,
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
    /// There is one, but it is not what its place holds; nobody's.
    Unreadable,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Key(_) => "Key",
            Self::Password { .. } => "Password",
            Self::Unreadable => "Unreadable",
        })
    }
}

impl Visitor {
    /// What the client shows, good or bad.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// The address of the client; a proxy's own unless that is trusted.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What a layer around the router left with the request. No client can put anything there.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }

    /// The same, with the key that a body carries, unless header or query had one.
    #[must_use]
    pub fn or_key(mut self, key: Option<String>) -> Self {
        self.credential = self.credential.or(key.map(Credential::Key));
        self
    }

    /// The same, with the key that the type of the feed reads out of the request, unless header or
    /// query had one: a name and a password may be a key to it.
    #[must_use]
    pub(crate) fn or_key_of_type(mut self, key: Option<String>) -> Self {
        if let (Some(key), None | Some(Credential::Password { .. })) = (key, &self.credential) {
            self.credential = Some(Credential::Key(key));
        }
        self
    }

    /// The same, showing this credential instead.
    #[must_use]
    pub(crate) fn showing(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The same, showing none.
    #[must_use]
    pub(crate) fn showing_none(mut self) -> Self {
        self.credential = None;
        self
    }

    /// Whether it may be somebody: it shows a credential, good or bad, or an outer layer names it.
    pub(crate) fn may_be_known(&self) -> bool {
        self.credential.is_some() || self.extension::<Caller>().is_some()
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
        let address = Client::of(parts).address;
        let native = parts.extensions.get::<Native>().is_some();
        let noted = parts.extensions.get::<Noted>().cloned().unwrap_or_default();
        let extensions = Arc::new(parts.extensions.clone());
        let credential = credential(parts);
        Ok(Self {
            credential,
            address,
            native,
            lenient: false,
            #[cfg(feature = "serve")]
            guest: parts.extensions.get().cloned(),
            noted,
            extensions,
        })
    }
}

/// The first place that holds something counts, also if that is of no use: who shows a bad
/// credential is not to be taken for one who shows none.
pub(crate) fn credential(parts: &Parts) -> Option<Credential> {
    let header = |name: &str| {
        let value = parts.headers.get(name)?;
        let text = value.to_str().map(str::trim);
        (!matches!(text, Ok(""))).then_some(text.ok())
    };
    let key = |name: &str| Some(header(name)?.map_or(Credential::Unreadable, key_of));
    key("x-apikey")
        .or_else(|| query_key(parts.uri.query().unwrap_or_default()))
        .or_else(|| key("x-nuget-apikey"))
        .or_else(|| {
            let text = header(AUTHORIZATION.as_str())?;
            Some(text.and_then(authorization).unwrap_or(Credential::Unreadable))
        })
}

/// Whether a request shows a key that no browser adds by itself.
pub(crate) fn shows_key(parts: &Parts) -> bool {
    let shown = |name: &str| {
        parts.headers.get(name).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
    };
    let scheme = parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes().trim_ascii_start());
    let by_itself = |value: &[u8]| {
        let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
        ["basic", "digest", "negotiate", "ntlm"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
    };
    shown("x-apikey")
        || shown("x-nuget-apikey")
        || query_key(parts.uri.query().unwrap_or_default()).is_some()
        || scheme.is_some_and(|value| !value.trim_ascii().is_empty() && !by_itself(value))
}

fn key_of(text: &str) -> Credential {
    Credential::Key(text.to_owned())
}

/// True for the names under which queries carry a key.
pub(crate) fn is_key_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("key") || name.eq_ignore_ascii_case("apikey")
}

fn query_key(query: &str) -> Option<Credential> {
    let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8();
    query.split('&').filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| {
        let is_key = decode(name).is_ok_and(|name| is_key_name(&name));
        (is_key && !value.is_empty())
            .then(|| decode(value).map_or(Credential::Unreadable, |text| key_of(&text)))
    })
}

/// `Basic` with user `api` is a key, as is `Bearer` (npm) and anything without a scheme (gem).
fn authorization(text: &str) -> Option<Credential> {
    let Some((scheme, value)) = text.split_once(' ') else {
        return Some(key_of(text));
    };
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(key_of(value));
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

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("/", "", None)]
    #[case::header("/", "X-ApiKey: abc", Some(key_of("abc")))]
    #[case::empty_header("/?key=q", "X-ApiKey: ", Some(key_of("q")))]
    #[case::header_before_query("/?key=q", "X-ApiKey: abc", Some(key_of("abc")))]
    #[case::query("/?a=1&KEY=a%3Ab", "", Some(key_of("a:b")))]
    #[case::other_query_name("/?ApiKey=q", "", Some(key_of("q")))]
    #[case::query_before_basic("/?key=q", "Authorization: Basic YXBpOms=", Some(key_of("q")))]
    #[case::query_that_is_no_text("/?key=%ff", "", Some(Credential::Unreadable))]
    #[case::nuget("/", "X-NuGet-ApiKey: n", Some(key_of("n")))]
    #[case::basic_key("/", "Authorization: basic YXBpOms=", Some(key_of("k")))]
    #[case::basic_password("/", "Authorization: Basic ZXZhOnA6dw==",
        Some(Credential::Password { user: "eva".into(), password: "p:w".into() }))]
    #[case::bearer("/", "Authorization: Bearer t", Some(key_of("t")))]
    #[case::raw("/", "Authorization: hl_x", Some(key_of("hl_x")))]
    #[case::negotiate("/", "Authorization: Negotiate abc", Some(Credential::Unreadable))]
    #[case::broken_basic("/", "Authorization: Basic !", Some(Credential::Unreadable))]
    fn credentials_are_found_in_order(
        #[case] uri: &str,
        #[case] header: &str,
        #[case] expected: Option<Credential>,
    ) {
        let mut request = Request::builder().uri(uri);
        if let Some((name, value)) = header.split_once(':') {
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(credential(&parts), expected);
    }

    #[test]
    fn a_header_that_is_no_text_is_not_taken_for_none() {
        let value = axum::http::HeaderValue::from_bytes(b"\xff").unwrap();
        let request = Request::builder().header("x-apikey", value).body(()).unwrap();
        assert_eq!(credential(&request.into_parts().0), Some(Credential::Unreadable));
    }

    #[rstest]
    #[case::nothing("/", "", false)]
    #[case::blank("/", "X-NuGet-ApiKey: \t", false)]
    #[case::blank_scheme("/", "Authorization:  ", false)]
    #[case::header("/", "X-ApiKey: abc", true)]
    #[case::query("/?key=q", "", true)]
    #[case::bearer("/", "Authorization: Bearer t", true)]
    #[case::by_itself("/", "Authorization: bAsic YXBpOms=", false)]
    fn what_no_browser_adds_is_a_credential(
        #[case] uri: &str,
        #[case] header: &str,
        #[case] expected: bool,
    ) {
        let mut request = Request::builder().uri(uri);
        if let Some((name, value)) = header.split_once(':') {
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(shows_key(&parts), expected);
        assert!(!expected || credential(&parts).is_some());
    }

    #[test]
    fn debug_text_does_not_tell_the_credential() {
        let password = Credential::Password { user: "eva".into(), password: "secret".into() };
        assert_eq!(format!("{:?}{:?}", key_of("secret"), password), "KeyPassword");
    }
}
