use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use hayloft::feed_type::shorten;
use hayloft::{Files, LatestQuery, Manifests, PackageFile, Pick, Store, VersionsQuery};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::feed;
use crate::parameters::Parameters;
use crate::transfer::json_list;
use crate::{ApiError, App, Right, Visitor};

/// The document with the list of a package's files, and the property that shows it.
const FILE_LIST: &str = "fileList";
/// Packages unless a client asks for another number. Versions are all listed: pgutil picks one of
/// them and knows no pages.
const PACKAGES: usize = 1_000;

/// What is listed.
#[derive(Debug)]
struct Filter {
    /// `None` is any.
    group: Option<String>,
    name: Option<String>,
    version: Option<String>,
    count: Option<usize>,
}

impl Filter {
    /// A name without a group is that of a package without one; a lone `*` is any group.
    fn of(parameters: &Parameters) -> Result<Self, ApiError> {
        let given = |name| parameters.get(&[name]);
        let count = match given("count") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                ApiError::bad_request(format!("`count` is `{}`, not a number", shorten(text)))
            })?),
        };
        let name = given("name").map(str::to_owned);
        let group = match given("group") {
            Some("*") => None,
            Some(group) => Some(group.to_owned()),
            None => name.as_ref().map(|_| String::new()),
        };
        Ok(Self { group, name, version: given("version").map(str::to_owned), count })
    }
}

/// The properties of the manifests and what the store knows: all versions of a package, newest
/// first, or one object if a version is given.
pub(super) async fn versions(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let filter = Filter::of(&parameters)?;
    let with_files = parameters.flag("includefilelist")?;
    let store = app.store().clone();
    let shows_one = filter.name.is_some() && filter.version.is_some();
    let count = filter.count.unwrap_or(usize::MAX);
    let rows = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?;
            let query = VersionsQuery {
                group: filter.group,
                name: filter.name,
                version: filter.version,
                manifests: Manifests::Included,
                files: Files::Packages,
            };
            Ok(session.store().versions(&feed.name, &query)?)
        })
        .await?;
    let mut rows = rows.map(move |file| version(&store, &file?, with_files));
    if !shows_one {
        return json_list(&app, rows.take(count)).await;
    }
    let first = app.block(move || rows.next().transpose()).await??;
    let version = first.ok_or_else(|| ApiError::not_found("there is no such version"))?;
    object(&version)
}

/// Packages with their versions, or one object if a name is given.
pub(super) async fn packages(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let filter = Filter::of(&parameters)?;
    let store = app.store().clone();
    let shows_one = filter.name.is_some();
    let count = filter.count.unwrap_or(PACKAGES);
    let (feed, rows) = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?;
            let query = LatestQuery {
                group: filter.group,
                name: filter.name,
                pick: Pick::Highest,
                manifests: Manifests::Included,
            };
            let rows = session.store().latest(&feed.name, &query)?;
            Ok((feed.name, rows))
        })
        .await?;
    let mut rows = rows.map(move |file| package(&store, &feed, &file?));
    if !shows_one {
        return json_list(&app, rows.take(count)).await;
    }
    let first = app.block(move || rows.next().transpose()).await??;
    let package = first.ok_or_else(|| ApiError::not_found("there is no such package"))?;
    object(&package)
}

fn object(value: &impl Serialize) -> Result<Response, ApiError> {
    let json = serde_json::to_string(value).map_err(ApiError::internal)?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, kind)], json).into_response())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    group: String,
    name: String,
    latest_version: String,
    /// Newest first.
    versions: Vec<String>,
    title: Option<Box<RawValue>>,
    icon: Option<Box<RawValue>>,
    description: Option<Box<RawValue>>,
    downloads: u64,
    is_local: bool,
    is_cached: bool,
}

fn package(store: &Store, feed: &str, file: &PackageFile) -> Result<Package, ApiError> {
    let query = VersionsQuery {
        group: Some(file.group.clone()),
        name: Some(file.name.clone()),
        ..VersionsQuery::default()
    };
    let versions = store.versions(feed, &query)?.map(|row| row.map(|row| row.version));
    let mut manifest = properties(file)?;
    Ok(Package {
        group: file.group.clone(),
        name: file.name.clone(),
        latest_version: file.version.clone(),
        versions: versions.collect::<Result<_, _>>()?,
        title: manifest.remove("title"),
        icon: manifest.remove("icon"),
        description: manifest.remove("description"),
        downloads: file.package_downloads,
        is_local: true,
        is_cached: false,
    })
}

/// The manifest's properties as they are: custom ones may hold numbers of any length.
fn properties(file: &PackageFile) -> Result<BTreeMap<String, Box<RawValue>>, ApiError> {
    serde_json::from_str(file.manifest.as_deref().unwrap_or("{}")).map_err(ApiError::internal)
}

/// The manifest with what the store knows.
fn version(
    store: &Store,
    file: &PackageFile,
    with_files: bool,
) -> Result<BTreeMap<String, Box<RawValue>>, ApiError> {
    let mut properties = properties(file)?;
    let is_virtual = properties.contains_key("contents");
    let mut known = vec![
        ("group", json!(file.group)),
        ("name", json!(file.name)),
        ("version", json!(file.version)),
        ("published", json!(file.published.to_string())),
        ("size", json!(file.size)),
        ("sha1", json!(HEXLOWER.encode(&file.digests.sha1))),
        ("downloads", json!(file.version_downloads)),
        ("isLocal", json!(true)),
        ("isCached", json!(false)),
        ("isVirtual", json!(is_virtual)),
    ];
    if with_files && let Some(list) = store.document(file.id, FILE_LIST)? {
        known.push((FILE_LIST, serde_json::from_slice(&list).map_err(ApiError::internal)?));
    }
    for (name, value) in known {
        let raw = serde_json::value::to_raw_value(&value).map_err(ApiError::internal)?;
        properties.insert(name.to_owned(), raw);
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_group_is_that_of_a_package_without_one() {
        let filter = |query| Filter::of(&Parameters::of_form(query).unwrap());
        let group = |query| filter(query).unwrap().group;
        assert_eq!(group(""), None);
        assert_eq!(group("group=&name=n").as_deref(), Some(""));
        assert_eq!(group("group=*&name=n"), None);
        assert_eq!(group("Group=a%2Fb").as_deref(), Some("a/b"));
        assert_eq!(filter("count=2").unwrap().count, Some(2));
        assert_eq!(filter("").unwrap().count, None);
        assert_eq!(filter("count=x").unwrap_err().status(), 400);
    }
}
