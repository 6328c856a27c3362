//! What apt speaks: releases of distributions, their indexes, and the pool of package files.
//!
//! An upload writes the stanza of its file and an entry of a journal. The first read of a release
//! after that makes the next one ([`refresh`]): indexes are lists of pieces, of which only those
//! that changed are made, compressed and hashed. A release names its indexes by their digests, and
//! these stay readable for an hour after the next release, so that no client meets an index of
//! another moment than its release.

mod configuration;
pub(crate) mod entry;
mod hash_state;
mod index;
mod path;
mod pieces;
mod refresh;
mod release;
mod rows;
mod section;
mod setup;
mod signing;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hayloft_feed::native::{
    Action, ActionKind, Answer, Body, ClientConfiguration, ClientSetup, FeedCard, FeedSecret,
    FeedView, Fields, FilePart, Framing, Intake, Native, Outcome, Refresh, RefreshOrder, Refusal,
    Reply, Request, Resource, SampleRequest, StagedCard, UploadOrder, Validator, ViewError, Want,
};
use hayloft_feed::{FeedType, PackageHead};

use crate::Debian;
use crate::placement::COMPONENT;
use entry::Entry;
use path::{Asked, IndexName, PoolFile, ReleaseFile};
use pieces::PieceList;
use release::{IndexCard, Release};
use section::Section;

pub(crate) use index::index;
pub(crate) use rows::is_history;

impl Native for Debian {
    fn prefix(&self) -> &'static str {
        "debian"
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let Some(asked) = Asked::of(request.path) else { return Ok(Answer::not_found()) };
        match asked {
            Asked::Release { suite, file } => release_file(view, request, &suite, file),
            Asked::Index { parts, name } => {
                // Distributions and components may both have several parts.
                for cut in 1..parts.len() {
                    let (suite, directory) = parts.split_at(cut);
                    let directory: Vec<&str> = directory.iter().map(String::as_str).collect();
                    let suite = suite.join("/");
                    if let Some(section) = Section::parse(&directory)
                        && let Some((release, _)) = Release::read(view, &suite)?
                        && let Some(card) = release.indexes.get(&section.directory())
                    {
                        return index_file(view, &suite, &section, &release, card, &name);
                    }
                }
                Ok(Answer::not_found())
            }
            Asked::Pool(file) => pool_file(*self, view, &file),
            Asked::Key { armored } => key_file(view, request, armored),
        }
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        let is_upload = path::upload(request.path).is_some();
        Ok(match request.method {
            "PUT" | "POST" if is_upload => {
                let framing = Framing::Multipart { file: FilePart::First, fields: &[] };
                Some(Intake::new(framing, ActionKind::Upload))
            }
            _ => None,
        })
    }

    fn decide(
        &self,
        _: &dyn FeedView,
        request: &Request<'_>,
        _: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        let target = path::upload(request.path).ok_or(Refusal::NotFound(None))?;
        let Some(staged) = staged else {
            return Err(Refusal::Invalid("the body must be a package file".to_owned()));
        };
        let hints = [("distribution", target.suite), ("component", target.component)];
        let hints: BTreeMap<String, String> =
            hints.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let file_name = target.file_name.or_else(|| staged.file_name.clone());
        Ok(Action::Upload(UploadOrder { file_name, hints, ..UploadOrder::default() }))
    }

    fn answer(&self, _: &Request<'_>, _: &Action, outcome: &Outcome) -> Reply {
        match outcome {
            Outcome::Uploaded { new: true, warnings, .. } => Reply::text(201, lines(warnings)),
            Outcome::Uploaded { warnings, .. } => Reply::text(200, lines(warnings)),
            _ => Reply::text(200, ""),
        }
    }

    fn refresh(
        &self,
        view: &dyn FeedView,
        subject: &[u8],
        order: &RefreshOrder<'_>,
    ) -> Result<Option<Refresh>, ViewError> {
        refresh::refresh(view, subject, order)
    }

    fn secret(&self) -> Option<&dyn FeedSecret> {
        signing::secret()
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        match package {
            Some(package) => pool_paths(view, package, visit),
            None => release_paths(view, visit),
        }
    }

    fn samples(&self) -> Vec<SampleRequest> {
        setup::samples()
    }

    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
        setup::setup(feed, url, key)
    }

    fn configurations(
        &self,
        feed: &FeedCard,
        url: &str,
        key: Option<&str>,
    ) -> Vec<ClientConfiguration> {
        configuration::configurations(feed, url, key)
    }
}

fn lines(warnings: &[String]) -> String {
    warnings.iter().flat_map(|warning| [warning, "\n"]).collect()
}

