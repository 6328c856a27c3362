//! What a copied zip archive keeps, and that other programs read it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests panic to fail"
)]

mod raw_zip;

use std::io::{Cursor, Read, Write};
use std::process::Command;

use hayloft_archive::{
    ArchiveError, Comments, DosTime, Duplicates, ExtraFields, Zip, ZipEdit, ZipMerge, ZipOutput,
    ZipRules, ZipWriter,
};
use hayloft_feed::Limits;
use proptest::prelude::*;
use raw_zip::{RawEnd, RawEntry, archive, archive_with, deflate, entry};
use rstest::rstest;

const TEXT: &[u8] = b"hello, hello, hello";

fn field(id: u16, payload: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(payload.len() as u16).to_le_bytes()[..], payload].concat()
}

fn rewrite_with(bytes: &[u8], edits: &[ZipEdit], output: ZipOutput) -> Vec<u8> {
    let mut file = Cursor::new(bytes);
    let rules = ZipRules { duplicates: Duplicates::Allowed };
    let mut zip = Zip::open_with(&mut file, &Limits::default(), &rules).unwrap();
    let mut out = Cursor::new(Vec::new());
    zip.rewrite_with(edits, output, &mut out).unwrap();
    out.into_inner()
}

fn rewrite(bytes: &[u8], edits: &[ZipEdit]) -> Vec<u8> {
    rewrite_with(bytes, edits, ZipOutput::default())
}

/// An archive in which every field has a value of its own.
fn peculiar() -> (Vec<RawEntry>, RawEnd) {
    let peculiar = entry("dir\\a.txt", TEXT).with(|entry| {
        entry.external = 0x81b4_0020;
        entry.internal = 1;
        entry.comment = b"a comment".to_vec();
        entry.local.extra = field(0x5455, b"\x03aaaabbbb");
        entry.central.extra = [field(0x5455, b"\x03aaaa"), vec![0; 2]].concat();
        for header in [&mut entry.local, &mut entry.central] {
            header.made_by = 0x0b3f;
            header.needed = 63;
            header.flags = 4;
        }
    });
    let code_page = entry(b"caf\x82", b"").stored(b"").both(|header| header.date = 0);
    let end = RawEnd { comment: b"whole".to_vec(), ..RawEnd::default() };
    (vec![peculiar, code_page, entry("é", "1").both(|header| header.flags = 1 << 11)], end)
}

#[test]
fn an_archive_without_oddities_is_copied_byte_for_byte() {
    let (entries, end) = peculiar();
    let bytes = archive_with(&entries, &end);
    assert_eq!(rewrite(&bytes, &[]), bytes);
}

#[rstest]
#[case::descriptor(|raw: RawEntry| raw.described(true, false))]
#[case::descriptor_wide(|raw: RawEntry| raw.described(false, true))]
#[case::gap(|raw: RawEntry| raw.with(|entry| entry.gap = b"junk".to_vec()))]
#[case::needless_zip64(|raw: RawEntry| {
    let sizes = [raw.central.size, raw.central.compressed].map(|size| u64::from(size).to_le_bytes());
    let extra = field(1, &sizes.concat());
    raw.both(|header| {
        header.size = u32::MAX;
        header.compressed = u32::MAX;
        header.extra.clone_from(&extra);
    })
})]
fn an_oddity_is_not_copied(#[case] change: fn(RawEntry) -> RawEntry) {
    let plain = [entry("a", TEXT), entry("b", "1")];
    let [first, second] = plain.clone();
    let odd = archive(&[change(first), second]);
    assert_ne!(odd, archive(&plain));
    assert_eq!(rewrite(&odd, &[]), archive(&plain));
}

#[test]
fn a_needless_zip64_end_is_not_copied() {
    let zip64 = Some(raw_zip::Zip64::default());
    let end = RawEnd { zip64, directory_start: Some(u32::MAX), ..RawEnd::default() };
    let bytes = archive_with(&[entry("a", TEXT)], &end);
    assert_eq!(rewrite(&bytes, &[]), archive(&[entry("a", TEXT)]));
}

#[test]
fn local_headers_can_be_made_to_hold_nothing_of_their_own() {
    let hint = |raw: RawEntry| raw.local(|header| header.extra = field(0xa220, &[0; 24]));
    let (mut entries, end) = peculiar();
    let bytes = archive_with(&entries.iter().cloned().map(hint).collect::<Vec<_>>(), &end);
    let output = ZipOutput { extra_fields: ExtraFields::OfDirectory, comments: Comments::Dropped };
    for entry in &mut entries {
        entry.local.extra = entry.central.extra.clone();
        entry.comment.clear();
    }
    assert_eq!(rewrite_with(&bytes, &[], output), archive(&entries));
}

