//! Whatever names a gem: what is accepted reads back from its own text.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl};
use hayloft_rubygems::{GemVersion, RubyGems};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, version, other) = (part(), part(), part());
    let Ok(qualifiers) = part().parse() else { return };
    compare(&version, &other);
    let asked = Coordinates { group: String::new(), name, version, qualifiers };
    let Ok(identity) = RubyGems.identify(&asked) else { return };
    let purl: Purl = RubyGems.purl(&identity).to_string().parse().unwrap();
    let again = RubyGems.identify(&RubyGems.coordinates(&purl).unwrap()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(again.version.text(), identity.version.text());
    assert_eq!(again.version.sort_key(), identity.version.sort_key());
    let file_name = RubyGems.file_name(&identity);
    assert!(!file_name.contains(['/', '\\', ':', '%']), "{file_name}");
});

/// Versions with one canonical form are one version, and only those.
fn compare(left: &str, right: &str) {
    let (Ok(left), Ok(right)) = (left.parse::<GemVersion>(), right.parse::<GemVersion>()) else {
        return;
    };
    let (Ok(left_key), Ok(right_key)) = (left.sort_key(), right.sort_key()) else { return };
    assert_eq!(left.canonical() == right.canonical(), left_key == right_key);
    let read: GemVersion = left.as_str().parse().unwrap();
    assert_eq!(read.as_str(), left.as_str());
    assert_eq!(read.sort_key().unwrap(), left_key);
}
