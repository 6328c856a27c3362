//! The protocols of the ecosystems' own clients, each under a path of its own.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use hayloft::Feed;

use crate::App;

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
    Vec::new()
}
