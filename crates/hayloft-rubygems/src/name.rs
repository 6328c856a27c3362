use std::str::FromStr;

use hayloft_feed::{NameKey, NameKeyError};

/// A gem's name: ASCII letters, digits and `. - _`, with at least one letter, beginning and ending
/// with a letter or digit, at most 255 bytes. Compares exactly; a second name that differs by case
/// alone is refused by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GemName(Box<str>);

/// Text is not a gem name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GemNameError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Over the limit.
    #[error("it has {0} bytes, more than 255")]
    TooLong(usize),
    /// Outside the alphabet.
    #[error("character {0:?} is not one of A-Z a-z 0-9 . - _")]
    Character(char),
    /// Digits and punctuation only.
    #[error("it contains no letter")]
    NoLetter,
    /// Begins or ends with `.`, `-` or `_`.
    #[error("it begins or ends with {0:?}")]
    Edge(char),
    /// Would read as a file of the index.
    #[error("it ends in `{0}`")]
    Ending(&'static str),
}

impl GemName {
    /// As spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn key(&self) -> Result<NameKey, NameKeyError> {
        NameKey::new("", &self.0)
    }
}

impl FromStr for GemName {
    type Err = GemNameError;

    fn from_str(text: &str) -> Result<Self, GemNameError> {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(GemNameError::Empty);
        };
        if let Some(other) =
            text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
        {
            return Err(GemNameError::Character(other));
        }
        if text.len() > 255 {
            return Err(GemNameError::TooLong(text.len()));
        }
        if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Err(GemNameError::NoLetter);
        }
        if let Some(edge) = [first, last].into_iter().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(GemNameError::Edge(edge));
        }
        for ending in [".gem", ".json", ".html", ".gemspec"] {
            if text.to_ascii_lowercase().ends_with(ending) {
                return Err(GemNameError::Ending(ending));
            }
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("rails")]
    #[case::capitals_dots_dashes("Ruby.Net-x_1")]
    #[case::one_letter("a")]
    fn takes_what_the_public_registry_takes(#[case] text: &str) {
        assert_eq!(text.parse::<GemName>().unwrap().as_str(), text);
    }

    #[rstest]
    #[case::empty("", GemNameError::Empty)]
    #[case::path("../x", GemNameError::Character('/'))]
    #[case::newline("a\nb", GemNameError::Character('\n'))]
    #[case::non_ascii("é", GemNameError::Character('é'))]
    #[case::digits("123", GemNameError::NoLetter)]
    #[case::leading_dot(".cat", GemNameError::Edge('.'))]
    #[case::trailing_dash("a-", GemNameError::Edge('-'))]
    #[case::index_file("specs.JSON", GemNameError::Ending(".json"))]
    fn refuses_with_the_rule(#[case] text: &str, #[case] error: GemNameError) {
        assert_eq!(text.parse::<GemName>(), Err(error));
    }

    #[test]
    fn length_is_capped() {
        assert!("a".repeat(255).parse::<GemName>().is_ok());
        assert_eq!("a".repeat(256).parse::<GemName>(), Err(GemNameError::TooLong(256)));
    }
}
