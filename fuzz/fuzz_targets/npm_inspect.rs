//! Any file, tar stream or manifest: what is found identifies it, and fields that npm does not
//! normalize come out as they went in.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Qualifiers};
use hayloft_npm::Npm;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "shared/npm_tarballs.rs"]
mod npm_tarballs;

const NORMALIZED: [&str; 18] = [
    "version",
    "bin",
    "dependencies",
    "optionalDependencies",
    "devDependencies",
    "peerDependencies",
    "os",
    "cpu",
    "libc",
    "bundleDependencies",
    "bundledDependencies",
    "hasInstallScript",
    "readme",
    "readmeFilename",
    "dist",
    "deprecated",
    "_id",
    "_hasShrinkwrap",
];

fuzz_target!(|bytes: &[u8]| {
    inspect(bytes);
    inspect(&npm_tarballs::gzipped(bytes));
    let Some(manifest) = inspect(&npm_tarballs::with_manifest(bytes)) else { return };
    let Ok(Value::Object(given)) = serde_json::from_slice(bytes) else { return };
    for (key, value) in given {
        if !key.starts_with('_') && !NORMALIZED.contains(&key.as_str()) {
            assert_eq!(manifest[&key], value, "{key}");
        }
    }
});

fn inspect(bytes: &[u8]) -> Option<Value> {
    let found = match hayloft_testkit::inspect(&Npm, bytes, None, &[]) {
        Ok(found) => found,
        Err(error) => {
            assert!(error.is_input(), "{error:?}");
            return None;
        }
    };
    let asked = Coordinates {
        group: found.identity.package.group().to_owned(),
        name: found.identity.package.name().to_owned(),
        version: found.identity.version.text().to_owned(),
        qualifiers: Qualifiers::none(),
    };
    assert_eq!(Npm.identify(&asked).unwrap(), found.identity);
    let manifest: Value = serde_json::from_str(&found.manifest).unwrap();
    assert_eq!(manifest["version"], found.identity.version.text());
    assert!(manifest["dist"]["fileCount"].as_u64().unwrap() > 0);
    Some(manifest)
}
