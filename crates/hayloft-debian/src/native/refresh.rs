//! Making the next release of a distribution out of the last one and what changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use hayloft_archive::GzipPart;
use hayloft_feed::Timestamp;
use hayloft_feed::native::{FeedView, Refresh, RefreshOrder, ViewError};
use sha2::{Digest as _, Sha256};

use super::entry::digest_prefix;
use super::index::{Journaled, StanzaRow};
use super::pieces::{Changed, Maker, PieceList, Stanza};
use super::release::{IndexCard, Release, ReleaseSettings};
use super::rows;
use super::section::{ALL, Section};
use super::signing::{Signer, SigningError};

/// How long what a client was told of stays readable after the next release, in milliseconds.
const KEPT: i64 = 60 * 60 * 1000;
/// How far in front of the clock a release may be dated, in milliseconds: apt refuses ten seconds.
const AHEAD: i64 = 2_000;

/// The subject of the feed's key, which is no name of a distribution.
pub(super) const KEY: &[u8] = b"\0key";

/// What happened to the stanza of one file.
struct Change {
    id: [u8; 16],
    /// Whether the last release may list it.
    was_listed: bool,
    now: Option<Vec<u8>>,
}

pub(super) fn refresh(
    view: &dyn FeedView,
    subject: &[u8],
    order: &RefreshOrder<'_>,
) -> Result<Option<Refresh>, ViewError> {
    let feed = &view.feed().name;
    let signer = Signer::open(feed, order.secret, order.seed, order.now).map_err(unsigned)?;
    let mut made = Refresh::default();
    if let Some(signer) = &signer {
        let key = signer.public_key().map_err(unsigned)?;
        for (row, bytes) in [(rows::KEY_ARMORED, key.armored), (rows::KEY_BINARY, key.binary)] {
            if view.row(row)?.as_ref() != Some(&bytes) {
                made.put.push((row.to_vec(), bytes));
            }
        }
        made.secret = signer.made();
    }
    if subject == KEY {
        made.expect = Some((rows::KEY_ARMORED.to_vec(), view.row(rows::KEY_ARMORED)?));
        sign_all_anew(view, &mut made)?;
        return Ok((!made.put.is_empty()).then_some(made));
    }
    let Ok(suite) = std::str::from_utf8(subject) else { return Ok(None) };
    let last = Release::read(view, suite)?;
    let changes = Changes::read(view, suite)?;
    if changes.keys.is_empty() {
        return Ok(None);
    }
    let Some(date) = date_of(order.now, last.as_ref().map(|(last, _)| last)) else {
        return Ok(None);
    };
    made.expect = Some((rows::current(suite), last.as_ref().map(|(_, row)| row.clone())));
    let last = last.map(|(last, _)| last);
    let mut next = Next::of(view, suite, last, date);
    next.apply(changes, &mut made)?;
    if let Some(signer) = &signer {
        let made = signer.sign(&next.release.text, Timestamp::from_millis(date));
        let made = made.map_err(unsigned)?;
        next.release.inline = Some(made.inline);
        next.release.detached = Some(made.detached);
    }
    next.finish(order.now, &mut made)?;
    made.bump.push(subject.to_vec());
    Ok(Some(made))
}

/// Journals every distribution, so that its next reader has it signed with the key that is new.
fn sign_all_anew(view: &dyn FeedView, made: &mut Refresh) -> Result<(), ViewError> {
    let Some((_, key)) = made.put.first() else { return Ok(()) };
    let digest: [u8; 32] = Sha256::digest(key).into();
    let mut suites = Vec::new();
    view.rows(&rows::all_current(), None, &mut |key, _| {
        suites.extend(rows::suite_of_current(key));
        ControlFlow::Continue(())
    })?;
    let entry = Journaled::default().encode();
    let journaled = |suite: &String| (rows::journal_of_key(suite, &digest), entry.clone());
    made.put.extend(suites.iter().map(journaled));
    Ok(())
}

fn unsigned(error: SigningError) -> ViewError {
    ViewError::Damaged(Box::new(error))
}

/// The date of the next release: newer than the last one, or clients would keep that. `None` if
/// the clock has to come nearer first.
fn date_of(now: Timestamp, last: Option<&Release>) -> Option<i64> {
    let now = now.millis();
    let whole = now - now.rem_euclid(1000);
    let date = last.map_or(whole, |last| whole.max(last.date + 1000));
    (date <= now + AHEAD).then_some(date)
}

/// All that the journal says.
struct Changes {
    by_section: BTreeMap<Section, BTreeMap<[u8; 16], Change>>,
    gone: Vec<([u8; 32], u64)>,
    keys: Vec<Vec<u8>>,
}

