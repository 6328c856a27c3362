use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use data_encoding::BASE64URL_NOPAD;
use hayloft_feed::shorten;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Path, digest and size.
const COLUMNS: usize = 3;

/// The `RECORD` of a wheel: which files it has, with digest and size, by span.
///
/// Format: <https://packaging.python.org/specifications/recording-installed-packages/#the-record-file>
#[derive(Debug)]
pub(crate) struct Record<'t> {
    text: &'t str,
    rows: Vec<Row<'t>>,
}

/// One line of a `RECORD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'t> {
    /// With `/` between its parts.
    pub(crate) path: Cow<'t, str>,
    /// `algorithm=digest`; empty for the record itself.
    pub(crate) hash: Cow<'t, str>,
    /// Decimal; empty for the record itself.
    pub(crate) size: Cow<'t, str>,
    /// The row without its line end.
    span: Range<usize>,
    /// Where its line end ends.
    end: usize,
}

/// What becomes of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowEdit {
    /// The row is left out.
    Remove,
    /// New path, same digest and size.
    Rename(String),
    /// New path, digest and size.
    Replace(String, Sum),
}

/// Digest and size of a file as a `RECORD` states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    sha256: [u8; 32],
    size: u64,
}

impl Sum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Sha256::digest(bytes).into(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    fn row(&self, path: &str) -> String {
        let digest = BASE64URL_NOPAD.encode(&self.sha256);
        format!("{},sha256={digest},{}", quoted(path), self.size)
    }
}

/// A `RECORD` cannot be read, or vouches for less than it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// Not three columns.
    #[error("row {row} does not have {COLUMNS} columns")]
    Columns {
        /// Counted from 1.
        row: usize,
    },
    /// A quotation mark without its partner, or text after it.
    #[error("row {row} has unbalanced quotation marks")]
    Quotes {
        /// Counted from 1.
        row: usize,
    },
    /// Two rows speak of one file.
    #[error("`{}` is listed more than once", shorten(.0))]
    Duplicate(String),
    /// More rows than an archive may have entries.
    #[error("has more than {0} rows")]
    TooMany(u64),
    /// A digest that nobody should trust, or none at all.
    #[error("gives `{}` no sha256, sha384 or sha512 digest", shorten(.0))]
    Digest(String),
    /// The record has a digest of itself, which cannot be right.
    #[error("gives a digest or size for itself")]
    OwnDigest,
    /// The size column is not a number.
    #[error("gives `{}` no size", shorten(.0))]
    Size(String),
}

impl<'t> Record<'t> {
    pub(crate) fn parse(bytes: &'t [u8], max_rows: u64) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Encoding)?;
        let mut rows = Vec::new();
        let mut at = 0;
        let mut number = 0;
        while at < text.len() {
            number += 1;
            if u64::try_from(number).is_ok_and(|number| number > max_rows) {
                return Err(RecordError::TooMany(max_rows));
            }
            let line = Line::read(text, at).ok_or(RecordError::Quotes { row: number })?;
            let span = at..line.end;
            at = line.next;
            match <[Cow<'t, str>; COLUMNS]>::try_from(line.columns) {
                Ok([path, hash, size]) => {
                    let path = if path.contains('\\') {
                        Cow::Owned(path.replace('\\', "/"))
                    } else {
                        path
                    };
                    rows.push(Row { path, hash, size, span, end: at });
                }
                Err(_) if span.is_empty() => {}
                Err(_) => return Err(RecordError::Columns { row: number }),
            }
        }
        let record = Self { text, rows };
        let mut paths: Vec<&str> = record.rows.iter().map(|row| &*row.path).collect();
        paths.sort_unstable();
        let mut pairs = paths.iter().zip(paths.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(left, right)| left == right) {
            return Err(RecordError::Duplicate((*twice).to_owned()));
        }
        Ok(record)
    }

    pub(crate) fn rows(&self) -> &[Row<'t>] {
        &self.rows
    }

