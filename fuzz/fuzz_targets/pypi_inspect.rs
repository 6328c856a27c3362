//! Any file, and any content of one member: what is found identifies the file, and its name,
//! given or made, is found again.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl};
use hayloft_pypi::Pypi;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "shared/python_files.rs"]
mod python_files;

fuzz_target!(|input: (u8, &[u8])| {
    let (file_name, bytes) = python_files::file(input.0, input.1);
    let found = match hayloft_testkit::inspect(&Pypi, &bytes, file_name, &[]) {
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
    assert_eq!(Pypi.identify(&asked).unwrap(), *identity);
    let purl: Purl = Pypi.purl(identity).to_string().parse().unwrap();
    assert_eq!(Pypi.identify(&Pypi.coordinates(&purl).unwrap()).unwrap(), *identity);
    let manifest: Value = serde_json::from_str(&found.manifest).unwrap();
    let file = identity.qualifiers.get("file").unwrap();
    assert_eq!(manifest["filename"], file);
    assert_eq!(Pypi.file_name(identity), file);
    let again = hayloft_testkit::inspect(&Pypi, &bytes, Some(file), &[]).unwrap();
    assert_eq!(again.identity, *identity);
    assert_eq!(again.manifest, found.manifest);
});
