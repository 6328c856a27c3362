//! Files made to hurt: refused with a clear reason, in bounded time and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::error::Error;
use std::io::{Read, Write, repeat};

use hayloft_archive::{ArWriter, Compression, encoder};
use hayloft_debian::Debian;
use hayloft_feed::{FeedTypeError, HistoryEntry};
use hayloft_testkit::{deb, inspect, repackage};
use rstest::rstest;

/// Longer than `debian-binary` is read.
const LONG_LINE: &str = match std::str::from_utf8(&[b'2'; 9999]) {
    Ok(text) => text,
    Err(_) => panic!(),
};

const CONTROL: &[u8] = b"Package: zz\nVersion: 1.0\nArchitecture: all\n\
    Maintainer: A <a@b>\nDescription: d\n";

/// A tar header with a checksum that is right whatever `size` says.
fn header(path: &[u8], size: &[u8], kind: u8) -> [u8; 512] {
    let mut block = [0; 512];
    block[..path.len()].copy_from_slice(path);
    block[100..107].copy_from_slice(b"0000644");
    block[124..124 + size.len()].copy_from_slice(size);
    block[136..147].copy_from_slice(b"00000000000");
    block[148..156].copy_from_slice(b"        ");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(path: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = header(path, format!("{:011o}", data.len()).as_bytes(), b'0').to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn packed(compression: Compression, write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = encoder(compression, Box::new(&mut bytes)).unwrap();
    write(&mut stream);
    stream.finish().unwrap();
    bytes
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ArWriter::new(Vec::new()).unwrap();
    for (name, data) in members {
        let size = u64::try_from(data.len()).unwrap();
        out.add_member(name, 0, 0o100_644, size, &mut &data[..]).unwrap();
    }
    out.finish().unwrap()
}

/// A package with this uncompressed control archive.
fn package(control: &[u8]) -> Vec<u8> {
    archive(&[("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar", &tar(&[]))])
}

fn refusal(bytes: &[u8]) -> String {
    let error = inspect(&Debian, bytes, None, &[("distro", "sid")]).unwrap_err();
    assert!(matches!(error, FeedTypeError::Refused { .. }), "{error:?}");
    chain(&error)
}

fn chain(error: &dyn Error) -> String {
    let next = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", next.unwrap_or_default())
}

#[test]
fn the_packages_made_here_are_sound_but_for_what_is_wrong_with_them() {
    let sound = package(&tar(&[entry(b"./control", CONTROL)]));
    inspect(&Debian, &sound, None, &[("distro", "sid")]).unwrap();
}

#[rstest]
#[case::nothing(&[], "has no `control` entry")]
#[case::twice(&[entry(b"./control", CONTROL), entry(b"control", CONTROL)], "more than one")]
#[case::absolute(&[entry(b"/control", CONTROL)], "path `/control`")]
#[case::disguised(&[entry(b".//control", CONTROL)], "path `.//control`")]
#[case::traversal(&[entry(b"./control", CONTROL), entry(b"../../etc/passwd", b"x")], "../../etc/passwd")]
#[case::symbolic_link(&[header(b"./control", b"00000000000", b'2').to_vec()], "")]
#[case::directory(&[header(b"./control", b"00000000000", b'5').to_vec()], "not a plain file")]
#[case::cut_off(&[header(b"./control", b"00000077777", b'0').to_vec()], "")]
#[case::eight_exbibytes(&[header(b"./control", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", b'0').to_vec()], "")]
#[case::all_bits(&[header(b"./control", &[0xff; 12], b'0').to_vec()], "")]
#[case::no_octal(&[header(b"./control", b"9x", b'0').to_vec()], "")]
fn hostile_control_archives_are_refused(#[case] entries: &[Vec<u8>], #[case] message: &str) {
    let text = refusal(&package(&tar(entries)));
    assert!(text.contains(message), "{text}");
}

const BZIP2_INSIDE: &str = "425a6831314159265359be0c99fd00001b5b80e9804001e580002060001e400808200054410d00d01902\
    44a3469a7a86807ded884460844f4f336b57210c1e9359a0a8c45e1117ddce8cc0817aac04ac5e908fc5\
    dc914e14242f83267f40";
const LZMA_INSIDE: &str = "5d00008000ffffffffffffffff00170bcb2789f2ed46d847103b086497b288d0673cdcf81bafc49e0e19\
    b73944deaad892b9a3b99dcde338fcd4a8afbd39d6568f598cbf59a89a1e2e0585326dfffea1f420";
const BZIP2_OUTSIDE: &str = "425a6831314159265359cd489e2000001bdb80e9804001e580001060001e400808200054420d00d00f50\
    248a6434f46a007deec3a1f24231d4ea4c5b410c0d312a6a2ab08e1d0fbc60b288f6977800c7a267f177\
    245385090cd489e200";
const LZMA_OUTSIDE: &str = "5d00008000ffffffffffffffff00170bc225e454338e803afb301f0560b0faa0501f0e5359b6c7a3a306\
    1a255d7e517044fbb80049ddd8f682e5f7b559fbd4cfd62c61540a1d6e26dcf5fa1ffff6518000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn packed_file(compression: Compression, path: &str) -> Vec<u8> {
    let data = tar(&[entry(path.as_bytes(), b"x")]);
    packed(compression, |out| out.write_all(&data).unwrap())
}

#[rstest]
#[case::plain("data.tar", |path: &str| tar(&[entry(path.as_bytes(), b"x")]))]
#[case::gzip("data.tar.gz", |path: &str| packed_file(Compression::Gzip, path))]
#[case::xz("data.tar.xz", |path: &str| packed_file(Compression::Xz, path))]
#[case::zstd("data.tar.zst", |path: &str| packed_file(Compression::Zstd, path))]
#[case::bzip2("data.tar.bz2", |path: &str| {
    bytes(if path == "./usr/x" { BZIP2_INSIDE } else { BZIP2_OUTSIDE })
})]
#[case::lzma("data.tar.lzma", |path: &str| {
    bytes(if path == "./usr/x" { LZMA_INSIDE } else { LZMA_OUTSIDE })
})]
fn data_that_leads_upwards_is_refused_however_it_is_packed(
    #[case] name: &str,
    #[case] data: impl Fn(&str) -> Vec<u8>,
) {
    let control = tar(&[entry(b"./control", CONTROL)]);
    let package = |data: &[u8]| {
        archive(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (name, data)])
    };
    let sound = data("./usr/x");
    inspect(&Debian, &package(&sound), None, &[("distro", "sid")]).unwrap();
    let refused = refusal(&package(&data("./../x")));
    assert!(refused.contains("`./../x`, which leads upwards"), "{refused}");
    if name != "data.tar" {
        refusal(&package(&sound[..20]));
    }
}

