use std::collections::HashMap;
use std::io::Write;
use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_feed::json::{Object, quoted};
use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, VersionEntry, ViewError, Want,
};
use hayloft_feed::{Fragment, NameKey, PackageHead, shorten};

use super::download::{invalid, parameter};
use super::{is_shown, search};
use crate::{FILE_LIST, FullName};

/// Packages unless a client asks for another number. Versions are all listed: pgutil picks one of
/// them and knows no pages.
const PACKAGES: usize = 1_000;

/// What is listed.
#[derive(Debug)]
struct Filter {
    /// `None` is any.
    group: Option<String>,
    name: Option<String>,
    version: Option<String>,
    count: Option<usize>,
}

impl Filter {
    /// A name without a group is that of a package without one; a lone `*` is any group.
    fn of(request: &Request<'_>) -> Result<Self, String> {
        let count = match parameter(request, "count") {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| format!("`count` is `{}`, not a number", shorten(&text)))?,
            ),
        };
        let name = parameter(request, "name").filter(|name| !name.is_empty());
        let group = match parameter(request, "group") {
            Some(group) if group == "*" => None,
            None => name.as_ref().map(|_| String::new()),
            group => group,
        };
        let version = parameter(request, "version").filter(|version| !version.is_empty());
        Ok(Self { group, name, version, count })
    }

    /// The one package that the filter can mean.
    fn package(&self, view: &dyn FeedView) -> Result<Option<PackageHead>, ViewError> {
        let (Some(group), Some(name)) = (&self.group, &self.name) else { return Ok(None) };
        let Ok(name) = FullName::new(group, name) else { return Ok(None) };
        let Ok(name) = name.package_name() else { return Ok(None) };
        view.package(name.key())
    }

    fn takes(&self, head: &PackageHead) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        is(&self.group, head.name.group()) && is(&self.name, head.name.name())
    }

    /// Up to `count` packages that the filter takes. Packages of a group lie together.
    fn packages(&self, view: &dyn FeedView, count: usize) -> Result<Vec<PackageHead>, ViewError> {
        if self.group.is_some() && self.name.is_some() {
            return Ok(self.package(view)?.into_iter().collect());
        }
        let group = self.group.as_ref().map(|group| group.to_ascii_lowercase());
        // No name is lower than this one.
        let start = group.as_ref().and_then(|group| NameKey::new(group, "\u{2}").ok());
        let mut heads = Vec::new();
        view.packages(start.as_ref(), &mut |head| {
            if heads.len() >= count
                || group
                    .as_ref()
                    .is_some_and(|group| !head.name.group().eq_ignore_ascii_case(group))
            {
                return ControlFlow::Break(());
            }
            if self.takes(head) {
                heads.push(head.clone());
            }
            ControlFlow::Continue(())
        })?;
        Ok(heads)
    }

    /// What of the request the answer depends on.
    fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// Packages with their versions, or one object if a name is given.
pub(super) fn packages<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
) -> Result<Answer<'a>, ViewError> {
    let filter = match Filter::of(request) {
        Ok(filter) => filter,
        Err(text) => return Ok(invalid(text)),
    };
    let counts = view.counts_revision()?.to_string();
    let validator = view.validator(view.feed().revision, &["packages", &filter.text(), &counts]);
    if filter.name.is_some() {
        let found = filter.packages(view, 1)?.into_iter().next();
        let Some(head) = found else { return Ok(Answer::not_found()) };
        let mut object = Vec::new();
        if !package(view, &head, &mut object).map_err(of_memory)? {
            return Ok(Answer::not_found());
        }
        let body = hayloft_feed::native::Body::Bytes(object);
        return Ok(Answer::Resource(Resource::new(validator, "application/json", body)));
    }
    let count = filter.count.unwrap_or(PACKAGES);
    Ok(Answer::Resource(Resource::document(validator, "application/json", move |out| {
        list(view, &filter.packages(view, count)?, out)
    })))
}

/// An array of packages.
pub(super) fn list(
    view: &dyn FeedView,
    heads: &[PackageHead],
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    out.write_all(b"[")?;
    let mut first = true;
    for head in heads {
        let mut object = Vec::new();
        if package(view, head, &mut object)? {
            if !std::mem::take(&mut first) {
                out.write_all(b",")?;
            }
            out.write_all(&object)?;
        }
    }
    out.write_all(b"]")?;
    Ok(())
}

fn of_memory(error: RenderError) -> ViewError {
    match error {
        RenderError::View(error) => error,
        error => ViewError::Unavailable(error.into()),
    }
}

/// Writes one package; false if none of its versions is shown.
fn package(
    view: &dyn FeedView,
    head: &PackageHead,
    out: &mut Vec<u8>,
) -> Result<bool, RenderError> {
    let mut versions = Vec::new();
    view.versions(head.name.key(), &Want::nothing(), &mut |entry| {
        if is_shown(entry.status) {
            versions.push(quoted(entry.text));
        }
        ControlFlow::Continue(())
    })?;
    versions.reverse();
    let Some(highest) = versions.first() else { return Ok(false) };
    let card = view.row(&search::card_key(head.name.key()))?.unwrap_or_default();
    let card = String::from_utf8_lossy(&card);
    let card = card.strip_prefix('{').and_then(|card| card.strip_suffix('}')).unwrap_or_default();
    write!(
        out,
        r#"{{"group":{},"name":{},"latestVersion":{highest},"versions":[{}],{card}{}"downloads":{},"isLocal":true,"isCached":false}}"#,
        quoted(head.name.group()),
        quoted(head.name.name()),
        versions.join(","),
        if card.is_empty() { "" } else { "," },
        head.downloads,
    )?;
    Ok(true)
}

