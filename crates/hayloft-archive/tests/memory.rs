//! What archives take is charged before it is taken, so that a budget for all of them holds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::io::{self, Cursor, Read, Write};

use hayloft_archive::{
    ArchiveError, Compression, TarReader, Zip, ZipWriter, decoder, encoder, read_ar,
};
use hayloft_feed::{Account, Exhausted, Limits, Terms};
use rstest::rstest;

/// Buffers and tables that do not grow with the input.
const FIXED: u64 = 700 << 10;

fn limits(change: impl FnOnce(&mut Terms)) -> Limits {
    let mut terms = Terms::default();
    change(&mut terms);
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    limits
}

/// The least memory on the account under which `work` succeeds, in steps of a quarter; and what it
/// really takes.
fn cost(work: impl Fn(&Limits) -> Result<(), ArchiveError>) -> (u64, u64) {
    let taken = allocation_counter::measure(|| work(&Limits::default()).unwrap()).bytes_max;
    let mut memory = 64;
    while let Err(error) = work(&limits(|terms| terms.memory = memory)) {
        assert!(matches!(error, ArchiveError::Exhausted(Exhausted::Memory { .. })), "{error}");
        memory += memory / 4;
    }
    (memory, taken)
}

fn assert_charged(work: impl Fn(&Limits) -> Result<(), ArchiveError>) {
    let (charged, taken) = cost(work);
    assert!(taken <= charged + FIXED, "took {taken} bytes, charged {charged}");
    assert!(charged <= 4 * taken + FIXED, "took {taken} bytes, charged {charged}");
}

fn compressed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = encoder(compression, Box::new(&mut out)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    out
}

/// Bytes that no compressor makes small.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    };
    (0..length).map(|_| next()).collect()
}

fn drain(compression: Compression, bytes: &[u8], limits: &Limits) -> Result<(), ArchiveError> {
    let mut stream = decoder(compression, Box::new(bytes), limits)?;
    io::copy(&mut stream, &mut io::sink()).map(drop).map_err(ArchiveError::from_io)
}

#[rstest]
#[case::few(10)]
#[case::many(20_000)]
fn a_zip_directory_is_charged(#[case] entries: usize) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    for number in 0..entries {
        writer.add(&format!("{number:x}"), None, &mut io::empty()).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    assert_charged(|limits| Zip::open(&mut Cursor::new(&bytes), limits).map(drop));
}

#[test]
fn what_is_read_of_an_archive_is_charged() {
    let data = noise(5 << 20);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    writer.add("data", None, &mut data.as_slice()).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    assert_charged(|limits| Zip::open(&mut Cursor::new(&zip), limits)?.read(0, 8 << 20).map(drop));

    let mut header = tar::Header::new_ustar();
    header.set_path("data").unwrap();
    header.set_size(5 << 20);
    header.set_cksum();
    let tar = [header.as_bytes().as_slice(), &data, &[0; 1024]].concat();
    assert_charged(|limits| {
        let mut reader = TarReader::new(tar.as_slice(), limits);
        reader.next()?.unwrap().read(8 << 20).map(drop)
    });
}

#[test]
fn members_of_ar_are_charged() {
    let member = format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "a", 0, 0, 0, 0, 0);
    let ar = format!("!<arch>\n{}", member.repeat(100_000));
    assert_charged(|limits| read_ar(&mut Cursor::new(ar.as_bytes()), limits).map(drop));
}

#[rstest]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
#[case::gzip(Compression::Gzip)]
fn the_window_of_a_decompressor_is_charged(#[case] compression: Compression) {
    let bytes = compressed(compression, &noise(12 << 20));
    assert_charged(|limits| drain(compression, &bytes, limits));
}

/// A frame with a window of 64 MiB around one byte.
const WIDE: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0, (26 - 10) << 3, 0x09, 0, 0, b'x'];

#[test]
fn a_wide_window_is_charged_before_it_is_taken() {
    drain(Compression::Zstd, WIDE, &Limits::default()).unwrap();
    let small = limits(|terms| terms.memory = 1 << 20);
    let taken = allocation_counter::measure(|| {
        drain(Compression::Zstd, WIDE, &small).unwrap_err();
    });
    assert!(taken.bytes_max < FIXED, "{}", taken.bytes_max);
    assert_eq!(small.account.exhausted(), Some(Exhausted::Memory { limit: 1 << 20 }));
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
fn swollen_data_is_given_up(#[case] compression: Compression) {
    let zeros = compressed(compression, &vec![0; 8 << 20]);
    let tight = limits(|terms| (terms.unfolded, terms.ratio) = (1 << 20, 10));
    let mut stream = decoder(compression, Box::new(zeros.as_slice()), &tight).unwrap();
    let mut seen = 0;
    let error = loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => panic!("it was read to its end"),
            Ok(read) => seen += read,
            Err(error) => break ArchiveError::from_io(error),
        }
    };
    assert!(matches!(error, ArchiveError::Exhausted(Exhausted::Swollen)), "{error}");
    assert!(seen < 2 << 20, "{seen}");
    drain(compression, &zeros, &limits(|terms| (terms.unfolded, terms.ratio) = (8 << 20, 0)))
        .unwrap();
    let dense = compressed(compression, &noise(1 << 20));
    drain(compression, &dense, &limits(|terms| (terms.unfolded, terms.ratio) = (1000, 2))).unwrap();
}

#[test]
fn a_swollen_entry_of_a_zip_is_given_up() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    writer.add("zeros", None, &mut io::repeat(0).take(4 << 20)).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let tight = limits(|terms| (terms.unfolded, terms.ratio) = (1 << 20, 10));
    let mut content = Cursor::new(&bytes);
    let error = Zip::open(&mut content, &tight).unwrap().read(0, 8 << 20).unwrap_err();
    assert!(matches!(error, ArchiveError::Exhausted(Exhausted::Swollen)), "{error}");
}
