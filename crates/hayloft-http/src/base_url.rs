use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::uri::Authority;

use crate::client::{Client, Scheme, is_host};
use crate::settings::Settings;
use crate::{ApiError, App};

/// The URL under which a client reaches this server, without the final slash: what the program that
/// serves it says, else the setting `web.base-url`, else what the request tells: by what a trusted
/// proxy says, by its `:authority` or `Host` and, if the routes are mounted under a path, by that
/// path.
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
        let set = if let Some(set) = Settings::of(app.store()).base_url_at_hand() {
            set
        } else {
            let app_of_call = app.clone();
            app.block(move || Settings::of(app_of_call.store()).base_url()).await?
        };
        Ok(Self(set?.unwrap_or(asked)))
    }
}

/// What the request itself tells.
fn asked(parts: &Parts, inner: &str) -> String {
    let client = parts.extensions.get::<Client>();
    let original = parts.extensions.get::<OriginalUri>();
    let whole = original.map_or(&parts.uri, |original| &original.0);
    // That of the connection, where this crate serves it.
    let spoken = parts.extensions.get::<Scheme>().copied();
    let scheme = client
        .and_then(|client| client.scheme)
        .or(spoken)
        // Of HTTP/2, which has it in every request.
        .or_else(|| Scheme::parse(whole.scheme_str()?))
        .unwrap_or(Scheme::Http);
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has an authority in place of the header, and where both are it counts.
    let hosts = [
        client.and_then(|client| client.host.as_deref()),
        whole.authority().or(parts.uri.authority()).map(Authority::as_str),
        header(),
    ];
    let host = hosts.into_iter().flatten().find(|host| is_host(host)).unwrap_or("localhost");
    let inner = inner.trim_end_matches('/');
    let mount = original
        .and_then(|original| original.path().trim_end_matches('/').strip_suffix(inner))
        .unwrap_or_default();
    let prefix = client.and_then(|client| client.prefix.as_deref()).unwrap_or_default();
    let prefix = prefix.trim_end_matches('/');
    format!("{}://{host}{prefix}{mount}", scheme.as_str())
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

    #[rstest]
    #[case::authority("https://h.example/api/x", "", "https://h.example")]
    #[case::authority_over_host("http://h.example:81/api/x", "other", "http://h.example:81")]
    #[case::user_in_it("http://eva@h/api/x", "other", "http://other")]
    fn http_2_has_an_authority(#[case] uri: &str, #[case] host: &str, #[case] expected: &str) {
        let mut request = Request::builder().uri(uri);
        if !host.is_empty() {
            request = request.header(HOST, host);
        }
        assert_eq!(asked(&request.body(()).unwrap().into_parts().0, "/api/x"), expected);
    }

    #[test]
    fn a_trusted_proxy_tells_the_url() {
        let client = Client {
            scheme: Some(Scheme::Https),
            host: Some("p.example".to_owned()),
            prefix: Some("/packages".to_owned()),
            ..Client::default()
        };
        let request = Request::builder().uri("/api/x").header(HOST, "inner").extension(client);
        let parts = request.body(()).unwrap().into_parts().0;
        assert_eq!(asked(&parts, "/api/x"), "https://p.example/packages");
    }

    #[test]
    fn the_url_of_an_encrypted_connection_is_https() {
        let request = Request::builder().uri("/").header(HOST, "h").extension(Scheme::Https);
        assert_eq!(asked(&request.body(()).unwrap().into_parts().0, "/"), "https://h");
    }
}
