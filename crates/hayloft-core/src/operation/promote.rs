use hayloft_feed::FeedTypeError;

use crate::operation::Stored;
use crate::{NoSuchFeed, Overwrite, PackageFile, SelectError, Selector, StoreError};

/// The order to bring the same bytes into another feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoteRequest {
    /// The source: with qualifiers one file, without all files of the version.
    pub source: Selector,
    /// Target feed.
    pub to_feed: String,
    /// Why.
    pub comments: Option<String>,
    /// Whether files with other bytes in the target may be replaced.
    pub overwrite: Overwrite,
}

/// A durable promotion.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PromoteOutcome {
    /// Number of its record.
    pub id: u64,
    /// What became of the files: `Created` or `Replaced` if that holds for any of them.
    pub stored: Stored,
    /// The files in the target.
    pub files: Vec<PackageFile>,
}

/// Nothing was promoted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// The source was not found or is blocked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The target feed does not exist.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The feeds hold different kinds of packages.
    #[error("feed `{from}` is of type `{from_type}` and feed `{to}` of type `{to_type}`")]
    DifferentTypes {
        /// Source feed.
        from: String,
        /// Its type.
        from_type: String,
        /// Target feed.
        to: String,
        /// Its type.
        to_type: String,
    },
    /// Source and target are the same feed.
    #[error("feed `{feed}` cannot be promoted to itself")]
    SameFeed {
        /// Name of the feed.
        feed: String,
    },
    /// The feed the source feed must be promoted to is another one.
    #[error("packages of feed `{from}` may be promoted to feed `{allowed}` only")]
    Pipeline {
        /// Source feed.
        from: String,
        /// The only feed allowed.
        allowed: String,
    },
    /// The target has other bytes, which may not be replaced.
    #[error("`{package}` already exists and cannot be overwritten")]
    Conflict {
        /// Package, version and qualifiers.
        package: String,
    },
    /// A package exists in the target whose name differs in case alone.
    #[error("`{name}` differs only by case from the existing package `{existing}`")]
    CaseTwin {
        /// Name of the source.
        name: String,
        /// Name of the package that is there.
        existing: String,
    },
    /// A version in the target has as many files as it may have.
    #[error("`{package}` has {limit} files already, no more are allowed")]
    TooManyFiles {
        /// Package and version.
        package: String,
        /// Files allowed.
        limit: usize,
    },
    /// The package does not suit the feed type.
    #[error("the package cannot be promoted as asked")]
    Refused(#[source] FeedTypeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