#[test]
fn a_replaced_entry_keeps_its_headers() {
    let (entries, end) = peculiar();
    let bytes = archive_with(&entries, &end);
    let edits = [
        ZipEdit::Replace { index: 1, bytes: b"stored".to_vec() },
        ZipEdit::Replace { index: 0, bytes: TEXT.repeat(9) },
    ];
    let [first, second, third] = <[RawEntry; 3]>::try_from(entries).unwrap();
    let new = entry("", TEXT.repeat(9));
    let first = first
        .both(|header| {
            header.flags = 0;
            header.crc = new.local.crc;
            header.compressed = new.local.compressed;
            header.size = new.local.size;
        })
        .with(|entry| entry.data = deflate(&TEXT.repeat(9)));
    let second = second
        .both(|header| {
            header.crc = crc32fast::hash(b"stored");
            header.compressed = 6;
            header.size = 6;
        })
        .with(|entry| entry.data = b"stored".to_vec());
    let expected = [first, second, third];
    assert_eq!(rewrite(&bytes, &edits), archive_with(&expected, &end));
}

#[test]
fn a_renamed_entry_keeps_its_data_and_loses_its_second_spelling() {
    let crc = crc32fast::hash(b"a").to_le_bytes();
    let extra = [field(0x7075, &[&[1][..], &crc, b"a"].concat()), field(9, b"x")].concat();
    let old = entry("a", TEXT).both(|header| header.extra.clone_from(&extra));
    let edits = [ZipEdit::Rename { index: 0, name: "b/é".into() }];
    let expected = entry("b/é", TEXT).both(|header| {
        header.flags = 1 << 11;
        header.extra = field(9, b"x");
    });
    assert_eq!(rewrite(&archive(&[old]), &edits), archive(&[expected]));
}

#[test]
fn entries_are_removed_and_appended() {
    let bytes = archive(&["a", "b", "c"].map(|name| entry(name, name)));
    let edits = [
        ZipEdit::Append { name: "d/e".into(), bytes: TEXT.to_vec() },
        ZipEdit::Remove { index: 1 },
        ZipEdit::ReplaceAndRename { index: 2, name: "b".into(), bytes: b"new".to_vec() },
    ];
    let mut file = Cursor::new(rewrite(&bytes, &edits));
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    let names: Vec<_> = zip.entries().iter().map(|entry| entry.name().to_owned()).collect();
    assert_eq!(names, ["a", "b", "d/e"]);
    assert_eq!(zip.read(1, 9).unwrap(), b"new");
    assert_eq!(zip.read(2, 99).unwrap(), TEXT);
    let appended = &zip.entries()[2];
    assert_eq!(appended.unix_mode(), Some(0o100_644));
    assert_eq!(appended.modified(), Some(DosTime::EARLIEST));
    assert!(!appended.is_stored());
}

#[rstest]
#[case::missing(vec![ZipEdit::Remove { index: 2 }], "entry number 2 is not there or is changed twice")]
#[case::twice(
    vec![ZipEdit::Remove { index: 0 }, ZipEdit::Replace { index: 0, bytes: vec![] }],
    "entry number 0 is not there or is changed twice"
)]
#[case::taken(
    vec![ZipEdit::Rename { index: 0, name: "B".into() }],
    "there is more than one entry `B`"
)]
#[case::appended_twice(
    vec![
        ZipEdit::Append { name: "c".into(), bytes: vec![] },
        ZipEdit::Append { name: "c/".into(), bytes: vec![] },
    ],
    "there is more than one entry `c/`"
)]
#[case::traversal(
    vec![ZipEdit::Append { name: "..\\c".into(), bytes: vec![] }],
    "the entry name `..\\c` contains `..`"
)]
#[case::long(
    vec![ZipEdit::Append { name: "x".repeat(4097), bytes: vec![] }],
    "the entry name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is longer than the limit"
)]
fn an_edit_that_is_not_possible_is_refused(#[case] edits: Vec<ZipEdit>, #[case] expected: &str) {
    let mut file = Cursor::new(archive(&[entry("a", "1"), entry("b", "2")]));
    let rules = ZipRules { duplicates: Duplicates::IgnoringCase };
    let mut zip = Zip::open_with(&mut file, &Limits::default(), &rules).unwrap();
    let mut out = Cursor::new(Vec::new());
    assert_eq!(zip.rewrite(&edits, &mut out).unwrap_err().to_string(), expected);
    assert_eq!(out.into_inner(), b"");
}

