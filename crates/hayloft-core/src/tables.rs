//! The tables, and how their keys are built. Integers are big-endian.

use std::ops::Bound;

use hayloft_feed::Fragment;

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
/// Version's key, NUL, file number, kind, part to `FragmentRecord` or `FragmentPartRecord`: all
/// fragments of a package are one range.
pub(crate) const FRAGMENT: Table = Table("frag-1");
/// Version's key to `StatusRecord`; without a row the version is listed, and neither blocked nor
/// deprecated.
pub(crate) const STATUS: Table = Table("status-1");
/// BLAKE3 to `BlobRecord`, and beside it BLAKE3, version number, file number to `UseRecord` for
/// each use.
pub(crate) const BLOB: Table = Table("blob-1");
/// Inline number, part to bytes; verified by digest, so without checksum.
pub(crate) const BLOB_DATA: Table = Table("blob_data-1");
/// BLAKE3, part to `GroupsRecord`.
pub(crate) const GROUPS: Table = Table("group-1");
/// 16 bytes of SHA-256, BLAKE3.
pub(crate) const BY_HASH: Table = Table("by_hash-1");
/// Number to `PromotionRecord`.
pub(crate) const PROMOTION: Table = Table("promo-1");
/// Number to `RepackagingRecord`.
pub(crate) const REPACKAGING: Table = Table("repack-1");
/// Number of a repackaging, part to `MoreRepackagedRecord`.
pub(crate) const REPACKAGING_FILES: Table = Table("repack_files-1");
/// Number to `AuditRecord`.
pub(crate) const AUDIT: Table = Table("audit-1");
/// Type, NUL, name key, kind, number.
pub(crate) const HISTORY: Table = Table("hist_pkg-1");
/// Version's key, NUL, file number to a counter; package's key alone to the sum of its files.
pub(crate) const DOWNLOADS: Table = Table("dl-1");
/// Feed to `TotalsRecord`.
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

/// Feed, key of the type's choice to `IndexRowRecord`.
pub(crate) const INDEX: Table = Table("idx-1");
/// The key of a row of [`INDEX`], part to `IndexPartRecord`: the rest of a large value.
pub(crate) const INDEX_PART: Table = Table("idx_part-1");
/// Feed to `IndexStateRecord`.
pub(crate) const INDEX_STATE: Table = Table("idx_state-1");
/// Feed, length of a log's name, the name to `IndexLogRecord`; and with generation, offset to
/// `IndexLinesRecord`.
pub(crate) const INDEX_LOG: Table = Table("idx_log-1");
/// Feed, name of a subject to `SubjectRecord`.
pub(crate) const SUBJECT: Table = Table("subject-1");
/// Feed, name of a subject that has to be refreshed to `SubjectRecord`.
pub(crate) const STALE: Table = Table("stale-1");
/// Feed to `SecretRecord`; in no answer, audit row or export.
pub(crate) const SECRET: Table = Table("secret-1");
/// Feed, name key to `SearchChangeRecord`: what is not folded into [`SEARCH`] yet.
pub(crate) const SEARCH_LOG: Table = Table("search_log-1");
/// Feed, [`SearchKey`] to what stands there.
pub(crate) const SEARCH: Table = Table("search-1");

/// All tables: a commit that names another is refused.
pub(crate) static ALL: [Table; 35] = [
    META,
    FEED,
    FEED_NAME,
    PACKAGE,
    PACKAGE_CASE,
    VERSION,
    VERSION_FILES,
    VERSION_ID,
    FRAGMENT,
    STATUS,
    BLOB,
    BLOB_DATA,
    GROUPS,
    BY_HASH,
    PROMOTION,
    REPACKAGING,
    REPACKAGING_FILES,
    AUDIT,
    HISTORY,
    DOWNLOADS,
    TOTALS,
    FACET,
    API_KEY,
    API_KEY_HASH,
    SETTING,
    JOB,
    INDEX,
    INDEX_PART,
    INDEX_STATE,
    INDEX_LOG,
    SUBJECT,
    STALE,
    SECRET,
    SEARCH_LOG,
    SEARCH,
];

