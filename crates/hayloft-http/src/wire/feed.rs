use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// What a client asks before a download or delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedInfo {
    /// Number of the feed.
    pub id: u32,
    /// Name.
    pub name: String,
    /// One of the types that this server knows, in lower case.
    pub feed_type: String,
    /// Such as `upack`: pgutil knows which qualifiers a package needs by this word.
    pub package_type: String,
}

/// A feed with its settings.
///
/// In an update an absent property is kept. Settings that Hayloft has no behaviour for are kept as
/// data and returned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FeedObject {
    /// Name.
    pub name: Option<String>,
    /// Other names that lead to the feed.
    pub alternate_names: Option<Vec<String>>,
    /// One of the types that this server knows; lower case in answers.
    pub feed_type: Option<String>,
    /// All other properties.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Value>,
}

#[expect(clippy::struct_excessive_bools, reason = "the API's object has them")]
/// When a version may be deleted by itself; stored and returned, not carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionRule {
    /// Also prereleases.
    pub delete_prerelease_versions: bool,
    /// Also packages fetched through a connector.
    pub delete_cached: bool,
    /// How `size_trigger_kb` counts.
    pub size_exclusive: bool,
    /// Keep what is in use.
    pub keep_if_actively_consumed: bool,
    /// Versions to keep.
    pub keep_versions_count: Option<i32>,
    /// Days.
    pub keep_used_within_days: Option<i32>,
    /// Downloads.
    pub trigger_download_count: Option<i32>,
    /// Days.
    pub keep_consumed_within_days: Option<i32>,
    /// Days.
    pub keep_package_usage_removed_days: Option<i32>,
    /// KiB.
    pub size_trigger_kb: Option<i64>,
    /// Names with `*`.
    pub delete_package_ids: Option<Vec<String>>,
    /// Names with `*`.
    pub keep_package_ids: Option<Vec<String>>,
    /// Versions with `*`.
    pub delete_versions: Option<Vec<String>>,
    /// Versions with `*`.
    pub keep_versions: Option<Vec<String>>,
}

/// How a feed is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct StorageConfiguration {
    /// Kind, such as `disk`.
    pub id: String,
    /// Texts, booleans or nulls by name.
    pub properties: BTreeMap<String, Value>,
}

/// A way to store feeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct StorageType {
    /// Kind, such as `disk`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What can be set.
    pub properties: BTreeMap<String, StorageOption>,
}

/// One property of a way to store feeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct StorageOption {
    /// True if it must be given.
    pub required: bool,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// `boolean`, or null for text.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Shown in its place while it is not set.
    pub placeholder: Option<String>,
}
