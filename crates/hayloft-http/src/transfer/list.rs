use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::memory::Room;
use crate::{ApiError, App};

/// Bytes of JSON after which a chunk is sent, if there is room for so many.
const CHUNK: usize = 64 << 10;

/// Answers with a JSON array of `rows`, which are read as the client takes them.
///
/// The first chunk is read at once, so a list that fails there is an error status; one that fails
/// later breaks the connection, so that no client takes half a list for a whole one.
pub(crate) async fn json_list<T, R>(app: &App, rows: R) -> Result<Response, ApiError>
where
    T: Serialize,
    R: Iterator<Item = Result<T, ApiError>> + Send + 'static,
{
    let list = List { rows, begun: false, ended: false };
    let room = app.send_memory().room(CHUNK);
    let (first, rest) = app.block(move || list.chunk(room)).await??;
    let app = app.clone();
    let body = if rest.ended {
        Body::from(first)
    } else {
        Body::from_stream(futures_util::stream::try_unfold(
            (Some(first), rest),
            move |(ready, list)| {
                let app = app.clone();
                async move {
                    if let Some(first) = ready {
                        return Ok(Some((first, (None, list))));
                    }
                    if list.ended {
                        return Ok(None);
                    }
                    let room = app.send_memory().room(CHUNK);
                    let chunk = app.block(move || list.chunk(room)).await.and_then(|chunk| chunk);
                    let (bytes, list) = chunk.map_err(Broken)?;
                    Ok::<_, Broken>(Some((bytes, (None, list))))
                }
            },
        ))
    };
    let json = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, json)], body).into_response())
}

struct List<R> {
    rows: R,
    begun: bool,
    ended: bool,
}

impl<R> List<R> {
    /// Rows until the room is full; the last one may go beyond it.
    fn chunk<T>(mut self, room: Room) -> Result<(Bytes, Self), ApiError>
    where
        T: Serialize,
        R: Iterator<Item = Result<T, ApiError>>,
    {
        let mut json = Vec::with_capacity(room.bytes() + 4096);
        while json.len() < room.bytes() {
            let Some(row) = self.rows.next() else {
                json.extend_from_slice(if self.begun { b"]" } else { b"[]" });
                self.ended = true;
                break;
            };
            json.push(if self.begun { b',' } else { b'[' });
            self.begun = true;
            serde_json::to_writer(&mut json, &row?).map_err(ApiError::internal)?;
        }
        Ok((room.filled(json), self))
    }
}

/// A list broke off; the cause has been logged.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.text())]
struct Broken(ApiError);
