//! Whatever names a package: what is accepted reads back from its own text.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl, Qualifiers};
use hayloft_universal::Universal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, version, group) = (part(), part(), part());
    let qualifiers = Qualifiers::none();
    let stored = Universal.lookup_version(&version);
    let Ok(identity) = Universal.identify(&Coordinates { group, name, version, qualifiers }) else {
        return;
    };
    let stored = stored.expect("what is new may be stored");
    assert_eq!(stored, identity.version);
    assert_eq!(stored.sort_key(), identity.version.sort_key());
    let purl: Purl = Universal.purl(&identity).to_string().parse().unwrap();
    let again = Universal.identify(&Universal.coordinates(&purl).unwrap()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(again.version.text(), identity.version.text());
    let file_name = Universal.file_name(&identity);
    assert!(!file_name.contains(['/', '\\', ':']), "{file_name}");
});
