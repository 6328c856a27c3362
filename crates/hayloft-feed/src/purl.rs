use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::qualifiers::RESERVED;
use crate::{Qualifiers, QualifiersError};

/// A package URL: `pkg:type/group/name@version?qualifiers`, decoded.
///
/// Reading is as lenient as the clients of package servers need: a literal `@` in a scope, raw `+`
/// and `:` in a version. Writing percent-encodes everything that is not unreserved in RFC 3986.
/// Syntax: <https://github.com/package-url/purl-spec>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purl {
    /// Lower case, such as `npm`.
    pub package_type: String,
    /// Namespace with `/` between its segments; empty if there is none.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version; `None` names the package.
    pub version: Option<String>,
    /// Which file of the version.
    pub qualifiers: Qualifiers,
}

/// Text is not a package URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurlError {
    /// Does not begin with `pkg:`.
    #[error("does not begin with `pkg:`")]
    Scheme,
    /// Lacks the type or the name.
    #[error("is not of the form pkg:type/name@version")]
    Shape,
    /// A part is not UTF-8 after decoding.
    #[error("does not decode to UTF-8")]
    Encoding,
    /// The part after `?`.
    #[error("has malformed qualifiers")]
    Qualifiers(#[source] QualifiersError),
}

impl FromStr for Purl {
    type Err = PurlError;

    fn from_str(text: &str) -> Result<Self, PurlError> {
        let rest = text.trim().strip_prefix("pkg:").ok_or(PurlError::Scheme)?;
        let rest = rest.split('#').next().unwrap_or(rest).trim_start_matches('/');
        let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (package_type, path) = path.split_once('/').ok_or(PurlError::Shape)?;
        let (group, last) = path.rsplit_once('/').unwrap_or(("", path));
        // A scope's own `@` is the first character of its segment, never a version mark.
        let (name, version) = match last.rsplit_once('@') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() => {
                (name, Some(version))
            }
            _ => (last, None),
        };
        if package_type.is_empty() || name.is_empty() {
            return Err(PurlError::Shape);
        }
        Ok(Self {
            package_type: package_type.to_ascii_lowercase(),
            group: decoded(group.trim_matches('/'))?.into_owned(),
            name: decoded(name)?.into_owned(),
            version: version.map(decoded).transpose()?.map(Cow::into_owned),
            qualifiers: qualifiers.parse().map_err(PurlError::Qualifiers)?,
        })
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, PurlError> {
    percent_decode_str(text).decode_utf8().map_err(|_| PurlError::Encoding)
}

impl fmt::Display for Purl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text| utf8_percent_encode(text, RESERVED);
        write!(out, "pkg:{}/", self.package_type)?;
        for segment in self.group.split('/').filter(|segment| !segment.is_empty()) {
            write!(out, "{}/", encoded(segment))?;
        }
        write!(out, "{}", encoded(&self.name))?;
        if let Some(version) = &self.version {
            write!(out, "@{}", encoded(version))?;
        }
        if !self.qualifiers.is_empty() {
            write!(out, "?{}", self.qualifiers)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Purl {
        text.parse().unwrap()
    }

    #[test]
    fn scopes_may_carry_a_literal_or_encoded_at_sign() {
        for text in ["pkg:npm/@angular/animation@12.3.1", "pkg:npm/%40angular/animation@12.3.1"] {
            let purl = read(text);
            assert_eq!((purl.group.as_str(), purl.name.as_str()), ("@angular", "animation"));
            assert_eq!(purl.version.as_deref(), Some("12.3.1"));
            assert_eq!(purl.to_string(), "pkg:npm/%40angular/animation@12.3.1");
        }
    }

    #[test]
    fn versions_are_optional_and_encoded_when_written() {
        assert_eq!(read("pkg:npm/@scope/name").version, None);
        let purl = read("PKG:deb/a@1".replace("PKG", "pkg").as_str());
        assert_eq!(purl.package_type, "deb");
        let epoch = read("pkg:deb/python3@1%3A3.9+x?arch=amd64#sub/path");
        assert_eq!(epoch.version.as_deref(), Some("1:3.9+x"));
        assert_eq!(epoch.to_string(), "pkg:deb/python3@1%3A3.9%2Bx?arch=amd64");
    }

    #[test]
    fn what_is_no_package_url_is_refused() {
        assert_eq!("npm/a@1".parse::<Purl>(), Err(PurlError::Scheme));
        assert_eq!("pkg:npm".parse::<Purl>(), Err(PurlError::Shape));
        assert_eq!("pkg:npm/a/".parse::<Purl>(), Err(PurlError::Shape));
        assert_eq!("pkg:npm/%ff@1".parse::<Purl>(), Err(PurlError::Encoding));
    }
}