#[test]
fn two_entries_can_change_names() {
    let bytes = archive(&[entry("a", "1"), entry("b", "2")]);
    let edits = [
        ZipEdit::Rename { index: 0, name: "b".into() },
        ZipEdit::Rename { index: 1, name: "a".into() },
    ];
    assert_eq!(rewrite(&bytes, &edits), archive(&[entry("b", "1"), entry("a", "2")]));
}

#[test]
fn a_writer_refuses_what_a_reader_would() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    writer.add("a/b", None, &mut &*TEXT).unwrap();
    assert!(matches!(writer.add("a//b", None, &mut &*TEXT), Err(ArchiveError::Duplicate { .. })));
    assert!(matches!(writer.add("../b", None, &mut &*TEXT), Err(ArchiveError::Name { .. })));
    assert!(matches!(writer.add("c/", None, &mut &*TEXT), Err(ArchiveError::Name { .. })));
}

#[test]
fn a_writer_begins_where_its_output_stands() {
    let mut out = Cursor::new(b"####".to_vec());
    out.set_position(4);
    let mut writer = ZipWriter::new(out).unwrap();
    let time = DosTime::new(2024, 2, 29, 12, 30, 58);
    writer.add("d/", time, &mut std::io::empty()).unwrap();
    writer.add("d/é", time, &mut &*TEXT).unwrap();
    writer.add_sized("large", None, u64::MAX, &mut &*TEXT).unwrap();
    let out = writer.finish().unwrap();
    assert_eq!(out.position(), out.get_ref().len() as u64);
    let mut file = Cursor::new(&out.get_ref()[4..]);
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    assert_eq!(zip.read(1, 99).unwrap(), TEXT);
    assert_eq!(zip.read(2, 99).unwrap(), TEXT);
    assert_eq!(zip.entries()[1].modified(), time);
    let python = python(&out.get_ref()[4..], "print([i.filename for i in z.infolist()])");
    if let Some(python) = python {
        assert_eq!(python, "['d/', 'd/é', 'large']\n");
    }
}

/// Runs a script over an archive `z` in Python, if that is there.
fn python(bytes: &[u8], script: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.zip");
    std::fs::write(&path, bytes).unwrap();
    let program = format!(
        "import sys, zipfile\nsys.stdout.reconfigure(encoding='utf-8')\n\
         z = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n{script}"
    );
    let run = Command::new("python3").arg("-c").arg(program).arg(&path).output();
    let Ok(run) = run else {
        println!("skipped: there is no python3");
        return None;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).unwrap())
}

#[test]
fn python_reads_a_copy_as_it_reads_the_original() {
    let (entries, end) = peculiar();
    let mut odd = entries.clone();
    odd.push(entry("more", TEXT.repeat(50)).described(true, false));
    let bytes = archive_with(&odd, &end);
    let script = "for i in z.infolist():\n print(i.filename, i.date_time, i.compress_type, \
                  i.comment, i.extra, i.create_system, i.extract_version, i.external_attr, \
                  i.internal_attr, i.CRC, i.compress_size, i.file_size, z.read(i))\n\
                  print(z.comment)";
    if let Some(original) = python(&bytes, script) {
        assert_eq!(python(&rewrite(&bytes, &[]), script).unwrap(), original);
    }
}

/// A file tree as another library writes it.
#[derive(Debug, Clone)]
struct File {
    name: String,
    content: Vec<u8>,
    stored: bool,
    mode: u32,
}

fn file() -> impl Strategy<Value = File> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..5000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    ("[a-cé]{1,3}(/[a-z]{1,4}){0,2}", content, any::<bool>(), 0o600..0o777_u32)
        .prop_map(|(name, content, stored, mode)| File { name, content, stored, mode })
}

fn files() -> impl Strategy<Value = Vec<File>> {
    prop::collection::vec(file(), 0..8).prop_map(|files| {
        let mut seen = std::collections::HashSet::new();
        files.into_iter().filter(|file| seen.insert(file.name.clone())).collect()
    })
}

