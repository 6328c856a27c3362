use hayloft_feed::native::segments;

/// What a path names. Clients whose host ends with a slash send two, which are one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Root,
    Versions,
    Names,
    Info(String),
    Specs(Specs),
    /// The specification of a gem by its full name.
    Quick(String),
    /// A gem by its full name.
    Gem(String),
    Dependencies {
        json: bool,
    },
    Package(String),
    PackageVersions(String),
    PackageLatest(String),
    Search,
    Owners(String),
    Push,
    Yank,
    Unyank,
    Key,
}

/// One of the three lists for clients that know no compact index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Specs {
    Releases,
    /// The newest release for each platform.
    Latest,
    Prereleases,
}

impl Specs {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Releases => "/specs.4.8.gz",
            Self::Latest => "/latest_specs.4.8.gz",
            Self::Prereleases => "/prerelease_specs.4.8.gz",
        }
    }
}

impl Place {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match segments.as_slice() {
            [] => Self::Root,
            ["versions"] => Self::Versions,
            ["names"] => Self::Names,
            ["info", name] => Self::Info((*name).to_owned()),
            ["specs.4.8.gz"] => Self::Specs(Specs::Releases),
            ["latest_specs.4.8.gz"] => Self::Specs(Specs::Latest),
            ["prerelease_specs.4.8.gz"] => Self::Specs(Specs::Prereleases),
            ["quick", "Marshal.4.8", file] => {
                Self::Quick(file.strip_suffix(".gemspec.rz")?.to_owned())
            }
            ["gems", file] => Self::Gem(file.strip_suffix(".gem")?.to_owned()),
            ["api", "v1", rest @ ..] => Self::of_api(rest)?,
            _ => return None,
        })
    }

    fn of_api(path: &[&str]) -> Option<Self> {
        Some(match path {
            ["gems"] => Self::Push,
            ["gems", "yank"] => Self::Yank,
            ["gems", "unyank"] => Self::Unyank,
            ["gems", name, "owners.yaml" | "owners"] => Self::Owners((*name).to_owned()),
            ["gems", file] => Self::Package(file.strip_suffix(".json")?.to_owned()),
            ["versions", name, "latest.json"] => Self::PackageLatest((*name).to_owned()),
            ["versions", file] => Self::PackageVersions(file.strip_suffix(".json")?.to_owned()),
            ["search.json"] => Self::Search,
            ["dependencies"] => Self::Dependencies { json: false },
            ["dependencies.json"] => Self::Dependencies { json: true },
            ["api_key" | "api_key.yaml"] => Self::Key,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some(Place::Root))]
    #[case("//", Some(Place::Root))]
    #[case("//api/v1/gems", Some(Place::Push))]
    #[case("/info/Gamma.x", Some(Place::Info("Gamma.x".into())))]
    #[case("/gems/a-1.0-java.gem", Some(Place::Gem("a-1.0-java".into())))]
    #[case("/quick/Marshal.4.8/a-1.gemspec.rz", Some(Place::Quick("a-1".into())))]
    #[case("/api/v1/gems/http_parser.rb.json", Some(Place::Package("http_parser.rb".into())))]
    #[case("/api/v1/versions/a/latest.json", Some(Place::PackageLatest("a".into())))]
    #[case("/gems/a-1.0", None)]
    #[case("/specs.4.8", None)]
    #[case("/info/a/b", None)]
    #[case("/info/%ff", None)]
    fn paths_name_places(#[case] path: &str, #[case] expected: Option<Place>) {
        assert_eq!(Place::of(path), expected);
    }
}
