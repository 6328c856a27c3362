//! Compressed streams against the programs that people use, and under limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use hayloft_archive::{ArchiveError, Compression, Trailing, decoder, decoder_with, encoder};
use hayloft_feed::{Account, Limits, Terms};
use proptest::prelude::*;
use rstest::rstest;

fn compress(compression: Compression, data: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = encoder(compression, Box::new(&mut out)).unwrap();
    for piece in data.chunks(piece.max(1)) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap();
    out
}

fn decompress_with(
    compression: Compression,
    bytes: &[u8],
    limits: &Limits,
    trailing: Trailing,
) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Vec::new();
    let mut decoder = decoder_with(compression, Box::new(bytes), limits, trailing)?;
    io::copy(&mut decoder, &mut out).map_err(ArchiveError::from_io)?;
    Ok(out)
}

fn decompress(compression: Compression, bytes: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    decompress_with(compression, bytes, &Limits::default(), Trailing::default())
}

/// Runs a filter program, if it is there.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no {program}");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} failed");
    Some(output.stdout)
}

/// Something between noise and zeros, larger than the blocks of any format.
fn sample() -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::new();
    while bytes.len() < 200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(format!("{} line {}\n", state >> 28, state >> 20).as_bytes());
    }
    bytes
}

#[rstest]
#[case::gzip(Compression::Gzip, "gzip")]
#[case::xz(Compression::Xz, "xz")]
#[case::zstd(Compression::Zstd, "zstd")]
fn the_usual_program_understands_both_directions(
    #[case] compression: Compression,
    #[case] program: &str,
) {
    let sample = sample();
    for data in [b"".as_slice(), b"x", &sample] {
        let ours = compress(compression, data, 10_000);
        assert_eq!(decompress(compression, &ours).unwrap(), data);
        if let Some(theirs) = filter(program, &["-dc"], &ours) {
            assert!(theirs == data);
        }
        if let Some(theirs) = filter(program, &["-c"], data) {
            assert!(decompress(compression, &theirs).unwrap() == data);
            assert_eq!(Compression::sniff(&theirs), Some(compression));
        }
    }
}

