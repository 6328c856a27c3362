//! Which zip archives are accepted, and what is said about the others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests panic to fail"
)]

mod raw_zip;

use std::io::Cursor;

use hayloft_archive::{ArchiveError, Duplicates, Zip, ZipRules};
use hayloft_feed::Limits;
use raw_zip::{RawEnd, RawEntry, Zip64, archive, archive_with, deflate, entry};
use rstest::rstest;

const TEXT: &[u8] = b"hello, hello, hello";

fn a() -> RawEntry {
    entry("a.txt", TEXT)
}

fn open_with(bytes: Vec<u8>, limits: &Limits, rules: &ZipRules) -> Result<(), ArchiveError> {
    let mut file = Cursor::new(bytes);
    let mut zip = Zip::open_with(&mut file, limits, rules)?;
    for index in 0..zip.entries().len() {
        zip.read(index, 1 << 20)?;
    }
    Ok(())
}

fn open(bytes: Vec<u8>) -> Result<(), ArchiveError> {
    open_with(bytes, &Limits::default(), &ZipRules::default())
}

fn assert_refused(bytes: Vec<u8>, expected: &str) {
    let error = open(bytes).expect_err("this archive must be refused");
    assert!(error.is_input());
    assert_eq!(error.to_string(), expected);
}

#[rstest]
#[case::hidden_entry(b"PK\x03\x04")]
#[case::directory_too_early(b"PK\x01\x02")]
#[case::end_too_early(b"PK\x05\x06")]
fn a_record_between_the_entries_is_refused(#[case] start: &[u8]) {
    let message = "the zip archive is damaged: a record that its directory does not know stands \
        between its entries";
    let gap = [start, &[0; 40]].concat();
    assert_refused(archive(&[a().with(|entry| entry.gap.clone_from(&gap))]), message);
    let second = entry("b.txt", TEXT).with(|entry| entry.gap.clone_from(&gap));
    assert_refused(archive(&[a(), second]), message);
}

/// An extra field.
fn field(id: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [&id.to_le_bytes()[..], &length.to_le_bytes()[..], payload].concat()
}

fn zip64_sizes(entry: &RawEntry) -> Vec<u8> {
    let sizes = [entry.central.size, entry.central.compressed];
    field(1, &sizes.map(|size| u64::from(size).to_le_bytes()).concat())
}

#[rstest]
#[case::plain(a())]
#[case::stored(a().stored(TEXT))]
#[case::empty(entry("empty", ""))]
#[case::directory(entry("d/", "").stored(b""))]
#[case::described(a().described(true, false))]
#[case::described_without_signature(a().described(false, false))]
#[case::described_wide(a().described(true, true))]
#[case::described_wide_without_signature(a().described(false, true))]
#[case::described_empty(entry("empty", "").described(true, false))]
#[case::described_and_stored(a().stored(TEXT).described(true, false))]
#[case::deflate_level(a().both(|header| header.flags = 6))]
#[case::growth_hint(a().local(|header| header.extra = field(0xa220, &[0; 24])))]
#[case::growth_hint_in_the_directory(a().central(|header| header.extra = field(0xa220, &[0; 24])))]
#[case::padded_extra(a().both(|header| header.extra = vec![0; 3]))]
#[case::malformed_local_extra(a().local(|header| header.extra = vec![9, 9, 9, 9]))]
#[case::gap(a().with(|entry| entry.gap = b"junk".to_vec()))]
#[case::no_date(a().both(|header| header.date = 0))]
#[case::utf8_with_flag(entry("é", TEXT).both(|header| header.flags = 1 << 11))]
#[case::utf8_without_flag(entry("é", TEXT))]
#[case::code_page_437(entry(b"caf\x82", TEXT))]
#[case::ascii_flag_differs(a().central(|header| header.flags = 1 << 11))]
#[case::backslashes(entry("a\\b\\c", TEXT))]
fn accepts_and_reads(#[case] raw: RawEntry) {
    let expected = usize::try_from(raw.central.size).unwrap();
    let mut file = Cursor::new(archive(&[entry("first", "1"), raw, entry("last", "2")]));
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    assert_eq!(zip.read(0, 10).unwrap(), b"1");
    assert_eq!(zip.read(1, 100).unwrap(), &TEXT[..expected]);
    assert_eq!(zip.read(2, 10).unwrap(), b"2");
}

