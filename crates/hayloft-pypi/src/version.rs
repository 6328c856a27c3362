use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use hayloft_feed::{SortKey, SortKeyBuilder, SortKeyError, Stability, Version, shorten};

/// Longest version text, as typed and in normal form, in bytes.
const MAX_LENGTH: usize = 256;

/// A Python version with integers of any size.
///
/// Prints in normal form and compares by the ecosystem's order, in which `1`, `1.0` and `v1.0.0`
/// are equal. Rule: <https://packaging.python.org/specifications/version-specifiers/>
///
/// Published libraries hold the integers in 64 bits, but date-like epochs and local labels in real
/// feeds are longer; hence a parser of its own.
#[derive(Debug, Clone)]
pub struct PypiVersion {
    epoch: Number,
    release: Vec<Number>,
    pre: Option<(Phase, Number)>,
    post: Option<Number>,
    dev: Option<Number>,
    local: Vec<Segment>,
    sort_key: SortKey,
}

/// Text is not a version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PypiVersionError {
    /// Nothing but blanks.
    #[error("a version has at least one digit")]
    Empty,
    /// Longer than a version may be.
    #[error("has {0} bytes, more than the {MAX_LENGTH} that a version may have")]
    TooLong(usize),
    /// The text does not go on as a version does.
    #[error(
        "`{}` does not continue a version; the form is \
         [N!]N(.N)*[{{a|b|rc}}N][.postN][.devN][+local]",
        shorten(rest)
    )]
    Unexpected {
        /// From the first character that does not fit.
        rest: String,
    },
    /// The text ends where a number or label has to follow.
    #[error("ends where a number or a label has to follow")]
    Incomplete,
    /// A number has more digits than a key holds.
    #[error("one of its numbers cannot be stored")]
    Number(#[source] SortKeyError),
}

/// Digits without leading zeros; zero is `0`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Alpha,
    Beta,
    Candidate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    Number(Number),
}

impl Number {
    fn new(digits: &str) -> Self {
        let significant = digits.trim_start_matches('0');
        Self(if significant.is_empty() { "0".into() } else { significant.into() })
    }

    fn is_zero(&self) -> bool {
        &*self.0 == "0"
    }
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl PypiVersion {
    /// What equality goes by: the normal form without trailing zeros in its release part.
    pub fn identity(&self) -> String {
        self.print(self.significant())
    }

    /// What order goes by.
    pub fn sort_key(&self) -> &SortKey {
        &self.sort_key
    }

    /// A prerelease has an alpha, beta, candidate or development part; post-releases and local
    /// labels do not count.
    pub fn stability(&self) -> Stability {
        if self.pre.is_some() || self.dev.is_some() {
            Stability::Prerelease
        } else {
            Stability::Stable
        }
    }

    /// Shown in normal form, whatever the spelling was.
    pub(crate) fn checked(&self) -> Version {
        Version::new(&self.to_string(), &self.identity(), self.sort_key.clone(), self.stability())
    }

    /// The release part without trailing zeros.
    fn significant(&self) -> &[Number] {
        let length = self.release.iter().rposition(|part| !part.is_zero()).map_or(0, |at| at + 1);
        self.release.get(..length).unwrap_or_default()
    }

    fn print(&self, release: &[Number]) -> String {
        let mut text = String::new();
        if !self.epoch.is_zero() {
            text.push_str(&self.epoch.0);
            text.push('!');
        }
        for (at, part) in release.iter().enumerate() {
            if at > 0 {
                text.push('.');
            }
            text.push_str(&part.0);
        }
        if release.is_empty() {
            text.push('0');
        }
        if let Some((phase, number)) = &self.pre {
            text.push_str(match phase {
                Phase::Alpha => "a",
                Phase::Beta => "b",
                Phase::Candidate => "rc",
            });
            text.push_str(&number.0);
        }
        // Writing to a string cannot fail.
        if let Some(number) = &self.post {
            let _ = write!(text, ".post{number}");
        }
        if let Some(number) = &self.dev {
            let _ = write!(text, ".dev{number}");
        }
        for (at, segment) in self.local.iter().enumerate() {
            text.push(if at == 0 { '+' } else { '.' });
            text.push_str(match segment {
                Segment::Text(segment) | Segment::Number(Number(segment)) => segment,
            });
        }
        text
    }

    fn make_sort_key(&self) -> Result<SortKey, SortKeyError> {
        let mut key = SortKey::builder().number(&self.epoch.0)?;
        for part in self.significant() {
            key = key.mark(2).number(&part.0)?;
        }
        key = key.mark(1);
        key = match &self.pre {
            None if self.post.is_none() && self.dev.is_some() => key.mark(1),
            None => key.mark(5),
            Some((phase, number)) => key
                .mark(match phase {
                    Phase::Alpha => 2,
                    Phase::Beta => 3,
                    Phase::Candidate => 4,
                })
                .number(&number.0)?,
        };
        key = match &self.post {
            None => key.mark(1),
            Some(number) => key.mark(2).number(&number.0)?,
        };
        key = match &self.dev {
            None => key.mark(2),
            Some(number) => key.mark(1).number(&number.0)?,
        };
        Ok(self.local_key(key)?.finish())
    }

    fn local_key(&self, key: SortKeyBuilder) -> Result<SortKeyBuilder, SortKeyError> {
        if self.local.is_empty() {
            return Ok(key.mark(1));
        }
        let mut key = key.mark(2);
        for segment in &self.local {
            key = match segment {
                Segment::Text(text) => key.mark(1).text(text)?,
                Segment::Number(number) => key.mark(2).number(&number.0)?,
            };
        }
        Ok(key.mark(0))
    }
}

impl fmt::Display for PypiVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.print(&self.release))
    }
}

