//! What reading and rewriting a package takes is charged before it is taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests panic to fail")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use hayloft_archive::{Compression, encoder};
use hayloft_debian::Debian;
use hayloft_feed::{
    Account, FeedType, FeedTypeError, HistoryEntry, Limits, Repackage, Terms, Upload,
};
use hayloft_testkit::digests;
use rstest::rstest;

/// Buffers and tables that do not grow with the input.
const FIXED: u64 = 1 << 20;

fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = encoder(compression, Box::new(&mut out)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.finish().unwrap();
    out
}

/// A package whose `control` has so many fields more.
fn package(extension: &str, compression: Compression, fields: usize) -> Vec<u8> {
    let mut control = "Package: hay\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@b>\n\
        Description: d\n"
        .to_owned();
    for number in 0..fields {
        writeln!(control, "X{number:x}:b").unwrap();
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(control.len()).unwrap());
    header.set_mode(0o644);
    tar.append_data(&mut header, "control", control.as_bytes()).unwrap();
    let tar = packed(compression, &tar.into_inner().unwrap());
    let mut out = b"!<arch>\n".to_vec();
    let data = packed(Compression::Gzip, &[0; 1024]);
    let name = format!("control.tar.{extension}");
    let members = [("debian-binary", &b"2.0\n"[..]), (&name, &tar), ("data.tar.gz", &data)];
    for (name, data) in members {
        let head =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, data.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(data);
        if data.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn inspect(bytes: &[u8], limits: &Limits) -> Result<hayloft_feed::Identity, FeedTypeError> {
    let content = &mut Cursor::new(bytes);
    let digests = &digests(b"");
    let hints = &BTreeMap::from([("distribution".to_owned(), "sid".to_owned())]);
    let upload =
        Upload::new(content, u64::try_from(bytes.len()).unwrap(), digests).with_hints(hints);
    Ok(Debian.inspect(upload, limits)?.identity)
}

fn repackage(bytes: &[u8], limits: &Limits) -> Result<(), FeedTypeError> {
    let from = inspect(bytes, &Limits::default())?;
    let to = Debian.retarget(&from, &Debian.version("2.0")?)?;
    let source = &mut Cursor::new(bytes);
    let entry = &HistoryEntry::of("hay:1.0");
    let out = &mut Cursor::new(Vec::new());
    let order = Repackage::new(source, u64::try_from(bytes.len()).unwrap(), &from, &to, entry, out);
    Debian.repackage(order, limits).map(drop)
}

type Work<'w> = &'w dyn Fn(&Limits) -> Result<(), FeedTypeError>;

/// The least memory under which `work` succeeds, in steps of a quarter.
fn charged(work: Work<'_>) -> u64 {
    let mut memory = 64;
    loop {
        let mut terms = Terms::default();
        terms.memory = memory;
        let mut limits = Limits::default();
        limits.account = Account::new(terms);
        let result = work(&limits);
        match (result, limits.account.exhausted()) {
            (Ok(()), _) => return memory,
            (Err(_), Some(_)) => memory += memory / 4,
            (Err(error), None) => panic!("{error}"),
        }
    }
}

#[rstest]
#[case::gzip("gz", Compression::Gzip)]
#[case::xz("xz", Compression::Xz)]
#[case::zstd("zst", Compression::Zstd)]
fn no_more_is_taken_than_charged(#[case] extension: &str, #[case] compression: Compression) {
    for fields in [0, 1_000, 10_000] {
        let bytes = package(extension, compression, fields);
        let inspects = |limits: &Limits| inspect(&bytes, limits).map(drop);
        let repackages = |limits: &Limits| repackage(&bytes, limits);
        let works: [(&str, Work<'_>); 2] = [("inspect", &inspects), ("repackage", &repackages)];
        for (what, work) in works {
            let taken = allocation_counter::measure(|| work(&Limits::default()).unwrap());
            let (taken, charged) = (taken.bytes_max, charged(work));
            assert!(
                taken <= charged + FIXED,
                "{what} with {fields} fields took {taken} bytes, charged {charged}"
            );
        }
    }
}
