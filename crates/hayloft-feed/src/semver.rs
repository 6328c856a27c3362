//! SemVer 2, for feed types whose versions follow it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::{SortKey, SortKeyError, Stability, Version, shorten};

/// A semantic version with numbers of any size.
///
/// Equality and order ignore build metadata, as the rules' precedence does; the text is kept as
/// given.
/// Rules: <https://semver.org/spec/v2.0.0.html>
///
/// ```
/// use hayloft_feed::semver::SemVer;
///
/// let candidate: SemVer = "1.10.0-rc.2+build.7".parse()?;
/// assert!(candidate > "1.9.0".parse()? && candidate < "1.10.0".parse()?);
/// assert_eq!(candidate.identity(), "1.10.0-rc.2");
/// // What `FeedType::version` answers with.
/// assert_eq!(candidate.version().text(), "1.10.0-rc.2+build.7");
/// # Ok::<(), hayloft_feed::semver::SemVerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SemVer {
    text: Box<str>,
    core: [Box<str>; 3],
    /// Without leading zeros; empty for a release.
    prerelease: Box<str>,
    sort_key: SortKey,
}

/// Text is not a semantic version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SemVerError {
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
    #[error("has {0} characters, more than {max}", max = SemVer::LONGEST)]
    Length(usize),
    /// A number is too long to be sorted.
    #[error("has a number that is too long")]
    Number(#[source] SortKeyError),
}

/// How much is forgiven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    Strict,
    Lax,
}

impl SemVer {
    /// Characters that a version may have.
    pub const LONGEST: usize = 512;

    /// Reads a version as old parsers do, for packages that are stored already: leading zeros, and
    /// empty parts between dots after `-` and `+`, are forgiven.
    pub fn parse_stored(text: &str) -> Result<Self, SemVerError> {
        Self::parse(text, Rules::Lax)
    }

    fn parse(text: &str, rules: Rules) -> Result<Self, SemVerError> {
        if text.len() > Self::LONGEST {
            return Err(SemVerError::Length(text.chars().count()));
        }
        let (rest, build) = cut(text, '+');
        let (core, prerelease) = cut(rest, '-');
        let mut numbers = core.split('.').map(|digits| number(digits, rules));
        let (Some(major), Some(minor), Some(patch), None) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(SemVerError::Core);
        };
        let core = [major?, minor?, patch?];
        if let Some(build) = build {
            build.split('.').try_for_each(|part| identifier(part, build, rules))?;
        }
        let mut fields = Vec::new();
        if let Some(prerelease) = prerelease {
            for part in prerelease.split('.') {
                identifier(part, prerelease, rules)?;
                fields.push(if is_number(part) { number(part, rules)? } else { part });
            }
        }
        let prerelease = fields.join(".").into_boxed_str();
        let numbers = core.iter().try_fold(SortKey::builder(), |key, digits| key.number(digits));
        let sort_key = numbers
            .and_then(|key| key.prerelease(&prerelease))
            .map_err(SemVerError::Number)?
            .finish();
        Ok(Self { text: text.into(), core: core.map(Into::into), prerelease, sort_key })
    }

    /// As given, with build metadata.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Major, minor and patch, in decimal digits without leading zeros.
    pub fn core(&self) -> [&str; 3] {
        let [major, minor, patch] = &self.core;
        [major, minor, patch]
    }

    /// What stands between `-` and `+`, numbers without leading zeros; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }

    /// What equality goes by: no build metadata, no leading zeros.
    pub fn identity(&self) -> String {
        let core = self.core.join(".");
        if self.is_prerelease() { format!("{core}-{}", self.prerelease) } else { core }
    }

    /// True for anything before a release.
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }

    /// Bytes that sort as the versions do.
    pub fn sort_key(&self) -> &SortKey {
        &self.sort_key
    }

    /// As the seam holds it, with the text as given.
    pub fn version(&self) -> Version {
        let stability =
            if self.is_prerelease() { Stability::Prerelease } else { Stability::Stable };
        Version::new(&self.text, &self.identity(), self.sort_key.clone(), stability)
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
fn number(digits: &str, rules: Rules) -> Result<&str, SemVerError> {
    if !is_number(digits) {
        return Err(SemVerError::Core);
    }
    let significant = digits.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    if rules == Rules::Strict && significant.len() != digits.len() {
        return Err(SemVerError::LeadingZero(digits.to_owned()));
    }
    Ok(significant)
}

/// `whole` is all that follows the `-` or `+`; it is never empty, not even in old packages.
fn identifier(part: &str, whole: &str, rules: Rules) -> Result<(), SemVerError> {
    if let Some(other) = part.chars().find(|shown| !shown.is_ascii_alphanumeric() && *shown != '-')
    {
        return Err(SemVerError::Character(other));
    }
    if part.is_empty() && (rules == Rules::Strict || whole.is_empty()) {
        return Err(SemVerError::EmptyIdentifier);
    }
    Ok(())
}

impl FromStr for SemVer {
    type Err = SemVerError;

    fn from_str(text: &str) -> Result<Self, SemVerError> {
        Self::parse(text, Rules::Strict)
    }
}

impl fmt::Display for SemVer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl PartialEq for SemVer {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key == other.sort_key
    }
}

