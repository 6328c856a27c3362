use std::error::Error;
use std::sync::Arc;

use hayloft::{Feed, FeedType, FeedTypeError, Purl, Qualifiers, Selector, Store, Wanted};

use crate::ApiError;
use crate::parameters::{Parameters, missing};

/// Parameters that are a part of a qualifier when they stand alone: clients leave the `&` inside of
/// qualifiers and package URLs unescaped.
const LOOSE_QUALIFIERS: [&str; 9] = [
    "arch",
    "architecture",
    "component",
    "distribution",
    "distro",
    "file",
    "file_name",
    "filename",
    "platform",
];

/// What a request says about the package that it means; nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageQuery {
    group: Option<String>,
    name: Option<String>,
    version: Option<String>,
    qualifiers: Qualifiers,
    purl: Option<Purl>,
}

/// What `latest` means as a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keywords {
    /// The highest stable version.
    LatestIsStable,
    /// The highest version of all.
    LatestIsHighest,
    /// Nothing: a version must be named.
    Refused,
}

/// Which packages of a feed to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) group: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    /// Files must have all of these.
    pub(crate) qualifiers: Qualifiers,
}

impl PackageQuery {
    /// Picks out of the parameters what names a package.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let text = |names: &[&str]| parameters.get_literal(names).map(str::to_owned);
        let mut qualifiers = match parameters.get(&["qualifier"]) {
            None => Qualifiers::none(),
            Some(text) => text.parse().map_err(|error| {
                ApiError::bad_request(format!("the parameter `qualifier` is malformed: {error}"))
            })?,
        };
        for key in LOOSE_QUALIFIERS {
            if let Some(value) = parameters.get(&[key]) {
                qualifiers = merged(&qualifiers, [(key, value)])?;
            }
        }
        let purl = match text(&["purl"]) {
            None => None,
            Some(text) => Some(text.parse::<Purl>().map_err(|error| {
                let shown = hayloft::feed_type::shorten(&text);
                ApiError::bad_request(format!("`{shown}` is not a package URL: it {error}"))
            })?),
        };
        Ok(Self {
            group: text(&["group", "groupname", "scope"]).map(|group| unescaped_scope(&group)),
            name: text(&["name", "packagename", "package"]),
            version: text(&["version"]),
            qualifiers,
            purl,
        })
    }

    /// The one version that is meant, or one file of it.
    pub(crate) fn selector(
        &self,
        store: &Store,
        feed: &Feed,
        keywords: Keywords,
    ) -> Result<Selector, ApiError> {
        let purl = self.purl(store, feed)?;
        if purl.name.is_empty() {
            return Err(missing("name"));
        }
        let version = purl.version.as_deref().ok_or_else(|| missing("version"))?;
        let wanted = wanted(version, keywords)?;
        let selector = store.read_purl(&feed.name, &purl, wanted.clone())?;
        Ok(Selector { version: wanted, ..selector })
    }

    /// The packages that are meant; what is not said fits all.
    pub(crate) fn filter(&self, store: &Store, feed: &Feed) -> Result<Filter, ApiError> {
        let mut purl = self.purl(store, feed)?;
        let name = (!purl.name.is_empty()).then(|| purl.name.clone());
        if name.is_none() {
            // Stands for any name, so that the type can say what group and qualifiers mean.
            "aa".clone_into(&mut purl.name);
        }
        let read = store.read_purl(&feed.name, &purl, Wanted::Latest)?;
        let mut qualifiers = read.qualifiers;
        if let Some(feed_type) = store.feed_type(feed) {
            qualifiers = feed_type.qualifiers(&qualifiers)?;
            if !read.group.is_empty() {
                let checked = feed_type.package_name(&read.group, "aa");
                checked.map_err(|error| odd_group(&read.group, &error))?;
            }
        }
        let group = (!read.group.is_empty()).then_some(read.group);
        let name = name.map(|_| read.name);
        Ok(Filter { group, name, version: purl.version, qualifiers })
    }

    /// All that was said as one package URL; its name is empty if there was none.
    fn purl(&self, store: &Store, feed: &Feed) -> Result<Purl, ApiError> {
        let Some(purl) = &self.purl else {
            return Ok(Purl {
                package_type: feed.package_type.clone(),
                group: self.group.clone().unwrap_or_default(),
                name: self.name.clone().unwrap_or_default(),
                version: self.version.clone(),
                qualifiers: self.qualifiers.clone(),
            });
        };
        let feed_type = store.feed_type(feed);
        self.check_agreement(purl, feed_type.as_ref())?;
        Ok(Purl {
            version: purl.version.clone().or_else(|| self.version.clone()),
            group: unescaped_scope(&purl.group),
            qualifiers: merged(&purl.qualifiers, self.qualifiers.iter())?,
            ..purl.clone()
        })
    }

    /// Other parameters may repeat what the package URL says, but not contradict it.
    fn check_agreement(
        &self,
        purl: &Purl,
        feed_type: Option<&Arc<dyn FeedType>>,
    ) -> Result<(), ApiError> {
        let bare = |group: &str| group.trim_start_matches('@').to_ascii_lowercase();
        let group = self.group.as_ref();
        let group_agrees = group.is_none_or(|group| bare(group) == bare(&purl.group));
        let name_agrees = self.name.as_ref().is_none_or(|name| {
            let last = name.rsplit_once('/').map_or(name.as_str(), |(_, last)| last);
            let key = |name| Some(feed_type?.package_name("", name).ok()?.key().without_case());
            last.eq_ignore_ascii_case(&purl.name)
                || (key(last).is_some() && key(last) == key(&purl.name))
        });
        let version_agrees = match (&self.version, &purl.version) {
            (Some(own), Some(other)) => {
                let read = |text| feed_type?.lookup_version(text).ok();
                own.eq_ignore_ascii_case(other) || (read(own).is_some() && read(own) == read(other))
            }
            _ => true,
        };
        let disagreeing = [("group", group_agrees), ("name", name_agrees)]
            .into_iter()
            .chain([("version", version_agrees)])
            .find(|(_, agrees)| !agrees);
        disagreeing.map_or(Ok(()), |(parameter, _)| {
            Err(ApiError::bad_request(format!(
                "the parameters `purl` and `{parameter}` contradict each other; leave one out"
            )))
        })
    }
}

