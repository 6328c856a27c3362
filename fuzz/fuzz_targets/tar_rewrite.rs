//! A tar stream that is read is copied byte for byte, and edits do what was asked for.
#![no_main]

use hayloft_archive::{TarAction, TarReader, rewrite_tar};
use hayloft_feed::Limits;
use libfuzzer_sys::fuzz_target;

type Listed = Vec<(Vec<u8>, Option<Vec<u8>>, Vec<u8>)>;

fn list(bytes: &[u8], limits: &Limits) -> Option<Listed> {
    let mut reader = TarReader::new(bytes, limits);
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok(None) => return Some(found),
            Ok(Some(mut member)) => {
                let data = member.read(1 << 20).ok()?;
                found.push((member.path().to_vec(), member.link().map(<[u8]>::to_vec), data));
            }
            Err(error) => {
                assert!(error.is_input());
                return None;
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut limits = Limits::default();
    limits.unpacked = 1 << 20;
    let mut copy = Vec::new();
    let kept = rewrite_tar(bytes, &mut copy, &limits, &[], &mut |_| Ok(TarAction::Keep)).is_ok();
    let Some(listed) = list(bytes, &limits) else {
        assert!(!kept, "what cannot be read was copied");
        return;
    };
    // What follows the end marker is read by the copy only, and may exceed its limit.
    if !kept {
        return;
    }
    assert_eq!(copy, bytes);

    let longer = |name: &[u8]| [name, &b"/renamed".repeat(20)].concat();
    let mut edited = Vec::new();
    let outcome = rewrite_tar(bytes, &mut edited, &limits, &[], &mut |entry| {
        Ok(TarAction::RenameAndEdit {
            path: Some(longer(entry.path())),
            link: entry.link().map(longer),
            max: 1 << 20,
            edit: Box::new(|mut data| {
                if !data.is_empty() {
                    data.push(b'!');
                }
                Ok(data)
            }),
        })
    });
    // A name may have become too long, and so may a record.
    if outcome.is_err() {
        return;
    }
    limits.unpacked = 16 << 20;
    limits.entries *= 4;
    let found = list(&edited, &limits).expect("an edited archive is read");
    assert_eq!(found.len(), listed.len());
    for (new, old) in found.iter().zip(&listed) {
        assert_eq!(new.0, longer(&old.0));
        assert_eq!(new.1, old.1.as_deref().map(longer));
        assert_eq!(new.2.strip_suffix(b"!").unwrap_or(&new.2), old.2);
    }
});
