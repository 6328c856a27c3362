use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use hayloft::feed_type::native::FilePart;

use super::{Found, Parser};

/// Most bytes of the headers of a part.
const LARGEST_HEAD: usize = 16 << 10;
/// Longest boundary: <https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1>
const LONGEST_BOUNDARY: usize = 70;
/// Most bytes of a field.
const LARGEST_FIELD: usize = 256 << 10;
/// Most parts.
const PARTS: usize = 4_096;

/// Takes `multipart/form-data` apart.
///
/// No kept crate is used: nuget.exe 2.8 on Unix ends the last part with a bare line feed, which
/// strict parsers take for content.
pub(super) struct MultipartParser {
    /// A line feed, two dashes and the boundary; a carriage return before them belongs to it.
    delimiter: Vec<u8>,
    wanted: FilePart,
    fields: &'static [&'static str],
    state: State,
    parts: usize,
    /// Bytes that may be the beginning of something.
    pending: Vec<u8>,
    /// Bytes at the beginning of those in which the end of a head was not found.
    searched: usize,
    value: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Preamble,
    /// Behind a delimiter, up to an empty line.
    Head,
    File,
    Field(String),
    Dropped,
    Ended,
}

impl MultipartParser {
    pub(super) fn new(
        headers: &HeaderMap,
        wanted: FilePart,
        fields: &'static [&'static str],
    ) -> Result<Self, String> {
        let delimiter = [b"\n--", boundary(headers)?.as_bytes()].concat();
        Ok(Self {
            delimiter,
            wanted,
            fields,
            state: State::Preamble,
            parts: 0,
            // The first delimiter stands at the start of the body or on a line of its own.
            pending: b"\r\n".to_vec(),
            searched: 0,
            value: Vec::new(),
        })
    }

    /// True if another step may follow.
    fn step(&mut self, found: &mut Found) -> Result<bool, String> {
        match self.state {
            State::Ended => {
                self.pending.clear();
                Ok(false)
            }
            State::Head => self.head(found),
            _ => self.content(found),
        }
    }

    fn head(&mut self, found: &mut Found) -> Result<bool, String> {
        if self.pending.starts_with(b"--") {
            self.state = State::Ended;
            return Ok(false);
        }
        // Without headers, the line break of the delimiter's line begins the empty line.
        let end = b"\r\n\r\n";
        let from = self.searched.saturating_sub(end.len() - 1);
        let Some(at) = find(self.pending.get(from..).unwrap_or_default(), end) else {
            self.searched = self.pending.len();
            return match self.pending.len() {
                0..=LARGEST_HEAD => Ok(false),
                _ => Err("the headers of a part are too long".to_owned()),
            };
        };
        let at = from + at;
        self.searched = 0;
        let head: Vec<u8> = self.pending.drain(..at + 4).take(at).collect();
        self.parts += 1;
        if self.parts > PARTS {
            return Err("the body has too many parts".to_owned());
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let name = parameter(&head, "name").unwrap_or_default();
        let is_file = match self.wanted {
            FilePart::First => self.parts == 1,
            FilePart::Named(wanted) => wanted == name,
        };
        self.state = if is_file && !found.begun {
            found.begun = true;
            found.file_name = parameter(&head, "filename");
            State::File
        } else if self.fields.iter().any(|wanted| *wanted == name || *wanted == "*") {
            State::Field(name)
        } else {
            State::Dropped
        };
        Ok(true)
    }

    fn content(&mut self, found: &mut Found) -> Result<bool, String> {
        let at = find(&self.pending, &self.delimiter);
        let end = match at {
            Some(at) => at,
            None => self.pending.len().saturating_sub(self.delimiter.len()),
        };
        // What may be the carriage return of the delimiter is not given out yet.
        let returns = end.checked_sub(1).and_then(|last| self.pending.get(last)) == Some(&b'\r');
        let end = if returns { end - 1 } else { end };
        match &self.state {
            State::File => found.file.extend(self.pending.drain(..end)),
            State::Field(name) => {
                self.value.extend(self.pending.drain(..end));
                if self.value.len() > LARGEST_FIELD {
                    return Err(format!("the field `{name}` has more than {LARGEST_FIELD} bytes"));
                }
            }
            _ => drop(self.pending.drain(..end)),
        }
        if at.is_none() {
            return Ok(false);
        }
        let delimiter = self.delimiter.len() + usize::from(returns);
        self.pending.drain(..delimiter);
        if let State::Field(name) = std::mem::replace(&mut self.state, State::Head) {
            let value = String::from_utf8(std::mem::take(&mut self.value))
                .map_err(|_| format!("the field `{name}` is not UTF-8 text"))?;
            found.field(vec![name], value)?;
        }
        Ok(true)
    }
}

