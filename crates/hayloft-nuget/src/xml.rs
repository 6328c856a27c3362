//! XML parts of a package: decoded, measured before they are parsed, and edited by span.

use std::ops::Range;

use hayloft_feed::{Limits, shorten};
use roxmltree::{Document, Node, ParsingOptions};

/// Most attributes of one element; the parser compares each with all others.
const MOST_ATTRIBUTES: usize = 256;
/// Most namespace declarations of one document; the parser copies them into nested elements.
const MOST_NAMESPACES: usize = 64;
/// Most elements, texts and comments of one document, each some 70 bytes to the parser.
const MOST_NODES: u32 = 100_000;
/// Most tags, comments and the like: the parser makes room for each `<` before it reads.
const MOST_MARKUP: usize = 100_000;
/// Most signs that could give an attribute its value: it makes room for each `=` too.
const MOST_EQUALS: usize = 50_000;

/// Bytes are not XML that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Bytes that the encoding does not have.
    #[error("is not valid {0}")]
    Undecodable(&'static str),
    /// An encoding other than the few that occur in packages.
    #[error("declares the encoding `{0}`; save it as utf-8")]
    Encoding(String),
    /// A document type, which could define entities.
    #[error("has a document type declaration, which is not allowed")]
    DocumentType,
    /// Unicode reserves some characters for internal use.
    #[error("contains the noncharacter U+{0:04X}")]
    Noncharacter(u32),
    /// More nesting than is read.
    #[error("nests elements deeper than {0} levels")]
    Depth(usize),
    /// More of something than is read.
    #[error("has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// More memory than there is for reading packages.
    #[error("takes more memory than there is to read it")]
    Exhausted,
    /// What the parser says.
    #[error("is not well-formed XML: {0}")]
    Malformed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16LittleEndian,
    Utf16BigEndian,
    Latin1,
    Windows1252,
}

/// What windows-1252 has at 0x80 to 0x9F, where Latin-1 has control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Decoded XML that can be encoded again to the bytes it came from.
#[derive(Debug)]
pub(crate) struct XmlText {
    encoding: Encoding,
    byte_order_mark: bool,
    text: String,
}

impl XmlText {
    /// Decodes by byte order mark, then by declaration.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, XmlError> {
        let (encoding, byte_order_mark, body) = sniff(bytes)?;
        let text = match encoding {
            Encoding::Utf8 => {
                str::from_utf8(body).map_err(|_| XmlError::Undecodable("utf-8"))?.to_owned()
            }
            Encoding::Utf16LittleEndian => utf16(body, u16::from_le_bytes)?,
            Encoding::Utf16BigEndian => utf16(body, u16::from_be_bytes)?,
            Encoding::Latin1 => body.iter().copied().map(char::from).collect(),
            Encoding::Windows1252 => body.iter().copied().map(from_windows_1252).collect(),
        };
        if let Some(letter) = text.chars().find(|letter| is_noncharacter(*letter)) {
            return Err(XmlError::Noncharacter(letter.into()));
        }
        Ok(Self { encoding, byte_order_mark, text })
    }

    /// Without byte order mark.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Parses what [`measure`] found to be harmless.
    pub(crate) fn parse(&self, limits: &Limits) -> Result<Document<'_>, XmlError> {
        let charge = |bytes| limits.account.charge(bytes).map_err(|_| XmlError::Exhausted);
        charge(u64::try_from(self.text.len()).unwrap_or(u64::MAX))?;
        measure(&self.text, limits)?;
        charge(tree_size(&self.text))?;
        let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&self.text, options)
            .map_err(|error| XmlError::Malformed(shorten(&error.to_string())))?;
        let values = document.descendants().flat_map(|node| {
            node.text().into_iter().chain(node.attributes().map(|attribute| attribute.value()))
        });
        if let Some(letter) = values.flat_map(str::chars).find(|letter| is_noncharacter(*letter)) {
            return Err(XmlError::Noncharacter(letter.into()));
        }
        Ok(document)
    }

    /// The bytes of `text`, which is this text but for some edits, in the same encoding and with
    /// the same byte order mark.
    pub(crate) fn encode(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() + 3);
        let mark = if self.byte_order_mark { "\u{feff}" } else { "" };
        for part in [mark, text] {
            match self.encoding {
                Encoding::Utf8 => bytes.extend_from_slice(part.as_bytes()),
                Encoding::Utf16LittleEndian => {
                    bytes.extend(part.encode_utf16().flat_map(u16::to_le_bytes));
                }
                Encoding::Utf16BigEndian => {
                    bytes.extend(part.encode_utf16().flat_map(u16::to_be_bytes));
                }
                Encoding::Latin1 => {
                    bytes.extend(part.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')));
                }
                Encoding::Windows1252 => bytes.extend(part.chars().map(to_windows_1252)),
            }
        }
        bytes
    }
}

