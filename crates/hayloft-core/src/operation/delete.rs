use crate::{SelectError, StoreError};

/// What a delete removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Package, version and qualifiers as they were spelled.
    pub package: String,
    /// Files removed, companions included.
    pub files: usize,
    /// What is gone with them.
    pub extent: Extent,
}

/// How far a delete went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Other files of the version remain.
    File,
    /// The version is gone; the package has others.
    Version,
    /// It was the last version of the package.
    Package,
}

/// Nothing was deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// It was not found, or several files fit.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
