//! Any file: what is found in it identifies it, and needs no second look.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, FileRole};
use hayloft_nuget::{Manifest, NuGet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = hayloft_testkit::inspect(&NuGet, bytes, None, &[]) else { return };
    let asked = Coordinates {
        group: found.identity.package.group().to_owned(),
        name: found.identity.package.name().to_owned(),
        version: found.identity.version.text().to_owned(),
        qualifiers: found.identity.qualifiers.clone(),
    };
    assert_eq!(NuGet.identify(&asked).unwrap(), found.identity);
    let manifest: Manifest = serde_json::from_str(&found.manifest).unwrap();
    assert_eq!(manifest.id, found.identity.package.name());
    assert_eq!(manifest.version, found.identity.version.text());
    assert_eq!(manifest.is_symbol_package(), found.role == FileRole::Companion);
    assert_eq!(found.documents[0].name, "nuspec");
});
