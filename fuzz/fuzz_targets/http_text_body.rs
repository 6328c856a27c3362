//! Any text as the body of each endpoint of the API: forms, parameters and objects.
#![no_main]

use std::sync::LazyLock;

use hayloft::Store;
use libfuzzer_sys::fuzz_target;

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("hayloft-fuzz-{}", std::process::id()));
    let store = hayloft::open(&directory).expect("a store opens");
    // Open files stay; nothing is left behind.
    std::fs::remove_dir_all(&directory).expect("it is its own");
    store
});

fuzz_target!(|text: &str| {
    let _ = hayloft_http::fuzzing::text_body(&STORE, text);
});
