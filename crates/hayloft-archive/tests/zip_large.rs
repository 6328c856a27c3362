//! Archives with more entries and bytes than zip had room for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use hayloft_archive::{Zip, ZipEdit, ZipWriter};
use hayloft_feed::{Limits, ReadSeek, WriteSeek};

/// A file that keeps only the blocks that are not zeros.
#[derive(Debug, Default)]
struct Sparse {
    blocks: BTreeMap<u64, Vec<u8>>,
    length: u64,
    at: u64,
}

const BLOCK: u64 = 64 << 10;
static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

impl Sparse {
    /// The block at the present position, the place in it, and how much may be used.
    fn place(&self, wanted: usize) -> (u64, usize, usize) {
        let within = (self.at % BLOCK) as usize;
        (self.at - within as u64, within, wanted.min(BLOCK as usize - within))
    }
}

impl Read for Sparse {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at).min(into.len() as u64) as usize;
        let (block, within, length) = self.place(left);
        match self.blocks.get(&block) {
            Some(bytes) => into[..length].copy_from_slice(&bytes[within..within + length]),
            None => into[..length].copy_from_slice(&ZEROS[..length]),
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (block, within, length) = self.place(bytes.len());
        let bytes = &bytes[..length];
        if bytes != &ZEROS[..length] || self.blocks.contains_key(&block) {
            let stored = self.blocks.entry(block).or_insert_with(|| ZEROS.to_vec());
            stored[within..within + length].copy_from_slice(bytes);
        }
        self.at += length as u64;
        self.length = self.length.max(self.at);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.length.checked_add_signed(by).unwrap(),
            SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
        };
        Ok(self.at)
    }
}

const HUGE: u64 = (4 << 30) + 5;

/// Two stored entries, the first too large for 32 bits, the second beyond them.
fn huge() -> Sparse {
    let mut file = Sparse::default();
    let sizes = [HUGE.to_le_bytes(), HUGE.to_le_bytes()].concat();
    let header = |name: &str, large: bool, central: bool| {
        let size = if large { u32::MAX } else { 0 };
        let mut bytes = vec![45, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&[size.to_le_bytes(), size.to_le_bytes()].concat());
        bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
        let extra: u16 = match (large, central) {
            (true, _) => 20,
            (false, true) => 12,
            (false, false) => 0,
        };
        bytes.extend_from_slice(&extra.to_le_bytes());
        bytes
    };
    file.write_all(b"PK\x03\x04").unwrap();
    file.write_all(&header("huge", true, false)).unwrap();
    file.write_all(b"huge\x01\0\x10\0").unwrap();
    file.write_all(&sizes).unwrap();
    file.seek(SeekFrom::Current(HUGE.cast_signed())).unwrap();
    let second = file.at;
    file.write_all(b"PK\x03\x04").unwrap();
    file.write_all(&header("b", false, false)).unwrap();
    file.write_all(b"b").unwrap();
    let directory = file.at;
    let tail = |offset: u32| [&[0; 10][..], &offset.to_le_bytes()].concat();
    file.write_all(b"PK\x01\x02\x2d\x03").unwrap();
    file.write_all(&header("huge", true, true)).unwrap();
    file.write_all(&tail(0)).unwrap();
    file.write_all(b"huge\x01\0\x10\0").unwrap();
    file.write_all(&sizes).unwrap();
    file.write_all(b"PK\x01\x02\x2d\x03").unwrap();
    file.write_all(&header("b", false, true)).unwrap();
    file.write_all(&tail(u32::MAX)).unwrap();
    file.write_all(b"b\x01\0\x08\0").unwrap();
    file.write_all(&second.to_le_bytes()).unwrap();
    let length = file.at - directory;
    let record = file.at;
    file.write_all(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0").unwrap();
    for field in [2, 2, length, directory] {
        file.write_all(&field.to_le_bytes()).unwrap();
    }
    file.write_all(b"PK\x06\x07\0\0\0\0").unwrap();
    file.write_all(&record.to_le_bytes()).unwrap();
    file.write_all(b"\x01\0\0\0PK\x05\x06\0\0\0\0\x02\0\x02\0").unwrap();
    file.write_all(&(length as u32).to_le_bytes()).unwrap();
    file.write_all(&[0xff, 0xff, 0xff, 0xff, 0, 0]).unwrap();
    file
}

#[test]
fn sizes_and_offsets_beyond_32_bits_are_copied() {
    let mut file = huge();
    let mut out = Sparse::default();
    {
        let content: &mut dyn ReadSeek = &mut file;
        let mut zip = Zip::open(content, &Limits::default()).unwrap();
        assert_eq!(zip.entries()[0].size(), HUGE);
        assert!(zip.layout().records[1].local.start > u64::from(u32::MAX));
        let target: &mut dyn WriteSeek = &mut out;
        zip.rewrite(&[], target).unwrap();
    }
    assert_eq!(out.length, file.length);
    assert_eq!(out.blocks, file.blocks);
}

#[test]
fn a_hundred_thousand_entries_are_written_read_and_copied() {
    const COUNT: usize = 100_000;
    let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    for number in 0..COUNT {
        let name = format!("package/some/directory/file-{number}.txt");
        writer.add(&name, None, &mut name.as_bytes()).unwrap();
    }
    let mut file = writer.finish().unwrap();
    let bytes = file.get_ref().clone();
    let mut zip = Zip::open(&mut file, &Limits::default()).unwrap();
    assert_eq!(zip.entries().len(), COUNT);
    assert!(zip.layout().zip64_end.is_some());
    let index = zip.find("package/some/directory/file-77777.txt").unwrap();
    assert_eq!(index, 77777);
    assert_eq!(zip.read(index, 100).unwrap(), b"package/some/directory/file-77777.txt");

    let mut copy = Cursor::new(Vec::new());
    zip.rewrite(&[], &mut copy).unwrap();
    assert!(copy.get_ref() == &bytes, "the copy differs");

    // Few enough entries for a plain end record.
    let edits: Vec<_> = (0..COUNT - 65_534).map(|index| ZipEdit::Remove { index }).collect();
    let mut fewer = Cursor::new(Vec::new());
    zip.rewrite(&edits, &mut fewer).unwrap();
    let zip = Zip::open(&mut fewer, &Limits::default()).unwrap();
    assert_eq!(zip.entries().len(), 65_534);
    assert_eq!(zip.layout().zip64_end, None);
}