impl Changes {
    fn read(view: &dyn FeedView, suite: &str) -> Result<Self, ViewError> {
        let mut entries = Vec::new();
        view.rows(&rows::journals(suite), None, &mut |key, value| {
            entries.push((key.to_vec(), Journaled::decode(value)));
            ControlFlow::Continue(())
        })?;
        let mut changes = Self { by_section: BTreeMap::new(), gone: Vec::new(), keys: Vec::new() };
        for (key, entry) in entries {
            if let Some((section, id)) = rows::journaled(suite, &key) {
                let now = view.row(&rows::stanza(suite, &section, &id))?;
                let of_section: &mut BTreeMap<_, Change> =
                    changes.by_section.entry(section).or_default();
                let change = of_section.entry(id).or_insert(Change { id, was_listed: false, now });
                change.was_listed |= entry.was_listed;
            }
            changes.gone.extend(entry.gone);
            changes.keys.push(key);
        }
        Ok(changes)
    }
}

/// The next release in the making.
struct Next<'n> {
    view: &'n dyn FeedView,
    suite: &'n str,
    settings: ReleaseSettings,
    release: Release,
    /// Rows that go when clients of the last release have had their time.
    grave: Vec<Vec<u8>>,
}

impl<'n> Next<'n> {
    fn of(view: &'n dyn FeedView, suite: &'n str, last: Option<Release>, date: i64) -> Self {
        let mut release = last.unwrap_or_else(|| Release {
            generation: 0,
            date,
            next_piece: 1,
            indexes: BTreeMap::new(),
            text: String::new(),
            inline: None,
            detached: None,
        });
        release.generation += 1;
        release.date = date;
        release.inline = None;
        release.detached = None;
        let settings = ReleaseSettings::of(view.feed());
        Self { view, suite, settings, release, grave: Vec::new() }
    }

    fn apply(&mut self, changes: Changes, made: &mut Refresh) -> Result<(), ViewError> {
        let mut put = BTreeMap::new();
        let none = BTreeMap::new();
        for section in self.sections(&changes) {
            let of = |section: &Section| changes.by_section.get(section).unwrap_or(&none);
            let found = self.release.indexes.get(&section.directory()).cloned();
            let (own, all) = (of(&section), of(&section.of(ALL)));
            let (old, gone, new) = match &found {
                None => (PieceList::default(), BTreeSet::new(), self.all_stanzas(&section)?),
                Some(_) if own.is_empty() && all.is_empty() => continue,
                Some(card) => {
                    let touched = || own.values().chain(all.values());
                    let gone = touched().filter(|change| change.was_listed).map(|change| change.id);
                    let new = touched().filter_map(Change::stanza);
                    (self.list(&section, card.since)?, gone.collect(), new.collect())
                }
            };
            let mut maker = Maker {
                view: self.view,
                suite: self.suite,
                next: self.release.next_piece,
                put: &mut put,
            };
            let result = maker.change(&old, &gone, new)?;
            self.release.next_piece = maker.next;
            self.replace(&section, found.as_ref(), result, &mut put)?;
        }
        if self.view.row(rows::GZIP_HEADER)?.is_none() {
            put.insert(rows::GZIP_HEADER.to_vec(), GzipPart::HEADER.to_vec());
        }
        self.release.word(self.suite, &self.settings);
        for (sha256, size) in changes.gone {
            let until = Timestamp::from_millis(self.release.date.saturating_add(KEPT));
            made.keep.push((sha256, until));
            let mut prefix = [0; 16];
            prefix.copy_from_slice(sha256.split_at(16).0);
            let key = rows::kept(&prefix, self.suite);
            let until = until.millis().to_be_bytes();
            put.insert(key.clone(), [&sha256[..], &size.to_be_bytes(), &until].concat());
            self.grave.push(key);
        }
        made.remove.extend(changes.keys);
        made.put.extend(put);
        Ok(())
    }

    /// All indexes that the release has: one for each component and architecture.
    fn sections(&self, changes: &Changes) -> BTreeSet<Section> {
        let known = self.release.indexes.keys();
        let known = known.filter_map(|path| Section::parse(&path.split('/').collect::<Vec<_>>()));
        let seen: BTreeSet<Section> = known.chain(changes.by_section.keys().cloned()).collect();
        let architectures: BTreeSet<&str> = seen
            .iter()
            .map(|section| section.architecture.as_str())
            .chain(self.settings.architectures.iter().map(String::as_str))
            .filter(|architecture| *architecture != ALL)
            .collect();
        let sections = seen.iter().flat_map(|section| {
            architectures.iter().map(move |architecture| section.of(architecture))
        });
        sections.collect()
    }

