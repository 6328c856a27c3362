use crate::{SelectError, StoreError};

/// A tag was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// The package or version was not found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The package has no such tag.
    #[error("there is no tag `{tag}`")]
    NotFound {
        /// What was asked for.
        tag: String,
    },
    /// Empty, longer than 256 bytes, with control characters, or one too many.
    #[error(
        "the tag is empty, has more than 256 bytes or control characters, or is one of more than 1,000"
    )]
    Text,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
