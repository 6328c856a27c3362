use std::collections::BTreeMap;
use std::io;

use hayloft_feed::FeedTypeError;

use crate::{NoSuchFeed, PackageFile, StoreError, UnknownFeedType};

/// Whether the caller may replace an existing file by other bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// No.
    #[default]
    Refuse,
    /// Yes, if the feed allows it too.
    Replace,
}

/// What a client says beside the bytes of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadRequest {
    /// What the client calls the file.
    pub file_name: Option<String>,
    /// Request parameters by lower-case name, such as `distribution`.
    pub hints: BTreeMap<String, String>,
    /// Whether an existing file may be replaced.
    pub overwrite: Overwrite,
    /// Tags, such as npm's dist-tags, that are to point at the version in the same commit.
    pub tags: Vec<String>,
}

/// What became of a file that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    Created,
    /// The same bytes were there; nothing changed.
    Unchanged,
    /// Other bytes were there and are gone.
    Replaced,
}

/// A durable upload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Uploaded {
    /// What became of it.
    pub stored: Stored,
    /// The file as it is stored now.
    pub file: PackageFile,
    /// What was accepted although a strict reading forbids it.
    pub warnings: Vec<String>,
}

/// An upload was not stored, or it is unknown whether it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// No such feed.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The feed takes no uploads in this program.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
    /// The feed type does not accept the file.
    #[error("the package was not accepted")]
    Refused(#[source] FeedTypeError),
    /// Larger than the store takes.
    #[error("the file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The client's bytes ended in an error.
    #[error("the upload could not be read")]
    Source(#[source] io::Error),
    /// The same file exists with other bytes, and may not be replaced.
    #[error("`{package}` already exists and cannot be overwritten")]
    Conflict {
        /// Package, version and qualifiers.
        package: String,
    },
    /// A package exists whose name differs in case alone.
    #[error("`{name}` differs only by case from the existing package `{existing}`")]
    CaseTwin {
        /// Name in the upload.
        name: String,
        /// Name of the package that is there.
        existing: String,
    },
    /// A companion file came without its version.
    #[error("`{package}` must be uploaded before its companion file")]
    NoVersion {
        /// Package and version.
        package: String,
    },
    /// A version has as many files as it may have.
    #[error("`{package}` has {limit} files already, no more are allowed")]
    TooManyFiles {
        /// Package and version.
        package: String,
        /// Files allowed.
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
