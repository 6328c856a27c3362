//! Indexes as lists of pieces that never change, so that a release costs what changed in it.

use std::collections::{BTreeMap, BTreeSet};

use hayloft_archive::{GzipPart, GzipSum};
use hayloft_feed::native::{FeedView, ViewError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hash_state::HashState;
use super::rows;

/// Most bytes of a piece, unless a single stanza has more.
const LARGEST: u64 = 256 << 10;
/// So many pieces of a size become one.
const FEW: usize = 8;
/// Sizes that count as one.
const SIZES: [u64; 3] = [4 << 10, 32 << 10, LARGEST];

/// An index as of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PieceList {
    pub(super) pieces: Vec<PieceCard>,
}

/// One piece of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PieceCard {
    /// Names its rows; never given twice in a distribution.
    pub(super) id: u64,
    /// Bytes of its text.
    text: u64,
    /// Bytes compressed.
    packed: u64,
    /// CRC-32 of its text.
    crc: u32,
    /// Hash of the index up to and with this piece.
    text_state: HashState,
    /// The same of the compressed index.
    packed_state: HashState,
}

/// Length and digest of one form of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    pub(super) length: u64,
    #[serde(with = "super::hash_state::hex")]
    pub(super) sha256: [u8; 32],
}

/// What became of an index.
pub(super) struct Changed {
    pub(super) list: PieceList,
    pub(super) text: Form,
    pub(super) packed: Form,
    /// The end of the compressed form.
    pub(super) end: Vec<u8>,
    /// Pieces that it does not have any more.
    pub(super) dropped: Vec<u64>,
}

/// One stanza on its way into an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stanza {
    pub(super) text: Vec<u8>,
    pub(super) id: [u8; 16],
}

/// Makes pieces and names them.
pub(super) struct Maker<'m> {
    pub(super) view: &'m dyn FeedView,
    pub(super) suite: &'m str,
    /// The next name of a piece.
    pub(super) next: u64,
    /// Rows to write.
    pub(super) put: &'m mut BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A piece while it is being worked on.
struct Draft {
    card: PieceCard,
    /// The rows, if they were made now.
    made: Option<(Vec<u8>, Vec<u8>)>,
}

