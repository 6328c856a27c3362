use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use hayloft_feed::{SortKey, SortKeyError, Stability, Version, shorten};

/// A universal package's version: SemVer 2 with numbers of any size.
///
/// Equality and order ignore build metadata. The text is kept as given.
/// Rules: <https://semver.org/spec/v2.0.0.html>
#[derive(Debug, Clone)]
pub struct UniversalVersion {
    text: Box<str>,
    core: [Box<str>; 3],
    prerelease: Vec<Box<str>>,
}

/// Text is not a version of a universal package.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionError {
    /// Not three numbers with dots between them, at the start.
    #[error("does not begin with three numbers as in 1.2.3")]
    Core,
    /// A number begins with a zero.
    #[error("`{}` has a leading zero", shorten(.0))]
    LeadingZero(String),
    /// Nothing between two dots, or after `-` or `+`.
    #[error("has an empty part after `-` or `+`")]
    EmptyIdentifier,
    /// A character that is neither letter, digit nor hyphen.
    #[error("has the character `{}`; allowed after `-` and `+` are letters, digits and `-.`", shorten(&.0.to_string()))]
    Character(char),
    /// Longer than any version is.
    #[error("has {0} characters, more than {max}", max = UniversalVersion::LONGEST)]
    Length(usize),
    /// A number is too long to be sorted.
    #[error("has a number that is too long")]
    Number(#[source] SortKeyError),
}

/// How much is forgiven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// SemVer 2.
    Strict,
    /// What the ecosystem's reference parser takes, which is in old feeds.
    Lax,
}

impl UniversalVersion {
    /// Characters that a version may have.
    pub const LONGEST: usize = 512;

    /// Reads a version of a package that is already stored: leading zeros and empty parts after
    /// `-` and `+` are forgiven, as the reference parser does.
    pub fn parse_stored(text: &str) -> Result<Self, VersionError> {
        Self::parse(text, Rules::Lax)
    }

    fn parse(text: &str, rules: Rules) -> Result<Self, VersionError> {
        if text.len() > Self::LONGEST {
            return Err(VersionError::Length(text.chars().count()));
        }
        let (rest, build) = cut(text, '+');
        let (core, prerelease) = cut(rest, '-');
        let mut numbers = core.split('.').map(|digits| number(digits, rules));
        let (Some(major), Some(minor), Some(patch), None) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(VersionError::Core);
        };
        let core = [major?, minor?, patch?];
        if let Some(build) = build {
            build.split('.').try_for_each(|part| identifier(part, build, rules))?;
        }
        let mut fields = Vec::new();
        if let Some(prerelease) = prerelease {
            for part in prerelease.split('.') {
                identifier(part, prerelease, rules)?;
                fields.push(if is_number(part) { number(part, rules)? } else { part.into() });
            }
        }
        let version = Self { text: text.into(), core, prerelease: fields };
        version.sort_key().map_err(VersionError::Number)?;
        Ok(version)
    }

    /// As given, with build metadata.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What equality goes by: no build metadata, no leading zeros.
    pub fn identity(&self) -> String {
        let core = self.core.join(".");
        if self.prerelease.is_empty() {
            core
        } else {
            format!("{core}-{}", self.prerelease.join("."))
        }
    }

    /// True for anything before a release.
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }

    fn sort_key(&self) -> Result<SortKey, SortKeyError> {
        let mut key = SortKey::builder();
        for digits in &self.core {
            key = key.number(digits)?;
        }
        if self.prerelease.is_empty() {
            return Ok(key.mark(2).finish());
        }
        key = key.mark(1);
        for field in &self.prerelease {
            key = if is_number(field) {
                key.mark(1).number(field)?
            } else {
                key.mark(2).text(field)?
            };
        }
        Ok(key.mark(0).finish())
    }

    pub(crate) fn ranked(&self) -> Result<Version, SortKeyError> {
        let stability =
            if self.is_prerelease() { Stability::Prerelease } else { Stability::Stable };
        Ok(Version::new(&self.text, &self.identity(), self.sort_key()?, stability))
    }
}

/// At the first `mark`, which belongs to neither side.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits without leading zeros.
fn number(digits: &str, rules: Rules) -> Result<Box<str>, VersionError> {
    if !is_number(digits) {
        return Err(VersionError::Core);
    }
    let significant = digits.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    if rules == Rules::Strict && significant.len() != digits.len() {
        return Err(VersionError::LeadingZero(digits.to_owned()));
    }
    Ok(significant.into())
}

/// `whole` is all that follows the `-` or `+`; it is never empty, not even in old packages.
fn identifier(part: &str, whole: &str, rules: Rules) -> Result<(), VersionError> {
    if let Some(other) = part.chars().find(|shown| !shown.is_ascii_alphanumeric() && *shown != '-')
    {
        return Err(VersionError::Character(other));
    }
    if part.is_empty() && (rules == Rules::Strict || whole.is_empty()) {
        return Err(VersionError::EmptyIdentifier);
    }
    Ok(())
}

impl FromStr for UniversalVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse(text, Rules::Strict)
    }
}

impl fmt::Display for UniversalVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl PartialEq for UniversalVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for UniversalVersion {}

