use std::collections::BTreeMap;

use hayloft_feed::{Arrival, Stability, TagChange, Version};

use crate::NpmVersion;

const LATEST: &str = "latest";

/// The dist-tags after a change: `latest` follows what arrives without a word about tags if that
/// is stable and higher, and exists whenever a version does.
///
/// A packument without `latest` breaks a bare `npm install`. A client that publishes under a tag
/// of its own, such as `next`, leaves `latest` where it is.
pub(crate) fn after(change: &TagChange<'_>) -> BTreeMap<String, String> {
    let mut tags = change.tags.clone();
    let present = tags.get(LATEST);
    let latest = match (present, change.arrived) {
        (Some(present), Some((Arrival::Untagged, version))) => {
            (version.stability() == Stability::Stable && is_higher(version, present))
                .then_some(version)
        }
        (Some(_), _) => None,
        (None, Some((_, version))) => Some(version),
        (None, None) => change.highest_stable.or(change.highest),
    };
    if let Some(version) = latest {
        tags.insert(LATEST.to_owned(), version.text().to_owned());
    }
    tags
}

/// Whatever is no version is lower than one.
fn is_higher(version: &Version, present: &str) -> bool {
    NpmVersion::loose(present)
        .map(|present| present.version())
        .map_or(true, |present| version.sort_key() > present.sort_key())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse::<NpmVersion>().unwrap().version()
    }

    #[rstest]
    #[case::higher_stable(Some("1.0.0"), Arrival::Untagged, "1.1.0", "1.1.0")]
    #[case::lower(Some("1.0.0"), Arrival::Untagged, "0.9.0", "1.0.0")]
    #[case::prerelease(Some("1.0.0"), Arrival::Untagged, "2.0.0-rc.1", "1.0.0")]
    #[case::over_a_prerelease(Some("1.0.0-rc.1"), Arrival::Untagged, "1.0.0", "1.0.0")]
    #[case::published_under_a_tag(Some("1.0.0"), Arrival::Tagged, "2.0.0", "1.0.0")]
    #[case::first(None, Arrival::Untagged, "1.0.0-rc.1", "1.0.0-rc.1")]
    #[case::first_under_a_tag(None, Arrival::Tagged, "1.0.0", "1.0.0")]
    #[case::over_nonsense(Some("gone"), Arrival::Untagged, "1.0.0", "1.0.0")]
    fn latest_follows_what_arrives(
        #[case] present: Option<&str>,
        #[case] arrival: Arrival,
        #[case] arrived: &str,
        #[case] expected: &str,
    ) {
        let mut tags = BTreeMap::from([("next".to_owned(), "9.0.0".to_owned())]);
        tags.extend(present.map(|present| (LATEST.to_owned(), present.to_owned())));
        let arrived = version(arrived);
        let after = after(&TagChange::new(&tags).arrived(arrival, &arrived));
        assert_eq!(after[LATEST], expected);
        assert_eq!(after["next"], "9.0.0");
    }

    #[test]
    fn after_a_delete_latest_is_the_highest_stable_version_left() {
        let tags = BTreeMap::new();
        let (stable, any) = (version("1.0.0"), version("2.0.0-rc.1"));
        let latest =
            |any, stable| after(&TagChange::new(&tags).highest(any, stable)).remove(LATEST);
        assert_eq!(latest(Some(&any), Some(&stable)).as_deref(), Some("1.0.0"));
        assert_eq!(latest(Some(&any), None).as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(latest(None, None), None);
    }
}
