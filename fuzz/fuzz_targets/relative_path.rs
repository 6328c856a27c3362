//! Any path: what is accepted leads below the folder that it is joined to, as every system reads
//! it, and reads the same when it is read again.
#![no_main]

use std::path::{Component, Path};

use hayloft_feed::{PathFault, RelativePath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let fault = PathFault::of(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = text.parse::<RelativePath>() else {
        assert!(fault.is_some());
        return;
    };
    assert!(fault.is_none(), "{text:?}");
    assert_eq!(path.as_str().parse::<RelativePath>().as_ref(), Ok(&path));
    let top = Path::new("/top/folder");
    let below = path.below(top);
    let rest = below.strip_prefix(top).unwrap();
    assert!(rest.components().all(|part| matches!(part, Component::Normal(_))), "{text:?}");
    assert_eq!(rest.components().count(), path.components().count());
    for part in path.components() {
        // What Windows makes of it: no separator, stream, device or name that ends earlier.
        assert!(!part.contains(['/', '\\', ':', '\0']), "{text:?}");
        assert_eq!(part.trim_end_matches(['.', ' ']), part, "{text:?}");
        assert!(!matches!(part, "" | "." | ".."), "{text:?}");
    }
});
