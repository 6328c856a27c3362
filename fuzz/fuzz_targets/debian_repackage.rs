//! Any package that is accepted: repackaged, it is the same package with another version.
#![no_main]

use hayloft_debian::Debian;
use hayloft_feed::FeedTypeError;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let hints = [("distribution", "sid")];
    let Ok(found) = hayloft_testkit::inspect(&Debian, bytes, None, &hints) else { return };
    let entry = hayloft_testkit::history_entry(&found.identity, bytes);
    let run = || hayloft_testkit::repackage(&Debian, bytes, &found.identity, "9:9~x-9", &entry);
    let (result, _) = match run() {
        Ok(done) => done,
        Err(FeedTypeError::NotRepackageable { .. }) => return,
        Err(error) => panic!("an accepted package was refused: {error:?}"),
    };
    assert_eq!(run().unwrap().0, result);
    let again = hayloft_testkit::inspect(&Debian, &result, None, &hints).unwrap();
    assert_eq!(again.identity.package, found.identity.package);
    assert_eq!(again.identity.qualifiers, found.identity.qualifiers);
    assert_eq!(again.identity.version.text(), "9:9~x-9");
    assert_eq!(again.history.len(), found.history.len() + 1);
});
