use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::header::HOST;
use axum::http::request::Parts;
use hayloft::StoreError;

use crate::settings::Settings;
use crate::{ApiError, App};

/// Marks requests that came over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encrypted;

/// The URL under which a client reaches this server, without the final slash: what the program that
/// serves it says, else the setting `web.base-url`, else what the request tells by its `Host` header and, if the routes are mounted
/// under a path, by that path.
#[derive(Debug, Clone)]
pub(crate) struct BaseUrl(pub(crate) String);

impl FromRequestParts<App> for BaseUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Self::above(app, parts, parts.uri.path()).await
    }
}

impl BaseUrl {
    /// The same for routes below routes of this server; `inner` is the path below the server.
    pub(crate) async fn above(app: &App, parts: &Parts, inner: &str) -> Result<Self, ApiError> {
        if let Some(told) = app.base_url() {
            return Ok(Self(told.to_owned()));
        }
        let asked = asked(parts, inner);
        let app_of_call = app.clone();
        app.block(move || -> Result<Self, StoreError> {
            let set = Settings::of(app_of_call.store()).base_url()?;
            Ok(Self(set.unwrap_or(asked)))
        })
        .await?
        .map_err(ApiError::from)
    }
}

/// What the request itself tells.
fn asked(parts: &Parts, inner: &str) -> String {
    let scheme = match parts.extensions.get::<Encrypted>() {
        Some(Encrypted) => "https",
        None => "http",
    };
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| is_host(host)).unwrap_or("localhost");
    let inner = inner.trim_end_matches('/');
    let mount = parts.extensions.get::<OriginalUri>().and_then(|original| {
        original.path().trim_end_matches('/').strip_suffix(inner).map(str::to_owned)
    });
    format!("{scheme}://{host}{}", mount.unwrap_or_default())
}

/// True for a host with or without a port; everything else would let a request put what it likes
/// into documents that other clients may get from a cache.
fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("/api/x", "/api/x", "feeds.example:8624", "http://feeds.example:8624")]
    #[case::mounted("/api/x", "/a/b/api/x/", "h", "http://h/a/b")]
    #[case::odd_host("/api/x", "/api/x", "h/evil?", "http://localhost")]
    fn the_url_is_what_the_request_tells(
        #[case] inner: &str,
        #[case] original: &str,
        #[case] host: &str,
        #[case] expected: &str,
    ) {
        let original = OriginalUri(original.parse().unwrap());
        let request = Request::builder().uri(inner).header(HOST, host).extension(original);
        assert_eq!(asked(&request.body(()).unwrap().into_parts().0, inner), expected);
    }

    #[test]
    fn the_url_of_an_encrypted_connection_is_https() {
        let request = Request::builder().uri("/").header(HOST, "h").extension(Encrypted);
        assert_eq!(asked(&request.body(()).unwrap().into_parts().0, "/"), "https://h");
    }
}
