use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// An API key: what it may do, and its text in the one answer that creates it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct ApiKeyInfo {
    /// `system`, `feed`, `personal` or `other`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `none`, `request`, `response` or `both`.
    pub logging: String,
    /// Number of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The text that grants the access; never stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Shown to people and recorded as the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Of a system key: `full-control`, `feeds`, `sca`, `sbom-upload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_apis: Option<Vec<String>>,
    /// Of a feed key: `view`, `add`, `promote`, `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_permissions: Option<Vec<String>>,
    /// Of a feed key; `(deleted feed 7)` once that feed is gone, and the key opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// Of a feed key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_group: Option<String>,
    /// UTC; the key is unknown from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// Of a personal key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}
