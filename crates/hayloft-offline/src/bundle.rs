//! One file that carries packages of a feed, with their state, to another store.
//!
//! A tar archive that `tar` reads: first `hayloft-bundle.json`, which says what it is and names the
//! digest of `records.jsonl`; that says of each file, package and promotion what there is to know;
//! then the contents, `blobs/` and their SHA-256. Equal packages in equal state give equal bytes.

mod apply;
mod create;
mod record;
mod signature;

use std::io;
use std::path::PathBuf;

use hayloft_archive::ArchiveError;
use hayloft_core::{
    AdoptError, LookupError, NativeError, SelectError, StatusError, StoreError, TagError,
};

pub use apply::{Applied, ApplyOptions, apply, inspect};
pub use create::{BundleOptions, create};
pub use record::{BundleHeader, BundleMark};
pub use signature::{KeyError, SigningKey, VerifyingKey, sign, signature_path};

/// Most bytes of the records of a bundle.
const RECORDS: u64 = 1 << 30;
/// Most bytes of its header.
const HEADER: u64 = 1 << 20;

const HEADER_NAME: &str = "hayloft-bundle.json";
const RECORDS_NAME: &str = "records.jsonl";
const BLOBS: &str = "blobs/";

/// A bundle was not made, read or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// There is no such feed, or its type is not known here.
    #[error(transparent)]
    Feed(#[from] NativeError),
    /// A package that was asked for is not there, or cannot be read.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The feed changed while the bundle was made.
    #[error("the feed changed meanwhile; make the bundle again")]
    Changed,
    /// The bundle that another one is to follow is none of this feed.
    #[error("`{}` is no bundle of this feed as it is here, so nothing can follow it", path.display())]
    Unrelated {
        /// The earlier bundle.
        path: PathBuf,
    },
    /// The file is no bundle, or not all of it.
    #[error("the file is no whole bundle: {0}")]
    Damaged(String),
    /// It cannot be signed, or is not signed as it has to be.
    #[error("the signature is not good: {0}")]
    Signature(String),
    /// A newer release made it.
    #[error("the bundle has format {found}, this program knows formats up to {known}")]
    Newer {
        /// Its format.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// It is of another type.
    #[error("the bundle is of a feed of type `{bundle}`, the feed is of type `{feed}`")]
    OtherType {
        /// Type of the bundle.
        bundle: String,
        /// Type of the feed.
        feed: String,
    },
    /// It follows another bundle that was not applied.
    #[error("the bundle follows another one, which has to be applied first: `{file}` is missing")]
    Missing {
        /// A file that the bundle names and does not hold.
        file: String,
    },
    /// A package of it cannot be stored.
    #[error("`{file}` was not accepted: {reason}")]
    Refused {
        /// What the file is called.
        file: String,
        /// Why.
        reason: String,
    },
    /// A status cannot be set.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// A tag cannot be set.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// A record cannot be kept.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The file of the bundle could not be read or written.
    #[error("the file of the bundle could not be read or written")]
    File(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookupError> for BundleError {
    fn from(error: LookupError) -> Self {
        Self::Feed(error.into())
    }
}

impl From<ArchiveError> for BundleError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Io(error) => Self::File(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<io::Error> for BundleError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}
