//! What registration, search and V2 say about one version, kept as a fragment of its file.

use hayloft_feed::native::{FragmentEntry, VersionEntry, ViewError};
use hayloft_feed::{Fragment, Timestamp};
use serde::{Deserialize, Serialize};

use super::addresses::Addresses;
use super::deprecation::Deprecation;
use super::traits::Traits;
use crate::{License, Manifest};

/// Kind of the fragment that is a [`CatalogEntry`].
pub(crate) const ENTRY: u8 = 1;
/// Kind of the fragment that is [`Traits`].
pub(crate) const TRAITS: u8 = 2;

/// Stands for the URL of the feed in a fragment: XML has no such character, so no author can write
/// it.
const FEED_URL: &str = "\u{1}";
/// The same at the start of a JSON text.
const FEED_URL_IN_JSON: &str = "\"\\u0001";

/// The `catalogEntry` of a version, but for what a feed says about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CatalogEntry {
    #[serde(rename = "@id")]
    pub(crate) url: String,
    pub(crate) id: String,
    /// With metadata.
    pub(crate) version: String,
    pub(crate) package_content: String,
    pub(crate) authors: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) owners: String,
    pub(crate) description: String,
    pub(crate) require_license_acceptance: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) development_dependency: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) dependency_groups: Vec<DependencyGroup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) package_types: Vec<PackageType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_client_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project_url: Option<String>,
    #[serde(flatten)]
    pub(crate) links: Links,
}

/// Icon, license and readme; those in the package have URLs of the feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icon_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) license_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) license_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) readme_url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DependencyGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_framework: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) id: String,
    pub(crate) range: String,
    pub(crate) registration: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackageType {
    pub(crate) name: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The fragments of a package file.
pub(crate) fn fragments(manifest: &Manifest) -> Result<Vec<Fragment>, serde_json::Error> {
    let entry = serde_json::to_vec(&CatalogEntry::of(manifest))?;
    let traits = Traits::of(manifest).to_bytes();
    Ok(vec![Fragment { kind: ENTRY, bytes: entry }, Fragment { kind: TRAITS, bytes: traits }])
}

impl CatalogEntry {
    fn of(manifest: &Manifest) -> Self {
        let addresses = Addresses(FEED_URL);
        let id = &manifest.id;
        let version = manifest.normalized_version.to_ascii_lowercase();
        let groups = manifest.dependency_groups.iter().map(|group| DependencyGroup {
            target_framework: group.target_framework.clone(),
            dependencies: group
                .dependencies
                .iter()
                .map(|dependency| Dependency {
                    id: dependency.id.clone(),
                    range: dependency.range.clone(),
                    registration: addresses.registration(&dependency.id),
                })
                .collect(),
        });
        let types = manifest.package_types.iter();
        Self {
            url: addresses.leaf(id, &version),
            id: id.clone(),
            version: manifest.full_version.clone(),
            package_content: addresses.package(id, &version),
            authors: manifest.authors.clone().unwrap_or_default(),
            owners: manifest.owners.clone().unwrap_or_default(),
            description: manifest.description.clone().unwrap_or_default(),
            require_license_acceptance: manifest.require_license_acceptance,
            development_dependency: manifest.development_dependency,
            tags: manifest.tags.clone(),
            dependency_groups: groups.collect(),
            package_types: types.map(|kind| PackageType { name: kind.name.clone() }).collect(),
            title: manifest.title.clone(),
            summary: manifest.summary.clone(),
            language: manifest.language.clone(),
            min_client_version: manifest.min_client_version.clone(),
            project_url: manifest.project_url.clone(),
            links: Links::of(addresses, id, &version, manifest),
        }
    }

    /// Reads a fragment, for a feed at this URL.
    pub(crate) fn read(fragment: &[u8], feed_url: &str) -> Result<Self, ViewError> {
        let text = with_feed_url(fragment, feed_url)?;
        serde_json::from_str(&text).map_err(|error| ViewError::damaged(error.to_string()))
    }

    /// The fragment of a version, read.
    pub(crate) fn of_version(entry: &VersionEntry<'_>, feed_url: &str) -> Result<Self, ViewError> {
        Self::read(fragment(entry)?, feed_url)
    }
}

impl Links {
    fn of(addresses: Addresses<'_>, id: &str, version: &str, manifest: &Manifest) -> Self {
        let embedded = |file| addresses.embedded(id, version, file);
        let (license_url, license_expression) = match &manifest.license {
            Some(License::Expression(text)) => (manifest.license_url.clone(), Some(text.clone())),
            Some(License::File(_)) => (Some(embedded("license")), None),
            None => (manifest.license_url.clone(), None),
        };
        let icon_url = match &manifest.icon {
            Some(_) => Some(embedded("icon")),
            None => manifest.icon_url.clone(),
        };
        let readme_url = manifest.readme.as_ref().map(|_| embedded("readme"));
        Self { icon_url, license_url, license_expression, readme_url }
    }
}

fn with_feed_url(fragment: &[u8], feed_url: &str) -> Result<String, ViewError> {
    let text = str::from_utf8(fragment).map_err(|error| ViewError::damaged(error.to_string()))?;
    let quoted =
        serde_json::to_string(feed_url).map_err(|error| ViewError::damaged(error.to_string()))?;
    Ok(text.replace(FEED_URL_IN_JSON, quoted.strip_suffix('"').unwrap_or(&quoted)))
}

fn fragment<'a>(entry: &VersionEntry<'a>) -> Result<&'a [u8], ViewError> {
    entry.fragment(ENTRY).ok_or_else(|| {
        ViewError::damaged(format!("the version {} has no catalog entry", entry.text))
    })
}

/// What a registration index tells of one version.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// The `catalogEntry`, complete.
    pub(crate) catalog_entry: String,
    pub(crate) listed: bool,
    pub(crate) published: Timestamp,
}

impl Leaf {
    pub(crate) fn of(entry: &VersionEntry<'_>, feed_url: &str) -> Result<Self, ViewError> {
        let mut text = with_feed_url(fragment(entry)?, feed_url)?;
        if text.pop() != Some('}') {
            return Err(ViewError::damaged("a catalog entry is no JSON object"));
        }
        let listed = entry.status.is_listed();
        text.push_str(if listed { ",\"listed\":true" } else { ",\"listed\":false" });
        for part in [",\"published\":\"", &entry.published.to_string(), "\""] {
            text.push_str(part);
        }
        if let Some(deprecation) = &entry.status.deprecated {
            text.push_str(",\"deprecation\":");
            text.push_str(&Deprecation::from(deprecation).to_json());
        }
        text.push('}');
        Ok(Self { catalog_entry: text, listed, published: entry.published })
    }
}

/// The file number of the package itself, which has fragments; symbols have none.
pub(crate) fn package_file(fragments: &[FragmentEntry<'_>]) -> Option<u32> {
    fragments.iter().find(|fragment| fragment.kind == TRAITS).map(|fragment| fragment.file)
}
