use std::fmt;

use hayloft::{ApiKey, Feed, Store, StoreError};

use super::{Credential, Visitor};

/// Decides who a visitor is and what they may do. Embedders replace it to use accounts of their
/// own.
///
/// Called on threads that may block, once for the credential and once for each right that a request
/// needs. All requests share these threads, so what takes milliseconds of processor belongs into
/// [`Gatekeeper::study`].
pub trait Gatekeeper: fmt::Debug + Send + Sync + 'static {
    /// Who sends this request; the anonymous caller if it shows nothing.
    ///
    /// [`Visitor::credential`] is what the client shows, [`Visitor::extension`] what layers around
    /// the router have found out.
    fn identify(&self, store: &Store, visitor: &Visitor) -> Result<Caller, Refusal>;

    /// Makes out a credential for which [`Gatekeeper::identify`] answered [`Refusal::Slow`], and
    /// keeps what it found for the next call of that; true if it opens anything.
    ///
    /// Runs on few threads of its own, and for each address only so often as it is of use.
    fn study(&self, store: &Store, credential: &Credential) -> Result<bool, StoreError> {
        let _ = (store, credential);
        Ok(false)
    }

    /// Whether the caller has this right in the feed; without a feed, in the whole store.
    fn may(
        &self,
        store: &Store,
        caller: &Caller,
        right: Right,
        feed: Option<&Feed>,
    ) -> Result<bool, StoreError>;
}

/// Who asks.
///
/// A layer around the router that knows callers of its own puts one into the extensions of the
/// request, for [`OuterCaller`](super::OuterCaller) to believe.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Goes into records as the actor.
    pub name: String,
    /// The key that was shown, if it was one of the store's.
    pub key: Option<ApiKey>,
    /// True if no credential was shown.
    pub anonymous: bool,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// See a feed and lists of its packages.
    View,
    /// Get files.
    Download,
    /// Add packages and files.
    Add,
    /// Replace the bytes of a file.
    Overwrite,
    /// Remove files.
    Delete,
    /// Change the status of a version.
    SetStatus,
    /// Bring packages in from another feed.
    AcceptPromotion,
    /// Change the settings of a feed.
    ManageFeed,
    /// Make and remove feeds.
    ManageFeeds,
    /// Keys, settings, everything else.
    Administer,
}

/// A credential opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is unknown, expired or malformed.
    #[error("the credential is unknown or has expired")]
    Unknown,
    /// Only [`Gatekeeper::study`] can tell.
    #[error("the credential takes long to make out")]
    Slow,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
