//! Which tar streams are read, and what a copied one keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::io::{Cursor, Read};
use std::process::Command;

use hayloft_archive::{
    ArchiveError, TarAction, TarAppend, TarEntry, TarKind, TarReader, TarWriter, rewrite_tar,
};
use hayloft_feed::Limits;
use proptest::prelude::*;
use rstest::rstest;
use tar::{EntryType, Header};

const TEXT: &[u8] = b"hello";

/// Header and data, padded.
fn member(header: &Header, data: &[u8]) -> Vec<u8> {
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn header(mut header: Header, kind: u8, name: &str, size: u64) -> Header {
    header.set_entry_type(EntryType::new(kind));
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o640);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header.set_cksum();
    header
}

fn posix(kind: u8, name: &str, data: &[u8]) -> Vec<u8> {
    member(&header(Header::new_ustar(), kind, name, data.len() as u64), data)
}

fn gnu(kind: u8, name: &str, data: &[u8]) -> Vec<u8> {
    member(&header(Header::new_gnu(), kind, name, data.len() as u64), data)
}

fn old(kind: u8, name: &str, data: &[u8]) -> Vec<u8> {
    member(&header(Header::new_old(), kind, name, data.len() as u64), data)
}

fn pax_record(key: &str, value: &str) -> String {
    let body = format!(" {key}={value}\n");
    let mut length = body.len();
    while length != body.len() + length.to_string().len() {
        length = body.len() + length.to_string().len();
    }
    format!("{length}{body}")
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let data: String = records.iter().map(|(key, value)| pax_record(key, value)).collect();
    posix(b'x', "PaxHeaders/some", data.as_bytes())
}

fn long(kind: u8, name: &str) -> Vec<u8> {
    gnu(kind, "././@LongLink", format!("{name}\0").as_bytes())
}

/// With the two blocks that end an archive.
fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.extend_from_slice(&[0; 1024]);
    bytes
}

/// Path, kind, link and data of every member.
type Listed = (String, TarKind, Option<String>, Vec<u8>);

fn list_with(bytes: &[u8], limits: &Limits) -> Result<Vec<Listed>, ArchiveError> {
    let mut reader = TarReader::new(bytes, limits);
    let mut found = Vec::new();
    while let Some(mut member) = reader.next()? {
        let data = member.read(1 << 20)?;
        let link = member.link().map(|link| String::from_utf8(link.to_vec()).unwrap());
        found.push((member.path_text()?.to_owned(), member.kind(), link, data));
    }
    Ok(found)
}

fn list(bytes: &[u8]) -> Result<Vec<Listed>, ArchiveError> {
    list_with(bytes, &Limits::default())
}

fn plain(path: &str) -> Listed {
    (path.to_owned(), TarKind::File, None, TEXT.to_vec())
}

fn rewrite<'e>(
    bytes: &[u8],
    decide: impl Fn(&TarEntry) -> TarAction<'e>,
) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Vec::new();
    rewrite_tar(bytes, &mut out, &Limits::default(), &[], &mut |entry| Ok(decide(entry)))?;
    Ok(out)
}

fn renaming<'e>(path: Option<&str>, link: Option<&str>) -> TarAction<'e> {
    TarAction::Rename { path: path.map(Into::into), link: link.map(Into::into) }
}

fn storing<'e>(data: &'static [u8]) -> TarAction<'e> {
    TarAction::Edit { max: 1 << 20, edit: Box::new(move |_| Ok(data.to_vec())) }
}

