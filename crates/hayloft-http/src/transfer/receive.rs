use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Write};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures_util::StreamExt;
use hayloft::{Staged, Staging, StagingError};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::CHUNK;
use crate::pace::TooSlow;
use crate::{ApiError, App, Visitor};

/// Largest body that is read as text: parameters and settings.
const TEXT_LIMIT: usize = 1 << 20;
/// Bytes of a text that need no place: more than nearly all clients ever send.
pub(crate) const SMALL_TEXT: usize = 64 << 10;

/// Receives a body into a file that no package refers to yet.
///
/// 413 beyond the limit of the app or the store, if possible before the first byte; 408 if it comes
/// too slowly; 400 if the body ends early. Nothing is left behind then, nor if the client goes
/// away. Ask for rights before: whoever gets here may fill the disk up to that limit.
pub async fn receive(app: &App, headers: &HeaderMap, body: Body) -> Result<Staged, ApiError> {
    let _running = app.traffic().upload();
    let limit = upload_limit(app);
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > limit) {
        return Err(StagingError::TooLarge { limit }.into());
    }
    let mut file = FileWriter::begin(app).await?;
    let mut frames = body.into_data_stream();
    let mut received = 0_u64;
    while let Some(bytes) = next_frame(&mut frames).await? {
        received = received.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        if received > limit {
            return Err(StagingError::TooLarge { limit }.into());
        }
        file.add(&bytes).await?;
    }
    if declared.is_some_and(|length| length != received) {
        return Err(cut_off());
    }
    file.finish().await
}

/// A body that is read into memory, and what it is said to be; an extractor that never fails.
#[derive(Debug)]
pub(crate) struct TextBody {
    body: Body,
    /// Whether a browser sends such a body for any page, and no other client does.
    of_a_page: bool,
}

impl<S: Send + Sync> FromRequest<S> for TextBody {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
        let kind = kind.unwrap_or_default().trim_ascii();
        // A published script posts JSON under the type of forms, which its shell sets by default.
        let of_a_page = kind.eq_ignore_ascii_case(b"text/plain")
            || kind.to_ascii_lowercase().starts_with(b"multipart/");
        Ok(Self { body: request.into_body(), of_a_page })
    }
}

/// Receives a body of at most 1 MiB of UTF-8; 415 for one that only a page sends, 401 or 403 before
/// the first byte for who shows an unknown key.
///
/// Only so many large ones are received at a time, for they lie in memory and anybody may send
/// them.
pub(crate) async fn receive_text(
    app: &App,
    visitor: &Visitor,
    body: TextBody,
) -> Result<String, ApiError> {
    if body.of_a_page {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send JSON with the content type application/json, or a form with its own",
        ));
    }
    let known = app.knows(visitor).await?;
    receive_text_of(app, known, body.body).await
}

/// The same from somebody of whom it was found out whether they are known. What they may do is
/// asked once more when it is done: keys end, and bodies may take long.
pub(crate) async fn receive_text_of(
    app: &App,
    known: bool,
    body: Body,
) -> Result<String, ApiError> {
    let received = timeout(app.limits().text_deadline, all_text(app, known, body));
    received.await.unwrap_or_else(|_| Err(too_slow()))
}

async fn all_text(app: &App, known: bool, body: Body) -> Result<String, ApiError> {
    let mut frames = body.into_data_stream();
    let mut text = Vec::new();
    let mut place = None;
    while let Some(bytes) = next_frame(&mut frames).await? {
        if place.is_none() && bytes.len() > SMALL_TEXT.saturating_sub(text.len()) {
            place = Some(app.large_text(known).await?);
        }
        if bytes.len() > TEXT_LIMIT.saturating_sub(text.len()) {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {TEXT_LIMIT} bytes"),
            ));
        }
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).map_err(|_| ApiError::bad_request("the body is not UTF-8 text"))
}

