//! Any text: a version range and a framework read back as they are shown, and bounds are in order.
#![no_main]

use hayloft_nuget::{NuGetVersion, TargetFramework, VersionRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = text.parse::<TargetFramework>();
    if let (Some((one, other)), true) = (text.split_once('\n'), text.len() < 200)
        && let (Ok(one), Ok(other)) = (one.parse::<NuGetVersion>(), other.parse::<NuGetVersion>())
    {
        assert_eq!(one.compare(&other), other.compare(&one).reverse());
        let keys = (one.sort_key().unwrap(), other.sort_key().unwrap());
        assert_eq!(keys.0.cmp(&keys.1), one.compare(&other));
        assert!(one != other || keys.0 == keys.1);
    }
    let Ok(range) = text.parse::<VersionRange>() else { return };
    let shown = range.to_string();
    let again: VersionRange = shown.parse().unwrap();
    assert_eq!(again.to_string(), shown);
    assert!(range.bounds().map(NuGetVersion::key).eq(again.bounds().map(NuGetVersion::key)));
    if let Some(exact) = range.exact() {
        assert!(range.is_satisfied_by(exact));
    }
});