fn written_by_the_zip_crate(files: &[File]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let method = if file.stored {
            zip::CompressionMethod::Stored
        } else {
            zip::CompressionMethod::Deflated
        };
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(method)
            .unix_permissions(file.mode)
            .large_file(file.content.len() % 2 == 1);
        writer.start_file(&*file.name, options).unwrap();
        writer.write_all(&file.content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read_by_the_zip_crate(bytes: &[u8]) -> Vec<(String, Vec<u8>, Option<u32>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    zip.validate_header_consistency().unwrap();
    (0..zip.len())
        .map(|index| {
            let mut file = zip.by_index(index).unwrap();
            let mut content = Vec::new();
            std::io::copy(&mut file, &mut content).unwrap();
            (file.name().unwrap().into_owned(), content, file.unix_mode())
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Edit {
    Keep,
    Replace(Vec<u8>),
    Remove,
    Rename,
    ReplaceAndRename(Vec<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        Just(Edit::Keep),
        bytes().prop_map(Edit::Replace),
        Just(Edit::Remove),
        Just(Edit::Rename),
        bytes().prop_map(Edit::ReplaceAndRename),
    ]
}

proptest! {
    #[test]
    fn another_library_reads_what_was_asked_for(
        files in files(),
        edits in prop::collection::vec(edit(), 8),
        appended in prop::option::of(prop::collection::vec(any::<u8>(), 0..100)),
    ) {
        let bytes = written_by_the_zip_crate(&files);
        let mut orders = Vec::new();
        let mut expected = Vec::new();
        for (index, (file, edit)) in files.iter().zip(edits).enumerate() {
            let name = format!("renamed/é{index}");
            let mode = Some(0o100_000 | file.mode);
            let (old, content) = (file.name.clone(), file.content.clone());
            match edit {
                Edit::Keep => expected.push((old, content, mode)),
                Edit::Remove => orders.push(ZipEdit::Remove { index }),
                Edit::Replace(bytes) => {
                    orders.push(ZipEdit::Replace { index, bytes: bytes.clone() });
                    expected.push((old, bytes, mode));
                }
                Edit::Rename => {
                    orders.push(ZipEdit::Rename { index, name: name.clone() });
                    expected.push((name, content, mode));
                }
                Edit::ReplaceAndRename(bytes) => {
                    let edit = ZipEdit::ReplaceAndRename {
                        index,
                        name: name.clone(),
                        bytes: bytes.clone(),
                    };
                    orders.push(edit);
                    expected.push((name, bytes, mode));
                }
            }
        }
        if let Some(bytes) = appended {
            let name = "appended".to_owned();
            orders.push(ZipEdit::Append { name: name.clone(), bytes: bytes.clone() });
            expected.push((name, bytes, Some(0o100_644)));
        }
        let out = rewrite(&bytes, &orders);
        prop_assert_eq!(read_by_the_zip_crate(&out), expected);
        prop_assert_eq!(rewrite(&bytes, &orders), out.clone());
        prop_assert_eq!(rewrite(&out, &[]), out);
    }

    #[test]
    fn another_library_reads_what_the_writer_wrote(files in files()) {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
        for file in &files {
            // In two pieces: how a reader cuts must not show.
            let (head, tail) = file.content.split_at(file.content.len() / 3);
            writer.add(&file.name, None, &mut head.chain(tail)).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
        for file in &files {
            writer.add(&file.name, None, &mut file.content.as_slice()).unwrap();
        }
        prop_assert_eq!(&writer.finish().unwrap().into_inner(), &bytes);
        let expected: Vec<_> = files
            .into_iter()
            .map(|file| (file.name, file.content, Some(0o100_644)))
            .collect();
        prop_assert_eq!(read_by_the_zip_crate(&bytes), expected);
        prop_assert_eq!(rewrite(&bytes, &[]), bytes);
    }
}

#[test]
fn entries_of_several_archives_come_into_one() {
    let mut first = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    first.add("a/x", None, &mut vec![7; 100_000].as_slice()).unwrap();
    let mut second = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    second.add("y", None, &mut &b"why"[..]).unwrap();
    let (mut first, mut second) = (first.finish().unwrap(), second.finish().unwrap());
    let limits = Limits::default();
    let mut out = Vec::new();
    let mut merge = ZipMerge::new(&mut out);
    merge.add("new", b"text").unwrap();
    merge.copy(&mut Zip::open(&mut first, &limits).unwrap(), 0, "b/x").unwrap();
    merge.copy(&mut Zip::open(&mut second, &limits).unwrap(), 0, "y").unwrap();
    assert!(merge.add("../out", b"").is_err());
    merge.finish().unwrap();
    let mut out = Cursor::new(out);
    let mut zip = Zip::open(&mut out, &limits).unwrap();
    let names: Vec<_> = zip.entries().iter().map(|entry| entry.name().to_owned()).collect();
    assert_eq!(names, ["new", "b/x", "y"]);
    assert_eq!(zip.read(0, 10).unwrap(), b"text");
    assert_eq!(zip.read(1, 1 << 20).unwrap(), vec![7; 100_000]);
    assert_eq!(zip.read(2, 10).unwrap(), b"why");
}
