//! Any bytes as rows of the store: reading them as any kind of record ends with an answer, and what
//! they hold reads the same when it is written again, up to the largest row that there can be.
#![no_main]

use hayloft_core::sim::read_record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(read_record(bytes).is_ok(), "{:?}", read_record(bytes));
    // The same with one text or list made long, around where a row has its limit.
    let Some((&[at, length, ..], rest)) = bytes.split_at_checked(2) else { return };
    let at = usize::from(at) % (rest.len() + 1);
    let (before, behind) = rest.split_at(at);
    for limit in [250_usize, 1 << 10, 16_000, 64 << 10, 1 << 20] {
        let length = (limit + usize::from(length)).saturating_sub(128);
        // As bincode writes a length.
        let mut long = before.to_vec();
        match u16::try_from(length) {
            Ok(short) if short < 251 => long.push(short as u8),
            Ok(short) => {
                long.push(251);
                long.extend(short.to_le_bytes());
            }
            Err(_) => {
                long.push(252);
                long.extend((length as u32).to_le_bytes());
            }
        }
        long.resize(long.len() + length, b'x');
        long.extend_from_slice(behind);
        assert!(read_record(&long).is_ok(), "{:?} at {limit}", read_record(&long));
    }
});