#[rstest]
#[case::posix(posix(b'0', "a", TEXT), plain("a"))]
#[case::gnu(gnu(b'0', "a", TEXT), plain("a"))]
#[case::old(old(0, "a", TEXT), plain("a"))]
#[case::contiguous(posix(b'7', "a", TEXT), plain("a"))]
#[case::dotted(posix(b'0', "./a", TEXT), plain("./a"))]
#[case::long_name([long(b'L', &"x".repeat(200)), gnu(b'0', "xxx", TEXT)].concat(), plain(&"x".repeat(200)))]
#[case::pax_path([pax(&[("path", "é/b")]), posix(b'0', "x", TEXT)].concat(), plain("é/b"))]
#[case::pax_others([pax(&[("mtime", "1.5"), ("uid", "9")]), posix(b'0', "a", TEXT)].concat(), plain("a"))]
#[case::pax_same_size([pax(&[("size", "5")]), posix(b'0', "a", TEXT)].concat(), plain("a"))]
#[case::solaris([posix(b'X', "x", pax_record("path", "b").as_bytes()), posix(b'0', "a", TEXT)].concat(), plain("b"))]
#[case::global([posix(b'g', "g", pax_record("comment", "0123").as_bytes()), posix(b'0', "a", TEXT)].concat(), plain("a"))]
#[case::directory(posix(b'5', "d/", b""), ("d/".into(), TarKind::Directory, None, vec![]))]
#[case::old_directory(old(0, "d/", b""), ("d/".into(), TarKind::Directory, None, vec![]))]
#[case::device(posix(b'3', "null", b""), ("null".into(), TarKind::Other(b'3'), None, vec![]))]
#[case::vendor(posix(b'V', "label", TEXT), ("label".into(), TarKind::Other(b'V'), None, TEXT.into()))]
fn a_member_is_read(#[case] bytes: Vec<u8>, #[case] expected: Listed) {
    let whole = archive(&[bytes, posix(b'0', "last", TEXT)]);
    assert_eq!(list(&whole).unwrap(), [expected, plain("last")]);
    assert_eq!(rewrite(&whole, |_| TarAction::Keep).unwrap(), whole);
}

#[test]
fn a_prefix_and_a_link_are_read() {
    let mut split = header(Header::new_ustar(), b'0', "name", 5);
    split.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"a/b");
    split.set_cksum();
    let mut link = header(Header::new_ustar(), b'2', "l", 0);
    link.set_link_name_literal("../t").unwrap();
    link.set_cksum();
    let bytes = archive(&[
        member(&split, TEXT),
        member(&link, b""),
        [long(b'K', "long/target"), gnu(b'1', "h", b"")].concat(),
    ]);
    let expected = [
        plain("a/b/name"),
        ("l".into(), TarKind::SymbolicLink, Some("../t".into()), vec![]),
        ("h".into(), TarKind::HardLink, Some("long/target".into()), vec![]),
    ];
    assert_eq!(list(&bytes).unwrap(), expected);
}

#[test]
fn a_size_in_base_256_is_read() {
    let mut large = header(Header::new_gnu(), b'0', "a", 5);
    large.as_old_mut().size.copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    large.set_cksum();
    assert_eq!(list(&archive(&[member(&large, TEXT)])).unwrap(), [plain("a")]);
}

#[rstest]
#[case::none(0)]
#[case::one_block(512)]
#[case::one_and_a_half(700)]
#[case::two(1024)]
#[case::a_whole_record(10240)]
fn any_end_of_zeros_is_read_and_kept(#[case] zeros: usize) {
    let mut bytes = posix(b'0', "a", TEXT);
    bytes.resize(bytes.len() + zeros, 0);
    assert_eq!(list(&bytes).unwrap(), [plain("a")]);
    assert_eq!(rewrite(&bytes, |_| TarAction::Keep).unwrap(), bytes);
}

#[test]
fn what_follows_the_end_is_kept_and_not_read() {
    let bytes = [archive(&[posix(b'0', "a", TEXT)]), b"anything".to_vec()].concat();
    assert_eq!(list(&bytes).unwrap(), [plain("a")]);
    assert_eq!(rewrite(&bytes, |_| TarAction::Keep).unwrap(), bytes);
}

#[test]
fn a_reader_finishes_where_only_zeros_follow() {
    let finish = |behind: &[u8]| {
        let bytes = [archive(&[posix(b'0', "a", TEXT)]), behind.to_vec()].concat();
        TarReader::new(bytes.as_slice(), &Limits::default()).finish()
    };
    finish(&vec![0; 40_000]).unwrap();
    let late = [vec![0; 33_000], posix(b'0', "b", TEXT)].concat();
    for behind in [b"x".to_vec(), posix(b'0', "b", TEXT), late] {
        let error = finish(&behind).unwrap_err();
        assert_eq!(error.to_string(), "the tar archive is damaged: something follows its end");
    }
}

#[test]
fn nothing_is_an_empty_archive() {
    assert_eq!(list(b"").unwrap(), []);
}

