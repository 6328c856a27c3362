use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_feed::native::{
    Answer, Body, Caching, FeedView, Refusal, Request, Resource, Validator, ViewError, Want,
    encoded,
};
use hayloft_feed::{FileCard, Fragment, PackageHead};

use super::assemble::{self, Plan};
use super::contents::{self, Form};
use super::lists::is_virtual;
use super::package_path::PackagePath;

/// The file of a version, or of the newest with `?latest`; with `contentOnly` what it installs.
pub(super) fn package<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    rest: &str,
) -> Result<Answer<'a>, ViewError> {
    let form = match parameter(request, "contentonly").as_deref() {
        None => None,
        Some(text) => match Form::of(text) {
            Some(form) => Some(form),
            None => return Ok(invalid("`contentOnly` is `zip` or `tgz`")),
        },
    };
    let Some(path) = PackagePath::parse(rest, latest(request)) else { return Ok(no_version()) };
    let Some((head, version)) = path.find(view)? else { return Ok(missing(&path)) };
    let found = assemble::file_and_manifest(view, head.name.key(), &version)?;
    let Some((file, manifest)) = found else { return Ok(missing(&path)) };
    if is_virtual(&manifest) {
        if form.is_some() {
            return Ok(invalid("a virtual package is downloaded whole or not at all"));
        }
        return whole(view, &file, &manifest);
    }
    let resource = match form {
        None => Resource::file(file.id, &file.digests.sha256),
        Some(form) => {
            let validator = part_of(view, &file, form.name());
            let body = Body::Extract(contents::of_package(file.id, form));
            let name = file.file_name.strip_suffix(".upack").unwrap_or(&file.file_name);
            let header = format!("attachment; filename=\"{name}.{}\"", form.name());
            Resource::new(validator, form.media_type(), body)
                .download()
                .identity()
                .header("Content-Disposition", header)
        }
    };
    Ok(Answer::Resource(unsettled(resource)))
}

/// A virtual package, put together.
fn whole<'a>(
    view: &'a dyn FeedView,
    file: &FileCard,
    manifest: &str,
) -> Result<Answer<'a>, ViewError> {
    let plan = match Plan::of(view, manifest)? {
        Ok(plan) => plan,
        Err(why) => return Ok(invalid(format!("the package cannot be put together: {why}"))),
    };
    let sha256 = HEXLOWER.encode(&file.digests.sha256);
    let parts: Vec<&str> =
        ["whole", &sha256].into_iter().chain(plan.digests.iter().map(String::as_str)).collect();
    let validator = view.validator(0, &parts);
    let header = format!("attachment; filename=\"{}\"", file.file_name);
    let resource =
        Resource::new(validator, "application/octet-stream", Body::Assemble(plan.into_order()));
    let resource = resource.download().identity().header("Content-Disposition", header);
    Ok(Answer::Resource(unsettled(resource)))
}

/// One file out of a package.
pub(super) fn file<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    rest: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(path) = parameter(request, "path").filter(|path| !path.is_empty()) else {
        return Ok(invalid("name the file in the package by `path`"));
    };
    let (_, file) = match file_of(view, request, rest)? {
        Ok(found) => found,
        Err(answer) => return Ok(answer),
    };
    let validator = part_of(view, &file, &format!("file {path}"));
    let body = Body::Extract(contents::file_of_package(file.id, path));
    let resource = Resource::new(validator, "application/octet-stream", body).download().identity();
    Ok(Answer::Resource(unsettled(resource)))
}

/// The manifest of a virtual package.
pub(super) fn virtual_manifest<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    rest: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(path) = PackagePath::parse(rest, latest(request)) else { return Ok(no_version()) };
    let Some((head, version)) = path.find(view)? else { return Ok(missing(&path)) };
    let mut manifest = Vec::new();
    let want = Want::fragments(&[Fragment::MANIFEST]);
    view.version(head.name.key(), &version, &want, &mut |entry| {
        manifest = entry.fragment(Fragment::MANIFEST).unwrap_or_default().to_vec();
    })?;
    let text = String::from_utf8_lossy(&manifest);
    if !is_virtual(&text) {
        return Ok(invalid("the package is not virtual"));
    }
    let validator = view.validator(head.revision, &["vpack", version.identity()]);
    let body = Body::Bytes(manifest);
    Ok(Answer::Resource(Resource::new(validator, "application/json", body).download()))
}

type Found<'a> = Result<(PackageHead, FileCard), Answer<'a>>;

fn file_of<'a>(
    view: &dyn FeedView,
    request: &Request<'_>,
    rest: &str,
) -> Result<Found<'a>, ViewError> {
    let Some(path) = PackagePath::parse(rest, latest(request)) else {
        return Ok(Err(no_version()));
    };
    let found = path.find_file(view)?.map(|(head, _, file)| (head, file));
    Ok(found.ok_or_else(|| missing(&path)))
}

/// A key without a value is enough.
fn latest(request: &Request<'_>) -> bool {
    parameter(request, "latest").is_some()
}

/// Names of parameters are found in any case.
pub(super) fn parameter(request: &Request<'_>, name: &str) -> Option<String> {
    hayloft_feed::native::query_pairs(request.query)
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn no_version<'a>() -> Answer<'a> {
    invalid("name a version behind the package, or add `?latest`")
}

pub(super) fn invalid<'a>(text: impl Into<String>) -> Answer<'a> {
    Answer::Refused(Refusal::Invalid(text.into()))
}

fn missing<'a>(path: &PackagePath) -> Answer<'a> {
    Answer::Refused(Refusal::NotFound(Some(path.missing())))
}

/// A version may be replaced where the feed allows it, and `latest` moves.
fn unsettled(mut resource: Resource<'_>) -> Resource<'_> {
    resource.caching = Caching::Revalidate;
    resource
}

/// The tag of what is made of a file: its bytes and the part decide.
fn part_of(view: &dyn FeedView, file: &FileCard, part: &str) -> Validator {
    view.validator(0, &["part", &HEXLOWER.encode(&file.digests.sha256), part])
}

/// The downloads of a package, for a static export.
pub(super) fn paths(
    view: &dyn FeedView,
    head: &PackageHead,
    visit: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let group = head.name.group();
    let slash = if group.is_empty() { "" } else { "/" };
    view.versions(head.name.key(), &Want::nothing(), &mut |entry| {
        if !entry.status.is_blocked() {
            visit(&format!("/download/{group}{slash}{}/{}", head.name.name(), encoded(entry.text)));
        }
        ControlFlow::Continue(())
    })
}
