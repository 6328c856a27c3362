use crate::Timestamp;

/// What was done; the text in rows and filters is given at each variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// `upload`: a new file.
    Upload,
    /// `replace`: other bytes over an existing file.
    Replace,
    /// `delete`: files or a version.
    Delete,
    /// `status`: listed, allow, deprecated.
    Status,
    /// `promote`.
    Promote,
    /// `repackage`.
    Repackage,
    /// `tag`: a tag set or removed.
    Tag,
    /// `feed-create`.
    FeedCreate,
    /// `feed-update`.
    FeedUpdate,
    /// `feed-delete`.
    FeedDelete,
    /// `key-create`: an API key.
    KeyCreate,
    /// `key-delete`: an API key.
    KeyDelete,
    /// `setting`.
    Setting,
    /// `repair`: derived rows rebuilt.
    Repair,
}

impl Action {
    /// The text in rows and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Status => "status",
            Self::Promote => "promote",
            Self::Repackage => "repackage",
            Self::Tag => "tag",
            Self::FeedCreate => "feed-create",
            Self::FeedUpdate => "feed-update",
            Self::FeedDelete => "feed-delete",
            Self::KeyCreate => "key-create",
            Self::KeyDelete => "key-delete",
            Self::Setting => "setting",
            Self::Repair => "repair",
        }
    }
}

/// One row of the audit log, which only grows and outlives what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRow {
    /// Grows with time.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The API key used.
    pub key_id: Option<u64>,
    /// Where the request came from.
    pub address: Option<String>,
    /// Text of the [`Action`].
    pub action: String,
    /// Name of the feed; empty if the change has none.
    pub feed: String,
    /// Name of the target feed of a promotion or repackaging.
    pub to_feed: Option<String>,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name; empty if the change has none.
    pub name: String,
    /// Version before, or the only one.
    pub version: String,
    /// Version of the result of a repackaging.
    pub new_version: Option<String>,
    /// Why.
    pub comments: Option<String>,
    /// SHA-256 of the bytes before, where bytes were replaced, deleted, promoted or repackaged.
    pub old_sha256: Option<[u8; 32]>,
    /// SHA-256 of the bytes after.
    pub new_sha256: Option<[u8; 32]>,
    /// More, as a JSON object.
    pub details: String,
    /// BLAKE3 over the chain value of the row before and this row's bytes.
    pub chain: [u8; 32],
}

/// Which rows of the audit log to list; texts compare without ASCII case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only rows older than this one, for paging.
    pub before: Option<u64>,
    /// Only this feed, as source or target.
    pub feed: Option<String>,
    /// Only this package name.
    pub name: Option<String>,
    /// Only this action.
    pub action: Option<Action>,
}
