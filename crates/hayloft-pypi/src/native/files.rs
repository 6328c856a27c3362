use std::ops::ControlFlow;

use hayloft_feed::native::{
    Answer, Body, FeedView, Refusal, Resource, Validator, ViewError, Want, encoded,
};
use hayloft_feed::{FileCard, PackageHead, Status};

use super::index::is_shown;
use super::key_of;
use crate::file_name::{FileName, split_name};
use crate::name::normalize;
use crate::wheel::METADATA;
use crate::{PypiName, PypiVersion};

/// A file by the address that its index gives.
pub(crate) fn file<'a>(
    view: &dyn FeedView,
    name: &str,
    sha256: &[u8; 32],
    file: &str,
) -> Result<Answer<'a>, ViewError> {
    let found = find(view, name, sha256, file)?;
    Ok(found.map_or_else(Answer::not_found, |(card, _)| {
        Answer::resource(Resource::file(card.id, &card.digests.sha256))
    }))
}

/// The metadata of a wheel, as they stand in it.
pub(crate) fn metadata<'a>(
    view: &dyn FeedView,
    name: &str,
    sha256: &[u8; 32],
    file: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some((card, status)) = find(view, name, sha256, file)? else {
        return Ok(Answer::not_found());
    };
    if !card.documents.iter().any(|document| document == METADATA) {
        return Ok(Answer::not_found());
    }
    if status.is_blocked() {
        return Ok(Answer::Refused(Refusal::Forbidden(format!("{file} is blocked"))));
    }
    let tag = format!("{}.metadata", data_encoding::HEXLOWER.encode(sha256));
    let body = Body::Document { file: card.id, name: METADATA.to_owned() };
    let resource = Resource::new(Validator::exact(tag), "application/octet-stream", body);
    Ok(Answer::resource(resource.immutable().download().identity()))
}

fn find(
    view: &dyn FeedView,
    name: &str,
    sha256: &[u8; 32],
    file: &str,
) -> Result<Option<(FileCard, Status)>, ViewError> {
    let Some((key, version)) = key_of(name).zip(version_of(file, name)) else { return Ok(None) };
    let mut found = None;
    view.version(&key, &version.checked(), &Want::nothing().files(), &mut |entry| {
        found = entry
            .files
            .iter()
            .find(|card| card.digests.sha256 == *sha256 && card.file_name == file)
            .map(|card| (card.clone(), entry.status.clone()));
    })?;
    Ok(found)
}

/// The version that a file of this project is named after.
fn version_of(file: &str, normalized: &str) -> Option<PypiVersion> {
    match file.parse().ok()? {
        FileName::Wheel(wheel) => Some(wheel.version),
        FileName::Sdist(sdist) => {
            let name: PypiName = normalized.parse().ok()?;
            split_name(&sdist.stem, &name).map(|(_, version)| version)
        }
    }
}

/// The paths of a project: its page, its files and what lies beside them.
pub(crate) fn paths(
    view: &dyn FeedView,
    head: &PackageHead,
    visit: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let name = normalize(head.name.name());
    visit(&format!("/simple/{name}/"));
    visit(&format!("/pypi/{name}/json"));
    view.versions(head.name.key(), &Want::nothing().files(), &mut |version| {
        if version.status.is_blocked() {
            return ControlFlow::Continue(());
        }
        if is_shown(version.status) {
            visit(&format!("/pypi/{name}/{}/json", encoded(version.text)));
        }
        for file in version.files {
            let sha256 = data_encoding::HEXLOWER.encode(&file.digests.sha256);
            let path = format!("/files/{name}/{sha256}/{}", encoded(&file.file_name));
            visit(&path);
            if file.documents.iter().any(|document| document == METADATA) {
                visit(&format!("{path}.metadata"));
            }
        }
        ControlFlow::Continue(())
    })
}