/// Reads on in the background, within bounds, and throws away what comes.
pub(crate) fn discard(app: &App, body: Body) {
    let mut left = app.limits().drain_bytes;
    let draining = async move {
        let mut frames = body.into_data_stream();
        while let Some(Ok(bytes)) = frames.next().await {
            let length = bytes.len().try_into().unwrap_or(u64::MAX);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    tokio::spawn(timeout(app.limits().drain_time, draining));
}

/// True if the body has parts.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    const MULTIPART: &str = "multipart/";
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let start = kind.trim_start().get(..MULTIPART.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// The next bytes of a body; 408 if they do not come at the least rate, 400 if it broke off.
pub(crate) async fn next_frame(frames: &mut BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    frames.next().await.transpose().map_err(|error| {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if error.is::<TooSlow>() {
                return too_slow();
            }
            cause = error.source();
        }
        cut_off()
    })
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "the body came too slowly, or not at all; send the request again",
    )
}

fn cut_off() -> ApiError {
    ApiError::bad_request("the body ended before its declared length")
}

/// Bytes that an uploaded file may have.
pub(crate) fn upload_limit(app: &App) -> u64 {
    let limit = app.store().options().max_file_size;
    app.limits().max_upload.map_or(limit, |own| own.min(limit))
}

/// A file being written while its next chunk arrives.
pub(crate) struct FileWriter<'a> {
    app: &'a App,
    writing: Writing,
    waiting: Vec<u8>,
}

enum Writing {
    Idle(Box<Staging>),
    Busy(JoinHandle<Result<Box<Staging>, ApiError>>),
    /// After a failure.
    Ended,
}

impl<'a> FileWriter<'a> {
    /// Begins a file of as many bytes as may be uploaded.
    pub(crate) async fn begin(app: &'a App) -> Result<Self, ApiError> {
        let (store, limit) = (app.store().clone(), upload_limit(app));
        let staging = Box::new(app.block(move || store.stage(Some(limit))).await??);
        Ok(Self { app, writing: Writing::Idle(staging), waiting: Vec::new() })
    }

    /// Adds bytes, which are written once they are many.
    pub(crate) async fn add(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < CHUNK {
            return Ok(());
        }
        let staging = self.settle().await?;
        let full = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK));
        let app = self.app.clone();
        // A task of its own goes on while this one waits for the client; without this one it ends
        // after its chunk, and what it wrote goes away with the staging.
        self.writing = Writing::Busy(tokio::spawn(async move {
            app.block(move || written(staging, &full)).await?
        }));
        Ok(())
    }

    async fn settle(&mut self) -> Result<Box<Staging>, ApiError> {
        match std::mem::replace(&mut self.writing, Writing::Ended) {
            Writing::Idle(staging) => Ok(staging),
            Writing::Busy(task) => task.await.map_err(ApiError::internal)?,
            Writing::Ended => Err(ApiError::internal(io::Error::other("the file was given up"))),
        }
    }

    /// The whole file.
    pub(crate) async fn finish(mut self) -> Result<Staged, ApiError> {
        let staging = self.settle().await?;
        let rest = self.waiting;
        let finish = move || Ok(written(staging, &rest)?.finish()?);
        self.app.block(finish).await?
    }
}

fn written(mut staging: Box<Staging>, bytes: &[u8]) -> Result<Box<Staging>, ApiError> {
    match staging.write_all(bytes) {
        Ok(()) => Ok(staging),
        Err(error) => {
            Err(error.downcast::<StagingError>().map_or_else(ApiError::internal, ApiError::from))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::form("multipart/form-data; boundary=\"a b\"", true)]
    #[case::other_case(" Multipart/Mixed", true)]
    #[case::file("application/octet-stream", false)]
    #[case::parameter("text/plain; was=multipart/form-data", false)]
    #[case::nothing("", false)]
    fn bodies_with_parts_say_so(#[case] kind: &str, #[case] expected: bool) {
        let headers = [(CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect();
        assert_eq!(is_multipart(&headers), expected);
        assert!(!is_multipart(&HeaderMap::new()));
    }
}
