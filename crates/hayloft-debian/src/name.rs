use std::str::FromStr;

/// A Debian package name: 2 to 255 of `a-z 0-9 + . -`, the first a letter or digit.
///
/// Debian policy's rule. dpkg itself also takes upper case, `_` and a single character, but apt
/// lower-cases names, so two packages would become one on every client.
/// Rule: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#package>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DebianName(Box<str>);

/// Text is not a Debian package name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DebianNameError {
    /// Shorter or longer than a name may be.
    #[error("has {0} characters; a package name has 2 to 255")]
    Length(usize),
    /// Does not begin with a letter or digit.
    #[error("begins with `{}`; a package name begins with a lower-case letter or a digit", .0.escape_default())]
    First(char),
    /// A character that no name holds.
    #[error("has `{}` at position {at}; a package name holds a-z, 0-9, `+`, `-` and `.`", .character.escape_default())]
    Character {
        /// The character.
        character: char,
        /// Its offset in bytes.
        at: usize,
    },
}

impl DebianName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DebianName {
    type Err = DebianNameError;

    fn from_str(text: &str) -> Result<Self, DebianNameError> {
        if let Some((at, character)) =
            text.char_indices().find(|(_, character)| !allowed(*character))
        {
            return Err(DebianNameError::Character { character, at });
        }
        if !(2..=255).contains(&text.len()) {
            return Err(DebianNameError::Length(text.len()));
        }
        match text.chars().next() {
            Some(first) if !first.is_ascii_alphanumeric() => Err(DebianNameError::First(first)),
            _ => Ok(Self(text.into())),
        }
    }
}

fn allowed(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '+' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plus("g++-multilib")]
    #[case::dots_and_digits("sse4.2-support")]
    #[case::shortest("bc")]
    #[case::leading_digit("0ad")]
    #[case::rust_feature("librust-sval+smallvec-dev")]
    fn names_of_real_packages_are_taken(#[case] text: &str) {
        assert_eq!(text.parse::<DebianName>().unwrap().as_str(), text);
    }

    #[rstest]
    #[case::upper_case("Zz", DebianNameError::Character { character: 'Z', at: 0 })]
    #[case::traversal("../x", DebianNameError::Character { character: '/', at: 2 })]
    #[case::underscore("a_b", DebianNameError::Character { character: '_', at: 1 })]
    #[case::not_ascii("né", DebianNameError::Character { character: 'é', at: 1 })]
    #[case::dots("..", DebianNameError::First('.'))]
    #[case::hyphen("-a", DebianNameError::First('-'))]
    #[case::empty("", DebianNameError::Length(0))]
    #[case::single("z", DebianNameError::Length(1))]
    fn other_names_are_refused(#[case] text: &str, #[case] error: DebianNameError) {
        assert_eq!(text.parse::<DebianName>(), Err(error));
    }

    #[test]
    fn very_long_names_are_refused() {
        assert!("a".repeat(255).parse::<DebianName>().is_ok());
        assert_eq!("a".repeat(256).parse::<DebianName>(), Err(DebianNameError::Length(256)));
    }
}
