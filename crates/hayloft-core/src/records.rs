//! The values of all tables, as they lie on the disk.
//!
//! A released struct never changes: see `codec`. Enums grow at their end only. `goldens` holds the
//! bytes of each.

use bincode::{Decode, Encode};

use crate::codec::Record;

pub(crate) mod borrowed;
#[cfg(test)]
mod goldens;
#[cfg_attr(not(test), allow(dead_code, reason = "for the hook of the indexes"))]
mod index;

pub(crate) use index::*;

macro_rules! records {
    ($($kind:literal => $record:ident),+ $(,)?) => {
        $(impl Record for $record {
            const KIND: u8 = $kind;
        })+

        #[cfg(test)]
        const KINDS: &[u8] = &[$($kind),+];

        /// Reads bytes as the payload of a record of each kind, writes what was found and reads it
        /// again; tells of how many kinds they are, or which one does not come to the same.
        #[cfg(feature = "sim")]
        pub(crate) fn read_as_each(payload: &[u8]) -> Result<usize, &'static str> {
            let mut found = 0;
            $(match crate::codec::written_again::<$record>(payload) {
                None => {}
                Some(true) => found += 1,
                Some(false) => return Err(stringify!($record)),
            })+
            Ok(found)
        }
    };
}

records! {
    1 => CountersRecord,
    2 => NumberRecord,
    3 => FormatRecord,
    4 => LogPositionRecord,
    5 => SaltRecord,
    10 => FeedRecord,
    11 => FeedNameRecord,
    20 => PackageRecord,
    30 => VersionRecord,
    31 => MoreFilesRecord,
    32 => VersionPlaceRecord,
    33 => StatusRecord,
    40 => FragmentRecord,
    41 => FragmentPartRecord,
    50 => BlobRecord,
    51 => UseRecord,
    52 => GroupsRecord,
    60 => PromotionRecord,
    61 => RepackagingRecord,
    62 => AuditRecord,
    63 => MoreRepackagedRecord,
    70 => FacetRecord,
    71 => TotalsRecord,
    72 => CounterRecord,
    73 => EntryRecord,
    80 => KeyRecord,
    81 => KeyPlaceRecord,
    90 => SettingRecord,
    100 => JobRecord,
    110 => IndexRowRecord,
    111 => IndexStateRecord,
    112 => IndexLogRecord,
    113 => IndexLinesRecord,
    114 => SubjectRecord,
    115 => SearchChangeRecord,
    116 => SearchPackageRecord,
    117 => SearchTermRecord,
    118 => SearchCountRecord,
    119 => IndexPartRecord,
    120 => SecretRecord,
}

/// Numbers that every commit reads and writes; one row, so that it also is the fence against a
/// second writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CountersRecord {
    /// Number of the last commit.
    pub(crate) sequence: u64,
    /// Last number given to each kind of row.
    pub(crate) feed: u32,
    pub(crate) package: u64,
    pub(crate) version: u64,
    pub(crate) inline: u64,
    pub(crate) promotion: u64,
    pub(crate) repackaging: u64,
    pub(crate) audit: u64,
    pub(crate) key: u64,
    pub(crate) job: u64,
    /// Chain value of the last audit row.
    pub(crate) chain: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct NumberRecord(pub(crate) u64);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FormatRecord {
    pub(crate) major: u32,
    /// Lowest format that a program must know to read the store, and to write it.
    pub(crate) min_reader: u32,
    pub(crate) min_writer: u32,
    /// Random; names this store.
    pub(crate) store: [u8; 16],
    /// Random; another one once the store has gone back to an earlier state.
    pub(crate) timeline: [u8; 16],
}

