//! Any bytes as the JSON body of a publish: the same however it comes, and what is taken out of
//! sound JSON is what a parser of whole documents finds there.
#![no_main]

use hayloft_http::fuzzing::json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let whole = json(bytes, usize::MAX).ok();
    for step in [1, 3] {
        assert_eq!(json(bytes, step).ok(), whole, "in steps of {step}");
    }
    let (Some(taken), Ok(document)) = (whole, serde_json::from_slice::<Value>(bytes)) else {
        return;
    };
    for (path, text) in taken.fields {
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text:?}");
        let found = path.iter().try_fold(&document, |at, name| at.get(name));
        assert!(found.is_some(), "{path:?}");
    }
});