    /// The text with some rows edited, by old path, and one row added before the row of the record
    /// itself, or at the end.
    pub(crate) fn edited(
        &self,
        edits: &BTreeMap<String, RowEdit>,
        added: Option<(&str, &Sum)>,
        own_path: &str,
    ) -> String {
        let mut added = added.map(|(path, sum)| sum.row(path));
        let mut text = String::with_capacity(self.text.len() + 256);
        let mut at = 0;
        for row in &self.rows {
            text.push_str(self.text.get(at..row.span.start).unwrap_or_default());
            at = row.end;
            let line_end = self.text.get(row.span.end..row.end).unwrap_or_default();
            if row.path == own_path
                && let Some(added) = added.take()
            {
                text.push_str(&added);
                text.push_str(self.line_end());
            }
            match edits.get(&*row.path) {
                Some(RowEdit::Remove) => continue,
                Some(RowEdit::Rename(path)) => {
                    for part in [&quoted(path), ",", &row.hash, ",", &row.size] {
                        text.push_str(part);
                    }
                }
                Some(RowEdit::Replace(path, sum)) => text.push_str(&sum.row(path)),
                None => text.push_str(self.text.get(row.span.clone()).unwrap_or_default()),
            }
            text.push_str(line_end);
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        if let Some(added) = added {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push_str(self.line_end());
            }
            text.push_str(&added);
            text.push_str(self.line_end());
        }
        text
    }

    /// How the first row ends.
    fn line_end(&self) -> &'t str {
        self.rows
            .first()
            .and_then(|row| self.text.get(row.span.end..row.end))
            .filter(|ending| !ending.is_empty())
            .unwrap_or("\n")
    }
}

/// A field as CSV writes it: in quotation marks only where it has to be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A line of comma-separated values after RFC 4180.
struct Line<'t> {
    columns: Vec<Cow<'t, str>>,
    /// Before the line end.
    end: usize,
    /// After the line end.
    next: usize,
}

impl<'t> Line<'t> {
    /// `None` if quotation marks are unbalanced. A line of too many columns is not read to its end.
    fn read(text: &'t str, start: usize) -> Option<Self> {
        let mut rest = text.get(start..)?;
        let mut columns = Vec::new();
        loop {
            let (field, after) = if let Some(inner) = rest.strip_prefix('"') {
                let (field, after) = quoted_field(inner)?;
                (Cow::Owned(field), after)
            } else {
                let end = rest.find([',', '\r', '\n']).unwrap_or(rest.len());
                let (field, after) = rest.split_at_checked(end)?;
                (Cow::Borrowed(field), after)
            };
            columns.push(field);
            match after.strip_prefix(',') {
                Some(next) if columns.len() <= COLUMNS => rest = next,
                Some(_) => return Some(Self { columns, end: text.len(), next: text.len() }),
                None if after.is_empty() || after.starts_with(['\r', '\n']) => {
                    let ending = if after.starts_with("\r\n") { 2 } else { after.len().min(1) };
                    let end = text.len() - after.len();
                    return Some(Self { columns, end, next: end + ending });
                }
                None => return None,
            }
        }
    }
}

/// The field up to the closing quotation mark, and what follows the mark.
fn quoted_field(mut rest: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Some((field, after)),
        }
    }
}

/// Computes the digest that one row states, as the file is read.
pub(crate) enum Checker {
    Sha256(Sha256, Vec<u8>),
    Sha384(Sha384, Vec<u8>),
    Sha512(Sha512, Vec<u8>),
}

impl Checker {
    /// For the digest that `row` states.
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, RecordError> {
        let error = || RecordError::Digest(row.path.clone().into_owned());
        let (algorithm, digest) = row.hash.split_once('=').ok_or_else(error)?;
        let digest =
            BASE64URL_NOPAD.decode(digest.trim_end_matches('=').as_bytes()).map_err(|_| error())?;
        match algorithm.to_ascii_lowercase().as_str() {
            "sha256" => Ok(Self::Sha256(Sha256::new(), digest)),
            "sha384" => Ok(Self::Sha384(Sha384::new(), digest)),
            "sha512" => Ok(Self::Sha512(Sha512::new(), digest)),
            _ => Err(error()),
        }
    }

    /// True if what was written has the digest of the row.
    pub(crate) fn matches(self) -> bool {
        match self {
            Self::Sha256(hasher, expected) => hasher.finalize().as_slice() == expected,
            Self::Sha384(hasher, expected) => hasher.finalize().as_slice() == expected,
            Self::Sha512(hasher, expected) => hasher.finalize().as_slice() == expected,
        }
    }
}

