use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
pub(crate) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What tells the files of one version apart, such as `arch=amd64&component=main&distro=stable`.
///
/// Keys are lower case, unique and sorted; values keep their spelling and compare without ASCII
/// case. The text form percent-encodes values as the query part of a package URL does.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qualifiers(BTreeMap<String, String>);

/// Text is not a list of qualifiers.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum QualifiersError {
    /// A part has no `=`, or nothing on one side of it.
    #[error("`{0}` is not of the form key=value")]
    Pair(String),
    /// The same key stands twice.
    #[error("`{0}` is given more than once")]
    Duplicate(String),
    /// A value is not UTF-8 after decoding.
    #[error("`{0}` does not decode to UTF-8")]
    Encoding(String),
}

impl Qualifiers {
    /// No qualifiers: the only file of a version, or all of them, as the operation defines.
    pub fn none() -> Self {
        Self::default()
    }

    /// From pairs; keys are lower-cased. Fails on an empty key or value and on a repeated key.
    pub fn from_pairs<K, V>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, QualifiersError>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        let mut map = BTreeMap::new();
        for (key, value) in pairs {
            let key = key.as_ref().to_ascii_lowercase();
            let value = value.into();
            if key.is_empty() || value.is_empty() {
                return Err(QualifiersError::Pair(format!("{key}={value}")));
            }
            if map.insert(key.clone(), value).is_some() {
                return Err(QualifiersError::Duplicate(key));
            }
        }
        Ok(Self(map))
    }

    /// The value of `key`, as spelled.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All pairs by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// True without any pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if every pair of `filter` is here too; values compare without ASCII case.
    pub fn satisfies(&self, filter: &Qualifiers) -> bool {
        filter.iter().all(|(key, wanted)| {
            self.get(key).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        })
    }

    /// The bytes by which two files of one version are the same file: the text form in lower case.
    pub fn key(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

impl fmt::Display for Qualifiers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.iter().enumerate() {
            if at > 0 {
                out.write_str("&")?;
            }
            write!(out, "{key}={}", utf8_percent_encode(value, RESERVED))?;
        }
        Ok(())
    }
}

impl FromStr for Qualifiers {
    type Err = QualifiersError;

    fn from_str(text: &str) -> Result<Self, QualifiersError> {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) =
                    pair.split_once('=').ok_or_else(|| QualifiersError::Pair(pair.to_owned()))?;
                Ok((decoded(key)?.into_owned(), decoded(value)?.into_owned()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::from_pairs(pairs)
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, QualifiersError> {
    percent_decode_str(text).decode_utf8().map_err(|_| QualifiersError::Encoding(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_sorted_and_encoded_and_reads_back() {
        let read: Qualifiers = "Distro=stable&arch=amd64&file=a%2Bb.whl".parse().unwrap();
        assert_eq!(read.to_string(), "arch=amd64&distro=stable&file=a%2Bb.whl");
        assert_eq!(read.get("file"), Some("a+b.whl"));
        assert_eq!(read.to_string().parse::<Qualifiers>().unwrap(), read);
    }

    #[test]
    fn repeated_and_half_pairs_are_refused() {
        let twice = "a=1&A=2".parse::<Qualifiers>().unwrap_err();
        assert_eq!(twice, QualifiersError::Duplicate("a".into()));
        assert!("arch".parse::<Qualifiers>().is_err());
        assert!("arch=".parse::<Qualifiers>().is_err());
    }

    #[test]
    fn a_partial_filter_matches_without_case() {
        let file: Qualifiers = "arch=amd64&distro=Stable".parse().unwrap();
        assert!(file.satisfies(&"distro=stable".parse().unwrap()));
        assert!(file.satisfies(&Qualifiers::none()));
        assert!(!file.satisfies(&"component=main".parse().unwrap()));
    }
}
