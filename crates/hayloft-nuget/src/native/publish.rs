use std::collections::BTreeMap;

use hayloft_feed::native::{
    Action, ActionKind, Change, Edit, Existing, FeedView, Fields, FilePart, Framing, Intake,
    ListingChange, Outcome, Refusal, Reply, Request, StagedCard, UploadOrder,
};
use hayloft_feed::shorten;

use super::refusal::one_line;
use super::route::{Route, Target};
use super::{deprecation, lookup};

/// Most warnings in an answer.
const MOST_WARNINGS: usize = 10;

/// What a request that is no GET is about. Old clients push and delete below the V2 root.
fn target(path: &str) -> Option<Target> {
    match Route::of(path)? {
        Route::Publish(target) => Some(target),
        Route::Odata(segments) => {
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            match segments.as_slice() {
                [] | ["package"] => Some(Target::Packages),
                ["symbolpackage"] => Some(Target::Symbols),
                ["package", id, "deprecations"] => Some(Target::Deprecations { id: (*id).into() }),
                ["package", id, version] | [id, version] => {
                    Some(Target::Version { id: (*id).into(), version: (*version).into() })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

pub(crate) fn intake(request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
    if matches!(request.method, "GET" | "HEAD") {
        return Ok(None);
    }
    let Some(target) = target(request.path) else { return Ok(None) };
    let none = Intake::bodiless;
    Ok(Some(match (request.method, &target) {
        ("PUT", Target::Packages | Target::Symbols) => Intake::new(
            // The name of the part, and whatever follows it, are the client's own affair.
            Framing::Multipart { file: FilePart::First, fields: &[] },
            ActionKind::Upload,
        ),
        ("PUT", Target::Deprecations { .. }) => {
            if request.header("user-agent").is_none_or(|agent| agent.trim().is_empty()) {
                let text = "the request needs a User-Agent header";
                return Err(Refusal::Invalid(text.to_owned()));
            }
            // JSON whatever the content type says: the documented samples have none.
            Intake::new(Framing::Json { wanted: &[""], file: None }, ActionKind::SetStatus)
        }
        ("DELETE", Target::Version { .. }) => none(ActionKind::Delete),
        ("POST", Target::Version { .. }) => none(ActionKind::SetStatus),
        _ => return Err(Refusal::Method { allowed: target.allowed() }),
    }))
}

pub(crate) fn decide(
    view: &dyn FeedView,
    request: &Request<'_>,
    fields: &Fields,
    staged: Option<&StagedCard>,
) -> Result<Action, Refusal> {
    match target(request.path).ok_or(Refusal::NotFound(None))? {
        Target::Packages => upload(staged, true),
        Target::Symbols => upload(staged, false),
        Target::Deprecations { id } => {
            let body = fields.at(&[]).unwrap_or_default();
            deprecation::edit(view, &id, body).map(Action::Edit)
        }
        Target::Version { id, version } => {
            let missing = || {
                let (id, version) = (shorten(&id), shorten(&version));
                Refusal::NotFound(Some(format!("there is no version `{version}` of `{id}`")))
            };
            let package = lookup::package(&id).ok_or_else(missing)?;
            let version = lookup::version(&version).ok_or_else(missing)?;
            let listing = match request.method {
                "POST" => ListingChange::List,
                _ => ListingChange::Delete,
            };
            Ok(Action::Edit(Edit::new(package, vec![Change::List(version, listing)])))
        }
    }
}

/// A package that is there already is a conflict even if its bytes are the same: `--skip-duplicate`
/// of the clients looks for that status. Symbols may come again.
fn upload(staged: Option<&StagedCard>, is_package: bool) -> Result<Action, Refusal> {
    let staged = staged
        .filter(|staged| staged.size > 0)
        .ok_or_else(|| Refusal::Invalid("the request has no package in its body".to_owned()))?;
    let role = if is_package { "package" } else { "symbols" };
    Ok(Action::Upload(UploadOrder {
        file_name: staged.file_name.clone(),
        hints: BTreeMap::from([("role".to_owned(), role.to_owned())]),
        existing: if is_package { Existing::Conflicts } else { Existing::Succeeds },
        relist: is_package,
        ..UploadOrder::default()
    }))
}

pub(crate) fn answer(request: &Request<'_>, outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Uploaded { warnings, .. } => {
            let mut reply = Reply::text(201, "");
            for warning in warnings.iter().take(MOST_WARNINGS) {
                reply = reply.header("x-nuget-warning", one_line(warning));
            }
            reply
        }
        _ if request.method == "DELETE" => Reply::text(204, ""),
        _ => Reply::text(200, ""),
    }
}