#[test]
fn accepts_zip64_sizes_that_need_none() {
    let raw = a();
    let extra = zip64_sizes(&raw);
    let raw = raw.both(|header| {
        header.size = u32::MAX;
        header.compressed = u32::MAX;
        header.extra.clone_from(&extra);
    });
    let offset = raw.clone().with(|entry| {
        entry.central.extra = field(1, &[&extra[4..], &[0; 8], &[0; 4]].concat());
        entry.offset = Some(u32::MAX);
        entry.disk = u16::MAX;
    });
    for raw in [raw, offset] {
        open(archive(&[raw])).unwrap();
    }
}

#[rstest]
#[case::all_deferred(RawEnd {
    count: Some(u16::MAX),
    directory_length: Some(u32::MAX),
    directory_start: Some(u32::MAX),
    ..RawEnd::default()
})]
#[case::offset_deferred(RawEnd { directory_start: Some(u32::MAX), ..RawEnd::default() })]
#[case::nothing_deferred(RawEnd::default())]
#[case::no_disks(RawEnd {
    zip64: Some(Zip64 { disks: Some(0), ..Zip64::default() }),
    ..RawEnd::default()
})]
fn accepts_a_zip64_end_on_a_small_file(#[case] end: RawEnd) {
    let zip64 = end.zip64.clone().or_else(|| Some(Zip64::default()));
    let bytes = archive_with(&[a()], &RawEnd { zip64, ..end });
    let length = bytes.len() as u64;
    let mut file = Cursor::new(bytes);
    let zip = Zip::open(&mut file, &Limits::default()).unwrap();
    let layout = zip.layout();
    assert_eq!(layout.end, length - 22..length);
    assert_eq!(layout.zip64_locator, Some(length - 42..length - 22));
    assert_eq!(layout.zip64_end, Some(length - 98..length - 42));
    assert_eq!(layout.directory.end, length - 98);
}

#[test]
fn accepts_an_empty_archive_and_a_comment() {
    open(archive(&[])).unwrap();
    let comment = RawEnd { comment: b"hi".to_vec(), ..RawEnd::default() };
    let mut file = Cursor::new(archive_with(&[], &comment));
    let zip = Zip::open(&mut file, &Limits::default()).unwrap();
    assert_eq!(zip.comment(), b"hi");
    let longest = RawEnd { comment: vec![b'x'; 65535], ..RawEnd::default() };
    open(archive_with(&[a()], &longest)).unwrap();
}

