use data_encoding::HEXLOWER;
use hayloft::{Allow, PackageFile, Purl};
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::present;

/// One file of one version, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageVersionInfo {
    /// Package URL.
    pub purl: String,
    /// Scope, as it is written, or group.
    #[serde(default)]
    pub group: Option<String>,
    /// Package name.
    pub name: String,
    /// Version as spelled.
    pub version: String,
    /// The part of the package URL behind `?`; null where a version has one file.
    #[serde(default)]
    pub qualifier: Option<String>,
    /// Downloads of all versions in this feed.
    #[serde(default)]
    pub total_downloads: u64,
    /// Downloads of this version.
    #[serde(default)]
    pub downloads: u64,
    /// UTC with three digits of fraction and `Z`.
    pub published: String,
    /// User or key; null if unknown.
    #[serde(default)]
    pub published_by: Option<String>,
    /// Bytes.
    pub size: u64,
    /// False if hidden from search.
    #[serde(default = "listed")]
    pub listed: bool,
    /// Lower-case hex.
    #[serde(default)]
    pub md5: Option<String>,
    /// Lower-case hex.
    #[serde(default)]
    pub sha1: Option<String>,
    /// Lower-case hex.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Lower-case hex.
    #[serde(default)]
    pub sha512: Option<String>,
    /// The override: true always, false never, null as the feed decides.
    #[serde(default)]
    pub allow_download: Option<bool>,
    /// True if another package or version should be used.
    #[serde(default)]
    pub deprecated: bool,
    /// Why.
    #[serde(default)]
    pub deprecation_reason: Option<String>,
}

impl From<&PackageFile> for PackageVersionInfo {
    fn from(file: &PackageFile) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let digests = &file.digests;
        let deprecated = file.status.deprecated.as_ref();
        // Clients take the qualifier for the part behind the `?`, also where the type's own purl
        // has another key for it.
        let purl = Purl { qualifiers: file.qualifiers.clone(), ..file.purl.clone() };
        Self {
            purl: purl.to_string(),
            group: some(&file.group),
            name: file.name.clone(),
            version: file.version.clone(),
            qualifier: some(&file.qualifiers.to_string()),
            total_downloads: file.package_downloads,
            downloads: file.version_downloads,
            published: file.published.to_string(),
            published_by: some(&file.published_by),
            size: file.size,
            listed: file.status.is_listed(),
            md5: Some(HEXLOWER.encode(&digests.md5)),
            sha1: Some(HEXLOWER.encode(&digests.sha1)),
            sha256: Some(HEXLOWER.encode(&digests.sha256)),
            sha512: Some(HEXLOWER.encode(&digests.sha512)),
            allow_download: file.status.allow.map(|allow| allow == Allow::Always),
            deprecated: deprecated.is_some(),
            deprecation_reason: deprecated.and_then(|deprecation| deprecation.reason.clone()),
        }
    }
}

fn listed() -> bool {
    true
}

/// A change of status as clients send it; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageStatus {
    /// Show in search or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// True always, false never, null clears the override.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub allow: Option<Option<bool>>,
    /// Deprecate, or take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
    /// Why; alone it changes the reason of a deprecated version. `deprecatedReason` is an older
    /// name.
    #[serde(
        default,
        alias = "deprecatedReason",
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub deprecation_reason: Option<Option<String>>,
}

/// What a [`PackageStatus`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// Show or hide.
    pub listed: Option<bool>,
    /// Set or clear the override.
    pub allow: Option<Option<bool>>,
    /// `Some(Some(reason))` deprecates, `Some(None)` takes it back.
    pub deprecated: Option<Option<Option<String>>>,
    /// A new reason alone.
    pub reason: Option<Option<String>>,
}

impl PackageStatus {
    /// The change that the object asks for.
    ///
    /// pgutil clears a block by sending an object without any property, so an object that sets
    /// nothing means "clear the override".
    pub fn change(self) -> StatusChange {
        let sets_nothing = self.listed.is_none()
            && self.allow.flatten().is_none()
            && self.deprecated.is_none()
            && self.deprecation_reason.as_ref().is_none_or(Option::is_none);
        let allow = if sets_nothing { Some(None) } else { self.allow };
        let (deprecated, reason) = match self.deprecated {
            Some(true) => (Some(Some(self.deprecation_reason.flatten())), None),
            Some(false) => (Some(None), None),
            None => (None, self.deprecation_reason),
        };
        let reason = if sets_nothing { None } else { reason };
        StatusChange { listed: self.listed, allow, deprecated, reason }
    }
}

