//! Any bytes as the metadata log: reading ends with an answer, a sound record is found among them,
//! and what one holds reads the same when it is written again.
#![no_main]

use hayloft_core::Table;
use hayloft_core::sim::{log_record, read_log, read_log_body};
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
    let mut half = log_record(1, bytes);
    half.extend(log_record(2, bytes));
    half.resize(half.len().next_multiple_of(4096).max(HALF), 0);
    assert_eq!(read_log([&noise, &half], &TABLES), rows.map(|rows| rows * 2));
});
