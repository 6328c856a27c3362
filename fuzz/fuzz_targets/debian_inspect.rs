//! Any file: what is found in it identifies it, and needs no second look.
#![no_main]

use hayloft_debian::{Debian, Manifest, Stanza};
use hayloft_feed::{Coordinates, FeedType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let hints = [("distribution", "sid")];
    let Ok(found) = hayloft_testkit::inspect(&Debian, bytes, None, &hints) else { return };
    let asked = Coordinates {
        group: found.identity.package.group().to_owned(),
        name: found.identity.package.name().to_owned(),
        version: found.identity.version.text().to_owned(),
        qualifiers: found.identity.qualifiers.clone(),
    };
    assert_eq!(Debian.identify(&asked).unwrap(), found.identity);
    let manifest: Manifest = serde_json::from_str(&found.manifest).unwrap();
    assert_eq!(manifest.name, found.identity.package.name());
    assert_eq!(manifest.version, found.identity.version.text());
    let stanza = Stanza::parse(&found.documents[0].bytes).unwrap();
    assert!(manifest.fields.len() <= stanza.fields().len());
});