/// How much of the download log is in the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LogPositionRecord {
    pub(crate) generation: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SaltRecord(pub(crate) [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FeedRecord {
    pub(crate) name: String,
    pub(crate) alternates: Vec<String>,
    pub(crate) tag: String,
    pub(crate) state: FeedState,
    pub(crate) created: i64,
    pub(crate) description: Option<String>,
    pub(crate) activity: ActivityValue,
    pub(crate) overwriting: OverwritingValue,
    pub(crate) delete_mode: DeleteModeValue,
    /// Number of a feed, which may be gone; never that of another feed.
    pub(crate) promote_to: Option<u32>,
    pub(crate) other: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum FeedState {
    Live,
    Deleting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum ActivityValue {
    Active,
    Inactive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum OverwritingValue {
    Allowed,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum DeleteModeValue {
    Unlist,
    Remove,
}

/// Which feed has a name, and enough of the feed to make its row anew.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FeedNameRecord {
    pub(crate) feed: u32,
    pub(crate) role: NameRole,
    pub(crate) spelled: String,
    pub(crate) tag: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum NameRole {
    Name,
    Alternate,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PackageRecord {
    pub(crate) package: u64,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) versions: u64,
    pub(crate) latest: Option<Pointer>,
    pub(crate) latest_stable: Option<Pointer>,
    /// Tag to version text, sorted by tag.
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) created: i64,
    pub(crate) changed: i64,
    pub(crate) revision: u64,
}

/// A version of the package that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Pointer {
    /// Sort key and identity: the rest of the key in `ver`.
    pub(crate) suffix: Vec<u8>,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct VersionRecord {
    pub(crate) version: u64,
    pub(crate) package: u64,
    pub(crate) text: String,
    pub(crate) identity: String,
    pub(crate) stability: StabilityValue,
    pub(crate) created: i64,
    pub(crate) origin: OriginValue,
    /// Number for the next file.
    pub(crate) next_file: u32,
    /// Parts in `ver_files` that hold further files.
    pub(crate) more: u16,
    pub(crate) files: Vec<FileValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum StabilityValue {
    Stable,
    Prerelease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum ListingValue {
    Listed,
    Unlisted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum AllowValue {
    Always,
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DeprecationValue {
    pub(crate) reason: Option<String>,
    pub(crate) details: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum OriginValue {
    Uploaded,
    Promoted { from_feed: String },
    Repackaged { from_feed: String, from_version: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FileValue {
    pub(crate) number: u32,
    pub(crate) role: RoleValue,
    /// Text form of the qualifiers.
    pub(crate) qualifiers: String,
    pub(crate) file_name: String,
    pub(crate) size: u64,
    pub(crate) digests: DigestsValue,
    pub(crate) published: i64,
    pub(crate) published_by: String,
    pub(crate) history: HistoryValue,
    /// Names of the documents; their fragments follow each other by kind.
    pub(crate) documents: Vec<String>,
}

/// Whether a history was found inside a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum HistoryValue {
    Absent,
    Embedded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum RoleValue {
    Package,
    Companion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct DigestsValue {
    pub(crate) blake3: [u8; 32],
    pub(crate) md5: [u8; 16],
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    pub(crate) sha512: [u8; 64],
}

/// Files of a version with very many.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MoreFilesRecord(pub(crate) Vec<FileValue>);

/// Where a version lies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct VersionPlaceRecord {
    pub(crate) feed: u32,
    /// Key in `ver`.
    pub(crate) key: Vec<u8>,
}

/// What a version is now, if that is not what it was when it came.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StatusRecord {
    pub(crate) listing: ListingValue,
    pub(crate) allow: Option<AllowValue>,
    pub(crate) deprecated: Option<DeprecationValue>,
    pub(crate) changed: i64,
}

/// The first row of a fragment: a text or bytes that stand for a file in an index.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FragmentRecord {
    pub(crate) encoding: Encoding,
    /// Length of the text.
    pub(crate) size: u64,
    /// Parts after this one.
    pub(crate) more: u16,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Encoding {
    Plain,
    Deflate,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FragmentPartRecord(pub(crate) Vec<u8>);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BlobRecord {
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    pub(crate) sha512: [u8; 64],
    pub(crate) place: Place,
    pub(crate) state: BlobState,
    pub(crate) health: Health,
    /// Rows of uses. Garbage is only what has none by this count and by the rows themselves.
    pub(crate) uses: u64,
    pub(crate) created: i64,
    /// When its bytes were last read and found right.
    pub(crate) verified: i64,
}

/// A file that uses a content, and what the content does not tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct UseRecord {
    /// Text form of the file's qualifiers.
    pub(crate) qualifiers: String,
}

/// BLAKE3 chaining values of groups of a content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GroupsRecord(pub(crate) Vec<[u8; 32]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Place {
    /// A file of its own.
    File,
    /// Rows of `blob_data`.
    Inline(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum BlobState {
    /// In use.
    Live,
    /// Without a use since then; kept for the grace period.
    Condemned(i64),
    /// Its file is being removed; nothing may use it again.
    Deleting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Health {
    Good,
    Damaged,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PromotionRecord {
    pub(crate) tag: String,
    pub(crate) from_feed: String,
    pub(crate) to_feed: String,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) date: i64,
    pub(crate) user: String,
    pub(crate) comments: String,
    pub(crate) name_key: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RepackagingRecord {
    pub(crate) tag: String,
    pub(crate) from_feed: String,
    pub(crate) to_feed: String,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) from_version: String,
    pub(crate) to_version: String,
    pub(crate) date: i64,
    pub(crate) user: String,
    pub(crate) comments: String,
    /// Parts in `repack_files` that hold further files.
    pub(crate) more: u16,
    pub(crate) files: Vec<RepackagedValue>,
    pub(crate) name_key: Vec<u8>,
}

/// Files of a repackaging of very many.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MoreRepackagedRecord(pub(crate) Vec<RepackagedValue>);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RepackagedValue {
    pub(crate) from_name: String,
    pub(crate) from_sha256: [u8; 32],
    pub(crate) to_name: String,
    pub(crate) to_sha256: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AuditRecord {
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) key_id: Option<u64>,
    pub(crate) address: Option<String>,
    pub(crate) action: String,
    pub(crate) feed: String,
    pub(crate) to_feed: Option<String>,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) new_version: Option<String>,
    pub(crate) comments: Option<String>,
    pub(crate) old_sha256: Option<[u8; 32]>,
    pub(crate) new_sha256: Option<[u8; 32]>,
    pub(crate) details: String,
    /// Over the chain value of the row before and this row with a chain value of zeros.
    pub(crate) chain: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FacetRecord(pub(crate) u64);

/// How much a feed holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TotalsRecord {
    pub(crate) packages: i64,
    pub(crate) versions: i64,
    pub(crate) files: i64,
    pub(crate) bytes: i64,
    /// Number of the last commit that changed the feed.
    pub(crate) revision: u64,
    /// When that was.
    pub(crate) changed: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CounterRecord(pub(crate) i64);

/// An entry of an index, whose key says all.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct EntryRecord;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct KeyRecord {
    pub(crate) kind: String,
    pub(crate) display_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) system_apis: Vec<String>,
    pub(crate) package_permissions: Vec<String>,
    /// Number of a feed, which may be gone; never that of another feed.
    pub(crate) feed: Option<u32>,
    pub(crate) feed_group: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) logging: String,
    pub(crate) expires: Option<i64>,
    pub(crate) created: i64,
    pub(crate) digest: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct KeyPlaceRecord(pub(crate) u64);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SettingRecord(pub(crate) String);

/// Work that outlives the operation that caused it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum JobRecord {
    /// Removes a content once its grace period is over, if it still has no use.
    Collect { blob: [u8; 32] },
    /// Removes the rows of a feed.
    DeleteFeed { feed: u32 },
    /// Removes the lines of a log that were left behind, once nobody reads them any more.
    OldLines { feed: u32, log: Vec<u8>, since: i64 },
}
