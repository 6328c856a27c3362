//! The protocols of the ecosystems' own clients, each under a path of its own.

mod feed_url;
mod nuget;
mod universal;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use hayloft::feed_type::shorten;
use hayloft::{Feed, SelectError};

use crate::{ApiError, App, Right, Session};

pub use nuget::NuGetProtocol;
pub use universal::UniversalProtocol;

/// What the clients of one ecosystem speak, under `/{path}/{feed}`.
pub trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// Tag of the feed type that it serves.
    fn feed_type(&self) -> &'static str;

    /// First segment of its URLs, such as `nuget`.
    fn path(&self) -> &'static str;

    /// Its routes below `/{path}/{feed}`; handlers find `feed` as a path parameter. A feed of
    /// another type is to be answered like one that does not exist.
    fn routes(&self) -> Router<App>;

    /// Shell lines that make a client use a feed at `url`, without the final slash.
    fn client_setup(&self, feed: &Feed, url: &str) -> Vec<String>;
}

/// The protocols that this crate has.
pub(crate) fn built_in() -> Vec<Arc<dyn Protocol>> {
    vec![Arc::new(NuGetProtocol), Arc::new(UniversalProtocol)]
}

/// A feed of one type, if the caller has these rights in it.
fn feed_of_type(
    session: &Session,
    name: &str,
    feed_type: &str,
    rights: &[Right],
) -> Result<Feed, ApiError> {
    let feed = session.feed(name, rights)?;
    if feed.feed_type == feed_type {
        return Ok(feed);
    }
    Err(ApiError::not_found(format!("Feed {} not found.", shorten(name))))
}

/// The answer to a URL that names no version: what is malformed does not exist.
fn not_selected(error: SelectError) -> ApiError {
    match error {
        SelectError::Invalid(_) => ApiError::not_found(ApiError::from(error).text()),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use hayloft::{Actor, FeedDraft};

    use super::*;

    #[test]
    fn clients_are_told_the_address_that_they_need() {
        let directory = tempfile::tempdir().unwrap();
        let store = hayloft::open(directory.path()).unwrap();
        for protocol in built_in() {
            let draft = FeedDraft::new(protocol.path(), protocol.feed_type());
            let feed = store.create_feed(draft, &Actor::system()).unwrap();
            let url = format!("http://h/{}/{}", protocol.path(), feed.name);
            let lines = protocol.client_setup(&feed, &url).join("\n");
            let expected = match protocol.path() {
                "nuget" => "http://h/nuget/nuget/v3/index.json --name nuget --allow-insecure",
                "upack" => "sources add --name=upack --url=http://h --feed=upack ",
                other => panic!("no line is expected for {other}"),
            };
            assert!(lines.contains(expected), "{lines}");
            let encrypted = protocol.client_setup(&feed, &url.replace("http:", "https:"));
            assert!(!encrypted.join("\n").contains("insecure"));
        }
    }
}
