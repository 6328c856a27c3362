//! Any bytes as nuspec, properties, content types and history of a package: if it is accepted and
//! repackaged, the nuspec changes where its reader finds the version.
#![no_main]

use std::io::Cursor;

use hayloft_archive::ZipWriter;
use hayloft_feed::FeedTypeError;
use hayloft_nuget::NuGet;
use libfuzzer_sys::fuzz_target;

const PARTS: [&str; 4] = [
    "A.nuspec",
    "package/services/metadata/core-properties/0.psmdcp",
    "[Content_Types].xml",
    ".progetRepackageHistory.json",
];

fuzz_target!(|bytes: &[u8]| {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, mut part) in PARTS.iter().zip(bytes.split(|byte| *byte == 1)) {
        zip.add(name, None, &mut part).unwrap();
    }
    let package = zip.finish().unwrap().into_inner();
    let Ok(found) = hayloft_testkit::inspect(&NuGet, &package, None, &[]) else { return };
    let entry = hayloft_testkit::history_entry(&found.identity, &package);
    let done = hayloft_testkit::repackage(&NuGet, &package, &found.identity, "9.1-x.9", &entry);
    let result = match done {
        Ok((result, _)) => result,
        Err(FeedTypeError::NotRepackageable { .. } | FeedTypeError::Version { .. }) => return,
        Err(error) => panic!("an accepted package was refused: {error:?}"),
    };
    let again = hayloft_testkit::inspect(&NuGet, &result, None, &[]).unwrap();
    assert_eq!(again.identity.version.text(), "9.1-x.9");
    assert_eq!(again.identity.package, found.identity.package);
    assert_eq!(again.history.len(), found.history.len() + 1);
    // A detour over another version leaves no trace in the nuspec.
    let to = |bytes: &[u8], version: &str| {
        let from = hayloft_testkit::inspect(&NuGet, bytes, None, &[]).unwrap().identity;
        hayloft_testkit::repackage(&NuGet, bytes, &from, version, &entry).unwrap().0
    };
    let detour = to(&to(&package, "7.7"), "9.1-x.9");
    let detour = hayloft_testkit::inspect(&NuGet, &detour, None, &[]).unwrap();
    assert_eq!(detour.documents, again.documents);
});