impl std::io::Write for Checker {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Sha256(hasher, _) => hasher.update(bytes),
            Self::Sha384(hasher, _) => hasher.update(bytes),
            Self::Sha512(hasher, _) => hasher.update(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Row<'_> {
    pub(crate) fn size(&self) -> Result<u64, RecordError> {
        self.size.parse().map_err(|_| RecordError::Size(self.path.clone().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rstest::rstest;

    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let record = Record::parse(text.as_bytes(), 100).unwrap();
        record.rows().iter().map(|row| row.path.clone().into_owned()).collect()
    }

    #[rstest]
    #[case::line_feeds("a,sha256=x,1\nb,,\n", &["a", "b"])]
    #[case::carriage_returns("a,sha256=x,1\r\nb,,\r\n", &["a", "b"])]
    #[case::no_final_line_end("a,sha256=x,1\nb,,", &["a", "b"])]
    #[case::empty_lines("\na,,\n\nb,,\n", &["a", "b"])]
    #[case::quoted("\"a,\"\"b\"\" c\",,\n", &["a,\"b\" c"])]
    #[case::line_end_in_quotes("\"a\nb\",,\n", &["a\nb"])]
    #[case::quote_inside("a\"b,,\n", &["a\"b"])]
    #[case::backslashes("a\\b,,\n", &["a/b"])]
    #[case::not_ascii("ü/é.py,,\n", &["ü/é.py"])]
    #[case::nothing("", &[])]
    fn rows_are_read(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(paths(text), expected);
    }

    #[rstest]
    #[case::two_columns(b"a,b\n", RecordError::Columns { row: 1 })]
    #[case::four_columns(b"a,,\na,b,c,d\n", RecordError::Columns { row: 2 })]
    #[case::open_quotes(b"\"a,,\n", RecordError::Quotes { row: 1 })]
    #[case::text_after_quotes(b"\"a\"b,,\n", RecordError::Quotes { row: 1 })]
    #[case::not_utf_8(b"\xff,,\n", RecordError::Encoding)]
    #[case::twice(b"a,,\nb,,\na,,\n", RecordError::Duplicate("a".into()))]
    #[case::too_many(b"a,,\nb,,\nc,,\nd,,\n", RecordError::TooMany(3))]
    fn other_text_is_refused(#[case] text: &[u8], #[case] error: RecordError) {
        assert_eq!(Record::parse(text, 3).unwrap_err(), error);
    }

    #[test]
    fn edits_keep_every_other_byte() {
        let text = "a.py,sha256=x,1\r\n\"o,1/f\",md5=y,2\r\no/SIG,,\r\no/RECORD,,\r\nz,sha256=z,3";
        let edits = BTreeMap::from([
            ("a.py".to_owned(), RowEdit::Replace("a.py".to_owned(), Sum::of(b""))),
            ("o,1/f".to_owned(), RowEdit::Rename("o,2/f".to_owned())),
            ("o/SIG".to_owned(), RowEdit::Remove),
            ("o/RECORD".to_owned(), RowEdit::Rename("n/RECORD".to_owned())),
        ]);
        let record = Record::parse(text.as_bytes(), 9).unwrap();
        assert_eq!(
            record.edited(&edits, Some(("n/h", &Sum::of(b"ab"))), "o/RECORD"),
            "a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\r\n\
             \"o,2/f\",md5=y,2\r\n\
             n/h,sha256=-44gz_0xLOVAlhKl0iqRFhiinV9bC7vwlOYwATFaYDw,2\r\n\
             n/RECORD,,\r\nz,sha256=z,3"
                .replace(
                    "-44gz_0xLOVAlhKl0iqRFhiinV9bC7vwlOYwATFaYDw",
                    &BASE64URL_NOPAD.encode(&Sha256::digest(b"ab"))
                )
        );
    }

    #[test]
    fn a_row_is_added_at_the_end_if_the_record_does_not_list_itself() {
        let record = Record::parse(b"a,,", 9).unwrap();
        let text = record.edited(&BTreeMap::new(), Some(("b", &Sum::of(b""))), "RECORD");
        assert_eq!(text, "a,,\nb,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n");
    }

    #[rstest]
    #[case::sha256("sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", Ok(true))]
    #[case::padded("SHA256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", Ok(true))]
    #[case::other("sha256=57DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", Ok(false))]
    #[case::cut("sha256=47DEQpj8", Ok(false))]
    #[case::md5("md5=1B2M2Y8AsgTpgAmY7PhCfg", Err(RecordError::Digest("a".into())))]
    #[case::none("", Err(RecordError::Digest("a".into())))]
    #[case::not_base64("sha256=?", Err(RecordError::Digest("a".into())))]
    fn digests_are_checked(#[case] hash: &str, #[case] expected: Result<bool, RecordError>) {
        let text = format!("a,{hash},0\n");
        let record = Record::parse(text.as_bytes(), 9).unwrap();
        let found = Checker::of(&record.rows()[0]).map(|mut checker| {
            checker.write_all(b"").unwrap();
            checker.matches()
        });
        assert_eq!(found, expected);
    }
}
