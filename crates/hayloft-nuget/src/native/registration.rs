use std::io::Write;
use std::ops::ControlFlow;

use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, VersionEntry, ViewError, Want,
};
use hayloft_feed::{PackageHead, SortKey, Version, json};

use super::addresses::Addresses;
use super::entry::{ENTRY, Leaf};
use super::lookup;
use crate::NuGetVersion;

/// Most versions of a package whose index holds them all, as in the public gallery.
const INLINE: usize = 127;
/// Versions of a page otherwise.
const PAGE: usize = 64;

/// One version by its keys.
#[derive(Debug, Clone)]
struct Bound {
    normalized: String,
    sort_key: Vec<u8>,
}

impl Bound {
    fn of(entry: &VersionEntry<'_>) -> Self {
        let normalized = entry.text.parse::<NuGetVersion>().map_or_else(
            |_| entry.identity.to_owned(),
            |version: NuGetVersion| version.normalized(),
        );
        Self { normalized, sort_key: entry.sort_key.to_vec() }
    }

    fn given(text: &str) -> Option<Self> {
        let version: NuGetVersion = text.parse().ok()?;
        let sort_key: SortKey = version.sort_key().ok()?;
        Some(Self { normalized: version.normalized(), sort_key: sort_key.as_bytes().to_vec() })
    }
}

/// Everything about all versions of a package in ascending order: in one page, or as a list of
/// pages that are fetched one by one.
pub(crate) fn index<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    id: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(head) = head(view, id)? else { return Ok(Answer::not_found()) };
    let mut bounds = Vec::new();
    lookup::versions(view, &head.name, &Want::nothing(), &mut |entry| {
        bounds.push(Bound::of(entry));
        ControlFlow::Continue(())
    })?;
    let (Some(first), Some(last)) = (bounds.first().cloned(), bounds.last().cloned()) else {
        return Ok(Answer::not_found());
    };
    let validator = view.validator(head.revision, &["registration", request.feed_url]);
    let feed_url = request.feed_url;
    Ok(Answer::resource(Resource::document(validator, "application/json", move |out| {
        let url = json::quoted(&Addresses(feed_url).registration(head.name.name()));
        if bounds.len() <= INLINE {
            write!(out, "{{\"@id\":{url},\"count\":1,\"items\":[")?;
            page(view, feed_url, &head, &url, (&first, &last), out)?;
        } else {
            let pages: Vec<&[Bound]> = pages(&bounds).collect();
            write!(out, "{{\"@id\":{url},\"count\":{},\"items\":[", pages.len())?;
            for (at, page) in pages.into_iter().enumerate() {
                let (Some(lower), Some(upper)) = (page.first(), page.last()) else { continue };
                let comma = if at == 0 { "" } else { "," };
                write!(out, "{comma}{{\"@id\":{},", page_url(feed_url, &head, lower, upper))?;
                write!(out, "\"count\":{},{}}}", page.len(), between(lower, upper))?;
            }
        }
        Ok(out.write_all(b"]}")?)
    })))
}

/// The pages that are fetched one by one: none if the index holds all.
pub(crate) fn pages<T>(versions: &[T]) -> impl Iterator<Item = &[T]> {
    let paged = if versions.len() > INLINE { versions } else { &[] };
    paged.chunks(PAGE)
}

/// The versions between two, both included, as they are now: clients keep URLs for half an hour in
/// which versions come and go.
pub(crate) fn between_versions<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    (id, lower, upper): (&str, &str, &str),
) -> Result<Answer<'a>, ViewError> {
    let Some(head) = head(view, id)? else { return Ok(Answer::not_found()) };
    let bounds = Bound::given(lower).zip(Bound::given(upper));
    let Some((lower, upper)) = bounds else { return Ok(Answer::not_found()) };
    let parts = ["registration", request.feed_url, &lower.normalized, &upper.normalized];
    let validator = view.validator(head.revision, &parts);
    let feed_url = request.feed_url;
    Ok(Answer::resource(Resource::document(validator, "application/json", move |out| {
        let url = page_url(feed_url, &head, &lower, &upper);
        page(view, feed_url, &head, &url, (&lower, &upper), out)
    })))
}

