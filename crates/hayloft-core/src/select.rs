use hayloft_feed::{Coordinates, FeedType, FeedTypeError, FileRole, Purl, Qualifiers, shorten};

use crate::{NoSuchFeed, PackageFile, StoreError};

/// Which version of a package is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The one that this text names, by the type's rule of equality.
    Exact(String),
    /// The highest of all.
    Latest,
    /// The highest stable one.
    LatestStable,
}

impl From<&str> for Wanted {
    fn from(version: &str) -> Self {
        Self::Exact(version.to_owned())
    }
}

impl From<String> for Wanted {
    fn from(version: String) -> Self {
        Self::Exact(version)
    }
}

impl From<&String> for Wanted {
    fn from(version: &String) -> Self {
        Self::Exact(version.clone())
    }
}

/// Names one version of one package, or one file of it; nothing is checked yet.
///
/// A text with blanks that matches nothing is tried again with `+` in their place, because
/// clients leave a plus sign unescaped in queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name. Matches exactly by the type's rule, else the only package whose name differs
    /// in ASCII case alone.
    pub name: String,
    /// Version.
    pub version: Wanted,
    /// Narrows down to files that have all of these.
    pub qualifiers: Qualifiers,
    /// Which role the file has.
    pub role: FileRole,
}

impl From<&PackageFile> for Selector {
    /// That file, in whatever feed is asked for it.
    fn from(file: &PackageFile) -> Self {
        Self {
            group: file.group.clone(),
            name: file.name.clone(),
            version: Wanted::Exact(file.version.clone()),
            qualifiers: file.qualifiers.clone(),
            role: file.role,
        }
    }
}

impl Selector {
    /// The only package file of a version of a package that is in no group. A row of a list, whose
    /// package may be in one, is turned into a selector by `Selector::from`.
    pub fn ungrouped(name: impl Into<String>, version: impl Into<Wanted>) -> Self {
        Self::grouped("", name, version)
    }

    /// The only package file of a version of a package in a group: npm's scope with its `@`,
    /// universal's group; an empty text is no group.
    pub fn grouped(
        group: impl Into<String>,
        name: impl Into<String>,
        version: impl Into<Wanted>,
    ) -> Self {
        Self {
            group: group.into(),
            name: name.into(),
            version: version.into(),
            qualifiers: Qualifiers::none(),
            role: FileRole::Package,
        }
    }

    /// What a package URL names by the rules of its type; `missing` stands for a version that it
    /// does not name.
    pub fn from_purl(
        feed_type: &dyn FeedType,
        purl: &Purl,
        missing: Wanted,
    ) -> Result<Self, FeedTypeError> {
        let Coordinates { group, name, qualifiers, .. } = feed_type.coordinates(purl)?;
        let version = purl.version.clone().map_or(missing, Wanted::Exact);
        Ok(Self::grouped(group, name, version).with_qualifiers(qualifiers))
    }

    /// The same with qualifiers.
    #[must_use]
    pub fn with_qualifiers(mut self, qualifiers: Qualifiers) -> Self {
        self.qualifiers = qualifiers;
        self
    }

    /// The same for a companion file.
    #[must_use]
    pub fn companion(mut self) -> Self {
        self.role = FileRole::Companion;
        self
    }

    /// `group/name version`, for messages.
    pub(crate) fn shown(&self) -> String {
        let version = match &self.version {
            Wanted::Exact(text) => text.as_str(),
            Wanted::Latest => "latest",
            Wanted::LatestStable => "latest-stable",
        };
        let separator = if self.group.is_empty() { "" } else { "/" };
        shown(&format!("{}{separator}{}", self.group, self.name), version, &self.qualifiers)
    }
}

/// A version or one of its files in words; a long name does not hide the version.
pub(crate) fn shown(package: &str, version: &str, qualifiers: &Qualifiers) -> String {
    let mut text = format!("{} {}", shorten(package), shorten(version));
    if !qualifiers.is_empty() {
        text.push(' ');
        text.push_str(&shorten(&qualifiers.to_string()));
    }
    text
}

/// A selector does not lead to what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No such feed.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// There is no such package, version or file.
    #[error("`{package}` is not in feed `{feed}`")]
    NotFound {
        /// What was asked for.
        package: String,
        /// Name of the feed.
        feed: String,
    },
    /// Several files fit; name one.
    #[error("`{package}` has several files; add one of these qualifiers: {}", listed(qualifiers))]
    AmbiguousFile {
        /// What was asked for.
        package: String,
        /// The qualifiers of each file that fits.
        qualifiers: Vec<Qualifiers>,
    },
    /// Several packages have names that differ from the one asked for in case alone.
    #[error("`{package}` fits several packages; spell it as one of: {}", names.join(", "))]
    AmbiguousName {
        /// What was asked for.
        package: String,
        /// Names as spelled, at most 20.
        names: Vec<String>,
    },
    /// Name, version, qualifier or package URL is malformed for the feed's type.
    #[error(transparent)]
    Invalid(#[from] FeedTypeError),
    /// The version may not be downloaded, promoted or repackaged.
    #[error("`{package}` is blocked")]
    Blocked {
        /// What was asked for.
        package: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn listed(qualifiers: &[Qualifiers]) -> String {
    let mut texts: Vec<String> = qualifiers.iter().take(20).map(ToString::to_string).collect();
    if qualifiers.len() > texts.len() {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_does_not_hide_the_version() {
        let text = shown(&"n".repeat(100), "1.0.0-rc.1", &Qualifiers::default());
        assert!(text.ends_with("… 1.0.0-rc.1"), "{text}");
    }
}
