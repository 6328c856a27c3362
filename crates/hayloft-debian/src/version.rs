use std::str::FromStr;

use hayloft_feed::{SortKey, SortKeyBuilder, SortKeyError};

/// A Debian version: `[epoch:]upstream[-revision]`.
///
/// Two spellings that rank the same, such as `1.0` and `1.0-0`, are two versions. A version that
/// does not begin with a digit is read, since dpkg installs such packages with a warning, but
/// [`DebianVersion::begins_with_digit`] tells, and no new version should be like that.
/// Rule: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>
#[derive(Debug, Clone)]
pub struct DebianVersion {
    text: Box<str>,
    sort_key: SortKey,
}

/// Text is not a Debian version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DebianVersionError {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// Longer than a version may be.
    #[error("has {0} bytes; a version has at most 255")]
    TooLong(usize),
    /// What stands before the first colon is not a number that dpkg takes.
    #[error("has an epoch that is not a number from 0 to 2147483647")]
    Epoch,
    /// Nothing between the epoch and the revision.
    #[error("has no upstream version")]
    NoUpstream,
    /// Ends with the hyphen that should begin a revision.
    #[error("has nothing after its last hyphen")]
    NoRevision,
    /// A character that no version holds.
    #[error("has `{}` in its {part}; a version holds letters, digits and `.+~`, and `-` and `:` where a revision or epoch follows the rules", .character.escape_default())]
    Character {
        /// The character.
        character: char,
        /// `upstream version` or `revision`.
        part: &'static str,
    },
    /// A number has more digits than can be ranked.
    #[error("has a number that cannot be ranked")]
    Number(#[source] SortKeyError),
}

impl DebianVersion {
    /// The version as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Upstream version and revision: what stands in file names.
    pub fn without_epoch(&self) -> &str {
        // An upstream version has a colon only if an epoch precedes it.
        self.text.split_once(':').map_or(&self.text, |(_, rest)| rest)
    }

    /// Bytes that order as dpkg orders versions.
    ///
    /// Epoch as a number, then upstream version and revision alike: each run of non-digits
    /// character by character (`~` 1, end of the run 2, letters 3, all else 4), then the digits
    /// that follow as a number.
    pub fn sort_key(&self) -> &SortKey {
        &self.sort_key
    }

    /// True if the upstream version begins as policy demands; dpkg builds no other.
    pub fn begins_with_digit(&self) -> bool {
        self.without_epoch().starts_with(|first: char| first.is_ascii_digit())
    }
}

impl FromStr for DebianVersion {
    type Err = DebianVersionError;

    fn from_str(text: &str) -> Result<Self, DebianVersionError> {
        if text.is_empty() {
            return Err(DebianVersionError::Empty);
        }
        if text.len() > 255 {
            return Err(DebianVersionError::TooLong(text.len()));
        }
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (Some(epoch), rest),
            None => (None, text),
        };
        let epoch = epoch.map_or(Ok("0"), checked_epoch)?;
        let (upstream, revision) = match rest.rsplit_once('-') {
            Some((_, "")) => return Err(DebianVersionError::NoRevision),
            Some((upstream, revision)) => (upstream, revision),
            None => (rest, "0"),
        };
        if upstream.is_empty() {
            return Err(DebianVersionError::NoUpstream);
        }
        // The first colon and the last hyphen are gone: others belong to the upstream version.
        check(upstream, "upstream version", &['.', '+', '~', '-', ':'])?;
        check(revision, "revision", &['.', '+', '~'])?;
        let key = SortKey::builder().number(epoch);
        let key = key.and_then(|key| part(key, upstream)).and_then(|key| part(key, revision));
        let sort_key = key.map_err(DebianVersionError::Number)?.finish();
        Ok(Self { text: text.into(), sort_key })
    }
}

fn checked_epoch(text: &str) -> Result<&str, DebianVersionError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<i32>() {
        Ok(_) if digits_only => Ok(text),
        _ => Err(DebianVersionError::Epoch),
    }
}

