use std::fmt;
use std::str::FromStr;

use hayloft_feed::{SortKey, SortKeyError, Stability};

/// Longest version, as given and with hyphens rewritten, in bytes.
const MAX_LENGTH: usize = 255;

/// A gem version in the form that Ruby compares: `Gem::Version`.
///
/// A hyphen is rewritten to `.pre.` as Ruby does. Order and equality go by the canonical segments:
/// `1.0`, `1` and `1.0.0` are one version, as are `1.0.rc1` and `1.rc.1`.
#[derive(Debug, Clone)]
pub struct GemVersion {
    text: Box<str>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// Digits without leading zeros; zero is empty.
    Number(Box<str>),
    Letters(Box<str>),
}

/// Text is not a gem version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GemVersionError {
    /// Does not fit the grammar.
    #[error("a gem version is a number followed by dot-separated numbers and letters")]
    Grammar,
    /// Over the limit.
    #[error("it has {0} bytes, more than {MAX_LENGTH}")]
    TooLong(usize),
}

impl GemVersion {
    /// As stored and shown, with hyphens rewritten.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Release, or prerelease if there is any letter.
    pub fn stability(&self) -> Stability {
        if self.text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            Stability::Prerelease
        } else {
            Stability::Stable
        }
    }

    /// The canonical segments joined with dots: equal for versions that compare as equal.
    pub fn canonical(&self) -> String {
        if self.segments.is_empty() {
            return "0".to_owned();
        }
        let shown: Vec<&str> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Number(digits) if digits.is_empty() => "0",
                Segment::Number(text) | Segment::Letters(text) => text,
            })
            .collect();
        shown.join(".")
    }

    /// Bytes in the order of `Gem::Version#<=>`.
    ///
    /// A missing segment counts as zero there, so what a zero compares like depends on what ends
    /// its run of zeros: letters put it below the end of the version, a number above.
    pub fn sort_key(&self) -> Result<SortKey, SortKeyError> {
        let mut key = SortKey::builder();
        for (at, segment) in self.segments.iter().enumerate() {
            key = match segment {
                Segment::Letters(letters) => key.mark(1).text(letters)?,
                Segment::Number(digits) if !digits.is_empty() => key.mark(5).number(digits)?,
                Segment::Number(_) => key.mark(match self.after_zeros(at) {
                    Some(Segment::Letters(_)) => 2,
                    _ => 4,
                }),
            };
        }
        Ok(key.mark(3).finish())
    }

    fn after_zeros(&self, at: usize) -> Option<&Segment> {
        self.segments.iter().skip(at).find(|segment| !segment.is_zero())
    }
}

impl Segment {
    fn is_zero(&self) -> bool {
        matches!(self, Self::Number(digits) if digits.is_empty())
    }
}

impl FromStr for GemVersion {
    type Err = GemVersionError;

    fn from_str(text: &str) -> Result<Self, GemVersionError> {
        let text = text.trim_matches([' ', '\t', '\r', '\n', '\u{b}', '\u{c}']);
        if text.len() > MAX_LENGTH {
            return Err(GemVersionError::TooLong(text.len()));
        }
        let text = if text.is_empty() { "0" } else { text };
        let (release, hyphenated) = match text.split_once('-') {
            Some((release, rest)) => (release, Some(rest)),
            None => (text, None),
        };
        let mut parts = release.split('.');
        let leads = parts
            .next()
            .is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        let is_word = |part: &str, hyphen: bool| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || (hyphen && b == b'-'))
        };
        let sound = leads
            && parts.all(|part| is_word(part, false))
            && hyphenated.is_none_or(|rest| rest.split('.').all(|part| is_word(part, true)));
        if !sound {
            return Err(GemVersionError::Grammar);
        }
        let text = text.replace('-', ".pre.");
        // Ruby takes `1--a` too, but then has `1.pre..pre.a`, which it does not take again.
        if text.split('.').any(str::is_empty) {
            return Err(GemVersionError::Grammar);
        }
        if text.len() > MAX_LENGTH {
            return Err(GemVersionError::TooLong(text.len()));
        }
        Ok(Self { segments: canonical_segments(&text), text: text.into_boxed_str() })
    }
}

fn canonical_segments(text: &str) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same_kind = |c: char| {
            if first.is_ascii_digit() { c.is_ascii_digit() } else { c.is_ascii_alphabetic() }
        };
        let end = rest.find(|c| !same_kind(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end.max(first.len_utf8()));
        rest = after;
        if first.is_ascii_digit() {
            segments.push(Segment::Number(run.trim_start_matches('0').into()));
        } else if first.is_ascii_alphabetic() {
            segments.push(Segment::Letters(run.into()));
        }
    }
    let letters =
        segments.iter().position(|s| matches!(s, Segment::Letters(_))).unwrap_or(segments.len());
    let mut tail = segments.split_off(letters);
    for part in [&mut segments, &mut tail] {
        while part.last().is_some_and(Segment::is_zero) {
            part.pop();
        }
    }
    segments.append(&mut tail);
    segments
}

