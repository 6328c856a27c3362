//! What is derived in the commit of a change: the highest version that each audience finds, and
//! what the package is found by.

use std::ops::ControlFlow;

use hayloft_feed::native::{FeedView, ViewError, Want};
use hayloft_feed::{
    IndexChange, IndexError, IndexWriter, NameKey, SearchRecord, Stability, VersionState,
};

use super::entry::{CatalogEntry, ENTRY, TRAITS};
use super::terms;
use super::traits::{Audience, Traits};
use crate::NuGetVersion;

/// The highest version that is found, in its normalized lower-case form, for each of
/// [`Audience::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heads([Option<String>; 4]);

impl Heads {
    /// One point read.
    pub(crate) fn read(view: &dyn FeedView, name: &NameKey) -> Result<Self, ViewError> {
        let row = view.row(&key(name))?;
        Ok(row.map(|bytes| Self::from_bytes(&bytes)).unwrap_or_default())
    }

    pub(crate) fn of(&self, audience: Audience) -> Option<&str> {
        self.0.get(audience.index())?.as_deref()
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn is_full(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }

    fn flags(&self) -> u8 {
        let audiences = Audience::ALL.into_iter();
        audiences
            .filter(|audience| self.of(*audience).is_some())
            .fold(0, |flags, audience| flags | audience.flag())
    }

    fn names(&self, version: &str) -> bool {
        self.0.iter().flatten().any(|head| head == version)
    }

    /// Whether it is the head for an audience that does not see it.
    fn names_for_blind(&self, version: &str, stability: Stability, semver2: bool) -> bool {
        let blind = Audience::ALL.into_iter().filter(|one| !one.sees(stability, semver2));
        blind.into_iter().any(|audience| self.of(audience) == Some(version))
    }

    fn consider(&mut self, version: &str, stability: Stability, semver2: bool) {
        for audience in Audience::ALL.into_iter().filter(|one| one.sees(stability, semver2)) {
            let Some(head) = self.0.get_mut(audience.index()) else { continue };
            if head.as_ref().is_none_or(|head| is_higher(version, head)) {
                *head = Some(version.to_owned());
            }
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let lines: Vec<&str> = self.0.iter().map(|head| head.as_deref().unwrap_or("")).collect();
        lines.join("\n").into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split('\n').map(|line| Some(line.to_owned()));
        Self(std::array::from_fn(|_| lines.next().flatten().filter(|line| !line.is_empty())))
    }
}

fn key(name: &NameKey) -> Vec<u8> {
    [b"h", name.as_bytes()].concat()
}

fn is_higher(one: &str, other: &str) -> bool {
    let parse = |text: &str| text.parse::<NuGetVersion>().ok();
    match (parse(one), parse(other)) {
        // Two labels may be equal in order and yet two versions.
        (Some(left), Some(right)) => left.compare(&right).then_with(|| one.cmp(other)).is_gt(),
        (left, right) => left.is_some() && right.is_none(),
    }
}

/// Derives row and search record of the changed package. Costs a row and a version, and those from
/// the highest down to one that everybody finds if the highest was hidden or removed.
pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let key = key(change.name.key());
    let mut heads = match change.before {
        Some(_) => Heads::read(view, change.name.key())?,
        None => Heads::default(),
    };
    let mut is_lost = false;
    for changed in change.versions {
        let found = changed.after.as_ref().filter(|after| is_found(after));
        let traits = found.and_then(|after| fragment(after, TRAITS)).map(Traits::read);
        let version = changed.version.identity();
        let stability = changed.version.stability();
        match traits {
            Some(traits) => {
                heads.consider(version, stability, traits.semver2);
                // A version that was replaced may be one for SemVer 2 only by now.
                is_lost |= heads.names_for_blind(version, stability, traits.semver2);
            }
            None => is_lost |= heads.names(version),
        }
    }
    if is_lost {
        heads = scan(view, change.name.key())?;
    }
    if heads.is_empty() {
        out.remove(&key)?;
        return out.search(None);
    }
    out.put(&key, &heads.to_bytes())?;
    let record = record(change, view, &heads)?;
    out.search(Some(&record))
}

fn is_found(state: &VersionState) -> bool {
    state.status.is_listed() && !state.status.is_blocked()
}

fn fragment(state: &VersionState, kind: u8) -> Option<&[u8]> {
    let mut fragments = state.fragments.iter();
    fragments.find(|(_, fragment)| fragment.kind == kind).map(|(_, found)| found.bytes.as_slice())
}

fn scan(view: &dyn FeedView, name: &NameKey) -> Result<Heads, ViewError> {
    let mut heads = Heads::default();
    let mut settled: Option<Vec<u8>> = None;
    view.versions(name, &Want::fragments(&[TRAITS]).newest_first(), &mut |entry| {
        let has_package = entry.fragment(TRAITS).is_some();
        let traits = Traits::of_version(entry);
        if has_package && Audience::WIDEST.finds(entry, &traits) {
            heads.consider(entry.identity, entry.stability, traits.semver2);
        }
        // What everybody finds is the head of all who have found nothing above it. Versions that
        // are equal in order stand side by side, in any order.
        match &settled {
            None if heads.is_full() => settled = Some(entry.sort_key.to_vec()),
            Some(settled) if settled != entry.sort_key => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(heads)
}

/// By the highest version of all.
fn record(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    heads: &Heads,
) -> Result<SearchRecord, IndexError> {
    let head = heads.of(Audience::WIDEST).unwrap_or_default();
    let changed = change.versions.iter().find(|changed| changed.version.identity() == head);
    let mut entry = changed
        .and_then(|changed| fragment(changed.after.as_ref()?, ENTRY))
        .map(|bytes| CatalogEntry::read(bytes, ""))
        .transpose()?;
    if entry.is_none()
        && let Ok(version) = head.parse::<NuGetVersion>()
        && let Ok(version) = version.version()
    {
        let mut read = Ok(None);
        view.version(change.name.key(), &version, &Want::fragments(&[ENTRY]), &mut |found| {
            read = CatalogEntry::of_version(found, "").map(Some);
        })?;
        entry = read?;
    }
    let terms = terms::of_package(change.name.name(), entry.as_ref());
    Ok(SearchRecord { terms, flags: heads.flags() })
}
