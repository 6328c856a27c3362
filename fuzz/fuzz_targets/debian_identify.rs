//! Whatever names a package: what is accepted reads back from its own text.
#![no_main]

use hayloft_debian::Debian;
use hayloft_feed::{Coordinates, FeedType, Purl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, version, group) = (part(), part(), part());
    let Ok(qualifiers) = part().parse() else { return };
    let Ok(identity) = Debian.identify(&Coordinates { group, name, version, qualifiers }) else {
        return;
    };
    let purl: Purl = Debian.purl(&identity).to_string().parse().unwrap();
    let again = Debian.identify(&Debian.coordinates(&purl).unwrap()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(again.version.sort_key(), identity.version.sort_key());
    let file_name = Debian.file_name(&identity);
    assert!(!file_name.contains(['/', '\\', ':']) && !file_name.starts_with('.'), "{file_name}");
});
