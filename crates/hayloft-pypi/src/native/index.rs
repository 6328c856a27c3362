use std::ops::ControlFlow;

use hayloft_feed::native::{FeedView, ViewError, Want};
use hayloft_feed::{
    Fragment, IndexChange, IndexError, IndexWriter, NameKey, PackageHead, SearchRecord, Status,
    VersionState,
};

use crate::Manifest;
use crate::name::normalize;

/// Raised when other rows are derived from the same files.
pub(crate) const INDEX_REVISION: u32 = 1;

/// What the list of projects depends on: bumped when one appears or goes.
pub(crate) const PROJECTS: &[u8] = b"projects";

/// Before the normalized name of a project in the key of its row.
pub(crate) const PROJECT_ROWS: &[u8] = b"p/";

/// A project that has a stable version.
const HAS_STABLE: u8 = 1;

/// Shown on pages: neither blocked nor unlisted.
pub(crate) fn is_shown(status: &Status) -> bool {
    status.is_listed() && !status.is_blocked()
}

/// One row for each project with a version that is shown, and what a search finds.
pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let key = [PROJECT_ROWS, normalize(change.name.name()).as_bytes()].concat();
    let row = match change.after {
        Some(head) if is_shown_at_all(change, view)? => Some(head.name.name().as_bytes()),
        _ => None,
    };
    if view.row(&key)?.as_deref() != row {
        match row {
            Some(name) => out.put(&key, name)?,
            None => out.remove(&key)?,
        }
        out.bump(PROJECTS)?;
    }
    let record = match change.after {
        Some(head) => search_record(change, view, head)?,
        None => None,
    };
    out.search(record.as_ref())
}

fn is_shown_at_all(change: &IndexChange<'_>, view: &dyn FeedView) -> Result<bool, ViewError> {
    let now = |state: &Option<VersionState>| state.as_ref().is_some_and(|s| is_shown(&s.status));
    if change.versions.iter().any(|version| now(&version.after)) {
        return Ok(true);
    }
    any_shown(view, change.name.key())
}

fn any_shown(view: &dyn FeedView, name: &NameKey) -> Result<bool, ViewError> {
    let mut found = false;
    view.versions(name, &Want::nothing().newest_first(), &mut |version| {
        found = is_shown(version.status);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// Words of the name, and of what the latest version says of itself.
fn search_record(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    head: &PackageHead,
) -> Result<Option<SearchRecord>, IndexError> {
    let Some(latest) = head.latest_stable.as_ref().or(head.latest.as_ref()) else {
        return Ok(None);
    };
    let mut manifest: Option<Vec<u8>> = change
        .versions
        .iter()
        .filter(|version| version.version.text() == latest)
        .find_map(|version| version.after.as_ref())
        .and_then(|state| state.fragment(state.files.first()?.id.number, Fragment::MANIFEST))
        .map(<[u8]>::to_vec);
    if manifest.is_none() {
        let unexpected = |_| IndexError::Unexpected {
            package: head.name.spelled(),
            what: format!("`{latest}` is not a version"),
        };
        let version: crate::PypiVersion = latest.parse().map_err(unexpected)?;
        let want = Want::fragments(&[Fragment::MANIFEST]);
        view.version(head.name.key(), &version.checked(), &want, &mut |entry| {
            manifest = entry.fragment(Fragment::MANIFEST).map(<[u8]>::to_vec);
        })?;
    }
    let mut terms = words(head.name.name());
    terms.insert(0, normalize(head.name.name()));
    if let Some(manifest) = manifest.and_then(|text| serde_json::from_slice::<Manifest>(&text).ok())
    {
        terms.extend(manifest.info.keywords.as_deref().map(words).unwrap_or_default());
        let summary = manifest.info.summary.unwrap_or_default();
        let end = summary.char_indices().nth(200).map_or(summary.len(), |(at, _)| at);
        terms.extend(words(summary.get(..end).unwrap_or_default()));
    }
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms.truncate(SearchRecord::TERMS);
    let flags = if head.latest_stable.is_some() { HAS_STABLE } else { 0 };
    Ok(Some(SearchRecord { terms, flags }))
}

fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty() && word.len() <= SearchRecord::TERM_LENGTH)
        .take(SearchRecord::TERMS)
        .map(str::to_lowercase)
        .collect()
}
