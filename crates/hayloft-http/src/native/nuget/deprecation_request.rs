use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use hayloft::feed_type::shorten;
use hayloft::{
    Deprecation, DeprecationChange, Listing, SelectError, Selector, StatusChange, StatusError,
};
use hayloft_nuget::NuGetVersion;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::deprecation::{AlternatePackage, Details, Reason};
use super::failure::Failure;
use super::feed;
use crate::json_body::json_object;
use crate::native::not_selected;
use crate::transfer::receive_text;
use crate::{ApiError, App, Right, Session, Visitor};

/// Longest message, in UTF-16 units as the public gallery counts.
const LONGEST_MESSAGE: usize = 1_000;

/// Deprecates versions or takes it back, all or none.
///
/// JSON whatever the content type says: the documented samples have none.
pub(super) async fn deprecate(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes().trim_ascii());
    if agent.is_none_or(<[u8]>::is_empty) {
        return Err(ApiError::bad_request("the request needs a User-Agent header").into());
    }
    let text = receive_text(&app, body).await?;
    app.run(visitor, move |session| {
        let feed = feed(session, &name, &[Right::View, Right::SetStatus])?;
        apply(session, &feed.name, &id, &text)
    })
    .await?;
    Ok(StatusCode::OK)
}

fn apply(session: &Session, feed: &str, id: &str, text: &str) -> Result<(), ApiError> {
    let request = Request::parse(text)?;
    let store = session.store();
    let package = store.package(feed, "", id).map_err(not_selected)?;
    let message = request.message()?;
    if request.versions.is_empty() {
        return Err(ApiError::bad_request("`versions` names no version"));
    }
    let listing = match request.listed_verb {
        ListedVerb::Unchanged => None,
        ListedVerb::Unlist => Some(Listing::Unlisted),
        ListedVerb::Relist => Some(Listing::Listed),
    };
    // One entry per version, however often and however spelled it is named.
    let mut versions = BTreeMap::new();
    for text in &request.versions {
        let version = version(&package.name, text)?;
        versions.insert(version.key(), version);
    }
    let alternate = request.alternate_package(session, feed)?;
    for version in versions.values() {
        let selector = Selector::exact(&package.name, version.normalized());
        store.files(feed, &selector).map_err(not_selected)?;
    }
    if let Some((other, chosen)) = &alternate
        && other.id.eq_ignore_ascii_case(&package.name)
    {
        match chosen {
            None => {
                return Err(ApiError::bad_request(
                    "a package is no alternate of itself; name another `alternatePackageId` or an \
                     `alternatePackageVersion`",
                ));
            }
            Some(version) if versions.contains_key(&version.key()) => {
                return Err(ApiError::bad_request(
                    "`alternatePackageVersion` is one of the versions to deprecate",
                ));
            }
            Some(_) => {}
        }
    }
    let reasons = request.reasons();
    let deprecation = if reasons.is_empty() {
        DeprecationChange::Clear
    } else {
        let alternate_package = alternate.map(|(package, _)| package);
        let details = serde_json::to_string(&Details { reasons, alternate_package })
            .map_err(ApiError::internal)?;
        DeprecationChange::Set(Deprecation { reason: message, details: Some(details) })
    };
    let change = StatusChange { listing, deprecation: Some(deprecation), allow: None };
    let changes = versions
        .values()
        .map(|version| (Selector::exact(&package.name, version.normalized()), change.clone()))
        .collect();
    let outcome = store.set_status_many(feed, changes, |_| Ok(()), &session.actor());
    outcome.map(drop).map_err(|error| match error {
        StatusError::Select(error) => not_selected(error),
        other => other.into(),
    })
}

/// What is no version is the version of no package.
fn version(id: &str, text: &str) -> Result<NuGetVersion, ApiError> {
    text.parse().map_err(|_| {
        ApiError::not_found(format!("`{}` has no version `{}`", shorten(id), shorten(text)))
    })
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

impl Request {
    /// Names of properties compare without case, unknown ones are ignored.
    fn parse(text: &str) -> Result<Self, ApiError> {
        let object = json_object(text).map_err(|error| {
            ApiError::bad_request(format!("the body is not a JSON object: {error}"))
        })?;
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
                return Err(ApiError::bad_request(format!(
                    "`listedVerb` is `{}`; use Unchanged, Unlist or Relist",
                    shorten(other)
                )));
            }
        };
        Ok(Self {
            versions: versions
                .ok_or_else(|| ApiError::bad_request("the body has no `versions`"))?,
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

    fn message(&self) -> Result<Option<String>, ApiError> {
        match &self.message {
            None if self.is_other => {
                Err(ApiError::bad_request("`isOther` needs a `message` that says why"))
            }
            Some(text) if text.encode_utf16().count() > LONGEST_MESSAGE => {
                Err(ApiError::bad_request(format!(
                    "`message` is longer than {LONGEST_MESSAGE} characters"
                )))
            }
            message => Ok(message.clone()),
        }
    }

    /// The alternate package and which version of it; both have to be in the feed.
    fn alternate_package(
        &self,
        session: &Session,
        feed: &str,
    ) -> Result<Option<(AlternatePackage, Option<NuGetVersion>)>, ApiError> {
        let asked = (&self.alternate_package_id, &self.alternate_package_version);
        let (id, text) = match asked {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                return Err(ApiError::bad_request(
                    "`alternatePackageVersion` needs an `alternatePackageId`",
                ));
            }
            (Some(id), text) => (id, text),
        };
        let missing = |error: SelectError| {
            let error = not_selected(error);
            ApiError::new(error.status(), format!("alternate package: {}", error.text()))
        };
        let id = session.store().package(feed, "", id).map_err(missing)?.name;
        let Some(text) = text else {
            return Ok(Some((AlternatePackage { id, range: "*".to_owned() }, None)));
        };
        let version = version(&id, text)?;
        let selector = Selector::exact(&id, version.normalized());
        session.store().files(feed, &selector).map_err(missing)?;
        let range = format!("[{}, )", version.normalized());
        Ok(Some((AlternatePackage { id, range }, Some(version))))
    }
}

/// Properties of the body by their names in lower case.
struct Properties(BTreeMap<String, Value>);

impl Properties {
    fn take<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<Option<T>, ApiError> {
        match self.0.get(&name.to_ascii_lowercase()) {
            None => Ok(None),
            Some(value) => Option::deserialize(value)
                .map_err(|_| ApiError::bad_request(format!("`{name}` is not {what}"))),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, ApiError> {
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
