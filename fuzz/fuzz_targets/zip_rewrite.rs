//! A copied zip archive opens, holds what was asked for, and copies to itself.
#![no_main]

use std::io::Cursor;

use hayloft_archive::{ExtraFields, Zip, ZipEdit, ZipOutput};
use hayloft_feed::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (seed, bytes) = input;
    let limits = Limits::default();
    let mut file = Cursor::new(bytes);
    let Ok(mut zip) = Zip::open(&mut file, &limits) else { return };
    let mut edits = Vec::new();
    // Name and, where it is known, data.
    let mut expected: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    for index in 0..zip.entries().len() {
        let name = zip.entries()[index].raw_name().to_vec();
        let new = format!("~new/{index}");
        let data = zip.read(index, 1 << 20).ok();
        match (seed as usize + index) % 5 {
            0 => {
                edits.push(ZipEdit::Replace { index, bytes: bytes.to_vec() });
                expected.push((name, Some(bytes.to_vec())));
            }
            1 => edits.push(ZipEdit::Remove { index }),
            2 => {
                edits.push(ZipEdit::Rename { index, name: new.clone() });
                expected.push((new.into_bytes(), data));
            }
            _ => expected.push((name, data)),
        }
    }
    edits.push(ZipEdit::Append { name: "~appended".to_owned(), bytes: vec![seed] });
    expected.push((b"~appended".to_vec(), Some(vec![seed])));
    let extra_fields =
        if seed.is_multiple_of(2) { ExtraFields::Kept } else { ExtraFields::OfDirectory };
    let output = ZipOutput { extra_fields, ..ZipOutput::default() };
    let mut out = Cursor::new(Vec::new());
    match zip.rewrite_with(&edits, output, &mut out) {
        Ok(()) => {}
        // The names may be taken, and extra fields may have no room for a zip64 one.
        Err(error) => return assert!(error.is_input()),
    }

    let written = out.get_ref().clone();
    let mut copy = Zip::open(&mut out, &limits).unwrap();
    assert_eq!(copy.entries().len(), expected.len());
    for (index, (name, data)) in expected.iter().enumerate() {
        assert_eq!(copy.entries()[index].raw_name(), name);
        assert_eq!(copy.read(index, 1 << 20).ok(), *data);
    }
    let mut again = Cursor::new(Vec::new());
    copy.rewrite_with(&[], output, &mut again).unwrap();
    assert_eq!(again.into_inner(), written);
});