impl Maker<'_> {
    /// Takes stanzas out of an index and puts others behind it.
    pub(super) fn change(
        &mut self,
        old: &PieceList,
        gone: &BTreeSet<[u8; 16]>,
        mut new: Vec<Stanza>,
    ) -> Result<Changed, ViewError> {
        let first_made = self.next;
        let mut drafts: Vec<Draft> =
            old.pieces.iter().map(|card| Draft { card: card.clone(), made: None }).collect();
        let mut changed = drafts.len();
        if !gone.is_empty() {
            changed = self.take_out(&mut drafts, gone)?.min(changed);
        }
        new.sort_unstable();
        changed = changed.min(drafts.len());
        let mut batch = Vec::new();
        let mut size = 0;
        for stanza in new {
            let length = length(&stanza.text);
            if size + length > LARGEST && !batch.is_empty() {
                drafts.push(self.make(&batch));
                batch.clear();
                size = 0;
            }
            size += length;
            batch.push(stanza);
        }
        if !batch.is_empty() {
            drafts.push(self.make(&batch));
        }
        changed = self.merge(&mut drafts, changed)?;
        self.settle(old, drafts, changed, first_made)
    }

    /// Makes the pieces anew that have any of the stanzas; tells the first of them.
    fn take_out(
        &mut self,
        drafts: &mut Vec<Draft>,
        gone: &BTreeSet<[u8; 16]>,
    ) -> Result<usize, ViewError> {
        let mut first = usize::MAX;
        let mut at = 0;
        while let Some(draft) = drafts.get(at) {
            let ids = self.ids(&draft.card)?;
            if !ids.iter().any(|(id, _)| gone.contains(id)) {
                at += 1;
                continue;
            }
            first = first.min(at);
            let mut left = self.stanzas(draft)?;
            left.retain(|stanza| !gone.contains(&stanza.id));
            // What is left of two neighbours becomes one again, or an index would be all crumbs.
            if let Some(before) = at.checked_sub(1).and_then(|before| drafts.get(before))
                && before.card.text + total(&left) <= LARGEST / 2
            {
                let mut joined = self.stanzas(before)?;
                joined.append(&mut left);
                left = joined;
                drafts.remove(at);
                at -= 1;
                first = first.min(at);
            }
            if left.is_empty() {
                drafts.remove(at);
            } else {
                let made = self.make(&left);
                if let Some(place) = drafts.get_mut(at) {
                    *place = made;
                }
                at += 1;
            }
        }
        Ok(first)
    }

    /// Makes one piece of many small ones at the end; tells the first that changed.
    fn merge(&mut self, drafts: &mut Vec<Draft>, mut changed: usize) -> Result<usize, ViewError> {
        for size in SIZES {
            let small = drafts.iter().rev().take_while(|draft| draft.card.text < size).count();
            let start = drafts.len() - small;
            let fits: u64 = drafts.iter().skip(start).map(|draft| draft.card.text).sum();
            if small < FEW || fits > LARGEST {
                continue;
            }
            let mut stanzas = Vec::new();
            for draft in drafts.iter().skip(start) {
                stanzas.append(&mut self.stanzas(draft)?);
            }
            drafts.truncate(start);
            drafts.push(self.make(&stanzas));
            changed = changed.min(start);
        }
        Ok(changed)
    }

    fn make(&mut self, stanzas: &[Stanza]) -> Draft {
        let mut text = Vec::new();
        let mut ids = Vec::new();
        for stanza in stanzas {
            ids.extend_from_slice(&stanza.id);
            let length = u32::try_from(stanza.text.len()).unwrap_or(u32::MAX);
            ids.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(&stanza.text);
        }
        let part = GzipPart::compress(&text);
        let card = PieceCard {
            id: self.next,
            text: length(&text),
            packed: length(&part.bytes),
            crc: part.sum.crc,
            text_state: HashState::default(),
            packed_state: HashState::default(),
        };
        self.next += 1;
        self.put.insert(rows::ids(self.suite, card.id), ids);
        Draft { card, made: Some((text, part.bytes)) }
    }

    /// Writes the rows of new pieces and hashes on from the first piece that changed.
    fn settle(
        &mut self,
        old: &PieceList,
        drafts: Vec<Draft>,
        changed: usize,
        first_made: u64,
    ) -> Result<Changed, ViewError> {
        let (mut text_hash, mut packed_hash) =
            (Sha256::new(), Sha256::new_with_prefix(GzipPart::HEADER));
        if let Some(last) = changed.checked_sub(1).and_then(|at| drafts.get(at)) {
            text_hash = last.card.text_state.hash()?;
            packed_hash = last.card.packed_state.hash()?;
        }
        let mut sum = GzipSum::default();
        let (mut text_length, mut packed_length) = (0, length(&GzipPart::HEADER));
        let mut pieces = Vec::with_capacity(drafts.len());
        for (at, draft) in drafts.into_iter().enumerate() {
            let mut card = draft.card;
            if at >= changed {
                let (text, packed) = match draft.made {
                    Some(made) => made,
                    None => self.both(&card)?,
                };
                text_hash.update(&text);
                packed_hash.update(&packed);
                card.text_state = HashState::of(&text_hash);
                card.packed_state = HashState::of(&packed_hash);
                if card.id >= first_made {
                    self.put.insert(rows::text(self.suite, card.id), text);
                    self.put.insert(rows::packed(self.suite, card.id), packed);
                }
            }
            sum = sum.then(GzipSum { crc: card.crc, length: card.text });
            text_length += card.text;
            packed_length += card.packed;
            pieces.push(card);
        }
        // Pieces that were made and merged at once have no other rows.
        let kept: BTreeSet<u64> = pieces.iter().map(|piece| piece.id).collect();
        for id in (first_made..self.next).filter(|id| !kept.contains(id)) {
            self.put.remove(&rows::ids(self.suite, id));
        }
        let end = sum.end().to_vec();
        packed_hash.update(&end);
        packed_length += length(&end);
        let dropped = old.pieces.iter().map(|piece| piece.id).filter(|id| !kept.contains(id));
        Ok(Changed {
            dropped: dropped.collect(),
            list: PieceList { pieces },
            text: Form { length: text_length, sha256: text_hash.finalize().into() },
            packed: Form { length: packed_length, sha256: packed_hash.finalize().into() },
            end,
        })
    }

    fn ids(&self, card: &PieceCard) -> Result<Vec<([u8; 16], usize)>, ViewError> {
        let row = self.row(&rows::ids(self.suite, card.id))?;
        let entries = row.chunks_exact(20).filter_map(|entry| {
            let (id, length) = entry.split_first_chunk::<16>()?;
            let length = u32::from_be_bytes(*length.first_chunk::<4>()?);
            Some((*id, usize::try_from(length).ok()?))
        });
        Ok(entries.collect())
    }

    fn stanzas(&self, draft: &Draft) -> Result<Vec<Stanza>, ViewError> {
        let ids = self.ids(&draft.card)?;
        let text = match &draft.made {
            Some((text, _)) => text.clone(),
            None => self.row(&rows::text(self.suite, draft.card.id))?,
        };
        let mut rest = text.as_slice();
        let mut stanzas = Vec::with_capacity(ids.len());
        for (id, length) in ids {
            let split = rest.split_at_checked(length);
            let (text, behind) = split.ok_or_else(|| ViewError::damaged("a piece of an index"))?;
            stanzas.push(Stanza { text: text.to_vec(), id });
            rest = behind;
        }
        Ok(stanzas)
    }

    fn both(&self, card: &PieceCard) -> Result<(Vec<u8>, Vec<u8>), ViewError> {
        Ok((
            self.row(&rows::text(self.suite, card.id))?,
            self.row(&rows::packed(self.suite, card.id))?,
        ))
    }

    /// A row, made now or before.
    fn row(&self, key: &[u8]) -> Result<Vec<u8>, ViewError> {
        if let Some(value) = self.put.get(key) {
            return Ok(value.clone());
        }
        self.view.row(key)?.ok_or_else(|| ViewError::damaged("a piece of an index is missing"))
    }
}

fn total(stanzas: &[Stanza]) -> u64 {
    stanzas.iter().map(|stanza| length(&stanza.text)).sum()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
