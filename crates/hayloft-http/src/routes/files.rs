//! Package files: download, upload and delete below `/api/packages/{feed}`.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post, put};
use hayloft::UploadRequest;
use serde::Deserialize;

use super::both;
use crate::package_query::{Keywords, PackageQuery};
use crate::parameters::Parameters;
use crate::transfer::{FileRequest, Outgoing, discard, receive};
use crate::{ApiError, App, Right, Visitor};

pub(super) fn routes() -> Router<App> {
    let router = both(Router::new(), "/api/packages/{feed}/download", || get(download));
    let router = both(router, "/api/packages/{feed}/upload", || put(upload).post(upload));
    let router = both(router, "/api/packages/{feed}/upload/{file}", || put(upload).post(upload));
    both(router, "/api/packages/{feed}/delete", || post(delete).delete(delete))
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
        let feed = session.feed(&feed, &[Right::View, Right::Download])?;
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
        session.feed(&asked, &[Right::Add])?;
        if multipart {
            return Err(ApiError::bad_request(
                "multipart bodies are not supported; send the raw file as the body",
            ));
        }
        Ok(())
    });
    if let Err(refusal) = admitted.await {
        discard(&app, body).await;
        return Err(refusal);
    }
    let staged = receive(&app, &headers, body).await?;
    let store = move |session: &crate::Session| {
        let feed = session.feed(&feed, &[Right::Add])?;
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
        let feed = session.feed(&feed, &[Right::Delete])?;
        let query = PackageQuery::read(&parameters)?;
        let selector = query.selector(session.store(), &feed, Keywords::Refused)?;
        session.store().delete_file(&feed.name, &selector, &session.actor())?;
        Ok(StatusCode::OK)
    })
    .await
}