impl fmt::Display for GemVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{self, Equal, Greater, Less};

    use rstest::rstest;

    use super::*;

    fn key(text: &str) -> SortKey {
        text.parse::<GemVersion>().unwrap().sort_key().unwrap()
    }

    #[rstest]
    #[case("1.0", "1", Equal)]
    #[case("1.0.0", "1.0", Equal)]
    #[case("1.0", "1.0.a", Greater)]
    #[case("1.8.2", "0.0.0", Greater)]
    #[case("1.8.2.b", "1.8.2.a", Greater)]
    #[case("1.8.2.a", "1.8.2", Less)]
    #[case("1.8.2.a10", "1.8.2.a9", Greater)]
    #[case("1.8.2.b10", "1.8.2", Less)]
    #[case("", "0", Equal)]
    #[case("1.0.rc1", "1.0.rc.1", Equal)]
    #[case("0.beta.1", "0.0.beta.1", Equal)]
    #[case("0.0.beta", "0.0.beta.1", Less)]
    #[case("0.0.beta", "0.beta.1", Less)]
    #[case("5.a", "5.0.0.rc2", Less)]
    #[case("5.x", "5.0.0.rc2", Greater)]
    #[case("1.9.3", "1.9.2.99", Greater)]
    #[case("1.9.3.1", "1.9.3", Greater)]
    #[case("1.0.a", "0.9", Greater)]
    #[case("1.0.a.2", "1.0.b1", Less)]
    #[case("1.0.0-alpha", "1.0.0-alpha.1", Less)]
    #[case("1.0.0-alpha.1", "1.0.0-beta.2", Less)]
    #[case("1.0.0-beta.2", "1.0.0-beta.11", Less)]
    #[case("1.0.0-beta.11", "1.0.0-rc.1", Less)]
    #[case("1.0.0-rc1", "1.0.0", Less)]
    #[case("1.0.0-1", "1", Less)]
    #[case("1.0-1", "1.0.pre.1", Equal)]
    #[case("1.0-rc1", "1.0.rc1", Less)]
    #[case("4.3.2-rc.1", "4.3.2.pre.rc.1", Equal)]
    #[case("1.0.A", "1.0.a", Less)]
    #[case("1.a.0.0", "1.a", Equal)]
    #[case("1.2.a", "1.2.0.a", Equal)]
    #[case("1.01", "1.1", Equal)]
    #[case("1.2.b1", "1.2.b.1", Equal)]
    #[case("3.0.0.alpha.1", "3.0.alpha.1", Equal)]
    #[case::look_ahead("1.a.0.b", "1.a", Less)]
    #[case::look_ahead_other_way("1.a", "1.a.0.1", Less)]
    fn compares_as_ruby_does(#[case] a: &str, #[case] b: &str, #[case] order: Ordering) {
        assert_eq!(key(a).cmp(&key(b)), order);
        let canonical = |text: &str| text.parse::<GemVersion>().unwrap().canonical();
        assert_eq!(canonical(a) == canonical(b), order == Equal);
    }

    #[rstest]
    #[case("junk")]
    #[case("1..2")]
    #[case("1.2.3-")]
    #[case("1.")]
    #[case("-1")]
    #[case("1.0_1")]
    #[case("v1.0")]
    #[case("1.0+build")]
    #[case("1.0-a_b")]
    #[case("1.0\n2.0")]
    #[case("1.0/../../x")]
    #[case::ruby_does_not_read_its_own_form_again("1--a")]
    #[case::nor_this_one("0.atf-c.0.atf-")]
    fn malformed_versions_are_refused(#[case] text: &str) {
        assert_eq!(text.parse::<GemVersion>().unwrap_err(), GemVersionError::Grammar);
    }

    #[test]
    fn the_form_with_hyphens_rewritten_is_bounded_too() {
        let text = |hyphens| format!("1{}", "-1".repeat(hyphens));
        let version: GemVersion = text(42).parse().unwrap();
        assert_eq!(version.as_str().len(), 253);
        assert_eq!(version.as_str().parse::<GemVersion>().unwrap().as_str(), version.as_str());
        let error = text(43).parse::<GemVersion>().unwrap_err();
        assert_eq!(error, GemVersionError::TooLong(259));
    }

    #[test]
    fn a_letter_makes_a_prerelease() {
        let stability = |text: &str| text.parse::<GemVersion>().unwrap().stability();
        assert_eq!(stability("1.0.a"), Stability::Prerelease);
        assert_eq!(stability("1.0-1"), Stability::Prerelease);
        assert_eq!(stability("1.0.1"), Stability::Stable);
    }

    #[test]
    fn numbers_may_be_longer_than_machine_words() {
        assert!(key("1.99999999999999999999999") < key("1.100000000000000000000000"));
    }
}
