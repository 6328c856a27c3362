use std::convert::Infallible;
use std::io::{self, Seek, SeekFrom};

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use hayloft::{Download, PackageFile};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::memory::{Appetite, Room};
use super::range::{Part, part};
use crate::http_date::http_date;
use crate::{ApiError, App};

/// What `filename*` escapes: <https://www.rfc-editor.org/rfc/rfc8187>
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+');

/// What a request says about the file that it wants; an extractor that never fails.
#[derive(Debug, Clone)]
pub struct FileRequest {
    head: bool,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Vec<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for FileRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, parts.method == Method::HEAD))
    }
}

/// The answer to a request for a file, with its first bytes read.
#[derive(Debug)]
pub struct Outgoing {
    status: StatusCode,
    headers: HeaderMap,
    /// Bytes of the body; `None` if there is none.
    content: Option<Content>,
}

#[derive(Debug)]
struct Content {
    first: Bytes,
    rest: Rest,
}

/// What is still to be sent.
#[derive(Debug)]
struct Rest {
    source: Download,
    left: u64,
    appetite: Appetite,
}

impl Outgoing {
    /// Decides what to send of a file, and counts the download if it is sent from its start to its
    /// end. Reads the first chunk: call it where blocking is fine.
    pub fn open(app: &App, mut source: Download, request: &FileRequest) -> Result<Self, ApiError> {
        let file = source.file();
        let size = file.size;
        let tag = entity_tag(file);
        let modified = http_date(file.published);
        let mut headers = HeaderMap::new();
        set(&mut headers, ETAG, &tag);
        set(&mut headers, LAST_MODIFIED, &modified);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if request.has(&tag) {
            return Ok(Self { status: StatusCode::NOT_MODIFIED, headers, content: None });
        }
        let (status, start, length) = match request.part(size, &tag, &modified) {
            Part::Whole => (StatusCode::OK, 0, size),
            Part::Some { start, length } => {
                let last = start + length - 1;
                set(&mut headers, CONTENT_RANGE, &format!("bytes {start}-{last}/{size}"));
                (StatusCode::PARTIAL_CONTENT, start, length)
            }
            Part::Unsatisfiable => {
                set(&mut headers, CONTENT_RANGE, &format!("bytes */{size}"));
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok(Self { status, headers, content: None });
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        set(&mut headers, CONTENT_LENGTH, &length.to_string());
        set(&mut headers, CONTENT_DISPOSITION, &disposition(&file.file_name));
        if request.head {
            return Ok(Self { status, headers, content: None });
        }
        let id = file.id;
        if start > 0 {
            source.seek(SeekFrom::Start(start)).map_err(ApiError::internal)?;
        }
        let mut rest = Rest { source, left: length, appetite: Appetite::new() };
        let room = rest.room(app);
        let (first, rest) = rest.chunk(room).map_err(ApiError::internal)?;
        if status == StatusCode::OK
            && let Err(error) = app.store().count_download(id)
        {
            tracing::warn!(%error, "a download was not counted");
        }
        Ok(Self { status, headers, content: Some(Content { first, rest }) })
    }

    /// The response; further chunks are read as the client takes them.
    pub fn into_response(self, app: &App) -> Response {
        let body = match self.content {
            None => Body::empty(),
            Some(Content { first, rest }) if rest.left == 0 => Body::from(first),
            Some(content) => streamed(app.clone(), content),
        };
        (self.status, self.headers, body).into_response()
    }
}

fn streamed(app: App, Content { first, rest }: Content) -> Body {
    Body::from_stream(futures_util::stream::try_unfold(
        (Some(first), rest),
        move |(ready, mut rest)| {
            let app = app.clone();
            async move {
                if let Some(first) = ready {
                    return Ok(Some((first, (None, rest))));
                }
                if rest.left == 0 {
                    return Ok(None);
                }
                let room = rest.room(&app);
                let chunk = app.block(move || rest.chunk(room)).await;
                let chunk = chunk.map_err(|_| io::Error::other("no thread could read the file"));
                let (bytes, rest) = chunk.and_then(|chunk| chunk).inspect_err(|error| {
                    tracing::error!(%error, "a download broke off");
                })?;
                Ok::<_, io::Error>(Some((bytes, (None, rest))))
            }
        },
    ))
}

impl Rest {
    /// Room for the next bytes.
    fn room(&mut self, app: &App) -> Room {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        app.send_memory().room(self.appetite.next().min(left))
    }

    /// The next bytes; an error if the file is shorter than it should be.
    fn chunk(mut self, room: Room) -> io::Result<(Bytes, Self)> {
        let mut bytes = room.buffer();
        // The client may take as long as it likes, and all that waits for clients has one budget.
        self.source.read_piece(&mut bytes)?;
        self.left = self.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok((room.filled(bytes), self))
    }
}

impl FileRequest {
    pub(crate) fn of(headers: &HeaderMap, head: bool) -> Self {
        let one = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let tags = headers.get_all(IF_NONE_MATCH).iter();
        Self {
            head,
            range: one(RANGE),
            if_range: one(IF_RANGE),
            if_none_match: tags.filter_map(|tag| Some(tag.to_str().ok()?.to_owned())).collect(),
        }
    }

    /// Whether a part is asked for.
    pub(crate) fn has_range(&self) -> bool {
        self.range.is_some()
    }

    /// True if the client has the file already.
    fn has(&self, tag: &str) -> bool {
        let same = |known: &str| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
        };
        self.if_none_match.iter().any(|list| list.split(',').any(same))
    }

    pub(crate) fn part(&self, size: u64, tag: &str, modified: &str) -> Part {
        let Some(range) = self.range.as_deref().filter(|_| !self.head) else { return Part::Whole };
        let same_file = |known: &String| known.trim() == tag || known.trim() == modified;
        if !self.if_range.as_ref().is_none_or(same_file) {
            return Part::Whole;
        }
        part(range, size)
    }
}

/// Strong: equal only for equal bytes.
pub(crate) fn entity_tag(file: &PackageFile) -> String {
    format!("\"{}\"", HEXLOWER.encode(&file.digests.sha256))
}

/// pgutil reads `filename` alone and takes it as it is, so that has to be plain ASCII.
fn disposition(name: &str) -> String {
    let plain = |letter: char| match letter {
        '"' | '\\' | '/' => '_',
        ' '..='~' => letter,
        _ => '_',
    };
    let ascii: String = name.chars().map(plain).collect();
    if name == ascii {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let encoded = utf8_percent_encode(name, ESCAPED);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// All texts that come here are plain ASCII.
fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("a-1.0+x.tgz", "attachment; filename=\"a-1.0+x.tgz\"")]
    #[case::quotes("a\"b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b")]
    #[case::letters("ä.zip", "attachment; filename=\"_.zip\"; filename*=UTF-8''%C3%A4.zip")]
    fn file_names_are_plain_or_told_twice(#[case] name: &str, #[case] header: &str) {
        assert_eq!(disposition(name), header);
    }
}
