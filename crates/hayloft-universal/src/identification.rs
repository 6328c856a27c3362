use std::fmt;
use std::str::FromStr;

use hayloft_feed::shorten;

use crate::{FullName, FullNameError, UniversalVersion, VersionError};

/// Names one version of a package, and perhaps its exact file: `group/name:version:sha1`.
///
/// Read also with a colon after the group, as real manifests have it.
#[derive(Debug, Clone)]
pub struct Identification {
    /// Group and name.
    pub package: FullName,
    /// Version, under the rules for stored packages.
    pub version: UniversalVersion,
    /// SHA-1 of the package file; a file with another one must not be used.
    pub sha1: Option<Sha1Text>,
}

/// The SHA-1 of a package file: 40 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha1Text(Box<str>);

/// Text is not a SHA-1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not a SHA-1 of 40 hex digits", shorten(.0))]
pub struct Sha1TextError(String);

/// Text is not a package identification string.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentificationError {
    /// Too few or too many parts.
    #[error("`{}` is not of the form group/name:version or group/name:version:sha1", shorten(.0))]
    Shape(String),
    /// The group or name.
    #[error(transparent)]
    Name(#[from] FullNameError),
    /// The version.
    #[error("`{}` is not a version", shorten(.0))]
    Version(String, #[source] VersionError),
    /// The part after the version.
    #[error(transparent)]
    Sha1(#[from] Sha1TextError),
}

impl Sha1Text {
    /// 40 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_one(text: &str) -> bool {
        text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl FromStr for Sha1Text {
    type Err = Sha1TextError;

    fn from_str(text: &str) -> Result<Self, Sha1TextError> {
        if Self::is_one(text) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(Sha1TextError(text.to_owned()))
        }
    }
}

impl fmt::Display for Sha1Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Identification {
    type Err = IdentificationError;

    fn from_str(text: &str) -> Result<Self, IdentificationError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (package, version, sha1) = match *parts.as_slice() {
            [name, version] => (name.parse()?, version, None),
            [name, version, sha1] if Sha1Text::is_one(sha1) => (name.parse()?, version, Some(sha1)),
            [group, name, version] => (FullName::new(group, name)?, version, None),
            [group, name, version, sha1] => (FullName::new(group, name)?, version, Some(sha1)),
            _ => return Err(IdentificationError::Shape(text.to_owned())),
        };
        let version = UniversalVersion::parse_stored(version)
            .map_err(|error| IdentificationError::Version(version.to_owned(), error))?;
        Ok(Self { package, version, sha1: sha1.map(str::parse).transpose()? })
    }
}

impl fmt::Display for Identification {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.package, self.version)?;
        if let Some(sha1) = &self.sha1 {
            write!(out, ":{sha1}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SHA1: &str = "0123456789ABCDEF0123456789abcdef01234567";

    #[rstest]
    #[case::name("pkg:1.0.0", "pkg:1.0.0")]
    #[case::slash("a/b/pkg:1.0.0", "a/b/pkg:1.0.0")]
    #[case::colon("inedox:AWS:3.1.0-CI.2", "inedox/AWS:3.1.0-CI.2")]
    #[case::empty_group(":pkg:1.0.0", "pkg:1.0.0")]
    #[case::hash(
        &format!("a/pkg:1.0.0:{SHA1}"),
        "a/pkg:1.0.0:0123456789abcdef0123456789abcdef01234567"
    )]
    #[case::four_parts(
        &format!("a/b:pkg:1.0.0:{SHA1}"),
        "a/b/pkg:1.0.0:0123456789abcdef0123456789abcdef01234567"
    )]
    fn every_written_form_is_read(#[case] text: &str, #[case] written: &str) {
        let read: Identification = text.parse().unwrap();
        assert_eq!(read.to_string(), written);
        assert_eq!(written.parse::<Identification>().unwrap().to_string(), written);
    }

    #[rstest]
    #[case::name_alone("pkg")]
    #[case::no_version("pkg:")]
    #[case::five_parts("a:b:1.0.0:c:d")]
    #[case::short_hash("a:b:1.0.0:0123")]
    #[case::no_semantic_version("pkg:1.0")]
    #[case::backslash("a\\pkg:1.0.0")]
    fn everything_else_is_refused(#[case] text: &str) {
        assert!(text.parse::<Identification>().is_err());
    }
}
