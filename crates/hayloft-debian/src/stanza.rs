use std::collections::BTreeSet;
use std::ops::Range;

use hayloft_feed::shorten;

/// The one stanza of a binary package's `control` file, by spans of its text.
///
/// Reads what both dpkg and apt read, and refuses what either refuses or the two read differently:
/// one such stanza in an index breaks `apt-get update` for every user of a feed.
/// Format: deb-control(5), deb822(5).
#[derive(Debug, Clone)]
pub struct Stanza<'t> {
    text: &'t [u8],
    fields: Vec<Field<'t>>,
}

/// One field of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'t> {
    /// Name as spelled; printable ASCII. Names compare without case.
    pub name: &'t str,
    /// Value without the blanks at its ends. Continuation lines keep their first blank; a value
    /// that begins on one begins with the line break. Usually UTF-8, but real packages exist that
    /// hold Latin-1.
    pub value: &'t [u8],
    /// Bytes of `value` in the text.
    pub span: Range<usize>,
    /// Line that the field begins on, from 1.
    pub line: usize,
    /// The name is followed by blanks: `Package : x`.
    pub colon_is_spaced: bool,
}

/// Text is not the stanza of a binary package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StanzaError {
    /// No field at all.
    #[error("holds no field")]
    Empty,
    /// Ends in the middle of a line.
    #[error("lacks the newline at the end of its last line {0}, which dpkg demands")]
    NoFinalNewline(usize),
    /// A character at which readers disagree where a line ends.
    #[error("has the byte 0x{byte:02x} in line {line}, which dpkg and apt read differently")]
    Character {
        /// Line, from 1.
        line: usize,
        /// The byte.
        byte: u8,
    },
    /// Neither empty nor a continuation.
    #[error("has a line {0} of blanks only; write ` .` for an empty line inside a value")]
    BlankLine(usize),
    /// A binary package describes one package.
    #[error("has a second stanza at line {0}")]
    SecondStanza(usize),
    /// Comments belong to source packages.
    #[error("has a comment in line {0}; only source packages may have comments")]
    Comment(usize),
    /// Begins with a blank, and no field precedes it.
    #[error("begins with a continuation line {0}")]
    Continuation(usize),
    /// No colon, or a name that is none.
    #[error("has no field name before a colon in line {line}: `{}`", shorten(.text))]
    Name {
        /// Line, from 1.
        line: usize,
        /// How the line begins.
        text: String,
    },
    /// dpkg refuses fields without a value.
    #[error("has no value for the field `{}` in line {line}; leave the field out", shorten(.name))]
    NoValue {
        /// Line, from 1.
        line: usize,
        /// Field name.
        name: String,
    },
    /// dpkg refuses it, apt takes the last one.
    #[error("has the field `{}` a second time in line {line}", shorten(.name))]
    Duplicate {
        /// Line, from 1.
        line: usize,
        /// Field name.
        name: String,
    },
}

impl<'t> Stanza<'t> {
    /// Finds the fields of a `control` file. Costs one pass; allocates per field.
    pub fn parse(text: &'t [u8]) -> Result<Self, StanzaError> {
        let mut reader = Reader { text, fields: Vec::new(), names: BTreeSet::new(), ended: false };
        let mut start = 0;
        for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            reader.line(at + 1, start..start + line.len(), line)?;
            start += line.len();
        }
        for field in &reader.fields {
            if field.value.is_empty() {
                let name = field.name.to_owned();
                return Err(StanzaError::NoValue { line: field.line, name });
            }
        }
        if reader.fields.is_empty() {
            return Err(StanzaError::Empty);
        }
        Ok(Self { text, fields: reader.fields })
    }

    /// All fields in the order of the text.
    pub fn fields(&self) -> &[Field<'t>] {
        &self.fields
    }

    /// The field `name`, compared without case.
    pub fn field(&self, name: &str) -> Option<&Field<'t>> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The whole text with the value of `name` replaced, every other byte kept; `None` if there is
    /// no such field.
    pub fn with_value(&self, name: &str, value: &str) -> Option<Vec<u8>> {
        let field = self.field(name)?;
        let before = self.text.get(..field.span.start)?;
        let after = self.text.get(field.span.end..)?;
        Some([before, value.as_bytes(), after].concat())
    }
}

impl Field<'_> {
    /// The value as text, line breaks as `\n`, bytes that are not UTF-8 replaced.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(self.value).replace("\r\n", "\n")
    }

    /// True if all of the value is UTF-8.
    pub fn is_utf8(&self) -> bool {
        std::str::from_utf8(self.value).is_ok()
    }
}

