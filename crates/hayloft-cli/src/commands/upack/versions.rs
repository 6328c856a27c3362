use hayloft_universal::UniversalVersion;
use serde::Deserialize;

use crate::connection::{Connection, Target};
use crate::failure::Failure;

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
    let listed: Vec<ListedVersion> = connection.get(target)?;
    pick(listed, version).ok_or_else(|| {
        Failure::text(format!("{package} {version} was not found in the feed {feed}"))
    })
}

fn pick(listed: Vec<ListedVersion>, version: &str) -> Option<ListedVersion> {
    let prereleases = match version {
        "latest" | "latest-stable" => false,
        "latest-unstable" => true,
        exact => return listed.into_iter().find(|each| each.version == exact),
    };
    listed
        .into_iter()
        .filter_map(|each| Some((UniversalVersion::parse_stored(&each.version).ok()?, each)))
        .filter(|(version, _)| prereleases || !version.is_prerelease())
        .max_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, each)| each)
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
        let listed = listed.iter().map(|version| ListedVersion {
            group: None,
            name: "a".to_owned(),
            version: (*version).to_owned(),
        });
        let picked = pick(listed.collect(), asked).map(|each| each.version);
        assert_eq!(picked.as_deref(), expected);
    }
}
