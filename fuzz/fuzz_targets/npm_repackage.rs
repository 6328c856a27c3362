//! Any package that is accepted: repackaged, it is the same package with another version and one
//! more history entry.
#![no_main]

use hayloft_feed::{FeedType, FeedTypeError};
use hayloft_npm::Npm;
use libfuzzer_sys::fuzz_target;

#[path = "shared/npm_tarballs.rs"]
mod npm_tarballs;

fuzz_target!(|bytes: &[u8]| {
    repackage(bytes);
    repackage(&npm_tarballs::gzipped(bytes));
    repackage(&npm_tarballs::with_manifest(bytes));
});

fn repackage(bytes: &[u8]) {
    let Ok(found) = hayloft_testkit::inspect(&Npm, bytes, None, &[]) else { return };
    if found.identity.version == Npm.version("9.9.9-x").unwrap() {
        return;
    }
    let entry = hayloft_testkit::history_entry(&found.identity, bytes);
    let run = || hayloft_testkit::repackage(&Npm, bytes, &found.identity, "9.9.9-x", &entry);
    let (result, _) = match run() {
        Ok(done) => done,
        Err(FeedTypeError::NotRepackageable { .. }) => return,
        Err(error) => panic!("an accepted package was refused: {error:?}"),
    };
    assert_eq!(run().unwrap().0, result);
    let again = hayloft_testkit::inspect(&Npm, &result, None, &[]).unwrap();
    assert_eq!(again.identity.package.spelled(), found.identity.package.spelled());
    assert_eq!(again.identity.version.text(), "9.9.9-x");
    let (last, before) = again.history.split_last().unwrap();
    assert_eq!(before, found.history);
    assert_eq!(*last, entry);
    assert_eq!(again.documents, found.documents);
}