/// The tables whose keys begin with a feed and that go with it as they are.
pub(crate) const OF_INDEX: [Table; 9] =
    [INDEX, INDEX_PART, INDEX_STATE, INDEX_LOG, SUBJECT, STALE, SEARCH_LOG, SEARCH, SECRET];

/// Which table a row of [`HISTORY`] points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HistoryKind {
    Promotion = 1,
    Repackaging = 2,
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

/// What a fragment is to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FragmentKind(pub(crate) u8);

impl FragmentKind {
    /// The JSON object that the feed type has read.
    pub(crate) const MANIFEST: Self = Self(Fragment::MANIFEST);
    /// The first document; the others follow in the file's own order.
    pub(crate) const DOCUMENT: Self = Self(Fragment::LAST_KIND + 1);
    /// The history found inside the file.
    pub(crate) const HISTORY: Self = Self(u8::MAX);

    /// The kind as its feed type knows it; `None` for the store's own.
    pub(crate) fn of_type(self) -> Option<u8> {
        (self.0 <= Fragment::LAST_KIND).then_some(self.0)
    }
}

/// Documents of a file that kinds are left for.
pub(crate) const DOCUMENTS_PER_FILE: usize = 63;

/// The kind of a file's document, by its place; `None` for a place beyond the last.
pub(crate) fn document_kind(at: usize) -> Option<FragmentKind> {
    let at = u8::try_from(at).ok().filter(|at| usize::from(*at) < DOCUMENTS_PER_FILE)?;
    Some(FragmentKind(FragmentKind::DOCUMENT.0 + at))
}

/// What the keys of the fragments of a version begin with; its own key may be the beginning of
/// another version's.
pub(crate) fn fragments_of_version(version_key: &[u8]) -> Vec<u8> {
    joined(&[version_key, &[0]])
}

pub(crate) fn fragments_of_file(version_key: &[u8], file: u32) -> Vec<u8> {
    joined(&[version_key, &[0], &file.to_be_bytes()])
}

pub(crate) fn fragment(version_key: &[u8], file: u32, kind: FragmentKind, part: u16) -> Vec<u8> {
    joined(&[version_key, &[0], &file.to_be_bytes(), &[kind.0], &part.to_be_bytes()])
}

/// A key of [`FRAGMENT`] taken apart from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FragmentKey<'a> {
    pub(crate) version: &'a [u8],
    pub(crate) file: u32,
    pub(crate) kind: FragmentKind,
    pub(crate) part: u16,
}

/// `None` for bytes that are no key of a fragment.
pub(crate) fn fragment_key(key: &[u8]) -> Option<FragmentKey<'_>> {
    let (rest, part) = key.split_last_chunk::<2>()?;
    let (rest, kind) = rest.split_last_chunk::<1>()?;
    let (rest, file) = rest.split_last_chunk::<4>()?;
    let (version, [0]) = rest.split_last_chunk::<1>()? else { return None };
    Some(FragmentKey {
        version,
        file: u32::from_be_bytes(*file),
        kind: FragmentKind(kind.first().copied()?),
        part: u16::from_be_bytes(*part),
    })
}

pub(crate) fn blob_use(blob: &BlobKey, version: u64, file: u32) -> Vec<u8> {
    joined(&[&blob.0, &version.to_be_bytes(), &file.to_be_bytes()])
}

/// The uses of a content: its own key and what comes after it.
pub(crate) fn blob_uses(blob: &BlobKey) -> KeyRange {
    prefixed_after(&blob.0, &blob.0)
}

/// True for the key of a content in [`BLOB`], false for that of a use.
pub(crate) fn is_blob(key: &[u8]) -> bool {
    key.len() == 32
}

pub(crate) fn groups(blob: &BlobKey, part: u32) -> Vec<u8> {
    joined(&[&blob.0, &part.to_be_bytes()])
}

pub(crate) fn by_hash(sha256: &[u8; 32], blob: &BlobKey) -> Vec<u8> {
    joined(&[by_hash_prefix(sha256), &blob.0])
}

pub(crate) fn by_hash_prefix(sha256: &[u8; 32]) -> &[u8] {
    sha256.get(..16).unwrap_or(sha256)
}