#[rstest]
#[case::best("-19")]
#[case::fast("-1")]
#[case::long("--long=24")]
#[case::no_checksum("--no-check")]
fn every_kind_of_zstd_is_read(#[case] option: &str) {
    let sample = sample();
    if let Some(theirs) = filter("zstd", &["-c", option], &sample) {
        assert!(decompress(Compression::Zstd, &theirs).unwrap() == sample);
    }
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
#[case::plain(Compression::None)]
fn concatenated_streams_read_as_one(#[case] compression: Compression) {
    let parts = ["one", "", "two"].map(|part| compress(compression, part.as_bytes(), 9));
    assert_eq!(decompress(compression, &parts.concat()).unwrap(), b"onetwo");
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
fn more_than_the_limit_is_too_large(#[case] compression: Compression) {
    let mut limits = Limits::default();
    limits.unpacked = 1000;
    let exact = compress(compression, &[0; 1000], 1000);
    let read = |bytes: &[u8]| decompress_with(compression, bytes, &limits, Trailing::Refused);
    assert_eq!(read(&exact).unwrap(), [0; 1000]);
    let error = read(&compress(compression, &[0; 1001], 1000)).unwrap_err();
    assert_eq!(error.to_string(), "the unpacked data is larger than the limit of 1000 bytes");
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
fn a_bomb_is_read_no_further_than_the_limit(#[case] compression: Compression) {
    let bomb = compress(compression, &vec![0; 8 << 20], 1 << 20);
    let mut limits = Limits::default();
    limits.unpacked = 1 << 20;
    let mut decoder = decoder(compression, Box::new(bomb.as_slice()), &limits).unwrap();
    let mut read = 0;
    let mut buffer = vec![0; 4096];
    let error = loop {
        match decoder.read(&mut buffer) {
            Ok(count) => read += count,
            Err(error) => break error,
        }
    };
    assert!(read <= 1 << 20);
    assert!(matches!(ArchiveError::from_io(error), ArchiveError::TooLarge { .. }));
    // And it stays an error.
    assert!(decoder.read(&mut buffer).is_err());
}

#[rstest]
#[case::xz(Compression::Xz, "xz", "-9")]
#[case::zstd(Compression::Zstd, "zstd", "--long=27")]
fn a_window_above_the_limit_is_refused(
    #[case] compression: Compression,
    #[case] program: &str,
    #[case] option: &str,
) {
    // Without a known size, the whole window is announced.
    let Some(bytes) = filter(program, &["-c", option], b"small") else { return };
    assert_eq!(decompress(compression, &bytes).unwrap(), b"small");
    let mut limits = Limits::default();
    limits.window = 1 << 20;
    let error = decompress_with(compression, &bytes, &limits, Trailing::Refused).unwrap_err();
    assert!(matches!(error, ArchiveError::Compressed { .. }), "{error:?}");
}

#[rstest]
#[case::gzip(Compression::Gzip, b"\0\0\0\0", [false, true, true, true])]
#[case::gzip_junk(Compression::Gzip, b"junk", [false, false, true, false])]
#[case::gzip_junk_after_zeros(Compression::Gzip, b"\0\0junk", [false, false, true, false])]
#[case::gzip_half_a_header(Compression::Gzip, b"\x1f\x8b\x07", [false, false, true, false])]
#[case::zstd(Compression::Zstd, b"\0\0", [false, true, true, true])]
#[case::zstd_junk(Compression::Zstd, b"junk", [false, false, false, false])]
#[case::xz(Compression::Xz, b"\0\0\0\0", [true, true, true, true])]
#[case::xz_junk(Compression::Xz, b"junk", [false, false, false, false])]
fn what_follows_is_accepted_by_rule(
    #[case] compression: Compression,
    #[case] tail: &[u8],
    #[case] accepted: [bool; 4],
) {
    let bytes = [compress(compression, b"data", 9).as_slice(), tail].concat();
    let rules = [Trailing::Refused, Trailing::Zeros, Trailing::Anything, Trailing::OneMember];
    for (rule, accepted) in rules.into_iter().zip(accepted) {
        let found = decompress_with(compression, &bytes, &Limits::default(), rule);
        assert_eq!(found.is_ok(), accepted, "{rule:?}: {found:?}");
        assert!(found.is_err() || found.is_ok_and(|data| data == b"data"));
    }
}

#[rstest]
#[case::same("two")]
#[case::empty("")]
fn a_second_gzip_member_is_refused_where_one_is_read(#[case] second: &str) {
    let parts = ["one", second].map(|part| compress(Compression::Gzip, part.as_bytes(), 9));
    for bytes in [parts.concat(), [parts[1].clone(), parts[0].clone()].concat()] {
        let read = |rule| decompress_with(Compression::Gzip, &bytes, &Limits::default(), rule);
        assert_eq!(read(Trailing::Refused).unwrap().len(), 3 + second.len());
        assert!(read(Trailing::OneMember).unwrap_err().is_input());
    }
}

#[test]
fn skippable_zstd_frames_are_skipped() {
    let frame = compress(Compression::Zstd, b"data", 9);
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let bytes = [skippable, frame.as_slice(), skippable].concat();
    assert_eq!(decompress(Compression::Zstd, &bytes).unwrap(), b"data");
    let cut_off = &bytes[..bytes.len() - 1];
    assert!(decompress(Compression::Zstd, cut_off).is_err());
}

#[rstest]
#[case::bzip2(Compression::Bzip2, "bzip2")]
#[case::lzma(Compression::Lzma, "lzma")]
fn a_compression_that_is_only_read_is_named(#[case] compression: Compression, #[case] name: &str) {
    let error = encoder(compression, Box::new(io::sink())).unwrap_err();
    let expected =
        format!("{name} data is not written here; compress it with gzip, xz or zstd instead");
    assert_eq!(error.to_string(), expected);
}

#[rstest]
#[case::bzip2(Compression::Bzip2, "bzip2", "-1")]
#[case::bzip2_best(Compression::Bzip2, "bzip2", "-9")]
#[case::lzma(Compression::Lzma, "lzma", "-1")]
#[case::lzma_best(Compression::Lzma, "lzma", "-9")]
fn what_the_programs_of_old_packages_wrote_is_read(
    #[case] compression: Compression,
    #[case] program: &str,
    #[case] level: &str,
) {
    let runs: Vec<u8> = (0..700_usize)
        .flat_map(|length| vec![if length % 2 == 0 { b'a' } else { b'b' }; length])
        .collect();
    let zeros = vec![0; 3_000_000];
    let noise: Vec<u8> = sample().iter().map(|byte| byte.wrapping_mul(73)).collect();
    for data in [b"".as_slice(), b"x", &[7; 4], &[7; 5], &zeros, &runs, &sample(), &noise] {
        let Some(theirs) = filter(program, &["-c", level], data) else { return };
        assert!(decompress(compression, &theirs).unwrap() == data, "{} bytes", data.len());
        assert_eq!(Compression::sniff(&theirs), Some(compression));
    }
}

const HELLO: &[u8] = b"hello, world\n";
const BZIP2: &str = "425a683131415926535954a49784000002d1800010400406449080200031\
    00302068620049d4b21f3f17724538509054a49784";
const LZMA: &str = "5d00008000ffffffffffffffff00341949ee8def8c6bca9559100440ede41bfffee0f000";

fn old(compression: Compression) -> Vec<u8> {
    let hex = if compression == Compression::Lzma { LZMA } else { BZIP2 };
    let digits: Vec<u8> = hex.bytes().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[rstest]
#[case::bzip2(Compression::Bzip2)]
#[case::lzma(Compression::Lzma)]
fn old_streams_are_read_whole_or_not(#[case] compression: Compression) {
    let whole = old(compression);
    assert_eq!(decompress(compression, &whole).unwrap(), HELLO);
    for length in 0..whole.len() {
        let error = decompress(compression, &whole[..length]).unwrap_err();
        assert!(error.is_input(), "{length}: {error}");
        let failing = Box::new(Failing(&whole[..length]));
        let mut decoder = decoder(compression, failing, &Limits::default()).unwrap();
        let error = io::copy(&mut decoder, &mut io::sink()).unwrap_err();
        assert!(matches!(ArchiveError::from_io(error), ArchiveError::Io(_)), "{length}");
    }
    for tail in [b"x".as_slice(), b"\0x", &whole] {
        assert!(decompress(compression, &[&whole, tail].concat()).unwrap_err().is_input());
    }
    assert_eq!(decompress(compression, &[&whole, [0; 9].as_slice()].concat()).unwrap(), HELLO);
    let mut limits = Limits::default();
    limits.unpacked = 5;
    let error = decompress_with(compression, &whole, &limits, Trailing::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
}

#[rstest]
#[case::bzip2(Compression::Bzip2, 300_000)]
#[case::lzma(Compression::Lzma, 1 << 20)]
fn old_streams_have_the_memory_that_is_left(#[case] compression: Compression, #[case] memory: u64) {
    let mut terms = Terms::default();
    terms.memory = memory;
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    limits.window = 4 << 20;
    let error = decompress_with(compression, &old(compression), &limits, Trailing::default());
    assert!(error.unwrap_err().is_input());
}

#[test]
fn a_damaged_bzip2_stream_is_found_out() {
    let whole = old(Compression::Bzip2);
    let mut accepted = Vec::new();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            match decompress(Compression::Bzip2, &changed) {
                Ok(found) => {
                    assert_eq!(found, HELLO);
                    accepted.push((at, bit));
                }
                Err(error) => assert!(error.is_input(), "bit {bit} of byte {at}: {error}"),
            }
        }
    }
    // The level, and a table that is not used: what libbz2 takes, too.
    let tables = [(29, 1), (29, 2), (30, 6), (30, 7), (31, 4), (31, 5)];
    assert_eq!(accepted, [[(3, 1), (3, 2), (3, 3)].as_slice(), &tables].concat());
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
fn an_empty_file_is_no_stream(#[case] compression: Compression) {
    assert!(decompress(compression, b"").unwrap_err().is_input());
}

/// Fails after some bytes.
struct Failing<'b>(&'b [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[rstest]
#[case::gzip(Compression::Gzip)]
#[case::xz(Compression::Xz)]
#[case::zstd(Compression::Zstd)]
#[case::plain(Compression::None)]
fn a_failing_disk_is_not_taken_for_damage(#[case] compression: Compression) {
    let bytes = compress(compression, b"data", 9);
    for length in 0..bytes.len() {
        let input = Box::new(Failing(&bytes[..length]));
        let mut decoder = decoder(compression, input, &Limits::default()).unwrap();
        let error = io::copy(&mut decoder, &mut io::sink()).unwrap_err();
        let error = ArchiveError::from_io(error);
        assert!(
            matches!(&error, ArchiveError::Io(inner) if inner.to_string() == "the disk is gone")
        );
    }
}

#[test]
fn a_gzip_header_holds_nothing_that_changes() {
    let bytes = compress(Compression::Gzip, b"data", 9);
    assert_eq!(&bytes[..10], b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
}

#[test]
fn xz_does_not_depend_on_the_size_of_writes_either() {
    let data = sample();
    let whole = compress(Compression::Xz, &data, usize::MAX);
    for piece in [1, 1000, 65_537] {
        assert!(compress(Compression::Xz, &data, piece) == whole, "{piece}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_output_does_not_depend_on_the_size_of_writes(
        seed in any::<u8>(), length in 0..200_000_usize, piece in 1..70_000_usize,
    ) {
        let mut data = sample();
        data.rotate_left(usize::from(seed) * 100);
        data.truncate(length);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = compress(compression, &data, usize::MAX);
            prop_assert!(compress(compression, &data, piece) == whole, "{:?}", compression);
            prop_assert!(decompress(compression, &whole).unwrap() == data);
        }
    }
}
