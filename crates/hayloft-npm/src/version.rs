use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use hayloft_feed::Version;
use hayloft_feed::semver::{SemVer, SemVerError};

/// Longest text that node-semver looks at.
const LONGEST: usize = 256;
/// 2^53 - 1: the greatest number that JavaScript counts without gaps.
const GREATEST: &str = "9007199254740991";

/// A version as npm compares it: `SemVer` 2.0.0 with node-semver's limits, build metadata dropped.
///
/// [`FromStr`] is node-semver's strict grammar, which still drops blanks around the version and one
/// `v` in front. Order is node-semver's, except that prerelease numbers above 2^53, which
/// JavaScript rounds, compare by their true value.
/// Rules: <https://github.com/npm/node-semver#versions>
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NpmVersion(SemVer);

/// Text is not an npm version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpmVersionError {
    /// Longer than node-semver reads.
    #[error("has {0} characters, more than the 256 that npm reads")]
    TooLong(usize),
    /// Not of the grammar.
    #[error("is not a semantic version of the form 1.2.3 or 1.2.3-beta.1")]
    Syntax(#[source] SemVerError),
    /// One of the three numbers.
    #[error("contains the number {0}, which is above 9007199254740991")]
    TooGreat(String),
}

impl NpmVersion {
    /// What npm makes of the version in a package.json: blanks and any `=` and `v` in front are
    /// dropped, then the strict grammar applies.
    pub fn clean(text: &str) -> Result<Self, NpmVersionError> {
        trim(text).trim_start_matches(['=', 'v']).parse()
    }

    /// The grammar of old registries: also leading zeros, and a prerelease without its hyphen.
    pub fn loose(text: &str) -> Result<Self, NpmVersionError> {
        within_limit(text)?;
        let bare =
            trim(text).trim_start_matches(|letter| matches!(letter, 'v' | '=') || is_blank(letter));
        Self::parse(strict_spelling(bare).as_deref().unwrap_or(bare))
    }

    fn parse(text: &str) -> Result<Self, NpmVersionError> {
        let mut version: SemVer = text.parse().map_err(NpmVersionError::Syntax)?;
        if text.contains('+') {
            version = version.identity().parse().map_err(NpmVersionError::Syntax)?;
        }
        let too_great = |digits: &&str| (digits.len(), *digits) > (GREATEST.len(), GREATEST);
        if let Some(digits) = version.core().into_iter().find(too_great) {
            return Err(NpmVersionError::TooGreat(digits.to_owned()));
        }
        Ok(Self(version))
    }

    /// True for `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        self.0.is_prerelease()
    }

    /// As the seam holds it; text and identity are the same.
    pub(crate) fn version(&self) -> Version {
        self.0.version()
    }
}

impl FromStr for NpmVersion {
    type Err = NpmVersionError;

    fn from_str(text: &str) -> Result<Self, NpmVersionError> {
        within_limit(text)?;
        let trimmed = trim(text);
        Self::parse(trimmed.strip_prefix('v').unwrap_or(trimmed))
    }
}

impl fmt::Display for NpmVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl PartialOrd for NpmVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NpmVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

/// JavaScript counts UTF-16 units; that differs from characters only in text that is no version.
fn within_limit(text: &str) -> Result<(), NpmVersionError> {
    let length = text.encode_utf16().count();
    if length > LONGEST { Err(NpmVersionError::TooLong(length)) } else { Ok(()) }
}

/// JavaScript's `trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(letter: char) -> bool {
    letter == '\u{feff}' || (letter.is_whitespace() && letter != '\u{85}')
}

fn is_number(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit())
}