impl PartialEq for PypiVersion {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key == other.sort_key
    }
}

impl Eq for PypiVersion {}

impl PartialOrd for PypiVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PypiVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key.cmp(&other.sort_key)
    }
}

impl FromStr for PypiVersion {
    type Err = PypiVersionError;

    fn from_str(text: &str) -> Result<Self, PypiVersionError> {
        if text.len() > MAX_LENGTH {
            return Err(PypiVersionError::TooLong(text.len()));
        }
        let lower = text.trim_matches(is_blank).to_ascii_lowercase();
        if lower.is_empty() {
            return Err(PypiVersionError::Empty);
        }
        let version = Reader(&lower).version()?;
        let printed = version.to_string().len();
        if printed > MAX_LENGTH {
            return Err(PypiVersionError::TooLong(printed));
        }
        Ok(version)
    }
}

/// What Python's `str.strip` removes: Unicode white space and the four ASCII separators.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// What is left to read, in lower case.
struct Reader<'t>(&'t str);

impl<'t> Reader<'t> {
    fn version(mut self) -> Result<PypiVersion, PypiVersionError> {
        self.take("v");
        let first = self.number()?;
        let (epoch, first) =
            if self.take("!") { (first, self.number()?) } else { (Number::new("0"), first) };
        let mut release = vec![first];
        while let Some(part) = self.release_part() {
            release.push(part);
        }
        let pre = self.pre();
        let post = self.post();
        let dev = self.labelled(&["dev"]);
        let local = if self.take("+") { self.local()? } else { Vec::new() };
        if !self.0.is_empty() {
            return Err(self.unexpected());
        }
        let mut version = PypiVersion {
            epoch,
            release,
            pre,
            post,
            dev,
            local,
            sort_key: SortKey::builder().finish(),
        };
        version.sort_key = version.make_sort_key().map_err(PypiVersionError::Number)?;
        Ok(version)
    }

