//! What a feed holds: `/api/packages/{feed}` and the lists below it.

use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Json, Router};
use hayloft::{
    FileRole, LatestQuery, PackageFile, Pick, Qualifiers, Rows, StoreError, VersionsQuery,
};

use super::select;
use crate::access::{
    PACKAGES_AUDIT, PACKAGES_FEED, PACKAGES_LATEST, PACKAGES_METADATA, PACKAGES_VERSIONS,
};
use crate::package_query::{Keywords, PackageQuery};
use crate::parameters::Parameters;
use crate::transfer::json_list;
use crate::visible::VisibleFeeds;
use crate::wire::{
    Artifact, AuditResult, FeedInfo, PackageMetadata, PackageState, PackageVersionInfo,
    StatusObject,
};
use crate::{ApiError, App, Visitor};

pub(super) fn routes() -> Router<App> {
    let router = PACKAGES_FEED.mount(Router::new(), feed_info);
    let router = PACKAGES_LATEST.mount(router, latest);
    let router = PACKAGES_VERSIONS.mount(router, versions);
    let router = PACKAGES_METADATA.mount(router, metadata);
    PACKAGES_AUDIT.mount(router, audit)
}

async fn feed_info(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
) -> Result<Json<FeedInfo>, ApiError> {
    app.run(visitor, move |session| {
        let feed = PACKAGES_FEED.feed(session, &feed)?;
        Ok(Json(FeedInfo {
            id: feed.id,
            name: feed.name,
            feed_type: feed.feed_type,
            package_type: feed.package_type,
        }))
    })
    .await
}

async fn latest(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let rows = app.run(visitor, move |session| {
        let feed = PACKAGES_LATEST.feed(session, &feed)?;
        let filter = PackageQuery::read(&parameters)?.filter(session.store(), &feed)?;
        let stable = parameters.flag("stableOnly")?;
        let pick = if stable { Pick::HighestStable } else { Pick::Highest };
        let query =
            LatestQuery { group: filter.group, name: filter.name, pick, ..LatestQuery::default() };
        let rows = session.store().latest(&feed.name, &query)?;
        Ok(shown(VisibleFeeds::of(session)?, rows, filter.qualifiers))
    });
    json_list(&app, rows.await?).await
}

async fn versions(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let rows = app.run(visitor, move |session| {
        let feed = PACKAGES_VERSIONS.feed(session, &feed)?;
        let filter = PackageQuery::read(&parameters)?.filter(session.store(), &feed)?;
        let query = VersionsQuery {
            group: filter.group,
            name: filter.name,
            version: filter.version,
            ..VersionsQuery::default()
        };
        let rows = session.store().versions(&feed.name, &query)?;
        Ok(shown(VisibleFeeds::of(session)?, rows, filter.qualifiers))
    });
    json_list(&app, rows.await?).await
}

fn shown(
    mut visible: VisibleFeeds,
    rows: Rows<PackageFile>,
    filter: Qualifiers,
) -> impl Iterator<Item = Result<PackageVersionInfo, ApiError>> + Send + 'static {
    let fits = move |row: &Result<PackageFile, StoreError>| {
        row.as_ref().is_ok_and(|file| file.qualifiers.satisfies(&filter)) || row.is_err()
    };
    rows.filter(fits).map(move |row| {
        let mut file = row?;
        visible.blank_publisher(&mut file)?;
        Ok(PackageVersionInfo::from(&file))
    })
}

async fn metadata(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<Json<PackageMetadata>, ApiError> {
    app.run(visitor, move |session| {
        let (feed, selector) =
            select(session, &PACKAGES_METADATA, &feed, &parameters, Keywords::LatestIsStable)?;
        let mut files = session.store().files(&feed.name, &selector)?;
        files.retain(|file| file.role == FileRole::Package);
        let mut visible = VisibleFeeds::of(session)?;
        files.iter_mut().try_for_each(|file| visible.blank_publisher(file))?;
        described(&files)
            .map(Json)
            .ok_or_else(|| ApiError::not_found("the qualifier fits no package file"))
    })
    .await
}

/// One version by its package files; `None` without any.
fn described(files: &[PackageFile]) -> Option<PackageMetadata> {
    let first = files.iter().min_by_key(|file| file.published)?;
    let several = files.iter().any(|file| !file.qualifiers.is_empty());
    Some(PackageMetadata {
        name: first.name.clone(),
        version: first.version.clone(),
        state: PackageState::Local,
        published: Some(first.published.to_string()),
        published_by: publisher(first),
        size: Some(files.iter().map(|file| file.size).sum()),
        downloads: Some(first.version_downloads),
        artifacts: several.then(|| files.iter().map(artifact).collect()),
        status: Some(status(first)),
    })
}

fn artifact(file: &PackageFile) -> Artifact {
    Artifact {
        qualifier: file.qualifiers.to_string(),
        state: PackageState::Local,
        name: Some(file.file_name.clone()),
        size: Some(file.size),
        downloads: Some(file.file_downloads),
        published: Some(file.published.to_string()),
        published_by: publisher(file),
        status: Some(status(file)),
    }
}

fn publisher(file: &PackageFile) -> Option<String> {
    Some(file.published_by.clone()).filter(|name| !name.is_empty())
}

fn status(file: &PackageFile) -> StatusObject {
    StatusObject {
        deprecated: file.status.deprecated.is_some(),
        listed: file.status.is_listed(),
        allow_download: Some(!file.status.is_blocked()),
    }
}

/// There is no policy engine, so whatever exists complies.
async fn audit(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<Json<AuditResult>, ApiError> {
    app.run(visitor, move |session| {
        let (feed, selector) =
            select(session, &PACKAGES_AUDIT, &feed, &parameters, Keywords::LatestIsStable)?;
        session.store().files(&feed.name, &selector)?;
        Ok(Json(AuditResult {
            status_text: "Compliant".to_owned(),
            result_code: Some("C".to_owned()),
            analysis_date: Some(session.store().now().to_string()),
            detail: None,
        }))
    })
    .await
}
