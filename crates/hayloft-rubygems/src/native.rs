//! The compact index, the legacy indexes in Ruby's Marshal, gems, and what `gem` and Bundler ask
//! beside them.

mod api;
mod compact;
mod configuration;
mod fragments;
mod full_name;
mod index;
mod legacy;
mod place;
mod push;
mod setup;

use hayloft_feed::native::{
    Action, ActionKind, Answer, ClientConfiguration, ClientSetup, FeedCard, FeedView, Fields,
    Intake, Native, Outcome, Refusal, Reply, Request, Resource, SampleRequest, StagedCard,
    ViewError,
};
use hayloft_feed::{PackageHead, PackageName};

use crate::RubyGems;

pub(crate) use fragments::of_gem as fragments_of_gem;
pub(crate) use index::{INDEX_REVISION, index, normal_form, tidy};
use place::{Place, Specs};

impl Native for RubyGems {
    fn prefix(&self) -> &'static str {
        crate::TAG
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let Some(place) = Place::of(request.path) else { return Ok(Answer::not_found()) };
        match place {
            // Old releases of `gem` ask for it to see whether there is a compact index.
            Place::Root => {
                let text = b"A feed of gems.\n".to_vec();
                let body = hayloft_feed::native::Body::Bytes(text);
                let validator = view.validator(0, &["root"]);
                Ok(Answer::resource(Resource::new(validator, compact::TEXT, body)))
            }
            Place::Versions => compact::versions(view),
            Place::Names => compact::names(view),
            Place::Info(name) => compact::info(view, &name),
            Place::Specs(which) => legacy::specs(view, which),
            Place::Quick(name) => legacy::quick(view, &name),
            Place::Gem(name) => {
                Ok(full_name::find(view, &name)?.map_or_else(Answer::not_found, |found| {
                    let sha256 = found.card.digests.sha256;
                    Answer::resource(Resource::file(found.card.id, &sha256))
                }))
            }
            Place::Dependencies { json } => legacy::dependencies(view, request, json),
            Place::Package(name) => api::package(view, request, &name),
            Place::PackageVersions(name) => api::versions(view, &name),
            Place::PackageLatest(name) => api::latest(view, &name),
            Place::Search => Ok(api::search(view, request)),
            Place::Owners(name) => api::owners(view, &name),
            Place::Push | Place::Yank | Place::Unyank | Place::Key => Ok(Answer::not_found()),
        }
    }

    fn refuse(&self, request: &Request<'_>, refusal: &Refusal) -> Reply {
        push::refusal(request, refusal)
    }

    /// `gem` sends its key bare, without a scheme.
    fn credential(&self, request: &Request<'_>) -> Option<String> {
        let value = request.header("authorization")?.trim();
        (!value.is_empty() && !value.contains(' ')).then(|| value.to_owned())
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        push::route(request)
    }

    fn decide(
        &self,
        view: &dyn FeedView,
        request: &Request<'_>,
        fields: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        push::decide(*self, view, request, fields, staged)
    }

    fn answer(&self, request: &Request<'_>, action: &Action, outcome: &Outcome) -> Reply {
        push::success(request, action, outcome)
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        if let Some(head) = package {
            return full_name::paths(view, head, visit);
        }
        visit("/versions");
        visit("/names");
        for which in [Specs::Releases, Specs::Latest, Specs::Prereleases] {
            visit(which.path());
        }
        Ok(())
    }

    fn samples(&self) -> Vec<SampleRequest> {
        let reads = [
            "/",
            "/versions",
            "/names",
            "/info/hay",
            "/specs.4.8.gz",
            "/latest_specs.4.8.gz",
            "/prerelease_specs.4.8.gz",
            "/quick/Marshal.4.8/hay-1.0.gemspec.rz",
            "/gems/hay-1.0.gem",
            "/api/v1/dependencies?gems=hay",
            "/api/v1/dependencies.json?gems=hay",
            "/api/v1/gems/hay.json",
            "/api/v1/versions/hay.json",
            "/api/v1/versions/hay/latest.json",
            "/api/v1/search.json?query=hay",
            "/api/v1/gems/hay/owners.yaml",
        ];
        let form = "application/x-www-form-urlencoded";
        let one = "gem_name=hay&version=1.0";
        let mut samples: Vec<_> = reads.into_iter().map(SampleRequest::read).collect();
        samples.extend([
            SampleRequest::action("POST", "//api/v1/gems", ActionKind::Upload)
                .body("application/octet-stream", "gem"),
            SampleRequest::action("DELETE", "/api/v1/gems/yank", ActionKind::Delete)
                .body(form, one),
            SampleRequest::action("PUT", "/api/v1/gems/unyank", ActionKind::SetStatus)
                .body(form, one),
            SampleRequest::action("GET", "/api/v1/api_key", ActionKind::Ask),
            SampleRequest::action("POST", "/api/v1/api_key", ActionKind::Ask).body(form, "name=x"),
            SampleRequest::action("PUT", "/api/v1/api_key", ActionKind::Ask).body(form, "name=x"),
            SampleRequest::action("POST", "/api/v1/gems/hay/owners", ActionKind::Ask)
                .body(form, "email=x"),
            SampleRequest::action("DELETE", "/api/v1/gems/hay/owners", ActionKind::Ask)
                .body(form, "email=x"),
        ]);
        samples
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

/// A gem's name as a path or form gives it; nothing that an upload could not have either.
fn checked(name: &str) -> Option<PackageName> {
    use hayloft_feed::FeedType as _;
    RubyGems.package_name("", name).ok()
}