#[rstest]
#[case::nothing(b"".to_vec(), "it has no end record; it may be cut off or not be a zip file")]
#[case::text(b"<html>".to_vec(), "it has no end record; it may be cut off or not be a zip file")]
#[case::trailing(
    archive_with(&[a()], &RawEnd { trailing: b"x".to_vec(), ..RawEnd::default() }),
    "its end record is cut off, or something stands behind it"
)]
#[case::comment_holds_an_end(
    archive_with(&[a()], &RawEnd { comment: archive(&[]), ..RawEnd::default() }),
    "its directory does not lie right before its end record"
)]
#[case::comment_holds_a_signature(
    archive_with(&[a()], &RawEnd { comment: b"PK\x05\x06".to_vec(), ..RawEnd::default() }),
    "its end record is cut off, or something stands behind it"
)]
#[case::comment_length(
    archive_with(&[a()], &RawEnd { comment_length: Some(9), ..RawEnd::default() }),
    "its end record is cut off, or something stands behind it"
)]
#[case::prefix_without_adjusted_offsets(
    [b"#!/bin/sh\n".to_vec(), archive(&[a()])].concat(),
    "its directory does not lie right before its end record"
)]
#[case::gap_before_the_end(
    archive_with(&[a()], &RawEnd { gap: b"xx".to_vec(), ..RawEnd::default() }),
    "its directory does not lie right before its end record"
)]
#[case::more_entries_stated(
    archive_with(&[a()], &RawEnd { count: Some(2), ..RawEnd::default() }),
    "its directory is shorter than its number of entries needs"
)]
#[case::fewer_entries_stated(
    archive_with(&[a(), entry("b", "")], &RawEnd { count: Some(1), ..RawEnd::default() }),
    "its directory does not have the number of entries stated"
)]
#[case::zip64_points_outside(
    archive_with(&[a()], &RawEnd {
        zip64: Some(Zip64 { record_start: Some(1 << 40), ..Zip64::default() }),
        ..RawEnd::default()
    }),
    "its zip64 locator points outside the file"
)]
#[case::zip64_points_at_something_else(
    archive_with(&[a(), a()], &RawEnd {
        zip64: Some(Zip64 { record_start: Some(0), ..Zip64::default() }),
        ..RawEnd::default()
    }),
    "its zip64 locator points at no end record"
)]
#[case::zip64_overflows(
    archive_with(&[a()], &RawEnd {
        zip64: Some(Zip64 { record_start: Some(u64::MAX), ..Zip64::default() }),
        ..RawEnd::default()
    }),
    "its zip64 locator points outside the file"
)]
#[case::zip64_record_length(
    archive_with(&[a()], &RawEnd {
        zip64: Some(Zip64 { record_length: Some(1 << 50), ..Zip64::default() }),
        ..RawEnd::default()
    }),
    "its zip64 end record does not lie right before its locator"
)]
#[case::zip64_count_disagrees(
    archive_with(&[a()], &RawEnd {
        zip64: Some(Zip64 { count: Some(2), ..Zip64::default() }),
        ..RawEnd::default()
    }),
    "its two end records disagree"
)]
#[case::zip64_start_disagrees(
    archive_with(&[a()], &RawEnd {
        zip64: Some(Zip64 { directory_start: Some(0), ..Zip64::default() }),
        ..RawEnd::default()
    }),
    "its two end records disagree"
)]
#[case::unknown_record_in_the_directory(
    archive_with(&[a()], &RawEnd {
        gap: b"PK\x05\x05\0\0".to_vec(),
        directory_length: Some(57),
        ..RawEnd::default()
    }),
    "its directory does not have the number of entries stated"
)]
fn refuses_a_contradicting_end(#[case] bytes: Vec<u8>, #[case] fault: &str) {
    assert_refused(bytes, &format!("the zip archive is damaged: {fault}"));
}

#[rstest]
#[case::of_the_end(archive_with(&[a()], &RawEnd { disk: 1, ..RawEnd::default() }))]
#[case::of_the_locator(archive_with(&[a()], &RawEnd {
    zip64: Some(Zip64 { disks: Some(2), ..Zip64::default() }),
    ..RawEnd::default()
}))]
#[case::of_an_entry(archive(&[a().with(|entry| entry.disk = 1)]))]
fn refuses_several_disks(#[case] bytes: Vec<u8>) {
    assert_refused(bytes, "the zip archive uses several disks; write it again without");
}

#[rstest]
#[case::encrypted(a().both(|header| header.flags |= 1), "encryption")]
#[case::strongly(a().both(|header| header.flags |= 1 << 6), "encryption")]
#[case::masked(a().both(|header| header.flags |= 1 << 13), "encryption")]
#[case::patch(a().both(|header| header.flags |= 1 << 5), "patch data")]
#[case::bzip2(a().both(|header| header.method = 12), "a compression other than deflate")]
#[case::lzma(a().both(|header| header.method = 14), "a compression other than deflate")]
#[case::deflate64(a().both(|header| header.method = 9), "a compression other than deflate")]
fn refuses_a_feature(#[case] raw: RawEntry, #[case] feature: &str) {
    let expected =
        format!("entry `a.txt` of the zip archive uses {feature}; write it again without");
    assert_refused(archive(&[raw]), &expected);
}

