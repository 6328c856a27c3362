//! Finds the versions that a query asks for.
//!
//! First come their keys, from a scan of each package that may have some, or from nothing but
//! the package's row where only its latest version counts; then the entries of one page.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hayloft_feed::native::{FeedView, RenderError, SearchQuery, VersionEntry, ViewError, Want};
use hayloft_feed::{FileCard, NameKey, PackageHead, Timestamp, Version};

use super::expression::{Expression, Property, Row, Value};
use super::query::{Collection, Next, Place, Query, VersionPlace};
use crate::NuGetVersion;
use crate::native::entry::{CatalogEntry, ENTRY, TRAITS, package_file};
use crate::native::heads::Heads;
use crate::native::traits::{Audience, Traits};
use crate::native::{lookup, search, terms};

/// Most packages or versions that one request looks at; a link leads to what is behind them.
const MOST_LOOKED_AT: usize = 50_000;
/// As how many a version counts whose catalog entry is read.
const ENTRY_COUNTS: usize = 4;
/// Packages of one question to the index of search.
const STEP: usize = 500;

/// The keys of one page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) hits: Vec<Hit>,
    /// All matches, if they were counted.
    pub(crate) total: Option<u64>,
    /// Where a client that follows links finds more.
    pub(crate) next: Option<Next>,
}

/// One version that matches.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// Of the package, in lower case.
    id: String,
    name: NameKey,
    identity: String,
    sort_key: Vec<u8>,
    published: Timestamp,
    downloads: u64,
}

/// One version, with all that its entry says.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of the entry")]
pub(crate) struct Found {
    pub(crate) entry: CatalogEntry,
    /// As spelled.
    pub(crate) version: String,
    pub(crate) normalized: String,
    pub(crate) is_prerelease: bool,
    pub(crate) is_latest: bool,
    pub(crate) is_absolute_latest: bool,
    pub(crate) is_listed: bool,
    pub(crate) published: Timestamp,
    pub(crate) file: FileCard,
    pub(crate) downloads: u64,
    pub(crate) package_downloads: u64,
}

/// The latest versions of a package for readers of a level.
#[derive(Debug, Default)]
struct Latest {
    stable: Option<String>,
    absolute: Option<String>,
}

impl Latest {
    fn read(view: &dyn FeedView, name: &NameKey, semver2: bool) -> Result<Self, ViewError> {
        let heads = Heads::read(view, name)?;
        let of = |prerelease| heads.of(Audience { prerelease, semver2 }).map(str::to_owned);
        Ok(Self { stable: of(false), absolute: of(true) })
    }

    fn of(&self, flag: Property) -> Option<&str> {
        match flag {
            Property::IsLatestVersion => self.stable.as_deref(),
            _ => self.absolute.as_deref(),
        }
    }
}

/// What an expression looks at.
struct Candidate<'a> {
    head: &'a PackageHead,
    latest: &'a Latest,
    entry: &'a VersionEntry<'a>,
    /// Read only if the expression needs it.
    catalog: Option<CatalogEntry>,
}

impl Row for Candidate<'_> {
    fn property(&self, property: Property) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        let optional = |found: Option<&String>| found.map_or(Value::Null, |found| text(found));
        let is = |head: &Option<String>| Value::Flag(head.as_deref() == Some(self.entry.identity));
        let catalog = self.catalog.as_ref();
        match property {
            Property::Id => text(self.head.name.name()),
            Property::Version => text(self.entry.text),
            Property::NormalizedVersion => text(self.entry.identity),
            Property::IsPrerelease => {
                Value::Flag(self.entry.stability == hayloft_feed::Stability::Prerelease)
            }
            Property::IsLatestVersion => is(&self.latest.stable),
            Property::IsAbsoluteLatestVersion => is(&self.latest.absolute),
            Property::Listed => Value::Flag(self.entry.status.is_listed()),
            Property::Published => text(&published(self.entry)),
            #[expect(clippy::cast_precision_loss, reason = "it is compared, not counted with")]
            Property::DownloadCount => Value::Number(self.head.downloads as f64),
            Property::Title => optional(catalog.and_then(|entry| entry.title.as_ref())),
            Property::Summary => optional(catalog.and_then(|entry| entry.summary.as_ref())),
            Property::Description => optional(catalog.map(|entry| &entry.description)),
            Property::Authors => optional(catalog.map(|entry| &entry.authors)),
            Property::Tags => catalog.map_or(Value::Null, |entry| Value::Text(tags(&entry.tags))),
        }
    }
}