/// One version by itself, `{version}.json`; some clients guess this URL.
pub(crate) fn leaf<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    id: &str,
    version: &str,
) -> Result<Answer<'a>, ViewError> {
    let Some(head) = head(view, id)? else { return Ok(Answer::not_found()) };
    let Some(version) = lookup::version(version) else { return Ok(Answer::not_found()) };
    let mut found = None;
    view.version(head.name.key(), &version, &Want::fragments(&[ENTRY]), &mut |entry| {
        if !entry.status.is_blocked() {
            found = Some(Leaf::of(entry, request.feed_url));
        }
    })?;
    let Some(leaf) = found.transpose()? else { return Ok(Answer::not_found()) };
    let parts = ["leaf", request.feed_url, version.identity()];
    let validator = view.validator(head.revision, &parts);
    let addresses = Addresses(request.feed_url);
    Ok(Answer::resource(Resource::document(validator, "application/json", move |out| {
        let (url, package, registration) = urls(addresses, &head, &version);
        write!(
            out,
            "{{\"@id\":{url},\"listed\":{},\"published\":\"{}\",\"packageContent\":{package},\
             \"registration\":{registration},\"catalogEntry\":{}}}",
            leaf.listed, leaf.published, leaf.catalog_entry
        )?;
        Ok(())
    })))
}

fn head(view: &dyn FeedView, id: &str) -> Result<Option<PackageHead>, ViewError> {
    lookup::package(id).map_or(Ok(None), |package| view.package(package.key()))
}

fn page_url(feed_url: &str, head: &PackageHead, lower: &Bound, upper: &Bound) -> String {
    let addresses = Addresses(feed_url);
    json::quoted(&addresses.page(head.name.name(), &lower.normalized, &upper.normalized))
}

fn between(lower: &Bound, upper: &Bound) -> String {
    let (lower, upper) = (json::quoted(&lower.normalized), json::quoted(&upper.normalized));
    format!("\"lower\":{lower},\"upper\":{upper}")
}

/// URLs of the leaf, the package file and the registration index, quoted.
fn urls(
    addresses: Addresses<'_>,
    head: &PackageHead,
    version: &Version,
) -> (String, String, String) {
    let (id, version) = (head.name.name(), version.identity());
    (
        json::quoted(&addresses.leaf(id, version)),
        json::quoted(&addresses.package(id, version)),
        json::quoted(&addresses.registration(id)),
    )
}

/// A page with the URL `url`, which is quoted.
fn page(
    view: &dyn FeedView,
    feed_url: &str,
    head: &PackageHead,
    url: &str,
    (lower, upper): (&Bound, &Bound),
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    let addresses = Addresses(feed_url);
    write!(out, "{{\"@id\":{url},\"items\":[")?;
    let want = Want::fragments(&[ENTRY]).between(&lower.sort_key, &upper.sort_key);
    let mut count = 0;
    let mut failed = None;
    lookup::versions(view, &head.name, &want, &mut |entry| {
        if entry.sort_key < lower.sort_key.as_slice() || entry.sort_key > upper.sort_key.as_slice()
        {
            return ControlFlow::Continue(());
        }
        let written = Leaf::of(entry, feed_url).map_err(RenderError::from).and_then(|leaf| {
            let (url, package, registration) = urls(addresses, head, &entry.version());
            let comma = if count == 0 { "" } else { "," };
            write!(
                out,
                "{comma}{{\"@id\":{url},\"catalogEntry\":{},\"packageContent\":{package},\
                 \"registration\":{registration}}}",
                leaf.catalog_entry
            )
            .map_err(RenderError::from)
        });
        count += 1;
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let parent = json::quoted(&addresses.registration(head.name.name()));
    Ok(write!(out, "],\"count\":{count},{},\"parent\":{parent}}}", between(lower, upper))?)
}