/// The beginning of what clients read, and the only place where the next release is made: indexes
/// that are asked for afterwards are those it names.
fn release_file<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    suite: &str,
    file: ReleaseFile,
) -> Result<Answer<'a>, ViewError> {
    // A signature fits the text that was read before it.
    if file != ReleaseFile::Detached && !request.refreshed && has_changed(view, suite)? {
        return Ok(Answer::Refresh(suite.as_bytes().to_vec()));
    }
    let Some((release, _)) = Release::read(view, suite)? else { return Ok(Answer::not_found()) };
    let validator = view.validator(release.generation, &[suite, file.name()]);
    let changed = release.changed();
    let text = match file {
        ReleaseFile::Plain => Some(release.text),
        ReleaseFile::Inline => release.inline,
        ReleaseFile::Detached => release.detached,
    };
    let Some(text) = text else { return Ok(Answer::not_found()) };
    let resource = Resource::new(validator, "text/plain", Body::Bytes(text.into_bytes()));
    Ok(Answer::resource(resource.changed(changed).identity()))
}

fn has_changed(view: &dyn FeedView, suite: &str) -> Result<bool, ViewError> {
    let mut found = false;
    view.rows(&rows::journals(suite), None, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// An index of the release that is served, or one of any release that names it by its digest.
fn index_file<'a>(
    view: &'a dyn FeedView,
    suite: &str,
    section: &Section,
    release: &Release,
    card: &IndexCard,
    name: &IndexName,
) -> Result<Answer<'a>, ViewError> {
    let (since, packed, form) = match name {
        IndexName::Plain => (card.since, false, card.text),
        IndexName::Gzip => (card.since, true, card.packed),
        IndexName::ByDigest(sha256) => {
            return by_digest(view, suite, section, sha256);
        }
    };
    let validator = view.validator(release.generation, &[suite, &section.directory(), name.name()]);
    let body = index_body(view, suite, section, since, packed, form.length)?;
    let resource = Resource::new(validator, media_type(packed), body).identity();
    Ok(Answer::resource(resource.changed(release.changed())))
}

fn by_digest<'a>(
    view: &'a dyn FeedView,
    suite: &str,
    section: &Section,
    sha256: &[u8; 32],
) -> Result<Answer<'a>, ViewError> {
    let mut found = None;
    view.rows(&rows::digests(suite, section, sha256), None, &mut |_, row| {
        found = Pointer::decode(row);
        ControlFlow::Break(())
    })?;
    let Some(pointer) = found else { return Ok(Answer::not_found()) };
    let Pointer { since, packed, length } = pointer;
    let body = index_body(view, suite, section, since, packed, length)?;
    let validator = Validator::exact(data_encoding::HEXLOWER.encode(sha256));
    Ok(Answer::resource(Resource::new(validator, media_type(packed), body).identity().immutable()))
}

/// Where an index that is named by its digest is.
struct Pointer {
    since: u64,
    packed: bool,
    length: u64,
}

impl Pointer {
    fn decode(row: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(row).ok()?.lines();
        Some(Self {
            since: lines.next()?.parse().ok()?,
            packed: lines.next()? == "gz",
            length: lines.next()?.parse().ok()?,
        })
    }
}

fn media_type(packed: bool) -> &'static str {
    if packed { "application/gzip" } else { "text/plain" }
}

fn index_body<'a>(
    view: &dyn FeedView,
    suite: &str,
    section: &Section,
    since: u64,
    packed: bool,
    length: u64,
) -> Result<Body<'a>, ViewError> {
    let row = view.row(&rows::list(suite, section, since))?;
    let list: Option<PieceList> = row.and_then(|row| serde_json::from_slice(&row).ok());
    let list = list.ok_or_else(|| ViewError::damaged(format!("the index {section} of {suite}")))?;
    let pieces = list.pieces.iter().map(|piece| piece.id);
    let keys = if packed {
        let middle = pieces.map(|piece| rows::packed(suite, piece));
        std::iter::once(rows::GZIP_HEADER.to_vec())
            .chain(middle)
            .chain([rows::end(suite, section, since)])
            .collect()
    } else {
        pieces.map(|piece| rows::text(suite, piece)).collect()
    };
    Ok(Body::Rows { keys, length })
}

