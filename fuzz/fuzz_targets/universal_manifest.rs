//! Any manifest text: overriding what it says, and taking out its virtual parts, keep the rest.
#![no_main]

use hayloft_feed::Limits;
use hayloft_feed::json::Object;
use hayloft_universal::{Manifest, NewManifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let new = NewManifest {
        existing: Some(bytes),
        group: Some("g/h"),
        name: Some("name"),
        version: Some("1.2.3"),
    };
    if let Ok(manifest) = new.write(&limits) {
        assert_eq!(manifest.package().to_string(), "g/h/name");
        assert_eq!(manifest.version().text(), "1.2.3");
        let text = std::str::from_utf8(bytes).unwrap();
        assert_eq!(others(text), others(manifest.text()));
    }
    let Ok(manifest) = Manifest::parse(bytes, &limits) else { return };
    let again = Manifest::parse(manifest.text().as_bytes(), &limits).unwrap();
    assert_eq!(again.text(), manifest.text());
    let Ok(assembled) = manifest.assembled_text() else { return };
    let assembled = Manifest::parse(assembled.as_bytes(), &limits).unwrap();
    assert!(assembled.virtual_parts().is_none());
    assert_eq!(others(assembled.text()), others(manifest.text()));
});

/// All members but those that the operations change.
fn others(text: &str) -> Vec<(String, String)> {
    let object = Object::parse(text.trim_start_matches('\u{feff}')).unwrap();
    let changed = ["group", "name", "version", "contents", "metaContents"];
    object
        .members()
        .iter()
        .filter(|member| !changed.contains(&&*member.key))
        .map(|member| (member.key.to_string(), member.raw.to_owned()))
        .collect()
}