impl Eq for SemVer {}

impl Hash for SemVer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sort_key.hash(state);
    }
}

impl PartialOrd for SemVer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SemVer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key.cmp(&other.sort_key)
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
        let version: SemVer = text.parse().unwrap();
        assert_eq!(version.text(), text);
        assert_eq!(version.identity(), identity);
        assert_eq!(SemVer::parse_stored(text).unwrap().identity(), identity);
    }

    #[rstest]
    #[case::leading_zero("01.2.3", "1.2.3", SemVerError::LeadingZero("01".into()))]
    #[case::leading_zero_after("1.2.3-01", "1.2.3-1", SemVerError::LeadingZero("01".into()))]
    #[case::empty_between("1.2.3-a..b", "1.2.3-a..b", SemVerError::EmptyIdentifier)]
    #[case::dot("1.2.3-.", "1.2.3-.", SemVerError::EmptyIdentifier)]
    #[case::dot_build("1.2.3+.", "1.2.3", SemVerError::EmptyIdentifier)]
    fn what_the_reference_parser_forgives_is_forgiven_in_stored_packages(
        #[case] text: &str,
        #[case] identity: &str,
        #[case] error: SemVerError,
    ) {
        assert_eq!(SemVer::parse_stored(text).unwrap().identity(), identity);
        assert_eq!(text.parse::<SemVer>().unwrap_err(), error);
    }

    #[rstest]
    #[case::letter_before("v1.2.3", SemVerError::Core)]
    #[case::two_parts("1.2", SemVerError::Core)]
    #[case::four_parts("1.2.3.4", SemVerError::Core)]
    #[case::blank_before(" 1.2.3", SemVerError::Core)]
    #[case::empty("", SemVerError::Core)]
    #[case::nothing_after_hyphen("1.2.3-", SemVerError::EmptyIdentifier)]
    #[case::nothing_after_plus("1.2.3+", SemVerError::EmptyIdentifier)]
    #[case::low_line("1.2.3_a", SemVerError::Core)]
    #[case::low_line_after("1.2.3-a_b", SemVerError::Character('_'))]
    #[case::second_plus("1.2.3+a+b", SemVerError::Character('+'))]
    #[case::other_digits("1.2.٣", SemVerError::Core)]
    #[case::too_long(&format!("1.2.3-{}", "a".repeat(507)), SemVerError::Length(513))]
    #[case::huge(
        &format!("1.2.{}", "9".repeat(255)),
        SemVerError::Number(SortKeyError::TooManyDigits(255))
    )]
    fn everything_else_is_refused(#[case] text: &str, #[case] error: SemVerError) {
        assert_eq!(SemVer::parse_stored(text).unwrap_err(), error);
        assert_eq!(text.parse::<SemVer>().unwrap_err(), error);
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
        let versions = ascending.map(|text| text.parse::<SemVer>().unwrap());
        for pair in versions.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn build_metadata_counts_neither_in_equality_nor_in_order() {
        let one: SemVer = "1.0.0+a".parse().unwrap();
        let other: SemVer = "1.0.0+b".parse().unwrap();
        assert_eq!(one, other);
        assert_eq!(one.version(), other.version());
        assert_eq!(one.version().text(), "1.0.0+a");
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
                let version: SemVer = text.parse().unwrap();
                version.version()
            });
            let oracle = [&one, &other].map(|text| ::semver::Version::parse(text).unwrap());
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
                text.parse::<SemVer>().is_ok(),
                ::semver::Version::parse(&text).is_ok(),
                "{}", text
            );
        }
    }
}
