//! Whatever names a package: what is accepted reads back from its own text.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl};
use hayloft_nuget::{NuGet, NuGetVersion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, version, group) = (part(), part(), part());
    let Ok(qualifiers) = part().parse() else { return };
    let stored = NuGet.lookup_version(&version);
    let Ok(identity) = NuGet.identify(&Coordinates { group, name, version, qualifiers }) else {
        return;
    };
    let stored = stored.expect("what is new may be stored");
    assert_eq!(stored, identity.version);
    assert_eq!(stored.sort_key(), identity.version.sort_key());
    let purl: Purl = NuGet.purl(&identity).to_string().parse().unwrap();
    let again = NuGet.identify(&NuGet.coordinates(&purl).unwrap()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(again.version.text(), identity.version.text());
    let read: NuGetVersion = identity.version.identity().parse().unwrap();
    assert_eq!(read.key(), identity.version.identity());
    assert_eq!(read.sort_key().unwrap(), *identity.version.sort_key());
    let file_name = NuGet.file_name(&identity);
    assert!(!file_name.contains(['/', '\\', ':', '%']), "{file_name}");
});