pub(crate) fn history_prefix(tag: &str, name_key: &[u8], kind: HistoryKind) -> Vec<u8> {
    joined(&[tag.as_bytes(), &[0], name_key, &[kind as u8]])
}

pub(crate) fn history(tag: &str, name_key: &[u8], kind: HistoryKind, id: u64) -> Vec<u8> {
    joined(&[&history_prefix(tag, name_key, kind), &id.to_be_bytes()])
}

pub(crate) fn downloads(version_key: &[u8], file: u32) -> Vec<u8> {
    joined(&[&downloads_of(version_key), &file.to_be_bytes()])
}

/// What the keys of the counters of a version begin with.
pub(crate) fn downloads_of(version_key: &[u8]) -> Vec<u8> {
    joined(&[version_key, &[0]])
}

/// The version's key and the file number in a key of [`DOWNLOADS`] that is no sum.
pub(crate) fn downloads_key(key: &[u8]) -> Option<(&[u8], u32)> {
    let (rest, file) = key.split_last_chunk::<4>()?;
    let (version, [0]) = rest.split_last_chunk::<1>()? else { return None };
    Some((version, u32::from_be_bytes(*file)))
}

/// The key of the package at the start of the key of one of its versions.
pub(crate) fn package_of(version_key: &[u8]) -> Option<&[u8]> {
    let name_key = name_key_in(version_key.get(4..)?)?;
    version_key.get(..4 + name_key.len())
}

pub(crate) fn facet(feed: u32, qualifier: &str, value: &str) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), qualifier.as_bytes(), &[0], value.as_bytes()])
}

/// A row of a type's index.
pub(crate) fn index(feed: u32, key: &[u8]) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), key])
}

/// A further part of a row of a type's index.
pub(crate) fn index_part(feed: u32, key: &[u8], part: u16) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), key, &part.to_be_bytes()])
}

/// The head of a log, and what the keys of its lines begin with.
pub(crate) fn index_log(feed: u32, name: &[u8]) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    joined(&[&feed.to_be_bytes(), &length.to_be_bytes(), name])
}

/// Lines of a log from this offset on.
pub(crate) fn index_lines(feed: u32, name: &[u8], generation: u64, offset: u64) -> Vec<u8> {
    joined(&[&index_log(feed, name), &generation.to_be_bytes(), &offset.to_be_bytes()])
}

/// What the keys of the lines of one generation begin with.
pub(crate) fn index_log_generation(feed: u32, name: &[u8], generation: u64) -> Vec<u8> {
    joined(&[&index_log(feed, name), &generation.to_be_bytes()])
}

/// True for the key of a log's head.
pub(crate) fn is_index_log(key: &[u8]) -> bool {
    let length = key.get(4..6).and_then(|length| length.try_into().ok()).map(u16::from_be_bytes);
    length.is_some_and(|length| key.len() == 6 + usize::from(length))
}

pub(crate) fn subject(feed: u32, name: &[u8]) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), name])
}

pub(crate) fn search_change(feed: u32, name_key: &[u8]) -> Vec<u8> {
    joined(&[&feed.to_be_bytes(), name_key])
}