#[rstest]
#[case::name(a().local(|h| h.name = b"b.txt".to_vec()), "its local header has another name")]
#[case::method(a().local(|h| h.method = 0), "its local header has another compression")]
#[case::crc(a().local(|h| h.crc ^= 1), "its local header has another size or checksum")]
#[case::size(a().local(|h| h.size += 1), "its local header has another size or checksum")]
#[case::no_size(a().local(|h| h.size = 0), "its local header has another size or checksum")]
#[case::compressed(
    a().local(|h| h.compressed += 1),
    "its local header has another size or checksum"
)]
#[case::local_encryption(
    a().local(|h| h.flags = 1),
    "only its local header says that it is encrypted"
)]
#[case::descriptor_missing(
    a().described(true, false).with(|entry| entry.descriptor.clear()),
    "its data descriptor disagrees with the directory"
)]
#[case::descriptor_lies(
    a().described(true, false).with(|entry| entry.descriptor[12] ^= 1),
    "its data descriptor disagrees with the directory"
)]
#[case::deferred_size_lies(
    a().described(true, false).local(|h| h.size = 1),
    "its local header has another size or checksum"
)]
#[case::offset(a().with(|entry| entry.offset = Some(1)), "its local header is not where it should be")]
#[case::offset_far_out(
    a().with(|entry| entry.offset = Some(u32::MAX)),
    "its local header is not where it should be"
)]
#[case::data_in_the_directory(
    a().both(|h| { h.compressed += 100; }),
    "its data reaches into the directory"
)]
#[case::stored_sizes(
    a().stored(TEXT).both(|h| h.size += 1),
    "it is stored, but its two sizes differ"
)]
#[case::zip64_field_missing(
    a().both(|h| h.size = u32::MAX),
    "its data does not have the size stated"
)]
#[case::zip64_field_short(
    a().both(|h| { h.size = u32::MAX; h.extra = field(1, &[0; 4]); }),
    "its zip64 field is too short"
)]
#[case::zip64_field_twice(
    a().central(|h| h.extra = [field(1, &[]), field(1, &[])].concat()),
    "an extra field is there twice"
)]
#[case::extra_cut_off(
    a().central(|h| h.extra = vec![9, 9, 9, 9]),
    "an extra field is cut off"
)]
#[case::crc_of_the_data(
    a().both(|h| h.crc ^= 1),
    "its data does not have the checksum stated"
)]
#[case::more_data_than_stated(
    a().both(|h| h.size -= 1),
    "its data does not have the size stated"
)]
#[case::less_data_than_stated(
    a().both(|h| h.size += 1),
    "its data does not have the size stated"
)]
#[case::deflate_damaged(
    a().with(|entry| entry.data[0] = 0xff),
    "its compressed data is damaged"
)]
#[case::data_behind_the_deflated(
    a().with(|entry| entry.data.push(0)).both(|h| h.compressed += 1),
    "its compressed data goes on after its end"
)]
fn refuses_a_contradicting_entry(#[case] raw: RawEntry, #[case] fault: &str) {
    let limits = Limits::default();
    let mut file = Cursor::new(archive(&[raw]));
    let outcome = Zip::open(&mut file, &limits).and_then(|mut zip| zip.read(0, u64::MAX));
    let error = outcome.expect_err("this archive must be refused");
    let expected = format!("entry `a.txt` of the zip archive is damaged: {fault}");
    assert_eq!(error.to_string(), expected);
}

#[rstest]
#[case::two_entries_one_record(vec![
    a(),
    entry("a.txt", TEXT).with(|entry| entry.offset = Some(0)),
])]
#[case::data_reaches_into_the_next(vec![
    entry("a.txt", "").stored(b"").both(|h| { h.compressed = 40; h.size = 40; }),
    entry("b.txt", vec![b'x'; 60]).stored(&[b'x'; 60]),
])]
fn refuses_entries_that_overlap(#[case] entries: Vec<RawEntry>) {
    let rules = ZipRules { duplicates: Duplicates::Allowed };
    let error = open_with(archive(&entries), &Limits::default(), &rules).unwrap_err();
    assert!(error.to_string().ends_with("it overlaps another entry"), "{error}");
}

#[rstest]
#[case::empty("", "is empty")]
#[case::zero("a\0b", "contains a zero byte")]
#[case::absolute("/etc/passwd", "is an absolute path")]
#[case::absolute_windows("\\a", "is an absolute path")]
#[case::drive("c:\\a", "begins with a drive letter")]
#[case::up("a/../../b", "contains `..`")]
#[case::up_windows("a\\..\\b", "contains `..`")]
fn refuses_a_name(#[case] name: &str, #[case] fault: &str) {
    let shown = name.replace('\0', "\\u{0}");
    assert_refused(archive(&[entry(name, TEXT)]), &format!("the entry name `{shown}` {fault}"));
}

