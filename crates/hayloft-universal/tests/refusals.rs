//! Broken, strange and hostile packages get a verdict that names what is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::error::Error;
use std::io::{Cursor, Write};

use hayloft_feed::{FeedTypeError, Inspected, Limits};
use hayloft_testkit::{Sample, history_entry, inspect, repackage, upack, vpack};
use hayloft_universal::{Package, PackageEntry, Universal};
use rstest::rstest;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MANIFEST: &[u8] = br#"{"name":"pkg","version":"1.0.0"}"#;

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// As [`archive`], with the last two names equal.
fn archive_with_equal_names(files: &[(&str, &[u8])], name: &str) -> Vec<u8> {
    let mut bytes = archive(files);
    let last = files.last().unwrap().0.as_bytes();
    assert_eq!(last.len(), name.len());
    let places: Vec<usize> =
        (0..bytes.len() - last.len()).filter(|at| bytes[*at..].starts_with(last)).collect();
    for at in places {
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<Inspected, FeedTypeError> {
    inspect(&Universal, bytes, Some("pkg-1.0.0.upack"), &[])
}

fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert!(matches!(error, FeedTypeError::Refused { .. }), "{error:?}");
    chain(&error)
}

fn chain(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

#[rstest]
#[case::parent("package/../../a")]
#[case::parent_by_backslash("package\\..\\..\\a")]
#[case::absolute("/etc/passwd")]
#[case::drive("C:/a")]
#[case::absolute_below_the_content("package//etc/cron.d/x")]
#[case::absolute_below_the_content_by_backslash("package\\\\etc\\x")]
#[case::drive_below_the_content("package/C:/x")]
#[case::parent_with_blank("package/.. /x")]
#[case::device("package/nul.txt")]
#[case::stream("package/a:b")]
#[case::trailing_dot("package/a.")]
#[case::trailing_blank("package/a /b")]
#[case::control("package/a\u{1b}[2J")]
fn names_that_lead_outside_are_refused(#[case] name: &str) {
    let refused = refusal(&archive(&[("upack.json", MANIFEST), (name, b"a")]));
    assert!(refused.contains("the entry name"), "{refused}");
}

#[test]
fn an_archive_needs_one_manifest_in_its_root() {
    let none = refusal(&archive(&[("a/upack.json", MANIFEST), ("_upack.json", MANIFEST)]));
    assert!(none.ends_with("has no `upack.json` in its root"), "{none}");
    let other_case = refusal(&archive(&[("Upack.json", MANIFEST)]));
    assert!(other_case.ends_with("has no `upack.json` in its root"), "{other_case}");
    let files: [(&str, &[u8]); 2] = [("upack.json", MANIFEST), ("upack.jsoN", MANIFEST)];
    let two = refusal(&archive_with_equal_names(&files, "upack.json"));
    assert!(two.ends_with("the archive has more than one `upack.json`"), "{two}");
}

#[rstest]
#[case::dotted("./upack.json")]
#[case::dotted_by_backslash(".\\upack.json")]
#[case::dots("././upack.json")]
fn a_second_spelling_of_the_manifest_is_a_second_manifest(#[case] name: &str) {
    for files in
        [[("upack.json", MANIFEST), (name, MANIFEST)], [(name, MANIFEST), ("upack.json", MANIFEST)]]
    {
        let refused = refusal(&archive(&files));
        assert!(refused.contains("`upack.json`"), "{refused}");
    }
    let alone = refusal(&archive(&[(name, MANIFEST)]));
    assert!(alone.ends_with("has no `upack.json` in its root"), "{alone}");
}

#[rstest]
#[case::inside("bin/tool", true)]
#[case::up_within("../lib/a", true)]
#[case::out_of_the_content("../../upack.json", false)]
#[case::absolute("/etc/passwd", false)]
#[case::drive("C:\\x", false)]
fn symbolic_links_stay_inside(#[case] target: &str, #[case] accepted: bool) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("upack.json", SimpleFileOptions::default()).unwrap();
    writer.write_all(MANIFEST).unwrap();
    writer.add_symlink("package/sub/link", target, SimpleFileOptions::default()).unwrap();
    let read = read(&writer.finish().unwrap().into_inner());
    assert_eq!(read.is_ok(), accepted, "{read:?}");
}

#[test]
fn a_twin_of_the_manifest_is_left_out_when_repackaging() {
    let twins: [(&str, &[u8]); 4] = [
        ("upack.json", MANIFEST),
        ("UPACK.json", b"x"),
        ("_upack.json", b"y"),
        ("package/upack.json", b"z"),
    ];
    let source = archive(&twins);
    let found = read(&source).unwrap();
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    let entry = history_entry(&found.identity, &source);
    let (bytes, _) = repackage(&Universal, &source, &found.identity, "2.0.0", &entry).unwrap();
    let mut cursor = Cursor::new(bytes);
    let package = Package::open(&mut cursor, &Limits::default()).unwrap();
    let paths: Vec<_> = package.entries().map(|entry| entry.path().to_owned()).collect();
    assert_eq!(paths, ["upack.json", "_upack.json", "package/upack.json"]);
}

#[test]
fn equal_names_of_other_files_are_accepted_and_kept() {
    let files: [(&str, &[u8]); 3] =
        [("upack.json", MANIFEST), ("package/a", b"1"), ("package/b", b"2")];
    let source = archive_with_equal_names(&files, "package/a");
    let found = read(&source).unwrap();
    assert_eq!(found.warnings, ["`package/a` is in the archive more than once"]);
    let entry = history_entry(&found.identity, &source);
    let (bytes, _) = repackage(&Universal, &source, &found.identity, "2.0.0", &entry).unwrap();
    let mut cursor = Cursor::new(bytes);
    let mut package = Package::open(&mut cursor, &Limits::default()).unwrap();
    let same: Vec<_> = package
        .entries()
        .filter(|entry| entry.path() == "package/a")
        .map(PackageEntry::index)
        .collect();
    let mut contents = Vec::new();
    for index in same {
        package.copy_to(index, 1, &mut contents).unwrap();
    }
    assert_eq!(contents, b"12");
}

#[test]
fn a_manifest_that_unfolds_beyond_the_limit_is_refused() {
    let bomb = vec![b' '; 9 << 20];
    let bytes = archive(&[("upack.json", &bomb)]);
    assert!(bytes.len() < 1 << 20);
    let refused = refusal(&bytes);
    assert!(refused.contains("larger than the limit of 8388608 bytes"), "{refused}");
    let bare = refusal(&[b"{".as_slice(), &bomb, b"}"].concat());
    assert!(bare.contains("larger than the limit of 8388608 bytes"), "{bare}");
}

#[test]
fn encrypted_entries_are_refused() {
    let mut bytes = archive(&[("upack.json", MANIFEST), ("package/a", b"1")]);
    // Bit 0 of the flags, in the local header and in the directory.
    for (signature, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let places: Vec<usize> =
            (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(signature)).collect();
        let last = places.last().unwrap();
        bytes[last + flags] |= 1;
    }
    assert!(refusal(&bytes).contains("encryption"), "{}", refusal(&bytes));
}

#[test]
fn what_is_no_package_at_all_is_refused() {
    for bytes in [b"".as_slice(), b"MZ", b"PK", b"[]", b"\x1f\x8b\x08", b"PK\x05\x06"] {
        let refused = refusal(bytes);
        assert!(
            refused.ends_with("neither a ZIP archive nor the JSON manifest of a virtual package")
        );
    }
    let bare = refusal(MANIFEST);
    assert!(bare.ends_with("which only a virtual package can be"), "{bare}");
}

#[test]
fn a_virtual_package_has_no_files_of_its_own() {
    let sound = vpack("", "v", "1.0.0", r#"["a:1.0.0"]"#);
    assert!(read(&sound.build()).is_ok());
    let refused = refusal(&sound.file("package/a", b"1").build());
    assert!(refused.ends_with("but the archive holds `package/a` too"), "{refused}");
}

#[test]
fn the_manifest_decides_and_the_stored_identity_must_agree() {
    let source = upack("a", "pkg", "1.0.0").build();
    let other = upack("a", "other", "1.0.0").build();
    let from = read(&other).unwrap().identity;
    let entry = history_entry(&from, &source);
    let error = repackage(&Universal, &source, &from, "2.0.0", &entry).unwrap_err();
    assert!(
        chain(&error).ends_with("upack.json says a/pkg 1.0.0, but the package is a/other 1.0.0"),
        "{}",
        chain(&error)
    );
}

#[test]
fn ten_thousand_entries_are_listed_within_the_limits() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("upack.json", stored).unwrap();
    writer.write_all(MANIFEST).unwrap();
    for number in 0..10_000 {
        writer.start_file(format!("package/{number}"), stored).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let found = read(&bytes).unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&found.documents[0].bytes).unwrap();
    assert_eq!(list.len(), 10_001);
    assert_eq!(list[10_000]["name"], "package/9999");

    let mut limits = Limits::default();
    limits.entries = 10_000;
    let error = Sample::unnamed(bytes).inspect(&Universal, &limits).unwrap_err();
    assert!(chain(&error).contains("more than 10000 entries"), "{}", chain(&error));
}

#[test]
fn files_are_found_with_both_slashes_and_in_any_case() {
    let files: [(&str, &[u8]); 5] = [
        ("upack.json", MANIFEST),
        ("Package\\bin\\A.txt", b"1"),
        ("package/bin/b.txt", b"2"),
        ("package/bin/B.TXT", b"3"),
        ("package/empty/", b""),
    ];
    let mut cursor = Cursor::new(archive(&files));
    let package = Package::open(&mut cursor, &Limits::default()).unwrap();
    let find = |path| package.find(path).map(|entry| entry.path().to_owned());
    assert_eq!(find("\\package\\bin\\a.TXT").as_deref(), Some("Package/bin/A.txt"));
    assert_eq!(find("package/bin/b.txt").as_deref(), Some("package/bin/b.txt"));
    assert_eq!(find("package/bin/b.TXT").as_deref(), Some("package/bin/B.TXT"));
    assert_eq!(find("package/bin/c.txt"), None);
    let content: Vec<_> = package.entries().filter_map(PackageEntry::content_path).collect();
    assert_eq!(content, ["bin/A.txt", "bin/b.txt", "bin/B.TXT"]);
}

#[test]
fn every_truncation_of_a_small_package_is_refused() {
    let whole = upack("a", "pkg", "1.0.0").build();
    for length in 0..whole.len() {
        refusal(&whole[..length]);
    }
}

#[rstest]
#[case::same("group", "TOOLS", None)]
#[case::other_group("group", "", Some("`group` is ``, but upack.json says `tools`"))]
#[case::other_name("name", "b", Some("`name` is `b`"))]
#[case::other_version("version", "1.0.1", Some("`version` is `1.0.1`"))]
#[case::unrelated("colour", "red", None)]
fn the_request_and_the_manifest_name_one_package(
    #[case] property: &str,
    #[case] text: &str,
    #[case] refused: Option<&str>,
) {
    let sample = Sample::unnamed(upack("tools", "a", "1.0.0").build()).hint(property, text);
    match (sample.inspect(&Universal, &Limits::default()), refused) {
        (Ok(_), None) => {}
        (Err(FeedTypeError::Refused { detail, .. }), Some(expected)) => {
            assert!(detail.to_string().contains(expected), "{detail}");
        }
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}