/// The properties of the manifests and what the feed knows: all versions of a package, newest
/// first, or one object if a version is given.
pub(super) fn versions<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
) -> Result<Answer<'a>, ViewError> {
    let filter = match Filter::of(request) {
        Ok(filter) => filter,
        Err(text) => return Ok(invalid(text)),
    };
    let files = parameter(request, "includefilelist").is_some_and(|value| {
        value.is_empty() || value.eq_ignore_ascii_case("true") || value == "1"
    });
    let counts = view.counts_revision()?.to_string();
    let parts = ["versions", &filter.text(), &counts, if files { "files" } else { "" }];
    let validator = view.validator(view.feed().revision, &parts);
    if let (Some(_), Some(version)) = (&filter.name, &filter.version) {
        let Some(head) = filter.packages(view, 1)?.into_iter().next() else {
            return Ok(Answer::not_found());
        };
        let parsed = crate::UniversalVersion::parse_stored(version).ok();
        let Some(version) = parsed.map(|version| version.version()) else {
            return Ok(Answer::not_found());
        };
        let mut object = Vec::new();
        let mut written = Ok(());
        view.version(head.name.key(), &version, &want(), &mut |entry| {
            if is_shown(entry.status) {
                written = write_version(view, &head, entry, files, &mut object);
            }
        })?;
        written.map_err(of_memory)?;
        if object.is_empty() {
            return Ok(Answer::not_found());
        }
        let body = hayloft_feed::native::Body::Bytes(object);
        return Ok(Answer::Resource(Resource::new(validator, "application/json", body)));
    }
    Ok(Answer::Resource(Resource::document(validator, "application/json", move |out| {
        let mut left = filter.count.unwrap_or(usize::MAX);
        out.write_all(b"[")?;
        let mut first = true;
        for head in filter.packages(view, usize::MAX)? {
            newest_first(view, &head, files, &mut left, &mut |object| {
                let comma: &[u8] = if std::mem::take(&mut first) { b"" } else { b"," };
                out.write_all(comma).and_then(|()| out.write_all(object)).map_err(RenderError::from)
            })?;
        }
        out.write_all(b"]")?;
        Ok(())
    })))
}

fn want() -> Want<'static> {
    Want::fragments(&[Fragment::MANIFEST]).files().downloads()
}

/// Shows the versions of a package from the highest down.
fn newest_first(
    view: &dyn FeedView,
    head: &PackageHead,
    files: bool,
    left: &mut usize,
    show: &mut dyn FnMut(&[u8]) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    let mut written = Ok(());
    view.versions(head.name.key(), &want().newest_first(), &mut |entry| {
        if !is_shown(entry.status) {
            return ControlFlow::Continue(());
        }
        if *left == 0 {
            return ControlFlow::Break(());
        }
        *left -= 1;
        let mut object = Vec::new();
        written = write_version(view, head, entry, files, &mut object).and_then(|()| show(&object));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written
}

/// The manifest's properties as they are written, custom ones may hold numbers of any length, and
/// what the feed knows.
fn write_version(
    view: &dyn FeedView,
    head: &PackageHead,
    entry: &VersionEntry<'_>,
    files: bool,
    out: &mut Vec<u8>,
) -> Result<(), RenderError> {
    let damaged = || ViewError::damaged(format!("the manifest of version {}", entry.text));
    let manifest = entry.fragment(Fragment::MANIFEST).unwrap_or_default();
    let manifest = std::str::from_utf8(manifest).map_err(|_| damaged())?;
    let manifest = Object::parse(manifest).map_err(|_| damaged())?;
    let file = entry.files.first().ok_or_else(damaged)?;
    let mut known = vec![
        ("group", quoted(head.name.group())),
        ("name", quoted(head.name.name())),
        ("version", quoted(entry.text)),
        ("published", quoted(&entry.published.to_string())),
        ("size", file.size.to_string()),
        ("sha1", quoted(&HEXLOWER.encode(&file.digests.sha1))),
        ("downloads", entry.downloads.to_string()),
        ("isLocal", "true".to_owned()),
        ("isCached", "false".to_owned()),
        ("isVirtual", has_contents(&manifest).to_string()),
    ];
    if let Some(deprecation) = &entry.status.deprecated {
        known.push(("isDeprecated", "true".to_owned()));
        let reason = deprecation.reason.as_deref().unwrap_or_default();
        known.push(("deprecationReason", quoted(reason)));
    }
    if files && let Some(list) = view.document(file.id, FILE_LIST)? {
        known.push((FILE_LIST, String::from_utf8(list).map_err(|_| damaged())?));
    }
    // Of a property that is repeated the last value counts.
    let last: HashMap<&str, usize> =
        manifest.members().iter().enumerate().map(|(at, member)| (&*member.key, at)).collect();
    out.push(b'{');
    for (at, member) in manifest.members().iter().enumerate() {
        let ours = known.iter().any(|(key, _)| *key == member.key);
        if !ours && last.get(&*member.key) == Some(&at) {
            write!(out, "{}:{},", quoted(&member.key), member.raw)?;
        }
    }
    for (at, (key, value)) in known.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}\"{key}\":{value}")?;
    }
    out.push(b'}');
    Ok(())
}

fn has_contents(manifest: &Object<'_>) -> bool {
    manifest.members().iter().any(|member| member.key == "contents")
}

/// Whether a manifest is that of a virtual package.
pub(super) fn is_virtual(manifest: &str) -> bool {
    Object::parse(manifest).is_ok_and(|manifest| has_contents(&manifest))
}
