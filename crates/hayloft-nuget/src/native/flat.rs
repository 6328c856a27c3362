use std::ops::ControlFlow;

use hayloft_feed::native::{Answer, Body, FeedView, Refusal, Resource, ViewError, Want};
use hayloft_feed::{FileCard, Fragment};

use super::lookup;
use crate::Manifest;

/// All versions that can be downloaded, unlisted ones too, in ascending order.
pub(crate) fn versions<'a>(view: &'a dyn FeedView, id: &str) -> Result<Answer<'a>, ViewError> {
    let Some(package) = lookup::package(id) else { return Ok(Answer::not_found()) };
    let Some(head) = view.package(package.key())? else { return Ok(Answer::not_found()) };
    let mut versions = Vec::new();
    lookup::versions(view, &package, &Want::nothing(), &mut |entry| {
        versions.push(entry.identity.to_owned());
        ControlFlow::Continue(())
    })?;
    if versions.is_empty() {
        return Ok(Answer::not_found());
    }
    let validator = view.validator(head.revision, &["flat"]);
    Ok(Answer::resource(Resource::document(validator, "application/json", move |out| {
        out.write_all(b"{\"versions\":[")?;
        for (at, version) in versions.iter().enumerate() {
            // Digits, letters, dots and dashes need no escape.
            write!(out, "{}\"{version}\"", if at == 0 { "" } else { "," })?;
        }
        Ok(out.write_all(b"]}")?)
    })))
}

/// The package, or a file that was taken out of it: `{id}.nuspec`, `icon`, `readme`, `license`.
/// Any other name is that of the package, because clients differ in how they spell it.
pub(crate) fn file<'a>(
    view: &'a dyn FeedView,
    (id, version, file): (&str, &str, &str),
) -> Result<Answer<'a>, ViewError> {
    let asked = lookup::package(id).zip(lookup::version(version));
    let Some((package, version)) = asked else { return Ok(Answer::not_found()) };
    let Some(found) = lookup::file(view, &package, &version)? else {
        return Ok(Answer::not_found());
    };
    let lower = file.to_ascii_lowercase();
    let extension = lower.rsplit_once('.').map(|(_, extension)| extension);
    Ok(match (lower.as_str(), extension) {
        (_, Some("nupkg")) => package_file(&found.file),
        (_, Some("snupkg")) => found.symbols.as_ref().map_or_else(Answer::not_found, package_file),
        (_, Some("nuspec")) => document(view, &found, "nuspec", "application/xml"),
        ("readme", None) => document(view, &found, "readme", "text/markdown; charset=utf-8"),
        ("license", None) => document(view, &found, "license", "text/plain; charset=utf-8"),
        ("icon", None) => {
            let mut media_type = None;
            let want = Want::fragments(&[Fragment::MANIFEST]);
            view.version(package.key(), &version, &want, &mut |entry| {
                let manifest = entry.fragment_of(found.file.id.number, Fragment::MANIFEST);
                let manifest: Option<Manifest> =
                    manifest.and_then(|bytes| serde_json::from_slice(bytes).ok());
                media_type =
                    manifest.and_then(|manifest| manifest.icon).map(|icon| icon.media_type);
            })?;
            match media_type.as_deref() {
                Some("image/jpeg") => document(view, &found, "icon", "image/jpeg"),
                Some(_) => document(view, &found, "icon", "image/png"),
                None => Answer::not_found(),
            }
        }
        _ => Answer::not_found(),
    })
}

/// The bytes of the upload; the executor refuses those of a blocked version with its reason.
pub(crate) fn package_file<'a>(file: &FileCard) -> Answer<'a> {
    Answer::resource(Resource::file(file.id, &file.digests.sha256))
}

fn document<'a>(
    view: &dyn FeedView,
    found: &lookup::Found,
    name: &str,
    media_type: &'static str,
) -> Answer<'a> {
    if !found.file.documents.iter().any(|document| document == name) {
        return Answer::not_found();
    }
    if found.is_blocked {
        let reason = format!("`{}` is blocked", found.file.file_name);
        return Answer::Refused(Refusal::Forbidden(reason));
    }
    let sha256 = data_encoding::HEXLOWER.encode(&found.file.digests.sha256);
    let validator = view.validator(0, &["document", name, &sha256]);
    let body = Body::Document { file: found.file.id, name: name.to_owned() };
    Answer::resource(Resource::new(validator, media_type, body).download())
}
