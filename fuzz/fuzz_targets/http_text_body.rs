//! Any text as the body of each endpoint of the API: forms, parameters and objects.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = hayloft_http::fuzzing::text_body(text);
});
