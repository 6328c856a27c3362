use std::ops::Range;

/// Headers that one file may have; real ones have a few hundred.
const MAX_HEADERS: usize = 50_000;

/// The header block of a `METADATA`, `PKG-INFO` or `WHEEL` file, by span.
///
/// Lines end with LF, CR or CRLF; a line that starts with a blank continues the one before; the
/// block ends at the first empty line, or before the first line that is none of these. That is
/// what `email.parser` of Python does, hence pip and every tool of the ecosystem, and an edit has
/// to hit the header they read: a mail parser with another notion of where headers end would let
/// a file show two versions.
#[derive(Debug)]
pub(crate) struct Headers<'t> {
    text: &'t [u8],
    fields: Vec<Header<'t>>,
    body: usize,
    broken_off: bool,
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header<'t> {
    /// As spelled; names compare without ASCII case.
    pub(crate) name: &'t str,
    /// Of the value, from its first character that is no blank to the end of its last line.
    pub(crate) span: Range<usize>,
    /// Has continuation lines.
    pub(crate) folded: bool,
}

/// The file is not made of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadersError {
    /// More headers than a metadata file may have.
    #[error("has more than {MAX_HEADERS} headers")]
    TooMany,
}

impl<'t> Headers<'t> {
    pub(crate) fn parse(text: &'t [u8]) -> Result<Self, HeadersError> {
        let mut headers: Vec<Header<'t>> = Vec::new();
        // A continuation line belongs to no header if the line before it was not kept as one.
        let mut open = false;
        let mut at = 0;
        while let Some(line) = Line::at(text, at) {
            match line.content {
                [] => {
                    return Ok(Self { text, fields: headers, body: line.next, broken_off: false });
                }
                [b' ' | b'\t', ..] => {
                    if let Some(last) = headers.last_mut().filter(|_| open) {
                        last.span.end = at + line.content.len();
                        last.folded = true;
                    }
                }
                content => match name_of(content) {
                    Some("") => open = false,
                    Some(name) => {
                        if headers.len() == MAX_HEADERS {
                            return Err(HeadersError::TooMany);
                        }
                        let value = content.get(name.len() + 1..).unwrap_or_default();
                        let blanks = value.iter().take_while(|&&byte| is_blank(byte)).count();
                        let start = at + name.len() + 1 + blanks;
                        let span = start..at + content.len();
                        headers.push(Header { name, span, folded: false });
                        open = true;
                    }
                    None => return Ok(Self { text, fields: headers, body: at, broken_off: true }),
                },
            }
            at = line.next;
        }
        Ok(Self { text, fields: headers, body: text.len(), broken_off: false })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Header<'t>> {
        self.fields.iter()
    }

    /// All headers of that name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Header<'t>> {
        self.fields.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
    }

    /// The value as it stands in the file, continuation lines included.
    pub(crate) fn raw(&self, header: &Header<'_>) -> &'t [u8] {
        self.text.get(header.span.clone()).unwrap_or_default()
    }

    /// What follows the header block.
    pub(crate) fn body(&self) -> &'t [u8] {
        self.text.get(self.body..).unwrap_or_default()
    }

    /// True if the block ended at a line that is neither a header nor empty.
    pub(crate) fn broken_off(&self) -> bool {
        self.broken_off
    }
}

struct Line<'t> {
    content: &'t [u8],
    next: usize,
}

impl<'t> Line<'t> {
    fn at(text: &'t [u8], start: usize) -> Option<Self> {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length =
            rest.iter().position(|&byte| byte == b'\n' || byte == b'\r').unwrap_or(rest.len());
        let ending = match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            _ => 0,
        };
        Some(Self { content: rest.get(..length)?, next: start + length + ending })
    }
}

/// The text before the colon, if it consists of visible ASCII.
fn name_of(line: &[u8]) -> Option<&str> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = line.get(..colon)?;
    name.iter().all(u8::is_ascii_graphic).then(|| std::str::from_utf8(name).unwrap_or_default())
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> (Vec<(&str, &str)>, &str, bool) {
        let headers = Headers::parse(text.as_bytes()).unwrap();
        let found = headers
            .iter()
            .map(|header| (header.name, std::str::from_utf8(headers.raw(header)).unwrap()))
            .collect();
        (found, std::str::from_utf8(headers.body()).unwrap(), headers.broken_off())
    }

    #[rstest]
    #[case::line_feeds("A: 1\nB:2\n\nbody\n", &[("A", "1"), ("B", "2")], "body\n", false)]
    #[case::carriage_returns("A: 1\r\nB: 2\r\n\r\nbody", &[("A", "1"), ("B", "2")], "body", false)]
    #[case::old_line_ends("A: 1\rB: 2\r\rbody", &[("A", "1"), ("B", "2")], "body", false)]
    #[case::folded("A: 1\n  more\n\tyet\nB: 2", &[("A", "1\n  more\n\tyet"), ("B", "2")], "", false)]
    #[case::blanks_alone_continue("A: 1\n \nB: 2\n", &[("A", "1\n "), ("B", "2")], "", false)]
    #[case::colon_in_value("A: b: c\n", &[("A", "b: c")], "", false)]
    #[case::empty_value("A:\nB: \n", &[("A", ""), ("B", "")], "", false)]
    #[case::no_final_line_end("A: 1", &[("A", "1")], "", false)]
    #[case::version_in_the_body("A: 1\n\nVersion: 2\n", &[("A", "1")], "Version: 2\n", false)]
    #[case::not_a_header("A: 1\nno header\nB: 2\n", &[("A", "1")], "no header\nB: 2\n", true)]
    #[case::blank_in_name("A: 1\nB b: 2\n", &[("A", "1")], "B b: 2\n", true)]
    #[case::leading_continuation("  x\nA: 1\n", &[("A", "1")], "", false)]
    #[case::empty_name(": x\n more\nA: 1\n", &[("A", "1")], "", false)]
    #[case::byte_order_mark("\u{feff}A: 1\n", &[], "\u{feff}A: 1\n", true)]
    #[case::nothing("", &[], "", false)]
    fn blocks_end_where_python_ends_them(
        #[case] text: &str,
        #[case] headers: &[(&str, &str)],
        #[case] body: &str,
        #[case] broken_off: bool,
    ) {
        assert_eq!(read(text), (headers.to_vec(), body, broken_off));
    }

    #[test]
    fn the_number_of_headers_is_limited() {
        let text = "a:\n".repeat(MAX_HEADERS + 1);
        assert_eq!(Headers::parse(text.as_bytes()).unwrap_err(), HeadersError::TooMany);
    }
}