#[test]
fn refuses_a_name_that_is_said_to_be_utf8() {
    let raw = entry(b"caf\x82", TEXT).both(|header| header.flags = 1 << 11);
    assert_refused(archive(&[raw]), "the entry name `café` is said to be UTF-8 and is not");
}

#[test]
fn refuses_a_name_in_two_encodings() {
    let raw = entry("é", TEXT).central(|header| header.flags = 1 << 11);
    let expected = "entry `é` of the zip archive is damaged: its local header has another name \
                    encoding";
    assert_refused(archive(&[raw]), expected);
}

fn unicode_path(name: &[u8], spelled: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(name).to_le_bytes();
    field(0x7075, &[&[1][..], &crc, spelled].concat())
}

#[rstest]
#[case::same(b"a.txt", b"a.txt", None)]
#[case::other(
    b"a.txt",
    b"b.txt",
    Some("the entry name `a.txt` has a second spelling that differs")
)]
#[case::of_code_page_437(b"caf\x82", "café".as_bytes(), None)]
#[case::traversal(b"caf\x82", b"../caf", Some("the entry name `café` contains `..`"))]
#[case::not_utf8(
    b"caf\x82",
    b"\xff",
    Some("the entry name `café` has a second spelling that is not UTF-8")
)]
fn a_second_spelling_must_not_lie(
    #[case] name: &[u8],
    #[case] spelled: &[u8],
    #[case] expected: Option<&str>,
) {
    let extra = unicode_path(name, spelled);
    let raw = entry(name, TEXT).both(|header| header.extra.clone_from(&extra));
    let outcome = open(archive(&[raw])).map_err(|error| error.to_string());
    assert_eq!(outcome.err().as_deref(), expected);
}

#[test]
fn ignores_a_spelling_of_another_name() {
    let extra = unicode_path(b"stale.txt", b"b.txt");
    open(archive(&[a().both(|header| header.extra.clone_from(&extra))])).unwrap();
}

#[rstest]
#[case::same("a/b", "a/b", [true, true])]
#[case::separator("a/b", "a\\b", [true, true])]
#[case::double_slash("a/b", "a//b", [true, true])]
#[case::dot("a/b", "a/./b", [true, true])]
#[case::file_and_directory("a", "a/", [true, true])]
#[case::case("a/B", "A/b", [false, true])]
#[case::case_beyond_ascii("É", "é", [false, true])]
#[case::different("a/b", "ab", [false, false])]
fn two_entries_for_one_place_are_refused_by_rule(
    #[case] first: &str,
    #[case] second: &str,
    #[case] refused: [bool; 2],
) {
    let bytes = archive(&[entry(first, TEXT), entry(second, "").stored(b"")]);
    let outcome = |duplicates| {
        let rules = ZipRules { duplicates };
        match open_with(bytes.clone(), &Limits::default(), &rules) {
            Err(ArchiveError::Duplicate { name }) => {
                assert_eq!(name, second);
                true
            }
            other => other.is_err(),
        }
    };
    assert_eq!([outcome(Duplicates::Refused), outcome(Duplicates::IgnoringCase)], refused);
    assert!(!outcome(Duplicates::Allowed));
}

#[test]
fn finds_the_first_of_several_equal_paths() {
    let rules = ZipRules { duplicates: Duplicates::Allowed };
    let names = ["z", "b/c", "a", "b\\c", "b"];
    let mut file = Cursor::new(archive(&names.map(|name| entry(name, name))));
    let zip = Zip::open_with(&mut file, &Limits::default(), &rules).unwrap();
    let found = ["z", "b/c", "a", "b", "b\\c", "c", ""].map(|path| zip.find(path));
    assert_eq!(found, [Some(0), Some(1), Some(2), Some(4), None, None, None]);
    assert_eq!(zip.entries()[3].name(), "b\\c");
    assert_eq!(zip.entries()[3].path(), "b/c");
}

