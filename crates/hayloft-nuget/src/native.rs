//! The protocol of NuGet's clients: V3 below `/v3`, and V2 (`OData`) below `/v2`.

mod addresses;
mod configuration;
mod deprecation;
mod entry;
mod flat;
mod heads;
mod lookup;
mod publish;
mod refusal;
mod registration;
mod route;
mod search;
mod service_index;
mod setup;
mod terms;
mod traits;
mod v2;

use hayloft_feed::native::{
    Action, ActionKind, Answer, ClientConfiguration, ClientSetup, FeedCard, FeedView, Fields,
    Intake, Native, Outcome, Refusal, Reply, Request, SampleRequest, StagedCard, ViewError, Want,
};
use hayloft_feed::{IndexChange, IndexError, IndexWriter, PackageHead};

use crate::NuGet;
use route::Route;

pub(crate) use entry::fragments;

/// Raised when rows or fragments are derived in another way.
pub(crate) const INDEX_REVISION: u32 = 1;

/// Derives the rows of a changed package.
pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    heads::index(change, view, out)
}

impl Native for NuGet {
    fn prefix(&self) -> &'static str {
        "nuget"
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let Some(route) = Route::of(request.path) else { return Ok(Answer::not_found()) };
        match &route {
            Route::ServiceIndex => Ok(Answer::resource(service_index::answer(view, request))),
            Route::FlatIndex { id } => flat::versions(view, id),
            Route::Flat { id, version, file } => flat::file(view, (id, version, file)),
            Route::Registration { id } => registration::index(view, request, id),
            Route::Page { id, lower, upper } => {
                registration::between_versions(view, request, (id, lower, upper))
            }
            Route::Leaf { id, version } => registration::leaf(view, request, id, version),
            Route::Search => search::search(view, request),
            Route::Autocomplete => search::autocomplete(view, request),
            Route::Odata(path) => v2::resolve(view, request, path),
            Route::Publish(target) => {
                Ok(Answer::Refused(Refusal::Method { allowed: target.allowed() }))
            }
        }
    }

    fn refuse(&self, request: &Request<'_>, refusal: &Refusal) -> Reply {
        let _ = request;
        refusal::reply(refusal)
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        publish::intake(request)
    }

    fn decide(
        &self,
        view: &dyn FeedView,
        request: &Request<'_>,
        fields: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        publish::decide(view, request, fields, staged)
    }

    fn answer(&self, request: &Request<'_>, action: &Action, outcome: &Outcome) -> Reply {
        let _ = action;
        publish::answer(request, outcome)
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        match package {
            None => {
                visit("/v3/index.json");
                Ok(())
            }
            Some(head) => route::paths_of(view, head, visit),
        }
    }

    fn samples(&self) -> Vec<SampleRequest> {
        let multipart = "multipart/form-data; boundary=b";
        let push = b"--b\r\nContent-Disposition: form-data; name=package\r\n\r\nPK\r\n--b--\r\n";
        let deprecation = r#"{"versions":["1.0.0"],"isLegacy":true}"#;
        let mut samples = route::reads();
        samples.extend([
            SampleRequest::action("PUT", "/v3/package/", ActionKind::Upload).body(multipart, push),
            SampleRequest::action("PUT", "/v3/symbolpackage", ActionKind::Upload)
                .body(multipart, push),
            SampleRequest::action("PUT", "/v2/package/", ActionKind::Upload).body(multipart, push),
            SampleRequest::action("PUT", "/v2/", ActionKind::Upload).body(multipart, push),
            SampleRequest::action("PUT", "/api/v2/symbolpackage", ActionKind::Upload)
                .body(multipart, push),
            SampleRequest::action("POST", "/v3/package/a/1.0.0", ActionKind::SetStatus),
            SampleRequest::action("DELETE", "/v3/package/a/1.0.0", ActionKind::Delete),
            SampleRequest::action("DELETE", "/v2/a/1.0.0", ActionKind::Delete),
            SampleRequest::action("DELETE", "/v2/package/a/1.0.0", ActionKind::Delete),
            SampleRequest::action("PUT", "/v3/package/a/deprecations", ActionKind::SetStatus)
                .body("application/json", deprecation),
            SampleRequest::action("PUT", "/api/v2/package/a/deprecations", ActionKind::SetStatus)
                .body("application/json", deprecation),
        ]);
        samples
    }

    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
        setup::lines(&feed.name, url, key)
    }

    fn configurations(
        &self,
        feed: &FeedCard,
        url: &str,
        key: Option<&str>,
    ) -> Vec<ClientConfiguration> {
        configuration::configurations(&feed.name, url, key)
    }
}

/// What `paths` and lists want of each version.
fn files_wanted() -> Want<'static> {
    Want::fragments(&[entry::TRAITS]).files()
}
