use std::io::Write;
use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, VersionEntry, ViewError, Want, encoded,
};
use hayloft_feed::{FileCard, Fragment, NameKey, Stability};
use serde_json::{Map, Value, json};

use super::index::is_shown;
use super::key_of;
use crate::name::normalize;
use crate::{CoreMetadata, Manifest, PypiVersion, description};

/// The page of a project, or of one version, for programs that know no simple index: bots that
/// update dependencies, and poetry.
///
/// Format: <https://docs.pypi.org/api/json/>
pub(crate) fn answer<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    name: &str,
    version: Option<&str>,
) -> Result<Answer<'a>, ViewError> {
    let Some(key) = key_of(&normalize(name)) else { return Ok(Answer::not_found()) };
    let Some(head) = view.package(&key)? else { return Ok(Answer::not_found()) };
    let Ok(asked) = version.map(str::parse::<PypiVersion>).transpose() else {
        return Ok(Answer::not_found());
    };
    let Some(shown) = chosen(view, &key, asked.as_ref())? else { return Ok(Answer::not_found()) };
    let identity = shown.identity();
    let validator = view.validator(head.revision, &["json", &identity, request.feed_url]);
    let files = format!("{}/files/{}", request.feed_url, normalize(name));
    let whole = asked.is_none();
    let resource = Resource::document(validator, "application/json", move |out| {
        render(view, &key, &shown, whole, &files, out)
    });
    Ok(Answer::resource(resource))
}

/// The version that was asked for, else the newest that is neither yanked nor a prerelease, else
/// the newest that is not yanked, else the newest.
fn chosen(
    view: &dyn FeedView,
    key: &NameKey,
    asked: Option<&PypiVersion>,
) -> Result<Option<PypiVersion>, ViewError> {
    let mut best: Option<(u8, String)> = None;
    if let Some(asked) = asked {
        let mut shown = false;
        view.version(key, &asked.checked(), &Want::nothing(), &mut |entry| {
            shown = is_shown(entry.status);
        })?;
        return Ok(shown.then(|| asked.clone()));
    }
    view.versions(key, &Want::nothing(), &mut |entry| {
        if is_shown(entry.status) {
            let rank = match (&entry.status.deprecated, entry.stability) {
                (None, Stability::Stable) => 2,
                (None, Stability::Prerelease) => 1,
                (Some(_), _) => 0,
            };
            // Versions ascend.
            if best.as_ref().is_none_or(|(known, _)| rank >= *known) {
                best = Some((rank, entry.text.to_owned()));
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(best.and_then(|(_, text)| text.parse().ok()))
}

fn render(
    view: &dyn FeedView,
    key: &NameKey,
    shown: &PypiVersion,
    whole: bool,
    files: &str,
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    let mut page: Option<(FileCard, Map<String, Value>, Vec<Value>)> = None;
    let want = Want::fragments(&[Fragment::MANIFEST]).files();
    view.version(key, &shown.checked(), &want, &mut |entry| {
        let urls = file_objects(entry, files);
        page = manifests(entry)
            .next()
            .map(|(file, manifest)| (file.clone(), info(&manifest.info, entry), urls));
    })?;
    let Some((file, mut info, urls)) = page else {
        return Err(ViewError::damaged("a version has no manifest").into());
    };
    let text = match file.documents.first() {
        Some(document) => view.document(file.id, document)?,
        None => None,
    };
    let text = text.and_then(|text| description(&text)).unwrap_or_default();
    info.insert("description".to_owned(), text.into());
    let info = Value::Object(info);
    write!(out, "{{\"info\":{info},\"last_serial\":0,")?;
    if whole {
        out.write_all(b"\"releases\":{")?;
        let mut is_first = true;
        let mut written = Ok(());
        let want = Want::fragments(&[Fragment::MANIFEST]).files();
        view.versions(key, &want, &mut |entry| {
            if !is_shown(entry.status) {
                return ControlFlow::Continue(());
            }
            let comma = if std::mem::take(&mut is_first) { "" } else { "," };
            let text = hayloft_feed::json::quoted(entry.text);
            let objects = Value::Array(file_objects(entry, files));
            written = write!(out, "{comma}{text}:{objects}");
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        written?;
        out.write_all(b"},")?;
    }
    write!(out, "\"urls\":{},\"vulnerabilities\":[]}}", Value::Array(urls))?;
    Ok(())
}

/// Files in the order of their names with what they say.
fn manifests<'e>(
    entry: &'e VersionEntry<'_>,
) -> impl Iterator<Item = (&'e FileCard, Manifest)> + 'e {
    let mut files: Vec<_> = entry.files.iter().collect();
    files.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    files.into_iter().filter_map(|file| {
        let text = entry.fragment_of(file.id.number, Fragment::MANIFEST)?;
        Some((file, serde_json::from_slice(text).ok()?))
    })
}

fn file_objects(entry: &VersionEntry<'_>, files: &str) -> Vec<Value> {
    let deprecated = entry.status.deprecated.as_ref();
    let reason = deprecated.and_then(|deprecated| deprecated.reason.as_deref());
    manifests(entry)
        .map(|(file, manifest)| {
            let sha256 = HEXLOWER.encode(&file.digests.sha256);
            let md5 = HEXLOWER.encode(&file.digests.md5);
            let url = format!("{files}/{sha256}/{}", encoded(&file.file_name));
            let time = file.published.to_seconds();
            json!({
                "comment_text": "",
                "core-metadata": manifest.core_metadata,
                "digests": {"md5": md5, "sha256": sha256},
                "downloads": -1,
                "filename": file.file_name,
                "has_sig": false,
                "md5_digest": md5,
                "packagetype": manifest.packagetype,
                "python_version": manifest.python_version,
                "requires_python": manifest.info.requires_python,
                "size": file.size,
                "upload_time": time.trim_end_matches('Z'),
                "upload_time_iso_8601": file.published.to_string(),
                "url": url,
                "yanked": deprecated.is_some(),
                "yanked_reason": reason,
            })
        })
        .collect()
}

fn info(info: &CoreMetadata, entry: &VersionEntry<'_>) -> Map<String, Value> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let list = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let urls: Map<String, Value> = info
        .project_urls
        .iter()
        .filter_map(|url| url.split_once(','))
        .map(|(label, url)| (label.trim().to_owned(), Value::from(url.trim())))
        .collect();
    let deprecated = entry.status.deprecated.as_ref();
    let told = json!({
        "author": text(&info.author),
        "author_email": text(&info.author_email),
        "bugtrack_url": null,
        "classifiers": info.classifiers,
        "description_content_type": info.description_content_type,
        "docs_url": null,
        "download_url": text(&info.download_url),
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": list(&info.dynamic),
        "home_page": text(&info.home_page),
        "keywords": text(&info.keywords),
        "license": info.license,
        "license_expression": info.license_expression,
        "license_files": list(&info.license_files),
        "maintainer": text(&info.maintainer),
        "maintainer_email": text(&info.maintainer_email),
        "name": info.name,
        "platform": info.platform.first(),
        "project_urls": if urls.is_empty() { Value::Null } else { Value::Object(urls) },
        "provides_extra": list(&info.provides_extra),
        "requires_dist": list(&info.requires_dist),
        "requires_python": info.requires_python,
        "summary": text(&info.summary),
        "version": entry.text,
        "yanked": deprecated.is_some(),
        "yanked_reason": deprecated.and_then(|deprecated| deprecated.reason.clone()),
    });
    match told {
        Value::Object(told) => told,
        _ => Map::new(),
    }
}
