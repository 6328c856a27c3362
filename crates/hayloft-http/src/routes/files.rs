//! Package files: download, upload and delete below `/api/packages/{feed}`.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hayloft::UploadRequest;
use serde::Deserialize;

use super::select;
use crate::access::{PACKAGES_DELETE, PACKAGES_DOWNLOAD, PACKAGES_UPLOAD, PACKAGES_UPLOAD_NAMED};
use crate::package_query::Keywords;
use crate::parameters::Parameters;
use crate::transfer::{FileRequest, Outgoing, is_multipart, receive};
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
    let of_call = app.clone();
    let outgoing = app.run(visitor, move |session| {
        let store = session.store();
        let (feed, selector) =
            select(session, &PACKAGES_DOWNLOAD, &feed, &parameters, Keywords::LatestIsStable)?;
        Outgoing::open(&of_call, store.download(&feed.name, &selector)?, &request)
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
    let multipart = is_multipart(&headers);
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
    admitted.await?;
    let staged = receive(&app, &headers, body).await?;
    let store = move |session: &crate::Session| {
        let feed = PACKAGES_UPLOAD.feed(session, &feed)?;
        let overwrite = session.overwrite(&feed)?;
        let request = UploadRequest {
            expect: None,
            published: None,
            file_name: file,
            hints: parameters.hints(),
            overwrite,
            tags: Vec::new(),
        };
        session.store().upload_staged(&feed.name, &request, staged, &session.actor())?;
        Ok(StatusCode::OK)
    };
    app.take_in(visitor, store).await
}

async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    app.run(visitor, move |session| {
        let (feed, selector) =
            select(session, &PACKAGES_DELETE, &feed, &parameters, Keywords::Refused)?;
        session.store().delete_file(&feed.name, &selector, &session.actor())?;
        Ok(StatusCode::OK)
    })
    .await
}