#[test]
fn a_control_file_that_would_break_apt_by_its_size_is_refused() {
    let mut large = CONTROL.to_vec();
    large.extend(b" more text\n".repeat(100_000));
    let text = refusal(&package(&tar(&[entry(b"./control", &large)])));
    assert!(text.contains("larger than the limit of 1040384 bytes"), "{text}");
}

#[test]
fn a_control_file_that_has_no_room_for_the_new_version_is_not_repackaged() {
    let mut large = CONTROL.to_vec();
    let filler = 1_040_384 - large.len() - 3;
    large.extend([&b" ."[..], &vec![b'x'; filler], b"\n"].concat());
    assert_eq!(large.len(), 1_040_384);
    let package = package(&tar(&[entry(b"./control", &large)]));
    let found = inspect(&Debian, &package, None, &[("distro", "sid")]).unwrap();
    let run = |to| repackage(&Debian, &package, &found.identity, to, &HistoryEntry::of("zz:1.0"));
    assert!(run("2.0").is_ok());
    let error = run("2.00").unwrap_err();
    assert!(matches!(error, FeedTypeError::NotRepackageable { .. }), "{error:?}");
}

#[rstest]
#[case::gzip("control.tar.gz", Compression::Gzip)]
#[case::xz("control.tar.xz", Compression::Xz)]
#[case::zstd("control.tar.zst", Compression::Zstd)]
fn a_bomb_is_refused_before_it_unfolds(#[case] name: &str, #[case] compression: Compression) {
    let size = 40_u64 << 20;
    let bomb = packed(compression, |out| {
        out.write_all(&entry(b"./control", CONTROL)).unwrap();
        out.write_all(&header(b"./md5sums", format!("{size:011o}").as_bytes(), b'0')).unwrap();
        std::io::copy(&mut repeat(0).take(size + 1024), out).unwrap();
    });
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let members: [(&str, &[u8]); 3] =
        [("debian-binary", b"2.0\n"), (name, &bomb), ("data.tar", &tar(&[]))];
    let text = refusal(&archive(&members));
    assert!(text.contains("larger than the limit of 16777216 bytes"), "{text}");
}

