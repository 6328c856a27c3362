//! The readers of the log and of rows, for whoever makes up bytes.

use crate::log::{ReadEntries, read_body, read_halves};
use crate::{Batch, Table, tables};

/// Reads two halves of a log of which nothing was applied, as opening does; tells how many rows
/// they hold, or `None` if the log would be refused.
pub fn read_log(halves: [&[u8]; 2], tables: &[Table]) -> Option<usize> {
    read_halves(halves, tables)
}

/// Reads the body of a record, and writes what it found as a record again, which has to read the
/// same; tells how many rows it has, or `None` if it is none.
pub fn read_log_body(body: &[u8], tables: &[Table]) -> Option<usize> {
    let rows = read_body(body, tables)?;
    let count = rows.len();
    let (mut batch, mut sorted) = (Batch::default(), ReadEntries::new());
    for (table, key, value) in rows {
        match value {
            Some(value) => batch.put.push((table, key, value)),
            None => batch.delete.push((table, key)),
        }
    }
    let put = batch.put.iter().cloned().map(|(table, key, value)| (table, key, Some(value)));
    sorted.extend(put);
    sorted.extend(batch.delete.iter().cloned().map(|(table, key)| (table, key, None)));
    let again = read_body(&crate::log::body_of(&batch), tables);
    (again == Some(sorted)).then_some(count)
}

/// The body of a record with these changes.
pub fn log_body(batch: &Batch) -> Vec<u8> {
    crate::log::body_of(batch)
}

/// A record with this body, as it lies in the half of its generation.
pub fn log_record(generation: u64, sequence: u64, body: &[u8]) -> Vec<u8> {
    crate::log::record_of(generation, sequence, body)
}

/// Reads bytes as a record of each kind of row; tells of how many they are one, or which one is
/// another after it was written and read again.
pub fn read_record(payload: &[u8]) -> Result<usize, &'static str> {
    crate::records::read_as_each(payload)
}

/// All tables that a store has.
pub fn tables() -> &'static [Table] {
    &tables::ALL
}
