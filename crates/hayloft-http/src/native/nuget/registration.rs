use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use hayloft::{PackageFile, Selector, VersionsQuery};
use hayloft_nuget::{License, Manifest};
use serde::Serialize;
use serde_json::json;

use super::addresses::Addresses;
use super::deprecation::Deprecation;
use super::failure::Failure;
use super::feed;
use super::flat_container::{key, manifest, no_package, parsed};
use crate::native::feed_url::FeedUrl;
use crate::native::not_selected;
use crate::transfer::json_list_within;
use crate::{ApiError, App, Right, Visitor};

/// One version in a registration index.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Leaf {
    #[serde(rename = "@id")]
    url: String,
    catalog_entry: CatalogEntry,
    /// `nuget install` downloads from here.
    package_content: String,
    registration: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogEntry {
    #[serde(rename = "@id")]
    url: String,
    id: String,
    /// With metadata.
    version: String,
    listed: bool,
    published: String,
    package_content: String,
    authors: String,
    description: String,
    require_license_acceptance: bool,
    tags: Vec<String>,
    dependency_groups: Vec<DependencyGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_client_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_url: Option<String>,
    #[serde(flatten)]
    links: Links,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<Deprecation>,
}

/// Icon, license and readme; those in the package have URLs of this server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readme_url: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DependencyGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    target_framework: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Serialize)]
struct Dependency {
    id: String,
    range: String,
    registration: String,
}

/// Everything about all versions of a package in one page, in ascending order.
pub(super) async fn index(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id)): Path<(String, String)>,
    url: FeedUrl,
) -> Result<Response, Failure> {
    let files = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?;
            let query = VersionsQuery { name: Some(id.clone()), ..VersionsQuery::default() };
            let mut files = Vec::new();
            for file in session.store().versions(&feed.name, &query)? {
                let file = file?;
                if !file.status.is_blocked() {
                    files.push(file);
                }
            }
            files.reverse();
            if files.is_empty() { Err(no_package(&id)) } else { Ok(files) }
        })
        .await?;
    let (Some(first), Some(last)) = (files.first(), files.last()) else {
        return Err(ApiError::not_found("there is no such package").into());
    };
    let addresses = Addresses::of(url);
    let address = addresses.registration(&first.name);
    let quoted = json!(address);
    let (lower, upper) = (json!(parsed(first)?.normalized()), json!(parsed(last)?.normalized()));
    let before = format!(r#"{{"@id":{quoted},"count":1,"items":[{{"@id":{quoted},"items":"#);
    let behind = move |count| {
        format!(r#","count":{count},"lower":{lower},"upper":{upper},"parent":{quoted}}}]}}"#)
    };
    let store = app.store().clone();
    let rows = files.into_iter().filter_map(move |file| match manifest(&store, &file) {
        // It went away meanwhile.
        Ok(None) => None,
        Ok(Some(manifest)) => Some(leaf_of(&addresses, &file, manifest)),
        Err(error) => Some(Err(error)),
    });
    let mut response = json_list_within(&app, &before, rows, behind).await?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// One version by itself, `{version}.json`; some clients guess this URL.
pub(super) async fn leaf(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id, leaf)): Path<(String, String, String)>,
    url: FeedUrl,
) -> Result<Response, Failure> {
    let version = leaf
        .strip_suffix(".json")
        .ok_or_else(|| ApiError::not_found("there is no such document"))?
        .to_owned();
    let (file, manifest) = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?;
            let store = session.store();
            let file =
                store.file(&feed.name, &Selector::exact(&id, version)).map_err(not_selected)?;
            if file.status.is_blocked() {
                return Err(no_package(&id));
            }
            let manifest = manifest(store, &file)?.ok_or_else(|| no_package(&id))?;
            Ok((file, manifest))
        })
        .await?;
    let leaf = leaf_of(&Addresses::of(url), &file, manifest)?;
    let document = json!({
        "@id": leaf.url,
        "listed": leaf.catalog_entry.listed,
        "published": leaf.catalog_entry.published,
        "packageContent": leaf.package_content,
        "registration": leaf.registration,
        "catalogEntry": leaf.catalog_entry,
    });
    let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok((headers, Json(document)).into_response())
}

fn leaf_of(
    addresses: &Addresses,
    file: &PackageFile,
    manifest: Manifest,
) -> Result<Leaf, ApiError> {
    let version = key(file)?;
    let url = addresses.leaf(&file.name, &version);
    let package_content = addresses.package(&file.name, &version);
    let links = Links::of(addresses, &file.name, &version, &manifest);
    let groups = manifest.dependency_groups.into_iter();
    let dependency_groups = groups
        .map(|group| DependencyGroup {
            target_framework: group.target_framework,
            dependencies: group
                .dependencies
                .into_iter()
                .map(|dependency| Dependency {
                    registration: addresses.registration(&dependency.id),
                    id: dependency.id,
                    range: dependency.range,
                })
                .collect(),
        })
        .collect();
    let catalog_entry = CatalogEntry {
        url: url.clone(),
        id: manifest.id,
        version: manifest.full_version,
        listed: file.status.is_listed(),
        published: file.published.to_string(),
        package_content: package_content.clone(),
        authors: manifest.authors.unwrap_or_default(),
        description: manifest.description.unwrap_or_default(),
        require_license_acceptance: manifest.require_license_acceptance,
        tags: manifest.tags,
        dependency_groups,
        title: manifest.title,
        summary: manifest.summary,
        language: manifest.language,
        min_client_version: manifest.min_client_version,
        project_url: manifest.project_url,
        links,
        deprecation: file.status.deprecated.as_ref().map(Deprecation::from),
    };
    let registration = addresses.registration(&file.name);
    Ok(Leaf { url, catalog_entry, package_content, registration })
}

impl Links {
    pub(super) fn of(addresses: &Addresses, id: &str, version: &str, manifest: &Manifest) -> Self {
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
