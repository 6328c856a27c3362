//! Whatever names a package: what is accepted reads back from its own text, and what is strict is
//! loose too.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl, Qualifiers};
use hayloft_npm::{Npm, NpmName, NpmVersion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, version, group) = (part(), part(), part());
    if let Ok(name) = name.parse::<NpmName>() {
        assert_eq!(name.to_string().parse::<NpmName>().unwrap(), name);
    }
    if let Ok(loose) = NpmVersion::loose(&version) {
        assert_eq!(loose.to_string().parse::<NpmVersion>().unwrap(), loose);
    }
    if let Ok(strict) = version.parse::<NpmVersion>() {
        assert_eq!(NpmVersion::loose(&version).unwrap(), strict);
        assert_eq!(NpmVersion::clean(&version).unwrap(), strict);
    }
    let qualifiers = Qualifiers::none();
    let Ok(identity) = Npm.identify(&Coordinates { group, name, version, qualifiers }) else {
        return;
    };
    let purl: Purl = Npm.purl(&identity).to_string().parse().unwrap();
    let again = Npm.identify(&Npm.coordinates(&purl).unwrap()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(again.version.sort_key(), identity.version.sort_key());
    let file_name = Npm.file_name(&identity);
    assert!(!file_name.contains(['/', '\\', ':', '*']), "{file_name}");
});
