use data_encoding::BASE64;
use hayloft_feed::native::{
    Action, ActionKind, Change, Edit, FeedView, Fields, FilePart, Framing, Intake, ListingChange,
    Outcome, Refusal, Reply, Request, StagedCard, UploadOrder, Want,
};
use hayloft_feed::{FeedType, PackageName, Qualifiers, Version};

use super::checked;
use super::index::gems;
use super::place::Place;
use crate::{Platform, RubyGems};

const READS: &str = "GET, HEAD";

pub(crate) fn route(request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
    let Some(place) = Place::of(request.path) else { return Ok(None) };
    let intake = |framing, least| Ok(Some(Intake::new(framing, least)));
    match (request.method, place) {
        ("POST", Place::Push) => {
            // Since 3.6 `gem` may send a form, with proofs of origin that are not looked at.
            let framing = Framing::Multipart { file: FilePart::Named("gem"), fields: &[] };
            intake(framing, ActionKind::Upload)
        }
        ("DELETE", Place::Yank) => intake(Framing::Form, ActionKind::Delete),
        ("PUT", Place::Unyank) => intake(Framing::Form, ActionKind::SetStatus),
        ("GET", Place::Key) => intake(Framing::None, ActionKind::Ask),
        ("POST" | "PUT", Place::Key) | ("POST" | "DELETE", Place::Owners(_)) => {
            intake(Framing::Form, ActionKind::Ask)
        }
        (_, Place::Push) => Err(Refusal::Method { allowed: "POST" }),
        (_, Place::Yank) => Err(Refusal::Method { allowed: "DELETE" }),
        (_, Place::Unyank) => Err(Refusal::Method { allowed: "PUT" }),
        (_, Place::Key) => Err(Refusal::Method { allowed: "GET, POST, PUT" }),
        ("GET", _) => Ok(None),
        _ => Err(Refusal::Method { allowed: READS }),
    }
}

pub(crate) fn decide(
    rubygems: RubyGems,
    view: &dyn FeedView,
    request: &Request<'_>,
    fields: &Fields,
    staged: Option<&StagedCard>,
) -> Result<Action, Refusal> {
    match Place::of(request.path) {
        Some(Place::Push) if staged.is_none_or(|staged| staged.size == 0) => {
            Err(Refusal::Invalid("the body is not a gem".to_owned()))
        }
        Some(Place::Push) => {
            Ok(Action::Upload(UploadOrder { relist: true, ..UploadOrder::default() }))
        }
        Some(Place::Yank) => yank(rubygems, view, fields),
        Some(Place::Unyank) => {
            let (package, version, platform) = asked(rubygems, fields)?;
            // Of several platforms one that was yanked is gone; to push it again brings it back.
            let (_, has) = platforms(view, &package, &version, &platform)?;
            if !has {
                return Err(no_version(version.text()));
            }
            let list = Change::List(version, ListingChange::List);
            Ok(Action::Edit(Edit::new(package, vec![list])))
        }
        Some(Place::Key) => log_in(request),
        Some(Place::Owners(_)) => {
            let text = "Owners are not kept here; who may push is set with the keys of the feed.";
            Ok(Action::Reply(Reply::text(403, text)))
        }
        _ => Err(Refusal::NotFound(None)),
    }
}

/// Package, version and platform of a form.
fn asked(
    rubygems: RubyGems,
    fields: &Fields,
) -> Result<(PackageName, Version, Qualifiers), Refusal> {
    let missing = |what: &str| Refusal::Invalid(format!("`{what}` is missing"));
    let name = fields.text("gem_name").ok_or_else(|| missing("gem_name"))?;
    let text = fields.text("version").ok_or_else(|| missing("version"))?;
    let unknown = || Refusal::NotFound(Some("This rubygem could not be found.".to_owned()));
    let package = checked(name).ok_or_else(unknown)?;
    let version = rubygems.version(text).map_err(|_| no_version(text))?;
    let platform = fields.text("platform").map(str::trim).filter(|platform| !platform.is_empty());
    let platform = platform.map_or(Ok(Platform::ruby()), str::parse);
    let platform = platform.map_err(|_| no_version(text))?;
    let qualifiers = crate::platform_qualifiers(&platform).map_err(|_| no_version(text))?;
    Ok((package, version, qualifiers))
}

fn no_version(text: &str) -> Refusal {
    let text = hayloft_feed::shorten(text);
    Refusal::NotFound(Some(format!("The version {text} does not exist.")))
}

