//! Damaged archives are refused or read, but never a panic or a failure of the storage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

mod raw_zip;

use std::io::{Cursor, Write};

use hayloft_archive::{
    ArWriter, ArchiveError, Compression, TarAction, TarAppend, TarReader, Zip, decoder, encoder,
    read_ar, rewrite_tar,
};
use hayloft_feed::Limits;
use raw_zip::{RawEnd, Zip64, archive_with, entry};
use rstest::rstest;

const TEXT: &[u8] = b"hello, hello, hello";

fn zip() -> Vec<u8> {
    let entries = [
        entry("a\\b", TEXT).both(|header| header.extra = b"\x55\x54\x01\0x".to_vec()),
        entry("c", TEXT).stored(TEXT).described(true, false),
        entry("d", "").described(false, true),
    ];
    let end =
        RawEnd { comment: b"note".to_vec(), zip64: Some(Zip64::default()), ..RawEnd::default() };
    archive_with(&entries, &end)
}

fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(TEXT.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "x".repeat(120), TEXT).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(TEXT.len() as u64);
    let pax = [("path", "y/é".as_bytes()), ("size", b"19")];
    builder.append_pax_extensions(pax).unwrap();
    builder.append_data(&mut header, "y", TEXT).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "z", "y").unwrap();
    builder.into_inner().unwrap()
}

fn ar() -> Vec<u8> {
    let mut writer = ArWriter::new(Vec::new()).unwrap();
    writer.add_member("debian-binary", 0, 0o100_644, 4, &mut &b"2.0\n"[..]).unwrap();
    writer.add_member("data.tar", 0, 0o100_644, 19, &mut &*TEXT).unwrap();
    writer.finish().unwrap()
}

fn compressed(compression: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = encoder(compression, Box::new(&mut out)).unwrap();
    encoder.write_all(&TEXT.repeat(20)).unwrap();
    encoder.finish().unwrap();
    out
}

fn try_zip(bytes: &[u8]) -> Result<(), ArchiveError> {
    let mut file = Cursor::new(bytes);
    let mut zip = Zip::open(&mut file, &Limits::default())?;
    for index in 0..zip.entries().len() {
        zip.read(index, 1 << 20)?;
    }
    zip.rewrite(&[], &mut Cursor::new(Vec::new()))
}

fn try_tar(bytes: &[u8]) -> Result<(), ArchiveError> {
    let limits = Limits::default();
    let mut reader = TarReader::new(bytes, &limits);
    while let Some(mut member) = reader.next()? {
        member.read(1 << 20)?;
    }
    let append = TarAppend { path: b"added".to_vec(), mode: 0o644, mtime: 0, bytes: TEXT.to_vec() };
    rewrite_tar(bytes, Vec::new(), &limits, &[append], &mut |entry| {
        Ok(TarAction::RenameAndEdit {
            path: Some([entry.path(), b"/renamed"].concat()),
            link: entry.link().map(|link| [link, b"/renamed"].concat()),
            max: 1 << 20,
            edit: Box::new(|mut data| {
                data.extend_from_slice(TEXT);
                Ok(data)
            }),
        })
    })
}

fn try_ar(bytes: &[u8]) -> Result<(), ArchiveError> {
    read_ar(&mut Cursor::new(bytes), &Limits::default()).map(drop)
}

fn try_decoder(compression: Compression, bytes: &[u8]) -> Result<(), ArchiveError> {
    let mut limits = Limits::default();
    limits.unpacked = 1 << 20;
    limits.window = 16 << 20;
    let mut decoder = decoder(compression, Box::new(bytes), &limits)?;
    std::io::copy(&mut decoder, &mut std::io::sink()).map(drop).map_err(ArchiveError::from_io)
}

/// What is made of the bytes.
type Reader = fn(&[u8]) -> Result<(), ArchiveError>;

#[rstest]
#[case::zip(zip(), try_zip)]
#[case::tar(tar(), try_tar)]
#[case::ar(ar(), try_ar)]
#[case::gzip(compressed(Compression::Gzip), |bytes: &[u8]| try_decoder(Compression::Gzip, bytes))]
#[case::xz(compressed(Compression::Xz), |bytes: &[u8]| try_decoder(Compression::Xz, bytes))]
#[case::zstd(compressed(Compression::Zstd), |bytes: &[u8]| try_decoder(Compression::Zstd, bytes))]
fn damage_is_survived(#[case] bytes: Vec<u8>, #[case] read: Reader) {
    read(&bytes).unwrap();
    let check = |damaged: &[u8]| {
        if let Err(error) = read(damaged) {
            assert!(error.is_input(), "{error:?}");
        }
    };
    for length in 0..bytes.len() {
        check(&bytes[..length]);
    }
    let mut damaged = bytes;
    for at in 0..damaged.len() {
        let old = damaged[at];
        for new in [old ^ 1, !old, 0] {
            damaged[at] = new;
            check(&damaged);
        }
        damaged[at] = old;
    }
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
fn a_stream_that_is_cut_off_is_refused(#[case] compression: Compression) {
    let bytes = compressed(compression);
    for length in 0..bytes.len() {
        let error = try_decoder(compression, &bytes[..length]).expect_err("cut off");
        assert!(matches!(error, ArchiveError::Compressed { .. }), "{length}: {error:?}");
    }
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
fn other_data_is_never_decompressed_unnoticed(#[case] compression: Compression) {
    let bytes = compressed(compression);
    let content = |bytes: &[u8]| {
        let mut out = Vec::new();
        let mut decoder = decoder(compression, Box::new(bytes), &Limits::default()).unwrap();
        std::io::copy(&mut decoder, &mut out).ok().map(|_| out)
    };
    let expected = content(&bytes);
    assert!(expected.is_some());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let found = content(&damaged);
        assert!(found.is_none() || found == expected, "byte {at}");
    }
}
