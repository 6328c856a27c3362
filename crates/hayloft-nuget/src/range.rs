use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::{NuGetVersion, NuGetVersionError};

/// Which versions of a package satisfy a dependency, such as `[1.0, 2.0)`; `1.0` alone means that
/// or higher.
///
/// Displays in normalized form: `[1.0.0, 2.0.0)`, `(, 2.0.0]`, `[1.0.0, )`; `(, )` is any version.
/// The lower bound may float, as in `1.*`.
///
/// Rule: <https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    lower: Option<Bound>,
    upper: Option<Bound>,
    floating: Option<Floating>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    version: NuGetVersion,
    edge: Edge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Inclusive,
    Exclusive,
}

/// A lower bound with a star, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Floating(Box<str>);

/// Text is not a version range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionRangeError {
    /// Too short, unbalanced brackets, more than one comma, no bound at all.
    #[error("is not of the form `1.0`, `[1.0]`, `[1.0, 2.0)` or `(, 2.0]`")]
    Shape,
    /// A bound is not a version.
    #[error("has the bound `{text}`, which is not a version")]
    Bound {
        /// What stands there.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: NuGetVersionError,
    },
    /// A star where none may be.
    #[error("has the bound `{0}`; a star may only end a number or label of the lower bound")]
    Star(String),
    /// No version can satisfy it.
    #[error("is satisfied by no version")]
    Nothing,
}

impl FromStr for VersionRange {
    type Err = VersionRangeError;

    fn from_str(text: &str) -> Result<Self, VersionRangeError> {
        let text = text.trim();
        // Clients refuse ranges of one or two characters, although `1` is a version.
        if text != "*" && text.chars().nth(2).is_none() {
            return Err(VersionRangeError::Shape);
        }
        let Some((opening, inner, closing)) = bracketed(text)? else {
            let (version, floating) = lower(text)?;
            let lower = Some(Bound { version, edge: Edge::Inclusive });
            return Ok(Self { lower, upper: None, floating });
        };
        let (low, high) = match inner.split_once(',') {
            Some((low, high)) if !low.is_empty() || !high.is_empty() => (low, high),
            None if (opening, closing) == (Edge::Inclusive, Edge::Inclusive)
                && !inner.trim().is_empty() =>
            {
                (inner, inner)
            }
            _ => return Err(VersionRangeError::Shape),
        };
        let (lower, floating) = if low.trim().is_empty() {
            (None, None)
        } else {
            let (version, floating) = lower(low)?;
            (Some(Bound { version, edge: opening }), floating)
        };
        let upper = match high.trim() {
            "" => None,
            high => Some(Bound { version: plain(high)?, edge: closing }),
        };
        if let (Some(low), Some(high)) = (&lower, &upper) {
            match low.version.compare(&high.version) {
                Ordering::Less => {}
                // `(1.0, 1.0)` is as empty, but clients read it.
                Ordering::Equal if low.edge == high.edge => {}
                _ => return Err(VersionRangeError::Nothing),
            }
        }
        Ok(Self { lower, upper, floating })
    }
}

type Bracketed<'t> = (Edge, &'t str, Edge);

fn bracketed(text: &str) -> Result<Option<Bracketed<'_>>, VersionRangeError> {
    let (opening, rest) = if let Some(rest) = text.strip_prefix('[') {
        (Edge::Inclusive, rest)
    } else if let Some(rest) = text.strip_prefix('(') {
        (Edge::Exclusive, rest)
    } else {
        return Ok(None);
    };
    if let Some(inner) = rest.strip_suffix(']') {
        Ok(Some((opening, inner, Edge::Inclusive)))
    } else if let Some(inner) = rest.strip_suffix(')') {
        Ok(Some((opening, inner, Edge::Exclusive)))
    } else {
        Err(VersionRangeError::Shape)
    }
}

fn plain(text: &str) -> Result<NuGetVersion, VersionRangeError> {
    text.parse()
        .map_err(|source| VersionRangeError::Bound { text: hayloft_feed::shorten(text), source })
}

fn lower(text: &str) -> Result<(NuGetVersion, Option<Floating>), VersionRangeError> {
    if !text.contains('*') {
        return Ok((plain(text)?, None));
    }
    let star = || VersionRangeError::Star(hayloft_feed::shorten(text));
    if text.contains('+') {
        return Err(star());
    }
    let (numbers, labels) = match text.split_once('-') {
        Some((numbers, labels)) => (numbers, Some(labels)),
        None => (text, None),
    };
    let floating_numbers = floating_prefix(numbers).map_err(|()| star())?;
    if labels.is_none() && floating_numbers.is_none() {
        return Err(star());
    }
    let lowest_numbers = floating_numbers.map_or_else(|| numbers.to_owned(), |kept| kept + "0");
    let lowest = match labels {
        None => lowest_numbers,
        Some(labels) => {
            let prefix = labels.strip_suffix('*').filter(|rest| !rest.contains('*'));
            let prefix = prefix.ok_or_else(star)?;
            // Clients look for the last dash and find no label behind it.
            if prefix.contains('-') && prefix.ends_with('.') && !numbers.contains('*') {
                return Err(star());
            }
            // The lowest label that a prefix may grow into: `0` on its own, else a dash.
            let least = if prefix.is_empty() || prefix.ends_with('.') {
                "0"
            } else if prefix.ends_with('-') && !numbers.ends_with('*') {
                "-"
            } else {
                ""
            };
            format!("{lowest_numbers}-{prefix}{least}")
        }
    };
    let version: NuGetVersion = lowest.parse().map_err(|_| star())?;
    let shown_numbers = if numbers.contains('*') {
        floating_numbers_shown(&version, numbers)
    } else {
        version.release()
    };
    let shown = match labels {
        Some(labels) => format!("{shown_numbers}-{labels}"),
        None => shown_numbers,
    };
    Ok((version, Some(Floating(shown.into()))))
}

