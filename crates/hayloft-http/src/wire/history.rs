use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use hayloft::{HistoryEntry, Promotion, Repackaging};
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{PackageVersionInfo, PromotionData};

/// How a version came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageHistory {
    /// By file name the entries that are embedded in the file, oldest first; none if the file was
    /// never repackaged.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Vec<Object>>))]
    pub embedded: BTreeMap<String, Vec<HistoryEntry>>,
    /// Promotions of the version, from and to any feed, oldest first.
    pub promotions: Vec<PromotionData>,
    /// Repackagings that the version came out of or went into, oldest first.
    pub repackagings: Vec<RepackagingData>,
}

/// One repackaging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RepackagingData {
    /// Source feed.
    pub from_feed: String,
    /// Target feed.
    pub to_feed: String,
    /// Version of the source.
    pub from_version: String,
    /// Version of the result.
    pub to_version: String,
    /// UTC with three digits of fraction and `Z`.
    pub date: String,
    /// User, else the key's display name, else `API`.
    pub user: String,
    /// Why; empty if nothing was said.
    pub comments: String,
    /// Number of the repackaging.
    pub id: u64,
    /// Source and result file by file.
    pub files: Vec<RepackagedFile>,
}

/// One file of a repackaging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RepackagedFile {
    /// Name of the source file.
    pub from_name: String,
    /// SHA-256 of the source file in lower-case hex.
    pub from_sha256: String,
    /// Name of the result.
    pub to_name: String,
    /// SHA-256 of the result in lower-case hex.
    pub to_sha256: String,
}

/// The answer to a promotion or repackaging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Number of the record.
    pub id: u64,
    /// The files in the target.
    pub files: Vec<PackageVersionInfo>,
    /// Entries that held signatures over the old bytes and were left out.
    #[serde(default)]
    pub signatures_removed: Vec<String>,
    /// Exact dependencies on siblings of the old version, which are left as they were.
    #[serde(default)]
    pub sibling_pins: Vec<String>,
    /// What was accepted although a strict reading forbids it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl From<&Promotion> for PromotionData {
    fn from(promotion: &Promotion) -> Self {
        Self {
            from_feed: promotion.from_feed.clone(),
            to_feed: promotion.to_feed.clone(),
            date: promotion.date.to_string(),
            user: promotion.user.clone(),
            comments: promotion.comments.clone(),
            id: promotion.id,
        }
    }
}

impl From<&Repackaging> for RepackagingData {
    fn from(repackaging: &Repackaging) -> Self {
        let files = repackaging.files.iter();
        Self {
            from_feed: repackaging.from_feed.clone(),
            to_feed: repackaging.to_feed.clone(),
            from_version: repackaging.from_version.clone(),
            to_version: repackaging.to_version.clone(),
            date: repackaging.date.to_string(),
            user: repackaging.user.clone(),
            comments: repackaging.comments.clone(),
            id: repackaging.id,
            files: files
                .map(|file| RepackagedFile {
                    from_name: file.from_name.clone(),
                    from_sha256: HEXLOWER.encode(&file.from_sha256),
                    to_name: file.to_name.clone(),
                    to_sha256: HEXLOWER.encode(&file.to_sha256),
                })
                .collect(),
        }
    }
}
