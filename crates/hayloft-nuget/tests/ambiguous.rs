//! Archives that can be read in two ways: what is accepted, the real client reads the same way.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

#[path = "../../hayloft-archive/tests/raw_zip/mod.rs"]
mod raw_zip;
mod support;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use hayloft_archive::Zip;
use hayloft_feed::{Inspected, Limits};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use raw_zip::{RawEnd, RawEntry, Zip64, archive_with, entry};
use support::inspect;

/// Prints what the client's library makes of each package.
const PROGRAM: &str = include_str!("support/reader.cs");

fn nuspec(id: &str) -> String {
    format!(
        "<package><metadata><id>{id}</id><version>1.0.0</version><authors>x</authors>\
         <description>y</description></metadata></package>"
    )
}

fn nuspec_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "A.nuspec",
        "a.NUSPEC",
        "B.nuspec",
        "%41.nuspec",
        "A%2Enuspec",
        "A%2enuspec",
        ".nuspec",
        "./A.nuspec",
        "x/A.nuspec",
        "x\\A.nuspec",
        "x%2fA.nuspec",
        "x%5CA.nuspec",
        "/A.nuspec",
        "//A.nuspec",
        "%2fA.nuspec",
        "A.nuspec/",
        "A.nuspec ",
        "A.nuspec%20",
        "A.nuspec%00",
        "A.nuspec.",
        "A%252Enuspec",
        "x/../A.nuspec",
        "A.nuspeс",
    ])
}

fn payload_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "A",
        "%61",
        "./a",
        "lib/a",
        "lib//a",
        "lib\\a",
        "lib/./a",
        "LIB/a",
        "lib%2Fa",
        "lib%5ca",
        "lib/a%20b",
        "lib/a b",
        "lib/a+b",
        "%e9",
        "%C3%A9",
        "é",
        "e\u{301}",
        "%ff%20",
        "%zz",
        "%",
        "%2",
        "a%2520",
        "../a",
        "..%2fa",
        "lib/%2e%2e/a",
        "lib/.%2E/../../a",
        "%ff/%2e%2e/%2e%2e/a",
        "/a",
        "C:/a",
        "C%3A/a",
        "lib/a:b",
        "nul",
        "lib/Con.txt",
        "lib./a",
        "lib/a ",
        "a\u{1}",
        "%0a",
        "[Content_Types].xml",
        ".signature.p7",
    ])
}

