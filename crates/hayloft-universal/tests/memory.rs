//! What a manifest costs to read is in proportion to its size, whatever it is made of.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic to fail")]

use hayloft_testkit::{history_entry, inspect, repackage, upack, vpack};
use hayloft_universal::Universal;
use rstest::rstest;

/// Bytes held at once for each byte of a manifest: it is read, kept, changed and written.
const TIMES: u64 = 8;
/// Bytes held whatever the manifest: one level of members, a history, tags, items.
const FIXED: u64 = 32 << 20;

/// `part` again and again, with a number for `#`, up to about `size` bytes.
fn repeated(part: &str, size: usize) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < size {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&part.replace('#', &number.to_string()));
        number += 1;
    }
    text
}

#[rstest]
#[case::numbers("_x", "[", "1", "]")]
#[case::keys("_x", "{", "\"#\":0", "}")]
#[case::tags("tags", "[", "\"t#\"", "]")]
#[case::empty_tags("tags", "[", "\"\"", "]")]
#[case::dependencies("dependencies", "[", "\"\"", "]")]
#[case::history("repackageHistory", "[", "\"a:1\"", "]")]
#[case::history_with_values("repackageHistory", "[{\"id\":\"a:1\",\"_x\":[", "1", "]}]")]
fn memory_is_in_proportion_to_the_manifest(
    #[case] key: &str,
    #[case] before: &str,
    #[case] part: &str,
    #[case] after: &str,
) {
    let cost = |size: usize| {
        let value = format!("{before}{}{after}", repeated(part, size));
        let bytes = upack("a", "pkg", "1.0.0").field(key, &value).build();
        let mut found = None;
        let measured =
            allocation_counter::measure(|| found = Some(inspect(&Universal, &bytes, None, &[])));
        let from = found.unwrap().unwrap().identity;
        let entry = history_entry(&from, &bytes);
        let again = allocation_counter::measure(|| {
            drop(repackage(&Universal, &bytes, &from, "2.0.0", &entry));
        });
        (measured.bytes_max.max(again.bytes_max), measured.count_total)
    };
    for size in [1 << 19, 2 << 20] {
        let (held, _) = cost(size);
        let allowed = TIMES * size as u64 + FIXED;
        assert!(held <= allowed, "{size} bytes of manifest held {held} bytes");
    }
    let ((_, small), (_, large)) = (cost(1 << 15), cost(1 << 16));
    assert!(large <= small * 3 + 1000, "{small} allocations became {large} for twice the bytes");
}

#[test]
fn memory_is_in_proportion_to_virtual_parts() {
    for size in [1 << 19, 2 << 20] {
        let bytes =
            vpack("", "v", "1.0.0", &format!("[{}]", repeated("\"a:1.0.0\"", size))).build();
        let mut found = None;
        let measured =
            allocation_counter::measure(|| found = Some(inspect(&Universal, &bytes, None, &[])));
        let held = measured.bytes_max;
        assert!(held <= TIMES * size as u64 + FIXED, "{size} bytes of items held {held} bytes");
        let error = found.unwrap().unwrap_err();
        let detail = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(detail, "`contents` of upack.json has more than 10000 items");
    }
}