struct Reader<'t> {
    text: &'t [u8],
    fields: Vec<Field<'t>>,
    names: BTreeSet<String>,
    ended: bool,
}

impl<'t> Reader<'t> {
    fn line(
        &mut self,
        number: usize,
        span: Range<usize>,
        line: &'t [u8],
    ) -> Result<(), StanzaError> {
        let Some(content) = line.strip_suffix(b"\n") else {
            return Err(StanzaError::NoFinalNewline(number));
        };
        let without_return = content.strip_suffix(b"\r").unwrap_or(content);
        let stray = |byte: &&u8| matches!(**byte, 0 | 0x0b | 0x0c | b'\r' | 0x1a);
        if let Some(byte) = without_return.iter().find(stray) {
            return Err(StanzaError::Character { line: number, byte: *byte });
        }
        match content {
            [] => {
                self.ended = !self.fields.is_empty();
                Ok(())
            }
            // To dpkg a lone carriage return is a blank as any other.
            blanks if blanks.iter().all(u8::is_ascii_whitespace) => {
                Err(StanzaError::BlankLine(number))
            }
            _ if self.ended => Err(StanzaError::SecondStanza(number)),
            [b'#', ..] => Err(StanzaError::Comment(number)),
            [b' ' | b'\t', ..] => self.continuation(number, span.start, without_return),
            _ => self.field(number, span.start, without_return),
        }
    }

    fn continuation(
        &mut self,
        number: usize,
        start: usize,
        line: &[u8],
    ) -> Result<(), StanzaError> {
        let field = self.fields.last_mut().ok_or(StanzaError::Continuation(number))?;
        field.span.end = start + line.trim_ascii_end().len();
        field.value = self.text.get(field.span.clone()).unwrap_or_default();
        Ok(())
    }

    fn field(&mut self, number: usize, start: usize, line: &'t [u8]) -> Result<(), StanzaError> {
        let no_name = || StanzaError::Name {
            line: number,
            text: String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned(),
        };
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(no_name)?;
        let (name, rest) = line.split_at_checked(colon).ok_or_else(no_name)?;
        let trimmed = name.trim_ascii_end();
        let name = std::str::from_utf8(trimmed).ok().filter(|name| is_name(name));
        let name = name.ok_or_else(no_name)?;
        if !self.names.insert(name.to_ascii_lowercase()) {
            return Err(StanzaError::Duplicate { line: number, name: name.to_owned() });
        }
        let value = rest.get(1..).unwrap_or_default();
        // A value that begins on the next line starts where its name's line ends.
        let first = start + line.len() - value.trim_ascii_start().len();
        let span = first..first.max(start + line.trim_ascii_end().len());
        self.fields.push(Field {
            name,
            value: self.text.get(span.clone()).unwrap_or_default(),
            span,
            line: number,
            colon_is_spaced: trimmed.len() < colon,
        });
        Ok(())
    }
}

