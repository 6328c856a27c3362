use std::ops::ControlFlow;

use hayloft_feed::PackageHead;
use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, SearchPage, SearchQuery, Validator,
    VersionEntry, ViewError, Want, query_pairs,
};
use serde::Serialize;

use super::addresses::Addresses;
use super::deprecation::Deprecation;
use super::entry::{CatalogEntry, ENTRY, Links, PackageType, TRAITS};
use super::heads::Heads;
use super::traits::{Audience, Traits};
use super::{lookup, terms};
use crate::NuGetVersion;

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
struct FoundVersion {
    #[serde(rename = "@id")]
    url: String,
    version: String,
    downloads: u64,
}

/// What a client looks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    words: Vec<String>,
    skip: usize,
    take: usize,
    audience: Audience,
    /// In lower case.
    package_type: Option<String>,
    /// Versions of this package alone.
    id: Option<String>,
}

impl Wanted {
    /// Names of parameters compare without case. Numbers out of range are as good as none, as in
    /// the public gallery.
    fn of(query: &str) -> Self {
        let parameter = |names: &[&str]| {
            let mut pairs = query_pairs(query);
            pairs.find(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
        };
        let text = |names: &[&str]| parameter(names).map(|(_, value)| value);
        let number = |name: &str, most: usize, default: usize| {
            let number = text(&[name]).and_then(|text| text.parse().ok());
            number.filter(|number| *number <= most).unwrap_or(default)
        };
        let is_true = |text: String| text.eq_ignore_ascii_case("true");
        Self {
            words: terms::of_query(&text(&["q"]).unwrap_or_default()),
            skip: number("skip", MOST_SKIPPED, 0),
            take: number("take", MOST_TAKEN, TAKE),
            audience: Audience {
                prerelease: text(&["prerelease"]).is_some_and(is_true),
                semver2: text(&["semverlevel"]).is_some_and(|text| text.starts_with('2')),
            },
            package_type: text(&["packagetypefilter", "packagetype"])
                .map(|text| text.trim().to_ascii_lowercase())
                .filter(|text| !text.is_empty()),
            id: text(&["id"]),
        }
    }

    fn page(&self, view: &dyn FeedView) -> Result<SearchPage, ViewError> {
        // The last word matches a beginning, the type as a whole.
        let mut words: Vec<String> =
            self.package_type.iter().map(|kind| terms::of_type(kind)).collect();
        words.extend(self.words.iter().cloned());
        let skip = u64::try_from(self.skip).unwrap_or(u64::MAX);
        let query = SearchQuery::new(&words, self.take).skip(skip).flags(self.audience.flag());
        view.search(&query)
    }
}

/// Packages that have all words of `q`: the one of that id first, then by id.
pub(crate) fn search<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
) -> Result<Answer<'a>, ViewError> {
    let wanted = Wanted::of(request.query);
    let validator = validator(view, request, "search")?;
    let feed_url = request.feed_url;
    Ok(Answer::resource(Resource::document(validator, "application/json", move |out| {
        let page = wanted.page(view)?;
        write!(out, "{{\"totalHits\":{},\"data\":[", page.total)?;
        let mut comma = "";
        for head in &page.packages {
            let Some(found) = found(view, feed_url, &wanted, head)? else { continue };
            out.write_all(comma.as_bytes())?;
            serde_json::to_writer(&mut *out, &found).map_err(std::io::Error::from)?;
            comma = ",";
        }
        Ok(out.write_all(b"]}")?)
    })))
}

/// Ids that `q` finds, or with `id` the listed versions of that package in ascending order.
pub(crate) fn autocomplete<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
) -> Result<Answer<'a>, ViewError> {
    let wanted = Wanted::of(request.query);
    let validator = validator(view, request, "autocomplete")?;
    Ok(Answer::resource(Resource::document(validator, "application/json", move |out| {
        let (total, texts) = if let Some(id) = &wanted.id {
            let versions = versions_of(view, &wanted, id)?;
            (u64::try_from(versions.len()).unwrap_or(u64::MAX), versions)
        } else {
            let page = wanted.page(view)?;
            let ids = page.packages.into_iter().map(|head| head.name.name().to_owned());
            (page.total, ids.collect())
        };
        write!(out, "{{\"totalHits\":{total},\"data\":")?;
        serde_json::to_writer(&mut *out, &texts).map_err(std::io::Error::from)?;
        Ok(out.write_all(b"}")?)
    })))
}

