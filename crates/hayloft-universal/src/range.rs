use std::fmt;
use std::str::FromStr;

use hayloft_feed::shorten;

use crate::{UniversalVersion, VersionError};

/// Versions that will do: all, one, or those between two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRange {
    /// `*`
    Any,
    /// `1.0.0`
    Exactly(UniversalVersion),
    /// `[1.0.0,2.0.0)`
    Between {
        /// Lower end.
        from: End,
        /// Upper end.
        to: End,
    },
}

/// One end of an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// No limit on this side; the bracket is kept as written.
    Open(Bracket),
    /// The version belongs to the interval: square bracket.
    Included(UniversalVersion),
    /// It does not: round bracket.
    Excluded(UniversalVersion),
}

/// The bracket at an end without a version, where it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    /// `[` or `]`
    Square,
    /// `(` or `)`
    Round,
}

/// Text is not a range of versions.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionRangeError {
    /// Neither `*` nor a version nor an interval.
    #[error("`{}` is neither a version nor a range", shorten(.0))]
    Version(String, #[source] VersionError),
    /// Has a bracket or a comma, but is not two ends in brackets with a comma between.
    #[error("`{}` is not a range such as [1.0.0,2.0.0)", shorten(.0))]
    Interval(String),
}

impl VersionRange {
    /// True if `version` is one of these. Build metadata does not count.
    pub fn contains(&self, version: &UniversalVersion) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(only) => only == version,
            Self::Between { from, to } => {
                let above = match from {
                    End::Open(_) => true,
                    End::Included(end) => version >= end,
                    End::Excluded(end) => version > end,
                };
                let below = match to {
                    End::Open(_) => true,
                    End::Included(end) => version <= end,
                    End::Excluded(end) => version < end,
                };
                above && below
            }
        }
    }
}

impl FromStr for VersionRange {
    type Err = VersionRangeError;

    fn from_str(text: &str) -> Result<Self, VersionRangeError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if !text.contains(['[', ']', '(', ')', ',']) {
            let only = UniversalVersion::parse_stored(text)
                .map_err(|error| VersionRangeError::Version(text.to_owned(), error))?;
            return Ok(Self::Exactly(only));
        }
        interval(text).ok_or_else(|| VersionRangeError::Interval(text.to_owned()))
    }
}

fn interval(text: &str) -> Option<VersionRange> {
    let (opening, rest) = match text.strip_prefix('[') {
        Some(rest) => (Bracket::Square, rest),
        None => (Bracket::Round, text.strip_prefix('(')?),
    };
    let (closing, rest) = match rest.strip_suffix(']') {
        Some(rest) => (Bracket::Square, rest),
        None => (Bracket::Round, rest.strip_suffix(')')?),
    };
    let (from, to) = rest.split_once(',')?;
    Some(VersionRange::Between { from: end(from, opening)?, to: end(to, closing)? })
}

fn end(text: &str, bracket: Bracket) -> Option<End> {
    let text = text.trim();
    if text.is_empty() {
        return Some(End::Open(bracket));
    }
    let version = UniversalVersion::parse_stored(text).ok()?;
    Some(match bracket {
        Bracket::Square => End::Included(version),
        Bracket::Round => End::Excluded(version),
    })
}

impl End {
    fn bracket(&self) -> Bracket {
        match self {
            Self::Open(bracket) => *bracket,
            Self::Included(_) => Bracket::Square,
            Self::Excluded(_) => Bracket::Round,
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Open(_) => "",
            Self::Included(version) | Self::Excluded(version) => version.text(),
        }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Exactly(version) => out.write_str(version.text()),
            Self::Between { from, to } => {
                let opening = if from.bracket() == Bracket::Square { '[' } else { '(' };
                let closing = if to.bracket() == Bracket::Square { ']' } else { ')' };
                write!(out, "{opening}{},{}{closing}", from.version(), to.version())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::any("*", &["0.0.0", "9.9.9-a"], &[])]
    #[case::one("1.0.0", &["1.0.0", "1.0.0+b"], &["1.0.0-a", "1.0.1"])]
    #[case::both_included("[1.0.0,2.0.0]", &["1.0.0", "2.0.0-a", "2.0.0"], &["1.0.0-a", "2.0.1"])]
    #[case::both_excluded("(1.0.0,2.0.0)", &["1.0.1", "2.0.0-a"], &["1.0.0", "2.0.0"])]
    #[case::half("[1.0.0,2.0.0)", &["1.0.0"], &["2.0.0"])]
    #[case::no_end("[3.0.0,]", &["3.0.0", "10.0.0"], &["2.9.9"])]
    #[case::no_start("[,1.0.0]", &["0.0.1", "1.0.0"], &["1.0.1"])]
    #[case::no_ends("(,)", &["0.0.1"], &[])]
    fn ranges_contain_what_lies_between_their_ends(
        #[case] text: &str,
        #[case] inside: &[&str],
        #[case] outside: &[&str],
    ) {
        let range: VersionRange = text.parse().unwrap();
        assert_eq!(range.to_string(), text);
        for version in inside {
            assert!(range.contains(&version.parse().unwrap()), "{version}");
        }
        for version in outside {
            assert!(!range.contains(&version.parse().unwrap()), "{version}");
        }
    }

    #[rstest]
    #[case::no_closing("[1.0.0")]
    #[case::no_brackets("1.0.0,2.0.0")]
    #[case::no_comma("[1.0.0]")]
    #[case::no_version("[1.0,2.0.0]")]
    #[case::two_commas("[1.0.0,2.0.0,3.0.0]")]
    #[case::bracket_alone("[")]
    fn half_an_interval_is_an_error(#[case] text: &str) {
        let expected = VersionRangeError::Interval(text.to_owned());
        assert_eq!(text.parse::<VersionRange>().unwrap_err(), expected);
    }
}