    /// What an index lists that is new.
    fn all_stanzas(&self, section: &Section) -> Result<Vec<Stanza>, ViewError> {
        let mut found = Vec::new();
        for section in [section, &section.of(ALL)] {
            let prefix = rows::stanzas(self.suite, section);
            self.view.rows(&prefix, None, &mut |key, row| {
                if let Some((_, id)) = key.split_last_chunk::<16>()
                    && let Some(row) = StanzaRow::decode(row)
                {
                    found.push(Stanza { text: row.text.to_vec(), id: *id });
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(found)
    }

    fn list(&self, section: &Section, since: u64) -> Result<PieceList, ViewError> {
        let row = self.view.row(&rows::list(self.suite, section, since))?;
        let list = row.and_then(|row| serde_json::from_slice(&row).ok());
        list.ok_or_else(|| ViewError::damaged(format!("the index {section} of {}", self.suite)))
    }

    /// Puts an index into the place of what it was.
    fn replace(
        &mut self,
        section: &Section,
        before: Option<&IndexCard>,
        changed: Changed,
        put: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<(), ViewError> {
        let (suite, since) = (self.suite, self.release.generation);
        let card = IndexCard { since, text: changed.text, packed: changed.packed };
        let list = rows::list(suite, section, since);
        let row = serde_json::to_vec(&changed.list);
        put.insert(list.clone(), row.map_err(|error| ViewError::Damaged(Box::new(error)))?);
        put.insert(rows::end(suite, section, since), changed.end);
        for (form, packed) in [(card.text, "plain"), (card.packed, "gz")] {
            let value = format!("{since}\n{packed}\n{}", form.length);
            put.insert(rows::digest(suite, section, &form.sha256, since), value.into_bytes());
        }
        if let Some(before) = before {
            self.grave.push(rows::list(suite, section, before.since));
            self.grave.push(rows::end(suite, section, before.since));
            for form in [before.text, before.packed] {
                self.grave.push(rows::digest(suite, section, &form.sha256, before.since));
            }
        }
        for piece in changed.dropped {
            self.grave.push(rows::text(suite, piece));
            self.grave.push(rows::packed(suite, piece));
            self.grave.push(rows::ids(suite, piece));
        }
        self.release.indexes.insert(section.directory(), card);
        Ok(())
    }

    /// Whether a package file was gone once more since its row was to go.
    fn still_kept(&self, key: &[u8], now: Timestamp) -> Result<bool, ViewError> {
        let row = self.view.row(key)?;
        let until = row.as_deref().and_then(StanzaRow::decode);
        let until = until.and_then(|row| Some(i64::from_be_bytes(*row.text.first_chunk::<8>()?)));
        Ok(until.is_some_and(|until| until > now.millis()))
    }

    fn finish(self, now: Timestamp, made: &mut Refresh) -> Result<(), ViewError> {
        let suite = self.suite;
        let mut due = Vec::new();
        self.view.rows(&rows::graves(suite), None, &mut |key, value| {
            if rows::grave_time(suite, key).is_none_or(|time| time > now.millis()) {
                return ControlFlow::Break(());
            }
            due.extend(unburied(value));
            due.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        for key in due {
            if !rows::is_kept(&key) || !self.still_kept(&key, now)? {
                made.remove.push(key);
            }
        }
        if !self.grave.is_empty() {
            let time = self.release.date.saturating_add(KEPT);
            let key = rows::grave(suite, time, self.release.generation);
            made.put.push((key, buried(&self.grave)));
        }
        let row = serde_json::to_vec(&self.release);
        let row = row.map_err(|error| ViewError::Damaged(Box::new(error)))?;
        made.put.push((rows::current(suite), row));
        Ok(())
    }
}

impl Change {
    fn stanza(&self) -> Option<Stanza> {
        let row = StanzaRow::decode(self.now.as_deref()?)?;
        Some(Stanza { text: row.text.to_vec(), id: self.id })
    }
}

/// The value of a grave: keys, each behind its length.
fn buried(keys: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for key in keys {
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(key);
    }
    out
}

fn unburied(mut value: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    while let Some((length, rest)) = value.split_first_chunk::<2>()
        && let Some((key, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into())
    {
        keys.push(key.to_vec());
        value = rest;
    }
    keys
}

/// A package file that only an earlier release lists: digest and size.
pub(super) fn kept(
    view: &dyn FeedView,
    prefix: &[u8; 16],
) -> Result<Option<([u8; 32], u64)>, ViewError> {
    let mut found = None;
    view.rows(&rows::kept_by_prefix(prefix), None, &mut |_, row| {
        found = StanzaRow::decode(row).map(|row| (row.sha256, row.size));
        ControlFlow::Break(())
    })?;
    debug_assert!(found.is_none_or(|(sha256, _)| digest_prefix(&sha256).len() == 32));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graves_read_back() {
        let keys = vec![b"a".to_vec(), Vec::new(), vec![7; 300]];
        assert_eq!(unburied(&buried(&keys)), keys);
        assert_eq!(unburied(b"\0\x05ab"), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn dates_are_whole_seconds_and_grow() {
        let release = |date| Release {
            generation: 1,
            date,
            next_piece: 1,
            indexes: BTreeMap::new(),
            text: String::new(),
            inline: None,
            detached: None,
        };
        let at = |now, last: Option<i64>| {
            date_of(Timestamp::from_millis(now), last.map(release).as_ref())
        };
        assert_eq!(at(5_999, None), Some(5_000));
        assert_eq!(at(5_999, Some(2_000)), Some(5_000));
        assert_eq!(at(5_999, Some(5_000)), Some(6_000));
        assert_eq!(at(5_999, Some(6_000)), Some(7_000));
        assert_eq!(at(5_999, Some(7_000)), None);
        // A clock that was put back.
        assert_eq!(at(5_999, Some(1_000_000)), None);
    }
}
