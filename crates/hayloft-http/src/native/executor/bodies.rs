use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft::feed_type::ReadSeek;
use hayloft::feed_type::native::{Access, Body, Refusal, Render, RenderError};
use hayloft::{NativeContent, Staging, Store};

use super::conditions::Conditions;
use super::set;
use super::wording::Worded;
use crate::native::cache::{Kept, Key, WORTH_PACKING};
use crate::native::pack::Packed;
use crate::native::spill::{Spill, Spilled};
use crate::transfer::{Outgoing, Part};
use crate::{ApiError, App};

/// Bytes sent at a time of what is read while it is sent.
const CHUNK: u64 = 64 << 10;

/// Where the bytes of an answer come from, once they are known to be wanted.
pub(super) enum Source {
    Whole(Bytes),
    /// From the cache, or just rendered.
    Kept(Kept),
    Packed(Arc<Packed>),
    Log {
        feed: u32,
        log: Vec<u8>,
        generation: u64,
        length: u64,
    },
    /// Rows that are left, of which the first begins at an offset.
    Rows {
        feed: u32,
        keys: VecDeque<Vec<u8>>,
        begins: u64,
        length: u64,
    },
    Staged {
        content: Box<dyn ReadSeek + Send>,
        length: u64,
        /// Whether these are the bytes of gzip.
        packed: bool,
    },
}

impl Source {
    fn length(&self) -> u64 {
        let long = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        match self {
            Self::Whole(bytes) => long(bytes.len()),
            Self::Kept(kept) => long(kept.plain.len()),
            Self::Packed(packed) => long(packed.length()),
            Self::Log { length, .. } | Self::Rows { length, .. } | Self::Staged { length, .. } => {
                *length
            }
        }
    }
}

/// True if a body is made whole before it is sent.
pub(super) fn can_be_packed(body: &Body<'_>) -> bool {
    matches!(body, Body::Bytes(_) | Body::Render(_) | Body::Document { .. })
}

/// What a body is sent from, if it is no package file.
pub(super) fn source(feed: u32, content: NativeContent<'_>) -> Result<Source, Worded> {
    Ok(match content {
        NativeContent::Bytes(bytes) => Source::Whole(bytes.into()),
        NativeContent::Log { log, generation, length } => {
            Source::Log { feed, log, generation, length }
        }
        NativeContent::Rows { keys, length } => {
            Source::Rows { feed, keys: keys.into(), begins: 0, length }
        }
        NativeContent::Made(made) => {
            Source::Staged { length: made.size(), content: made.into_reader()?, packed: false }
        }
        _ => return Err(Worded::Refused(Refusal::NotFound(None))),
    })
}

fn staged(staging: Staging, packed: bool) -> Result<Source, Worded> {
    let staged = staging.finish().map_err(ApiError::from)?;
    Ok(Source::Staged { length: staged.size(), content: staged.into_reader()?, packed })
}

/// Makes a document; a large one goes through a file.
pub(super) fn rendered(
    app: &App,
    render: Render<'_>,
    keep: Option<Key>,
    packed: bool,
) -> Result<Source, Worded> {
    let mut spill = Spill::new(app.store());
    (render.0)(&mut spill).map_err(|error| match error {
        RenderError::View(error) => Worded::from(error),
        other => Worded::Failed(ApiError::internal(other)),
    })?;
    let staging = match spill.finish() {
        Spilled::Memory(plain) => {
            let plain = Bytes::from(plain);
            let packed = packed && plain.len() >= WORTH_PACKING;
            let cache = app.cache();
            let kept = if let Some(key) = keep {
                cache.keep(key, plain, packed).map_err(ApiError::internal)?
            } else {
                let pack = packed.then(|| cache.pack(&plain)).transpose();
                let packed = pack.map_err(ApiError::internal)?.map(Arc::new);
                Kept { plain, packed }
            };
            return Ok(Source::Kept(kept));
        }
        Spilled::File(staging) => *staging,
    };
    if !packed {
        return staged(staging, false);
    }
    let plain = staging.finish().map_err(ApiError::from)?;
    let mut encoder = GzEncoder::new(app.store().stage(None)?, Compression::default());
    std::io::copy(&mut plain.into_reader()?, &mut encoder).map_err(ApiError::internal)?;
    staged(encoder.finish().map_err(ApiError::internal)?, true)
}

