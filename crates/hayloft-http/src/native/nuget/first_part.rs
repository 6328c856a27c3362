use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures_util::StreamExt;
use futures_util::stream::try_unfold;

use crate::ApiError;
use crate::transfer::next_frame;

/// Most bytes before the content of the part.
const LARGEST_HEAD: usize = 16 << 10;
/// Most bytes that are read after it.
const LARGEST_TAIL: usize = 64 << 20;
/// Longest boundary: <https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1>
const LONGEST_BOUNDARY: usize = 70;

/// The content of the first part of a multipart body, whatever its headers say.
///
/// Reads the head of the part alone; the returned body streams the content and fails if the part
/// does not end.
pub(super) async fn content(headers: &HeaderMap, body: Body) -> Result<Body, ApiError> {
    let boundary = boundary(headers)?;
    let mut frames = body.into_data_stream();
    let mut part = FirstPart::new(&boundary);
    let mut content = Vec::new();
    let mut received = 0;
    while !part.has_begun() {
        let Some(bytes) = next_frame(&mut frames).await? else {
            return Err(ApiError::bad_request("the multipart body has no first part"));
        };
        received += bytes.len();
        part.feed(&bytes, &mut content);
        if part.has_ended_early() || (!part.has_begun() && received > LARGEST_HEAD) {
            return Err(ApiError::bad_request("the multipart body has no first part"));
        }
    }
    let rest = Rest { frames, part, tail: 0 };
    Ok(Body::from_stream(try_unfold((Some(content.into()), rest), next)))
}

struct Rest {
    frames: BodyDataStream,
    part: FirstPart,
    /// Bytes seen after the part.
    tail: usize,
}

/// Pieces of the content, then empty ones while later parts are skipped.
async fn next(
    (ready, mut rest): (Option<Bytes>, Rest),
) -> Result<Option<(Bytes, (Option<Bytes>, Rest))>, Interrupted> {
    if let Some(bytes) = ready {
        return Ok(Some((bytes, (None, rest))));
    }
    if rest.tail > LARGEST_TAIL {
        return Ok(None);
    }
    let Some(bytes) = rest.frames.next().await else {
        return if rest.part.has_ended() { Ok(None) } else { Err(Interrupted(None)) };
    };
    let bytes = bytes.map_err(|error| Interrupted(Some(error)))?;
    if rest.part.has_ended() {
        rest.tail += bytes.len();
        return Ok(Some((Bytes::new(), (None, rest))));
    }
    let mut content = Vec::with_capacity(bytes.len());
    rest.part.feed(&bytes, &mut content);
    Ok(Some((content.into(), (None, rest))))
}

/// A multipart body broke off.
#[derive(Debug, thiserror::Error)]
#[error("the multipart body does not end")]
struct Interrupted(#[source] Option<axum::Error>);

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The boundary between the parts.
fn boundary(headers: &HeaderMap) -> Result<String, ApiError> {
    let value = content_type(headers).split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    });
    let value = value.unwrap_or_default();
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    if bare.is_empty() || bare.len() > LONGEST_BOUNDARY {
        return Err(ApiError::bad_request("the multipart body has no usable boundary"));
    }
    Ok(bare.to_owned())
}

/// Finds the content of the first part in a body that comes in pieces.
///
/// Keeps no more than one piece and the length of a delimiter.
struct FirstPart {
    /// A line break, two dashes and the boundary.
    delimiter: Vec<u8>,
    state: State,
    /// Bytes that may be the beginning of something.
    pending: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Behind the delimiter, up to an empty line.
    Head,
    Content,
    /// Behind the part.
    Ended,
    /// The last delimiter came first.
    Nothing,
}

impl FirstPart {
    fn new(boundary: &str) -> Self {
        // The first delimiter stands at the start of the body or on a line of its own.
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Self { delimiter, state: State::Preamble, pending: b"\r\n".to_vec() }
    }

    fn has_begun(&self) -> bool {
        matches!(self.state, State::Content | State::Ended)
    }

    fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn has_ended_early(&self) -> bool {
        self.state == State::Nothing
    }

    /// Takes the next piece of the body and adds what of it is content.
    fn feed(&mut self, bytes: &[u8], content: &mut Vec<u8>) {
        self.pending.extend_from_slice(bytes);
        while self.step(content) {}
    }