fn place_of(entry: &VersionEntry<'_>) -> VersionPlace {
    let (sort_key, identity) = (entry.sort_key.to_vec(), entry.identity.to_owned());
    VersionPlace { sort_key, identity }
}

/// Unlisted versions were published in 1900, say galleries, and clients look for that.
fn published(entry: &VersionEntry<'_>) -> String {
    if entry.status.is_listed() { entry.published.to_string() } else { UNLISTED.to_owned() }
}

/// When what is unlisted was published.
pub(crate) const UNLISTED: &str = "1900-01-01T00:00:00.000Z";

/// With a blank before and behind each, so that a whole tag can be searched for.
pub(crate) fn tags(tags: &[String]) -> String {
    if tags.is_empty() { String::new() } else { format!(" {} ", tags.join(" ")) }
}

pub(crate) fn page(view: &dyn FeedView, query: &Query) -> Result<Page, ViewError> {
    if let Some(flag) = query.only_latest()
        && query.collection == Collection::Search
        && query.is_natural()
    {
        return latest_page(view, query, flag);
    }
    let mut collected = Collected::new(query);
    if query.collection == Collection::Updates {
        collected.by_key = false;
        for id in query.updates.ids() {
            if let Some(name) = lookup::package(id)
                && let Some(head) = view.package(name.key())?
                && !collected.is_full()
            {
                collected.package(view, &head)?;
            }
        }
    } else if let Some(id) = &query.id {
        if let Some(name) = lookup::package(id)
            && let Some(head) = view.package(name.key())?
        {
            collected.package(view, &head)?;
        }
    } else if let Some(words) = query.search_term.as_deref().map(terms::of_query)
        && !words.is_empty()
    {
        collected.by_key = false;
        search_by_words(view, query, &words, &mut collected)?;
    } else {
        all_packages(view, &mut collected)?;
    }
    Ok(collected.into_page())
}

/// One version of each package that is found: pages and counts are those of the index of search.
fn latest_page(view: &dyn FeedView, query: &Query, flag: Property) -> Result<Page, ViewError> {
    let words = terms::of_query(query.search_term.as_deref().unwrap_or_default());
    let prerelease = flag == Property::IsAbsoluteLatestVersion && query.audience.prerelease;
    let audience = Audience { prerelease, ..query.audience };
    let search = SearchQuery::new(&words, query.most())
        .skip(u64::try_from(query.skip).unwrap_or(u64::MAX))
        .flags(audience.flag());
    let found = view.search(&search)?;
    let mut hits = Vec::new();
    for head in found.packages {
        let latest = Latest::read(view, head.name.key(), audience.semver2)?;
        let property = if prerelease { flag } else { Property::IsLatestVersion };
        if let Some(version) = latest.of(property) {
            hits.extend(Hit::of_latest(&head, version));
        }
    }
    let seen = query.skip.saturating_add(hits.len());
    let has_more = query.top.is_none() && found.total > u64::try_from(seen).unwrap_or(u64::MAX);
    let next = has_more.then_some(Next { after: None, skip: seen });
    Ok(Page { hits, total: Some(found.total), next })
}

fn search_by_words(
    view: &dyn FeedView,
    query: &Query,
    words: &[String],
    collected: &mut Collected<'_>,
) -> Result<(), ViewError> {
    let mut skip = 0;
    while !collected.is_full() {
        let mut search = SearchQuery::new(words, STEP).skip(skip);
        if query.collection == Collection::Search {
            search = search.flags(query.audience.flag());
        }
        let found = view.search(&search)?;
        if found.packages.is_empty() {
            break;
        }
        skip = skip.saturating_add(u64::try_from(found.packages.len()).unwrap_or(u64::MAX));
        for head in &found.packages {
            if !collected.is_full() {
                collected.package(view, head)?;
            }
        }
    }
    Ok(())
}

