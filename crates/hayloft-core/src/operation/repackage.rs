use hayloft_feed::FeedTypeError;

use crate::{NoSuchFeed, PackageFile, SelectError, Selector, StoreError, UnknownFeedType};

/// The order to write a version again under another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepackageRequest {
    /// The source: with qualifiers one file, without all files of the version.
    pub source: Selector,
    /// Version of the result.
    pub new_version: String,
    /// Feed of the result; the source's if absent.
    pub to_feed: Option<String>,
    /// Why; goes into the embedded history.
    pub comments: Option<String>,
    /// Link to the job that does it; goes into the embedded history.
    pub url: Option<String>,
}

/// A durable repackaging.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RepackageOutcome {
    /// Number of its record.
    pub id: u64,
    /// The files of the result.
    pub files: Vec<PackageFile>,
    /// Entries that held signatures over the old bytes and were left out.
    pub signatures_removed: Vec<String>,
    /// Exact dependencies on siblings of the old version, which are left as they were.
    pub sibling_pins: Vec<String>,
    /// What the feed type accepted although a strict reading forbids it.
    pub warnings: Vec<String>,
}

/// Nothing was repackaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackageError {
    /// The source was not found or is blocked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The target feed does not exist.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The feed cannot be written to in this program.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
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
    /// The new version is the old one by the type's rule.
    #[error("`{package}` has that version already")]
    SameVersion {
        /// Package and version.
        package: String,
    },
    /// The new version is taken; repackaging never overwrites.
    #[error("`{package}` already exists")]
    Exists {
        /// Package and new version.
        package: String,
    },
    /// The feed the source feed must be promoted to is another one.
    #[error("packages of feed `{from}` may be promoted to feed `{allowed}` only")]
    Pipeline {
        /// Source feed.
        from: String,
        /// The only feed allowed.
        allowed: String,
    },
    /// The new version, or the package, does not suit the feed type.
    #[error("the package cannot be repackaged as asked")]
    Refused(#[source] FeedTypeError),
    /// The feed type wrote a file that does not read back as what was ordered.
    #[error("the repackaged file of `{package}` does not read back as ordered: {found}")]
    Mismatch {
        /// Package and new version.
        package: String,
        /// What was found instead.
        found: String,
    },
    /// A package exists in the target whose name differs in case alone.
    #[error("`{name}` differs only by case from the existing package `{existing}`")]
    CaseTwin {
        /// Name of the source.
        name: String,
        /// Name of the package that is there.
        existing: String,
    },
    /// The source changed while it was being repackaged.
    #[error("`{package}` was changed meanwhile; try again")]
    Changed {
        /// Package and version.
        package: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