fn sniff(bytes: &[u8]) -> Result<(Encoding, bool, &[u8]), XmlError> {
    Ok(match bytes {
        [0xef, 0xbb, 0xbf, body @ ..] => (Encoding::Utf8, true, body),
        [0xff, 0xfe, body @ ..] => (Encoding::Utf16LittleEndian, true, body),
        [0xfe, 0xff, body @ ..] => (Encoding::Utf16BigEndian, true, body),
        [b'<', 0, ..] => (Encoding::Utf16LittleEndian, false, bytes),
        [0, b'<', ..] => (Encoding::Utf16BigEndian, false, bytes),
        _ => (declared(bytes)?, false, bytes),
    })
}

fn declared(bytes: &[u8]) -> Result<Encoding, XmlError> {
    let head = bytes.get(..256).unwrap_or(bytes);
    let head: String = head.iter().copied().map(char::from).collect();
    let name = head
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split("?>").next())
        .and_then(|declaration| declaration.split_once("encoding"))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix('='))
        .map(|rest| rest.trim_start().trim_start_matches(['"', '\'']))
        .and_then(|rest| rest.split(['"', '\'']).next());
    match name.map(str::to_ascii_lowercase).as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => Ok(Encoding::Utf8),
        Some("iso-8859-1" | "latin1") => Ok(Encoding::Latin1),
        Some("windows-1252") => Ok(Encoding::Windows1252),
        Some(_) => Err(XmlError::Encoding(shorten(name.unwrap_or_default()))),
    }
}

fn from_windows_1252(byte: u8) -> char {
    let special = byte.checked_sub(0x80).and_then(|at| WINDOWS_1252.get(usize::from(at)));
    special.copied().unwrap_or_else(|| char::from(byte))
}

fn to_windows_1252(letter: char) -> u8 {
    let special = (0x80..).zip(WINDOWS_1252).find(|(_, special)| *special == letter);
    special.map_or_else(|| u8::try_from(letter).unwrap_or(b'?'), |(byte, _)| byte)
}

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, XmlError> {
    let (pairs, rest) = body.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(XmlError::Undecodable("utf-16"));
    }
    char::decode_utf16(pairs.iter().copied().map(unit))
        .collect::<Result<_, _>>()
        .map_err(|_| XmlError::Undecodable("utf-16"))
}

fn is_noncharacter(letter: char) -> bool {
    let code = u32::from(letter);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// Bytes that reading a decoded text takes: the parser's nodes and attributes, what is kept of it,
/// and that again as JSON.
fn tree_size(text: &str) -> u64 {
    let signs = text.bytes().filter(|byte| matches!(byte, b'<' | b'=')).count();
    let size = text.len().saturating_mul(4).saturating_add(signs.saturating_mul(250));
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// Refuses what would cost the parser more than the length of the text.
fn measure(text: &str, limits: &Limits) -> Result<(), XmlError> {
    for (sign, what, limit) in [('<', "tags", MOST_MARKUP), ('=', "equals signs", MOST_EQUALS)] {
        if text.matches(sign).nth(limit).is_some() {
            return Err(XmlError::TooMany { what, limit });
        }
    }
    let mut depth = 0_usize;
    let mut namespaces = 0_usize;
    for piece in Pieces(text) {
        match piece {
            Piece::Opening { text: tag, empty } => {
                if tag.split('=').nth(MOST_ATTRIBUTES + 1).is_some()
                    && attributes(tag) > MOST_ATTRIBUTES
                {
                    return Err(XmlError::TooMany { what: "attributes", limit: MOST_ATTRIBUTES });
                }
                namespaces = namespaces.saturating_add(tag.matches("xmlns").count());
                if namespaces > MOST_NAMESPACES {
                    return Err(XmlError::TooMany { what: "namespaces", limit: MOST_NAMESPACES });
                }
                depth = depth.saturating_add(1);
                if depth > limits.depth {
                    return Err(XmlError::Depth(limits.depth));
                }
                if empty {
                    depth = depth.saturating_sub(1);
                }
            }
            Piece::Closing => depth = depth.saturating_sub(1),
            Piece::DocumentType => return Err(XmlError::DocumentType),
            Piece::Text(_) | Piece::Verbatim | Piece::Note(_) => {}
        }
    }
    Ok(())
}

fn attributes(tag: &str) -> usize {
    let mut quote = None;
    let mut count = 0;
    for letter in tag.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => {
                quote = Some(letter);
                count += 1;
            }
            _ => {}
        }
    }
    count
}