/// dpkg refuses names of one character.
fn is_name(name: &str) -> bool {
    name.len() >= 2
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && !name.starts_with(['-', '#'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn values(text: &[u8]) -> Vec<(String, String)> {
        let stanza = Stanza::parse(text).unwrap();
        stanza.fields().iter().map(|field| (field.name.to_owned(), field.lossy())).collect()
    }

    fn value(text: &str) -> String {
        values(text.as_bytes()).remove(0).1
    }

    #[rstest]
    #[case::plain("Package: zz\n", "zz")]
    #[case::no_blank("Package:zz\n", "zz")]
    #[case::trailing_blanks("Package: \t zz \t\n", "zz")]
    #[case::carriage_return("Package: zz\r\n", "zz")]
    #[case::blank_before_colon("Package : zz\n", "zz")]
    #[case::blank_lines_around("\n\nPackage: zz\n\n\n", "zz")]
    #[case::colon_in_value("Package: a: b\n", "a: b")]
    #[case::continuation("Package: a\n b\n  c \n", "a\n b\n  c")]
    #[case::tab("Package: a\n\tb\n", "a\n\tb")]
    #[case::dot_line("Package: a\n .\n b\n", "a\n .\n b")]
    #[case::begins_below("Package:  \n a\n", "\n a")]
    #[case::returns_inside("Package: a\r\n b\r\n", "a\n b")]
    #[case::hash_in_value("Package: a\n # b\n", "a\n # b")]
    fn values_lose_the_blanks_at_their_ends(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(value(text), expected);
    }

    #[rstest]
    #[case::nothing("", StanzaError::Empty)]
    #[case::blank_lines("\n\n", StanzaError::Empty)]
    #[case::no_newline("Package: zz\nVersion: 1", StanzaError::NoFinalNewline(2))]
    #[case::two_stanzas("Package: zz\n\nPackage: yy\n", StanzaError::SecondStanza(3))]
    #[case::comment("Package: zz\n# no\n", StanzaError::Comment(2))]
    #[case::blanks_in_value("Package: zz\n \n x\n", StanzaError::BlankLine(2))]
    #[case::blanks_at_end("Package: zz\n\t\n", StanzaError::BlankLine(2))]
    #[case::return_alone("Package: zz\r\n\r\n", StanzaError::BlankLine(2))]
    #[case::continuation_first(" x\n", StanzaError::Continuation(1))]
    #[case::nul("Package: a\0b\n", StanzaError::Character { line: 1, byte: 0 })]
    #[case::end_of_file_mark("Package: a\u{1a}\n", StanzaError::Character { line: 1, byte: 0x1a })]
    #[case::inner_return("Package: a\rVersion: 2\n", StanzaError::Character { line: 1, byte: b'\r' })]
    #[case::form_feed("Package: a\n\u{c}b\n", StanzaError::Character { line: 2, byte: 0x0c })]
    #[case::no_value("Package:\nVersion: 1\n", StanzaError::NoValue { line: 1, name: "Package".into() })]
    #[case::blank_value("Package:  \n", StanzaError::NoValue { line: 1, name: "Package".into() })]
    #[case::no_colon("Package\n", StanzaError::Name { line: 1, text: "Package".into() })]
    #[case::hyphen_name("-ab: x\n", StanzaError::Name { line: 1, text: "-ab: x".into() })]
    #[case::short_name("X: x\n", StanzaError::Name { line: 1, text: "X: x".into() })]
    #[case::blank_in_name("A b: x\n", StanzaError::Name { line: 1, text: "A b: x".into() })]
    #[case::empty_name(": x\n", StanzaError::Name { line: 1, text: ": x".into() })]
    #[case::twice("Aa: x\naA: y\n", StanzaError::Duplicate { line: 2, name: "aA".into() })]
    fn what_dpkg_or_apt_cannot_read_is_refused(#[case] text: &str, #[case] error: StanzaError) {
        assert_eq!(Stanza::parse(text.as_bytes()).unwrap_err(), error);
    }

    #[test]
    fn a_replaced_value_leaves_every_other_byte() {
        let text = b"pAckage : zz\r\nVERSION:\t 1.0-1 \t\r\nMaintainer: J\xf6rg\r\n";
        let stanza = Stanza::parse(text).unwrap();
        assert_eq!(
            stanza.with_value("Version", "2:3").unwrap(),
            b"pAckage : zz\r\nVERSION:\t 2:3 \t\r\nMaintainer: J\xf6rg\r\n"
        );
        assert_eq!(stanza.with_value("Source", "x"), None);
        assert!(stanza.field("package").unwrap().colon_is_spaced);
        assert!(!stanza.field("maintainer").unwrap().is_utf8());
    }

    fn control() -> impl Strategy<Value = Vec<(String, String)>> {
        let line = "[!-~é][ -~é]{0,12}[!-~é]";
        let value = (line, proptest::collection::vec(line, 0..3))
            .prop_map(|(first, more)| [vec![first], more].concat().join("\n "));
        proptest::collection::btree_map("[A-Z][a-z0-9-]{1,8}", value, 1..6)
            .prop_map(|fields| fields.into_iter().collect())
    }

    fn written(fields: &[(String, String)]) -> String {
        fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<Vec<_>>().concat()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(fields in control()) {
            prop_assert_eq!(values(written(&fields).as_bytes()), fields);
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            text in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b':'), Just(b' '), Just(b'\r'), any::<u8>()], 0..200),
        ) {
            if let Ok(stanza) = Stanza::parse(&text) {
                for field in stanza.fields() {
                    prop_assert_eq!(&text[field.span.clone()], field.value);
                    let edited = stanza.with_value(field.name, "other").unwrap();
                    let again = Stanza::parse(&edited).unwrap();
                    prop_assert_eq!(again.fields().len(), stanza.fields().len());
                    prop_assert_eq!(again.field(field.name).unwrap().value, b"other");
                }
            }
        }
    }
}
