use data_encoding::HEXLOWER;
use hayloft_feed::native::query_pairs;
use hayloft_feed::{NameKey, shorten};

use super::expression::{Expression, Property, quoted};
use super::updates::Updates;
use crate::native::traits::Audience;

/// Entries of an answer unless fewer are asked for.
pub(crate) const PAGE: usize = 100;
/// Entries of an answer to clients that list all packages in one request.
const MOST: usize = 6_000;

/// Which of the feed's collections is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    /// `FindPackagesById()`: all versions of one package.
    ById,
    /// `Search()`: what is listed.
    Search,
    /// `Packages()`.
    Packages,
    /// `GetUpdates()`: what is newer than what is installed.
    Updates,
}

impl Collection {
    /// True if it has nothing that is unlisted, and prereleases only for clients that ask for them.
    pub(crate) fn is_of_listed(self) -> bool {
        matches!(self, Self::Search | Self::Updates)
    }
}

/// Where a page goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    /// From where matches are counted, if not from where they were for this page.
    pub(crate) after: Option<Place>,
    /// Matches to leave out from there.
    pub(crate) skip: usize,
}

/// A place in the natural order: behind a package, or behind one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) package: NameKey,
    pub(crate) version: Option<VersionPlace>,
}

/// Versions are in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VersionPlace {
    pub(crate) sort_key: Vec<u8>,
    pub(crate) identity: String,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
        let mut parts = text.split('.');
        let package = NameKey::from_bytes(&hex(parts.next()?)?)?;
        let version = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(sort_key), Some(identity), None) => Some(VersionPlace {
                sort_key: hex(sort_key)?,
                identity: String::from_utf8(hex(identity)?).ok()?,
            }),
            _ => return None,
        };
        Some(Self { package, version })
    }

    fn text(&self) -> String {
        let package = HEXLOWER.encode(self.package.as_bytes());
        let Some(version) = &self.version else { return package };
        let (sort_key, identity) = (&version.sort_key, version.identity.as_bytes());
        format!("{package}.{}.{}", HEXLOWER.encode(sort_key), HEXLOWER.encode(identity))
    }
}

/// What is asked of a collection.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) collection: Collection,
    pub(crate) filter: Option<Expression>,
    /// Property, and whether the highest comes first.
    pub(crate) order: Vec<(Property, bool)>,
    pub(crate) skip: usize,
    pub(crate) top: Option<usize>,
    /// Whether the number of all matches is to be told.
    pub(crate) counted: bool,
    /// The package asked for.
    pub(crate) id: Option<String>,
    pub(crate) search_term: Option<String>,
    pub(crate) audience: Audience,
    /// What [`Collection::Updates`] is asked about; empty for the others.
    pub(crate) updates: Updates,
    /// Where the page goes on.
    pub(crate) after: Option<Place>,
    /// The query without what pages differ in.
    rest: String,
}