fn all_packages(view: &dyn FeedView, collected: &mut Collected<'_>) -> Result<(), ViewError> {
    let after = collected.query.after.as_ref();
    if let Some(Place { package, version: Some(_) }) = after
        && let Some(head) = view.package(package)?
    {
        collected.package(view, &head)?;
    }
    let mut failed = None;
    view.packages(after.map(|place| &place.package), &mut |head| {
        if collected.is_full() {
            return ControlFlow::Break(());
        }
        match collected.package(view, head) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Matches so far.
struct Collected<'q> {
    query: &'q Query,
    needs_entries: bool,
    latest: Option<Property>,
    matches: usize,
    looked_at: usize,
    hits: Vec<Hit>,
    /// The highest match so far, where only that of each package counts.
    highest: Option<Hit>,
    /// How far it has come, if packages come in the order of their keys.
    reached: Option<Place>,
    by_key: bool,
}

impl<'q> Collected<'q> {
    fn new(query: &'q Query) -> Self {
        let needs_entries = query.filter.as_ref().is_some_and(Expression::needs_entries);
        let latest = query.latest();
        Self {
            query,
            needs_entries,
            latest,
            matches: 0,
            looked_at: 0,
            hits: Vec::new(),
            highest: None,
            reached: None,
            by_key: true,
        }
    }

    /// True if what is behind cannot change the page.
    fn is_full(&self) -> bool {
        let known = self.ends_early() && self.matches > self.query.behind();
        known || self.is_exhausted()
    }

    /// True if a page can end before all is seen.
    fn ends_early(&self) -> bool {
        self.query.is_natural() && !self.query.counted
    }

    fn is_exhausted(&self) -> bool {
        self.looked_at >= MOST_LOOKED_AT
    }

    fn package(&mut self, view: &dyn FeedView, head: &PackageHead) -> Result<(), ViewError> {
        self.looked_at += 1;
        let latest = Latest::read(view, head.name.key(), self.query.audience.semver2)?;
        let kinds: &[u8] = if self.needs_entries { &[ENTRY, TRAITS] } else { &[TRAITS] };
        let mut want = Want::fragments(kinds);
        let here = |place: &&Place| place.package == *head.name.key();
        let after = self.query.after.as_ref().filter(here).and_then(|at| at.version.as_ref());
        let id = head.name.name().to_lowercase();
        let installed = self.query.updates.lowest(&id);
        if let Some(lowest) = after.map(|after| &after.sort_key).or(installed.as_ref()) {
            want = want.starting_at(lowest);
        }
        if let Some(flag) = self.latest {
            let Some(version) = latest.of(flag).and_then(lookup::version) else { return Ok(()) };
            let mut found = Ok(());
            view.version(head.name.key(), &version, &want, &mut |entry| {
                if after.is_none_or(|after| *after < place_of(entry)) {
                    found = self.consider(head, &latest, entry);
                }
            })?;
            self.take_highest();
            self.reached = Some(Place { package: head.name.key().clone(), version: None });
            return found;
        }
        let mut failed = None;
        let mut is_cut = false;
        lookup::versions(view, &head.name, &want, &mut |entry| {
            let place = place_of(entry);
            if after.is_some_and(|after| place <= *after) {
                return ControlFlow::Continue(());
            }
            if let Err(error) = self.consider(head, &latest, entry) {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            if self.is_full() {
                let package = head.name.key().clone();
                self.reached = Some(Place { package, version: Some(place) });
                is_cut = true;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        self.take_highest();
        if !is_cut {
            self.reached = Some(Place { package: head.name.key().clone(), version: None });
        }
        failed.map_or(Ok(()), Err)
    }

    fn consider(
        &mut self,
        head: &PackageHead,
        latest: &Latest,
        entry: &VersionEntry<'_>,
    ) -> Result<(), ViewError> {
        self.looked_at += if self.needs_entries { ENTRY_COUNTS } else { 1 };
        let audience = self.query.audience;
        let traits = Traits::of_version(entry);
        let is_shown = match self.query.collection {
            Collection::Search => audience.finds(entry, &traits),
            Collection::Updates => {
                let id = head.name.name().to_lowercase();
                audience.finds(entry, &traits) && self.query.updates.has(&id, entry.identity)
            }
            Collection::ById | Collection::Packages => {
                !entry.status.is_blocked() && audience.sees(entry.stability, traits.semver2)
            }
        };
        if !is_shown || package_file(entry.fragments).is_none() {
            return Ok(());
        }
        if let Some(filter) = &self.query.filter {
            // Nothing that an expression compares holds the URL of the feed.
            let catalog =
                self.needs_entries.then(|| CatalogEntry::of_version(entry, "")).transpose()?;
            if !filter.matches(&Candidate { head, latest, entry, catalog }) {
                return Ok(());
            }
        }
        let hit = Hit::of(head, entry);
        if self.query.collection == Collection::Updates && !self.query.updates.all {
            // Versions come from the lowest to the highest.
            self.highest = Some(hit);
        } else {
            self.take(hit);
        }
        Ok(())
    }

    fn take_highest(&mut self) {
        if let Some(highest) = self.highest.take() {
            self.take(highest);
        }
    }

    fn take(&mut self, hit: Hit) {
        self.matches += 1;
        if !self.query.is_natural() || self.hits.len() <= self.query.behind() {
            self.hits.push(hit);
        }
    }

    fn into_page(mut self) -> Page {
        if !self.query.is_natural() {
            let order = &self.query.order;
            self.hits.sort_by(|one, other| one.compare(other, order));
        }
        let is_cut = self.is_exhausted() && self.by_key;
        let has_place = self.ends_early() && self.by_key;
        let most = self.query.most();
        let behind = self.query.behind();
        let hits: Vec<Hit> = self.hits.into_iter().skip(self.query.skip).take(most).collect();
        let total = Some(u64::try_from(self.matches).unwrap_or(u64::MAX));
        let next = if self.query.top.is_some() {
            None
        } else if self.matches > behind {
            // A place costs what is behind it; a number, what is before as well.
            let last = hits.last().filter(|_| has_place);
            let skip = if last.is_some() { 0 } else { behind };
            Some(Next { after: last.map(Hit::place), skip })
        } else {
            let skip = self.query.skip.saturating_sub(self.matches);
            self.reached.filter(|_| is_cut).map(|place| Next { after: Some(place), skip })
        };
        Page { hits, total, next }
    }
}

impl Hit {
    fn of(head: &PackageHead, entry: &VersionEntry<'_>) -> Self {
        Self {
            id: head.name.name().to_ascii_lowercase(),
            name: head.name.key().clone(),
            identity: entry.identity.to_owned(),
            sort_key: entry.sort_key.to_vec(),
            published: entry.published,
            downloads: head.downloads,
        }
    }

    fn of_latest(head: &PackageHead, version: &str) -> Option<Self> {
        let parsed: NuGetVersion = version.parse().ok()?;
        Some(Self {
            id: head.name.name().to_ascii_lowercase(),
            name: head.name.key().clone(),
            identity: version.to_owned(),
            sort_key: parsed.sort_key().ok()?.as_bytes().to_vec(),
            published: Timestamp::default(),
            downloads: head.downloads,
        })
    }

    fn place(&self) -> Place {
        let (sort_key, identity) = (self.sort_key.clone(), self.identity.clone());
        let version = Some(VersionPlace { sort_key, identity });
        Place { package: self.name.clone(), version }
    }

    /// Ties are broken as the natural order does, so that pages fit together.
    fn compare(&self, other: &Self, order: &[(Property, bool)]) -> std::cmp::Ordering {
        let by = |property: Property| match property {
            Property::Id => self.id.cmp(&other.id),
            Property::DownloadCount => self.downloads.cmp(&other.downloads),
            Property::Published => self.published.cmp(&other.published),
            _ => self.sort_key.cmp(&other.sort_key),
        };
        let asked =
            order.iter().map(
                |(property, downwards)| {
                    if *downwards { by(*property).reverse() } else { by(*property) }
                },
            );
        asked
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then_with(|| self.id.cmp(&other.id))
            .then_with(|| self.sort_key.cmp(&other.sort_key))
            .then_with(|| self.identity.cmp(&other.identity))
    }
}

/// Shows the entries of a page in its order. Costs one scan for each package in it, of the versions
/// in it.
pub(crate) fn entries(
    view: &dyn FeedView,
    query: &Query,
    page: &Page,
    feed_url: &str,
    show: &mut dyn FnMut(&Found) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    let mut rest = page.hits.as_slice();
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|hit| hit.name == first.name).count();
        let (run, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = behind;
        let Some(head) = view.package(&first.name)? else { continue };
        let mut found = of_package(view, &head, run, query.audience.semver2, feed_url)?;
        for hit in run {
            if let Some(found) = found.remove(&hit.identity) {
                show(&found)?;
            }
        }
    }
    Ok(())
}

fn of_package(
    view: &dyn FeedView,
    head: &PackageHead,
    hits: &[Hit],
    semver2: bool,
    feed_url: &str,
) -> Result<BTreeMap<String, Found>, ViewError> {
    let keys = || hits.iter().map(|hit| hit.sort_key.as_slice());
    let (Some(lowest), Some(highest)) = (keys().min(), keys().max()) else {
        return Ok(BTreeMap::new());
    };
    let latest = Latest::read(view, head.name.key(), semver2)?;
    let want = Want::fragments(&[ENTRY, TRAITS]).files().downloads().between(lowest, highest);
    let wanted: std::collections::BTreeSet<&str> =
        hits.iter().map(|hit| hit.identity.as_str()).collect();
    let mut found = BTreeMap::new();
    let mut failed = None;
    lookup::versions(view, &head.name, &want, &mut |entry| {
        if !wanted.contains(entry.identity) {
            return ControlFlow::Continue(());
        }
        match Found::of(head, &latest, entry, feed_url) {
            Ok(Some(one)) => {
                found.insert(entry.identity.to_owned(), one);
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(found), Err)
}

/// One version by its key, whatever its level.
pub(crate) fn one(
    view: &dyn FeedView,
    head: &PackageHead,
    version: &Version,
    feed_url: &str,
) -> Result<Option<Found>, ViewError> {
    let latest = Latest::read(view, head.name.key(), true)?;
    let want = Want::fragments(&[ENTRY, TRAITS]).files().downloads();
    let mut found = Ok(None);
    view.version(head.name.key(), version, &want, &mut |entry| {
        if !entry.status.is_blocked() {
            found = Found::of(head, &latest, entry, feed_url);
        }
    })?;
    found
}

impl Found {
    fn of(
        head: &PackageHead,
        latest: &Latest,
        entry: &VersionEntry<'_>,
        feed_url: &str,
    ) -> Result<Option<Self>, ViewError> {
        let number = package_file(entry.fragments);
        let file = entry.files.iter().find(|file| Some(file.id.number) == number);
        let Some(file) = file else { return Ok(None) };
        let is = |head: &Option<String>| head.as_deref() == Some(entry.identity);
        Ok(Some(Self {
            entry: CatalogEntry::of_version(entry, feed_url)?,
            version: entry.text.to_owned(),
            normalized: search::normalized(entry),
            is_prerelease: entry.stability == hayloft_feed::Stability::Prerelease,
            is_latest: is(&latest.stable),
            is_absolute_latest: is(&latest.absolute),
            is_listed: entry.status.is_listed(),
            published: entry.published,
            file: file.clone(),
            downloads: entry.downloads,
            package_downloads: head.downloads,
        }))
    }
}
