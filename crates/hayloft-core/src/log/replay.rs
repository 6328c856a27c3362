//! What a log holds that the engine below has not taken in yet.

use super::file::Identity;
use super::generation::Replayed;
use super::mutations::Switches;
use super::position::Position;
use super::record::{self, BodyError, Record};
use crate::Table;

/// The records that follow on what was applied.
#[derive(Debug)]
pub(super) struct Replay {
    /// Generations with at least one record, in order: at most two.
    pub(super) generations: Vec<Found>,
    /// Sequence of the last record.
    pub(super) sequence: u64,
    /// The last record as it lies there, where it begins, and of which generation it is.
    pub(super) last: Option<Last>,
    /// What is wrong with the rest.
    pub(super) fault: Option<Fault>,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) rows: Vec<Replayed>,
    /// Where its next record would begin.
    pub(super) end: u64,
    /// Sequence of its last record.
    pub(super) sequence: u64,
}

#[derive(Debug)]
pub(super) struct Last {
    pub(super) generation: u64,
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// Why the log is not to be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A record lies behind one that cannot be read; this is the first sequence that is lost.
    Lost(u64),
    /// It goes on from a later state than the engine below has.
    Ahead,
    /// A record of a table that this release does not know.
    Newer(String),
}

/// How records are laid out and told from what only looks like one.
pub(super) struct Layout<'a> {
    pub(super) identity: &'a Identity,
    pub(super) tables: &'a [Table],
    pub(super) align: usize,
    pub(super) switches: Switches,
    /// Rows of tables that are not known are left out.
    pub(super) leaves_out_unknown: bool,
}

impl Layout<'_> {
    /// The record that begins at a place of a half, whatever its generation.
    fn record<'h>(&self, half: &'h [u8], at: usize) -> Option<Record<'h>> {
        let rest = half.get(at..)?;
        record::parse(rest, rest.len(), |generation| self.switches.salt(self.identity, generation))
    }
}

/// Reads the records after a position out of the two halves; `halves[g & 1]` is that of `g`.
pub(super) fn replay(halves: [&[u8]; 2], position: &Position, layout: &Layout<'_>) -> Replay {
    let mut replay =
        Replay { generations: Vec::new(), sequence: position.sequence, last: None, fault: None };
    let half = |generation: u64| if generation & 1 == 0 { halves[0] } else { halves[1] };
    // Up to where each half holds records that count.
    let mut ends = [0_usize; 2];
    for number in [position.generation + 1, position.generation + 2] {
        let half = half(number);
        let mut found = Found { number, rows: Vec::new(), end: 0, sequence: replay.sequence };
        let mut at = 0_usize;
        while let Some(record) = layout.record(half, at) {
            let place = record.place;
            if place.generation != number || place.sequence != replay.sequence + 1 {
                break;
            }
            let rows = found.rows.len();
            let read =
                record.entries(layout.tables, layout.leaves_out_unknown, |(table, key, value)| {
                    let value = value.map(Into::into);
                    let (key, sequence) = (key.to_vec(), place.sequence);
                    found.rows.push(Replayed { table, key, sequence, value });
                });
            if let Err(error) = read {
                found.rows.truncate(rows);
                replay.fault = Some(match error {
                    BodyError::Table(name) => Fault::Newer(name),
                    BodyError::Malformed => Fault::Lost(place.sequence),
                });
                break;
            }
            let length = record.len(layout.align);
            let bytes = half.get(at..at + length).unwrap_or_default().to_vec();
            replay.last = Some(Last { generation: number, at: at as u64, bytes });
            replay.sequence = place.sequence;
            at += length;
        }
        found.end = at as u64;
        found.sequence = replay.sequence;
        if let Some(end) = ends.get_mut(usize::from(number & 1 == 1)) {
            *end = at;
        }
        if at == 0 {
            break;
        }
        replay.generations.push(found);
        if replay.fault.is_some() {
            return replay;
        }
    }
    if replay.fault.is_none() {
        replay.fault = fault(halves, ends, position, replay.sequence, layout);
    }
    replay
}

/// What lies behind the last record that counts must be older, or not whole.
fn fault(
    halves: [&[u8]; 2],
    ends: [usize; 2],
    position: &Position,
    sequence: u64,
    layout: &Layout<'_>,
) -> Option<Fault> {
    let mut fault = None;
    for (half, end) in halves.into_iter().zip(ends) {
        for at in (end..half.len()).step_by(layout.align) {
            let Some(Record { place, .. }) = layout.record(half, at) else { continue };
            if place.generation > position.generation + 2 {
                return Some(Fault::Ahead);
            }
            if place.generation > position.generation && place.sequence > sequence {
                fault = Some(Fault::Lost(sequence + 1));
            }
        }
    }
    fault
}
