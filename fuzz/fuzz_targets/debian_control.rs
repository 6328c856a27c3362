//! The text of a control file: fields are slices of it, and an edit changes nothing else.
#![no_main]

use hayloft_debian::{Control, Stanza};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(stanza) = Stanza::parse(text) else { return };
    for field in stanza.fields() {
        assert_eq!(&text[field.span.clone()], field.value);
        let edited = stanza.with_value(field.name, "other").unwrap();
        let again = Stanza::parse(&edited).unwrap();
        assert_eq!(again.fields().len(), stanza.fields().len());
        for (old, new) in stanza.fields().iter().zip(again.fields()) {
            let value = if old.name == field.name { &b"other"[..] } else { old.value };
            assert_eq!((new.name, new.value), (old.name, value));
        }
    }
    if let Ok(control) = Control::parse(text) {
        let edited = control.stanza.with_value("Version", "9:9~x-9").unwrap();
        let again = Control::parse(&edited).unwrap();
        assert_eq!(again.version.as_str(), "9:9~x-9");
        assert_eq!(again.name, control.name);
    }
});