/// A made answer on its way out.
pub(super) enum Outbound {
    Response(Box<Response>),
    Stream {
        status: StatusCode,
        headers: HeaderMap,
        source: Source,
        span: (u64, u64),
    },
    File {
        outgoing: Box<Outgoing>,
        media_type: String,
        headers: HeaderMap,
    },
    /// Nothing yet: it is to be rendered by one who has the turn.
    Unrendered {
        key: Key,
        packed: bool,
    },
}

impl From<Response> for Outbound {
    fn from(response: Response) -> Self {
        Self::Response(Box::new(response))
    }
}

/// Decides about parts and encodings of a body that is there.
pub(super) fn send(
    conditions: &Conditions,
    source: Source,
    media_type: &str,
    mut headers: HeaderMap,
    tag: &str,
    packed: bool,
    access: Access,
) -> Result<Outbound, Worded> {
    set(&mut headers, CONTENT_TYPE, media_type);
    guard(&mut headers, access);
    let (source, is_packed) = match source {
        Source::Whole(bytes) if packed && bytes.len() >= WORTH_PACKING => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
            (Source::Whole(packed.map_err(ApiError::internal)?.into()), true)
        }
        Source::Kept(Kept { plain, packed: found }) => match found.filter(|_| packed) {
            Some(packed) => (Source::Packed(packed), true),
            None => (Source::Whole(plain), false),
        },
        Source::Staged { packed: true, .. } => (source, true),
        other => (other, false),
    };
    if is_packed {
        set(&mut headers, CONTENT_ENCODING, "gzip");
    } else {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let size = source.length();
    let part = if is_packed { Part::Whole } else { conditions.file_request().part(size, tag, "") };
    let (status, start, length) = match part {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Some { start, length } => {
            let last = start.saturating_add(length).saturating_sub(1);
            set(&mut headers, CONTENT_RANGE, &format!("bytes {start}-{last}/{size}"));
            (StatusCode::PARTIAL_CONTENT, start, length)
        }
        Part::Unsatisfiable => {
            set(&mut headers, CONTENT_RANGE, &format!("bytes */{size}"));
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(Outbound::from((status, headers).into_response()));
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if conditions.is_head() {
        return Ok(Outbound::from((status, headers).into_response()));
    }
    Ok(Outbound::Stream { status, headers, source, span: (start, start.saturating_add(length)) })
}

#[derive(Debug, thiserror::Error)]
#[error("an answer was not rendered")]
struct NoTurn;

/// What keeps a browser from running what packages bring along.
fn guard(headers: &mut HeaderMap, access: Access) {
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    if access == Access::Download {
        headers.insert(
            axum::http::header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        );
    }
}

impl Outbound {
    pub(super) fn not_modified(headers: HeaderMap) -> Self {
        Self::from((StatusCode::NOT_MODIFIED, headers).into_response())
    }

    pub(super) fn file(outgoing: Outgoing, media_type: &str, headers: HeaderMap) -> Self {
        Self::File { outgoing: Box::new(outgoing), media_type: media_type.to_owned(), headers }
    }

    pub(super) fn into_response(self, app: &App) -> Response {
        match self {
            Self::Response(response) => *response,
            Self::Unrendered { .. } => ApiError::internal(NoTurn).into_response(),
            Self::File { outgoing, media_type, headers: own } => {
                let mut response = outgoing.into_response(app);
                let headers = response.headers_mut();
                for (name, value) in &own {
                    headers.insert(name, value.clone());
                }
                if headers.contains_key(CONTENT_TYPE) {
                    set(headers, CONTENT_TYPE, &media_type);
                }
                let disposition = headers.get(axum::http::header::CONTENT_DISPOSITION).cloned();
                guard(headers, Access::View);
                if let Some(disposition) = disposition {
                    headers.insert(axum::http::header::CONTENT_DISPOSITION, disposition);
                }
                response
            }
            Self::Stream { status, headers, source, span: (start, end) } => {
                let body = match source {
                    Source::Packed(packed) => {
                        let parts = packed.parts().into_iter().map(Ok::<_, std::io::Error>);
                        HttpBody::from_stream(futures_util::stream::iter(parts))
                    }
                    Source::Whole(bytes) => {
                        let range = usize::try_from(start).unwrap_or(usize::MAX)
                            ..usize::try_from(end).unwrap_or(usize::MAX);
                        let inside = range.end <= bytes.len() && range.start <= range.end;
                        HttpBody::from(if inside { bytes.slice(range) } else { Bytes::new() })
                    }
                    other => streamed(app.clone(), other, start, end),
                };
                (status, headers, body).into_response()
            }
        }
    }
}

/// Sends what is read piece by piece, each on a thread that may block.
fn streamed(app: App, source: Source, start: u64, end: u64) -> HttpBody {
    let state = (source, start, end);
    HttpBody::from_stream(futures_util::stream::try_unfold(state, move |(source, at, end)| {
        let app = app.clone();
        async move {
            if at >= end {
                return Ok(None);
            }
            let store = app.store().clone();
            let read = app.block(move || {
                let mut source = source;
                let bytes = chunk(&store, &mut source, at, end)?;
                Ok::<_, std::io::Error>((bytes, source))
            });
            let read = read.await.map_err(|error| std::io::Error::other(error.text().to_owned()));
            let (bytes, source) = read.and_then(|read| read).inspect_err(|error| {
                tracing::error!(%error, "an index broke off while it was sent");
            })?;
            let at = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            Ok::<_, std::io::Error>(Some((Bytes::from(bytes), (source, at, end))))
        }
    }))
}

fn chunk(store: &Store, source: &mut Source, at: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let upto = end.min(at.saturating_add(CHUNK));
    let wanted = usize::try_from(upto.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(wanted);
    match source {
        // These are sent from memory.
        Source::Whole(_) | Source::Kept(_) | Source::Packed(_) => {}
        Source::Staged { content, .. } => {
            content.seek(SeekFrom::Start(at))?;
            bytes.resize(wanted, 0);
            content.read_exact(&mut bytes)?;
        }
        Source::Log { feed, log, generation, .. } => {
            let take = &mut |part: &[u8]| {
                bytes.extend_from_slice(part);
                ControlFlow::Continue(())
            };
            let read = store.read_index_log(*feed, log, *generation, at..upto, take);
            read.map_err(std::io::Error::other)?;
        }
        Source::Rows { feed, keys, begins, .. } => {
            while let Some(key) = keys.front() {
                let row = store.index_row(*feed, key).map_err(std::io::Error::other)?;
                let row = row.ok_or_else(|| std::io::Error::other("a row of an index is gone"))?;
                let ends = begins.saturating_add(u64::try_from(row.len()).unwrap_or(u64::MAX));
                if ends > at {
                    let skip = usize::try_from(at.saturating_sub(*begins)).unwrap_or(usize::MAX);
                    let rest = row.get(skip..).unwrap_or_default();
                    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                    bytes.extend_from_slice(rest.get(..left).unwrap_or(rest));
                    break;
                }
                *begins = ends;
                keys.pop_front();
            }
        }
    }
    if bytes.is_empty() {
        return Err(std::io::Error::other("the bytes of an index ended early"));
    }
    Ok(bytes)
}
