//! Any package that is accepted: repackaged, it is the same package with another version and one
//! more history entry, and can be repackaged again.
#![no_main]

use hayloft_feed::{FeedType, FeedTypeError};
use hayloft_pypi::Pypi;
use libfuzzer_sys::fuzz_target;

#[path = "shared/python_files.rs"]
mod python_files;

fuzz_target!(|input: (u8, &[u8])| {
    let (file_name, bytes) = python_files::file(input.0, input.1);
    let Ok(found) = hayloft_testkit::inspect(&Pypi, &bytes, file_name, &[]) else { return };
    let to = Pypi.version("9!9.9+l.9").unwrap();
    if found.identity.version == to {
        return;
    }
    let target = match Pypi.retarget(&found.identity, &to) {
        Ok(target) => target,
        // The new version may make the name of the file too long.
        Err(error) => {
            assert!(found.identity.qualifiers.get("file").unwrap().len() > 240, "{error:?}");
            return;
        }
    };
    let entry = hayloft_testkit::history_entry(&found.identity, &bytes);
    let run = || hayloft_testkit::repackage(&Pypi, &bytes, &found.identity, "9!9.9+l.9", &entry);
    let (result, done) = match run() {
        Ok(done) => done,
        Err(FeedTypeError::NotRepackageable { .. }) => return,
        Err(error) => panic!("an accepted package was refused: {error:?}"),
    };
    assert_eq!(run().unwrap().0, result);
    let file = target.qualifiers.get("file").unwrap();
    let again = hayloft_testkit::inspect(&Pypi, &result, Some(file), &[]).unwrap();
    assert_eq!(again.identity, target);
    assert_eq!(again.identity.version.text(), to.text());
    assert_eq!(again.identity.package.spelled(), found.identity.package.spelled());
    let (last, before) = again.history.split_last().unwrap();
    assert_eq!(before, found.history);
    assert_eq!(last.id, entry.id);
    assert_eq!(*last == entry, done.signatures_removed.is_empty());
    let entry = hayloft_testkit::history_entry(&target, &result);
    hayloft_testkit::repackage(&Pypi, &result, &target, "9!9.9", &entry).unwrap();
});
