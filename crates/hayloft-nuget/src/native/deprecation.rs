use std::collections::BTreeMap;

use hayloft_feed::native::{Change, Edit, FeedView, ListingChange, Refusal, ViewError, Want};
use hayloft_feed::{PackageHead, Version, shorten};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::NuGetVersion;

use super::lookup;

/// Longest message, in UTF-16 units as the public gallery counts.
const LONGEST_MESSAGE: usize = 1_000;

/// Why a version is deprecated and what to use instead: what the protocol knows beyond a message.
///
/// Its JSON is [`hayloft_feed::Deprecation::details`], and part of the answers of registration and
/// search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    /// In this order.
    reasons: Vec<Reason>,
    /// What to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    alternate_package: Option<AlternatePackage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Reason {
    Legacy,
    CriticalBugs,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AlternatePackage {
    /// As spelled in its feed.
    id: String,
    /// A range in normalized form, or `*`.
    range: String,
}

/// A deprecation in answers.
#[derive(Debug, Serialize)]
pub(crate) struct Deprecation {
    #[serde(flatten)]
    details: Details,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<&hayloft_feed::Deprecation> for Deprecation {
    /// Of a deprecation by another protocol there is a message at most; clients want a reason.
    fn from(stored: &hayloft_feed::Deprecation) -> Self {
        let details = stored.details.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let mut details: Details = details.unwrap_or_default();
        if details.reasons.is_empty() {
            details.reasons.push(Reason::Other);
        }
        Self { details, message: stored.reason.clone() }
    }
}

impl Deprecation {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "null".to_owned())
    }
}

/// What a request asks to be changed, all or nothing.
pub(crate) fn edit(view: &dyn FeedView, id: &str, body: &str) -> Result<Edit, Refusal> {
    let missing = || Refusal::NotFound(Some(format!("there is no package `{}`", shorten(id))));
    let package = find(view, id)?.ok_or_else(missing)?;
    let request = Request::parse(body)?;
    let message = request.message()?;
    if request.versions.is_empty() {
        return Err(invalid("`versions` names no version"));
    }
    // One entry per version, however often and however spelled it is named.
    let mut versions = BTreeMap::new();
    for text in &request.versions {
        let version = version(view, &package, text)?;
        versions.insert(version.identity().to_owned(), version);
    }
    let alternate = request.alternate_package(view)?;
    if let Some((other, chosen)) = &alternate
        && other.id.eq_ignore_ascii_case(package.name.name())
    {
        match chosen {
            None => {
                return Err(invalid(
                    "a package is no alternate of itself; name another `alternatePackageId` or an \
                     `alternatePackageVersion`",
                ));
            }
            Some(version) if versions.contains_key(version.identity()) => {
                return Err(invalid(
                    "`alternatePackageVersion` is one of the versions to deprecate",
                ));
            }
            Some(_) => {}
        }
    }
    let reasons = request.reasons();
    let deprecation = if reasons.is_empty() {
        None
    } else {
        let alternate_package = alternate.map(|(package, _)| package);
        let details = serde_json::to_string(&Details { reasons, alternate_package }).ok();
        Some(hayloft_feed::Deprecation { reason: message, details })
    };
    let changes = versions.into_values().flat_map(|version| {
        let listing =
            request.listed_verb.listing().map(|change| Change::List(version.clone(), change));
        listing.into_iter().chain([Change::Deprecate(version, deprecation.clone())])
    });
    Ok(Edit::new(package.name.clone(), changes.collect()))
}

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::Invalid(text.into())
}

fn unreadable(error: &ViewError) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

fn find(view: &dyn FeedView, id: &str) -> Result<Option<PackageHead>, Refusal> {
    let Some(name) = lookup::package(id) else { return Ok(None) };
    view.package(name.key()).map_err(|error| unreadable(&error))
}

/// A version of the package; what is no version is the version of no package.
fn version(view: &dyn FeedView, package: &PackageHead, text: &str) -> Result<Version, Refusal> {
    let missing = || {
        let id = package.name.name();
        Refusal::NotFound(Some(format!("`{id}` has no version `{}`", shorten(text))))
    };
    let version = lookup::version(text).ok_or_else(missing)?;
    let found = view
        .version(package.name.key(), &version, &Want::nothing(), &mut |_| {})
        .map_err(|error| unreadable(&error))?;
    if found { Ok(version) } else { Err(missing()) }
}

/// The body; absent and null are the same.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    versions: Vec<String>,
    is_legacy: bool,
    has_critical_bugs: bool,
    is_other: bool,
    alternate_package_id: Option<String>,
    alternate_package_version: Option<String>,
    message: Option<String>,
    listed_verb: ListedVerb,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ListedVerb {
    #[default]
    Unchanged,
    Unlist,
    Relist,
}

impl ListedVerb {
    fn listing(self) -> Option<ListingChange> {
        match self {
            Self::Unchanged => None,
            Self::Unlist => Some(ListingChange::Unlist),
            Self::Relist => Some(ListingChange::List),
        }
    }
}

