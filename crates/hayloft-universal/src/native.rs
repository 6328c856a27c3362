//! What clients of universal packages speak: lists, downloads of a package or of what lies in it,
//! uploads and deletes.
//!
//! A virtual package is listed as any other and put together when it is downloaded, out of packages
//! of the same feed; parts from elsewhere are not fetched.

mod assemble;
mod contents;
mod download;
mod lists;
mod package_path;
mod search;
mod setup;
mod upload;

use hayloft_feed::json::quoted;
use hayloft_feed::native::{
    Action, ActionKind, Answer, Change, ClientSetup, Edit, FeedCard, FeedView, Fields, Intake,
    Native, Outcome, Refusal, Reply, Request, Resource, SampleRequest, StagedCard, ViewError,
    segments,
};
use hayloft_feed::{IndexChange, IndexError, IndexWriter, PackageHead, Status};

use crate::Universal;
use package_path::PackagePath;

/// The first version of the API that has what is answered here.
const API_VERSION: &str = "1.3.0";

/// Derives the search record of the changed package, and the card that lists show.
pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    search::index(change, view, out)
}

/// Whether lists show a version.
fn is_shown(status: &Status) -> bool {
    status.is_listed() && !status.is_blocked()
}

/// What a path names, and what stands behind that.
fn split(path: &str) -> Option<(String, String)> {
    let segments = segments(path)?;
    let (first, rest) = segments.split_first()?;
    Some((first.to_ascii_lowercase(), rest.join("/")))
}

impl Native for Universal {
    fn prefix(&self) -> &'static str {
        "upack"
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let Some((what, rest)) = split(request.path) else { return Ok(Answer::not_found()) };
        match (what.as_str(), rest.as_str()) {
            ("packages", "") => lists::packages(view, request),
            ("versions", "") => lists::versions(view, request),
            ("search", "") => search::resolve(view, request),
            ("meta", "") => Ok(meta(view)),
            ("download", _) => download::package(view, request, &rest),
            ("download-file", _) => download::file(view, request, &rest),
            ("download-vpack", _) => download::virtual_manifest(view, request, &rest),
            _ => Ok(Answer::not_found()),
        }
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        let Some((what, _)) = split(request.path) else { return Ok(None) };
        Ok(match (request.method, what.as_str()) {
            ("PUT" | "POST", "upload") => Some(upload::intake(request)?),
            // Pages cannot send a DELETE.
            ("DELETE" | "POST", "delete") => Some(Intake::bodiless(ActionKind::Delete)),
            _ => None,
        })
    }

    fn decide(
        &self,
        view: &dyn FeedView,
        request: &Request<'_>,
        _: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        let (what, rest) = split(request.path).ok_or(Refusal::NotFound(None))?;
        match (what.as_str(), staged) {
            ("upload", Some(staged)) => upload::decide(request, &rest, staged),
            ("upload", None) => Err(Refusal::Invalid("the body must be a package".to_owned())),
            ("delete", _) => {
                let path = PackagePath::parse(&rest, false)
                    .ok_or_else(|| Refusal::Invalid("name a package and its version".to_owned()))?;
                let found =
                    path.find(view).map_err(|error| Refusal::Unavailable(error.to_string()))?;
                let (head, version) =
                    found.ok_or_else(|| Refusal::NotFound(Some(path.missing())))?;
                Ok(Action::Edit(Edit::new(head.name, vec![Change::Remove(version, None)])))
            }
            _ => Err(Refusal::NotFound(None)),
        }
    }

    fn answer(&self, _: &Request<'_>, _: &Action, _: &Outcome) -> Reply {
        Reply::text(200, "")
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        if let Some(head) = package {
            return download::paths(view, head, visit);
        }
        ["/packages", "/versions", "/meta"].into_iter().for_each(visit);
        Ok(())
    }

    fn samples(&self) -> Vec<SampleRequest> {
        setup::samples()
    }

    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
        setup::setup(feed, url, key)
    }
}

/// What the feed is and can do.
fn meta(view: &dyn FeedView) -> Answer<'_> {
    let feed = view.feed();
    let json = format!(
        r#"{{"apiVersion":"{API_VERSION}","name":{},"description":{},"packageCount":{},"packageVersionCount":{},"services":["VirtualPackages","UploadPackage","Delete","DownloadContents"]}}"#,
        quoted(&feed.name),
        quoted(feed.description.as_deref().unwrap_or_default()),
        feed.packages,
        feed.versions,
    );
    let validator = view.validator(feed.revision, &["meta"]);
    let body = hayloft_feed::native::Body::Bytes(json.into_bytes());
    Answer::Resource(Resource::new(validator, "application/json", body))
}
