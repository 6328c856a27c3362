//! What npm, pnpm and yarn speak: packuments, tarballs, publishing, tags, accounts, search.
//!
//! Documents are pasted together from the fragments that [`inspect`](crate::Npm) made of each
//! tarball: the manifest in full and in the abbreviated form, each of which ends with its `dist`
//! object, so that what depends on the feed (tarball URL, publisher, deprecation) is written behind
//! it without reading the rest.

mod account;
mod configuration;
mod edit;
mod packument;
mod publish;
mod request;
mod search;
mod setup;
mod tags;
mod version_object;

use hayloft_feed::json::quoted;
use hayloft_feed::native::{
    Action, ActionKind, Answer, ClientConfiguration, ClientSetup, FeedCard, FeedView, Fields,
    Framing, Intake, Native, Outcome, Refusal, Reply, Request, SampleRequest, StagedCard,
    ViewError,
};
use hayloft_feed::{IndexChange, IndexError, IndexWriter, PackageHead};

use crate::Npm;
use request::{Asked, Target};

/// Fragment of the abbreviated manifest, which lock files and pnpm are content with.
pub(crate) const ABBREVIATED: u8 = 1;

/// Derives the search record of the changed package, and the card that its hits show.
pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    search::index(change, view, out)
}

impl Native for Npm {
    fn prefix(&self) -> &'static str {
        "npm"
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let Some(asked) = Asked::of(request.path) else { return Ok(Answer::not_found()) };
        match asked.target {
            Target::Packument(name) => packument::resolve(view, request, &name),
            Target::Version(name, wanted) => version_object::resolve(view, request, &name, &wanted),
            Target::Tarball(name, file) => version_object::tarball(view, &name, &file),
            Target::Tags(name) => tags::resolve(view, &name),
            Target::Search => Ok(search::resolve(view, request)),
            Target::Ping => Ok(Answer::Reply(Reply::json(200, "{}"))),
            Target::WhoAmI => Ok(account::who_am_i(request)),
            Target::Profile => Ok(account::profile(request)),
            Target::Tokens => Ok(account::tokens(request)),
            Target::User(user) => Ok(account::named(request, &user)),
            Target::Keys => Ok(Answer::Reply(Reply::json(200, r#"{"keys":[]}"#))),
            _ => Ok(Answer::not_found()),
        }
    }

    /// npm prints `error`, and asks for a login where it meets a 401.
    fn refuse(&self, _: &Request<'_>, refusal: &Refusal) -> Reply {
        let status = match refusal {
            Refusal::UnknownKey => 401,
            other => other.status(),
        };
        let text = match refusal {
            Refusal::NotFound(None) => "not_found".to_owned(),
            other => other.text(),
        };
        let text = quoted(&text);
        Reply::json(status, format!(r#"{{"error":{text},"reason":{text}}}"#))
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        let Some(asked) = Asked::of(request.path) else { return Ok(None) };
        Ok(match (request.method, &asked.target) {
            ("PUT", Target::Packument(_)) => {
                Some(Intake::new(publish::framing(), publish::least(request)))
            }
            ("PUT", Target::Revision(_, _)) => {
                Some(Intake::new(publish::framing(), ActionKind::Delete))
            }
            ("DELETE", Target::Revision(..) | Target::TarballRevision(..)) => {
                Some(Intake::bodiless(ActionKind::Delete))
            }
            ("PUT" | "POST", Target::Tags(_) | Target::Tag(..)) | ("PUT", Target::Version(..)) => {
                Some(Intake::new(Framing::Json { wanted: &[""], file: None }, ActionKind::Tag))
            }
            ("DELETE", Target::Tag(..)) => Some(Intake::bodiless(ActionKind::Tag)),
            ("PUT", Target::User(_)) => {
                let wanted = &["name", "password"];
                Some(Intake::log_in(Framing::Json { wanted, file: None }))
            }
            // Read to its end and thrown away: clients look at no answer before they have sent all
            // of a lock file.
            ("POST", Target::Advisories | Target::Audit) => {
                Some(Intake::new(Framing::Json { wanted: &[], file: None }, ActionKind::Ask))
            }
            ("DELETE", Target::Token | Target::Tokens)
            | ("POST", Target::Profile | Target::Tokens) => Some(Intake::bodiless(ActionKind::Ask)),
            _ => None,
        })
    }

    fn decide(
        &self,
        view: &dyn FeedView,
        request: &Request<'_>,
        fields: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        let asked = Asked::of(request.path).ok_or(Refusal::NotFound(None))?;
        match (request.method, asked.target) {
            ("PUT", Target::Packument(name)) => match staged {
                Some(staged) => publish::decide(view, &name, fields, staged),
                None => edit::deprecate(view, &name, fields),
            },
            ("PUT", Target::Revision(name, revision)) => {
                edit::unpublish_some(view, &name, &revision, fields)
            }
            ("DELETE", Target::Revision(name, revision)) => {
                edit::unpublish_all(view, &name, &revision)
            }
            ("DELETE", Target::TarballRevision(name, file, _)) => {
                edit::unpublish_tarball(view, &name, &file)
            }
            ("PUT" | "POST", Target::Tags(name)) => {
                tags::set_all(view, &name, fields, request.method == "PUT")
            }
            ("PUT" | "POST", Target::Tag(name, tag) | Target::Version(name, tag)) => {
                tags::set(view, &name, &tag, fields)
            }
            ("DELETE", Target::Tag(name, tag)) => tags::remove(view, &name, &tag),
            ("PUT", Target::User(user)) => account::log_in(&user, fields),
            // Keys end where they were made; a client only forgets its copy.
            ("DELETE", Target::Token) => Ok(Action::Reply(Reply::json(200, r#"{"ok":true}"#))),
            ("POST", Target::Advisories) => Ok(Action::Reply(Reply::json(200, "{}"))),
            ("POST", Target::Audit) => Ok(Action::Reply(Reply::json(200, account::NO_FINDINGS))),
            ("POST" | "DELETE", Target::Profile | Target::Tokens) => Err(account::unchanged()),
            _ => Err(Refusal::NotFound(None)),
        }
    }

    fn answer(&self, request: &Request<'_>, action: &Action, outcome: &Outcome) -> Reply {
        match outcome {
            Outcome::Uploaded { package, revision, .. } => Reply::json(
                201,
                format!(
                    r#"{{"ok":true,"id":{},"rev":{},"success":true}}"#,
                    quoted(&package.spelled()),
                    quoted(&packument::revision_text(*revision)),
                ),
            ),
            Outcome::Edited { revision, .. } => {
                let status = if request.method == "DELETE" { 200 } else { 201 };
                let revision = revision.map(packument::revision_text).unwrap_or_default();
                Reply::json(status, format!(r#"{{"ok":true,"rev":{}}}"#, quoted(&revision)))
            }
            Outcome::LoggedIn { key, user } => account::logged_in(action, key, user),
            _ => Reply::json(200, r#"{"ok":true}"#),
        }
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        match package {
            Some(head) => packument::paths(view, head, visit),
            None => Ok(()),
        }
    }

    /// Tarballs lie below the document of their package.
    fn exported_as(&self, path: &str) -> String {
        if path.contains("/-/") { path.to_owned() } else { format!("{path}/index.json") }
    }

    fn samples(&self) -> Vec<SampleRequest> {
        setup::samples()
    }

    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
        setup::setup(feed, url, key)
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
