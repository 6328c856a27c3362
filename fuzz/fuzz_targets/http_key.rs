//! Credentials in any request: found without a panic, never told by their debug text, and what a
//! browser adds by itself is no key.
#![no_main]

use hayloft_http::{Credential, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["authorization", "x-apikey", "x-nuget-apikey"] {
        if let Some(Some(found)) = fuzzing::credential_of_header(name, bytes) {
            assert!(matches!(format!("{found:?}").as_str(), "Key" | "Password" | "Unreadable"));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(None) = fuzzing::credential(text) {
        assert!(!fuzzing::shows_key(text), "what is shown is a credential");
    }
    // A key that is sent as it is comes out as it is.
    let key = text.trim();
    let plain = key.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if plain && !key.is_empty() {
        let found = fuzzing::credential_of_header("x-apikey", key.as_bytes());
        assert_eq!(found, Some(Some(Credential::Key(key.to_owned()))));
    }
});