/// A package file, if a version has it, or a release that is still readable.
fn pool_file<'a>(
    debian: Debian,
    view: &'a dyn FeedView,
    file: &PoolFile,
) -> Result<Answer<'a>, ViewError> {
    let name = file.file_name.split('_').next().unwrap_or_default();
    let Ok(package) = debian.package_name("", name) else { return Ok(Answer::not_found()) };
    let mut found = None;
    view.versions(package.key(), &Want::nothing().files(), &mut |version| {
        found = version
            .files
            .iter()
            .find(|card| card.digests.sha256.starts_with(&file.digest))
            .map(|card| (card.id, card.digests.sha256));
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let media_type = "application/vnd.debian.binary-package";
    if let Some((id, sha256)) = found {
        let mut resource = Resource::file(id, &sha256);
        resource.media_type = media_type.into();
        return Ok(Answer::resource(resource));
    }
    match refresh::kept(view, &file.digest)? {
        Some((sha256, size)) if view.has_content(&sha256)? => {
            let body = Body::Content { sha256, size, file_name: file.file_name.clone() };
            let validator = Validator::exact(data_encoding::HEXLOWER.encode(&sha256));
            let resource = Resource::new(validator, media_type, body);
            Ok(Answer::resource(resource.download().identity().immutable()))
        }
        _ => Ok(Answer::not_found()),
    }
}

fn key_file<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    armored: bool,
) -> Result<Answer<'a>, ViewError> {
    let row = if armored { rows::KEY_ARMORED } else { rows::KEY_BINARY };
    let Some(key) = view.row(row)? else {
        return Ok(if request.refreshed || cfg!(not(feature = "openpgp")) {
            Answer::not_found()
        } else {
            Answer::Refresh(refresh::KEY.to_vec())
        });
    };
    let (kind, media_type) =
        if armored { ("asc", "application/pgp-keys") } else { ("gpg", "application/octet-stream") };
    let validator = view.validator(0, &["key", kind, &data_encoding::HEXLOWER.encode(&key)]);
    Ok(Answer::resource(Resource::new(validator, media_type, Body::Bytes(key)).identity()))
}

fn pool_paths(
    view: &dyn FeedView,
    package: &PackageHead,
    visit: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let want = Want::fragments(&[Entry::FRAGMENT]).files();
    view.each_version(package.name.key(), &want, &mut |version| {
        for card in version.files {
            let entry = version.fragment_of(card.id.number, Entry::FRAGMENT);
            if !version.status.is_blocked()
                && let Some(entry) = entry.and_then(Entry::decode)
                && let Some(component) = card.qualifiers.get(COMPONENT)
            {
                let path = entry.pool_path(component, &card.digests.sha256);
                visit(&format!("/{}", path::encoded_path(&path)));
            }
        }
    })
}

fn release_paths(view: &dyn FeedView, visit: &mut dyn FnMut(&str)) -> Result<(), ViewError> {
    let mut suites = Vec::new();
    view.rows(&rows::all_current(), None, &mut |key, _| {
        suites.extend(rows::suite_of_current(key));
        ControlFlow::Continue(())
    })?;
    // Those that have no release yet: to ask for one makes it.
    let mut after: Option<Vec<u8>> = None;
    loop {
        let mut found = None;
        view.rows(&rows::all_journals(), after.as_deref(), &mut |key, _| {
            found = rows::suite_of_journal(key);
            ControlFlow::Break(())
        })?;
        let Some((suite, end)) = found else { break };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
        after = Some(end);
    }
    let feed = hayloft_feed::native::encoded(&view.feed().name);
    let extensions: &[&str] = if cfg!(feature = "openpgp") { &["asc", "gpg"] } else { &[] };
    for extension in extensions {
        visit(&format!("/keys/{feed}.{extension}"));
    }
    for suite in suites {
        let release = Release::read(view, &suite)?.map(|(release, _)| release);
        let signs = cfg!(feature = "openpgp");
        let detached = release.as_ref().map_or(signs, |release| release.detached.is_some());
        let inline = release.as_ref().map_or(signs, |release| release.inline.is_some());
        let indexes = release.map(|release| release.indexes).unwrap_or_default();
        for (directory, index) in &indexes {
            let directory = format!("/dists/{suite}/{directory}");
            for (name, form) in [("Packages", index.text), ("Packages.gz", index.packed)] {
                let digest = data_encoding::HEXLOWER.encode(&form.sha256);
                visit(&format!("{directory}/by-hash/SHA256/{digest}"));
                visit(&format!("{directory}/{name}"));
            }
        }
        // Last, for it names the others.
        let files = [
            (ReleaseFile::Plain, true),
            (ReleaseFile::Detached, detached),
            (ReleaseFile::Inline, inline),
        ];
        for (file, _) in files.into_iter().filter(|(_, is_there)| *is_there) {
            visit(&format!("/dists/{suite}/{}", file.name()));
        }
    }
    Ok(())
}
