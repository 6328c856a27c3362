use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use hayloft::{LatestQuery, Manifests, PackageFile, Pick, Stability, Store, VersionsQuery};
use hayloft_nuget::Manifest;
use serde::Serialize;
use serde_json::json;

use super::addresses::Addresses;
use super::deprecation::Deprecation;
use super::failure::Failure;
use super::feed;
use super::flat_container::{key, manifest, parsed};
use super::registration::Links;
use crate::native::feed_url::FeedUrl;
use crate::parameters::Parameters;
use crate::transfer::json_list_within;
use crate::{ApiError, App, Right, Visitor};

/// Results of a page unless a client asks for another number.
const TAKE: usize = 20;
/// Most results of a page.
const MOST_TAKEN: usize = 1_000;
/// Most results before a page.
const MOST_SKIPPED: usize = 3_000;

/// One package found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(rename = "@id")]
    url: String,
    registration: String,
    id: String,
    version: String,
    description: String,
    authors: Vec<String>,
    owners: Vec<String>,
    tags: Vec<String>,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_url: Option<String>,
    #[serde(flatten)]
    links: Links,
    total_downloads: u64,
    verified: bool,
    package_types: Vec<PackageType>,
    versions: Vec<FoundVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<Deprecation>,
}

#[derive(Debug, Serialize)]
struct PackageType {
    name: String,
}

#[derive(Debug, Serialize)]
struct FoundVersion {
    #[serde(rename = "@id")]
    url: String,
    version: String,
    downloads: u64,
}

