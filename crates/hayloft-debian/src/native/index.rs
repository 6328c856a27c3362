//! What a change of a package means for the indexes of its distributions.

use std::collections::BTreeMap;

use hayloft_feed::native::{FeedView, Want};
use hayloft_feed::{
    FileCard, IndexChange, IndexError, IndexWriter, NameKey, PackageHead, SearchRecord,
    VersionChange, VersionState,
};

use super::entry::{Entry, entry_id};
use super::rows;
use super::section::Section;
use crate::control::PackageKind;
use crate::placement::{ARCH, COMPONENT, DISTRO};

/// Where the stanza of one file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    suite: String,
    section: Section,
    id: [u8; 16],
}

/// A row with a stanza.
pub(super) struct StanzaRow<'r> {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
    pub(super) text: &'r [u8],
}

/// What of the journal says about a stanza.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Journaled {
    /// Whether the last release may list an older stanza of the file.
    pub(super) was_listed: bool,
    /// The package file that was there and is not any more, by digest and size.
    pub(super) gone: Option<([u8; 32], u64)>,
}

pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    for version in change.versions {
        index_version(change, version, view, out)?;
    }
    let record = match change.after {
        Some(head) => search_record(view, change.name.key(), head)?,
        None => None,
    };
    out.search(record.as_ref())
}

fn index_version(
    change: &IndexChange<'_>,
    version: &VersionChange,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let name = change.name.name();
    let stamp = match (change.after, change.before) {
        (Some(after), _) => (after.revision, false),
        (None, before) => (before.map_or(0, |before| before.revision), true),
    };
    let mut places: BTreeMap<Place, Option<Vec<u8>>> = BTreeMap::new();
    for card in version.before.iter().flat_map(|before| &before.files) {
        // The card does not tell which of two families the file was in.
        for installer in [false, true] {
            if let Some(place) = place(name, version.version.text(), card, installer) {
                places.insert(place, None);
            }
        }
    }
    let blocked = version.after.as_ref().is_some_and(|after| after.status.is_blocked());
    let visible = |after: &&VersionState| after.status.is_listed() && !after.status.is_blocked();
    if let Some(after) = version.after.as_ref().filter(visible) {
        for card in &after.files {
            let entry = after.fragment(card.id.number, Entry::FRAGMENT).and_then(Entry::decode);
            let entry = entry.ok_or_else(|| IndexError::Unexpected {
                package: name.to_owned(),
                what: format!("{} has no entry for an index", card.file_name),
            })?;
            let installer = entry.kind == PackageKind::Udeb;
            if let Some(place) = place(name, version.version.text(), card, installer) {
                let stanza = entry.stanza(&place.section.component, card);
                places.insert(place, Some(StanzaRow::encode(card, &stanza)));
            }
        }
    }
    for (place, wanted) in places {
        let key = rows::stanza(&place.suite, &place.section, &place.id);
        let found = view.row(&key)?;
        if found == wanted {
            continue;
        }
        match &wanted {
            Some(row) => out.put(&key, row)?,
            None => out.remove(&key)?,
        }
        let journal = rows::journal(&place.suite, &place.section, &place.id, stamp);
        let mut entry = Journaled { was_listed: found.is_some(), gone: None };
        let gone = found.as_deref().and_then(StanzaRow::decode);
        let stays = wanted.as_deref().and_then(StanzaRow::decode).map(|row| row.sha256);
        let gone = gone.filter(|gone| !blocked && Some(gone.sha256) != stays);
        entry.gone = gone.map(|gone| (gone.sha256, gone.size));
        out.put(&journal, &entry.encode())?;
        out.stale(place.suite.as_bytes())?;
    }
    Ok(())
}

fn place(name: &str, version: &str, card: &FileCard, installer: bool) -> Option<Place> {
    let of = |key| card.qualifiers.get(key).map(str::to_owned);
    let architecture = of(ARCH)?;
    Some(Place {
        suite: of(DISTRO)?,
        id: entry_id(name, version, &architecture),
        section: Section { component: of(COMPONENT)?, installer, architecture },
    })
}

/// The parts of the name, and the words of the highest listed version's short description.
fn search_record(
    view: &dyn FeedView,
    key: &NameKey,
    head: &PackageHead,
) -> Result<Option<SearchRecord>, IndexError> {
    let Some(latest) = &head.latest else { return Ok(None) };
    let Ok(version) = latest.parse().map(|parsed| crate::version(&parsed)) else {
        return Ok(None);
    };
    let mut synopsis = None;
    view.version(key, &version, &Want::fragments(&[Entry::FRAGMENT]), &mut |entry| {
        let found = entry.fragment(Entry::FRAGMENT).and_then(Entry::decode);
        synopsis = found.and_then(|found| found.synopsis());
    })?;
    let name = head.name.name();
    let mut terms = vec![name.to_owned()];
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words = synopsis.unwrap_or_default().to_lowercase();
    let words = words.split(|letter: char| !letter.is_alphanumeric());
    for term in parts.map(str::to_owned).chain(words.map(str::to_owned)) {
        if !term.is_empty()
            && term.len() <= SearchRecord::TERM_LENGTH
            && terms.len() < SearchRecord::TERMS
            && !terms.contains(&term)
        {
            terms.push(term);
        }
    }
    Ok(Some(SearchRecord { terms, flags: 0 }))
}

impl<'r> StanzaRow<'r> {
    fn encode(card: &FileCard, text: &[u8]) -> Vec<u8> {
        [&card.digests.sha256[..], &card.size.to_be_bytes(), text].concat()
    }

    pub(super) fn decode(row: &'r [u8]) -> Option<Self> {
        let (sha256, rest) = row.split_first_chunk::<32>()?;
        let (size, text) = rest.split_first_chunk::<8>()?;
        Some(Self { sha256: *sha256, size: u64::from_be_bytes(*size), text })
    }
}

impl Journaled {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.was_listed)];
        if let Some((sha256, size)) = &self.gone {
            out.extend_from_slice(sha256);
            out.extend_from_slice(&size.to_be_bytes());
        }
        out
    }

    pub(super) fn decode(row: &[u8]) -> Self {
        let (first, rest) = row.split_first().unwrap_or((&0, &[]));
        let gone = StanzaRow::decode(rest).map(|row| (row.sha256, row.size));
        Self { was_listed: *first != 0, gone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_journal_read_back() {
        for gone in [None, Some(([1; 32], 7)), Some(([2; 32], u64::MAX))] {
            let entry = Journaled { was_listed: gone.is_some(), gone };
            assert_eq!(Journaled::decode(&entry.encode()), entry);
        }
        assert_eq!(Journaled::decode(b""), Journaled::default());
    }
}