/// For how many platforms a version has gems, and whether this is one of them.
fn platforms(
    view: &dyn FeedView,
    package: &PackageName,
    version: &Version,
    platform: &Qualifiers,
) -> Result<(usize, bool), Refusal> {
    let mut found = (0, false);
    view.version(package.key(), version, &Want::nothing().files(), &mut |entry| {
        let has = gems(entry.files).any(|file| file.qualifiers == *platform);
        found = (gems(entry.files).count(), has);
    })
    .map_err(|error| Refusal::Unavailable(error.to_string()))?;
    Ok(found)
}

/// Hides or removes a version, as the feed is set. Of a version with gems for several platforms,
/// whose status they share, one is removed.
fn yank(rubygems: RubyGems, view: &dyn FeedView, fields: &Fields) -> Result<Action, Refusal> {
    let (package, version, platform) = asked(rubygems, fields)?;
    let change = match platforms(view, &package, &version, &platform)? {
        (_, false) => return Err(no_version(version.text())),
        (1, true) => Change::List(version, ListingChange::Delete),
        (_, true) => Change::Remove(version, Some(platform)),
    };
    Ok(Action::Edit(Edit::new(package, vec![change])))
}

/// `gem signin` sends a name and, as password, a key, which it is given back to keep.
fn log_in(request: &Request<'_>) -> Result<Action, Refusal> {
    let header = request.header("authorization").ok_or(Refusal::NoCredential)?;
    let (scheme, digits) = header.split_once(' ').ok_or(Refusal::NoCredential)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::NoCredential);
    }
    let bytes = BASE64.decode(digits.trim().as_bytes()).map_err(|_| Refusal::UnknownKey)?;
    let text = String::from_utf8(bytes).map_err(|_| Refusal::UnknownKey)?;
    let (user, key) = text.split_once(':').ok_or(Refusal::UnknownKey)?;
    if key.is_empty() {
        return Err(Refusal::NoCredential);
    }
    let user = (!user.is_empty()).then(|| user.to_owned());
    Ok(Action::LogIn { key: key.to_owned(), user })
}

/// `gem` prints the body of every success.
pub(crate) fn success(request: &Request<'_>, action: &Action, outcome: &Outcome) -> Reply {
    match (action, outcome) {
        (_, Outcome::LoggedIn { key, .. }) => Reply::text(200, key.clone()),
        (_, Outcome::Uploaded { package, version, file, new, .. }) => {
            let number = super::index::number(version, file);
            let what = if *new { "Successfully registered gem" } else { "Gem was already pushed" };
            Reply::text(200, format!("{what}: {} ({number})", package.name()))
        }
        (Action::Edit(edit), _) => {
            let version = edit.changes.first().map(|change| match change {
                Change::List(version, _) => version.text().to_owned(),
                Change::Remove(version, platform) => {
                    let platform = platform.as_ref().and_then(|found| found.get("platform"));
                    match platform {
                        None | Some("ruby") => version.text().to_owned(),
                        Some(platform) => format!("{}-{platform}", version.text()),
                    }
                }
                _ => String::new(),
            });
            let done = match Place::of(request.path) {
                Some(Place::Unyank) => "unyanked",
                _ => "deleted",
            };
            let (name, version) = (edit.package.name(), version.unwrap_or_default());
            Reply::text(200, format!("Successfully {done} gem: {name} ({version})"))
        }
        (Action::Reply(reply), _) => reply.clone(),
        _ => Reply::text(200, ""),
    }
}

/// Bodies are printed to people. Two beginnings are avoided: "You have enabled multifactor
/// authentication" and "The API key doesn't have access", on which `gem` asks for more.
pub(crate) fn refusal(request: &Request<'_>, refusal: &Refusal) -> Reply {
    let is_push = request.method == "POST" && Place::of(request.path) == Some(Place::Push);
    match refusal {
        Refusal::UnknownKey => Reply::text(401, "The key is not known; run `gem signin`."),
        Refusal::NoCredential => Reply::text(401, "A key is needed; run `gem signin`."),
        Refusal::Conflict(text) if is_push => {
            Reply::text(409, format!("Repushing of gem versions is not allowed. {text}"))
        }
        Refusal::Invalid(text) if is_push => {
            Reply::text(422, format!("There was a problem saving your gem: {text}"))
        }
        Refusal::Invalid(text) => Reply::text(422, text.clone()),
        other => Reply::plain(other),
    }
}
