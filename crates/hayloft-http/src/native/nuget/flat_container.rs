use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use hayloft::{PackageFile, SelectError, Selector, Store, VersionsQuery};
use hayloft_nuget::{Manifest, NuGetVersion};
use serde::Serialize;

use super::failure::Failure;
use super::feed;
use crate::native::not_selected;
use crate::transfer::{FileRequest, Outgoing};
use crate::{ApiError, App, Right, Visitor};

#[derive(Debug, Serialize)]
struct Versions {
    versions: Vec<String>,
}

/// All versions that can be downloaded, unlisted ones too, in ascending order.
pub(super) async fn versions(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let versions = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?;
            let query = VersionsQuery { name: Some(id.clone()), ..VersionsQuery::default() };
            let mut versions = Vec::new();
            for file in session.store().versions(&feed.name, &query)? {
                let file = file?;
                if !file.status.is_blocked() {
                    versions.push(key(&file)?);
                }
            }
            if versions.is_empty() {
                return Err(no_package(&id));
            }
            versions.reverse();
            Ok(versions)
        })
        .await?;
    let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok((headers, Json(Versions { versions })).into_response())
}

/// The package, or a file that was taken out of it: `{id}.nuspec`, `icon`, `readme`, `license`.
/// Any other name is that of the package, because clients differ in how they spell it.
pub(super) async fn file(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id, version, file)): Path<(String, String, String, String)>,
    request: FileRequest,
) -> Result<Response, Failure> {
    let lower = file.to_ascii_lowercase();
    let extension = lower.rsplit_once('.').map(|(_, extension)| extension);
    match (lower.as_str(), extension) {
        (_, Some("nupkg")) => {
            let of_call = app.clone();
            let outgoing = app
                .run(visitor, move |session| {
                    let feed = feed(session, &name, &[Right::View, Right::Download])?;
                    let selector = Selector::exact(id, version);
                    let store = session.store();
                    let download = store.download(&feed.name, &selector).map_err(not_selected)?;
                    Outgoing::open(&of_call, download, &request)
                })
                .await?;
            Ok(outgoing.into_response(&app))
        }
        (_, Some("nuspec")) => document(&app, visitor, (name, id, version), "nuspec").await,
        ("icon" | "readme" | "license", None) => {
            document(&app, visitor, (name, id, version), &lower).await
        }
        _ => Err(ApiError::not_found("there is no such file").into()),
    }
}

async fn document(
    app: &App,
    visitor: Visitor,
    (name, id, version): (String, String, String),
    document: &str,
) -> Result<Response, Failure> {
    let wanted = document.to_owned();
    let (bytes, media_type) = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View, Right::Download])?;
            let store = session.store();
            let file =
                store.file(&feed.name, &Selector::exact(id, version)).map_err(not_selected)?;
            if file.status.is_blocked() {
                let package = format!("{} {}", file.name, file.version);
                return Err(SelectError::Blocked { package }.into());
            }
            let missing = || ApiError::not_found(format!("the package has no {wanted}"));
            let bytes = store.document(file.id, &wanted)?.ok_or_else(missing)?;
            let media_type = match wanted.as_str() {
                "nuspec" => "application/xml".to_owned(),
                "icon" => manifest(store, &file)?
                    .and_then(|manifest| manifest.icon)
                    .map(|icon| icon.media_type)
                    .ok_or_else(missing)?,
                "readme" => "text/markdown; charset=utf-8".to_owned(),
                _ => "text/plain; charset=utf-8".to_owned(),
            };
            Ok((bytes, media_type))
        })
        .await?;
    let media_type = HeaderValue::from_str(&media_type).map_err(ApiError::internal)?;
    let headers = [
        (CONTENT_TYPE, media_type),
        // Whatever a package author wrote is not to run in a browser.
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Bytes::from(bytes)).into_response())
}

/// What the package says about itself; `None` if the file has gone meanwhile.
pub(super) fn manifest(store: &Store, file: &PackageFile) -> Result<Option<Manifest>, ApiError> {
    let text = match &file.manifest {
        Some(text) => Some(text.clone()),
        None => store.manifest(file.id)?,
    };
    text.map(|text| serde_json::from_str(&text).map_err(ApiError::internal)).transpose()
}

/// A stored version as URLs have it: normalized, in lower case.
pub(super) fn key(file: &PackageFile) -> Result<String, ApiError> {
    Ok(parsed(file)?.key())
}

pub(super) fn parsed(file: &PackageFile) -> Result<NuGetVersion, ApiError> {
    file.version.parse().map_err(ApiError::internal)
}

pub(super) fn no_package(id: &str) -> ApiError {
    let id = hayloft::feed_type::shorten(id);
    ApiError::not_found(format!("there is no package `{id}` that can be downloaded"))
}