#[rstest]
#[case::text(
    b"x".repeat(1024),
    "the tar archive is damaged: a header has a wrong checksum; it may be cut off or not be a tar file"
)]
#[case::cut_off(posix(b'0', "a", TEXT)[..100].to_vec(), "the tar archive is damaged: it is cut off within a header")]
#[case::cut_off_data(
    posix(b'0', "a", TEXT)[..514].to_vec(),
    "entry `a` of the tar archive is damaged: its data is cut off"
)]
#[case::cut_off_padding(
    posix(b'0', "a", TEXT)[..1000].to_vec(),
    "entry `a` of the tar archive is damaged: its data is cut off"
)]
#[case::cut_off_record(
    long(b'L', "b")[..513].to_vec(),
    "the tar archive is damaged: it is cut off within an extension record"
)]
#[case::lone_zero_block(
    [vec![0; 512], posix(b'0', "a", TEXT)].concat(),
    "the tar archive is damaged: something other than zeros follows its first zero block"
)]
#[case::record_without_member(
    archive(&[long(b'L', "b")]),
    "the tar archive is damaged: an extension record is not followed by its member"
)]
#[case::record_before_global(
    archive(&[long(b'L', "b"), posix(b'g', "g", b"")]),
    "the tar archive is damaged: an extension record is not followed by its member"
)]
#[case::two_records(
    archive(&[long(b'L', "b"), long(b'L', "c"), posix(b'0', "a", TEXT)]),
    "the tar archive is damaged: a member has two extension records of one kind"
)]
#[case::records_of_two_dialects(
    archive(&[long(b'L', "b"), pax(&[("path", "b")]), posix(b'0', "a", TEXT)]),
    "the tar archive is damaged: a member has extension records of two dialects"
)]
#[case::records_of_two_dialects_in_the_other_order(
    archive(&[pax(&[("mtime", "0")]), long(b'K', "b"), posix(b'2', "a", b"")]),
    "the tar archive is damaged: a member has extension records of two dialects"
)]
#[case::line_end_in_a_record(
    archive(&[pax(&[("comment", "x\n10 path=b\n")]), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive is damaged: its pax header holds a line end by which readers differ"
)]
#[case::kind_in_a_record(
    archive(&[pax(&[("type", "Directory")]), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive is damaged: its pax header states a kind, which most readers ignore"
)]
#[case::pax_malformed(
    archive(&[posix(b'x', "x", b"8 path=b\n"), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive is damaged: its pax header is malformed"
)]
#[case::pax_twice(
    archive(&[pax(&[("path", "b"), ("path", "c")]), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive is damaged: its pax header states a value twice"
)]
#[case::pax_size_differs(
    archive(&[pax(&[("size", "512")]), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive is damaged: its pax header states another size than its header"
)]
#[case::pax_size_is_no_number(
    archive(&[pax(&[("size", "+5")]), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive is damaged: its pax size is not a number"
)]
#[case::global_path(
    archive(&[posix(b'g', "g", pax_record("path", "b").as_bytes()), posix(b'0', "a", TEXT)]),
    "the tar archive is damaged: a global pax header states a name or size"
)]
#[case::sparse(
    archive(&[gnu(b'S', "a", b"")]),
    "entry `a` of the tar archive uses sparse storage; write it again without"
)]
#[case::sparse_pax(
    archive(&[pax(&[("GNU.sparse.major", "1")]), posix(b'0', "a", TEXT)]),
    "entry `a` of the tar archive uses sparse storage; write it again without"
)]
#[case::directory_with_data(
    archive(&[posix(b'5', "d/", TEXT)]),
    "entry `d/` of the tar archive is damaged: it has a size, but is not a file"
)]
#[case::link_with_data(
    archive(&[posix(b'2', "l", TEXT)]),
    "entry `l` of the tar archive is damaged: it has a size, but is not a file"
)]
#[case::zero_byte(
    archive(&[pax(&[("path", "b\0c")]), posix(b'0', "a", TEXT)]),
    "the entry name `b\\u{0}c` contains a zero byte"
)]
#[case::long_name(
    archive(&[long(b'L', &"x".repeat(4097)), posix(b'0', "a", TEXT)]),
    "the entry name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is longer than the limit"
)]
fn a_stream_is_refused(#[case] bytes: Vec<u8>, #[case] expected: &str) {
    let error = list(&bytes).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(error.is_input());
    let rewritten = rewrite(&bytes, |_| TarAction::Keep).unwrap_err();
    assert_eq!(rewritten.to_string(), expected);
}

