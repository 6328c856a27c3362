//! The protocols of the ecosystems' own clients, each under a path of its own.
//!
//! A feed type says what is answered and done ([`Native`]); one executor serves all of them.
//! [`Protocol`] is for what that cannot say: routes of one's own.
//!
//! [`Native`]: hayloft::feed_type::native::Native

mod cache;
mod executor;
mod intake;
mod pack;
mod spill;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use hayloft::feed_type::native::ClientSetup;
use hayloft::{Feed, NativeError, Store};

use crate::App;

pub(crate) use cache::Cache;
pub(crate) use executor::routes;
#[cfg(feature = "fuzzing")]
pub(crate) use intake::fuzzing;

/// Routes of one's own below `/{path}/{feed}`.
pub trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// Tag of the feed type that it serves.
    fn feed_type(&self) -> &'static str;

    /// First segment of its URLs; no type that the store knows has it as its prefix.
    fn path(&self) -> &'static str;

    /// Its routes below `/{path}/{feed}`; handlers find `feed` as a path parameter. A feed of
    /// another type is to be answered like one that does not exist.
    fn routes(&self) -> Router<App>;
}

impl<P: Protocol + ?Sized> Protocol for Arc<P> {
    fn feed_type(&self) -> &'static str {
        (**self).feed_type()
    }

    fn path(&self) -> &'static str {
        (**self).path()
    }

    fn routes(&self) -> Router<App> {
        (**self).routes()
    }
}

/// The URL below which the clients of a feed's ecosystem find it on a server, without a slash at
/// the end; `None` if its type speaks no protocol here.
pub fn feed_url(store: &Store, feed: &Feed, base: &str) -> Option<String> {
    let feed_type = store.feed_type(feed)?;
    let prefix = feed_type.native()?.prefix();
    Some(format!("{base}/{prefix}/{}", hayloft::feed_type::native::encoded(&feed.name)))
}

/// Shell lines that make each client of a feed use it on a server; they work as printed where a key
/// is given.
pub fn client_setup(
    store: &Store,
    feed: &Feed,
    base: &str,
    key: Option<&str>,
) -> Result<Vec<ClientSetup>, NativeError> {
    let Some(url) = feed_url(store, feed, base) else { return Ok(Vec::new()) };
    let view = store.native_view(&feed.name)?;
    let card = hayloft::feed_type::native::FeedView::feed(&view.view()).clone();
    Ok(view.native().map(|native| native.setup(&card, &url, key)).unwrap_or_default())
}
