//! Any package that is accepted: repackaged, it is the same package with another version.
#![no_main]

use hayloft_feed::FeedTypeError;
use hayloft_nuget::NuGet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = hayloft_testkit::inspect(&NuGet, bytes, None, &[]) else { return };
    let entry = hayloft_testkit::history_entry(&found.identity, bytes);
    let run = || hayloft_testkit::repackage(&NuGet, bytes, &found.identity, "9.1-x.9+y", &entry);
    let (result, _) = match run() {
        Ok(done) => done,
        // The target's version may be too long for a long id.
        Err(FeedTypeError::NotRepackageable { .. } | FeedTypeError::Version { .. }) => return,
        Err(error) => panic!("an accepted package was refused: {error:?}"),
    };
    assert_eq!(run().unwrap().0, result);
    let again = hayloft_testkit::inspect(&NuGet, &result, None, &[]).unwrap();
    assert_eq!(again.identity.package, found.identity.package);
    assert_eq!(again.identity.qualifiers, found.identity.qualifiers);
    assert_eq!(again.identity.version.text(), "9.1-x.9+y");
    assert_eq!(again.history.len(), found.history.len() + 1);
});