/// The strict spelling that loose text stands for, found in the order in which node-semver's
/// regular expression tries: the third number is as long as it can be, and a hyphen after it is a
/// separator if it can be. `1.2.34.5` is `1.2.3-4.5` that way.
fn strict_spelling(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '.');
    let (major, minor) = (without_zeros(parts.next()?)?, without_zeros(parts.next()?)?);
    let rest = parts.next()?;
    let rest = match rest.split_once('+') {
        Some((rest, build)) if is_identifiers(build) => rest,
        Some(_) => return None,
        None => rest,
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (patch, prerelease) = (1..=digits)
        .rev()
        .filter_map(|at| rest.split_at_checked(at))
        .flat_map(|(patch, tail)| {
            tail.strip_prefix('-').into_iter().chain([tail]).map(move |tail| (patch, tail))
        })
        // A lone hyphen is a field, not a separator in front of nothing.
        .filter(|(patch, tail)| !tail.is_empty() || patch.len() == rest.len())
        .find_map(|(patch, tail)| {
            let fields: Vec<_> =
                tail.split('.').map(|field| without_zeros(field).unwrap_or(field)).collect();
            let fits = tail.is_empty() || is_identifiers(tail);
            fits.then_some((without_zeros(patch)?, fields.join(".")))
        })?;
    let mut spelling = format!("{major}.{minor}.{patch}");
    if !prerelease.is_empty() {
        spelling.push('-');
        spelling.push_str(&prerelease);
    }
    Some(spelling)
}

/// Whether a text is what may stand after the hyphen or the plus sign.
fn is_identifiers(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.split('.').all(|field| !field.is_empty() && field.bytes().all(letter))
}

/// A number as JavaScript prints it; `None` for anything else.
fn without_zeros(digits: &str) -> Option<&str> {
    if !is_number(digits) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    Some(if significant.is_empty() { "0" } else { significant })
}

#[cfg(test)]
mod tests {
    use hayloft_feed::Stability;
    use rstest::rstest;

    use super::*;

    fn shown(read: Result<NpmVersion, NpmVersionError>) -> String {
        read.map_or_else(|_| "-".to_owned(), |version| version.to_string())
    }