/// Leaves out the name that no client asked for.
fn odd_group(group: &str, error: &FeedTypeError) -> ApiError {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let group = hayloft::feed_type::shorten(group);
    ApiError::bad_request(format!("`{group}` is not a valid group: {cause}"))
}

/// pgutil escapes a scope twice, so that it arrives with its `@` still escaped.
pub(crate) fn unescaped_scope(group: &str) -> String {
    group.strip_prefix("%40").map_or_else(|| group.to_owned(), |scope| format!("@{scope}"))
}

fn wanted(version: &str, keywords: Keywords) -> Result<Wanted, ApiError> {
    let keyword = match version.to_ascii_lowercase().as_str() {
        "latest" if keywords == Keywords::LatestIsHighest => Wanted::Latest,
        "latest" | "latest-stable" => Wanted::LatestStable,
        "latest-unstable" => Wanted::Latest,
        _ => return Ok(Wanted::Exact(version.to_owned())),
    };
    if keywords == Keywords::Refused {
        return Err(ApiError::bad_request(format!(
            "`{version}` cannot be the `version` of this request; name the version itself"
        )));
    }
    Ok(keyword)
}

/// Both together; a key that has two values is a contradiction.
fn merged<'a>(
    some: &Qualifiers,
    more: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Qualifiers, ApiError> {
    let mut pairs: Vec<(String, String)> =
        some.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, value) in more {
        match some.get(key) {
            Some(known) if known.eq_ignore_ascii_case(value) => {}
            _ => pairs.push((key.to_owned(), value.to_owned())),
        }
    }
    Qualifiers::from_pairs(pairs)
        .map_err(|error| ApiError::bad_request(format!("the qualifiers are malformed: {error}")))
}
