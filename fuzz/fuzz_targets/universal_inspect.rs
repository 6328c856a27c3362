//! Any file: what is found in it identifies it, and its files are listed and can be found.
#![no_main]

use std::io::Cursor;

use hayloft_feed::{Coordinates, FeedType, Limits, Qualifiers};
use hayloft_universal::{Package, Universal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = hayloft_testkit::inspect(&Universal, bytes, None, &[]) else { return };
    let asked = Coordinates {
        group: found.identity.package.group().to_owned(),
        name: found.identity.package.name().to_owned(),
        version: found.identity.version.text().to_owned(),
        qualifiers: Qualifiers::none(),
    };
    assert_eq!(Universal.identify(&asked).unwrap(), found.identity);
    let files: Vec<serde_json::Value> = serde_json::from_slice(&found.documents[0].bytes).unwrap();
    let mut content = Cursor::new(bytes);
    let package = Package::open(&mut content, &Limits::default()).unwrap();
    assert_eq!(package.manifest().text(), found.manifest);
    assert_eq!(files.len(), package.entries().count());
    for (file, entry) in files.iter().zip(package.entries()) {
        assert_eq!(file["name"], entry.path());
        assert_eq!(package.find(entry.path()).unwrap().path(), entry.path());
    }
});
