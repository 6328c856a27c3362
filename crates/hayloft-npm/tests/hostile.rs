#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

//! Tarballs that no packing tool writes, or that ours never shows: strange ones are read, broken
//! ones refused with words that say what is wrong.

use std::error::Error;
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft_feed::{FeedType, FeedTypeError, Inspected, Limits, Qualifiers, ReadSeek};
use hayloft_npm::Npm;
use hayloft_testkit::{Sample, history_entry, inspect, repackage};
use rstest::rstest;
use serde_json::Value;
use tar::{EntryType, Header};

const MANIFEST: &str = r#"{"name":"a","version":"1.0.0"}"#;

/// Tar members as written, with no library to correct them.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn file(self, path: &str, data: &[u8]) -> Self {
        self.member(path, EntryType::Regular, data)
    }

    fn member(self, path: &str, kind: EntryType, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        self.raw(header, data)
    }

    fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    fn tgz(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn package(manifest: &str) -> Vec<u8> {
    Tar::default().file("package/package.json", manifest.as_bytes()).tgz()
}

fn read(bytes: &[u8]) -> Inspected {
    inspect(&Npm, bytes, None, &[]).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn manifest(bytes: &[u8]) -> Value {
    serde_json::from_str(&read(bytes).manifest).unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    let error = inspect(&Npm, bytes, None, &[]).expect_err("the file is refused");
    assert!(matches!(error, FeedTypeError::Refused { .. }), "{error:?}");
    chain(&error)
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn to_2(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let from = read(bytes).identity;
    repackage(&Npm, bytes, &from, "2.0.0", &history_entry(&from, bytes))
        .map(|(bytes, _)| bytes)
        .map_err(|error| {
            assert!(matches!(error, FeedTypeError::NotRepackageable { .. }), "{error:?}");
            chain(&error)
        })
}

#[rstest]
#[case::usual("package/package.json")]
#[case::time_stamp("2010-12-01T10.20.30/package.json")]
#[case::accent("für alle/package.json")]
#[case::dot("./package.json")]
#[case::dots("././package.json")]
#[case::dot_inside("package/./package.json")]
fn the_top_folder_may_have_any_name(#[case] path: &str) {
    let bytes = Tar::default().file(path, MANIFEST.as_bytes()).tgz();
    assert_eq!(read(&bytes).identity.version.text(), "1.0.0");
    assert_eq!(read(&to_2(&bytes).unwrap()).identity.version.text(), "2.0.0");
}

#[test]
fn what_only_looks_like_the_manifest_is_not() {
    let bytes = Tar::default()
        .file("package/._package.json", b"\0\x05\x16\x07")
        .file("package/lib/package.json", b"{\"name\":\"inner\",\"version\":\"9.0.0\"}")
        .file("package/xpackage.json", b"{}")
        .file("package.yaml", b"{}")
        .file("./package/package.json", b"{}")
        .file("package/package.json", MANIFEST.as_bytes())
        .tgz();
    assert_eq!(read(&bytes).identity.package.name(), "a");
    let dotted = Tar::default()
        .file("./cjs/package.json", b"{\"type\":\"commonjs\"}")
        .file("./package.json", MANIFEST.as_bytes())
        .file("./esm/package.json", b"{\"type\":\"module\"}")
        .tgz();
    assert!(read(&dotted).warnings.is_empty());
    let again = to_2(&dotted).unwrap();
    assert_eq!(read(&again).identity.version.text(), "2.0.0");
}

#[rstest]
#[case::twice("package/package.json", "package/package.json")]
#[case::two_roots("package/package.json", "other/package.json")]
#[case::dotted("./package.json", "package/package.json")]
#[case::inner_dot("package/./package.json", "package/package.json")]
fn two_manifests_must_be_equal(#[case] first: &str, #[case] second: &str) {
    let with = |other: &str| {
        Tar::default().file(first, other.as_bytes()).file(second, MANIFEST.as_bytes()).tgz()
    };
    let equal = with(MANIFEST);
    assert!(read(&equal).warnings[0].contains("2 times"), "{:?}", read(&equal).warnings);
    let again = to_2(&equal).unwrap();
    assert_eq!(read(&again).identity.version.text(), "2.0.0");
    let other = refusal(&with(r#"{"name":"a","version":"1.0.1"}"#));
    assert!(other.contains("has two manifests"), "{other}");
    let longer = refusal(&with(&format!("{MANIFEST}\n")));
    assert!(longer.contains("has two manifests"), "{longer}");
}

#[rstest]
#[case::at_the_top("package.json", EntryType::Regular)]
#[case::other_case("package/Package.json", EntryType::Regular)]
#[case::dot_behind("package/package.json.", EntryType::Regular)]
#[case::stream("package/package.json::$DATA", EntryType::Regular)]
#[case::backslash("package\\package.json", EntryType::Regular)]
#[case::backslash_in_front("a\\b/package.json", EntryType::Regular)]
#[case::folder("package/package.json/", EntryType::Directory)]
#[case::below("package/package.json/x", EntryType::Regular)]
#[case::symbolic_link("package/package.json", EntryType::Symlink)]
#[case::hard_link("package/package.json", EntryType::Link)]
#[case::pipe("package/package.json", EntryType::Fifo)]
fn what_only_some_clients_take_for_the_manifest_is_refused(
    #[case] path: &str,
    #[case] kind: EntryType,
) {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("package/other.json").unwrap();
    }
    header.set_size(0);
    let bytes =
        Tar::default().file("package/package.json", MANIFEST.as_bytes()).raw(header, b"").tgz();
    let refusal = refusal(&bytes);
    assert!(refusal.contains("means different things to different clients"), "{refusal}");
}

#[test]
fn links_folders_and_devices_are_not_files() {
    let mut link = Header::new_ustar();
    link.set_path("package/bin/link").unwrap();
    link.set_link_name("../lib/a").unwrap();
    link.set_entry_type(EntryType::Symlink);
    link.set_size(0);
    let mut hard = link.clone();
    hard.set_link_name("package/lib/a").unwrap();
    hard.set_entry_type(EntryType::Link);
    let bytes = Tar::default()
        .member("package/", EntryType::Directory, b"")
        .member("./", EntryType::Directory, b"")
        .raw(link, b"")
        .raw(hard, b"")
        .member("package/pipe", EntryType::Fifo, b"")
        .file("package/package.json", MANIFEST.as_bytes())
        .tgz();
    assert_eq!(manifest(&bytes)["dist"]["fileCount"], 1);
    assert_eq!(manifest(&bytes)["dist"]["unpackedSize"], MANIFEST.len());
}

#[rstest]
#[case::absolute("package/a", "/etc/passwd", EntryType::Symlink)]
#[case::out_of_the_archive("package/a", "../../etc/passwd", EntryType::Symlink)]
#[case::out_of_the_package("package/a", "../other", EntryType::Symlink)]
#[case::down_and_up("package/a/b", "c/../../../x", EntryType::Symlink)]
#[case::drive("package/a", "C:\\x", EntryType::Symlink)]
#[case::hard("package/a", "../../etc/passwd", EntryType::Link)]
fn links_out_of_the_package_are_refused(
    #[case] path: &str,
    #[case] target: &str,
    #[case] kind: EntryType,
) {
    let mut link = Header::new_ustar();
    link.set_path(path).unwrap();
    link.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    link.set_entry_type(kind);
    link.set_size(0);
    let bytes =
        Tar::default().file("package/package.json", MANIFEST.as_bytes()).raw(link, b"").tgz();
    let refusal = refusal(&bytes);
    assert!(refusal.contains("outside the folder"), "{refusal}");
}

#[rstest]
#[case::target_of_a_file(&[(157, "x")], "it is none")]
#[case::size_in_base_256(&[(124, "\x7f\0\0\0\0\0\0\0\0\0\0\0")], "octal")]
#[case::prefix_of_gnu(&[(257, "ustar  \0"), (345, "p")], "prefix")]
#[case::line_end_in_the_name(&[(90, "\n")], "line end")]
#[case::long_name_of_old(&[(156, "N")], "npm alone")]
fn headers_that_clients_read_in_different_ways_are_refused(
    #[case] fields: &[(usize, &str)],
    #[case] words: &str,
) {
    let mut header = Header::new_ustar();
    header.set_path("package/a").unwrap();
    header.set_size(0);
    for (at, bytes) in fields {
        header.as_mut_bytes()[*at..at + bytes.len()].copy_from_slice(bytes.as_bytes());
    }
    // Text cannot hold the mark of a binary number.
    if header.as_bytes()[124] == 0x7f {
        header.as_mut_bytes()[124] = 0x80;
    }
    let bytes =
        Tar::default().file("package/package.json", MANIFEST.as_bytes()).raw(header, b"").tgz();
    let refusal = refusal(&bytes);
    assert!(refusal.contains(words), "{refusal}");
}

#[test]
fn checksums_that_only_some_clients_understand_are_refused() {
    let whole = Tar::default().file("package/package.json", MANIFEST.as_bytes()).end();
    let with = |field: &[u8; 8]| {
        let mut bytes = whole.clone();
        bytes[148..156].copy_from_slice(field);
        gzip(&bytes)
    };
    let sum = u32::from_str_radix(std::str::from_utf8(&whole[148..155]).unwrap(), 8).unwrap();
    let field = |text: String| -> [u8; 8] { text.as_bytes().try_into().unwrap() };
    for usual in [format!("{sum:06o}\0 "), format!("{sum:06o} \0"), format!("{sum:07o}\0")] {
        assert_eq!(read(&with(&field(usual))).identity.package.name(), "a");
    }
    assert!(refusal(&with(&field(format!("{sum:08o}")))).contains("checksum"));
}

#[test]
fn members_after_the_end_are_refused() {
    let other =
        Tar::default().file("package/package.json", b"{\"name\":\"b\",\"version\":\"2.0.0\"}");
    let first = Tar::default().file("package/package.json", MANIFEST.as_bytes()).end();
    let other = other.end();
    for bytes in [gzip(&[&first[..], &other].concat()), [gzip(&first), gzip(&other)].concat()] {
        assert!(refusal(&bytes).contains("follows its end"));
    }
}

#[test]
fn a_version_that_is_stated_too_often_is_not_replaced() {
    let text =
        |count: usize| format!("{{\"name\":\"a\"{}}}", ",\"version\":\"1.0.0\"".repeat(count));
    assert!(to_2(&package(&text(100))).is_ok());
    assert!(to_2(&package(&text(101))).unwrap_err().contains("more than 100 times"));
}

#[test]
fn long_names_and_pax_records_are_applied_and_kept() {
    let long = format!("package/{}/a.js", "d".repeat(150));
    let record = |key: &str, value: &str| {
        let body = key.len() + value.len() + 3;
        let mut length = body + body.to_string().len();
        length = body + length.to_string().len();
        format!("{length} {key}={value}\n")
    };
    let size = MANIFEST.len().to_string();
    let pax = record("path", "package/package.json") + &record("size", &size);
    let bytes = Tar::default()
        .member("pax_global_header", EntryType::XGlobalHeader, record("comment", "x").as_bytes())
        .member("././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes())
        .file("package/cut", b"1")
        .member("PaxHeader/p", EntryType::XHeader, pax.as_bytes())
        .file("ignored", MANIFEST.as_bytes())
        .tgz();
    assert_eq!(manifest(&bytes)["dist"]["fileCount"], 2);
    let again = to_2(&bytes).unwrap();
    assert_eq!(read(&again).identity.version.text(), "2.0.0");
    assert_eq!(manifest(&again)["dist"]["fileCount"], 2);
}

#[rstest]
#[case::zeros(&[0; 1000])]
#[case::junk(b"junk after the end")]
#[case::half_a_header(&[0x1f, 0x8b, 8])]
fn what_follows_the_gzip_data_is_ignored(#[case] trailing: &[u8]) {
    let mut bytes = package(MANIFEST);
    bytes.extend_from_slice(trailing);
    assert_eq!(read(&bytes).identity.version.text(), "1.0.0");
    assert!(to_2(&bytes).is_ok());
}

#[test]
fn several_gzip_members_read_as_one_and_come_out_as_one() {
    let tar = Tar::default()
        .file("package/a", &[7; 5000])
        .file("package/package.json", MANIFEST.as_bytes())
        .end();
    let (front, back) = tar.split_at(3000);
    let members = [gzip(front), gzip(back)].concat();
    let single = gzip(&tar);
    assert_eq!(manifest(&members)["dist"]["fileCount"], 2);
    let from = read(&single).identity;
    let entry = history_entry(&from, &single);
    let (one, _) = repackage(&Npm, &single, &from, "2.0.0", &entry).unwrap();
    let (other, _) = repackage(&Npm, &members, &from, "2.0.0", &entry).unwrap();
    assert!(one == other, "the output depends on content alone");
    assert_eq!(one[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], "no time, no name, no system");
}

#[rstest]
#[case::empty(b"", "not a gzip-compressed tar archive")]
#[case::text(b"hello", "not a gzip-compressed tar archive")]
#[case::zip(b"PK\x03\x04", "not a gzip-compressed tar archive")]
#[case::broken_gzip(b"\x1f\x8b\x08\0\0\0\0\0\0\0zzzzzzzz", "gzip data is damaged")]
fn other_files_are_refused(#[case] bytes: &[u8], #[case] words: &str) {
    let refusal = refusal(bytes);
    assert!(refusal.contains(words), "{refusal}");
}

#[test]
fn plain_tar_text_in_gzip_and_no_manifest_are_told_apart() {
    let tar = Tar::default().file("package/package.json", MANIFEST.as_bytes()).end();
    assert!(refusal(&tar).contains("not a gzip-compressed"));
    assert!(refusal(&gzip(&[b'x'; 2000])).contains("header"));
    for empty in [gzip(b""), gzip(&[0; 1024]), Tar::default().file("package/a", b"").tgz()] {
        assert!(refusal(&empty).contains("no package.json in the top folder"));
    }
    let nested = Tar::default().file("a/b/package.json", MANIFEST.as_bytes()).tgz();
    assert!(refusal(&nested).contains("no package.json in the top folder"));
}

#[rstest]
#[case::absolute("/etc/passwd")]
#[case::climbing("package/../../x")]
#[case::backslashes("package\\..\\..\\x")]
#[case::drive("C:/x")]
#[case::network("\\\\host\\share")]
#[case::absolute_for_npm("package//etc/passwd")]
#[case::empty_component("package/a//b")]
#[case::drive_for_npm("package/C:package.json")]
fn paths_out_of_the_package_are_refused(#[case] path: &str) {
    let bytes =
        Tar::default().file("package/package.json", MANIFEST.as_bytes()).file(path, b"x").tgz();
    let refusal = refusal(&bytes);
    assert!(refusal.contains("outside the folder"), "{refusal}");
    assert!(refusal.contains(path), "{refusal}");
}

#[rstest]
#[case::not_json("{", "is not JSON")]
#[case::comment("{/**/}", "is not JSON")]
#[case::trailing_comma(r#"{"name":"a","version":"1.0.0",}"#, "is not JSON")]
#[case::list("[]", "is not a JSON object")]
#[case::empty("", "is not JSON")]
#[case::no_name(r#"{"version":"1.0.0"}"#, "has no `name`")]
#[case::no_version(r#"{"name":"a"}"#, "has no `version`")]
#[case::version_is_number(r#"{"name":"a","version":1}"#, "has no `version`")]
#[case::bad_name(r#"{"name":"../a","version":"1.0.0"}"#, "names the package `../a`")]
#[case::spaced_name(r#"{"name":" a","version":"1.0.0"}"#, "names the package ` a`")]
#[case::bad_version(r#"{"name":"a","version":"1.0"}"#, "states the version `1.0`")]
#[case::loose_version(r#"{"name":"a","version":"01.0.0"}"#, "states the version `01.0.0`")]
#[case::private(r#"{"name":"a","version":"1.0.0","private":true}"#, "`\"private\": true`")]
#[case::huge_number(r#"{"name":"a","version":"1.0.0","x":1e999}"#, "number out of range")]
fn manifests_that_no_registry_takes_are_refused(#[case] text: &str, #[case] words: &str) {
    let refusal = refusal(&package(text));
    assert!(refusal.contains(words), "{refusal}");
    assert!(refusal.contains("package/package.json"), "{refusal}");
}

#[test]
fn deep_nesting_is_refused_in_bounded_memory() {
    let deep = format!("{{\"name\":\"a\",\"x\":{}", "[".repeat(1_000_000));
    assert!(refusal(&package(&deep)).contains("nested deeper than 64 levels"));
}

#[rstest]
#[case::byte_order_mark("\u{feff}{\"name\":\"a\",\"version\":\"1.0.0\"}\r\n")]
#[case::repeated_keys(r#"{"name":"b","version":"0.1.0","name":"a","version":"1.0.0"}"#)]
#[case::escaped(r#"{"n\u0061me":"\u0061","version":"1\u002e0.0"}"#)]
#[case::half_surrogates(r#"{"name":"a","version":"1.0.0","description":"\ud83d"}"#)]
#[case::strange_types(
    r#"{"name":"a","version":"1.0.0","bin":7,"dependencies":[],"os":{},"scripts":"x","engines":[]}"#
)]
fn tolerated_manifests_are_repackaged(#[case] text: &str) {
    let bytes = package(text);
    assert_eq!(manifest(&bytes)["name"], "a");
    let again = read(&to_2(&bytes).unwrap());
    assert_eq!((again.identity.package.name(), again.identity.version.text()), ("a", "2.0.0"));
    assert_eq!(again.history.len(), 1);
}

#[test]
fn text_in_another_encoding_is_read_but_not_edited() {
    let bytes = Tar::default()
        .file("p/package.json", b"{\"name\":\"a\",\"version\":\"1.0.0\",\"author\":\"J\xf6rg\"}")
        .tgz();
    let found = read(&bytes);
    assert!(found.warnings[0].contains("not UTF-8"), "{:?}", found.warnings);
    assert!(to_2(&bytes).unwrap_err().contains("`p/package.json` is not UTF-8"));
}

#[test]
fn a_foreign_history_is_reported_and_not_continued() {
    let bytes = package(r#"{"name":"a","version":"1.0.0","repackageHistory":[1]}"#);
    assert!(read(&bytes).warnings[0].contains("repackageHistory"));
    assert!(to_2(&bytes).unwrap_err().contains("not a repackaging history"));
    let single = package(r#"{"name":"a","version":"1.0.0","repackageHistory":"a:0.9.0"}"#);
    let again = read(&to_2(&single).unwrap());
    assert_eq!(again.history[0].id, "a:0.9.0");
    assert_eq!(again.history.len(), 2);
}

#[test]
fn broken_lock_files_stop_repackaging_with_their_name() {
    let bytes = Tar::default()
        .file("package/package.json", MANIFEST.as_bytes())
        .file("package/npm-shrinkwrap.json", b"<<<<<<< HEAD")
        .tgz();
    assert!(to_2(&bytes).unwrap_err().contains("`package/npm-shrinkwrap.json` cannot be edited"));
}

#[test]
fn a_package_is_repackaged_only_as_what_it_is() {
    let bytes = package(MANIFEST);
    let mut from = read(&bytes).identity;
    let entry = history_entry(&from, &bytes);
    let error = repackage(&Npm, &bytes, &from, "1.0.0+build", &entry).unwrap_err();
    assert!(chain(&error).contains("not another version"), "{}", chain(&error));
    from.version = Npm.version("1.0.1").unwrap();
    let error = repackage(&Npm, &bytes, &from, "2.0.0", &entry).unwrap_err();
    assert!(chain(&error).contains("names a@1.0.0, but the package is stored as a@1.0.1"));
}

#[test]
fn sizes_that_lie_are_refused_before_anything_is_allocated() {
    let mut header = Header::new_gnu();
    header.set_path("package/package.json").unwrap();
    header.set_size(1 << 50);
    let bytes = Tar::default().raw(header, b"{}").tgz();
    assert!(refusal(&bytes).contains("larger than the limit"));
    let mut header = Header::new_gnu();
    header.set_path("package/a").unwrap();
    header.set_size(1 << 20);
    let bytes =
        Tar::default().file("package/package.json", MANIFEST.as_bytes()).raw(header, b"").tgz();
    assert!(refusal(&bytes).contains("cut off"));
}

#[test]
fn a_bomb_meets_the_limit_on_unpacked_bytes() {
    let mut limits = Limits::default();
    limits.unpacked = 1 << 20;
    let bytes = Tar::default()
        .file("package/zeros", &vec![0; 8 << 20])
        .file("package/package.json", MANIFEST.as_bytes())
        .tgz();
    let error = Sample::unnamed(bytes).inspect(&Npm, &limits).unwrap_err();
    assert!(chain(&error).contains("larger than the limit of 1048576 bytes"), "{}", chain(&error));
}

#[test]
fn manifest_and_entries_meet_their_limits() {
    let mut limits = Limits::default();
    limits.manifest = 16;
    let error = Sample::unnamed(package(MANIFEST)).inspect(&Npm, &limits).unwrap_err();
    assert!(chain(&error).contains("package.json` is larger than the limit of 16 bytes"));
    let mut limits = Limits::default();
    limits.entries = 10;
    let many = (0..11).fold(Tar::default(), |tar, number| tar.file(&format!("p/{number}"), b""));
    let error = Sample::unnamed(many.tgz()).inspect(&Npm, &limits).unwrap_err();
    assert!(chain(&error).contains("more than 10 entries"));
}

#[test]
fn every_truncation_is_refused_and_none_panics() {
    let bytes = package(MANIFEST);
    for end in 0..bytes.len() {
        refusal(&bytes[..end]);
    }
    let tar = Tar::default().file("package/package.json", MANIFEST.as_bytes()).end();
    for end in 0..tar.len() {
        let result = inspect(&Npm, &gzip(&tar[..end]), None, &[]);
        if let Err(error) = result {
            assert!(error.is_input(), "{end}: {}", chain(&error));
        }
    }
}

#[test]
fn the_readme_is_cut_to_64_kibibytes_of_whole_characters() {
    let text = format!("a{}", "ü".repeat(40_000));
    let bytes = Tar::default()
        .file("package/README-old", b"old")
        .file("package/readme.MD", text.as_bytes())
        .file("package/README.txt", b"later")
        .file("package/package.json", MANIFEST.as_bytes())
        .tgz();
    let found = read(&bytes);
    assert_eq!(manifest(&bytes)["readmeFilename"], "readme.MD");
    assert_eq!(found.documents[0].name, "readme");
    let readme = String::from_utf8(found.documents[0].bytes.clone()).unwrap();
    assert_eq!(readme.len(), 65_535);
    assert!(text.starts_with(&readme));
    let inline = package(r#"{"name":"a","version":"1.0.0","readme":"inline","_x":1,"dist":{}}"#);
    assert_eq!(read(&inline).documents[0].bytes, b"inline");
    let manifest = manifest(&inline);
    assert!(manifest.get("readme").is_none() && manifest.get("_x").is_none());
    assert_eq!(manifest["dist"]["fileCount"], 1);
}

#[test]
fn a_folder_of_commands_becomes_commands() {
    let text = r#"{"name":"a","version":"1.0.0","directories":{"bin":"./bin/"}}"#;
    let bytes = Tar::default()
        .file("package/bin/one", b"")
        .file("package/package.json", text.as_bytes())
        .file("package/bin/sub/two.js", b"")
        .file("package/bin/.hidden", b"")
        .file("package/binary", b"")
        .tgz();
    let expected = serde_json::json!({"one": "bin/one", "two.js": "bin/sub/two.js"});
    assert_eq!(manifest(&bytes)["bin"], expected);
}

#[test]
fn native_sources_without_a_script_are_an_install_script() {
    let with = |field: &str, path: &str| {
        let text = format!(r#"{{"name":"a","version":"1.0.0"{field}}}"#);
        let bytes = Tar::default().file("p/package.json", text.as_bytes()).file(path, b"").tgz();
        manifest(&bytes)["hasInstallScript"] == true
    };
    assert!(with("", "p/binding.gyp"));
    assert!(!with("", "p/src/binding.gyp"));
    assert!(!with(r#","gypfile":false"#, "p/binding.gyp"));
    assert!(!with(r#","scripts":{"test":"x","install":""}"#, "p/a"));
    assert!(with(r#","scripts":{"preinstall":"x"}"#, "p/a"));
}

#[test]
fn storage_that_fails_is_not_the_packages_fault() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk"))
        }
    }
    impl std::io::Seek for Broken {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let bytes = package(MANIFEST);
    let from = read(&bytes).identity;
    let to = Npm.retarget(&from, &Npm.version("2.0.0").unwrap()).unwrap();
    let source: &mut dyn ReadSeek = &mut Broken;
    let entry = &history_entry(&from, &bytes);
    let out = &mut Cursor::new(Vec::new());
    let order = hayloft_feed::Repackage::new(source, 1, &from, &to, entry, out);
    assert!(!Npm.repackage(order, &Limits::default()).unwrap_err().is_input());
}

#[test]
fn qualifiers_other_than_none_are_refused() {
    assert!(Npm.qualifiers(&Qualifiers::none()).is_ok());
    let error = Npm.qualifiers(&"file=a.tgz".parse().unwrap()).unwrap_err();
    assert!(matches!(error, FeedTypeError::Qualifier { .. }));
}