    /// True if another step may follow.
    fn step(&mut self, content: &mut Vec<u8>) -> bool {
        match self.state {
            State::Preamble => match find(&self.pending, &self.delimiter) {
                Some(at) => {
                    self.pending.drain(..at + self.delimiter.len());
                    self.state = State::Head;
                    true
                }
                None => false,
            },
            State::Head => {
                if self.pending.starts_with(b"--") {
                    self.state = State::Nothing;
                    return false;
                }
                // Without headers, the line break of the delimiter's line begins the empty line.
                match find(&self.pending, b"\r\n\r\n") {
                    Some(at) => {
                        self.pending.drain(..at + 4);
                        self.state = State::Content;
                        true
                    }
                    None => false,
                }
            }
            State::Content => {
                if let Some(at) = find(&self.pending, &self.delimiter) {
                    content.extend(self.pending.drain(..at));
                    self.pending = Vec::new();
                    self.state = State::Ended;
                } else {
                    let kept = self.pending.len().min(self.delimiter.len() - 1);
                    content.extend(self.pending.drain(..self.pending.len() - kept));
                }
                false
            }
            State::Ended | State::Nothing => {
                self.pending.clear();
                false
            }
        }
    }
}

/// Where `needle`, which begins with a carriage return, is in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte == b'\r')?;
        if bytes.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The content found in a body that comes in pieces of a size, and whether it ended.
    fn read(body: &[u8], size: usize) -> (Vec<u8>, bool) {
        let mut part = FirstPart::new("b");
        let mut content = Vec::new();
        for piece in body.chunks(size) {
            part.feed(piece, &mut content);
        }
        (content, part.has_ended())
    }

    #[rstest]
    #[case::plain(b"--b\r\nA: 1\r\n\r\nxyz\r\n--b--\r\n", b"xyz")]
    #[case::without_headers(b"--b\r\n\r\nxyz\r\n--b--", b"xyz")]
    #[case::preamble(b"hello\r\n--b\r\nA: 1\r\nB: 2\r\n\r\nxyz\r\n--b--", b"xyz")]
    #[case::later_parts(b"--b\r\nA: 1\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--", b"x")]
    #[case::nearly_delimiters(
        b"--b\r\n\r\n\r\n\r\n--\r\n-b--b\r\r\n--b--",
        b"\r\n\r\n--\r\n-b--b\r"
    )]
    #[case::no_content(b"--b\r\nA: 1\r\n\r\n\r\n--b--", b"")]
    #[case::blanks_after_the_boundary(b"--b \t\r\nA: 1\r\n\r\nx\r\n--b--", b"x")]
    fn the_first_part_is_found_however_it_arrives(#[case] body: &[u8], #[case] content: &[u8]) {
        for size in 1..=body.len() {
            assert_eq!(read(body, size), (content.to_vec(), true), "in pieces of {size}");
        }
    }

    #[test]
    fn a_part_without_end_is_told_from_one_with_an_end() {
        let (content, ended) = read(b"--b\r\n\r\nxyz\r\n--", 3);
        assert!(!ended && b"xyz\r\n--".starts_with(&content), "{content:?}");
        assert_eq!(read(b"--b--\r\n\r\nx\r\n--b--", 4), (Vec::new(), false));
    }

    #[test]
    fn memory_does_not_grow_with_the_part() {
        let mut part = FirstPart::new("b");
        let mut content = Vec::new();
        part.feed(b"--b\r\n\r\n", &mut content);
        for _ in 0..1_000 {
            part.feed(&[b'\r'; 1_000], &mut content);
            content.clear();
            assert!(part.pending.len() < 10);
        }
    }

    #[rstest]
    #[case::quoted("multipart/form-data; boundary=\"a b\"", "a b")]
    #[case::bare("Multipart/Form-Data;charset=x; Boundary=ab", "ab")]
    fn boundaries_are_read(#[case] header: &str, #[case] expected: &str) {
        let headers = [(CONTENT_TYPE, header.parse().unwrap())].into_iter().collect();
        assert_eq!(boundary(&headers).unwrap(), expected);
    }

    #[rstest]
    #[case::missing("multipart/form-data".to_owned())]
    #[case::empty("multipart/form-data; boundary=\"\"".to_owned())]
    #[case::too_long(format!("multipart/form-data; boundary={}", "b".repeat(71)))]
    fn multipart_bodies_need_a_boundary(#[case] header: String) {
        let headers = [(CONTENT_TYPE, header.parse().unwrap())].into_iter().collect();
        assert_eq!(boundary(&headers).unwrap_err().status(), 400);
    }
}
