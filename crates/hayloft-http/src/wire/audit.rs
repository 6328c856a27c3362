use data_encoding::HEXLOWER;
use hayloft::{AuditCheck, AuditPage, AuditRow};
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// A part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AuditLogPage {
    /// What the filters let through; perhaps nothing, though more follows.
    pub entries: Vec<AuditLogEntry>,
    /// Where the next page begins, as its `before` or, oldest first, its `after`; null at the end.
    pub next: Option<u64>,
}

/// One change, as it was recorded with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditLogEntry {
    /// Grows by 1 with each.
    pub id: u64,
    /// UTC with three digits of fraction and `Z`.
    pub date: String,
    /// User, else the key's display name, else `API`; `SYSTEM` is the store itself.
    pub user: String,
    /// Number of the API key that was shown.
    pub key_id: Option<u64>,
    /// Where the request came from.
    pub address: Option<String>,
    /// Such as `upload`, `promote`, `key-create`.
    pub action: String,
    /// Feed; null if the change has none.
    pub feed: Option<String>,
    /// Target feed of a promotion or repackaging.
    pub to_feed: Option<String>,
    /// Scope or group.
    pub group: Option<String>,
    /// Package.
    pub package: Option<String>,
    /// Version before, or the only one.
    pub version: Option<String>,
    /// Version of the result of a repackaging.
    pub new_version: Option<String>,
    /// Why.
    pub comments: Option<String>,
    /// SHA-256 of the bytes before, where bytes were replaced, deleted, promoted or repackaged.
    pub old_sha256: Option<String>,
    /// SHA-256 of the bytes after.
    pub new_sha256: Option<String>,
    /// More, as the action has it.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub details: serde_json::Value,
    /// BLAKE3 over the chain value of the entry before and this one as the store has it.
    pub chain: String,
}

/// What came of checking the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditLogCheck {
    /// Nothing is wrong.
    pub intact: bool,
    /// Entries that were read.
    pub entries: u64,
    /// Number of the last one; 0 in an empty log.
    pub last: u64,
    /// Its chain value. Kept elsewhere, it shows later whether an entry up to that one was changed.
    pub chain: String,
    /// Entries that were damaged and replaced by a repair; the chain does not reach across them.
    pub lost: u64,
    /// What is wrong, of everything the first hundred.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub fault_count: u64,
}

impl From<AuditPage> for AuditLogPage {
    fn from(page: AuditPage) -> Self {
        let entries = page.rows.into_iter().map(AuditLogEntry::from).collect();
        Self { entries, next: page.next }
    }
}

impl From<AuditRow> for AuditLogEntry {
    fn from(row: AuditRow) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let hex = |digest: [u8; 32]| HEXLOWER.encode(&digest);
        Self {
            id: row.id,
            date: row.at.to_string(),
            user: row.actor,
            key_id: row.key_id,
            address: row.address,
            action: row.action,
            feed: some(row.feed),
            to_feed: row.to_feed,
            group: some(row.group),
            package: some(row.name),
            version: some(row.version),
            new_version: row.new_version,
            comments: row.comments,
            old_sha256: row.old_sha256.map(hex),
            new_sha256: row.new_sha256.map(hex),
            details: serde_json::from_str(&row.details).unwrap_or_default(),
            chain: hex(row.chain),
        }
    }
}

impl From<AuditCheck> for AuditLogCheck {
    fn from(check: AuditCheck) -> Self {
        Self {
            intact: check.fault_count == 0,
            entries: check.rows,
            last: check.last,
            chain: HEXLOWER.encode(&check.chain),
            lost: check.lost,
            faults: check.faults,
            fault_count: check.fault_count,
        }
    }
}
