use std::collections::BTreeMap;

use hayloft_core::{
    Allow, Deprecation, Listing, Origin, PackageFile, Promotion, Status, Timestamp,
};
use hayloft_feed::FileRole;
use serde::{Deserialize, Serialize};

/// Raised when older releases cannot read bundles.
pub(super) const FORMAT: u32 = 1;

/// What a bundle is, told first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BundleHeader {
    /// Version of the format.
    pub hayloft_bundle: u32,
    /// Name of the feed that it comes from.
    pub feed: String,
    /// Tag of its type.
    pub feed_type: String,
    /// Files, of which some may lie in the bundle that this one follows.
    pub files: u64,
    /// Contents in the bundle.
    pub blobs: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Records of promotions.
    pub promotions: u64,
    /// Versions left out because they are blocked.
    pub blocked: u64,
    /// Length of the records.
    pub records_size: u64,
    /// SHA-256 of the records.
    pub records_sha256: String,
    /// Where the store stood then: what comes later is what a bundle that follows holds.
    pub until: BundleMark,
    /// Where the bundle that this one follows ended.
    pub since: Option<BundleMark>,
}

/// A moment of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleMark {
    /// Number of the newest row of the audit log.
    pub row: u64,
    /// Its chain value, which no other store has.
    pub chain: String,
}

/// One line of the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Record {
    File(Box<FileRecord>),
    Tags(TagsRecord),
    Promotion(PromotionRecord),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileRecord {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) qualifiers: BTreeMap<String, String>,
    pub(super) file_name: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) companion: bool,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// When it was stored where it comes from, in milliseconds since 1970.
    pub(super) published: i64,
    /// Who sent it there; empty if it was brought from another feed.
    pub(super) published_by: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unlisted: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) always_allowed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deprecated: Option<DeprecationRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeprecationRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) details: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagsRecord {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    pub(super) name: String,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromotionRecord {
    pub(super) from_feed: String,
    pub(super) to_feed: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    pub(super) name: String,
    pub(super) version: String,
    /// Milliseconds since 1970.
    pub(super) date: i64,
    pub(super) user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) comments: String,
}

impl FileRecord {
    pub(super) fn of(file: &PackageFile) -> Self {
        // Who brought it here from another feed is told by its promotion alone.
        let published_by = match file.origin {
            Origin::Uploaded => file.published_by.clone(),
            _ => String::new(),
        };
        let Status { listing, allow, deprecated, .. } = &file.status;
        Self {
            group: file.group.clone(),
            name: file.name.clone(),
            version: file.version.clone(),
            qualifiers: file
                .qualifiers
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            file_name: file.file_name.clone(),
            companion: file.role == FileRole::Companion,
            size: file.size,
            sha256: data_encoding::HEXLOWER.encode(&file.digests.sha256),
            published: file.published.millis(),
            published_by,
            unlisted: *listing == Listing::Unlisted,
            always_allowed: *allow == Some(Allow::Always),
            deprecated: deprecated.as_ref().map(|deprecation| DeprecationRecord {
                reason: deprecation.reason.clone(),
                details: deprecation.details.clone(),
            }),
        }
    }

    pub(super) fn deprecation(&self) -> Option<Deprecation> {
        let DeprecationRecord { reason, details } = self.deprecated.clone()?;
        Some(Deprecation { reason, details })
    }
}

impl PromotionRecord {
    pub(super) fn of(promotion: Promotion) -> Self {
        Self {
            from_feed: promotion.from_feed,
            to_feed: promotion.to_feed,
            group: promotion.group,
            name: promotion.name,
            version: promotion.version,
            date: promotion.date.millis(),
            user: promotion.user,
            comments: promotion.comments,
        }
    }

    pub(super) fn date(&self) -> Timestamp {
        Timestamp::from_millis(self.date)
    }
}
