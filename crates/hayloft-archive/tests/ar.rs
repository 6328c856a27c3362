//! Debian's subset of `ar`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests panic to fail"
)]

use std::io::{Cursor, Read};
use std::process::Command;

use hayloft_archive::{ArMember, ArWriter, ArchiveError, Section, read_ar};
use hayloft_feed::Limits;
use proptest::prelude::*;
use rstest::rstest;

fn member(name: &str, size: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{name:<16}1700000000  0     0     100644  {size:<10}`\n");
    assert_eq!(header.len(), 60);
    let mut bytes = header.into_bytes();
    bytes.extend_from_slice(data);
    if data.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [b"!<arch>\n".to_vec(), members.concat()].concat()
}

fn read(bytes: &[u8]) -> Result<Vec<ArMember>, ArchiveError> {
    read_ar(&mut Cursor::new(bytes), &Limits::default())
}

#[rstest]
#[case::plain("debian-binary", "debian-binary")]
#[case::gnu("debian-binary/", "debian-binary")]
#[case::sixteen("abcdefghijklmnop", "abcdefghijklmnop")]
#[case::underscore("_gpgorigin", "_gpgorigin")]
#[case::space_within("a b", "a b")]
fn a_member_is_read(#[case] written: &str, #[case] name: &str) {
    let bytes = archive(&[member(written, "3", b"2.0"), member("x", "0", b"")]);
    let members = read(&bytes).unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].name, name);
    assert_eq!((members[0].data.clone(), members[0].size()), (68..71, 3));
    assert_eq!((members[1].name.as_str(), members[1].data.clone()), ("x", 132..132));
}

#[rstest]
#[case::empty(b"".to_vec(), "the ar archive is damaged: it is too short")]
#[case::magic(b"!<arch>\r".to_vec(), "the ar archive is damaged: it does not begin with `!<arch>`")]
#[case::old_format(b"0.939000\n".to_vec(), "the ar archive is damaged: it does not begin with `!<arch>`")]
#[case::header_cut_off(archive(&[b"x".to_vec()]), "the ar archive is damaged: a member header is cut off")]
#[case::header_end(
    archive(&[member("a", "0", b"")]).iter().map(|b| if *b == b'`' { b'\'' } else { *b }).collect(),
    "the ar archive is damaged: a member header does not end as it must"
)]
#[case::data_cut_off(
    archive(&[member("a", "3", b"xy")]),
    "entry `a` of the ar archive is damaged: its data is cut off"
)]
#[case::padding(
    archive(&[member("a", "1", b"")]).into_iter().chain(*b"x").collect(),
    "entry `a` of the ar archive is damaged: its padding is missing"
)]
#[case::size_sign(
    archive(&[member("a", "+1", b"x")]),
    "entry `a` of the ar archive is damaged: its size is not a decimal number"
)]
#[case::size_blank(
    archive(&[member("a", "", b"x")]),
    "entry `a` of the ar archive is damaged: its size is not a decimal number"
)]
#[case::size_indented(
    archive(&[member("a", " 1", b"x")]),
    "entry `a` of the ar archive is damaged: its size is not a decimal number"
)]
#[case::largest_size(
    archive(&[member("a", "9999999999", b"x")]),
    "entry `a` of the ar archive is damaged: its data is cut off"
)]
#[case::gnu_table(
    archive(&[member("//", "0", b"")]),
    "the ar archive uses long member names; write it again without"
)]
#[case::gnu_long(
    archive(&[member("/12", "0", b"")]),
    "the ar archive uses long member names; write it again without"
)]
#[case::gnu_symbols(
    archive(&[member("/", "0", b"")]),
    "the ar archive uses long member names; write it again without"
)]
#[case::bsd_long(
    archive(&[member("#1/20", "0", b"")]),
    "the ar archive uses long member names; write it again without"
)]
#[case::blank_name(
    archive(&[member("", "0", b"")]),
    "the entry name `` is not 1 to 16 printable ASCII characters other than `/`"
)]
#[case::path(
    archive(&[member("a/b", "0", b"")]),
    "the entry name `a/b` is not 1 to 16 printable ASCII characters other than `/`"
)]
#[case::two_slashes(
    archive(&[member("a//", "0", b"")]),
    "the entry name `a/` is not 1 to 16 printable ASCII characters other than `/`"
)]
#[case::control_character(
    archive(&[member("a\tb", "0", b"")]),
    "the entry name `a\\tb` is not 1 to 16 printable ASCII characters other than `/`"
)]
fn an_archive_is_refused(#[case] bytes: Vec<u8>, #[case] expected: &str) {
    let error = read(&bytes).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(error.is_input());
}

