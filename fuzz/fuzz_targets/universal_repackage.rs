//! Any package that is accepted, or any manifest packed into one: repackaged, it is the same
//! package with another version and one more history entry.
#![no_main]

use std::io::Cursor;

use hayloft_archive::ZipWriter;
use hayloft_feed::FeedTypeError;
use hayloft_universal::{MANIFEST, Universal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    repackage(bytes);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    archive.add("package/a", None, &mut &b"content"[..]).unwrap();
    archive.add(MANIFEST, None, &mut &*bytes).unwrap();
    repackage(archive.finish().unwrap().get_ref());
});

fn repackage(bytes: &[u8]) {
    let Ok(found) = hayloft_testkit::inspect(&Universal, bytes, None, &[]) else { return };
    let entry = hayloft_testkit::history_entry(&found.identity, bytes);
    let run = || hayloft_testkit::repackage(&Universal, bytes, &found.identity, "9.9.9-x", &entry);
    let (result, _) = match run() {
        Ok(done) => done,
        Err(FeedTypeError::NotRepackageable { .. }) => return,
        // The data of files other than the manifest is first looked at now.
        Err(error) => {
            assert!(error.is_input(), "{error:?}");
            return;
        }
    };
    assert_eq!(run().unwrap().0, result);
    let again = hayloft_testkit::inspect(&Universal, &result, None, &[]).unwrap();
    assert_eq!(again.identity.package.spelled(), found.identity.package.spelled());
    assert_eq!(again.identity.version.text(), "9.9.9-x");
    let (last, before) = again.history.split_last().unwrap();
    assert_eq!(before, found.history);
    assert_eq!(*last, entry);
}