/// Packages whose ids contain all words of `q`: the id itself first, then those that begin with
/// it, then the others, each by id.
///
/// Costs one scan of the highest versions of the feed.
pub(super) async fn search(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    parameters: Parameters,
    url: FeedUrl,
) -> Result<Response, Failure> {
    let wanted = Wanted::of(&parameters);
    let filter = wanted.visible.clone();
    let (feed, page) = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?.name;
            let page = wanted.page(session.store(), &feed)?;
            Ok((feed, page))
        })
        .await?;
    let before = format!(r#"{{"totalHits":{},"data":"#, page.total);
    let (store, addresses) = (app.store().clone(), Addresses::of(url));
    let rows = page
        .files
        .into_iter()
        .filter_map(move |file| found(&store, &feed, &addresses, &filter, &file).transpose());
    let mut response = json_list_within(&app, &before, rows, |_| "}".to_owned()).await?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Ids that `q` finds, or with `id` the listed versions of that package in ascending order.
pub(super) async fn autocomplete(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let wanted = Wanted::of(&parameters);
    let id = parameters.get(&["id"]).map(str::to_owned);
    let answer = app
        .run(visitor, move |session| {
            let feed = feed(session, &name, &[Right::View])?.name;
            let store = session.store();
            if let Some(id) = id {
                let mut versions = Vec::new();
                for file in wanted.visible.versions(store, &feed, &id)? {
                    versions.push(parsed(&file?)?.normalized());
                }
                versions.reverse();
                return Ok(json!({ "totalHits": versions.len(), "data": versions }));
            }
            let page = wanted.page(store, &feed)?;
            let ids: Vec<String> = page.files.into_iter().map(|file| file.name).collect();
            Ok(json!({ "totalHits": page.total, "data": ids }))
        })
        .await?;
    let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    Ok((headers, Json(answer)).into_response())
}

/// `None` if the package has gone meanwhile.
fn found(
    store: &Store,
    feed: &str,
    addresses: &Addresses,
    filter: &Visible,
    file: &PackageFile,
) -> Result<Option<Found>, ApiError> {
    let Some(manifest) = manifest(store, file)? else { return Ok(None) };
    let list = |text: &Option<String>| {
        let names = text.as_deref().unwrap_or_default().split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut versions = Vec::new();
    for each in filter.versions(store, feed, &file.name)? {
        let each = each?;
        let version = parsed(&each)?;
        versions.push(FoundVersion {
            url: addresses.leaf(&each.name, &version.key()),
            version: version.normalized(),
            downloads: each.version_downloads,
        });
    }
    versions.reverse();
    let url = addresses.registration(&file.name);
    Ok(Some(Found {
        registration: url.clone(),
        url,
        id: file.name.clone(),
        version: manifest.full_version.clone(),
        authors: list(&manifest.authors),
        owners: list(&manifest.owners),
        links: Links::of(addresses, &file.name, &key(file)?, &manifest),
        title: manifest.title.unwrap_or_else(|| file.name.clone()),
        description: manifest.description.unwrap_or_default(),
        tags: manifest.tags,
        summary: manifest.summary,
        project_url: manifest.project_url,
        total_downloads: file.package_downloads,
        verified: false,
        package_types: type_names(&manifest.package_types),
        versions,
        deprecation: file.status.deprecated.as_ref().map(Deprecation::from),
    }))
}

/// A package that names no type is a dependency.
fn type_names(types: &[hayloft_nuget::PackageType]) -> Vec<PackageType> {
    if types.is_empty() {
        return vec![PackageType { name: "Dependency".to_owned() }];
    }
    types.iter().map(|kind| PackageType { name: kind.name.clone() }).collect()
}

/// Which versions a client wants to see.
#[derive(Debug, Clone)]
struct Visible {
    prerelease: bool,
    semver2: bool,
    package_type: Option<String>,
}

/// What a client looks for.
#[derive(Debug)]
struct Wanted {
    /// In lower case.
    words: Vec<String>,
    skip: usize,
    take: usize,
    visible: Visible,
}

struct Page {
    total: usize,
    files: Vec<PackageFile>,
}

impl Wanted {
    /// Numbers out of range are as good as none, as in the public gallery.
    fn of(parameters: &Parameters) -> Self {
        let number = |name: &str, most: usize, default: usize| {
            let number = parameters.get(&[name]).and_then(|text| text.parse().ok());
            number.filter(|number| *number <= most).unwrap_or(default)
        };
        let words = parameters.get(&["q"]).unwrap_or_default().split_whitespace();
        let prerelease = parameters.get(&["prerelease"]);
        let level = parameters.get(&["semverlevel"]);
        let package_type = parameters.get(&["packagetypefilter", "packagetype"]);
        Self {
            words: words.map(bare).collect(),
            skip: number("skip", MOST_SKIPPED, 0),
            take: number("take", MOST_TAKEN, TAKE),
            visible: Visible {
                prerelease: prerelease.is_some_and(|text| text.eq_ignore_ascii_case("true")),
                semver2: level.is_some_and(|text| text.starts_with('2')),
                package_type: package_type.map(str::to_owned),
            },
        }
    }

    fn page(&self, store: &Store, feed: &str) -> Result<Page, ApiError> {
        let pick = if self.visible.prerelease { Pick::Highest } else { Pick::HighestStable };
        let manifests = self.visible.manifests();
        let query = LatestQuery { pick, manifests, ..LatestQuery::default() };
        let most = self.skip + self.take;
        let mut ranks: [Vec<PackageFile>; 3] = Default::default();
        let mut total = 0;
        for file in store.latest(feed, &query)? {
            let file = file?;
            let Some(rank) = self.rank(&file.name) else { continue };
            let Some(mut shown) = self.visible.highest(store, feed, file)? else { continue };
            total += 1;
            if let Some(rank) = ranks.get_mut(rank).filter(|rank| rank.len() < most) {
                // It may be large, and is read again for the page alone.
                shown.manifest = None;
                rank.push(shown);
            }
        }
        let files = ranks.into_iter().flatten().skip(self.skip).take(self.take).collect();
        Ok(Page { total, files })
    }

    /// 0 is the best.
    fn rank(&self, id: &str) -> Option<usize> {
        let id = id.to_lowercase();
        if !self.words.iter().all(|word| id.contains(word)) {
            return None;
        }
        Some(match self.words.first() {
            Some(word) if *word == id => 0,
            Some(word) if id.starts_with(word.as_str()) => 1,
            _ => 2,
        })
    }
}

impl Visible {
    fn manifests(&self) -> Manifests {
        // Whether a version needs SemVer 2 depends on its dependencies, too.
        let needed = !self.semver2 || self.package_type.is_some();
        if needed { Manifests::Included } else { Manifests::Omitted }
    }

    fn shows(&self, file: &PackageFile) -> Result<bool, ApiError> {
        let open = file.status.is_listed() && !file.status.is_blocked();
        if !open || (file.stability == Stability::Prerelease && !self.prerelease) {
            return Ok(false);
        }
        let Some(text) = &file.manifest else { return Ok(true) };
        let manifest: Manifest = serde_json::from_str(text).map_err(ApiError::internal)?;
        let is_type = |wanted: &String| {
            let names = type_names(&manifest.package_types);
            names.iter().any(|kind| kind.name.eq_ignore_ascii_case(wanted))
        };
        Ok((self.semver2 || !manifest.semver2) && self.package_type.as_ref().is_none_or(is_type))
    }

    /// The highest version to be seen, of a package whose highest of all is given.
    fn highest(
        &self,
        store: &Store,
        feed: &str,
        file: PackageFile,
    ) -> Result<Option<PackageFile>, ApiError> {
        if self.shows(&file)? {
            return Ok(Some(file));
        }
        self.versions(store, feed, &file.name)?.next().transpose()
    }

    /// The versions to be seen of a package, highest first.
    fn versions(
        &self,
        store: &Store,
        feed: &str,
        id: &str,
    ) -> Result<impl Iterator<Item = Result<PackageFile, ApiError>>, ApiError> {
        let query = VersionsQuery {
            name: Some(id.to_owned()),
            manifests: self.manifests(),
            ..VersionsQuery::default()
        };
        let files = store.versions(feed, &query)?;
        Ok(files.filter_map(|file| match file.map_err(ApiError::from) {
            Ok(file) => match self.shows(&file) {
                Ok(true) => Some(Ok(file)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            },
            Err(error) => Some(Err(error)),
        }))
    }
}

/// A word of a query without the field that some clients put before it.
fn bare(word: &str) -> String {
    let word = word.to_lowercase();
    let fields = ["packageid:", "id:"];
    let field = fields.iter().find_map(|field| word.strip_prefix(field));
    field.unwrap_or(&word).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn wanted(query: &str) -> Wanted {
        Wanted::of(&Parameters::of_form(query).unwrap())
    }

    #[rstest]
    #[case::exact("Acme.Core", Some(0))]
    #[case::prefix("acme", Some(1))]
    #[case::inside("core", Some(2))]
    #[case::all_words("core acme", Some(2))]
    #[case::field("id:\"Acme.Core\"", Some(0))]
    #[case::everything("", Some(2))]
    #[case::other_word("acme web", None)]
    fn the_nearest_ids_come_first(#[case] query: &str, #[case] rank: Option<usize>) {
        assert_eq!(wanted(&format!("q={query}")).rank("Acme.Core"), rank);
    }

    #[rstest]
    #[case::absent("", (0, 20))]
    #[case::asked("skip=5&TAKE=7", (5, 7))]
    #[case::none("take=0", (0, 0))]
    #[case::too_many("skip=3001&take=1001", (0, 20))]
    #[case::malformed("skip=-1&take=x", (0, 20))]
    fn pages_have_bounds(#[case] query: &str, #[case] page: (usize, usize)) {
        let wanted = wanted(query);
        assert_eq!((wanted.skip, wanted.take), page);
    }
}
