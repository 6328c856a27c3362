//! Any gem that is accepted: repackaged, it is the same gem with another version and one more
//! history entry, and can be repackaged again.
#![no_main]

use hayloft_feed::{FeedType, FeedTypeError};
use hayloft_rubygems::RubyGems;
use libfuzzer_sys::fuzz_target;

#[path = "shared/gems.rs"]
mod gems;

fuzz_target!(|input: (u8, &[u8])| {
    let bytes = gems::file(input.0, input.1);
    let Ok(found) = hayloft_testkit::inspect(&RubyGems, &bytes, None, &[]) else { return };
    let to = RubyGems.version("9.9.9.rc9").unwrap();
    if found.identity.version == to {
        return;
    }
    let target = RubyGems.retarget(&found.identity, &to).unwrap();
    let entry = hayloft_testkit::history_entry(&found.identity, &bytes);
    let run =
        || hayloft_testkit::repackage(&RubyGems, &bytes, &found.identity, "9.9.9.rc9", &entry);
    let (result, done) = match run() {
        Ok(done) => done,
        Err(FeedTypeError::NotRepackageable { .. }) => return,
        Err(error) => panic!("an accepted gem was refused: {error:?}"),
    };
    assert_eq!(run().unwrap().0, result);
    let again = hayloft_testkit::inspect(&RubyGems, &result, None, &[]).unwrap();
    assert_eq!(again.identity, target);
    assert_eq!(again.identity.version.text(), to.text());
    let (last, before) = again.history.split_last().unwrap();
    assert_eq!(before, found.history);
    assert_eq!(last.id, entry.id);
    assert_eq!(*last == entry, done.signatures_removed.is_empty());
    let entry = hayloft_testkit::history_entry(&target, &result);
    hayloft_testkit::repackage(&RubyGems, &result, &target, "9.9.9", &entry).unwrap();
});
