use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Whether the server works; the spelling of the detail properties is the API's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct HealthInfo {
    /// `ProGet`, which some clients look for.
    #[serde(default)]
    pub application_name: Option<String>,
    /// `OK` or `Error`: the metadata can be read and written.
    pub database_status: String,
    /// What is wrong.
    #[serde(default)]
    pub database_status_details: Option<String>,
    /// Always `OK`: there is no licence to check.
    pub license_status: String,
    /// Never set.
    #[serde(default)]
    pub license_status_detail: Option<String>,
    /// `OK` or `Error`: packages can be served.
    pub service_status: String,
    /// What is wrong.
    #[serde(default)]
    pub service_status_detail: Option<String>,
    /// Version of the API that is spoken.
    pub version_number: String,
    /// The same in short.
    pub release_number: String,
    /// Release of Hayloft itself; other servers of this API leave it out.
    #[serde(default)]
    pub hayloft_version: Option<String>,
}

/// One setting of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SettingInfo {
    /// Name.
    pub name: String,
    /// Value as text; null for the default.
    pub value: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// `text`, `integer` or `boolean`.
    pub value_type: String,
}

/// A setting that is to have another value, in a body in place of the query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SettingInput {
    /// Name.
    pub name: String,
    /// Value as text; null, absent or empty for the default.
    pub value: Option<String>,
}
