//! Whatever names a package: what is accepted reads back from its own text, and versions are
//! ordered, equal and printed as another implementation has them.
#![no_main]

use hayloft_feed::{Coordinates, FeedType, Purl};
use hayloft_pypi::{Pypi, PypiName, PypiVersion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, version, other) = (part(), part(), part());
    let Ok(qualifiers) = part().parse() else { return };
    if let Ok(name) = name.parse::<PypiName>() {
        let normalized: PypiName = name.normalized().parse().unwrap();
        assert_eq!(normalized.normalized(), name.normalized());
        assert_eq!(normalized, name);
    }
    compare(&version, &other);
    let asked = Coordinates { group: String::new(), name, version, qualifiers };
    let Ok(identity) = Pypi.identify(&asked) else { return };
    let purl: Purl = Pypi.purl(&identity).to_string().parse().unwrap();
    let again = Pypi.identify(&Pypi.coordinates(&purl).unwrap()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(again.version.text(), identity.version.text());
    assert_eq!(again.version.sort_key(), identity.version.sort_key());
    let file_name = Pypi.file_name(&identity);
    assert!(!file_name.contains(['/', '\\', ':', '%']), "{file_name}");
});

/// What the other implementation reads; it takes longer integers for text, or refuses them.
fn oracle(text: &str) -> Option<pep440_rs::Version> {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    if numbers.any(|number| number.len() > 19) {
        return None;
    }
    text.parse().ok()
}

fn compare(left: &str, right: &str) {
    let Ok(left_version) = left.parse::<PypiVersion>() else {
        // The other one knows no limit of length.
        assert!(left.len() > 200 || oracle(left).is_none(), "{left:?}");
        return;
    };
    let printed: PypiVersion = left_version.to_string().parse().unwrap();
    assert_eq!(printed, left_version);
    assert_eq!(printed.to_string(), left_version.to_string());
    let identity: PypiVersion = left_version.identity().parse().unwrap();
    assert_eq!(identity.identity(), left_version.identity());
    assert_eq!(identity.sort_key(), left_version.sort_key());
    let Some(left_oracle) = oracle(left) else { return };
    assert_eq!(left_oracle.to_string(), left_version.to_string());
    let Ok(right_version) = right.parse::<PypiVersion>() else { return };
    let Some(right_oracle) = oracle(right) else { return };
    assert_eq!(left_version.cmp(&right_version), left_oracle.cmp(&right_oracle));
    assert_eq!(left_version == right_version, left_version.identity() == right_version.identity());
}
