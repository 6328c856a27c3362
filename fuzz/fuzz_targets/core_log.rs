//! Any bytes as the metadata log: reading ends with an answer, a sound record is found among them,
//! what one holds reads the same when it is written again, and of records in both halves the log
//! gives all, or after damage those before it, or is refused.
#![no_main]

use hayloft_core::sim::{log_body, log_record, read_log, read_log_body};
use hayloft_core::{Batch, Table};
use libfuzzer_sys::fuzz_target;

const TABLES: [Table; 3] = [Table("a"), Table("ver-1"), Table("meta-1")];
const HALF: usize = 128 << 10;

fuzz_target!(|bytes: &[u8]| {
    let bytes = &bytes[..bytes.len().min(HALF / 2)];
    let rows = read_log_body(bytes, &TABLES);
    // As they are: nothing of it has the log's salt.
    let mut noise = bytes.to_vec();
    noise.resize(HALF, 0);
    assert_eq!(read_log([&noise, &noise], &TABLES), Some(0));
    // As a record of the first generation, whose half is the second, twice.
    let mut half = log_record(1, 1, bytes);
    half.extend(log_record(1, 2, bytes));
    half.resize(half.len().next_multiple_of(4096).max(HALF), 0);
    assert_eq!(read_log([&noise, &half], &TABLES), rows.map(|rows| rows * 2));
    two_generations(bytes);
});

/// The bytes are the rows of several records, in one half or both, and say what is damaged.
fn two_generations(bytes: &[u8]) {
    let Some((&[first, damaged, at, bit, ..], rest)) = bytes.split_at_checked(4) else { return };
    let pieces: Vec<&[u8]> = rest.chunks(1 + usize::from(first) * 8).take(12).collect();
    let in_first = usize::from(first) % (pieces.len() + 1);
    let mut halves = [Vec::new(), Vec::new()];
    // How many rows there are up to each record.
    let mut known = vec![0];
    let mut sequence = 0;
    for (number, piece) in pieces.iter().enumerate() {
        // Without a record in the first generation none can be in the second.
        let generation = if number < in_first.max(1) { 1 } else { 2 };
        let mut batch = Batch::default();
        for (row, part) in piece.chunks(64).enumerate() {
            let key = [number as u8, row as u8];
            match part.first() {
                Some(0) => batch.delete.push((TABLES[row % 3], key.to_vec())),
                _ => batch.put.push((TABLES[row % 3], key.to_vec(), part.to_vec())),
            }
        }
        sequence += 1;
        known.push(known[number] + batch.put.len() + batch.delete.len());
        halves[generation & 1].extend(log_record(generation as u64, sequence, &log_body(&batch)));
    }
    for half in &mut halves {
        half.resize(half.len().next_multiple_of(4096).max(HALF), 0);
    }
    let all = *known.last().unwrap();
    assert_eq!(read_log([&halves[0], &halves[1]], &TABLES), Some(all));
    let half = &mut halves[usize::from(damaged & 1)];
    let at = usize::from(at) * 256 + usize::from(damaged >> 1);
    let length = half.len();
    half[at % length] ^= 1 << (bit % 8);
    if let Some(rows) = read_log([&halves[0], &halves[1]], &TABLES) {
        assert!(known.contains(&rows), "{rows} of {known:?}");
    }
}