impl PartialOrd for UniversalVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UniversalVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        // Parsing made sure that there is a key.
        self.sort_key().ok().cmp(&other.sort_key().ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::release("1.2.3", "1.2.3")]
    #[case::prerelease_and_build("1.2.3-rc.1+b.5", "1.2.3-rc.1")]
    #[case::build("1.2.3+b", "1.2.3")]
    #[case::hyphens("1.2.3--a-.-+-", "1.2.3--a-.-")]
    #[case::build_with_zeros("1.2.3+001", "1.2.3")]
    #[case::hyphen_in_build("1.2.3+a-b", "1.2.3")]
    #[case::digits_and_letters("1.2.3-0a", "1.2.3-0a")]
    #[case::large("1.2.123456789012345678901234567890", "1.2.123456789012345678901234567890")]
    fn semantic_versions_are_accepted(#[case] text: &str, #[case] identity: &str) {
        let version: UniversalVersion = text.parse().unwrap();
        assert_eq!(version.text(), text);
        assert_eq!(version.identity(), identity);
        assert_eq!(UniversalVersion::parse_stored(text).unwrap().identity(), identity);
    }

    #[rstest]
    #[case::leading_zero("01.2.3", "1.2.3", VersionError::LeadingZero("01".into()))]
    #[case::leading_zero_after("1.2.3-01", "1.2.3-1", VersionError::LeadingZero("01".into()))]
    #[case::empty_between("1.2.3-a..b", "1.2.3-a..b", VersionError::EmptyIdentifier)]
    #[case::dot("1.2.3-.", "1.2.3-.", VersionError::EmptyIdentifier)]
    #[case::dot_build("1.2.3+.", "1.2.3", VersionError::EmptyIdentifier)]
    fn what_the_reference_parser_forgives_is_forgiven_in_stored_packages(
        #[case] text: &str,
        #[case] identity: &str,
        #[case] error: VersionError,
    ) {
        assert_eq!(UniversalVersion::parse_stored(text).unwrap().identity(), identity);
        assert_eq!(text.parse::<UniversalVersion>().unwrap_err(), error);
    }

    #[rstest]
    #[case::letter_before("v1.2.3", VersionError::Core)]
    #[case::two_parts("1.2", VersionError::Core)]
    #[case::four_parts("1.2.3.4", VersionError::Core)]
    #[case::blank_before(" 1.2.3", VersionError::Core)]
    #[case::empty("", VersionError::Core)]
    #[case::nothing_after_hyphen("1.2.3-", VersionError::EmptyIdentifier)]
    #[case::nothing_after_plus("1.2.3+", VersionError::EmptyIdentifier)]
    #[case::low_line("1.2.3_a", VersionError::Core)]
    #[case::low_line_after("1.2.3-a_b", VersionError::Character('_'))]
    #[case::second_plus("1.2.3+a+b", VersionError::Character('+'))]
    #[case::other_digits("1.2.٣", VersionError::Core)]
    #[case::too_long(&format!("1.2.3-{}", "a".repeat(507)), VersionError::Length(513))]
    #[case::huge(
        &format!("1.2.{}", "9".repeat(255)),
        VersionError::Number(SortKeyError::TooManyDigits(255))
    )]
    fn everything_else_is_refused(#[case] text: &str, #[case] error: VersionError) {
        assert_eq!(UniversalVersion::parse_stored(text).unwrap_err(), error);
        assert_eq!(text.parse::<UniversalVersion>().unwrap_err(), error);
    }

    #[test]
    fn order_is_that_of_the_rules_own_examples() {
        let ascending = [
            "0.0.0-0",
            "0.0.0",
            "1.0.0-0",
            "1.0.0-1",
            "1.0.0-9",
            "1.0.0-10",
            "1.0.0-A",
            "1.0.0-a",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.1.0",
            "1.0.0-alpha.beta",
            "1.0.0-alpha-",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.1.0",
            "1.10.0",
            "2.0.0",
            "18446744073709551616.0.0",
        ];
        let versions = ascending.map(|text| text.parse::<UniversalVersion>().unwrap());
        for pair in versions.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn build_metadata_counts_neither_in_equality_nor_in_order() {
        let one: UniversalVersion = "1.0.0+a".parse().unwrap();
        let other: UniversalVersion = "1.0.0+b".parse().unwrap();
        assert_eq!(one, other);
        assert_eq!(one.ranked().unwrap(), other.ranked().unwrap());
        assert_eq!(one.ranked().unwrap().text(), "1.0.0+a");
    }

    const SEMANTIC: &str = "(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]{0,1})\\.(0|[1-9])\
                            (-(0|[1-9][0-9]{0,2}|[a-bA-B0-1-]{0,2}[a-bA-B-])\
                            (\\.(0|[1-9][0-9]{0,2}|[a-bA-B0-1-]{0,2}[a-bA-B-])){0,2})?\
                            (\\+[a-b0-1]{1,2})?";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn keys_order_as_the_semver_library_does(one in SEMANTIC, other in SEMANTIC) {
            let keys = [&one, &other].map(|text| {
                let version: UniversalVersion = text.parse().unwrap();
                version.ranked().unwrap()
            });
            let oracle = [&one, &other].map(|text| semver::Version::parse(text).unwrap());
            prop_assert_eq!(
                keys[0].sort_key().cmp(keys[1].sort_key()),
                oracle[0].cmp_precedence(&oracle[1])
            );
            prop_assert_eq!(
                keys[0] == keys[1],
                oracle[0].cmp_precedence(&oracle[1]) == Ordering::Equal
            );
            let (one, other) = (keys[0].sort_key().as_bytes(), keys[1].sort_key().as_bytes());
            prop_assert!(one == other || !one.starts_with(other));
        }

        #[test]
        fn exactly_what_the_semver_library_accepts_is_accepted(text in "[0-2]{0,2}(\\.[0-2]{0,2}){1,3}([-+.a0]){0,4}") {
            prop_assert_eq!(
                text.parse::<UniversalVersion>().is_ok(),
                semver::Version::parse(&text).is_ok(),
                "{}", text
            );
        }
    }
}