    fn unexpected(&self) -> PypiVersionError {
        if self.0.is_empty() {
            PypiVersionError::Incomplete
        } else {
            PypiVersionError::Unexpected { rest: self.0.to_owned() }
        }
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.0.strip_prefix(prefix) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn take_separator(&mut self) {
        if let Some(rest) = self.0.strip_prefix(['-', '_', '.']) {
            self.0 = rest;
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let rest = self.0.trim_start_matches(&fits);
        let taken = self.0.get(..self.0.len() - rest.len()).unwrap_or_default();
        self.0 = rest;
        taken
    }

    fn digits(&mut self) -> &'t str {
        self.take_while(|character| character.is_ascii_digit())
    }

    fn number(&mut self) -> Result<Number, PypiVersionError> {
        match self.digits() {
            "" => Err(self.unexpected()),
            digits => Ok(Number::new(digits)),
        }
    }

    fn release_part(&mut self) -> Option<Number> {
        let rest = self.0.strip_prefix('.').filter(|rest| starts_with_digit(rest))?;
        self.0 = rest;
        Some(Number::new(self.digits()))
    }

    fn pre(&mut self) -> Option<(Phase, Number)> {
        const ALPHA: &[&str] = &["alpha", "a"];
        const BETA: &[&str] = &["beta", "b"];
        const CANDIDATE: &[&str] = &["rc", "c", "preview", "pre"];
        [(ALPHA, Phase::Alpha), (BETA, Phase::Beta), (CANDIDATE, Phase::Candidate)]
            .into_iter()
            .find_map(|(labels, phase)| self.labelled(labels).map(|number| (phase, number)))
    }

    fn post(&mut self) -> Option<Number> {
        if let Some(rest) = self.0.strip_prefix('-').filter(|rest| starts_with_digit(rest)) {
            self.0 = rest;
            return Some(Number::new(self.digits()));
        }
        self.labelled(&["post", "rev", "r"])
    }

    /// A separator, one of `labels`, a separator and a number, of which only the label is needed.
    fn labelled(&mut self, labels: &[&str]) -> Option<Number> {
        let rest = self.0.strip_prefix(['-', '_', '.']).unwrap_or(self.0);
        self.0 = labels.iter().find_map(|label| rest.strip_prefix(label))?;
        self.take_separator();
        Some(Number::new(self.digits()))
    }

    fn local(&mut self) -> Result<Vec<Segment>, PypiVersionError> {
        let mut segments = Vec::new();
        loop {
            let segment = self.take_while(|character| character.is_ascii_alphanumeric());
            if segment.is_empty() {
                return Err(self.unexpected());
            }
            segments.push(if segment.bytes().all(|byte| byte.is_ascii_digit()) {
                Segment::Number(Number::new(segment))
            } else {
                Segment::Text(segment.into())
            });
            if !self.0.starts_with(['-', '_', '.']) {
                return Ok(segments);
            }
            self.take_separator();
        }
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn version(text: &str) -> PypiVersion {
        text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[rstest]
    #[case::development(&["1.0dev", "1.0.dev", "1.0-dev", "1.0DEV"], "1.0.dev0")]
    #[case::development_number(&["1.0dev1", "1.0-DEV1", "1.0dev-1"], "1.0.dev1")]
    #[case::alpha(&["1.0a", "1.0.a", "1.0-alpha", "1.0ALPHA", "1.0a-"], "1.0a0")]
    #[case::alpha_number(&["1.0a-1"], "1.0a1")]
    #[case::beta(&["1.0-beta1", "1.0.B1"], "1.0b1")]
    #[case::candidate(&["1.0c", "1.0-rc", "1.0pre"], "1.0rc0")]
    #[case::preview(&["1.0preview3"], "1.0rc3")]
    #[case::semver_candidate(&["4.3.2-rc.1"], "4.3.2rc1")]
    #[case::post(&["1.0post", "1.0-r", "1.0rev"], "1.0.post0")]
    #[case::implicit_post(&["1.0-5", "1.0-r5", "1.0.rev5"], "1.0.post5")]
    #[case::post_number(&["1.0.post-1", "1.0POST1"], "1.0.post1")]
    #[case::post_of_candidate(&["1.0rc1-2"], "1.0rc1.post2")]
    #[case::post_of_bare_alpha(&["1.0a--1"], "1.0a0.post1")]
    #[case::post_and_development(&["1.0-post-2.dev3"], "1.0.post2.dev3")]
    #[case::two_separators(&["1.0a..dev1"], "1.0a0.dev1")]
    #[case::post_and_local(&["1.2.r32+123456"], "1.2.post32+123456")]
    #[case::local_case(&["1.0+AbC"], "1.0+abc")]
    #[case::local_separators(&["1.0+ubuntu-1", "1.0+ubuntu_1"], "1.0+ubuntu.1")]
    #[case::local_number(&["1.0+001"], "1.0+1")]
    #[case::local_text_keeps_zeros(&["1.0+0a1"], "1.0+0a1")]
    #[case::local_text_keeps_more_zeros(&["1.0+foo0100"], "1.0+foo0100")]
    #[case::leading_zero(&["1.01"], "1.1")]
    #[case::leading_zero_after_label(&["1.1.dev09000"], "1.1.dev9000")]
    #[case::leading_zero_after_beta(&["1.0b07"], "1.0b7")]
    #[case::zero_epoch(&["00!1.2"], "1.2")]
    #[case::epoch(&["0100!0.0"], "100!0.0")]
    #[case::v_and_epoch(&["v1!2.0"], "1!2.0")]
    #[case::blanks(&[" v1.0\t\n", "\u{1c}1.0\u{a0}"], "1.0")]
    #[case::date(&["2015.04.28"], "2015.4.28")]
    #[case::more_than_64_bits(&["00018446744073709551616!1"], "18446744073709551616!1")]
    fn spellings_have_one_normal_form(#[case] spellings: &[&str], #[case] normal: &str) {
        for spelling in spellings {
            assert_eq!(version(spelling).to_string(), normal, "{spelling:?}");
            assert_eq!(version(spelling), version(normal));
        }
    }

    #[test]
    fn the_published_chain_ascends() {
        let chain = "1.0.dev0 1.0.dev456 1.0.dev456+local 1.0a0 1.0a0.post0.dev0 1.0a0.post0 \
            1.0a1.dev1 1.0a1.dev1+local 1.0a1 1.0a1+local 1.0b0 1.0b1.dev456 1.0b2 \
            1.0b2.post345.dev456 1.0b2.post345 1.0b2-346 1.0rc0 1.0rc1.dev1 1.0c1 1.0rc2 1.0 \
            1.0.post0.dev0 1.0.post0 1.0.post456.dev34 1.0.post456 1.0.post456+local 1.0.1.dev1 \
            1.0.1a1 1.0.1 1.0.1+local 1.0.1.post1 1.1.dev1 1.2+a 1.2+abc 1.2+abcdef 1.2+def 1.2+0 \
            1.2+1 1.2+1.abc 1.2+1.1 1.2+1.1.0 1.2+2 1.2+123 1.2+123456 1.2.r32+123456 \
            1.2.rev33+123456";
        let plain: Vec<_> = chain.split_whitespace().map(str::to_owned).collect();
        let all: Vec<_> =
            plain.iter().cloned().chain(plain.iter().map(|text| format!("1!{text}"))).collect();
        for (at, lower) in all.iter().enumerate() {
            for higher in all.iter().skip(at + 1) {
                assert!(version(lower) < version(higher), "{lower} < {higher}");
            }
        }
    }

    #[rstest]
    #[case::zeros(&["1", "1.0", "v1.0.0", "0!1"])]
    #[case::label(&["1.0rc1", "1.0c1", "1-rc.1"])]
    #[case::zero(&["0", "0.0", "00"])]
    fn equal_versions_have_one_identity(#[case] texts: &[&str]) {
        for text in texts {
            assert_eq!(version(text).identity(), version(texts[0]).identity());
            assert_eq!(version(text).sort_key(), version(texts[0]).sort_key());
        }
    }

    #[rstest]
    fn other_text_is_refused(
        #[values(
            "",
            "  ",
            "french toast",
            "1.0+",
            "1.0+a+",
            "1.0++",
            "1.0+_foobar",
            "1.0+foo&asd",
            "1.0+1+1",
            "1.0+a..b",
            "1.0+İ",
            "1. 0",
            "1.0 a1",
            "1..0",
            "1.0.",
            ".1.0",
            ".",
            "1.0-",
            "1.0_1",
            "1.0-1-1",
            "1-1.4",
            "1!",
            "1.0.dev1.post1",
            "1.0a1b2",
            "1.0.*",
            "1.0-SNAPSHOT",
            "1.0.0-ci.8",
            "\u{661}.\u{662}",
            "\u{ff11}.0",
            "v",
            "vv1",
            "1!2!3"
        )]
        text: &str,
    ) {
        assert!(text.parse::<PypiVersion>().is_err());
    }

    #[test]
    fn over_long_versions_are_refused_in_either_form() {
        let error = |text: String| text.parse::<PypiVersion>().unwrap_err();
        assert_eq!(error("1".repeat(257)), PypiVersionError::TooLong(257));
        assert_eq!(error(format!("1.{}c", "10.".repeat(84) + "9")), PypiVersionError::TooLong(258));
        assert!(matches!(error("9".repeat(255)), PypiVersionError::Number(_)));
        assert!("9".repeat(254).parse::<PypiVersion>().is_ok());
    }

    #[rstest]
    #[case::release("1.0", Stability::Stable)]
    #[case::post("1.0.post1", Stability::Stable)]
    #[case::local("1.0+a", Stability::Stable)]
    #[case::candidate("1.0rc1", Stability::Prerelease)]
    #[case::development_of_post("1.0.post1.dev2", Stability::Prerelease)]
    fn prereleases_are_told_apart(#[case] text: &str, #[case] stability: Stability) {
        assert_eq!(version(text).stability(), stability);
    }
}
