use std::ops::ControlFlow;

use hayloft_feed::PackageHead;
use hayloft_feed::native::{FeedView, SampleRequest, ViewError, encoded, segments};

use super::entry::package_file;
use super::{files_wanted, lookup};

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    ServiceIndex,
    FlatIndex {
        id: String,
    },
    Flat {
        id: String,
        version: String,
        file: String,
    },
    Registration {
        id: String,
    },
    Page {
        id: String,
        lower: String,
        upper: String,
    },
    Leaf {
        id: String,
        version: String,
    },
    Search,
    Autocomplete,
    /// Below the V2 root; segments are decoded.
    Odata(Vec<String>),
    Publish(Target),
}

/// What a push, delete or the like is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Packages,
    Symbols,
    Version { id: String, version: String },
    Deprecations { id: String },
}

impl Target {
    pub(crate) fn allowed(&self) -> &'static str {
        match self {
            Self::Packages | Self::Symbols | Self::Deprecations { .. } => "PUT",
            Self::Version { .. } => "DELETE, POST",
        }
    }
}

impl Route {
    /// Clients add and double slashes, so empty segments count for nothing.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        // The public gallery has V2 at `/api/v2`, and so have scripts written for it.
        let below_v2 = match segments.as_slice() {
            [v2, rest @ ..] if v2.eq_ignore_ascii_case("v2") => Some(rest),
            [api, v2, rest @ ..]
                if api.eq_ignore_ascii_case("api") && v2.eq_ignore_ascii_case("v2") =>
            {
                Some(rest)
            }
            _ => None,
        };
        if let Some(rest) = below_v2 {
            return Some(Self::Odata(rest.iter().map(|segment| (*segment).to_owned()).collect()));
        }
        let [v3, rest @ ..] = segments.as_slice() else { return None };
        if !v3.eq_ignore_ascii_case("v3") {
            return None;
        }
        let own = |text: &&str| (*text).to_owned();
        match rest {
            ["index.json"] => Some(Self::ServiceIndex),
            ["search"] => Some(Self::Search),
            ["autocomplete"] => Some(Self::Autocomplete),
            ["flat", id, "index.json"] => Some(Self::FlatIndex { id: own(id) }),
            ["flat", id, version, file] => {
                Some(Self::Flat { id: own(id), version: own(version), file: own(file) })
            }
            ["registration", id, "index.json"] => Some(Self::Registration { id: own(id) }),
            ["registration", id, leaf] => {
                let version = leaf.strip_suffix(".json")?.to_owned();
                Some(Self::Leaf { id: own(id), version })
            }
            ["registration", id, "page", lower, upper] => {
                let upper = upper.strip_suffix(".json")?.to_owned();
                Some(Self::Page { id: own(id), lower: own(lower), upper })
            }
            ["symbolpackage"] => Some(Self::Publish(Target::Symbols)),
            ["package"] => Some(Self::Publish(Target::Packages)),
            ["package", id, "deprecations"] => {
                Some(Self::Publish(Target::Deprecations { id: own(id) }))
            }
            ["package", id, version] => {
                Some(Self::Publish(Target::Version { id: own(id), version: own(version) }))
            }
            _ => None,
        }
    }
}

/// One of each read.
pub(crate) fn reads() -> Vec<SampleRequest> {
    [
        "/v3/index.json",
        "/v3/flat/a/index.json",
        "/v3/flat/a/1.0.0/a.1.0.0.nupkg",
        "/v3/flat/a/1.0.0/a.1.0.0.snupkg",
        "/v3/flat/a/1.0.0/a.nuspec",
        "/v3/flat/a/1.0.0/icon",
        "/v3/flat/a/1.0.0/readme",
        "/v3/flat/a/1.0.0/license",
        "/v3/registration/a/index.json",
        "/v3/registration/a/page/1.0.0/2.0.0.json",
        "/v3/registration/a/1.0.0.json",
        "/v3/search?q=a&skip=0&take=20&prerelease=true&semVerLevel=2.0.0",
        "/v3/autocomplete?q=a",
        "/v3/autocomplete?id=a",
        "/v2",
        "/v2/$metadata",
        "/v2/FindPackagesById()?id='a'&semVerLevel=2.0.0",
        "/v2/FindPackagesById()/$count?id='a'",
        "/v2/Packages(Id='a',Version='1.0.0')",
        "/v2/Packages()?$filter=tolower(Id)%20eq%20'a'&$orderby=Id&$skip=0&$top=30",
        "/v2/Search()?$filter=IsLatestVersion&searchTerm='a'&includePrerelease=false",
        "/v2/Search()/$count?searchTerm='a'&includePrerelease=false",
        "/v2/GetUpdates()?packageIds='a'&versions='1.0.0'&includePrerelease=false",
        "/v2/GetUpdates()/$count?packageIds='a'&versions='1.0.0'&includePrerelease=true",
        "/v2/package/a/1.0.0",
    ]
    .into_iter()
    .map(SampleRequest::read)
    .collect()
}

/// All documents and files of one package.
pub(crate) fn paths_of(
    view: &dyn FeedView,
    head: &PackageHead,
    visit: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let id = encoded(&head.name.name().to_ascii_lowercase());
    let mut bounds: Vec<String> = Vec::new();
    lookup::versions(view, &head.name, &files_wanted(), &mut |entry| {
        let version = encoded(entry.identity);
        visit(&format!("/v3/registration/{id}/{version}.json"));
        let number = package_file(entry.fragments);
        for file in entry.files {
            if Some(file.id.number) != number {
                visit(&format!("/v3/flat/{id}/{version}/{id}.{version}.snupkg"));
                continue;
            }
            visit(&format!("/v3/flat/{id}/{version}/{id}.{version}.nupkg"));
            for document in &file.documents {
                match document.as_str() {
                    "nuspec" => visit(&format!("/v3/flat/{id}/{version}/{id}.nuspec")),
                    name => visit(&format!("/v3/flat/{id}/{version}/{name}")),
                }
            }
        }
        bounds.push(encoded(&super::search::normalized(entry).to_ascii_lowercase()));
        ControlFlow::Continue(())
    })?;
    for page in super::registration::pages(&bounds) {
        if let (Some(lower), Some(upper)) = (page.first(), page.last()) {
            visit(&format!("/v3/registration/{id}/page/{lower}/{upper}.json"));
        }
    }
    visit(&format!("/v3/registration/{id}/index.json"));
    visit(&format!("/v3/flat/{id}/index.json"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_and_final_slashes_count_for_nothing() {
        let push = Some(Route::Publish(Target::Packages));
        assert_eq!(Route::of("/v3/package/"), push);
        assert_eq!(Route::of("//v3//package"), push);
        assert_eq!(Route::of("/v2/"), Some(Route::Odata(Vec::new())));
        assert_eq!(Route::of("/api/v2"), Some(Route::Odata(Vec::new())));
        let packages = Route::Odata(vec!["Packages(Id='a',Version='1.0')".to_owned()]);
        assert_eq!(Route::of("/v2//Packages(Id=%27a%27,Version=%271.0%27)"), Some(packages));
        assert_eq!(Route::of("/v3/flat/a"), None);
        assert_eq!(Route::of(""), None);
    }
}