impl Query {
    /// `Err` says what is not known here.
    pub(crate) fn parse(collection: Collection, query: &str) -> Result<Self, String> {
        let get = |name: &str| {
            let mut pairs = query_pairs(query);
            pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let number = |name: &str| match get(name) {
            None => Ok(None),
            Some(text) => text
                .trim()
                .parse::<u32>()
                .map(|number| usize::try_from(number).ok())
                .map_err(|_| format!("`{name}` is `{}`; it has to be a number", shorten(&text))),
        };
        for unknown in ["$expand", "$select", "$apply", "$format"] {
            if get(unknown).is_some_and(|text| !text.is_empty()) {
                return Err(format!("`{unknown}` is not known here"));
            }
        }
        let filter = get("$filter").filter(|text| !text.trim().is_empty());
        let filter = filter.map(|text| Expression::parse(&text)).transpose()?;
        let text = |name| get(name).map(|text| text_of(&text)).filter(|text| !text.is_empty());
        let id = text("id").or_else(|| {
            let conjuncts = filter.as_ref().map(Expression::conjuncts).unwrap_or_default();
            conjuncts.into_iter().find_map(Expression::id).map(str::to_owned)
        });
        let is_true = |name| get(name).map(|text| text.trim().eq_ignore_ascii_case("true"));
        let prerelease = is_true("includePrerelease");
        let updates = match collection {
            Collection::Updates => Updates::parse(
                &text("packageIds").unwrap_or_default(),
                &text("versions").unwrap_or_default(),
                &text("versionConstraints").unwrap_or_default(),
                is_true("includeAllVersions").unwrap_or_default(),
            )?,
            _ => Updates::default(),
        };
        let level = get("semVerLevel").unwrap_or_default();
        let counted = get("$inlinecount").is_some_and(|text| text.eq_ignore_ascii_case("allpages"));
        let after = match get("$skiptoken") {
            None => None,
            Some(text) => {
                Some(Place::parse(&text).ok_or("`$skiptoken` is none that was given here")?)
            }
        };
        let rest: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                let name = query_pairs(pair).next().map(|(name, _)| name.to_ascii_lowercase());
                !pair.is_empty()
                    && !matches!(name.as_deref(), Some("$skip" | "$top" | "$skiptoken"))
            })
            .collect();
        Ok(Self {
            collection,
            order: order(&get("$orderby").unwrap_or_default())?,
            skip: number("$skip")?.unwrap_or_default(),
            top: number("$top")?,
            counted,
            id,
            search_term: text("searchTerm"),
            audience: Audience {
                // The others have prereleases, too, unless a client says that it wants none.
                prerelease: prerelease.unwrap_or(!collection.is_of_listed()),
                semver2: text_of(&level).starts_with('2'),
            },
            updates,
            after,
            rest: rest.join("&"),
            filter,
        })
    }

    /// The flag that singles out one version of each package, if nothing else is asked of it.
    pub(crate) fn only_latest(&self) -> Option<Property> {
        let flags: Option<Vec<Property>> =
            self.filter.as_ref()?.conjuncts().into_iter().map(Expression::flag).collect();
        self.latest().filter(|_| {
            flags.is_some_and(|flags| {
                flags.iter().all(|flag| {
                    matches!(flag, Property::IsLatestVersion | Property::IsAbsoluteLatestVersion)
                })
            })
        })
    }

    /// A flag that only one version of each package can have.
    pub(crate) fn latest(&self) -> Option<Property> {
        let conjuncts = self.filter.as_ref().map(Expression::conjuncts).unwrap_or_default();
        let mut flags = conjuncts.into_iter().filter_map(Expression::flag);
        flags.find(|flag| {
            matches!(flag, Property::IsLatestVersion | Property::IsAbsoluteLatestVersion)
        })
    }

    /// How many entries the answer may have.
    pub(crate) fn most(&self) -> usize {
        let most = if self.only_latest().is_some() { MOST } else { PAGE };
        self.top.map_or(PAGE, |top| top.min(most))
    }

    /// How many matches are before the next page.
    pub(crate) fn behind(&self) -> usize {
        self.skip.saturating_add(self.most())
    }

    /// True if the order is that of packages by id and of versions upwards.
    pub(crate) fn is_natural(&self) -> bool {
        match self.order.as_slice() {
            [] | [(Property::Id, false)] => true,
            [(Property::Id, false), (property, false)] => {
                matches!(property, Property::Version | Property::NormalizedVersion)
            }
            _ => false,
        }
    }

    /// The query of the page behind this one.
    pub(crate) fn next(&self, next: &Next) -> String {
        let rest = if self.rest.is_empty() { String::new() } else { format!("{}&", self.rest) };
        let after = match next.after.as_ref().or(self.after.as_ref()) {
            Some(place) => format!("$skiptoken={}&", place.text()),
            None => String::new(),
        };
        format!("{rest}{after}$skip={}", next.skip)
    }
}

/// A value with or without quotes.
fn text_of(text: &str) -> String {
    match quoted(text.trim()) {
        Some((text, _)) => text,
        None => text.trim().to_owned(),
    }
}