#[test]
fn limits_are_met() {
    let bytes = archive(&[posix(b'0', "a", TEXT), long(b'L', "b"), gnu(b'0', "b", TEXT)]);
    let limited = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        list_with(&bytes, &limits).map_err(|error| error.to_string()).map(|list| list.len())
    };
    assert_eq!(limited(&|limits| limits.entries = 3), Ok(2));
    let expected = "the archive has more than 2 entries";
    assert_eq!(limited(&|limits| limits.entries = 2), Err(expected.to_owned()));
    assert_eq!(limited(&|limits| limits.unpacked = 4096), Ok(2));
    let expected = "the unpacked data is larger than the limit of 1024 bytes";
    assert_eq!(limited(&|limits| limits.unpacked = 1024), Err(expected.to_owned()));
    let mut reader = TarReader::new(bytes.as_slice(), &Limits::default());
    let error = reader.next().unwrap().unwrap().read(4).unwrap_err();
    assert_eq!(error.to_string(), "entry `a` is larger than the limit of 4 bytes");
}

#[rstest]
#[case::of_a_member(member(&header(Header::new_gnu(), b'0', "a", 1 << 50), TEXT))]
#[case::of_a_record(member(&header(Header::new_gnu(), b'L', "a", 1 << 50), TEXT))]
#[case::of_a_small_record(member(&header(Header::new_gnu(), b'x', "a", 1 << 21), TEXT))]
#[case::of_a_pax_size(
    [pax(&[("size", "18446744073709551615")]), posix(b'0', "a", TEXT)].concat()
)]
fn a_claimed_size_is_not_allocated(#[case] bytes: Vec<u8>) {
    let error = list(&bytes).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_member_may_be_left_unread_or_read_in_part() {
    let bytes = archive(&[posix(b'0', "a", &TEXT.repeat(300)), posix(b'0', "b", TEXT)]);
    let limits = Limits::default();
    let mut reader = TarReader::new(bytes.as_slice(), &limits);
    let mut first = reader.next().unwrap().unwrap();
    assert_eq!((first.size(), first.mode(), first.mtime()), (1500, 0o640, 1_700_000_000));
    let mut part = [0; 7];
    first.read_exact(&mut part).unwrap();
    assert_eq!(&part, b"hellohe");
    assert_eq!(first.read(2000).unwrap().len(), 1493);
    assert_eq!(reader.next().unwrap().unwrap().path(), b"b");
    assert!(reader.next().unwrap().is_none());
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn padding_that_is_not_zero_is_copied() {
    let mut bytes = archive(&[posix(b'0', "a", TEXT), posix(b'0', "b", TEXT)]);
    bytes[600] = 7;
    assert_eq!(rewrite(&bytes, |_| TarAction::Keep).unwrap(), bytes);
}

#[test]
fn an_edit_changes_size_checksum_and_data_only() {
    let odd = pax(&[("mtime", "1.25"), ("size", "5"), ("uid", "1000")]);
    let bytes = archive(&[
        posix(b'0', "a", b"before"),
        [odd, posix(b'0', "b", TEXT)].concat(),
        gnu(b'0', "c", b"after"),
    ]);
    let new: &'static [u8] = Box::leak(vec![b'x'; 1000].into_boxed_slice());
    let decide = |entry: &TarEntry| {
        if entry.path() == b"b" { storing(new) } else { TarAction::Keep }
    };
    let expected = archive(&[
        posix(b'0', "a", b"before"),
        pax(&[("mtime", "1.25"), ("size", "1000"), ("uid", "1000")]),
        posix(b'0', "b", new),
        gnu(b'0', "c", b"after"),
    ]);
    assert_eq!(rewrite(&bytes, decide).unwrap(), expected);
}

#[test]
fn a_removed_member_takes_its_records_with_it() {
    let global = posix(b'g', "g", pax_record("comment", "0123").as_bytes());
    let bytes = archive(&[
        global.clone(),
        long(b'L', "b"),
        gnu(b'0', "x", &TEXT.repeat(200)),
        posix(b'0', "c", TEXT),
    ]);
    let decide = |entry: &TarEntry| {
        if entry.path() == b"b" { TarAction::Remove } else { TarAction::Keep }
    };
    assert_eq!(rewrite(&bytes, decide).unwrap(), archive(&[global, posix(b'0', "c", TEXT)]));
}

#[rstest]
#[case::short(posix(b'0', "old", TEXT), "new", posix(b'0', "new", TEXT))]
#[case::pax(
    [pax(&[("uid", "7"), ("path", "old-é")]), posix(b'0', "old-", TEXT)].concat(),
    "new-é",
    [pax(&[("uid", "7"), ("path", "new-é")]), posix(b'0', "new-é", TEXT)].concat()
)]
#[case::long_name(
    [long(b'L', &"o".repeat(120)), gnu(b'0', &"o".repeat(100), TEXT)].concat(),
    &"n".repeat(130),
    [long(b'L', &"n".repeat(130)), gnu(b'0', &"n".repeat(100), TEXT)].concat()
)]
#[case::grows_in_gnu(
    gnu(b'0', "old", TEXT),
    &"n".repeat(130),
    [
        {
            let mut record = header(Header::new_gnu(), b'L', "././@LongLink", 131);
            record.set_mode(0o644);
            record.set_uid(0);
            record.set_gid(0);
            record.set_mtime(0);
            record.set_cksum();
            // Six digits, zero, space: as everyone but the tar crate writes it.
            let sum = record.cksum().unwrap();
            record.as_old_mut().cksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            member(&record, format!("{}\0", "n".repeat(130)).as_bytes())
        },
        gnu(b'0', &"n".repeat(100), TEXT),
    ].concat()
)]
fn a_path_is_changed_where_it_stands(
    #[case] bytes: Vec<u8>,
    #[case] path: &str,
    #[case] expected: Vec<u8>,
) {
    let found = rewrite(&archive(&[bytes]), |_| renaming(Some(path), None)).unwrap();
    assert_eq!(list(&found).unwrap(), [plain(path)]);
    assert_eq!(found, archive(&[expected]));
}

