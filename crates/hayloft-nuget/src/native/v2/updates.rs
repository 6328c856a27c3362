//! `GetUpdates()`: what is newer than what a client has installed.

use std::collections::BTreeMap;

use hayloft_feed::shorten;

use crate::{NuGetVersion, VersionRange};

/// Most packages of one question.
const MOST: usize = 1_000;

/// What a client has, by the id of the package in lower case.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    installed: BTreeMap<String, Vec<Installed>>,
    /// Whether all newer versions are asked for, or the highest of each package.
    pub(crate) all: bool,
}

/// A version that is installed, and which others may take its place.
#[derive(Debug)]
pub(crate) struct Installed {
    version: NuGetVersion,
    range: Option<VersionRange>,
}

impl Updates {
    /// Each of the texts is a list with `|` between its parts. `Err` says what is not known here.
    pub(crate) fn parse(
        ids: &str,
        versions: &str,
        ranges: &str,
        all: bool,
    ) -> Result<Self, String> {
        let parts = |text: &str| -> Vec<String> {
            if text.is_empty() {
                return Vec::new();
            }
            text.split('|').map(|part| part.trim().to_owned()).collect()
        };
        let (ids, versions, mut ranges) = (parts(ids), parts(versions), parts(ranges));
        if ids.len() != versions.len() {
            let (ids, versions) = (ids.len(), versions.len());
            return Err(format!("`packageIds` has {ids} parts and `versions` {versions}"));
        }
        if ids.len() > MOST {
            return Err(format!("`packageIds` has more than {MOST} parts"));
        }
        // Most clients send one empty text for all.
        if ranges.is_empty() {
            ranges.resize(ids.len(), String::new());
        }
        if ranges.len() != ids.len() {
            let (ids, ranges) = (ids.len(), ranges.len());
            return Err(format!("`packageIds` has {ids} parts and `versionConstraints` {ranges}"));
        }
        let mut installed: BTreeMap<String, Vec<Installed>> = BTreeMap::new();
        for ((id, version), range) in ids.into_iter().zip(versions).zip(ranges) {
            let version = version
                .parse()
                .map_err(|_| format!("`{}` in `versions` is no version", shorten(&version)))?;
            let range = match range.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| {
                    format!("`{}` in `versionConstraints` is no range", shorten(text))
                })?),
            };
            installed.entry(id.to_lowercase()).or_default().push(Installed { version, range });
        }
        Ok(Self { installed, all })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.installed.keys().map(String::as_str)
    }

    /// The sort key of the lowest version that is installed of a package.
    pub(crate) fn lowest(&self, id: &str) -> Option<Vec<u8>> {
        let installed = self.installed.get(id)?.iter();
        installed.filter_map(|have| Some(have.version.sort_key().ok()?.as_bytes().to_vec())).min()
    }

    /// Whether a version may take the place of one that is installed.
    pub(crate) fn has(&self, id: &str, version: &str) -> bool {
        let Ok(version) = version.parse::<NuGetVersion>() else { return false };
        let mut installed = self.installed.get(id).into_iter().flatten();
        installed.any(|have| {
            version.compare(&have.version).is_gt()
                && have.range.as_ref().is_none_or(|range| range.is_satisfied_by(&version))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_installed_version_may_give_way() {
        let updates = Updates::parse("A|b|a", "1.0|2.0|3.0-rc", "[1.0,2.0)||", true).unwrap();
        assert_eq!(updates.ids().collect::<Vec<_>>(), ["a", "b"]);
        for (id, version, expected) in [
            ("a", "1.0.0", false),
            ("a", "1.5", true),
            ("a", "2.0", false),
            ("a", "3.0.0", true),
            ("b", "2.0.0-rc", false),
            ("b", "2.0.1", true),
            ("c", "9.0", false),
        ] {
            assert_eq!(updates.has(id, version), expected, "{id} {version}");
        }
        let key = |text: &str| text.parse::<NuGetVersion>().unwrap().sort_key().unwrap();
        assert_eq!(updates.lowest("a").unwrap(), key("1.0").as_bytes());
        assert!(updates.lowest("c").is_none());
    }

    #[test]
    fn lists_that_do_not_fit_together_are_named() {
        let none = Updates::parse("", "", "", false).unwrap();
        assert_eq!(none.ids().count(), 0);
        let many = "a|".repeat(MOST) + "a";
        let versions = "1|".repeat(MOST) + "1";
        for (ids, versions, ranges, expected) in [
            ("a|b", "1.0", "", "`packageIds` has 2 parts and `versions` 1"),
            ("a|b", "1.0|1.0", "[1.0]", "`versionConstraints` 1"),
            ("a", "one", "", "`one` in `versions`"),
            ("a", "1.0", "[2.0,1.0]", "`[2.0,1.0]` in `versionConstraints`"),
            (&many, &versions, "", "more than 1000"),
        ] {
            let error = Updates::parse(ids, versions, ranges, false).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
