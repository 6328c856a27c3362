use hayloft_feed::shorten;

use crate::{PackageFile, StoreError};

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// BLAKE3 with 32 bytes.
    Blake3,
}

/// A file found by its digest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundFile {
    /// Name of its feed.
    pub feed: String,
    /// The file.
    pub file: PackageFile,
}

/// Nothing could be looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Not the hex digits of a digest.
    #[error("`{}` is not a digest: give 32, 40, 64 or 128 hex digits", shorten(.0))]
    Digest(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
