use std::fmt;
use std::str::FromStr;

use hayloft_feed::shorten;

use crate::identification::Sha1Text;
use crate::range::{VersionRange, VersionRangeError};
use crate::{FullName, FullNameError};

/// What a package says it needs: `group/name:range`, and perhaps the exact file.
///
/// Dependencies inform; no tool resolves them.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// Group and name.
    pub package: FullName,
    /// Which versions will do.
    pub range: VersionRange,
    /// SHA-1 of the one package file that will do.
    pub sha1: Option<Sha1Text>,
}

/// Text is not a dependency.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DependencyError {
    /// More parts than there are.
    #[error("`{}` has more than four parts between colons", shorten(.0))]
    Shape(String),
    /// The group or name.
    #[error(transparent)]
    Name(#[from] FullNameError),
    /// The range.
    #[error(transparent)]
    Range(#[from] VersionRangeError),
    /// The fourth part.
    #[error(transparent)]
    Sha1(#[from] crate::Sha1TextError),
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (package, range, sha1) = match *parts.as_slice() {
            [name] => (name.parse()?, VersionRange::Any, None),
            // A second part that can be a range is one; else the two are group and name.
            [first, second] => match second.parse() {
                Ok(range) => (first.parse()?, range, None),
                Err(VersionRangeError::Interval(text)) => {
                    return Err(VersionRangeError::Interval(text).into());
                }
                Err(_) => (FullName::new(first, second)?, VersionRange::Any, None),
            },
            [group, name, range] => (FullName::new(group, name)?, range.parse()?, None),
            [group, name, range, sha1] => {
                (FullName::new(group, name)?, range.parse()?, Some(sha1.parse()?))
            }
            _ => return Err(DependencyError::Shape(text.to_owned())),
        };
        Ok(Self { package, range, sha1 })
    }
}

impl fmt::Display for Dependency {
    /// In the form that all readers agree on.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sha1) = &self.sha1 {
            let FullName { group, name } = &self.package;
            return write!(out, "{}:{}:{}:{sha1}", group.spelled(), name.spelled(), self.range);
        }
        write!(out, "{}:{}", self.package, self.range)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::name("pkg", "pkg:*")]
    #[case::group("a/b/pkg", "a/b/pkg:*")]
    #[case::colon("a:pkg", "a/pkg:*")]
    #[case::group_with_slash_and_colon("a/b:pkg", "a/b/pkg:*")]
    #[case::any("a/pkg:*", "a/pkg:*")]
    #[case::one("pkg:1.0.0", "pkg:1.0.0")]
    #[case::colons("a:pkg:[1.0.0,2.0.0)", "a/pkg:[1.0.0,2.0.0)")]
    #[case::open_end("a/pkg:[3.0.0,]", "a/pkg:[3.0.0,]")]
    #[case::hash(
        "a:pkg:1.0.0:0123456789ABCDEF0123456789abcdef01234567",
        "a:pkg:1.0.0:0123456789abcdef0123456789abcdef01234567"
    )]
    #[case::a_version_is_never_a_name("pkg:1.2.3", "pkg:1.2.3")]
    fn every_written_form_is_read(#[case] text: &str, #[case] written: &str) {
        let read: Dependency = text.parse().unwrap();
        assert_eq!(read.to_string(), written);
        assert_eq!(written.parse::<Dependency>().unwrap().to_string(), written);
    }

    #[rstest]
    #[case::empty("")]
    #[case::half_open("pkg:[1.0.0")]
    #[case::bad_range("a:pkg:1.0")]
    #[case::bad_hash("a:pkg:1.0.0:0123")]
    #[case::five_parts("a:b:1.0.0:c:d")]
    #[case::blank("a pkg")]
    fn everything_else_is_refused(#[case] text: &str) {
        assert!(text.parse::<Dependency>().is_err());
    }
}