fn check(text: &str, part: &'static str, marks: &[char]) -> Result<(), DebianVersionError> {
    let allowed = |found: char| found.is_ascii_alphanumeric() || marks.contains(&found);
    match text.chars().find(|found| !allowed(*found)) {
        Some(character) => Err(DebianVersionError::Character { character, part }),
        None => Ok(()),
    }
}

fn part(mut key: SortKeyBuilder, text: &str) -> Result<SortKeyBuilder, SortKeyError> {
    let mut rest = text;
    while !rest.is_empty() {
        let digits_at = rest.find(|found: char| found.is_ascii_digit()).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(digits_at);
        for byte in run.bytes() {
            key = match byte {
                b'~' => key.mark(1),
                letter if letter.is_ascii_alphabetic() => key.mark(3).mark(letter),
                other => key.mark(4).mark(other),
            };
        }
        let digits_end = tail.find(|found: char| !found.is_ascii_digit()).unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(digits_end);
        key = key.mark(2).number(if digits.is_empty() { "0" } else { digits })?;
        rest = tail;
    }
    // An end weighs as an empty run and a zero, so that `1.0a` equals `1.0a0`.
    key.mark(2).number("0")
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{self, Equal, Greater, Less};

    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> DebianVersion {
        text.parse().unwrap()
    }

    #[rstest]
    #[case("7.6p2-4", "7.6-0", Greater)]
    #[case("1.0.3-3", "1.0-1", Greater)]
    #[case("1.3", "1.2.2-2", Greater)]
    #[case("0-pre", "0-pree", Less)]
    #[case("1.1.6r2-2", "1.1.6r-1", Greater)]
    #[case("2.6b2-1", "2.6b-2", Greater)]
    #[case("98.1p5-1", "98.1-pre2-b6-2", Less)]
    #[case("0.4a6-2", "0.4-1", Greater)]
    #[case("1:3.0.5-2", "1:3.0.5.1", Less)]
    #[case("9:1.18.36:5.4-20", "10:0.5.1-22", Less)]
    #[case("9:1.18.36:5.4-20", "9:1.18.36:5.5-1", Less)]
    #[case("1.18.36-0.17.35-18", "1.18.36-19", Greater)]
    #[case("0:0-0-0", "0-0", Greater)]
    #[case("3.0~rc1-1", "3.0-1", Less)]
    #[case("0.5.0~git", "0.5.0~git2", Less)]
    #[case("2a", "21", Less)]
    #[case("1.2a+~bCd3", "1.2a++", Less)]
    #[case("1.2a+~bCd3", "1.2a+~", Greater)]
    #[case("1.0~~", "1.0~", Less)]
    #[case("1.0.", "1.0.0", Equal)]
    #[case("1.a", "1.+", Less)]
    #[case("1.0-1+b1", "1.0-1.1", Less)]
    #[case("00:1", "1", Equal)]
    #[case("1.0", "1.0-0", Equal)]
    #[case("1.0", "1.0-0~", Greater)]
    #[case("1.0", "1.0-0+b1", Less)]
    #[case("1.2.3", "1.2.3-1", Less)]
    #[case("009ab5", "9ab5", Equal)]
    #[case("0:1.18.36", "1.18.36", Equal)]
    #[case("1:0.4", "10.3", Greater)]
    #[case("5:2", "304-2", Greater)]
    #[case("25:2", "3:2", Greater)]
    #[case("1:2:123", "1:12:3", Less)]
    #[case("1.2-5", "1.2-3-5", Less)]
    #[case("5.10.0", "5.005", Greater)]
    #[case("3a9.8", "3.10.2", Less)]
    #[case("3a9.8", "3~10", Greater)]
    #[case("1.4+OOo3.0.0~", "1.4+OOo3.0.0-4", Less)]
    #[case("2.4.7-1", "2.4.7-z", Less)]
    #[case("1.002-1+b2", "1.00", Greater)]
    #[case("1.0a", "1.0a0", Equal)]
    #[case("1.0~bpo1", "1.0~~", Greater)]
    #[case("1.0", "1.0.", Less)]
    #[case("1.0A", "1.0a", Less)]
    #[case("1.00001", "1.1", Equal)]
    #[case("99999999999999999999999-1", "99999999999999999999998-1", Greater)]
    #[case::semver_prerelease_is_a_revision("1.2.3-rc.1", "1.2.3", Greater)]
    #[case::tilde_is_a_prerelease("1.2.3~rc.1", "1.2.3", Less)]
    fn keys_order_as_dpkg_does(#[case] a: &str, #[case] b: &str, #[case] order: Ordering) {
        assert_eq!(read(a).sort_key().cmp(read(b).sort_key()), order);
        assert_eq!(read(b).sort_key().cmp(read(a).sort_key()), order.reverse());
    }

    #[rstest]
    #[case("0:0:0-0")]
    #[case("0:0-0:0-0")]
    #[case("0:09azAZ.-+~:-0")]
    #[case("0:0-azAZ09.+~")]
    #[case("2147483647:1")]
    #[case("3.18.1-1-1")]
    #[case("8.0+4.0.5.2+3.0.9~20170802.e702b5f9+-8")]
    fn valid_versions_keep_their_text(#[case] text: &str) {
        assert_eq!(read(text).as_str(), text);
        assert!(read(text).begins_with_digit());
    }

    #[rstest]
    #[case::empty("", DebianVersionError::Empty)]
    #[case::only_epoch("0:", DebianVersionError::NoUpstream)]
    #[case::empty_epoch(":1.0", DebianVersionError::Epoch)]
    #[case::empty_revision("1.0-", DebianVersionError::NoRevision)]
    #[case::no_upstream("0:-0", DebianVersionError::NoUpstream)]
    #[case::negative_epoch("-1:0-1", DebianVersionError::Epoch)]
    #[case::signed_epoch("+1:0-1", DebianVersionError::Epoch)]
    #[case::letter_epoch("a:0-0", DebianVersionError::Epoch)]
    #[case::huge_epoch("999999999999999999999999:0-1", DebianVersionError::Epoch)]
    #[case::epoch_above_limit("2147483648:1", DebianVersionError::Epoch)]
    #[case::inner_blank("0:0 0-1", DebianVersionError::Character { character: ' ', part: "upstream version" })]
    #[case::leading_blank(" 1", DebianVersionError::Character { character: ' ', part: "upstream version" })]
    #[case::colon_in_revision("0:0-0:0", DebianVersionError::Character { character: ':', part: "revision" })]
    #[case::underscore("1.0_1", DebianVersionError::Character { character: '_', part: "upstream version" })]
    #[case::too_many_digits(&"9".repeat(255), DebianVersionError::Number(SortKeyError::TooManyDigits(255)))]
    #[case::too_long(&"1.".repeat(128), DebianVersionError::TooLong(256))]
    fn invalid_versions_are_refused(#[case] text: &str, #[case] error: DebianVersionError) {
        assert_eq!(text.parse::<DebianVersion>().unwrap_err(), error);
    }

    #[test]
    fn no_other_punctuation_is_taken_anywhere() {
        for mark in "!#@$%&/|\\<>()[]{};,_=*^'\" \t\u{0}é".chars() {
            assert!(format!("0:0{mark}-0").parse::<DebianVersion>().is_err(), "{mark:?}");
            assert!(format!("0:0-0{mark}").parse::<DebianVersion>().is_err(), "{mark:?}");
        }
    }

    #[test]
    fn file_names_leave_out_the_epoch_alone() {
        assert_eq!(read("4:12.2.0-3").without_epoch(), "12.2.0-3");
        assert_eq!(read("1:2:3").without_epoch(), "2:3");
        assert_eq!(read("1.0").without_epoch(), "1.0");
        assert!(!read("v1.0").begins_with_digit());
    }
}