/// Markup as it lies in the text, well-formed or not.
enum Piece<'t> {
    Text(&'t str),
    /// A CDATA section.
    Verbatim,
    /// A comment or processing instruction.
    Note(&'t str),
    Opening {
        text: &'t str,
        empty: bool,
    },
    Closing,
    DocumentType,
}

struct Pieces<'t>(&'t str);

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let text = self.0;
        let length = match text.find('<') {
            _ if text.is_empty() => return None,
            Some(0) if text.starts_with("<!--") => end_of(text, "-->"),
            Some(0) if text.starts_with("<![CDATA[") => end_of(text, "]]>"),
            Some(0) if text.starts_with("<?") => end_of(text, "?>"),
            Some(0) => end_of_tag(text),
            found => found.unwrap_or(text.len()),
        };
        let (piece, rest) = text.split_at_checked(length).unwrap_or((text, ""));
        self.0 = rest;
        Some(if piece.starts_with("<![CDATA[") {
            Piece::Verbatim
        } else if piece.starts_with("<!--") || piece.starts_with("<?") {
            Piece::Note(piece)
        } else if piece.starts_with("<!") {
            Piece::DocumentType
        } else if piece.starts_with("</") {
            Piece::Closing
        } else if piece.starts_with('<') {
            Piece::Opening { text: piece, empty: piece.ends_with("/>") }
        } else {
            Piece::Text(piece)
        })
    }
}

fn end_of(text: &str, mark: &str) -> usize {
    text.find(mark).map_or(text.len(), |at| at + mark.len())
}

/// Where the tag that `text` begins with ends: behind the first `>` outside quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None if letter == '>' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text of an element without its children's markup, and without blanks around it.
pub(crate) fn value(node: Node<'_, '_>) -> String {
    let text: String = node.children().filter_map(|child| child.text_of_text_node()).collect();
    text.trim().to_owned()
}

trait TextNode<'a> {
    fn text_of_text_node(&self) -> Option<&'a str>;
}

impl<'a> TextNode<'a> for Node<'a, '_> {
    fn text_of_text_node(&self) -> Option<&'a str> {
        // A comment has text too, which is no part of the value.
        if self.is_text() { self.text() } else { None }
    }
}

/// Where between its tags the text of an element lies; `None` for an empty-element tag.
pub(crate) fn content_span(text: &str, node: Node<'_, '_>) -> Option<Range<usize>> {
    let range = node.range();
    let element = text.get(range.clone())?;
    let start = end_of_tag(element);
    let end = element.rfind("</").filter(|end| *end >= start)?;
    Some(range.start + start..range.start + end)
}

