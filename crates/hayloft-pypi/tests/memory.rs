#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::needless_pass_by_value,
    clippy::unnecessary_debug_formatting,
    reason = "tests panic to fail and tell what they measured"
)]

//! What a package makes its reader hold and do follows what was sent, whatever it claims.

use std::io::{Cursor, Write};

use allocation_counter::{AllocationInfo, measure};
use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft_pypi::Pypi;
use hayloft_testkit::{history_entry, inspect, repackage};
use rstest::rstest;
use tar::Header;
use zip::write::SimpleFileOptions;

const WHEEL: &str = "hay-1.0-py3-none-any.whl";
const SDIST: &str = "hay-1.0.tar.gz";
const METADATA: &str = "Metadata-Version: 2.1\nName: hay\nVersion: 1.0\n";
const ABOUT: &str = "Wheel-Version: 1.0\nTag: py3-none-any\n";

fn wheel(metadata: &str, about: &str, record: &str, history: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (file, text) in [
        ("METADATA", metadata),
        ("WHEEL", about),
        ("RECORD", record),
        ("repackage_history.json", history),
    ] {
        zip.start_file(format!("hay-1.0.dist-info/{file}"), SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn sdist(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_path(format!("hay-1.0/{path}")).unwrap();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap()
}

fn sdist_with(path: &str, text: String) -> Vec<u8> {
    sdist(&[("PKG-INFO".into(), METADATA.into()), (path.into(), text.into_bytes())])
}

fn read(name: &str, bytes: &[u8]) -> AllocationInfo {
    measure(|| {
        let _ = inspect(&Pypi, bytes, Some(name), &[]);
    })
}

fn written(bytes: &[u8]) -> AllocationInfo {
    let from = inspect(&Pypi, bytes, Some(SDIST), &[]).unwrap().identity;
    let entry = history_entry(&from, bytes);
    measure(|| {
        let _ = repackage(&Pypi, bytes, &from, "2.0", &entry);
    })
}

fn assert_linear(one: &AllocationInfo, two: &AllocationInfo) {
    println!("{one:?}\n{two:?}");
    for (what, one, two) in [
        ("bytes held", one.bytes_max, two.bytes_max),
        ("bytes allocated", one.bytes_total, two.bytes_total),
        ("allocations", one.count_total, two.count_total),
    ] {
        // Tables double, so that a size just over a power of two takes twice its share.
        assert!(two <= 3 * one + 100_000, "{what}: {one}, then {two}");
    }
}

type Make = fn(usize) -> Vec<u8>;

fn metadata(text: String) -> Vec<u8> {
    wheel(&format!("{METADATA}{text}"), ABOUT, "", "[]")
}

#[rstest]
#[case::headers(|size| metadata("Classifier: a\n".repeat(size)))]
#[case::unknown_headers(|size| metadata("a:\n".repeat(size)))]
#[case::different_headers(|size| metadata((0..size).map(|at| format!("X{at}:\n")).collect()))]
#[case::not_utf8(|size| metadata("Keywords: \u{80}\n".repeat(size)))]
#[case::folded(|size| metadata(format!("Summary: a\n{}", "  b\n".repeat(size))))]
#[case::body(|size| metadata(format!("\n{}", "a\n".repeat(size))))]
#[case::tags(|size| wheel(METADATA, &format!("{ABOUT}{}", "Tag: py2-none-any\n".repeat(size)), "", "[]"))]
#[case::rows(|size| wheel(METADATA, ABOUT, &(0..size).map(|at| format!("{at},,\n")).collect::<String>(), "[]"))]
#[case::quoted_rows(|size| wheel(METADATA, ABOUT, &(0..size).map(|at| format!("\"{at}\"\"\",,\n")).collect::<String>(), "[]"))]
#[case::columns(|size| wheel(METADATA, ABOUT, &",".repeat(size), "[]"))]
#[case::history(|size| wheel(METADATA, ABOUT, "", &format!("[{}0]", "{\"id\":\"a\",\"b\":[0]},".repeat(size))))]
fn work_on_a_wheel_is_linear(#[case] make: Make) {
    const SIZE: usize = 4_000;
    let [one, two] = [SIZE, 2 * SIZE].map(|size| read(WHEEL, &make(size)));
    assert_linear(&one, &two);
}

#[rstest]
#[case::files(|size| sdist(&(0..size).map(|at| (format!("f{at}"), Vec::new())).chain([("PKG-INFO".into(), METADATA.into())]).collect::<Vec<_>>()))]
#[case::one_file(|size| sdist(&vec![("a".to_owned(), Vec::new()); size]))]
fn work_on_a_source_distribution_is_linear(#[case] make: Make) {
    const SIZE: usize = 2_000;
    let [one, two] = [SIZE, 2 * SIZE].map(|size| read(SDIST, &make(size)));
    assert_linear(&one, &two);
}

#[rstest]
#[case::array(|size| sdist_with("pyproject.toml", format!("a=[{}]", "1,".repeat(size))))]
#[case::array_of_tables(|size| sdist_with("pyproject.toml", "[[a]]\n".repeat(size)))]
#[case::inline_tables(|size| sdist_with("pyproject.toml", format!("a=[{}]", "{b=1},".repeat(size))))]
#[case::keys(|size| sdist_with("pyproject.toml", (0..size).map(|at| format!("a{at}=1\n")).collect()))]
#[case::dotted(|size| sdist_with("pyproject.toml", (0..size).map(|at| format!("a.b.c.d{at}=1\n")).collect()))]
#[case::comments(|size| sdist_with("pyproject.toml", "#\n".repeat(size)))]
#[case::dynamic(|size| sdist_with("pyproject.toml", format!("[project]\ndynamic=[{}'version']", "'a',".repeat(size))))]
#[case::setup_cfg(|size| sdist_with("setup.cfg", format!("[metadata]\nversion=1.0\n{}", "a=b\n".repeat(size))))]
#[case::setup_py(|size| sdist_with("setup.py", "'a';".repeat(size)))]
fn work_on_build_files_is_linear(#[case] make: Make) {
    const SIZE: usize = 4_000;
    let [one, two] = [SIZE, 2 * SIZE].map(|size| written(&make(size)));
    assert_linear(&one, &two);
}

#[test]
fn the_largest_files_are_bounded() {
    const MIB: u64 = 1 << 20;
    let toml = |text: &str| {
        let text = format!("a=[{}]", text.repeat((256 << 10) / text.len() - 16));
        written(&sdist_with("pyproject.toml", text))
    };
    let headers = "a:\n".repeat(2_000_000);
    let rows: String = (0..190_000).map(|at| format!("{at},,\n")).collect();
    let history = format!("[{}]", "{\"id\":\"a\",\"b\":[0,0,0,0]},".repeat(300_000));
    for (what, most, found) in [
        ("headers", 32, read(WHEEL, &metadata(headers))),
        ("rows", 64, read(WHEEL, &wheel(METADATA, ABOUT, &rows, "[]"))),
        ("history", 32, read(WHEEL, &wheel(METADATA, ABOUT, "", &history))),
        ("numbers", 32, toml("1,")),
        ("tables", 32, toml("{},")),
        ("members", 32, {
            let file = ("a".to_owned(), Vec::new());
            read(SDIST, &sdist(&vec![file; 150_000]))
        }),
    ] {
        println!("{what}: {} MiB", found.bytes_max / MIB);
        assert!(found.bytes_max < most * MIB, "{what}: {found:?}");
    }
}
