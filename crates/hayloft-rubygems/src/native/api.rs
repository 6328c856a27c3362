use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_feed::native::{
    Answer, Body, FeedView, Refusal, RenderError, Reply, Request, Resource, SearchQuery,
    VersionEntry, ViewError, Want, encoded, find_package,
};
use hayloft_feed::{FeedType, FileCard, Fragment, PackageHead, Stability};
use serde_json::{Value, json};

use super::index::{gems, is_shown, number};
use crate::RubyGems;

/// Hits of one page of a search.
const PAGE: usize = 30;

const JSON: &str = "application/json; charset=utf-8";

fn unknown<'a>() -> Answer<'a> {
    Answer::Refused(Refusal::NotFound(Some("This rubygem could not be found.".to_owned())))
}

fn head_of(view: &dyn FeedView, name: &str) -> Result<Option<PackageHead>, ViewError> {
    find_package(view, &RubyGems, name)
}

/// `gems/NAME.json`: the newest version.
pub(crate) fn package<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    name: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(head) = head_of(view, name)? else { return Ok(unknown()) };
    if newest(&head).is_none() {
        return Ok(unknown());
    }
    let validator = view.validator(head.revision, &["gem", request.feed_url]);
    let resource = Resource::document(validator, JSON, move |out| {
        let described = described(view, &head, request.feed_url)?.unwrap_or(Value::Null);
        Ok(out.write_all(described.to_string().as_bytes())?)
    });
    Ok(Answer::resource(resource))
}

fn newest(head: &PackageHead) -> Option<&str> {
    head.latest_stable.as_deref().or(head.latest.as_deref())
}

/// What bots that update dependencies read of the newest version.
fn described(
    view: &dyn FeedView,
    head: &PackageHead,
    feed_url: &str,
) -> Result<Option<Value>, ViewError> {
    let Some(version) = newest(head).and_then(|text| RubyGems.version(text).ok()) else {
        return Ok(None);
    };
    let mut described = None;
    let want = Want::fragments(&[Fragment::MANIFEST]).files().downloads();
    view.version(head.name.key(), &version, &want, &mut |entry| {
        described = files(entry).next().map(|(file, manifest)| {
            let full_name = encoded(&format!("{}-{}", head.name.name(), number(entry.text, file)));
            let needs = |kind: &str| -> Vec<Value> {
                let all = manifest.get("dependencies").and_then(Value::as_array);
                all.into_iter()
                    .flatten()
                    .filter(|need| need.get("type").and_then(Value::as_str) == Some(kind))
                    .map(|need| {
                        json!({
                            "name": need.get("name"),
                            "requirements": joined(need.get("requirements")),
                        })
                    })
                    .collect()
            };
            json!({
                "name": head.name.name(),
                "downloads": head.downloads,
                "version": entry.text,
                "version_created_at": file.published.to_string(),
                "version_downloads": entry.downloads,
                "platform": file.qualifiers.get("platform").unwrap_or("ruby"),
                "authors": joined(manifest.get("authors")),
                "info": text(&manifest, "description").or_else(|| text(&manifest, "summary")),
                "licenses": manifest.get("licenses"),
                "metadata": manifest.get("metadata"),
                "yanked": false,
                "sha": HEXLOWER.encode(&file.digests.sha256),
                "project_uri": feed_url,
                "gem_uri": format!("{feed_url}/gems/{full_name}.gem"),
                "homepage_uri": text(&manifest, "homepage"),
                "dependencies": {
                    "development": needs("development"),
                    "runtime": needs("runtime"),
                },
            })
        });
    })?;
    Ok(described)
}

/// The gems of a version with what they say.
fn files<'e>(entry: &'e VersionEntry<'_>) -> impl Iterator<Item = (&'e FileCard, Value)> + 'e {
    gems(entry.files).filter_map(|file| {
        let manifest = entry.fragment_of(file.id.number, Fragment::MANIFEST)?;
        Some((file, serde_json::from_slice(manifest).ok()?))
    })
}