#[rstest]
#[case::short("new")]
#[case::exactly_fits("n".repeat(100))]
#[case::prefix(format!("{}/{}", "p".repeat(150), "n".repeat(90)))]
#[case::too_long_for_both("n".repeat(101))]
#[case::long_prefix(format!("{}/n", "p".repeat(160)))]
#[case::very_long(format!("{}/n", "p".repeat(3000)))]
#[case::not_ascii("é".repeat(80))]
fn any_path_is_read_back(
    #[case] path: impl AsRef<str>,
    #[values(posix, gnu, old)] write: fn(u8, &str, &[u8]) -> Vec<u8>,
) {
    let path = path.as_ref();
    let bytes = archive(&[write(b'0', "old", TEXT), write(b'0', "old2", TEXT)]);
    let found = rewrite(&bytes, |_| renaming(Some(path), None)).unwrap();
    assert_eq!(list(&found).unwrap(), [plain(path), plain(path)]);
    let mut theirs = tar::Archive::new(Cursor::new(&found));
    for entry in theirs.entries().unwrap() {
        assert_eq!(*entry.unwrap().path_bytes(), *path.as_bytes());
    }
    if let Some(names) = python(&found) {
        assert_eq!(names, format!("{path}\n{path}\n"));
    }
    // And back.
    let back = rewrite(&found, |_| renaming(Some("old"), None)).unwrap();
    assert_eq!(list(&back).unwrap(), [plain("old"), plain("old")]);
}

/// The names that Python finds, if it is there.
fn python(bytes: &[u8]) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    std::fs::write(&path, bytes).unwrap();
    let program = "import sys, tarfile\nsys.stdout.reconfigure(encoding='utf-8')\n\
                   for m in tarfile.open(sys.argv[1], encoding='utf-8'): print(m.name)";
    let Ok(run) = Command::new("python3").arg("-c").arg(program).arg(&path).output() else {
        println!("skipped: there is no python3");
        return None;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).unwrap())
}

#[rstest]
#[case::short("new".to_owned())]
#[case::long("n".repeat(150))]
fn a_link_is_changed_in_every_dialect(
    #[case] link: String,
    #[values(posix, gnu, old)] write: fn(u8, &str, &[u8]) -> Vec<u8>,
    #[values(b'1', b'2')] kind: u8,
) {
    let long_path = "p".repeat(120);
    let bytes = archive(&[write(kind, "l", b"")]);
    let action = |_: &TarEntry| renaming(Some(&long_path), Some(&link));
    let found = rewrite(&bytes, action).unwrap();
    let listed = list(&found).unwrap();
    assert_eq!(listed[0].0, long_path);
    assert_eq!(listed[0].2.as_deref(), Some(link.as_str()));
}

