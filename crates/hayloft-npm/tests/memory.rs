#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic to fail")]

//! What a manifest costs to read is in proportion to its size, whatever it is made of.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft_npm::Npm;
use hayloft_testkit::{history_entry, inspect, repackage};
use rstest::rstest;

/// Bytes held at once for each byte of a manifest: it is read, checked, and printed again.
const TIMES: u64 = 10;
/// Bytes held whatever the manifest: decompressor, compressor, buffers, one level of members.
const FIXED: u64 = 24 << 20;

fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

/// A manifest of about `size` bytes out of copies of `part`, in which `#` is a number.
fn manifest(before: &str, part: &str, after: &str, size: usize) -> String {
    let mut text = format!(r#"{{"name":"a","version":"1.0.0",{before}"#);
    let mut number = 0;
    while text.len() < size {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&part.replace('#', &number.to_string()));
        number += 1;
    }
    text + after + "}"
}

#[rstest]
#[case::numbers(r#""x":["#, "1", "]")]
#[case::empty_texts(r#""x":["#, "\"\"", "]")]
#[case::empty_objects(r#""x":["#, "{}", "]")]
#[case::repeated_keys("", "\"k\":1", "")]
#[case::keys(r#""x":{"#, "\"#\":0", "}")]
#[case::dependencies(r#""dependencies":{"#, "\"p#\":\"\"", "}")]
#[case::list_of_dependencies(r#""dependencies":["#, "\"a\"", "]")]
#[case::text_of_dependencies(r#""dependencies":""#, "a", "\"")]
#[case::commands(r#""bin":["#, "\"a#\"", "]")]
#[case::platforms(r#""os":["#, "\"\"", "]")]
#[case::bundled(r#""bundleDependencies":["#, "\"\"", "]")]
#[case::history(r#""repackageHistory":["#, "\"a\"", "]")]
#[case::history_with_values(r#""repackageHistory":[{"id":"a","_x":["#, "1", "]}]")]
#[case::escapes(r#""x":["#, r#""\u00e4""#, "]")]
#[case::versions("", r#""version":"1.0.0""#, "")]
fn memory_is_in_proportion_to_the_manifest(
    #[case] before: &str,
    #[case] part: &str,
    #[case] after: &str,
) {
    let cost = |size: usize| {
        let bytes = tarball(&[("package/package.json", &manifest(before, part, after, size))]);
        let mut found = None;
        let measured = allocation_counter::measure(|| {
            found = Some(inspect(&Npm, &bytes, None, &[]));
        });
        if let Some(Ok(found)) = found {
            let entry = history_entry(&found.identity, &bytes);
            let again = allocation_counter::measure(|| {
                drop(repackage(&Npm, &bytes, &found.identity, "2.0.0", &entry));
            });
            return (measured.bytes_max.max(again.bytes_max), measured.count_total);
        }
        (measured.bytes_max, measured.count_total)
    };
    for size in [1 << 19, 2 << 20] {
        let (held, _) = cost(size);
        let allowed = TIMES * size as u64 + FIXED;
        assert!(held <= allowed, "{size} bytes of manifest held {held} bytes");
    }
    let ((_, small), (_, large)) = (cost(1 << 16), cost(1 << 17));
    assert!(large <= small * 3 + 1000, "{small} allocations became {large} for twice the bytes");
}

#[rstest]
#[case::keys(r#"{"packages":{"#, "\"#\":0", "}}")]
#[case::versions("{", r#""version":"1""#, "}")]
#[case::numbers(r#"{"x":["#, "1", "]}")]
fn memory_is_in_proportion_to_a_lock_file(
    #[case] before: &str,
    #[case] part: &str,
    #[case] after: &str,
) {
    for size in [1 << 19, 2 << 20] {
        let mut text = before.to_owned();
        let mut number = 0;
        while text.len() < size {
            if number > 0 {
                text.push(',');
            }
            text.push_str(&part.replace('#', &number.to_string()));
            number += 1;
        }
        text.push_str(after);
        let bytes = tarball(&[
            ("package/package.json", r#"{"name":"a","version":"1.0.0"}"#),
            ("package/npm-shrinkwrap.json", &text),
        ]);
        let from = inspect(&Npm, &bytes, None, &[]).unwrap().identity;
        let entry = history_entry(&from, &bytes);
        let measured = allocation_counter::measure(|| {
            drop(repackage(&Npm, &bytes, &from, "2.0.0", &entry));
        });
        let allowed = TIMES * size as u64 + FIXED;
        let held = measured.bytes_max;
        assert!(held <= allowed, "{size} bytes of lock file held {held} bytes");
    }
}
