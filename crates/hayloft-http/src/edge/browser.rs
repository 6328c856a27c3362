//! What keeps browsers from doing for a page what its author may not.

use axum::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::access::shows_key;
use crate::client::peer;
use crate::settings::Settings;
use crate::{ApiError, App};

/// What no answer of a server of packages needs; pages set one of their own.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// Answers are what they say they are, and nothing in them runs: authors of packages wrote much of
/// what they hold.
pub(super) fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
}

/// Refuses a change that a page of another site asks for.
///
/// A browser adds credentials by itself that it once was told (Basic), and an address on this
/// machine or in a house may need none. Keys in headers and queries no page can have added that
/// does not know them. Clients that are no browsers send none of these headers.
pub(super) async fn refuse_other_sites(app: &App, parts: &Parts) -> Result<(), ApiError> {
    if parts.method.is_safe() || shows_key(parts) {
        return Ok(());
    }
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let origin = parts.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let by_itself = match text("sec-fetch-site") {
        Some("same-origin" | "none") => true,
        None if origin.is_none() => return Ok(()),
        _ => false,
    };
    let hosts = [text(HOST.as_str()), text("x-forwarded-host")];
    let named = hosts
        .into_iter()
        .flatten()
        .any(|host| origin.map_or(by_itself, |origin| by_itself || is_origin_of(origin, host)));
    if named && !is_rebound(parts, text(HOST.as_str()).unwrap_or_default()) {
        return Ok(());
    }
    // Behind a proxy the server may go by another name.
    let app_of_call = app.clone();
    let base = app.block(move || Settings::of(app_of_call.store()).base_url()).await??;
    let base = base.as_deref().and_then(|base| Some(base.split_once("://")?.1));
    let base = base.map(|base| base.split('/').next().unwrap_or_default());
    if origin.zip(base).is_some_and(|(origin, base)| is_origin_of(origin, base)) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "a page of another site asked for this; send an API key, or set `web.base-url` if it was \
         a page of this server",
    ))
}

/// True if pages at this origin come from this host, whatever their scheme: a proxy may have
/// changed it.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let bare = |text: &str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
    !rest.is_empty() && bare(rest) == bare(host)
}

/// True if a name that is not this machine's leads a browser on it here: an author of a page can
/// let a name of theirs point to any address, and their page then adds what headers it likes. A
/// credential for that name the browser has not.
fn is_rebound(parts: &Parts, host: &str) -> bool {
    let near = peer(&parts.extensions).is_some_and(|peer| peer.is_loopback());
    near && !parts.headers.contains_key(AUTHORIZATION) && !is_local(host)
}

/// True for the names of the machine itself, and for addresses, which nobody else can give away.
fn is_local(host: &str) -> bool {
    if let Some(six) = host.strip_prefix('[') {
        return six.split(']').next().is_some_and(|six| six.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same("http://feeds.example:8624", "feeds.example:8624", true)]
    #[case::case_of_names("http://Feeds.example", "feeds.EXAMPLE", true)]
    #[case::usual_port("https://feeds.example", "feeds.example:443", true)]
    #[case::other_port("http://feeds.example:8625", "feeds.example:8624", false)]
    #[case::other_name("http://evil.example", "feeds.example", false)]
    #[case::longer_name("http://feeds.example.evil", "feeds.example", false)]
    #[case::none_at_all("null", "feeds.example", false)]
    #[case::nothing("", "", false)]
    fn pages_are_of_a_host_by_name_and_port(
        #[case] origin: &str,
        #[case] host: &str,
        #[case] same: bool,
    ) {
        assert_eq!(is_origin_of(origin, host), same);
    }

    #[rstest]
    #[case::name("localhost:8624", true)]
    #[case::four("127.0.0.1:8624", true)]
    #[case::six("[::1]:8624", true)]
    #[case::foreign("evil.example:8624", false)]
    #[case::hidden("127.0.0.1.evil.example", false)]
    #[case::nothing("", false)]
    fn names_of_the_machine_are_known(#[case] host: &str, #[case] local: bool) {
        assert_eq!(is_local(host), local);
    }
}
