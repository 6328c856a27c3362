use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hayloft::{Overwrite, SelectError, Selector, Staged, UploadError, UploadRequest};

use super::coordinates::PackagePath;
use super::feed;
use crate::parameters::Parameters;
use crate::transfer::{FileRequest, Outgoing, is_multipart, receive};
use crate::{ApiError, App, Right, Session, Visitor};

/// The file of a version, or of the newest with `?latest`.
pub(super) async fn download(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, path)): Path<(String, String)>,
    parameters: Parameters,
    request: FileRequest,
) -> Result<Response, ApiError> {
    if parameters.has("contentonly") {
        return Err(ApiError::bad_request(
            "`contentOnly` is not supported; download the package, its content is below `package/`",
        ));
    }
    let path = PackagePath::parse(&path, &parameters)?;
    let of_call = app.clone();
    let outgoing = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View, Right::Download])?;
            let store = session.store();
            let open = |selector: &Selector| store.download(&feed.name, selector);
            let download = match (open(&path.selector()), path.any()) {
                (Err(SelectError::NotFound { .. }), Some(any)) => open(&any),
                (found, _) => found,
            };
            Outgoing::open(&of_call, download?, &request)
        })
        .await?;
    Ok(outgoing.into_response(&app))
}

/// Deletes a version.
pub(super) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, path)): Path<(String, String)>,
) -> Result<(), ApiError> {
    let path = PackagePath::parse(&path, &Parameters::default())?;
    app.run(visitor, move |session| {
        let feed = feed(session, &name, &[Right::View, Right::Delete])?;
        session.store().delete_version(&feed.name, &path.selector(), &session.actor())?;
        Ok(())
    })
    .await
}

/// Stores the package that is the body, whatever its content type says. A group, name or version
/// in path or query has to be that of the package.
pub(super) async fn upload(
    State(app): State<App>,
    visitor: Visitor,
    Path(path): Path<Vec<(String, String)>>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<(), ApiError> {
    let named = |wanted: &str| path.iter().find(|(name, _)| name == wanted);
    let name = named("feed").map(|(_, name)| name.clone()).unwrap_or_default();
    let asked = name.clone();
    if is_multipart(&headers) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the package file as the body itself, not as a part of multipart data",
        ));
    }
    let expected = expected(named("package").map(|(_, path)| path.as_str()), &parameters)?;
    app.run(visitor.clone(), move |session| {
        feed(session, &asked, &[Right::View, Right::Add]).map(drop)
    })
    .await?;
    let staged = receive(&app, &headers, body).await?;
    app.take_in(visitor, move |session| store(session, &name, &expected, staged)).await
}

fn store(
    session: &Session,
    name: &str,
    expected: &[(&'static str, String)],
    staged: Staged,
) -> Result<(), ApiError> {
    let feed = feed(session, name, &[Right::View, Right::Add])?;
    let replaces = session.may(Right::Overwrite, Some(&feed))?;
    let request = UploadRequest {
        hints: expected.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect(),
        overwrite: if replaces { Overwrite::Replace } else { Overwrite::Refuse },
        ..UploadRequest::default()
    };
    session.store().upload_staged(&feed.name, &request, staged, &session.actor()).map(drop).map_err(
        |error| match error {
            UploadError::Conflict { .. } => ApiError::conflict(error.to_string()),
            other => other.into(),
        },
    )
}

/// What the request says the package is, by hint.
fn expected(
    path: Option<&str>,
    parameters: &Parameters,
) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut expected: Vec<(&'static str, String)> = Vec::new();
    if let Some(path) = path.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty()) {
        let path = PackagePath::parse(path, &Parameters::default())?;
        expected.extend([("group", path.group), ("name", path.name)]);
        expected.extend(path.version.map(|version| ("version", version)));
    }
    for name in ["group", "name", "version"] {
        let Some(text) = parameters.get(&[name]) else { continue };
        match expected.iter().find(|(known, _)| *known == name) {
            None => expected.push((name, text.to_owned())),
            Some((_, known)) if known == text => {}
            Some(_) => {
                return Err(ApiError::bad_request(format!(
                    "path and query give different values for `{name}`"
                )));
            }
        }
    }
    Ok(expected)
}
