//! The tables, and how their keys are built. Integers are big-endian.

use std::ops::Bound;

use crate::{BlobKey, KeyRange, Table};

/// Text to numbers of the store itself.
pub(crate) const META: Table = Table("meta-1");
/// Feed number to `FeedRecord`.
pub(crate) const FEED: Table = Table("feed-1");
/// Folded name or alternate name to `FeedNameRecord`.
pub(crate) const FEED_NAME: Table = Table("feed_name-1");
/// Feed, name key to `PackageRecord`.
pub(crate) const PACKAGE: Table = Table("pkg-1");
/// Feed, name key without case, name key: only for names that have upper case in their key.
pub(crate) const PACKAGE_CASE: Table = Table("pkg_case-1");
/// Feed, name key, sort key, identity text to `VersionRecord`.
pub(crate) const VERSION: Table = Table("ver-1");
/// Version number, part to `MoreFilesRecord`.
pub(crate) const VERSION_FILES: Table = Table("ver_files-1");
/// Version number to `VersionPlaceRecord`.
pub(crate) const VERSION_ID: Table = Table("vid-1");
/// Document number, part to `DocumentRecord` or `DocumentPartRecord`.
pub(crate) const DOCUMENT: Table = Table("doc-1");
/// BLAKE3 to `BlobRecord`.
pub(crate) const BLOB: Table = Table("blob-1");
/// BLAKE3, version number, file number.
pub(crate) const BLOB_USE: Table = Table("blob_use-1");
/// Inline number to bytes; verified by digest, so without checksum.
pub(crate) const BLOB_DATA: Table = Table("blob_data-1");
/// Algorithm, 16 bytes of digest, BLAKE3.
pub(crate) const BY_HASH: Table = Table("by_hash-1");
/// Number to `PromotionRecord`.
pub(crate) const PROMOTION: Table = Table("promo-1");
/// Number to `RepackagingRecord`.
pub(crate) const REPACKAGING: Table = Table("repack-1");
/// Number to `AuditRecord`.
pub(crate) const AUDIT: Table = Table("audit-1");
/// Type, NUL, name key, kind, number.
pub(crate) const HISTORY: Table = Table("hist_pkg-1");
/// Package number, version number, file number to a counter; package number alone to their sum.
pub(crate) const DOWNLOADS: Table = Table("dl-1");
/// Feed, field to a counter.
pub(crate) const TOTALS: Table = Table("stat-1");
/// Feed, qualifier, NUL, value to `FacetRecord`.
pub(crate) const FACET: Table = Table("facet-1");
/// Number to `KeyRecord`.
pub(crate) const API_KEY: Table = Table("api_key-1");
/// Digest to `KeyPlaceRecord`.
pub(crate) const API_KEY_HASH: Table = Table("api_key_hash-1");
/// Name to `SettingRecord`.
pub(crate) const SETTING: Table = Table("setting-1");
/// Number to `JobRecord`.
pub(crate) const JOB: Table = Table("job-1");

/// A counter in [`TOTALS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Total {
    Packages = 0,
    Versions = 1,
    Files = 2,
    Bytes = 3,
    /// Not a sum: the sequence number of the last commit that changed the feed.
    Revision = 4,
}

/// Which table a row of [`HISTORY`] points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HistoryKind {
    Promotion = 1,
    Repackaging = 2,
}

/// Which digest a row of [`BY_HASH`] begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HashKind {
    Sha1 = 1,
    Sha256 = 2,
}

pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn feed(feed: u32) -> Vec<u8> {
    feed.to_be_bytes().to_vec()
}

pub(crate) fn number(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

pub(crate) fn package(feed: u32, name_key: &[u8]) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), name_key])
}

pub(crate) fn package_case(feed: u32, without_case: &[u8], name_key: &[u8]) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), without_case, name_key])
}

/// The rest of a key in [`VERSION`] after the package's prefix.
pub(crate) fn version_suffix(sort_key: &[u8], identity: &str) -> Vec<u8> {
    joined(&[sort_key, identity.as_bytes()])
}

pub(crate) fn version(package_key: &[u8], suffix: &[u8]) -> Vec<u8> {
    joined(&[package_key, suffix])
}

