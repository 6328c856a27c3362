//! V2: `OData` over Atom, as nuget.exe before version 3, Chocolatey and PowerShell speak it.

mod atom;
mod expression;
mod find;
mod metadata;
mod query;
mod updates;

use hayloft_feed::native::{Answer, FeedView, Refusal, Request, Resource, ViewError, segments};
use hayloft_feed::shorten;

use super::{flat, lookup};
use atom::Writer;
use expression::quoted;
use query::{Collection, Query};

const FEED: &str = "application/atom+xml;type=feed;charset=utf-8";
const ENTRY: &str = "application/atom+xml;type=entry;charset=utf-8";
const XML: &str = "application/xml;charset=utf-8";

/// Answers a read below the V2 root, whose path has these segments.
pub(crate) fn resolve<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    path: &[String],
) -> Result<Answer<'a>, ViewError> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        [] => Ok(fixed(view, request, "root", metadata::service(request.feed_url))),
        ["$metadata"] => Ok(fixed(view, request, "metadata", metadata::METADATA.to_owned())),
        ["package", id, version] => package(view, id, version),
        [name] => match collection(name) {
            Some(collection) => answer(view, request, collection),
            None => entry(view, request, name),
        },
        [name, "$count"] => match collection(name) {
            Some(collection) => count(view, request, collection),
            None => Ok(Answer::not_found()),
        },
        _ => Ok(Answer::not_found()),
    }
}

fn collection(segment: &str) -> Option<Collection> {
    match segment.strip_suffix("()").unwrap_or(segment) {
        "FindPackagesById" => Some(Collection::ById),
        "Search" => Some(Collection::Search),
        "Packages" => Some(Collection::Packages),
        "GetUpdates" => Some(Collection::Updates),
        _ => None,
    }
}

/// Open to everybody, as V3's index: clients ask for it before they show a key, and it tells
/// nothing.
fn fixed<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    form: &str,
    text: String,
) -> Answer<'a> {
    let validator = view.validator(0, &["v2", form, request.feed_url]);
    let resource = Resource::document(validator, XML, move |out| {
        out.write_all(text.as_bytes())?;
        Ok(())
    });
    Answer::resource(resource.open().header("dataserviceversion", "1.0;"))
}

fn package<'a>(view: &'a dyn FeedView, id: &str, version: &str) -> Result<Answer<'a>, ViewError> {
    let asked = lookup::package(id).zip(lookup::version(version));
    let Some((package, version)) = asked else { return Ok(Answer::not_found()) };
    let found = lookup::file(view, &package, &version)?;
    Ok(found.map_or_else(Answer::not_found, |found| flat::package_file(&found.file)))
}

fn parsed(collection: Collection, request: &Request<'_>) -> Result<Query, Refusal> {
    let query = Query::parse(collection, request.query).map_err(Refusal::Invalid)?;
    if collection == Collection::ById && query.id.is_none() {
        return Err(Refusal::Invalid("`FindPackagesById` needs an `id`".to_owned()));
    }
    Ok(query)
}

/// What changes when an answer may: one package, or the feed; download counts are shown too.
fn revision(view: &dyn FeedView, query: &Query) -> Result<u64, ViewError> {
    let package = query.id.as_deref().and_then(lookup::package);
    match package {
        // A package that comes has a higher revision than the feed has now.
        Some(name) => {
            Ok(view.package(name.key())?.map_or_else(|| view.feed().revision, |head| head.revision))
        }
        None => Ok(view.feed().revision),
    }
}

fn answer<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    collection: Collection,
) -> Result<Answer<'a>, ViewError> {
    let query = match parsed(collection, request) {
        Ok(query) => query,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let counts = view.counts_revision()?.to_string();
    let parts = ["v2", "feed", request.feed_url, request.path, request.query, &counts];
    let validator = view.validator(revision(view, &query)?, &parts);
    let resource = Resource::document(validator, FEED, move |out| {
        let page = find::page(view, &query)?;
        let path = segments(request.path).unwrap_or_default();
        let path = path.get(1..).unwrap_or_default().join("/");
        let mut writer = Writer::new(request.feed_url, out);
        writer.begin_feed(&path, page.total.filter(|_| query.counted), view.feed().changed)?;
        find::entries(view, &query, &page, request.feed_url, &mut |found| {
            writer.entry(found).map_err(Into::into)
        })?;
        let next = page.next.as_ref().map(|next| query.next(next));
        Ok(writer.end_feed(&path, next.as_deref())?)
    });
    Ok(Answer::resource(resource.header("dataserviceversion", "2.0;")))
}

fn count<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    collection: Collection,
) -> Result<Answer<'a>, ViewError> {
    let mut query = match parsed(collection, request) {
        Ok(query) => query,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    query.counted = true;
    let parts = ["v2", "count", request.path, request.query];
    let validator = view.validator(revision(view, &query)?, &parts);
    let resource = Resource::document(validator, "text/plain;charset=utf-8", move |out| {
        let page = find::page(view, &query)?;
        write!(out, "{}", page.total.unwrap_or_default())?;
        Ok(())
    });
    Ok(Answer::resource(resource.header("dataserviceversion", "2.0;")))
}

/// `Packages(Id='x',Version='v')`: whatever the client can read, and unlisted too.
fn entry<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    segment: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some((id, version)) = keys(segment) else { return Ok(Answer::not_found()) };
    let missing = || {
        let (id, version) = (shorten(&id), shorten(&version));
        let text = format!("there is no version `{version}` of `{id}`");
        Answer::Refused(Refusal::NotFound(Some(text)))
    };
    let asked = lookup::package(&id).zip(lookup::version(&version));
    let Some((package, version)) = asked else { return Ok(missing()) };
    let Some(head) = view.package(package.key())? else { return Ok(missing()) };
    let Some(found) = find::one(view, &head, &version, request.feed_url)? else {
        return Ok(missing());
    };
    let counts = view.counts_revision()?.to_string();
    let parts = ["v2", "entry", request.feed_url, version.identity(), &counts];
    let validator = view.validator(head.revision, &parts);
    let resource = Resource::document(validator, ENTRY, move |out| {
        Ok(Writer::new(request.feed_url, out).document(&found)?)
    });
    Ok(Answer::resource(resource.header("dataserviceversion", "2.0;")))
}

/// Id and version of an entry's key, in either order.
fn keys(segment: &str) -> Option<(String, String)> {
    let mut rest = segment.strip_prefix("Packages(")?.strip_suffix(')')?;
    let (mut id, mut version) = (None, None);
    loop {
        let (name, value) = rest.split_once('=')?;
        let (value, after) = quoted(value.trim_start())?;
        match name.trim() {
            "Id" => id = Some(value),
            "Version" => version = Some(value),
            _ => return None,
        }
        match after.trim_start().strip_prefix(',') {
            Some(after) => rest = after,
            None if after.trim().is_empty() => return id.zip(version),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_either_order() {
        let expected = Some(("it's".to_owned(), "1.0,x".to_owned()));
        assert_eq!(keys("Packages(Id='it''s',Version='1.0,x')"), expected);
        assert_eq!(keys("Packages( Version = '1.0,x' , Id='it''s' )"), expected);
        for malformed in ["Packages(Id='a')", "Packages('a')", "Packages(Id='a',Version='1'", "X"] {
            assert_eq!(keys(malformed), None, "{malformed}");
        }
    }
}
