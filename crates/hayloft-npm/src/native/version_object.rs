use std::io::Write;

use hayloft_feed::json::quoted;
use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, VersionEntry, ViewError, Want,
};
use hayloft_feed::{Fragment, Version};

use super::packument::{is_shown, version};
use super::request::Name;

/// What a deprecated version says that has no text; an empty one would mean that it is not.
const DEPRECATED: &str = "this version is deprecated";

/// Where the tarballs of a package are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Up to the version: pnpm and yarn 4 write every other shape into lock files.
    before: String,
}

impl Place {
    pub(super) fn of(name: &Name, feed_url: &str) -> Self {
        Self { before: format!("{feed_url}/{}/-/{}-", name.npm, name.npm.name()) }
    }
}

/// Writes the version object of an entry: a fragment whose `dist` object is its end, and what the
/// feed adds.
pub(super) fn write(
    entry: &VersionEntry<'_>,
    kind: u8,
    place: &Place,
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    let fragment = entry.fragment(kind).and_then(|fragment| fragment.strip_suffix(b"}}"));
    let fragment = fragment
        .ok_or_else(|| ViewError::damaged(format!("the manifest of version {}", entry.text)))?;
    out.write_all(fragment)?;
    let tarball = quoted(&format!("{}{}.tgz", place.before, entry.text));
    write!(out, r#","tarball":{tarball}}}"#)?;
    if let Some(deprecation) = &entry.status.deprecated {
        let reason = deprecation.reason.as_deref().filter(|reason| !reason.is_empty());
        write!(out, r#","deprecated":{}"#, quoted(reason.unwrap_or(DEPRECATED)))?;
    }
    if kind == Fragment::MANIFEST && !entry.published_by.is_empty() {
        write!(out, r#","_npmUser":{}"#, person(entry.published_by))?;
    }
    out.write_all(b"}")?;
    Ok(())
}

/// Somebody by the name that is known here; clients print the address, too, and cannot do without.
pub(super) fn person(name: &str) -> String {
    format!(r#"{{"name":{},"email":""}}"#, quoted(name))
}

/// One version, by itself or by a tag.
pub(super) fn resolve<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    name: &Name,
    wanted: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(head) = view.package(name.key())? else { return Ok(Answer::not_found()) };
    let tagged = match wanted {
        "latest" => super::packument::latest(view, &head)?,
        tag => head.tags.get(tag).and_then(|text| version(text)),
    };
    let Some(version) = tagged.or_else(|| version(wanted)) else { return Ok(Answer::not_found()) };
    let mut shown = false;
    let mut see = |entry: &VersionEntry<'_>| shown = is_shown(entry.status);
    view.version(name.key(), &version, &Want::nothing(), &mut see)?;
    if !shown {
        return Ok(Answer::not_found());
    }
    let parts = ["version", version.identity(), request.feed_url];
    let validator = view.validator(head.revision, &parts);
    let place = Place::of(name, request.feed_url);
    let key = name.key().clone();
    Ok(Answer::Resource(Resource::document(validator, "application/json", move |out| {
        let mut written = Ok(());
        let want = Want::fragments(&[Fragment::MANIFEST]);
        view.version(&key, &version, &want, &mut |entry| {
            written = write(entry, Fragment::MANIFEST, &place, out);
        })?;
        written
    })))
}

/// The version that a file name of the conventional form names.
pub(super) fn version_of_file(name: &Name, file: &str) -> Option<Version> {
    let rest = file.strip_suffix(".tgz")?;
    let text = rest.strip_prefix(name.npm.name())?.strip_prefix('-')?;
    version(text)
}

pub(super) fn tarball<'a>(
    view: &'a dyn FeedView,
    name: &Name,
    file: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(version) = version_of_file(name, file) else { return Ok(Answer::not_found()) };
    let mut found = None;
    view.version(name.key(), &version, &Want::nothing().files(), &mut |entry| {
        found = entry.files.first().map(|file| (file.id, file.digests.sha256));
    })?;
    Ok(match found {
        Some((id, sha256)) => Answer::Resource(Resource::file(id, &sha256)),
        None => Answer::not_found(),
    })
}
