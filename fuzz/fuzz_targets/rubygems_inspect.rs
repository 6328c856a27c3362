//! Any file, and any content of one member: what is found identifies the gem.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl};
use hayloft_rubygems::RubyGems;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "shared/gems.rs"]
mod gems;

fuzz_target!(|input: (u8, &[u8])| {
    let bytes = gems::file(input.0, input.1);
    let found = match hayloft_testkit::inspect(&RubyGems, &bytes, None, &[]) {
        Ok(found) => found,
        Err(error) => return assert!(error.is_input(), "{error:?}"),
    };
    let identity = &found.identity;
    let asked = Coordinates {
        group: identity.package.group().to_owned(),
        name: identity.package.name().to_owned(),
        version: identity.version.text().to_owned(),
        qualifiers: identity.qualifiers.clone(),
    };
    assert_eq!(RubyGems.identify(&asked).unwrap(), *identity);
    let purl: Purl = RubyGems.purl(identity).to_string().parse().unwrap();
    assert_eq!(RubyGems.identify(&RubyGems.coordinates(&purl).unwrap()).unwrap(), *identity);
    let manifest: Value = serde_json::from_str(&found.manifest).unwrap();
    assert_eq!(manifest["name"], identity.package.name());
    let line = std::str::from_utf8(&found.fragments[0].bytes).unwrap();
    assert!(!line.contains('\n'), "{line:?}");
});