#[test]
fn an_action_that_is_not_possible_is_refused() {
    let bytes = archive(&[posix(b'0', "a", TEXT)]);
    let message =
        |action: fn() -> TarAction<'static>| rewrite(&bytes, |_| action()).unwrap_err().to_string();
    assert_eq!(message(|| renaming(None, Some("b"))), "entry `a` cannot be changed");
    let expected = "the entry name `` is empty or contains a zero byte";
    assert_eq!(message(|| renaming(Some(""), None)), expected);
    let edit = || TarAction::Edit { max: 4, edit: Box::new(Ok) };
    assert_eq!(message(edit), "entry `a` is larger than the limit of 4 bytes");
    let failing = || TarAction::Edit { max: 5, edit: Box::new(|_| Err("no version".into())) };
    assert_eq!(message(failing), "entry `a` cannot be changed");
}

#[test]
fn a_new_stream_is_read_back() {
    let mut writer = TarWriter::new(Vec::new(), &Limits::default());
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(150));
    for path in ["a", &long] {
        writer.add(path, 0o644, 7, 5, |out| out.write_all(TEXT).map_err(ArchiveError::Io)).unwrap();
    }
    let mut shorter = TarWriter::new(Vec::new(), &Limits::default());
    assert!(
        shorter.add("a", 0o644, 0, 6, |out| out.write_all(TEXT).map_err(ArchiveError::Io)).is_err()
    );
    let mut longer = TarWriter::new(Vec::new(), &Limits::default());
    assert!(
        longer.add("a", 0o644, 0, 4, |out| out.write_all(TEXT).map_err(ArchiveError::Io)).is_err()
    );
    assert_eq!(list(&writer.finish().unwrap()).unwrap(), [plain("a"), plain(&long)]);
}

#[test]
fn members_are_added_before_the_end() {
    let append = [
        TarAppend { path: b"b".to_vec(), mode: 0o600, mtime: 9, bytes: TEXT.to_vec() },
        TarAppend { path: "é".repeat(200).into_bytes(), mode: 0o644, mtime: 0, bytes: vec![] },
    ];
    for end in [0, 10240] {
        let mut bytes = posix(b'0', "a", TEXT);
        bytes.resize(bytes.len() + end, 0);
        let mut out = Vec::new();
        let keep = &mut |_: &_| Ok(TarAction::Keep);
        rewrite_tar(bytes.as_slice(), &mut out, &Limits::default(), &append, keep).unwrap();
        let mut expected = vec![plain("a"), plain("b")];
        expected.push(("é".repeat(200), TarKind::File, None, vec![]));
        assert_eq!(list(&out).unwrap(), expected);
        assert!(out.starts_with(&bytes[..1024]));
        assert!(out.ends_with(&vec![0; end]));
        if let Some(names) = python(&out) {
            assert_eq!(names, format!("a\nb\n{}\n", "é".repeat(200)));
        }
    }
}

/// A member as the tar crate writes it.
#[derive(Debug, Clone)]
struct File {
    path: String,
    data: Vec<u8>,
    gnu: bool,
}

fn files() -> impl Strategy<Value = Vec<File>> {
    let file = ("[a-cé]{1,60}(/[a-z]{1,60}){0,3}", prop::collection::vec(any::<u8>(), 0..1200))
        .prop_flat_map(|(path, data)| {
            any::<bool>().prop_map(move |gnu| File { path: path.clone(), data: data.clone(), gnu })
        });
    prop::collection::vec(file, 0..6)
}

fn written_by_the_tar_crate(files: &[File]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = if file.gnu { Header::new_gnu() } else { Header::new_ustar() };
        header.set_size(file.data.len() as u64);
        header.set_mode(0o644);
        if file.gnu {
            builder.append_data(&mut header, &file.path, file.data.as_slice()).unwrap();
        } else {
            let size = file.data.len().to_string();
            let records = [("path", file.path.as_bytes()), ("size", size.as_bytes())];
            builder.append_pax_extensions(records).unwrap();
            header.as_old_mut().name[..1].copy_from_slice(b"p");
            header.set_cksum();
            builder.append(&header, file.data.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn read_by_the_tar_crate(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        std::io::copy(&mut entry, &mut data).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), data)
    });
    entries.collect()
}