impl Request {
    /// Names of properties compare without case, unknown ones are ignored.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| invalid(format!("the body is not a JSON object: {error}")))?;
        let Value::Object(object) = value else {
            return Err(invalid("the body is not a JSON object"));
        };
        let properties: BTreeMap<String, Value> =
            object.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let properties = Properties(properties);
        let blank_is_none = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let versions: Option<Vec<String>> = properties.take("versions", "an array of strings")?;
        let verb: Option<String> = properties.take("listedVerb", "a string")?;
        let listed_verb = match verb.as_deref() {
            None => ListedVerb::Unchanged,
            Some(verb) if verb.eq_ignore_ascii_case("unchanged") => ListedVerb::Unchanged,
            Some(verb) if verb.eq_ignore_ascii_case("unlist") => ListedVerb::Unlist,
            Some(verb) if verb.eq_ignore_ascii_case("relist") => ListedVerb::Relist,
            Some(other) => {
                return Err(invalid(format!(
                    "`listedVerb` is `{}`; use Unchanged, Unlist or Relist",
                    shorten(other)
                )));
            }
        };
        Ok(Self {
            versions: versions.ok_or_else(|| invalid("the body has no `versions`"))?,
            is_legacy: properties.flag("isLegacy")?,
            has_critical_bugs: properties.flag("hasCriticalBugs")?,
            is_other: properties.flag("isOther")?,
            alternate_package_id: blank_is_none(properties.take("alternatePackageId", "a string")?),
            alternate_package_version: blank_is_none(
                properties.take("alternatePackageVersion", "a string")?,
            ),
            message: blank_is_none(properties.take("message", "a string")?),
            listed_verb,
        })
    }

    fn reasons(&self) -> Vec<Reason> {
        let all = [
            (self.is_legacy, Reason::Legacy),
            (self.has_critical_bugs, Reason::CriticalBugs),
            (self.is_other, Reason::Other),
        ];
        all.into_iter().filter(|(given, _)| *given).map(|(_, reason)| reason).collect()
    }

    fn message(&self) -> Result<Option<String>, Refusal> {
        match &self.message {
            None if self.is_other => Err(invalid("`isOther` needs a `message` that says why")),
            Some(text) if text.encode_utf16().count() > LONGEST_MESSAGE => {
                Err(invalid(format!("`message` is longer than {LONGEST_MESSAGE} characters")))
            }
            message => Ok(message.clone()),
        }
    }

    /// The alternate package and which version of it; both have to be in the feed.
    fn alternate_package(
        &self,
        view: &dyn FeedView,
    ) -> Result<Option<(AlternatePackage, Option<Version>)>, Refusal> {
        let asked = (&self.alternate_package_id, &self.alternate_package_version);
        let (id, text) = match asked {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                return Err(invalid("`alternatePackageVersion` needs an `alternatePackageId`"));
            }
            (Some(id), text) => (id, text),
        };
        let package = find(view, id)?.ok_or_else(|| {
            let text = format!("alternate package: there is no package `{}`", shorten(id));
            Refusal::NotFound(Some(text))
        })?;
        let id = package.name.name().to_owned();
        let Some(text) = text else {
            return Ok(Some((AlternatePackage { id, range: "*".to_owned() }, None)));
        };
        let version = version(view, &package, text).map_err(|refusal| match refusal {
            Refusal::NotFound(Some(text)) => {
                Refusal::NotFound(Some(format!("alternate package: {text}")))
            }
            other => other,
        })?;
        let normalized = version.text().parse::<NuGetVersion>().map_or_else(
            |_| version.identity().to_owned(),
            |version: NuGetVersion| version.normalized(),
        );
        let range = format!("[{normalized}, )");
        Ok(Some((AlternatePackage { id, range }, Some(version))))
    }
}

/// Properties of the body by their names in lower case.
struct Properties(BTreeMap<String, Value>);

impl Properties {
    fn take<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        match self.0.get(&name.to_ascii_lowercase()) {
            None => Ok(None),
            Some(value) => {
                Option::deserialize(value).map_err(|_| invalid(format!("`{name}` is not {what}")))
            }
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.take(name, "true or false")?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn property_names_have_no_case_and_nulls_are_defaults() {
        let read = Request::parse(
            r#"{"VERSIONS":["1.0"],"islegacy":true,"isOther":null,"message":" ","x":{},
                "ListedVerb":"uNLIST","alternatePackageId":null}"#,
        );
        let expected = Request {
            versions: vec!["1.0".to_owned()],
            is_legacy: true,
            listed_verb: ListedVerb::Unlist,
            ..Request::default()
        };
        assert_eq!(read.unwrap(), expected);
    }

    #[rstest]
    #[case::nothing("", "not a JSON object")]
    #[case::list("[]", "not a JSON object")]
    #[case::no_versions("{}", "no `versions`")]
    #[case::null_versions(r#"{"versions":null}"#, "no `versions`")]
    #[case::one_version(r#"{"versions":"1.0"}"#, "`versions` is not an array of strings")]
    #[case::numbers(r#"{"versions":[1.0]}"#, "`versions` is not an array of strings")]
    #[case::text_for_a_flag(
        r#"{"versions":["1.0"],"isLegacy":"true"}"#,
        "`isLegacy` is not true or false"
    )]
    #[case::verb(r#"{"versions":["1.0"],"listedVerb":"Hide"}"#, "`listedVerb` is `Hide`")]
    #[case::sample_with_a_comma_missing("{\"isOther\": true\n\"message\": \"x\"}", "line 2")]
    fn malformed_bodies_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = Request::parse(text).unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.text().contains(expected), "{}", error.text());
    }

    #[test]
    fn messages_have_a_length_and_isother_needs_one() {
        let request =
            |message: Option<String>, is_other| Request { is_other, message, ..Request::default() };
        assert!(request(Some("x".repeat(1_000)), true).message().is_ok());
        assert!(request(Some("\u{1f600}".repeat(501)), false).message().is_err());
        assert!(request(None, true).message().is_err());
        assert_eq!(request(None, false).message().unwrap(), None);
    }
}
