use hayloft_universal::UniversalVersion;
use serde::Deserialize;

use crate::connection::{Connection, Target, parse};
use crate::failure::Failure;

/// Bytes of one version in a list: it comes with its manifest, which may have 8 MiB.
const LARGEST: u64 = 10 << 20;

/// One version of a package, as the universal feed lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ListedVersion {
    #[serde(default)]
    pub(super) group: Option<String>,
    pub(super) name: String,
    pub(super) version: String,
}

/// Finds the version that is asked for: the exact text, `latest` (the highest stable one) or
/// `latest-unstable`.
pub(super) fn find(
    connection: &Connection,
    feed: &str,
    package: &str,
    version: &str,
) -> Result<ListedVersion, Failure> {
    let (group, name) = package.rsplit_once('/').unwrap_or(("", package));
    let target = Target::new(&["upack", feed, "versions"])
        .query("group", Some(group))
        .query("name", Some(name));
    let mut choice = Choice::new(version);
    connection.fetch(target)?.each_up_to(LARGEST, &mut |element| {
        choice.offer(parse(element.get())?);
        Ok(())
    })?;
    let prerelease = choice.prerelease.take();
    choice.best().ok_or_else(|| {
        let text = format!("{package} {version} was not found in the feed {feed}");
        match prerelease {
            Some(newest) => Failure::text(text).advise(format!(
                "{package} has prereleases only, such as {newest}, which latest-unstable finds"
            )),
            None => Failure::text(text),
        }
    })
}

/// The version that is asked for, out of those seen so far.
struct Choice<'a> {
    asked: &'a str,
    best: Option<(Option<UniversalVersion>, ListedVersion)>,
    /// One that was passed over for being no release.
    prerelease: Option<String>,
}

impl<'a> Choice<'a> {
    fn new(asked: &'a str) -> Self {
        Self { asked, best: None, prerelease: None }
    }

    fn offer(&mut self, listed: ListedVersion) {
        let prereleases = match self.asked {
            "latest" | "latest-stable" => false,
            "latest-unstable" => true,
            exact => {
                if self.best.is_none() && listed.version == exact {
                    self.best = Some((None, listed));
                }
                return;
            }
        };
        let Ok(version) = UniversalVersion::parse_stored(&listed.version) else { return };
        let better = self.best.as_ref().is_none_or(|(best, _)| best.as_ref() <= Some(&version));
        if version.is_prerelease() && !prereleases {
            self.prerelease.get_or_insert(listed.version);
        } else if better {
            self.best = Some((Some(version), listed));
        }
    }

    fn best(self) -> Option<ListedVersion> {
        self.best.map(|(_, listed)| listed)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::exact("1.0.0-rc.1", &["1.0.0-rc.1", "1.0.0"], Some("1.0.0-rc.1"))]
    #[case::build_counts("1.0.0+b", &["1.0.0+a", "1.0.0+b"], Some("1.0.0+b"))]
    #[case::stable("latest", &["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"], Some("1.10.0"))]
    #[case::any("latest-unstable", &["2.0.0-rc.2", "1.0.0", "2.0.0-rc.10"], Some("2.0.0-rc.10"))]
    #[case::no_stable("latest", &["1.0.0-rc.1"], None)]
    #[case::missing("3.0.0", &["1.0.0"], None)]
    #[case::nothing("latest", &[], None)]
    fn versions_are_picked(
        #[case] asked: &str,
        #[case] listed: &[&str],
        #[case] expected: Option<&str>,
    ) {
        let mut choice = Choice::new(asked);
        for version in listed {
            let (name, version) = ("a".to_owned(), (*version).to_owned());
            choice.offer(ListedVersion { group: None, name, version });
        }
        let picked = choice.best().map(|each| each.version);
        assert_eq!(picked.as_deref(), expected);
    }
}