/// The content of an element that holds one value, with another value in its place: blanks,
/// comments and processing instructions stay.
pub(crate) fn with_value(content: &str, value: &str) -> String {
    let mut changed = String::with_capacity(content.len() + value.len());
    let mut placed = false;
    for piece in Pieces(content) {
        match piece {
            Piece::Text(text) if text.trim().is_empty() => changed.push_str(text),
            Piece::Note(note) => changed.push_str(note),
            Piece::Text(_) | Piece::Verbatim if placed => {}
            Piece::Text(text) => {
                let before = text.len() - text.trim_start().len();
                let after = text.trim_end().len();
                changed.push_str(text.get(..before).unwrap_or_default());
                changed.push_str(value);
                changed.push_str(text.get(after..).unwrap_or_default());
                placed = true;
            }
            Piece::Verbatim => {
                changed.push_str(value);
                placed = true;
            }
            Piece::Opening { .. } | Piece::Closing | Piece::DocumentType => {}
        }
    }
    if !placed {
        changed.push_str(value);
    }
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn parse(text: &str) -> Result<(), XmlError> {
        XmlText::decode(text.as_bytes())?.parse(&Limits::default()).map(|_| ())
    }

    #[rstest]
    #[case::plain(b"<a/>".to_vec(), "<a/>")]
    #[case::utf8_mark(b"\xef\xbb\xbf<a/>".to_vec(), "<a/>")]
    #[case::utf16_little(b"\xff\xfe<\0a\0/\0>\0".to_vec(), "<a/>")]
    #[case::utf16_big(b"\xfe\xff\0<\0a\0/\0>".to_vec(), "<a/>")]
    #[case::utf16_unmarked(b"<\0a\0/\0>\0".to_vec(), "<a/>")]
    #[case::latin1(
        b"<?xml version=\"1.0\" encoding='ISO-8859-1'?><a>\xe9</a>".to_vec(),
        "<?xml version=\"1.0\" encoding='ISO-8859-1'?><a>é</a>"
    )]
    #[case::windows_1252(
        b"<?xml version='1.0' encoding='Windows-1252'?><a>\x80\x81\x92\x9f\xe9</a>".to_vec(),
        "<?xml version='1.0' encoding='Windows-1252'?><a>€\u{81}’Ÿé</a>"
    )]
    #[case::mark_beats_declaration(
        b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>".to_vec(),
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>"
    )]
    fn every_encoding_is_read_and_written_back(#[case] bytes: Vec<u8>, #[case] text: &str) {
        let read = XmlText::decode(&bytes).unwrap();
        assert_eq!(read.text(), text);
        assert_eq!(read.encode(text), bytes);
        read.parse(&Limits::default()).unwrap();
    }

    #[rstest]
    #[case::bad_utf8(b"<a>\xff</a>".to_vec(), XmlError::Undecodable("utf-8"))]
    #[case::odd_utf16(b"\xff\xfe<\0a".to_vec(), XmlError::Undecodable("utf-16"))]
    #[case::lone_surrogate(b"\xff\xfe\0\xd8".to_vec(), XmlError::Undecodable("utf-16"))]
    #[case::unmarked_utf16_declaration(
        b"<?xml version='1.0' encoding='utf-16'?><a/>".to_vec(),
        XmlError::Encoding("utf-16".into())
    )]
    #[case::noncharacter("<a>\u{fffe}</a>".into(), XmlError::Noncharacter(0xfffe))]
    #[case::plane_end("<a>\u{1ffff}</a>".into(), XmlError::Noncharacter(0x1_ffff))]
    fn undecodable_bytes_are_refused(#[case] bytes: Vec<u8>, #[case] error: XmlError) {
        assert_eq!(XmlText::decode(&bytes).unwrap_err(), error);
    }

    #[test]
    fn documents_that_would_burden_the_parser_are_refused() {
        let deep = "<a>".repeat(65) + &"</a>".repeat(65);
        assert_eq!(parse(&deep), Err(XmlError::Depth(64)));
        let wide = (0..257).map(|at| format!(" a{at}='>'")).collect::<Vec<_>>().concat();
        let attributes = XmlError::TooMany { what: "attributes", limit: 256 };
        assert_eq!(parse(&format!("<!-- ' --><a{wide}/>")), Err(attributes));
        let spaces = (0..65).map(|at| format!(" xmlns:n{at}='u'")).collect::<Vec<_>>().concat();
        let namespaces = XmlError::TooMany { what: "namespaces", limit: 64 };
        assert_eq!(parse(&format!("<a{spaces}/>")), Err(namespaces));
        assert_eq!(parse("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), Err(XmlError::DocumentType));
        assert!(parse("<a>&#xFFFF;</a>").is_err());
        assert_eq!(parse("<a b='&#x1FFFE;'/>"), Err(XmlError::Noncharacter(0x1_fffe)));
        assert!(matches!(parse("<a><b></a>"), Err(XmlError::Malformed(_))));
        assert!(matches!(parse(""), Err(XmlError::Malformed(_))));
    }

    #[test]
    fn many_equals_signs_in_one_attribute_are_no_harm() {
        let equals = "=".repeat(1000);
        assert_eq!(parse(&format!("<a b='{equals}'>{equals}</a>")), Ok(()));
    }

    #[rstest]
    #[case::plain("1.0", "2")]
    #[case::blanks(" \r\n 1.0\t", " \r\n 2\t")]
    #[case::reference("1&#46;0", "2")]
    #[case::verbatim("<![CDATA[1.0]]>", "2")]
    #[case::comment(" <!-- was <b> 0.9 -->1.0<?keep?>", " <!-- was <b> 0.9 -->2<?keep?>")]
    #[case::pieces("1.<!-- x -->0<![CDATA[-a]]> ", "2<!-- x --> ")]
    #[case::nothing("", "2")]
    fn a_value_is_replaced_and_its_surroundings_stay(#[case] content: &str, #[case] changed: &str) {
        assert_eq!(with_value(content, "2"), changed);
    }

    proptest! {
        #[test]
        fn decoding_and_encoding_give_the_same_bytes(
            bytes in prop_oneof![
                "\\PC{0,40}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..40),
            ]
        ) {
            if let Ok(read) = XmlText::decode(&bytes) {
                prop_assert_eq!(read.encode(read.text()), bytes);
            }
        }

        #[test]
        fn a_replaced_value_reads_back(content in "([ 1a]|<!--x-->|<!\\[CDATA\\[b\\]\\]>|&#46;|<\\?p\\?>){0,6}") {
            let text = format!("<v a='>'>{}</v>", with_value(&content, "2.0"));
            let read = XmlText::decode(text.as_bytes()).unwrap();
            let document = read.parse(&Limits::default()).unwrap();
            prop_assert_eq!(value(document.root_element()), "2.0");
            let span = content_span(&text, document.root_element()).unwrap();
            let again = with_value(text.get(span).unwrap(), "2.0");
            prop_assert_eq!(again, with_value(&content, "2.0"));
        }
    }
}
