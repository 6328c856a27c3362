use std::fmt;
use std::str::FromStr;

use hayloft_feed::{NameKey, NameKeyError, PackageName, shorten};

/// The group of a universal package: nothing, or up to 250 of `A-Z a-z 0-9 - . / _` in segments
/// between slashes. Compares without ASCII case.
#[derive(Debug, Clone, Default)]
pub struct Group(Box<str>);

/// The name of a universal package: 1 to 50 of `A-Z a-z 0-9 - . _`. Compares without ASCII case.
#[derive(Debug, Clone)]
pub struct Name(Box<str>);

/// Text is not the group of a universal package.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// A character that no group may have.
    #[error("the group has the character `{}`; allowed are letters, digits and `-._/`", shorten(&.character.to_string()))]
    Character {
        /// The first such character.
        character: char,
    },
    /// Too long.
    #[error("the group has {length} characters, more than {}", Group::LONGEST)]
    Length {
        /// Characters given.
        length: usize,
    },
    /// A slash at an end, or two in a row.
    #[error("the group `{}` has an empty part before, between or after its slashes", shorten(.0))]
    EmptySegment(String),
    /// A part is `.` or `..`, which clients resolve away in URLs.
    #[error("the group `{}` has a part that is `.` or `..`", shorten(.0))]
    DotSegment(String),
}

/// Text is not the name of a universal package.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// A character that no name may have.
    #[error("the name has the character `{}`; allowed are letters, digits and `-._`", shorten(&.character.to_string()))]
    Character {
        /// The first such character.
        character: char,
    },
    /// Empty or too long.
    #[error("the name has {length} characters; allowed are 1 to {}", Name::LONGEST)]
    Length {
        /// Characters given.
        length: usize,
    },
    /// `.` or `..`, which clients resolve away in URLs.
    #[error("the name is `.` or `..`")]
    Dots,
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_')
}

impl Group {
    /// Characters that a group may have.
    pub const LONGEST: usize = 250;

    /// As given, segments separated by `/`; empty if there is none.
    pub fn spelled(&self) -> &str {
        &self.0
    }

    /// True without a group.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        if let Some(character) = text.chars().find(|shown| !is_allowed(*shown) && *shown != '/') {
            return Err(GroupError::Character { character });
        }
        if text.len() > Self::LONGEST {
            return Err(GroupError::Length { length: text.len() });
        }
        if !text.is_empty() && text.split('/').any(str::is_empty) {
            return Err(GroupError::EmptySegment(text.to_owned()));
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(GroupError::DotSegment(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl Name {
    /// Characters that a name may have.
    pub const LONGEST: usize = 50;

    /// As given.
    pub fn spelled(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(character) = text.chars().find(|shown| !is_allowed(*shown)) {
            return Err(NameError::Character { character });
        }
        if !(1..=Self::LONGEST).contains(&text.len()) {
            return Err(NameError::Length { length: text.len() });
        }
        if matches!(text, "." | "..") {
            return Err(NameError::Dots);
        }
        Ok(Self(text.into()))
    }
}

/// Group and name of a universal package, written `group/name`, or `name` without a group.
#[derive(Debug, Clone)]
pub struct FullName {
    /// Group, often empty.
    pub group: Group,
    /// Name.
    pub name: Name,
}

/// Text is not a universal package's group and name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FullNameError {
    /// The part before the last slash.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The part after it.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FullName {
    /// From both parts.
    pub fn new(group: &str, name: &str) -> Result<Self, FullNameError> {
        Ok(Self { group: group.parse()?, name: name.parse()? })
    }

    /// With the key by which the store compares: without ASCII case.
    pub(crate) fn package_name(&self) -> Result<PackageName, NameKeyError> {
        let (group, name) = (self.group.spelled(), self.name.spelled());
        let key = NameKey::new(&group.to_ascii_lowercase(), &name.to_ascii_lowercase())?;
        Ok(PackageName::new(group, name, key))
    }
}

impl FromStr for FullName {
    type Err = FullNameError;

    fn from_str(text: &str) -> Result<Self, FullNameError> {
        match text.rsplit_once('/') {
            // An empty group and a slash would otherwise name the same package in two ways.
            Some(("", _)) => Err(GroupError::EmptySegment(text.to_owned()).into()),
            Some((group, name)) => Self::new(group, name),
            None => Self::new("", text),
        }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(out, "{}/", self.group.spelled())?;
        }
        out.write_str(self.name.spelled())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("")]
    #[case::one("initrode")]
    #[case::three("andrew/sumner/proget")]
    #[case::every_character("A-Z.a_z/0-9")]
    #[case::dots_inside("a..b/.c")]
    #[case::longest(&"g".repeat(250))]
    fn groups_that_are_accepted(#[case] text: &str) {
        assert_eq!(text.parse::<Group>().unwrap().spelled(), text);
    }

    #[rstest]
    #[case::leading_slash("/a", GroupError::EmptySegment("/a".into()))]
    #[case::trailing_slash("a/", GroupError::EmptySegment("a/".into()))]
    #[case::double_slash("a//b", GroupError::EmptySegment("a//b".into()))]
    #[case::slash("/", GroupError::EmptySegment("/".into()))]
    #[case::parent("a/../b", GroupError::DotSegment("a/../b".into()))]
    #[case::backslash("a\\b", GroupError::Character { character: '\\' })]
    #[case::blank("a b", GroupError::Character { character: ' ' })]
    #[case::umlaut("ä", GroupError::Character { character: 'ä' })]
    #[case::too_long(&"g".repeat(251), GroupError::Length { length: 251 })]
    fn groups_that_are_refused(#[case] text: &str, #[case] expected: GroupError) {
        assert_eq!(text.parse::<Group>().unwrap_err(), expected);
    }

    #[rstest]
    #[case::empty("", NameError::Length { length: 0 })]
    #[case::too_long(&"n".repeat(51), NameError::Length { length: 51 })]
    #[case::slash("a/b", NameError::Character { character: '/' })]
    #[case::colon("a:b", NameError::Character { character: ':' })]
    #[case::line("a\n", NameError::Character { character: '\n' })]
    #[case::parent("..", NameError::Dots)]
    fn names_that_are_refused(#[case] text: &str, #[case] expected: NameError) {
        assert_eq!(text.parse::<Name>().unwrap_err(), expected);
    }

    #[test]
    fn a_full_name_is_cut_at_its_last_slash() {
        let name: FullName = "andrew/sumner/Example".parse().unwrap();
        assert_eq!((name.group.spelled(), name.name.spelled()), ("andrew/sumner", "Example"));
        assert_eq!(name.to_string(), "andrew/sumner/Example");
        assert_eq!("pkg".parse::<FullName>().unwrap().to_string(), "pkg");
        assert!("/pkg".parse::<FullName>().is_err());
    }

    #[test]
    fn keys_ignore_case_and_spellings_are_kept() {
        let one = FullName::new("A/b", "Pkg").unwrap().package_name().unwrap();
        let other = FullName::new("a/B", "pKG").unwrap().package_name().unwrap();
        assert_eq!(one, other);
        assert_eq!(one.spelled(), "A/b/Pkg");
        let apart = FullName::new("a", "b-pkg").unwrap().package_name().unwrap();
        assert_ne!(one, apart);
    }
}