fn text<'m>(manifest: &'m Value, key: &str) -> Option<&'m str> {
    manifest.get(key)?.as_str()
}

fn joined(list: Option<&Value>) -> String {
    let texts = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}

/// `versions/NAME.json`: all versions, the newest first.
pub(crate) fn versions<'a>(view: &'a dyn FeedView, name: &str) -> Result<Answer<'a>, ViewError> {
    let Some(head) = head_of(view, name)? else { return Ok(unknown()) };
    let validator = view.validator(head.revision, &["versions"]);
    let resource = Resource::document(validator, JSON, move |out| {
        let mut all = Vec::new();
        let want = Want::fragments(&[Fragment::MANIFEST]).files().downloads();
        view.versions(head.name.key(), &want, &mut |entry| {
            if is_shown(entry.status) {
                all.extend(files(entry).map(|(file, manifest)| version(entry, file, &manifest)));
            }
            ControlFlow::Continue(())
        })?;
        all.reverse();
        Ok(out.write_all(Value::Array(all).to_string().as_bytes())?)
    });
    Ok(Answer::resource(resource))
}

fn version(entry: &VersionEntry<'_>, file: &FileCard, manifest: &Value) -> Value {
    json!({
        "authors": joined(manifest.get("authors")),
        "built_at": text(manifest, "date"),
        "created_at": file.published.to_string(),
        "description": text(manifest, "description"),
        "downloads_count": entry.downloads,
        "metadata": manifest.get("metadata"),
        "number": entry.text,
        "summary": text(manifest, "summary"),
        "platform": file.qualifiers.get("platform").unwrap_or("ruby"),
        "rubygems_version": joined(manifest.get("requiredRubygemsVersion")),
        "ruby_version": joined(manifest.get("requiredRubyVersion")),
        "prerelease": entry.stability == Stability::Prerelease,
        "licenses": manifest.get("licenses"),
        "requirements": manifest.get("requirements"),
        "sha": HEXLOWER.encode(&file.digests.sha256),
    })
}

/// `versions/NAME/latest.json`
pub(crate) fn latest<'a>(view: &dyn FeedView, name: &str) -> Result<Answer<'a>, ViewError> {
    let head = head_of(view, name)?;
    let version = head.as_ref().and_then(newest).unwrap_or("unknown");
    let body = json!({ "version": version }).to_string();
    let revision = head.as_ref().map_or(0, |head| head.revision);
    let validator = view.validator(revision, &["latest", version]);
    Ok(Answer::resource(Resource::new(validator, JSON, Body::Bytes(body.into_bytes()))))
}

/// `search.json?query=`
pub(crate) fn search<'a>(view: &'a dyn FeedView, request: &'a Request<'a>) -> Answer<'a> {
    let query = request.parameter("query").unwrap_or_default().to_lowercase();
    let words: Vec<String> = query
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(8)
        .map(str::to_owned)
        .collect();
    let page = request.parameter("page").and_then(|page| page.parse().ok()).unwrap_or(1_u64);
    let skip = page.saturating_sub(1).saturating_mul(u64::try_from(PAGE).unwrap_or(u64::MAX));
    let validator = view
        .validator(view.feed().revision, &["search", &query, &page.to_string(), request.feed_url]);
    let resource = Resource::document(validator, JSON, move |out| {
        let found = view.search(&SearchQuery::new(&words, PAGE).skip(skip))?;
        let mut hits = Vec::new();
        for head in &found.packages {
            hits.extend(described(view, head, request.feed_url)?);
        }
        out.write_all(Value::Array(hits).to_string().as_bytes()).map_err(RenderError::from)
    });
    Answer::resource(resource)
}

/// Who may push is a matter of rights here, so that no gem has owners of its own.
pub(crate) fn owners<'a>(view: &dyn FeedView, name: &str) -> Result<Answer<'a>, ViewError> {
    Ok(match head_of(view, name)? {
        Some(_) => Answer::Reply(Reply::new(200, "application/yaml; charset=utf-8", "--- []\n")),
        None => unknown(),
    })
}