/// What a row of [`SEARCH`] tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchKey<'a> {
    /// Terms and flags of a package as they were folded, to a `SearchPackageRecord`.
    Package(&'a [u8]),
    /// Packages that have a term, by their flags, to a `SearchCountRecord`; the empty term stands
    /// for all packages. Terms hold no NUL.
    Count(&'a str),
    /// That a package has a term, to a `SearchTermRecord`.
    Term(&'a str, &'a [u8]),
}

pub(crate) fn search(feed: u32, key: SearchKey<'_>) -> Vec<u8> {
    let feed = feed.to_be_bytes();
    match key {
        SearchKey::Package(name_key) => joined(&[&feed, &[1], name_key]),
        SearchKey::Count(term) => joined(&[&feed, &[2], term.as_bytes(), &[0]]),
        SearchKey::Term(term, name_key) => joined(&[&feed, &[2], term.as_bytes(), &[0], name_key]),
    }
}

/// All keys that begin with `prefix`.
pub(crate) fn prefixed(prefix: &[u8]) -> KeyRange {
    (Bound::Included(prefix.to_vec()), after_prefix(prefix))
}

/// The keys that begin with `prefix` and come after `key`.
pub(crate) fn prefixed_after(prefix: &[u8], key: &[u8]) -> KeyRange {
    (Bound::Excluded(key.to_vec()), after_prefix(prefix))
}

/// The keys that begin with `prefix` up to `key`, which counts.
pub(crate) fn prefixed_upto(prefix: &[u8], key: &[u8]) -> KeyRange {
    (Bound::Included(prefix.to_vec()), Bound::Included(key.to_vec()))
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
        assert_eq!(facet(1, "distro", "stable"), b"\0\0\0\x01distro\0stable");
        assert_eq!(by_hash(&[9; 32], &BlobKey([8; 32])), [&[9; 16][..], &[8; 32]].concat());
        let usage = blob_use(&BlobKey([8; 32]), 1, 2);
        assert_eq!(usage, [&[8; 32][..], b"\0\0\0\0\0\0\0\x01\0\0\0\x02"].concat());
        assert!(is_blob(&[8; 32]) && !is_blob(&usage));
        assert_eq!(name_key_in(b"\x01a\0rest"), Some(&b"\x01a\0"[..]));
        assert_eq!(name_key_in(b"\x01a"), None);
        assert_eq!(index(1, b"k"), b"\0\0\0\x01k");
        assert_eq!(subject(1, b"root"), b"\0\0\0\x01root");
        assert_eq!(index_part(1, b"k", 2), b"\0\0\0\x01k\0\x02");
        assert_eq!(index_log(1, b"a\0b"), b"\0\0\0\x01\0\x03a\0b");
        assert!(is_index_log(&index_log(1, b"a\0b")));
        let lines = index_lines(1, b"log", 2, 3);
        assert_eq!(lines, b"\0\0\0\x01\0\x03log\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03");
        assert!(!is_index_log(&lines));
        assert_eq!(search_change(1, b"\x01a\0"), b"\0\0\0\x01\x01a\0");
        assert_eq!(search(1, SearchKey::Package(b"\x01a\0")), b"\0\0\0\x01\x01\x01a\0");
        assert_eq!(search(1, SearchKey::Count("json")), b"\0\0\0\x01\x02json\0");
        assert_eq!(search(1, SearchKey::Term("json", b"\x01a\0")), b"\0\0\0\x01\x02json\0\x01a\0");
    }

    #[test]
    fn the_fragments_of_a_package_lie_together_in_the_order_of_their_versions() {
        let package = package(7, b"\x01a\0");
        let key = |suffix: &[u8], file, kind, part| {
            fragment(&version(&package, suffix), file, FragmentKind(kind), part)
        };
        // Debian keeps `1.0` and `1.0-0` apart, and sorts them alike.
        let keys = [
            key(b"\x011.0", 0, 0, 0),
            key(b"\x011.0", 0, 0, 1),
            key(b"\x011.0", 0, 64, 0),
            key(b"\x011.0", 1, 0, 0),
            key(b"\x011.0-0", 0, 0, 0),
            key(b"\x022.0", 0, 0, 0),
        ];
        assert!(keys.is_sorted());
        assert!(keys.iter().all(|key| key.starts_with(&package)));
        let first = fragments_of_version(&version(&package, b"\x011.0"));
        let of_first = keys.iter().filter(|key| key.starts_with(&first)).count();
        assert_eq!(of_first, 4);
        let read = fragment_key(&keys[2]).unwrap();
        assert_eq!(read.version, version(&package, b"\x011.0"));
        assert_eq!((read.file, read.kind, read.part), (0, FragmentKind(64), 0));
        assert_eq!(fragment_key(b"short"), None);
    }

    #[test]
    fn documents_have_kinds_of_their_own() {
        assert_eq!(document_kind(0), Some(FragmentKind::DOCUMENT));
        let last = document_kind(DOCUMENTS_PER_FILE - 1).unwrap();
        assert!(last < FragmentKind::HISTORY);
        assert_eq!(document_kind(DOCUMENTS_PER_FILE), None);
        assert_eq!(DOCUMENTS_PER_FILE, crate::Kept::Documents.limit());
        assert_eq!(Fragment::LONGEST, crate::Kept::IndexEntry.limit());
    }
}