/// What lies about an entry, or about the whole.
fn twist() -> impl Strategy<Value = fn(&mut Vec<RawEntry>, &mut RawEnd)> {
    fn on(entries: &mut [RawEntry], change: impl Fn(RawEntry) -> RawEntry) {
        if let Some(last) = entries.last_mut() {
            *last = change(last.clone());
        }
    }
    let twists: Vec<fn(&mut Vec<RawEntry>, &mut RawEnd)> = vec![
        |_, _| {},
        |_, _| {},
        |entries, _| on(entries, |entry| entry.described(true, false)),
        |entries, _| on(entries, |entry| entry.described(false, false)),
        |entries, _| on(entries, |entry| entry.local(|header| header.name[0] ^= 1)),
        |entries, _| on(entries, |entry| entry.central(|header| header.name[0] ^= 1)),
        |entries, _| on(entries, |entry| entry.local(|header| header.size += 1)),
        |entries, _| on(entries, |entry| entry.local(|header| header.compressed -= 1)),
        |entries, _| on(entries, |entry| entry.local(|header| header.crc ^= 1)),
        |entries, _| on(entries, |entry| entry.central(|header| header.crc ^= 1)),
        |entries, _| on(entries, |entry| entry.both(|header| header.crc ^= 1)),
        |entries, _| on(entries, |entry| entry.both(|header| header.size -= 1)),
        |entries, _| on(entries, |entry| entry.local(|header| header.method = 0)),
        |entries, _| on(entries, |entry| entry.both(|header| header.flags |= 1 << 11)),
        |entries, _| on(entries, |entry| entry.local(|header| header.flags |= 1 << 11)),
        |entries, _| on(entries, |entry| entry.local(|header| header.extra = vec![0; 4])),
        |entries, _| on(entries, |entry| entry.with(|entry| entry.gap = b"PK\x03\x04".to_vec())),
        |entries, _| on(entries, |entry| entry.with(|entry| entry.offset = Some(0))),
        |entries, _| on(entries, |entry| entry.with(|entry| entry.external = 0o120_777 << 16)),
        |entries, _| on(entries, |entry| entry.with(|entry| entry.external = 0x10)),
        |entries, _| entries.extend(entries.last().cloned()),
        |entries, _| entries.reverse(),
        |entries, end| end.count = u16::try_from(entries.len() - 1).ok(),
        |entries, end| end.count = u16::try_from(entries.len() + 1).ok(),
        |_, end| end.comment = b"more".to_vec(),
        |_, end| end.comment = b"PK\x05\x06 more than eighteen bytes".to_vec(),
        |_, end| end.comment_length = Some(7),
        |_, end| end.trailing = b"more".to_vec(),
        |_, end| end.trailing = raw_zip::archive(&[entry("B.nuspec", nuspec("B"))]),
        |_, end| end.gap = b"more".to_vec(),
        |_, end| end.directory_start = Some(0),
        |_, end| end.zip64 = Some(Zip64::default()),
        |_, end| end.zip64 = Some(Zip64 { count: Some(1), ..Zip64::default() }),
    ];
    prop::sample::select(twists)
}

fn package() -> impl Strategy<Value = Vec<u8>> {
    let plain = prop_oneof![3 => Just("A.nuspec"), 2 => nuspec_name()];
    let other = prop::option::weighted(0.3, nuspec_name());
    let payload = prop::collection::vec(payload_name(), 0..3);
    let prefix = prop_oneof![19 => Just(&b""[..]), 1 => Just(&b"#!/bin/sh\n"[..])];
    (plain, other, payload, twist(), prefix).prop_map(|(first, other, payload, twist, prefix)| {
        let mut entries = vec![entry(first, nuspec("A"))];
        entries.extend(other.map(|name| entry(name, nuspec("B"))));
        for (at, name) in payload.iter().enumerate() {
            entries.push(entry(name, format!("payload {at}")));
        }
        let mut end = RawEnd::default();
        twist(&mut entries, &mut end);
        [prefix, &archive_with(&entries, &end)].concat()
    })
}

/// What a reader makes of a package: identity, sum of the manifest, path to sum of each file.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    identity: String,
    nuspec: String,
    files: BTreeMap<String, String>,
}

/// One way to write a path: the client keeps doubled slashes, `.` and, on Unix, backslashes.
fn place(path: &str) -> String {
    let path = path.replace('\\', "/");
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

fn sum(bytes: &[u8]) -> String {
    HEXLOWER.encode(&hayloft_testkit::digests(bytes).sha1)
}

/// Names and data. Sums and lengths of payload are not looked at, neither at upload nor by clients.
fn unpacked(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut content = Cursor::new(bytes);
    let zip = Zip::open(&mut content, &Limits::default()).unwrap();
    let records = zip.entries().iter().zip(&zip.layout().records);
    let unpacked = records.map(|(entry, record)| {
        let at = |place: u64| usize::try_from(place).unwrap();
        let raw = &bytes[at(record.data.start)..at(record.data.end)];
        let mut data = Vec::new();
        if entry.is_stored() {
            data.extend_from_slice(raw);
        } else {
            std::io::copy(&mut flate2::read::DeflateDecoder::new(raw), &mut data).unwrap();
        }
        (entry.name().to_owned(), data)
    });
    unpacked.collect()
}

fn ours(bytes: &[u8], found: &Inspected) -> Reading {
    let files = unpacked(bytes).into_iter().filter(|(name, _)| !name.ends_with(['/', '\\']));
    let files = files.map(|(name, data)| {
        let decoded: Vec<u8> = percent_decode_str(&name).collect();
        let chunks = decoded.utf8_chunks().flat_map(|chunk| {
            let invalid = chunk.invalid().iter().map(|byte| format!("%{byte:02X}"));
            std::iter::once(chunk.valid().to_owned()).chain(invalid)
        });
        (place(&chunks.collect::<String>()), sum(&data))
    });
    Reading {
        identity: format!("{} {}", found.identity.package.name(), found.identity.version.text()),
        nuspec: sum(&found.documents[0].bytes),
        files: files.collect(),
    }
}

/// `Err` is what the client says.
fn theirs(answer: &[String]) -> Result<Reading, String> {
    let mut reading =
        Reading { identity: String::new(), nuspec: String::new(), files: BTreeMap::new() };
    for line in answer {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["package", id, version, _, sum] => {
                reading.identity = format!("{id} {version}");
                sum.clone_into(&mut reading.nuspec);
            }
            ["file", path, sum] => {
                if reading.files.insert(place(path), sum.to_owned()).is_some() {
                    return Err(format!("several files are unpacked to `{path}`"));
                }
            }
            _ => return Err(line.clone()),
        }
    }
    Ok(reading)
}