#[test]
fn members_are_counted() {
    let bytes = archive(&[member("a", "0", b""), member("b", "0", b"")]);
    let mut limits = Limits::default();
    limits.entries = 2;
    assert!(read_ar(&mut Cursor::new(&bytes), &limits).is_ok());
    limits.entries = 1;
    let error = read_ar(&mut Cursor::new(&bytes), &limits).unwrap_err();
    assert!(matches!(error, ArchiveError::TooManyEntries { limit: 1 }));
}

#[test]
fn members_are_copied_and_replaced_with_their_headers() {
    let bytes = archive(&[member("first/", "3", b"one"), member("second", "3", b"two")]);
    let mut file = Cursor::new(&bytes);
    let members = read_ar(&mut file, &Limits::default()).unwrap();
    let mut writer = ArWriter::new(Vec::new()).unwrap();
    for member in &members {
        let mut data = Section::new(&mut file, member.data.clone());
        writer.copy_member(member, &mut data).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), bytes);

    let mut writer = ArWriter::new(Vec::new()).unwrap();
    writer.replace_member(&members[0], 4, &mut &b"four"[..]).unwrap();
    assert_eq!(writer.finish().unwrap(), archive(&[member("first/", "4", b"four")]));
}

#[test]
fn a_writer_refuses_what_cannot_be_written() {
    let mut writer = ArWriter::new(Vec::new()).unwrap();
    for name in ["", "abcdefghijklmnopq", "a/b", "a ", "é"] {
        let error = writer.add_member(name, 0, 0o100_644, 0, &mut &b""[..]).unwrap_err();
        assert!(matches!(error, ArchiveError::Name { .. }), "{name}: {error:?}");
    }
    let error = writer.add_member("a", 10_u64.pow(12), 0, 0, &mut &b""[..]).unwrap_err();
    assert!(matches!(error, ArchiveError::Name { .. }));
    let error = writer.add_member("a", 0, 0, 10_u64.pow(10), &mut &b""[..]).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }));
    let error = writer.add_member("a", 0, 0, 4, &mut &b"abc"[..]).unwrap_err();
    assert!(matches!(error, ArchiveError::DamagedEntry { .. }));
}

#[test]
fn binutils_reads_what_was_written() {
    let mut writer = ArWriter::new(Vec::new()).unwrap();
    writer.add_member("odd", 1, 0o100_644, 3, &mut &b"abc"[..]).unwrap();
    writer.add_member("even", 2, 0o100_600, 2, &mut &b"de"[..]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.ar");
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    let run = Command::new("ar").arg("p").arg(&path).output();
    let Ok(run) = run else {
        println!("skipped: there is no ar");
        return;
    };
    assert_eq!(run.stdout, b"abcde");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        files in prop::collection::vec(
            ("[!-.0-~][ -.0-~]{0,14}[!-.0-~]", prop::collection::vec(any::<u8>(), 0..50)), 0..5,
        ),
    ) {
        prop_assume!(files.iter().all(|(name, _)| !name.starts_with("#1/")));
        let mut writer = ArWriter::new(Vec::new()).unwrap();
        for (name, data) in &files {
            let size = data.len() as u64;
            writer.add_member(name, 0, 0o100_644, size, &mut data.as_slice()).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let mut file = Cursor::new(&bytes);
        let mut found = Vec::new();
        for member in read_ar(&mut file, &Limits::default()).unwrap() {
            let mut data = vec![0; member.size() as usize];
            Section::new(&mut file, member.data.clone()).read_exact(&mut data).unwrap();
            found.push((member.name, data));
        }
        prop_assert_eq!(found, files);
    }
}
