use std::ops::ControlFlow;

use hayloft_feed::native::{FeedView, ViewError, Want};
use hayloft_feed::{FileCard, PackageHead, Stability, Version, shorten};

use super::is_shown;
use crate::{FullName, UniversalVersion};

/// What stands behind `download/` and the like: `{group/}{name}/{version}`, or with `latest` in
/// the query `{group/}{name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackagePath {
    pub(super) group: String,
    pub(super) name: String,
    /// `None` is the newest.
    pub(super) version: Option<String>,
}

impl PackagePath {
    /// A group may have slashes, so the last segments decide.
    pub(super) fn parse(path: &str, latest: bool) -> Option<Self> {
        let path = path.trim_matches('/');
        let (package, version) = if latest {
            (path, None)
        } else {
            let (package, version) = path.rsplit_once('/')?;
            (package, Some(version.to_owned()))
        };
        let (group, name) = package.rsplit_once('/').unwrap_or(("", package));
        let (group, name) = (group.to_owned(), name.to_owned());
        (!name.is_empty()).then_some(Self { group, name, version })
    }

    /// The package and the version; the newest is the highest stable one that lists show, else the
    /// highest of all that they show.
    pub(super) fn find(
        &self,
        view: &dyn FeedView,
    ) -> Result<Option<(PackageHead, Version)>, ViewError> {
        let Ok(name) = FullName::new(&self.group, &self.name) else { return Ok(None) };
        let Ok(name) = name.package_name() else { return Ok(None) };
        let Some(head) = view.package(name.key())? else { return Ok(None) };
        let version = match &self.version {
            None => newest(view, &head)?,
            Some(text) => {
                let parsed = UniversalVersion::parse_stored(text).ok();
                parsed.map(|version| version.version())
            }
        };
        let Some(version) = version else { return Ok(None) };
        let mut found = None;
        view.version(head.name.key(), &version, &Want::nothing(), &mut |entry| {
            found = Some(entry.version());
        })?;
        Ok(found.map(|version| (head, version)))
    }

    /// The one file of the version, too.
    pub(super) fn find_file(
        &self,
        view: &dyn FeedView,
    ) -> Result<Option<(PackageHead, Version, FileCard)>, ViewError> {
        let Some((head, version)) = self.find(view)? else { return Ok(None) };
        let mut file = None;
        view.version(head.name.key(), &version, &Want::nothing().files(), &mut |entry| {
            file = entry.files.first().cloned();
        })?;
        Ok(file.map(|file| (head, version, file)))
    }

    /// Says that it is not there.
    pub(super) fn missing(&self) -> String {
        let group = if self.group.is_empty() { "" } else { "/" };
        let package = shorten(&format!("{}{group}{}", self.group, self.name));
        match &self.version {
            Some(version) => format!("there is no version `{}` of `{package}`", shorten(version)),
            None => format!("there is no package `{package}`"),
        }
    }
}

/// Point reads as a rule: the package knows its highest versions.
pub(super) fn newest(
    view: &dyn FeedView,
    head: &PackageHead,
) -> Result<Option<Version>, ViewError> {
    for text in [&head.latest_stable, &head.latest].into_iter().flatten() {
        let parsed = UniversalVersion::parse_stored(text).ok();
        let Some(version) = parsed.map(|version| version.version()) else { continue };
        let mut shown = false;
        view.version(head.name.key(), &version, &Want::nothing(), &mut |entry| {
            shown = is_shown(entry.status);
        })?;
        if shown {
            return Ok(Some(version));
        }
    }
    let (mut stable, mut any) = (None, None);
    view.versions(head.name.key(), &Want::nothing(), &mut |entry| {
        if is_shown(entry.status) {
            let is_stable = entry.stability == Stability::Stable;
            *(if is_stable { &mut stable } else { &mut any }) = Some(entry.version());
        }
        ControlFlow::Continue(())
    })?;
    Ok(stable.or(any))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_group("name/1.0.0", false, "", "name", Some("1.0.0"))]
    #[case::group("a/name/1.0.0", false, "a", "name", Some("1.0.0"))]
    #[case::groups("a/b/c/name/1.0.0", false, "a/b/c", "name", Some("1.0.0"))]
    #[case::newest("name", true, "", "name", None)]
    #[case::newest_of_a_name_like_a_version("a/1.0.0/", true, "a", "1.0.0", None)]
    fn paths_are_read_from_their_end(
        #[case] path: &str,
        #[case] latest: bool,
        #[case] group: &str,
        #[case] name: &str,
        #[case] version: Option<&str>,
    ) {
        let expected = PackagePath {
            group: group.to_owned(),
            name: name.to_owned(),
            version: version.map(str::to_owned),
        };
        assert_eq!(PackagePath::parse(path, latest), Some(expected));
    }

    #[test]
    fn a_version_is_needed_unless_the_newest_is_asked_for() {
        assert_eq!(PackagePath::parse("name", false), None);
        assert_eq!(PackagePath::parse("", true), None);
        assert_eq!(PackagePath::parse("/", true), None);
    }
}
