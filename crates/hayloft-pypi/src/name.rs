use std::fmt;
use std::str::FromStr;

use hayloft_feed::{NameKey, NameKeyError, PackageName, shorten};

/// A project name: ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter or
/// digit.
///
/// Two spellings name one project if they are equal once normalized: lower case, every run of
/// `-`, `_` and `.` a single `-`. Rule: <https://packaging.python.org/specifications/name-normalization/>
#[derive(Debug, Clone)]
pub struct PypiName {
    spelled: Box<str>,
    normalized: Box<str>,
}

/// Text is not a project name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PypiNameError {
    /// Nothing there.
    #[error("a name has at least one character")]
    Empty,
    /// A character that no name contains.
    #[error(
        "`{}` is not allowed; a name consists of ASCII letters, digits, `.`, `_` and `-`",
        shorten(&character.to_string())
    )]
    Character {
        /// The first such character.
        character: char,
    },
    /// `.`, `_` or `-` at an end.
    #[error("a name begins and ends with a letter or a digit")]
    End,
    /// A PyPI project stands in no group.
    #[error("pypi packages have no group, but `{}` was given", shorten(.0))]
    Group(String),
    /// The name cannot be a key.
    #[error("the name cannot be stored")]
    Key(#[source] NameKeyError),
}

impl PypiName {
    /// As typed.
    pub fn spelled(&self) -> &str {
        &self.spelled
    }

    /// What equality goes by and what URLs contain.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// Checks the two parts of a package name; the group has to be empty.
    pub(crate) fn package(group: &str, name: &str) -> Result<PackageName, PypiNameError> {
        if !group.is_empty() {
            return Err(PypiNameError::Group(group.to_owned()));
        }
        let name: Self = name.parse()?;
        let key = NameKey::new("", name.normalized()).map_err(PypiNameError::Key)?;
        Ok(PackageName::new("", name.spelled(), key))
    }
}

impl PartialEq for PypiName {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for PypiName {}

impl FromStr for PypiName {
    type Err = PypiNameError;

    fn from_str(text: &str) -> Result<Self, PypiNameError> {
        let separates = |character: char| matches!(character, '-' | '_' | '.');
        if text.is_empty() {
            return Err(PypiNameError::Empty);
        }
        if let Some(character) = text
            .chars()
            .find(|&character| !character.is_ascii_alphanumeric() && !separates(character))
        {
            return Err(PypiNameError::Character { character });
        }
        if text.starts_with(separates) || text.ends_with(separates) {
            return Err(PypiNameError::End);
        }
        Ok(Self { spelled: text.into(), normalized: normalize(text).into() })
    }
}

impl fmt::Display for PypiName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.spelled)
    }
}

/// Lower case, every run of `-`, `_` and `.` a single `-`. Checks nothing.
pub(crate) fn normalize(text: &str) -> String {
    let mut normalized = String::with_capacity(text.len());
    let mut in_run = false;
    for character in text.chars() {
        let separates = matches!(character, '-' | '_' | '.');
        if !separates {
            normalized.push(character.to_ascii_lowercase());
        } else if !in_run {
            normalized.push('-');
        }
        in_run = separates;
    }
    normalized
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::already_normal("foo-bar", "foo-bar")]
    #[case::run_of_dots("Foo.....Bar", "foo-bar")]
    #[case::run_of_underscores("foo___bar", "foo-bar")]
    #[case::mixed_run("a._-.b", "a-b")]
    #[case::single_character("A", "a")]
    #[case::digits("2to3", "2to3")]
    fn spellings_normalize(#[case] spelled: &str, #[case] normalized: &str) {
        let name: PypiName = spelled.parse().unwrap();
        assert_eq!((name.spelled(), name.normalized()), (spelled, normalized));
        assert_eq!(name, normalized.parse().unwrap());
    }

    #[rstest]
    #[case::empty("", PypiNameError::Empty)]
    #[case::trailing_newline("foo\n", PypiNameError::Character { character: '\n' })]
    #[case::blank("foo bar", PypiNameError::Character { character: ' ' })]
    #[case::slash("foo/bar", PypiNameError::Character { character: '/' })]
    #[case::not_ascii("föö", PypiNameError::Character { character: 'ö' })]
    #[case::leading_dot(".foo", PypiNameError::End)]
    #[case::trailing_underscore("foo_", PypiNameError::End)]
    #[case::separators_alone("-", PypiNameError::End)]
    fn other_text_is_refused(#[case] text: &str, #[case] error: PypiNameError) {
        assert_eq!(text.parse::<PypiName>().unwrap_err(), error);
    }

    #[test]
    fn a_group_is_refused_and_an_over_long_name_too() {
        assert!(matches!(PypiName::package("g", "n"), Err(PypiNameError::Group(_))));
        assert!(matches!(PypiName::package("", &"n".repeat(2000)), Err(PypiNameError::Key(_))));
    }
}
