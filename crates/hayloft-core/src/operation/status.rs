use hayloft_feed::Detail;

use crate::{Allow, Deprecation, Listing, PackageFile, SelectError, StoreError};

/// What to change about the status of a version; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusChange {
    /// Show or hide.
    pub listing: Option<Listing>,
    /// `Some(None)` clears the override.
    pub allow: Option<Option<Allow>>,
    /// What to do about deprecation.
    pub deprecation: Option<DeprecationChange>,
}

/// A change of deprecation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeprecationChange {
    /// Deprecates with exactly this, replacing what was there.
    Set(Deprecation),
    /// Changes the reason alone; nothing happens to a version that is not deprecated.
    Reason(Option<String>),
    /// Takes the deprecation back.
    Clear,
}

/// One version after a change of status.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatusOutcome {
    /// False if the version had that status already; its times are untouched then.
    pub changed: bool,
    /// Its package files.
    pub files: Vec<PackageFile>,
}

/// The status was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A version was not found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The caller's precondition did not hold.
    #[error("the change was refused")]
    Refused(#[source] Detail),
    /// Deprecation details are not a JSON object.
    #[error("the deprecation details are not a JSON object")]
    Details(#[source] Detail),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