/// Results show download counts.
fn validator(
    view: &dyn FeedView,
    request: &Request<'_>,
    form: &str,
) -> Result<Validator, ViewError> {
    let counts = view.counts_revision()?.to_string();
    let parts = [form, request.feed_url, request.query, &counts];
    Ok(view.validator(view.feed().revision, &parts))
}

fn versions_of(view: &dyn FeedView, wanted: &Wanted, id: &str) -> Result<Vec<String>, ViewError> {
    let Some(package) = lookup::package(id) else { return Ok(Vec::new()) };
    let mut versions = Vec::new();
    view.versions(package.key(), &Want::fragments(&[TRAITS]), &mut |entry| {
        if wanted.audience.finds(entry, &Traits::of_version(entry)) {
            versions.push(normalized(entry));
        }
        ControlFlow::Continue(())
    })?;
    Ok(versions)
}

pub(crate) fn normalized(entry: &VersionEntry<'_>) -> String {
    let parsed = entry.text.parse::<NuGetVersion>();
    parsed.map_or_else(|_| entry.identity.to_owned(), |version| version.normalized())
}

/// `None` if the index of search is ahead of or behind the package.
fn found(
    view: &dyn FeedView,
    feed_url: &str,
    wanted: &Wanted,
    head: &PackageHead,
) -> Result<Option<Found>, RenderError> {
    let name = head.name.key();
    let heads = Heads::read(view, name)?;
    let Some(version) = heads.of(wanted.audience).and_then(lookup::version) else {
        return Ok(None);
    };
    let mut shown = None;
    view.version(name, &version, &Want::fragments(&[ENTRY]), &mut |entry| {
        let deprecation = entry.status.deprecated.as_ref().map(Deprecation::from);
        shown = Some(CatalogEntry::of_version(entry, feed_url).map(|read| (read, deprecation)));
    })?;
    let Some((entry, deprecation)) = shown.transpose()? else { return Ok(None) };
    let addresses = Addresses(feed_url);
    let mut versions = Vec::new();
    view.versions(name, &Want::fragments(&[TRAITS]).downloads(), &mut |entry| {
        if wanted.audience.finds(entry, &Traits::of_version(entry)) {
            versions.push(FoundVersion {
                url: addresses.leaf(head.name.name(), entry.identity),
                version: normalized(entry),
                downloads: entry.downloads,
            });
        }
        ControlFlow::Continue(())
    })?;
    let list = |text: &str| {
        let names = text.split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let url = addresses.registration(head.name.name());
    let package_types = if entry.package_types.is_empty() {
        vec![PackageType { name: "Dependency".to_owned() }]
    } else {
        entry.package_types
    };
    Ok(Some(Found {
        registration: url.clone(),
        url,
        id: head.name.name().to_owned(),
        version: entry.version,
        authors: list(&entry.authors),
        owners: list(&entry.owners),
        links: entry.links,
        title: entry.title.unwrap_or_else(|| head.name.name().to_owned()),
        description: entry.description,
        tags: entry.tags,
        summary: entry.summary,
        project_url: entry.project_url,
        total_downloads: head.downloads,
        verified: false,
        package_types,
        versions,
        deprecation,
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::absent("", (0, 20))]
    #[case::asked("skip=5&TAKE=7", (5, 7))]
    #[case::none("take=0", (0, 0))]
    #[case::too_many("skip=3001&take=1001", (0, 20))]
    #[case::malformed("skip=-1&take=x", (0, 20))]
    fn pages_have_bounds(#[case] query: &str, #[case] page: (usize, usize)) {
        let wanted = Wanted::of(query);
        assert_eq!((wanted.skip, wanted.take), page);
    }

    #[test]
    fn clients_say_what_they_can_read() {
        let wanted =
            Wanted::of("q=a+b&prerelease=True&semVerLevel=2.0.0&packageTypeFilter=DotnetTool");
        assert_eq!(wanted.words, ["a", "b"]);
        assert_eq!(wanted.audience, Audience { prerelease: true, semver2: true });
        assert_eq!(wanted.package_type.as_deref(), Some("dotnettool"));
        assert_eq!(Wanted::of("").audience, Audience { prerelease: false, semver2: false });
    }
}
