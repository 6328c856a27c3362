use hayloft::{Selector, Wanted};

use crate::ApiError;
use crate::parameters::Parameters;

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
    pub(super) fn parse(path: &str, parameters: &Parameters) -> Result<Self, ApiError> {
        let path = path.trim_matches('/');
        let (package, version) = if parameters.has("latest") {
            (path, None)
        } else {
            let (package, version) = path.rsplit_once('/').ok_or_else(|| {
                ApiError::bad_request("name a version behind the package, or add `?latest`")
            })?;
            (package, Some(version.to_owned()))
        };
        let (group, name) = package.rsplit_once('/').unwrap_or(("", package));
        Ok(Self { group: group.to_owned(), name: name.to_owned(), version })
    }

    /// The newest is the highest stable version; see [`PackagePath::any`].
    pub(super) fn selector(&self) -> Selector {
        self.select(self.version.clone().map_or(Wanted::LatestStable, Wanted::Exact))
    }

    /// Where there is no stable version, the highest of all is the newest.
    pub(super) fn any(&self) -> Option<Selector> {
        self.version.is_none().then(|| self.select(Wanted::Latest))
    }

    fn select(&self, version: Wanted) -> Selector {
        Selector::of(&self.name, version).in_group(&self.group)
    }
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
        let parameters = Parameters::of_form(if latest { "Latest" } else { "" }).unwrap();
        let expected = PackagePath {
            group: group.to_owned(),
            name: name.to_owned(),
            version: version.map(str::to_owned),
        };
        assert_eq!(PackagePath::parse(path, &parameters).unwrap(), expected);
    }

    #[test]
    fn a_version_is_needed_unless_the_newest_is_asked_for() {
        assert_eq!(PackagePath::parse("name", &Parameters::default()).unwrap_err().status(), 400);
    }
}