impl Parser for MultipartParser {
    fn push(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String> {
        self.pending.extend_from_slice(bytes);
        while self.step(found)? {}
        Ok(())
    }

    fn kept(&self) -> usize {
        self.value.len() + self.pending.len()
    }

    fn finish(&mut self, _: &mut Found) -> Result<(), String> {
        match self.state {
            State::Ended => Ok(()),
            // The end of the last delimiter may be all that is missing.
            State::Head if self.parts > 0 && b"--".starts_with(&self.pending) => Ok(()),
            _ => Err("the multipart body does not end".to_owned()),
        }
    }
}

/// The boundary between the parts.
fn boundary(headers: &HeaderMap) -> Result<String, String> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = parameter(&format!("content-disposition: {value}"), "boundary");
    let found = found.unwrap_or_default();
    if found.is_empty() || found.len() > LONGEST_BOUNDARY {
        return Err("the multipart body has no usable boundary".to_owned());
    }
    Ok(found)
}

/// A parameter of the `Content-Disposition` among the headers of a part, in quotes or not.
fn parameter(head: &str, wanted: &str) -> Option<String> {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let mut rest = line.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            let (value, after) = quoted.split_at_checked(quoted_end(quoted)?)?;
            (value.replace("\\\"", "\"").replace("%22", "\""), after.strip_prefix('"')?)
        } else {
            let end = after.find(';').unwrap_or(after.len());
            let (value, after) = after.split_at_checked(end)?;
            (value.trim().to_owned(), after)
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.split_once(';')?.1;
    }
}

/// Where the quoted text ends; a backslash before a quote takes its meaning away.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// Where `needle` is in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &[u8], step: usize, wanted: FilePart) -> Result<Found, String> {
        let kind = "multipart/form-data; charset=x; boundary=\"a b\"";
        let headers = [(CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect();
        let mut parser = MultipartParser::new(&headers, wanted, &["x", "y"]).unwrap();
        let mut found = Found::default();
        for piece in body.chunks(step) {
            parser.push(piece, &mut found)?;
        }
        parser.finish(&mut found)?;
        Ok(found)
    }

    const BODY: &[u8] = b"--a b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--a b\r\n\
        Content-Type: text/plain\r\ncontent-disposition: form-data; name=no\r\n\r\ndropped\r\n--a b\r\n\
        Content-Disposition: form-data; name=content; filename=\"a\\\".whl\"\r\n\r\n\
        \r\n--a c\n--a \r\r\n--a b\r\nContent-Disposition: form-data; name=\"y\"\r\n\r\n\r\n--a b--\r\nafter";

    #[test]
    fn parts_are_found_however_the_body_is_cut() {
        for step in 1..BODY.len() {
            let found = parsed(BODY, step, FilePart::Named("content")).unwrap();
            let fields: Vec<_> = found
                .fields
                .iter()
                .map(|field| (field.path[0].as_str(), field.value.as_str()))
                .collect();
            assert_eq!(fields, [("x", "1"), ("y", "")]);
            assert_eq!(found.file, b"\r\n--a c\n--a \r", "{step}");
            assert_eq!(found.file_name.as_deref(), Some("a\".whl"));
        }
    }

    #[test]
    fn the_first_part_may_be_the_file_and_end_with_a_bare_line_feed() {
        let body = b"--a b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nPK\x03\n--a b--\n";
        for step in 1..body.len() {
            let found = parsed(body, step, FilePart::First).unwrap();
            assert_eq!(found.file, b"PK\x03");
        }
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_searched_once() {
        let headers = [(CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap())];
        let headers = headers.into_iter().collect();
        let mut parser = MultipartParser::new(&headers, FilePart::First, &[]).unwrap();
        let mut found = Found::default();
        parser.push(b"--b\r\nx: ", &mut found).unwrap();
        for length in 1..10_000 {
            parser.push(b"a", &mut found).unwrap();
            assert!(parser.searched > length, "all but what came last");
        }
        parser.push(b"\r\n\r\nfile\r\n--b--", &mut found).unwrap();
        parser.finish(&mut found).unwrap();
        assert_eq!(found.file, b"file");
    }

    #[test]
    fn what_does_not_end_or_has_no_boundary_is_refused() {
        assert!(parsed(&BODY[..BODY.len() - 60], 7, FilePart::First).is_err());
        let headers = [(CONTENT_TYPE, "multipart/form-data".parse().unwrap())];
        let headers = headers.into_iter().collect();
        assert!(MultipartParser::new(&headers, FilePart::First, &[]).is_err());
        let endless = [b"--a b\r\nx: ".as_slice(), &vec![b'a'; 20_000]].concat();
        assert!(parsed(&endless, 4_096, FilePart::First).is_err());
        let field = b"--a b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n";
        let large = [field.as_slice(), &vec![b'a'; 300_000], b"\r\n--a b--"].concat();
        assert!(parsed(&large, 4_096, FilePart::Named("content")).is_err());
    }
}