/// The folder with the client and the program over its library; `None` says why to skip.
fn reader() -> Option<PathBuf> {
    let client = std::env::var_os("HAYLOFT_NUGET_EXE").map(PathBuf::from);
    let Some(client) = client.filter(|client| client.exists()) else {
        println!("skipped: HAYLOFT_NUGET_EXE does not name a nuget.exe");
        return None;
    };
    for tool in ["mono", "mcs"] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            println!("skipped: {tool} is not installed");
            return None;
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ambiguous");
    std::fs::create_dir_all(folder.join("packages")).unwrap();
    // Named as its assembly is, where the program looks for it.
    std::fs::copy(client, folder.join("NuGet.exe")).unwrap();
    std::fs::write(folder.join("reader.cs"), PROGRAM).unwrap();
    let compiled = Command::new("mcs")
        .args(["-r:NuGet.exe", "-r:System.IO.Compression", "-out:reader.exe", "reader.cs"])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(compiled.success());
    Some(folder)
}

fn answers(folder: &Path, packages: &[Vec<u8>]) -> Vec<Vec<String>> {
    let mut lines = String::new();
    for (at, bytes) in packages.iter().enumerate() {
        let path = folder.join(format!("packages/{at}.nupkg"));
        std::fs::write(&path, bytes).unwrap();
        lines.push_str(path.to_str().unwrap());
        lines.push('\n');
    }
    let mut child = Command::new("mono")
        .arg("reader.exe")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers = text.split_terminator("end\n");
    answers.map(|answer| answer.lines().map(str::to_owned).collect()).collect()
}

#[test]
fn what_is_accepted_is_what_the_client_reads() {
    let Some(folder) = reader() else { return };
    let mut runner = TestRunner::deterministic();
    let strategy = package();
    let packages: Vec<Vec<u8>> =
        (0..4_000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let answers = answers(&folder, &packages);
    assert_eq!(answers.len(), packages.len());
    let (mut same, mut refused_by_both, mut refused_here) = (0, 0, 0);
    for (at, (bytes, answer)) in packages.iter().zip(&answers).enumerate() {
        match (inspect(bytes), theirs(answer)) {
            (Ok(found), read) => {
                assert_eq!(Ok(ours(bytes, &found)), read, "package {at}");
                same += 1;
            }
            (Err(error), read) => {
                assert!(error.is_input(), "package {at}: {error:?}");
                refused_by_both += usize::from(read.is_err());
                refused_here += usize::from(read.is_ok());
            }
        }
    }
    assert!(same > 500, "only {same} were accepted");
    println!(
        "{same} read alike, {refused_by_both} refused by both, {refused_here} refused here alone"
    );
}