/// Where a package lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub enum PackageState {
    /// In the feed.
    Local,
    /// Fetched through a connector.
    Cached,
    /// Known through a connector.
    Remote,
}

/// The status of a version, in metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusObject {
    /// True if deprecated.
    pub deprecated: bool,
    /// False if hidden from search.
    pub listed: bool,
    /// True if it can be downloaded: pgutil shows anything else as blocked.
    #[serde(default)]
    pub allow_download: Option<bool>,
}

/// One file of a version, in metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Which file.
    pub qualifier: String,
    /// Where it lies.
    pub state: PackageState,
    /// File name.
    #[serde(default)]
    pub name: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Downloads of this file.
    #[serde(default)]
    pub downloads: Option<u64>,
    /// UTC with three digits of fraction and `Z`.
    #[serde(default)]
    pub published: Option<String>,
    /// User or key.
    #[serde(default)]
    pub published_by: Option<String>,
    /// Status of the version.
    #[serde(default)]
    pub status: Option<StatusObject>,
}

/// Everything about one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageMetadata {
    /// Package name; pgutil shows it without the group.
    pub name: String,
    /// Version as spelled.
    pub version: String,
    /// Where it lies.
    pub state: PackageState,
    /// UTC with three digits of fraction and `Z`.
    #[serde(default)]
    pub published: Option<String>,
    /// User or key.
    #[serde(default)]
    pub published_by: Option<String>,
    /// Bytes of all files.
    #[serde(default)]
    pub size: Option<u64>,
    /// Downloads of this version.
    #[serde(default)]
    pub downloads: Option<u64>,
    /// Files, for types whose versions have several; absent for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<Artifact>>,
    /// Status.
    #[serde(default)]
    pub status: Option<StatusObject>,
}

/// The answer of an audit. There is no policy engine, so every package complies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditResult {
    /// In words.
    pub status_text: String,
    /// `C` complies, `W` warns, `I` is inconclusive.
    #[serde(default)]
    pub result_code: Option<String>,
    /// UTC.
    #[serde(default)]
    pub analysis_date: Option<String>,
    /// More words.
    #[serde(default)]
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn change(json: &str) -> StatusChange {
        serde_json::from_str::<PackageStatus>(json).unwrap().change()
    }

    const NOTHING: StatusChange =
        StatusChange { listed: None, allow: None, deprecated: None, reason: None };

    #[rstest]
    #[case::unlist(r#"{"listed":false}"#, StatusChange { listed: Some(false), ..NOTHING })]
    #[case::block(r#"{"allow":false}"#, StatusChange { allow: Some(Some(false)), ..NOTHING })]
    #[case::clear_by_null(r#"{"allow":null,"listed":true}"#,
        StatusChange { allow: Some(None), listed: Some(true), ..NOTHING })]
    #[case::clear_by_nothing("{}", StatusChange { allow: Some(None), ..NOTHING })]
    #[case::clear_by_nulls(r#"{"allow":null,"listed":null,"deprecated":null,"deprecationReason":null}"#,
        StatusChange { allow: Some(None), ..NOTHING })]
    #[case::deprecate(r#"{"deprecated":true,"deprecationReason":"old"}"#,
        StatusChange { deprecated: Some(Some(Some("old".into()))), ..NOTHING })]
    #[case::deprecate_without_reason(r#"{"deprecated":true}"#,
        StatusChange { deprecated: Some(Some(None)), ..NOTHING })]
    #[case::undeprecate(r#"{"deprecated":false}"#,
        StatusChange { deprecated: Some(None), ..NOTHING })]
    #[case::first_releases(r#"{"deprecatedReason":"x"}"#,
        StatusChange { reason: Some(Some("x".into())), ..NOTHING })]
    fn status_objects_mean_what_clients_mean(#[case] json: &str, #[case] expected: StatusChange) {
        assert_eq!(change(json), expected);
    }
}
