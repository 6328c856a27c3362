use std::collections::BTreeMap;

use hayloft_feed::HistoryEntry;

use crate::Timestamp;

/// One promotion, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promotion {
    /// Grows with time.
    pub id: u64,
    /// Tag of the feeds' type.
    pub feed_type: String,
    /// Name of the source feed at the time.
    pub from_feed: String,
    /// Name of the target feed at the time.
    pub to_feed: String,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version in the target.
    pub version: String,
    /// When.
    pub date: Timestamp,
    /// Who.
    pub user: String,
    /// Why; empty if nothing was said.
    pub comments: String,
}

/// Which promotions to list; all filters compare without ASCII case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromotionQuery {
    /// Only from this feed.
    pub from_feed: Option<String>,
    /// Only to this feed.
    pub to_feed: Option<String>,
    /// Only this group; an empty text means packages without one.
    pub group: Option<String>,
    /// Only this package.
    pub name: Option<String>,
    /// Only this version.
    pub version: Option<String>,
}

/// One repackaging, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repackaging {
    /// Grows with time.
    pub id: u64,
    /// Tag of the feeds' type.
    pub feed_type: String,
    /// Name of the source feed at the time.
    pub from_feed: String,
    /// Name of the target feed at the time.
    pub to_feed: String,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version of the source.
    pub from_version: String,
    /// Version of the result.
    pub to_version: String,
    /// When.
    pub date: Timestamp,
    /// Who.
    pub user: String,
    /// Why; empty if nothing was said.
    pub comments: String,
    /// Source and result file by file.
    pub files: Vec<RepackagedFile>,
}

/// One file of a repackaging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepackagedFile {
    /// Name of the source file.
    pub from_name: String,
    /// SHA-256 of the source file.
    pub from_sha256: [u8; 32],
    /// Name of the result.
    pub to_name: String,
    /// SHA-256 of the result.
    pub to_sha256: [u8; 32],
}

/// All that is known of how a version came to be.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PackageHistory {
    /// Entries embedded in each file, oldest first, by the file's qualifiers in text form. They
    /// travel with the bytes, so they may tell of other servers.
    pub embedded: BTreeMap<String, Vec<HistoryEntry>>,
    /// Promotions of the package that this store made, oldest first.
    pub promotions: Vec<Promotion>,
    /// Repackagings of the package that this store made, oldest first.
    pub repackagings: Vec<Repackaging>,
}
