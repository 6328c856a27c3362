//! The members of an `ar` archive tile it, and copying them copies it.
#![no_main]

use std::io::Cursor;

use hayloft_archive::{ArWriter, Section, read_ar};
use hayloft_feed::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = Cursor::new(bytes);
    let members = match read_ar(&mut file, &Limits::default()) {
        Ok(members) => members,
        Err(error) => return assert!(error.is_input()),
    };
    let mut expected = bytes.to_vec();
    let mut writer = ArWriter::new(Vec::new()).unwrap();
    let mut at = 8;
    for member in &members {
        assert_eq!(member.data.start, at + 60);
        at = member.data.end;
        if member.size() % 2 == 1 {
            // Any byte pads on reading, a line end on writing.
            expected[usize::try_from(at).unwrap()] = b'\n';
            at += 1;
        }
        let mut data = Section::new(&mut file, member.data.clone());
        writer.copy_member(member, &mut data).unwrap();
    }
    assert_eq!(at, bytes.len() as u64);
    assert_eq!(writer.finish().unwrap(), expected);
});
