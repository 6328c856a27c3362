use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hayloft::{Overwrite, Stored, UploadError, UploadRequest, Uploaded};

use super::failure::{Failure, one_line};
use super::{feed, first_part};
use crate::transfer::{is_multipart, receive};
use crate::{ApiError, App, Right, Visitor};

/// Most warnings in an answer.
const MOST_WARNINGS: usize = 10;

/// Which of the two addresses a client pushes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pushed {
    Package,
    Symbols,
}

/// Stores a new package. One that is there already is a conflict even if its bytes are the same:
/// `--skip-duplicate` of the clients looks for that status.
pub(super) async fn push_package(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    push(&app, visitor, name, &headers, body, Pushed::Package).await
}

/// Stores the symbols of a package that is there, or replaces them.
pub(super) async fn push_symbols(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    push(&app, visitor, name, &headers, body, Pushed::Symbols).await
}

async fn push(
    app: &App,
    visitor: Visitor,
    name: String,
    headers: &HeaderMap,
    body: Body,
    pushed: Pushed,
) -> Result<Response, Failure> {
    let asked = name.clone();
    app.run(visitor.clone(), move |session| {
        feed(session, &asked, &[Right::View, Right::Add]).map(drop)
    })
    .await?;
    // Clients may send a package as it is, too.
    let staged = if is_multipart(headers) {
        // The declared length is that of all parts.
        receive(app, &HeaderMap::new(), first_part::content(headers, body).await?).await?
    } else {
        receive(app, headers, body).await?
    };
    if staged.size() == 0 {
        return Err(ApiError::bad_request("the request has no package in its body").into());
    }
    let uploaded = app
        .take_in(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View, Right::Add])?;
            let replaces =
                pushed == Pushed::Symbols && session.may(Right::Overwrite, Some(&feed))?;
            let role = if pushed == Pushed::Symbols { "symbols" } else { "package" };
            let request = UploadRequest {
                hints: BTreeMap::from([("role".to_owned(), role.to_owned())]),
                overwrite: if replaces { Overwrite::Replace } else { Overwrite::Refuse },
                ..UploadRequest::default()
            };
            session
                .store()
                .upload_staged(&feed.name, &request, staged, &session.actor())
                .map_err(refused)
        })
        .await?;
    answer(&uploaded, pushed)
}

fn refused(error: UploadError) -> ApiError {
    match error {
        UploadError::Conflict { .. } => ApiError::conflict(error.to_string()),
        UploadError::NoVersion { .. } => ApiError::not_found(error.to_string()),
        other => other.into(),
    }
}

fn answer(uploaded: &Uploaded, pushed: Pushed) -> Result<Response, Failure> {
    let file = &uploaded.file;
    if uploaded.stored == Stored::Unchanged && pushed == Pushed::Package {
        let text = format!("`{} {}` already exists", file.name, file.version);
        return Err(ApiError::conflict(text).into());
    }
    let mut response = StatusCode::CREATED.into_response();
    for warning in uploaded.warnings.iter().take(MOST_WARNINGS) {
        if let Ok(value) = HeaderValue::from_str(&one_line(warning)) {
            response.headers_mut().append("x-nuget-warning", value);
        }
    }
    Ok(response)
}