proptest! {
    #[test]
    fn another_library_reads_what_was_asked_for(
        files in files(),
        edits in prop::collection::vec(0..4_u8, 6),
        data in prop::collection::vec(any::<u8>(), 0..1200),
        top in "[a-zé]{1,120}",
    ) {
        let bytes = written_by_the_tar_crate(&files);
        prop_assert_eq!(&rewrite(&bytes, |_| TarAction::Keep).unwrap(), &bytes);
        let mut expected = Vec::new();
        for (file, edit) in files.into_iter().zip(&edits) {
            let path = format!("{top}/{}", file.path);
            match edit {
                0 => expected.push((file.path, file.data)),
                1 => expected.push((path, file.data)),
                2 => expected.push((path, data.clone())),
                _ => {}
            }
        }
        let run = || {
            let mut edits = edits.iter();
            let mut out = Vec::new();
            rewrite_tar(bytes.as_slice(), &mut out, &Limits::default(), &[], &mut |entry| {
                let path = Some([top.as_bytes(), b"/", entry.path()].concat());
                let data = data.clone();
                Ok(match edits.next() {
                    Some(0) => TarAction::Keep,
                    Some(1) => TarAction::Rename { path, link: None },
                    Some(2) => TarAction::RenameAndEdit {
                        path,
                        link: None,
                        max: 1200,
                        edit: Box::new(move |_| Ok(data)),
                    },
                    _ => TarAction::Remove,
                })
            }).unwrap();
            out
        };
        let out = run();
        prop_assert_eq!(read_by_the_tar_crate(&out), expected);
        prop_assert_eq!(run(), out);
    }
}

#[rstest]
#[case::pax([pax(&[("path", "b")]), posix(b'0', "a", TEXT)].concat())]
#[case::other_pax([pax(&[("mtime", "1.5")]), posix(b'0', "a", TEXT)].concat())]
#[case::global([posix(b'g', "pax", pax_record("comment", "x").as_bytes()), posix(b'0', "a", TEXT)].concat())]
#[case::long_name([long(b'L', "b"), gnu(b'0', "a", TEXT)].concat())]
#[case::long_link_of_a_file([long(b'K', "metadata"), gnu(b'0', "a", TEXT)].concat())]
#[case::prefix(with_field(Header::new_ustar(), 345, b"b"))]
#[case::prefix_of_gnu(with_field(Header::new_gnu(), 345, b"b"))]
#[case::prefix_without_dialect(with_field(Header::new_old(), 345, b"b"))]
#[case::behind_the_name(with_field(Header::new_ustar(), 2, b"b"))]
fn a_plain_stream_has_names_in_one_place(#[case] stream: Vec<u8>) {
    let bytes = archive(&[stream]);
    let read = |mut reader: TarReader<&[u8]>| {
        while reader.next()?.is_some() {}
        Ok::<(), ArchiveError>(())
    };
    read(TarReader::new(&bytes, &Limits::default())).unwrap();
    let error = read(TarReader::plain(&bytes, &Limits::default())).unwrap_err();
    assert!(error.is_input(), "{error:?}");
}

/// A member `a` with other bytes somewhere in its header.
fn with_field(kind: Header, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut header = header(kind, b'0', "a", TEXT.len() as u64);
    header.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
    header.set_cksum();
    member(&header, TEXT)
}

#[test]
fn a_plain_member_is_read_by_a_plain_reader() {
    for part in [posix(b'0', "a", TEXT), gnu(b'0', "a", TEXT), old(b'0', "a", TEXT)] {
        let bytes = archive(&[part]);
        let mut reader = TarReader::plain(&bytes[..], &Limits::default());
        assert_eq!(reader.next().unwrap().unwrap().path(), b"a");
        reader.finish().unwrap();
    }
}

#[rstest]
#[case::nothing(b"", true)]
#[case::zeros(&[0; 9000], true)]
#[case::byte(b"\0\0\0x", false)]
#[case::another_archive(b"a\0", false)]
fn what_follows_the_end_is_seen(#[case] tail: &[u8], #[case] accepted: bool) {
    let bytes = [archive(&[posix(b'0', "a", TEXT)]), tail.to_vec()].concat();
    let reader = TarReader::new(&bytes[..], &Limits::default());
    assert_eq!(reader.finish().is_ok(), accepted);
}
