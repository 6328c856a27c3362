//! The reader over bytes that someone made up, for fuzzing.

use super::file::{ALIGN, Identity};
use super::mutations::Switches;
use super::position::Position;
use super::record::{self, Place, Record};
use super::replay::{Layout, replay};
use crate::{Batch, Table};

/// Rows that a record changes, owned.
pub(crate) type ReadEntries = Vec<(Table, Vec<u8>, Option<Vec<u8>>)>;

const IDENTITY: Identity = Identity { id: [1; 16], secret: [2; 32] };

pub(crate) fn read_halves(halves: [&[u8]; 2], tables: &[Table]) -> Option<usize> {
    let switches = Switches::default();
    let layout =
        Layout { identity: &IDENTITY, tables, align: ALIGN, switches, leaves_out_unknown: false };
    let replay = replay(halves, &Position::first(IDENTITY), &layout);
    let rows = replay.generations.iter().map(|found| found.rows.len()).sum();
    replay.fault.is_none().then_some(rows)
}

pub(crate) fn read_body(body: &[u8], tables: &[Table]) -> Option<ReadEntries> {
    let record = Record { place: Place { generation: 1, sequence: 1 }, body };
    let mut found = ReadEntries::new();
    let add = |(table, key, value): record::Entry<'_>| {
        found.push((table, key.to_vec(), value.map(<[u8]>::to_vec)));
    };
    record.entries(tables, false, add).ok()?;
    Some(found)
}

pub(crate) fn body_of(batch: &Batch) -> Vec<u8> {
    record::body(batch).split_off(record::HEADER)
}

pub(crate) fn record_of(generation: u64, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; record::HEADER];
    bytes.extend_from_slice(body);
    let place = Place { generation, sequence };
    record::finish(bytes, place, &IDENTITY.salt(generation), ALIGN)
}
