//! Package files: download, upload and delete below `/api/packages/{feed}`.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hayloft::UploadRequest;
use serde::Deserialize;

use crate::access::{PACKAGES_DELETE, PACKAGES_DOWNLOAD, PACKAGES_UPLOAD, PACKAGES_UPLOAD_NAMED};
use crate::package_query::{Keywords, PackageQuery};
use crate::parameters::Parameters;
use crate::transfer::{FileRequest, Outgoing, discard, receive};
use crate::{ApiError, App, Visitor};

pub(super) fn routes() -> Router<App> {
    let router = PACKAGES_DOWNLOAD.mount(Router::new(), download);
    let router = PACKAGES_UPLOAD.mount(router, upload);
    let router = PACKAGES_UPLOAD_NAMED.mount(router, upload);
    PACKAGES_DELETE.mount(router, delete)
}

async fn download(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
    request: FileRequest,
) -> Result<Response, ApiError> {
    let outgoing = app.run(visitor, move |session| {
        let store = session.store();
        let feed = PACKAGES_DOWNLOAD.feed(session, &feed)?;
        let query = PackageQuery::read(&parameters)?;
        let selector = query.selector(store, &feed, Keywords::LatestIsStable)?;
        Outgoing::open(store, store.download(&feed.name, &selector)?, &request)
    });
    Ok(outgoing.await?.into_response(&app))
}

#[derive(Debug, Deserialize)]
struct UploadPath {
    feed: String,
    file: Option<String>,
}

async fn upload(
    State(app): State<App>,
    visitor: Visitor,
    Path(UploadPath { feed, file }): Path<UploadPath>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let multipart = headers.get(CONTENT_TYPE).is_some_and(is_multipart);
    let asked = feed.clone();
    let admitted = app.run(visitor.clone(), move |session| {
        PACKAGES_UPLOAD.feed(session, &asked)?;
        if multipart {
            return Err(ApiError::bad_request(
                "multipart bodies are not supported; send the raw file as the body",
            ));
        }
        Ok(())
    });
    if let Err(refusal) = admitted.await {
        discard(&app, body);
        return Err(refusal);
    }
    let staged = receive(&app, &headers, body).await?;
    let store = move |session: &crate::Session| {
        let feed = PACKAGES_UPLOAD.feed(session, &feed)?;
        let overwrite = session.overwrite(&feed)?;
        let request = UploadRequest {
            file_name: file,
            hints: parameters.hints(),
            overwrite,
            tags: Vec::new(),
        };
        session.store().upload_staged(&feed.name, &request, staged, &session.actor())?;
        Ok(StatusCode::OK)
    };
    app.run(visitor, store).await
}

fn is_multipart(value: &axum::http::HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.trim().to_ascii_lowercase().starts_with("multipart/"))
}

async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    app.run(visitor, move |session| {
        let feed = PACKAGES_DELETE.feed(session, &feed)?;
        let query = PackageQuery::read(&parameters)?;
        let selector = query.selector(session.store(), &feed, Keywords::Refused)?;
        session.store().delete_file(&feed.name, &selector, &session.actor())?;
        Ok(StatusCode::OK)
    })
    .await
}
