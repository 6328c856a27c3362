use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// A request to bring a version into another feed; JSON or form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PromoteInput {
    /// Source feed.
    pub from_feed: Option<String>,
    /// Scope or group.
    #[serde(alias = "groupName", alias = "scope", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Package name.
    #[serde(alias = "packageName", alias = "package")]
    pub name: Option<String>,
    /// Version, or `latest` (highest of all), or `latest-stable`.
    pub version: Option<String>,
    /// Target feed.
    pub to_feed: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
    /// One file of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// In place of group, name, version and qualifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// A request to write a version again under another; JSON or form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RepackageInput {
    /// Source feed.
    pub feed: Option<String>,
    /// Scope or group.
    #[serde(alias = "groupName", alias = "scope", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Package name.
    #[serde(alias = "packageName", alias = "package")]
    pub name: Option<String>,
    /// Version of the source.
    pub version: Option<String>,
    /// Version of the result.
    pub new_version: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
    /// Target feed, if another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_feed: Option<String>,
    /// One file of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// In place of group, name, version and qualifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// A package version with its promotions.
///
/// Documents and recorded answers of the API name the first two properties differently, so both
/// names are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PromotedPackage {
    /// Package name.
    pub package: String,
    /// Package name.
    pub package_name: String,
    /// Scope or group; absent where the type has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Such as `upack`.
    pub package_type: String,
    /// Version.
    pub version: String,
    /// Oldest first.
    pub promotions: Vec<PromotionData>,
}

/// One promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PromotionData {
    /// Source feed; empty for who may not see it, as are user and comments then.
    pub from_feed: String,
    /// Target feed; empty for who may not see it, as are user and comments then.
    pub to_feed: String,
    /// UTC with three digits of fraction and `Z`.
    pub date: String,
    /// User, else the key's display name, else `API`.
    pub user: String,
    /// Why; empty if nothing was said.
    pub comments: String,
    /// Number of the promotion.
    pub id: u64,
}