#[test]
fn limits_are_met() {
    let bytes = archive(&[a(), entry("b.txt", TEXT)]);
    let limited = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        open_with(bytes.clone(), &limits, &ZipRules::default()).map_err(|error| error.to_string())
    };
    assert_eq!(limited(&|limits| limits.entries = 2), Ok(()));
    let expected = "the archive has more than 1 entries";
    assert_eq!(limited(&|limits| limits.entries = 1), Err(expected.to_owned()));
    let sum = 2 * TEXT.len() as u64;
    assert_eq!(limited(&|limits| limits.unpacked = sum), Ok(()));
    let expected = format!("the unpacked data is larger than the limit of {} bytes", sum - 1);
    assert_eq!(limited(&|limits| limits.unpacked = sum - 1), Err(expected));
    assert_eq!(limited(&|limits| limits.entry_name = 5), Ok(()));
    let expected = "the entry name `a.txt` is longer than the limit";
    assert_eq!(limited(&|limits| limits.entry_name = 4), Err(expected.to_owned()));
    assert_eq!(limited(&|limits| limits.metadata = 102), Ok(()));
    let expected = "the directory of the zip archive is larger than the limit of 101 bytes";
    assert_eq!(limited(&|limits| limits.metadata = 101), Err(expected.to_owned()));
}

#[test]
fn an_entry_above_the_callers_limit_is_not_inflated() {
    let mut file = Cursor::new(archive(&[a()]));
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    assert_eq!(zip.read(0, TEXT.len() as u64).unwrap(), TEXT);
    let error = zip.read(0, TEXT.len() as u64 - 1).unwrap_err();
    assert_eq!(error.to_string(), "entry `a.txt` is larger than the limit of 18 bytes");
    assert!(matches!(zip.read(1, 9), Err(ArchiveError::NoSuchEntry { index: 1 })));
}

#[test]
fn a_bomb_stops_at_the_size_it_states() {
    let bomb = deflate(&vec![0; 64 << 20]);
    let raw = entry("bomb", "x").both(|header| {
        header.compressed = bomb.len() as u32;
        header.size = 10;
    });
    let raw = raw.with(|entry| entry.data.clone_from(&bomb));
    let mut file = Cursor::new(archive(&[raw]));
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    let mut out = Vec::new();
    assert!(zip.copy_to(0, 1 << 30, &mut out).is_err());
    assert_eq!(out.len(), 11);
}

#[test]
fn a_claimed_size_is_not_allocated() {
    let claim = 60_u64 << 30;
    let extra = field(1, &claim.to_le_bytes());
    let raw = a().both(|header| {
        header.size = u32::MAX;
        header.extra.clone_from(&extra);
    });
    // The local field has to state both.
    let local = field(1, &[claim.to_le_bytes(), 0_u64.to_le_bytes()].concat());
    let raw = raw.local(|header| header.extra.clone_from(&local));
    let mut file = Cursor::new(archive(&[raw]));
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    assert_eq!(zip.entries()[0].size(), claim);
    let error = zip.read(0, u64::MAX).unwrap_err();
    assert!(error.to_string().ends_with("its data does not have the size stated"), "{error}");
}

#[test]
fn what_the_directory_says_is_told() {
    let raw = entry("bin\\tool", TEXT).with(|entry| {
        entry.external = 0o120_777 << 16;
        entry.comment = b"note".to_vec();
        entry.central.extra = field(0x5455, b"\x01abcd");
        entry.central.flags = 6;
    });
    let bytes = archive(&[a(), raw]);
    let mut file = Cursor::new(bytes.clone());
    let zip = Zip::open(&mut file, &Limits::default()).unwrap();
    let entry = &zip.entries()[1];
    assert_eq!((entry.index(), entry.name(), entry.path()), (1, "bin\\tool", "bin/tool"));
    assert_eq!(entry.modified().unwrap().parts(), (2025, 3, 21, 13, 33, 36));
    assert_eq!(entry.unix_mode(), Some(0o120_777));
    assert!(entry.is_symbolic_link() && !entry.is_directory() && !entry.is_stored());
    assert_eq!(entry.flags(), 6);
    assert_eq!(zip.entry_comment(1), b"note");
    assert_eq!(zip.extra_fields(1), field(0x5455, b"\x01abcd"));
    let record = &zip.layout().records[1];
    let part = |range: &std::ops::Range<u64>| &bytes[range.start as usize..range.end as usize];
    assert!(part(&record.local).starts_with(b"PK\x03\x04"));
    assert!(part(&record.central).starts_with(b"PK\x01\x02"));
    assert!(part(&record.central).ends_with(b"note"));
    assert_eq!(part(&record.data), deflate(TEXT));
    assert_eq!(record.local.end, zip.layout().directory.start);
}
