//! A zip archive that opens keeps its promises: records apart, names safe, sizes true.
#![no_main]

use std::io::Cursor;

use hayloft_archive::Zip;
use hayloft_feed::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = Cursor::new(bytes);
    let Ok(mut zip) = Zip::open(&mut file, &Limits::default()) else { return };
    let layout = zip.layout().clone();
    assert_eq!(layout.end.end, bytes.len() as u64);
    let mut records = layout.records;
    assert_eq!(records.len(), zip.entries().len());
    for (entry, record) in zip.entries().iter().zip(&records) {
        assert_eq!(record.data.end - record.data.start, entry.compressed_size());
        assert!(record.local.start < record.data.start && record.data.end <= record.local.end);
    }
    records.sort_by_key(|record| record.local.start);
    for pair in records.windows(2) {
        assert!(pair[0].local.end <= pair[1].local.start);
    }
    assert!(records.last().is_none_or(|last| last.local.end <= layout.directory.start));
    for index in 0..zip.entries().len() {
        let entry = zip.entries()[index].clone();
        assert_eq!(zip.find(entry.path()), Some(index));
        assert!(!entry.path().contains(['\\', '\0']) && !entry.path().starts_with('/'));
        assert!(entry.path().split('/').all(|component| component != ".."));
        match zip.read(index, 1 << 20) {
            Ok(data) => assert_eq!(data.len() as u64, entry.size()),
            Err(error) => assert!(error.is_input()),
        }
    }
});
