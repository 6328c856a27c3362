//! The simple index in both its forms, files with their metadata beside them, the legacy JSON
//! pages, and the upload protocol.

mod accept;
mod configuration;
mod files;
mod fragments;
mod index;
mod legacy_json;
mod pages;
mod place;
mod setup;
mod upload;

use data_encoding::BASE64;
use hayloft_feed::native::{
    Action, ActionKind, Answer, ClientConfiguration, ClientSetup, FeedCard, FeedView, Fields,
    Intake, Native, Outcome, Redirect, Refusal, Reply, Request, SampleRequest, StagedCard,
    ViewError,
};
use hayloft_feed::{NameKey, PackageHead};

use crate::Pypi;

pub(crate) use fragments::of_file as fragments_of_file;
pub(crate) use index::{INDEX_REVISION, index};
use place::Place;

impl Native for Pypi {
    fn prefix(&self) -> &'static str {
        crate::TAG
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let Some(place) = Place::of(request.path) else { return Ok(Answer::not_found()) };
        if let Some(location) = place.elsewhere(request, &view.feed().name) {
            return Ok(Answer::Redirect(Redirect { status: 301, location }));
        }
        match place {
            Place::Root | Place::Upload => Ok(Answer::not_found()),
            Place::Projects => Ok(pages::projects(view, request)?),
            Place::Project(name) => pages::project(view, request, name),
            Place::File { name, sha256, file } => files::file(view, &name, &sha256, &file),
            Place::Metadata { name, sha256, file } => files::metadata(view, &name, &sha256, &file),
            Place::Legacy { name, version } => {
                legacy_json::answer(view, request, &name, version.as_deref())
            }
        }
    }

    fn refuse(&self, request: &Request<'_>, refusal: &Refusal) -> Reply {
        upload::refusal(request, refusal)
    }

    fn credential(&self, request: &Request<'_>) -> Option<String> {
        token(request.header("authorization")?)
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        match (request.method, Place::of(request.path)) {
            // twine and poetry follow no redirect, and some are told the feed's own address.
            ("POST", Some(Place::Upload | Place::Root | Place::Projects)) => {
                Ok(Some(upload::intake()))
            }
            ("POST" | "PUT" | "DELETE" | "PATCH", Some(_)) => {
                Err(Refusal::Method { allowed: "GET, HEAD" })
            }
            ("GET", Some(Place::Upload)) => Err(Refusal::Method { allowed: "POST" }),
            _ => Ok(None),
        }
    }

    fn decide(
        &self,
        _: &dyn FeedView,
        _: &Request<'_>,
        fields: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        upload::decide(fields, staged)
    }

    fn answer(&self, _: &Request<'_>, action: &Action, outcome: &Outcome) -> Reply {
        upload::success(action, outcome)
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        match package {
            None => {
                visit("/simple/");
                Ok(())
            }
            Some(head) => files::paths(view, head, visit),
        }
    }

    fn samples(&self) -> Vec<SampleRequest> {
        let file = format!("/files/hay/{}/hay-1.0-py3-none-any.whl", "00".repeat(32));
        let boundary = "multipart/form-data; boundary=b";
        let form = "--b\r\nContent-Disposition: form-data; name=\":action\"\r\n\r\nfile_upload\r\n\
            --b\r\nContent-Disposition: form-data; name=\"content\"; filename=\"hay-1.0.tar.gz\"\r\n\
            \r\n\r\n--b--\r\n";
        vec![
            SampleRequest::read("/simple/"),
            SampleRequest::read("/simple"),
            SampleRequest::read("/simple/hay/"),
            SampleRequest::read("/simple/Hay/?format=application/vnd.pypi.simple.v1%2Bjson"),
            SampleRequest::read(format!("{file}.metadata")),
            SampleRequest::read(file),
            SampleRequest::read("/pypi/hay/json"),
            SampleRequest::read("/pypi/hay/1.0/json"),
            SampleRequest::action("POST", "/legacy/", ActionKind::Upload).body(boundary, form),
            SampleRequest::action("POST", "/legacy", ActionKind::Upload).body(boundary, form),
        ]
    }

    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
        setup::lines(feed, url, key)
    }

    fn configurations(
        &self,
        _: &FeedCard,
        url: &str,
        key: Option<&str>,
    ) -> Vec<ClientConfiguration> {
        configuration::configurations(url, key)
    }
}

/// A key that is shown as the public index has its tokens shown: as password of a user whom nobody
/// is. `poetry config pypi-token` and `uv publish --token` know no other way.
fn token(authorization: &str) -> Option<String> {
    let (scheme, digits) = authorization.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(digits.trim().as_bytes()).ok()?).ok()?;
    let token = text.strip_prefix("__token__:")?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// The key of a name that is normalized already.
fn key_of(normalized: &str) -> Option<NameKey> {
    NameKey::new("", normalized).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_passwords_of_nobody() {
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
        assert_eq!(token(&basic("__token__:k:1")).as_deref(), Some("k:1"));
        for other in ["Basic !", "Bearer __token__:k", "__token__:k", ""] {
            assert_eq!(token(other), None, "{other}");
        }
        for other in ["api:k", "__token__:", "__token__", "__token__x:k"] {
            assert_eq!(token(&basic(other)), None, "{other}");
        }
    }
}