pub(crate) fn part(id: u64, part: u16) -> Vec<u8> {
    joined(&[&id.to_be_bytes(), &part.to_be_bytes()])
}

pub(crate) fn blob_use(blob: &BlobKey, version: u64, file: u32) -> Vec<u8> {
    joined(&[&blob.0, &version.to_be_bytes(), &file.to_be_bytes()])
}

pub(crate) fn by_hash(kind: HashKind, digest: &[u8], blob: &BlobKey) -> Vec<u8> {
    joined(&[&by_hash_prefix(kind, digest), &blob.0])
}

pub(crate) fn by_hash_prefix(kind: HashKind, digest: &[u8]) -> Vec<u8> {
    let beginning = digest.get(..16).unwrap_or(digest);
    joined(&[&[kind as u8], beginning])
}

pub(crate) fn history_prefix(tag: &str, name_key: &[u8], kind: HistoryKind) -> Vec<u8> {
    joined(&[tag.as_bytes(), &[0], name_key, &[kind as u8]])
}

pub(crate) fn history(tag: &str, name_key: &[u8], kind: HistoryKind, id: u64) -> Vec<u8> {
    joined(&[&history_prefix(tag, name_key, kind), &id.to_be_bytes()])
}

pub(crate) fn downloads(package: u64, version: u64, file: u32) -> Vec<u8> {
    joined(&[&downloads_of(package, version), &file.to_be_bytes()])
}

/// Sum of the counters of a package.
pub(crate) fn downloads_sum(package: u64) -> Vec<u8> {
    number(package)
}

pub(crate) fn downloads_of(package: u64, version: u64) -> Vec<u8> {
    joined(&[&package.to_be_bytes(), &version.to_be_bytes()])
}

pub(crate) fn total(feed: u32, field: Total) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), &[field as u8]])
}

pub(crate) fn facet(feed: u32, qualifier: &str, value: &str) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), qualifier.as_bytes(), &[0], value.as_bytes()])
}

/// All keys that begin with `prefix`.
pub(crate) fn prefixed(prefix: &[u8]) -> KeyRange {
    (Bound::Included(prefix.to_vec()), after_prefix(prefix))
}

/// The keys that begin with `prefix` and come after `key`.
pub(crate) fn prefixed_after(prefix: &[u8], key: &[u8]) -> KeyRange {
    (Bound::Excluded(key.to_vec()), after_prefix(prefix))
}

/// The keys that begin with `prefix` and come before `key`.
pub(crate) fn prefixed_before(prefix: &[u8], key: &[u8]) -> KeyRange {
    (Bound::Included(prefix.to_vec()), Bound::Excluded(key.to_vec()))
}

fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// A fixed-size big-endian number inside a key.
pub(crate) fn u64_at(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A fixed-size big-endian number inside a key.
pub(crate) fn u32_at(key: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The name key at the start of `bytes`: up to and with its NUL.
pub(crate) fn name_key_in(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_ends_where_the_prefix_does() {
        assert_eq!(prefixed(&[1, 2]).1, Bound::Excluded(vec![1, 3]));
        assert_eq!(prefixed(&[1, 255]).1, Bound::Excluded(vec![2]));
        assert_eq!(prefixed(&[255, 255]).1, Bound::Unbounded);
        assert_eq!(prefixed(&[]).1, Bound::Unbounded);
    }

    #[test]
    fn keys_have_their_documented_bytes() {
        assert_eq!(package(7, b"\x01a\0"), b"\0\0\0\x07\x01a\0");
        assert_eq!(version(&package(7, b"\x01a\0"), b"\x05x"), b"\0\0\0\x07\x01a\0\x05x");
        assert_eq!(part(1, 2), b"\0\0\0\0\0\0\0\x01\0\x02");
        assert_eq!(total(1, Total::Bytes), b"\0\0\0\x01\x03");
        assert_eq!(facet(1, "distro", "stable"), b"\0\0\0\x01distro\0stable");
        assert_eq!(by_hash(HashKind::Sha1, &[9; 20], &BlobKey([8; 32])).len(), 1 + 16 + 32);
        assert_eq!(name_key_in(b"\x01a\0rest"), Some(&b"\x01a\0"[..]));
        assert_eq!(name_key_in(b"\x01a"), None);
    }
}