#[rstest]
#[case::empty(&[], "there is no `debian-binary` member")]
#[case::other_first(&[("control.tar", "x")], "the member `control.tar` stands where `debian-binary` must")]
#[case::underscore_first(&[("_gpgorigin", "x"), ("debian-binary", "2.0\n")], "the member `_gpgorigin` stands")]
#[case::only_version(&[("debian-binary", "2.0\n")], "there is no `control.tar` member")]
#[case::no_version(&[("debian-binary", ""), ("control.tar", "x"), ("data.tar", "x")], "`debian-binary` holds ``")]
#[case::blank_after_version(&[("debian-binary", "2.0 \n"), ("control.tar", "x"), ("data.tar", "x")], "holds `2.0 \\n`")]
#[case::return_after_version(&[("debian-binary", "2.0\r\n"), ("control.tar", "x"), ("data.tar", "x")], "holds `2.0\\r\\n`")]
#[case::endless_version(&[("debian-binary", LONG_LINE), ("control.tar", "x"), ("data.tar", "x")], "`debian-binary` holds `222")]
#[case::second_version(&[("debian-binary", "2.0\n"), ("debian-binary", "2.0\n")], "stands where `control.tar` must")]
#[case::lzma_control(&[("debian-binary", "2.0\n"), ("control.tar.lzma", "x"), ("data.tar", "x")], "`control.tar.lzma` is compressed in a way")]
#[case::unknown_data(&[("debian-binary", "2.0\n"), ("control.tar", "x"), ("data.tar.rar", "x")], "`data.tar.rar` is compressed in a way")]
#[case::control_look_alike(&[("debian-binary", "2.0\n"), ("control.tarx", "x")], "`control.tarx` stands where")]
#[case::empty_control(&[("debian-binary", "2.0\n"), ("control.tar", ""), ("data.tar", "x")], "`control.tar` is empty")]
#[case::empty_data(&[("debian-binary", "2.0\n"), ("control.tar", "x"), ("data.tar", "")], "`data.tar` is empty")]
#[case::mislabeled_data(&[("debian-binary", "2.0\n"), ("control.tar", "x"), ("data.tar.xz", "BZh9")], "`data.tar.xz` does not hold")]
#[case::late_control(&[("debian-binary", "2.0\n"), ("control.tar", "x"), ("data.tar", "x"), ("control.tar.gz", "x")], "a second member `control.tar.gz`")]
#[case::late_data(&[("debian-binary", "2.0\n"), ("control.tar", "x"), ("data.tar", "x"), ("data.tar.gz", "x")], "a second member `data.tar.gz`")]
#[case::two_histories(&[("debian-binary", "2.0\n"), ("_repackhist", "[]"), ("control.tar", "x"), ("data.tar", "x"), ("_repackhist", "[]")], "a second member `_repackhist`")]
fn members_must_stand_as_dpkg_demands(#[case] members: &[(&str, &str)], #[case] message: &str) {
    let members: Vec<_> = members.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let text = refusal(&archive(&members));
    assert!(text.contains(message), "{text}");
}

#[test]
fn no_part_of_a_package_is_a_package() {
    for extension in ["gz", "xz", "zst"] {
        let compression = Compression::from_extension(extension).unwrap();
        let control = packed(compression, |out| {
            out.write_all(&tar(&[entry(b"./control", CONTROL)])).unwrap();
        });
        let data = packed(compression, |out| out.write_all(&tar(&[])).unwrap());
        let whole = archive(&[
            ("debian-binary", b"2.0\n"),
            (&format!("control.tar.{extension}"), &control),
            (&format!("data.tar.{extension}"), &data),
        ]);
        for end in 0..whole.len() {
            refusal(&whole[..end]);
        }
        // A shorter control archive in a container that is whole.
        for end in 0..control.len() {
            refusal(&archive(&[
                ("debian-binary", b"2.0\n"),
                (&format!("control.tar.{extension}"), &control[..end]),
                (&format!("data.tar.{extension}"), &data),
            ]));
        }
    }
}

#[test]
fn a_package_that_is_another_one_is_not_repackaged() {
    let (one, other) = (deb("one", "1.0", "all").build(), deb("other", "1.0", "all").build());
    let found = inspect(&Debian, &one, None, &[("distro", "sid")]).unwrap();
    let error = repackage(&Debian, &other, &found.identity, "2.0", &HistoryEntry::of("one:1.0"));
    let error = error.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "it is other 1.0, not one 1.0");
}
