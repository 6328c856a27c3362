//! Any bytes as a multipart body: the same however it comes, and nothing comes out that was not in
//! it.
#![no_main]

use hayloft_http::fuzzing::multipart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = bytes.split_at(split);
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let own = String::from_utf8_lossy(head);
    for kind in [own.as_ref(), "multipart/form-data; boundary=b"] {
        let whole = multipart(kind, body, usize::MAX);
        for step in [1, 2, 7] {
            assert_eq!(multipart(kind, body, step).ok().as_ref(), whole.as_ref().ok());
        }
        if let Ok(taken) = whole {
            let file = taken.file.unwrap_or_default();
            assert!(body.windows(file.len().max(1)).any(|part| part == file) || file.is_empty());
        }
    }
});