    #[rstest]
    #[case::plain("1.2.3", "1.2.3", "1.2.3", "1.2.3")]
    #[case::blanks(" 1.2.3\n", "1.2.3", "1.2.3", "1.2.3")]
    #[case::v("v1.2.3", "1.2.3", "1.2.3", "1.2.3")]
    #[case::v_blanks(" v1.2.3 ", "1.2.3", "1.2.3", "1.2.3")]
    #[case::byte_order_mark("\u{a0}1.2.3\u{feff}", "1.2.3", "1.2.3", "1.2.3")]
    #[case::next_line("1.2.3\u{85}", "-", "-", "-")]
    #[case::equals("=1.2.3", "-", "1.2.3", "1.2.3")]
    #[case::equals_v("  =v1.2.3 ", "-", "1.2.3", "1.2.3")]
    #[case::v_blank_v("v v1.2.3", "-", "1.2.3", "1.2.3")]
    #[case::two_v("vv1.2.3", "-", "1.2.3", "1.2.3")]
    #[case::leading_zero("01.2.3", "-", "1.2.3", "-")]
    #[case::leading_zero_minor("1.02.3", "-", "1.2.3", "-")]
    #[case::leading_zero_patch("1.2.03", "-", "1.2.3", "-")]
    #[case::capital_v("V1.2.3", "-", "-", "-")]
    #[case::two_numbers("1.2", "-", "-", "-")]
    #[case::one_number("1", "-", "-", "-")]
    #[case::four_numbers("1.2.3.4", "-", "-", "-")]
    #[case::four_numbers_by_backtracking("1.2.34.5", "-", "1.2.3-4.5", "-")]
    #[case::wildcard("1.x.0", "-", "-", "-")]
    #[case::empty("", "-", "-", "-")]
    #[case::tag("latest", "-", "-", "-")]
    #[case::zero_prerelease("1.2.3-0", "1.2.3-0", "1.2.3-0", "1.2.3-0")]
    #[case::hyphen_prerelease("1.2.3--", "1.2.3--", "1.2.3--", "1.2.3--")]
    #[case::hyphens("1.2.3-x-y-z.-", "1.2.3-x-y-z.-", "1.2.3-x-y-z.-", "1.2.3-x-y-z.-")]
    #[case::mixed_field("1.2.3-1a", "1.2.3-1a", "1.2.3-1a", "1.2.3-1a")]
    #[case::zero_field("1.2.3-01", "-", "1.2.3-1", "-")]
    #[case::zeros_field("1.2.3-00", "-", "1.2.3-0", "-")]
    #[case::glued("1.2.3alpha1", "-", "1.2.3-alpha1", "-")]
    #[case::glued_beta("1.0.0beta", "-", "1.0.0-beta", "-")]
    #[case::lone_hyphen("1.2.3-", "-", "1.2.3--", "-")]
    #[case::hyphen_dot("1.2.3-.a", "-", "1.2.3--.a", "-")]
    #[case::empty_field("1.2.3-a..b", "-", "-", "-")]
    #[case::underscore("1.2.3-a_b", "-", "-", "-")]
    #[case::accent("1.2.3-é", "-", "-", "-")]
    #[case::empty_build("1.2.3+", "-", "-", "-")]
    #[case::two_builds("1.2.3+b+c", "-", "-", "-")]
    #[case::underscore_build("1.2.3+a_b", "-", "-", "-")]
    #[case::build("1.2.3+001", "1.2.3", "1.2.3", "1.2.3")]
    #[case::prerelease_and_build("1.2.3-a+b", "1.2.3-a", "1.2.3-a", "1.2.3-a")]
    #[case::published("v1.0.0-beta.1+build.5", "1.0.0-beta.1", "1.0.0-beta.1", "1.0.0-beta.1")]
    #[case::greatest(
        "9007199254740991.0.0",
        "9007199254740991.0.0",
        "9007199254740991.0.0",
        "9007199254740991.0.0"
    )]
    #[case::too_great("9007199254740992.0.0", "-", "-", "-")]
    #[case::too_great_glued("1.2.90071992547409920alpha", "-", "-", "-")]
    #[case::great_field(
        "1.0.0-9007199254740993",
        "1.0.0-9007199254740993",
        "1.0.0-9007199254740993",
        "1.0.0-9007199254740993"
    )]
    fn three_grammars_read_as_node_semver_does(
        #[case] text: &str,
        #[case] strict: &str,
        #[case] loose: &str,
        #[case] clean: &str,
    ) {
        assert_eq!(shown(text.parse()), strict, "strict");
        assert_eq!(shown(NpmVersion::loose(text)), loose, "loose");
        assert_eq!(shown(NpmVersion::clean(text)), clean, "clean");
    }

    #[test]
    fn more_than_256_characters_are_not_read() {
        let text = |length: usize| format!("1.2.3-{}", "9".repeat(length - 6));
        assert_eq!(shown(text(256).parse()), text(256));
        let error = text(257).parse::<NpmVersion>().unwrap_err();
        assert!(matches!(error, NpmVersionError::TooLong(257)));
        let padded = format!("{}1.2.3", " ".repeat(252));
        assert!(padded.parse::<NpmVersion>().is_err());
    }

    #[rstest]
    #[case::published_list(&[
        "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-9007199254740991", "1.0.0--", "1.0.0-A", "1.0.0-a",
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
        "1.0.0-beta.11", "1.0.0-beta11", "1.0.0-beta2", "1.0.0-rc.1", "1.0.0",
    ])]
    #[case::number_before_text_with_digits(&["1.2.3-5", "1.2.3-5-Foo", "1.2.3-5-foo"])]
    #[case::number_field_before_text(&["1.2.3-a.5", "1.2.3-a.b"])]
    #[case::digits_in_text(&["1.2.3-R2", "1.2.3-r100", "1.2.3-r2"])]
    #[case::build_does_not_count(&["2.7.2+asdf", "3.0.0"])]
    #[case::beyond_2_53(&["1.0.0-9007199254740992", "1.0.0-9007199254740993"])]
    fn keys_ascend_as_versions_do(#[case] ascending: &[&str]) {
        let versions: Vec<NpmVersion> =
            ascending.iter().map(|text| text.parse().unwrap()).collect();
        for pair in versions.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
            assert!(pair[0].version().sort_key() < pair[1].version().sort_key());
        }
    }

    #[test]
    fn build_metadata_does_not_make_another_version() {
        let version = |text: &str| text.parse::<NpmVersion>().unwrap().version();
        assert_eq!(version("1.0.0+a"), version("v1.0.0+b"));
        assert_eq!(version("1.0.0+a").text(), "1.0.0");
        assert_eq!(version("1.0.0").stability(), Stability::Stable);
        assert_eq!(version("1.0.0-0").stability(), Stability::Prerelease);
    }
}