/// What stands before the star that ends the numbers; `None` without a star.
fn floating_prefix(numbers: &str) -> Result<Option<String>, ()> {
    match numbers.split_once('*') {
        None => Ok(None),
        Some((kept, "")) if kept.is_empty() || kept.ends_with('.') => Ok(Some(kept.to_owned())),
        Some(_) => Err(()),
    }
}

/// The numbers before the star without leading zeros, then the star.
fn floating_numbers_shown(version: &NuGetVersion, numbers: &str) -> String {
    let kept = numbers.matches('.').count();
    let mut shown: Vec<String> =
        version.numbers().iter().take(kept).map(ToString::to_string).collect();
    shown.push("*".to_owned());
    shown.join(".")
}

impl VersionRange {
    /// The range that every version satisfies: `(, )`.
    pub fn any() -> Self {
        Self { lower: None, upper: None, floating: None }
    }

    /// True if `version` lies between the bounds. A prerelease of the upper bound lies below it.
    pub fn is_satisfied_by(&self, version: &NuGetVersion) -> bool {
        let above = self.lower.as_ref().is_none_or(|bound| {
            let order = version.compare(&bound.version);
            order.is_gt() || order.is_eq() && bound.edge == Edge::Inclusive
        });
        let below = self.upper.as_ref().is_none_or(|bound| {
            let order = version.compare(&bound.version);
            order.is_lt() || order.is_eq() && bound.edge == Edge::Inclusive
        });
        above && below
    }

    /// True if the lower bound has a star.
    pub fn is_floating(&self) -> bool {
        self.floating.is_some()
    }

    /// The version that alone satisfies the range, if there is one.
    pub fn exact(&self) -> Option<&NuGetVersion> {
        match (&self.lower, &self.upper) {
            (Some(low), Some(high))
                if low.version == high.version
                    && (low.edge, high.edge) == (Edge::Inclusive, Edge::Inclusive) =>
            {
                Some(&low.version)
            }
            _ => None,
        }
    }

    /// The versions that bound it, lower first.
    pub fn bounds(&self) -> impl Iterator<Item = &NuGetVersion> {
        self.lower.iter().chain(&self.upper).map(|bound| &bound.version)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lower {
            Some(Bound { edge: Edge::Inclusive, .. }) => out.write_str("[")?,
            _ => out.write_str("(")?,
        }
        match (&self.floating, &self.lower) {
            (Some(Floating(shown)), _) => out.write_str(shown)?,
            (None, Some(bound)) => out.write_str(&bound.version.normalized())?,
            (None, None) => {}
        }
        out.write_str(", ")?;
        match &self.upper {
            Some(bound) => {
                out.write_str(&bound.version.normalized())?;
                out.write_str(if bound.edge == Edge::Inclusive { "]" } else { ")" })
            }
            None => out.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::at_least("1.0", "[1.0.0, )")]
    #[case::exact("[1.0]", "[1.0.0, 1.0.0]")]
    #[case::any("(, )", "(, )")]
    #[case::below("[, 2.0)", "(, 2.0.0)")]
    #[case::metadata_is_not_shown("[1.0+a, 2.0+b]", "[1.0.0, 2.0.0]")]
    #[case::floating_label("1.0.0-rc.*", "[1.0.0-rc.*, )")]
    #[case::floating_both("01.*-rc*", "[1.*-rc*, )")]
    fn is_shown_in_normalized_form(#[case] text: &str, #[case] shown: &str) {
        let range: VersionRange = text.parse().unwrap();
        assert_eq!(range.to_string(), shown);
        assert_eq!(shown.parse::<VersionRange>().unwrap().to_string(), shown);
    }

    #[rstest]
    #[case::one_character("1", VersionRangeError::Shape)]
    #[case::nothing("(,)", VersionRangeError::Shape)]
    #[case::blank_brackets("[ ]", VersionRangeError::Shape)]
    #[case::half_open_exact("[1.0)", VersionRangeError::Shape)]
    #[case::reversed("[2.0,1.0]", VersionRangeError::Nothing)]
    #[case::empty("[1.0,1.0)", VersionRangeError::Nothing)]
    #[case::star_in_upper_bound(
        "[1.0,2.*]",
        VersionRangeError::Bound { text: "2.*".into(), source: NuGetVersionError::Number("*".into()) }
    )]
    #[case::star_inside("1.*.0", VersionRangeError::Star("1.*.0".into()))]
    fn what_is_no_range_is_refused(#[case] text: &str, #[case] error: VersionRangeError) {
        assert_eq!(text.parse::<VersionRange>(), Err(error));
    }

    #[test]
    fn only_an_inclusive_pair_of_one_version_is_exact() {
        let exact = |text: &str| {
            text.parse::<VersionRange>().unwrap().exact().map(NuGetVersion::normalized)
        };
        assert_eq!(exact("[1.0]").as_deref(), Some("1.0.0"));
        assert_eq!(exact("[1.0, 1.0.0.0]").as_deref(), Some("1.0.0"));
        assert_eq!(exact("(1.0, 1.0)"), None);
        assert_eq!(exact("1.0"), None);
    }
}