fn order(text: &str) -> Result<Vec<(Property, bool)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or_default();
            let downwards = match (words.next(), words.next()) {
                (None | Some("asc"), None) => false,
                (Some("desc"), None) => true,
                _ => return Err(format!("`{}` is no order", shorten(part))),
            };
            let known = Property::named(name).filter(|property| {
                matches!(
                    property,
                    Property::Id
                        | Property::Version
                        | Property::NormalizedVersion
                        | Property::DownloadCount
                        | Property::Published
                )
            });
            let property =
                known.ok_or_else(|| format!("`{}` is not known in orders", shorten(name)))?;
            Ok((property, downwards))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(collection: Collection, query: &str) -> Query {
        Query::parse(collection, query).unwrap()
    }

    #[test]
    fn options_are_read_however_they_are_encoded() {
        let found = parse(
            Collection::ById,
            "%24filter=Id+eq+%27A%27+and+IsLatestVersion&%24inlinecount=allpages&id=%27it%27%27s%27\
             &$orderby=Id,NormalizedVersion%20desc&%24skip=100&$top=40&semVerLevel=2.0.0",
        );
        assert_eq!(found.id.as_deref(), Some("it's"));
        assert_eq!((found.skip, found.top, found.counted), (100, Some(40), true));
        assert_eq!(found.audience, Audience { prerelease: true, semver2: true });
        assert_eq!(found.order, [(Property::Id, false), (Property::NormalizedVersion, true)]);
        assert!(!found.is_natural());
        let next = found.next(&Next { after: None, skip: 140 });
        assert!(next.ends_with("&semVerLevel=2.0.0&$skip=140"), "{next}");
        assert!(!next.contains("top"), "{next}");
        let package = NameKey::new("", "b").unwrap();
        let version = VersionPlace { sort_key: vec![1, 2], identity: "1.0".to_owned() };
        for (version, token) in [(None, "016200"), (Some(version), "016200.0102.312e30")] {
            let after = Some(Place { package: package.clone(), version });
            let next = found.next(&Next { after: after.clone(), skip: 0 });
            assert!(next.ends_with(&format!("&$skiptoken={token}&$skip=0")), "{next}");
            let again = parse(Collection::ById, &next);
            assert_eq!(again.after, after);
            let behind = again.next(&Next { after: None, skip: 100 });
            assert_eq!(behind, next.replace("$skip=0", "$skip=100"));
        }
    }

    #[test]
    fn searches_leave_prereleases_out() {
        let found = parse(Collection::Search, "searchTerm='a%20b'&includePrerelease=false");
        assert_eq!(found.audience, Audience { prerelease: false, semver2: false });
        assert_eq!(found.search_term.as_deref(), Some("a b"));
        assert!(parse(Collection::Search, "includePrerelease=true").audience.prerelease);
    }

    #[test]
    fn only_lists_of_the_latest_are_long() {
        let all = parse(Collection::Search, "$filter=IsLatestVersion&$top=6000");
        assert_eq!(all.most(), 6000);
        let tagged = "$filter=IsLatestVersion and substringof('x',Tags)&$top=6000";
        assert_eq!(parse(Collection::Search, tagged).most(), 100);
        assert_eq!(parse(Collection::Search, "").most(), 100);
        assert_eq!(parse(Collection::Search, "$top=0").most(), 0);
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (query, expected) in [
            ("$filter=IsApproved", "IsApproved"),
            ("$orderby=Title", "`Title` is not known in orders"),
            ("$orderby=Id down", "`Id down` is no order"),
            ("$top=x", "`$top` is `x`"),
            ("$skip=-1", "`$skip`"),
            ("$expand=Files", "`$expand`"),
            ("$skiptoken=xyz", "`$skiptoken`"),
            ("$skiptoken=016200.01", "`$skiptoken`"),
            ("$skiptoken=016200.01.ff", "`$skiptoken`"),
            ("$skiptoken=016200.01.31.31", "`$skiptoken`"),
        ] {
            let error = Query::parse(Collection::Packages, query).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
