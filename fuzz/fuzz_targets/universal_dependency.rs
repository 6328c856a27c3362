//! Any text: a dependency, an identification string and a range read back as they are written.
#![no_main]

use hayloft_universal::{Dependency, Identification, VersionRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(dependency) = text.parse::<Dependency>() {
        let written = dependency.to_string();
        assert_eq!(written.parse::<Dependency>().unwrap().to_string(), written);
    }
    if let Ok(id) = text.parse::<Identification>() {
        let written = id.to_string();
        assert_eq!(written.parse::<Identification>().unwrap().to_string(), written);
    }
    if let Ok(range) = text.parse::<VersionRange>() {
        assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
    }
});
