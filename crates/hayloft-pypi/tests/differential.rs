#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::unnecessary_debug_formatting,
    reason = "tests panic to fail and say what they skip"
)]

//! pip, installer and uv read the same out of every file that is accepted here.

mod support;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft_feed::Limits;
use hayloft_pypi::Pypi;
use hayloft_testkit::inspect;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::Value;
use support::{python, run};
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

const WHEEL: &str = "hay-1.0-py3-none-any.whl";
const SDIST: &str = "hay-1.0.tar.gz";

fn generated<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// What may stand in a metadata file, once or twice, before and after what is no header.
fn metadata() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => Just("Summary: a\n"), 2 => Just("Requires-Dist: straw\n"), 2 => Just("Keywords: a\r\n"),
        1 => Just("text\n"), 1 => Just("Version: 2.0\n"), 1 => Just("version : 2.0\n"), 1 => Just("NAME: straw\n"),
        1 => Just("\n"), 1 => Just(" Version: 2.0\n"), 1 => Just("Summary: a\rVersion: 2.0\n"),
        1 => Just("Version:\n"), 1 => Just("Summary: \u{85}Version: 2.0\n"), 1 => Just("Summary: \u{2028}Version: 2.0\n"),
        1 => Just("Summary: \u{b}Version: 2.0\n"), 1 => Just("From Version: 2.0\n"), 1 => Just(": x\n"),
    ];
    (proptest::collection::vec(line, 0..3), 0..5_usize).prop_map(|(lines, at)| {
        let mut all = vec!["Metadata-Version: 2.1\n", "Name: hay\n", "Version: 1.0\n"];
        for (number, line) in lines.into_iter().enumerate() {
            all.insert((at + number) % (all.len() + 1), line);
        }
        all.concat()
    })
}

/// Wheels with metadata directories, data directories and spellings that readers take in two ways.
fn wheel() -> impl Strategy<Value = Vec<u8>> {
    let extra = prop_oneof![
        4 => Just(("hay.py", "")),
        1 => Just(("straw-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: straw\nVersion: 2.0\n")),
        1 => Just(("straw-2.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")),
        1 => Just(("hay/straw-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: straw\nVersion: 2.0\n")),
        1 => Just(("straw-2.0.dist-info", "")),
        1 => Just(("HAY-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hay\nVersion: 2.0\n")),
        1 => Just(("hay-1.0.DIST-INFO/METADATA", "Metadata-Version: 2.1\nName: hay\nVersion: 2.0\n")),
        1 => Just(("hay-1.0.dist-info/metadata", "Metadata-Version: 2.1\nName: hay\nVersion: 2.0\n")),
        1 => Just(("./hay-1.0.dist-info/entry_points.txt", "[console_scripts]\nevil = hay:x\n")),
        1 => Just(("hay-1.0.data/scripts/tool", "#!python\n")),
        1 => Just(("hay-1.data/scripts/tool", "#!python\n")),
        1 => Just(("Hay-1.0.data/purelib/inner.py", "")),
        1 => Just(("straw-1.0.data/purelib/inner.py", "")),
        1 => Just(("hay-1.0.data/purelib/hay.py", "other\n")),
        1 => Just(("hay\\x.py", "")), 1 => Just(("hay//y.py", "")), 1 => Just(("hay/./z.py", "")),
    ];
    let about = prop_oneof![
        6 => Just("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        1 => Just("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nRoot-Is-Purelib: false\nTag: py3-none-any\n"),
        1 => Just("Wheel-Version: 1.0\nWheel-Version: 2.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        1 => Just("Wheel-Version: 1.0\ntext\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        1 => Just("wheel-version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n"),
    ];
    (metadata(), about, proptest::collection::vec(extra, 0..3), any::<bool>()).prop_map(
        |(metadata, about, extra, last)| {
            let info = |file: &str| format!("hay-1.0.dist-info/{file}");
            let mut files = vec![(info("METADATA"), metadata), (info("WHEEL"), about.to_owned())];
            for (path, text) in extra {
                let at = if last { files.len() } else { 0 };
                files.insert(at, (path.to_owned(), text.to_owned()));
            }
            let rows: String = files.iter().map(|(path, _)| format!("{path},,\n")).collect();
            files.push((info("RECORD"), format!("{rows}{},,\n", info("RECORD"))));
            let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for (path, text) in files {
                if zip.start_file(path, SimpleFileOptions::default()).is_ok() {
                    zip.write_all(text.as_bytes()).unwrap();
                }
            }
            zip.finish().unwrap().into_inner()
        },
    )
}

/// Tells for each wheel of a folder what pip and installer read in it.
const READ_WHEELS: &str = r#"
import json, sys, zipfile, email
from pathlib import Path
from pip._internal.metadata import FilesystemWheel, get_wheel_distribution
from pip._internal.utils.wheel import parse_wheel
from installer.sources import WheelFile
for line in open(sys.argv[1]):
    path = line.strip()
    told = {}
    try:
        with zipfile.ZipFile(path) as z: info, about = parse_wheel(z, "hay")
        dist = get_wheel_distribution(FilesystemWheel(path), "hay")
        told["pip"] = [dist.metadata["Name"], str(dist.version), info,
            about.get("Root-Is-Purelib", "").lower(), sorted(str(r) for r in dist.iter_dependencies())]
    except Exception as e: told["pip"] = None
    try:
        with WheelFile.open(path) as w:
            m = email.message_from_string(w.read_dist_info("METADATA"))
            a = email.message_from_string(w.read_dist_info("WHEEL"))
            told["installer"] = [m["Name"], m["Version"], w.dist_info_dir,
                (a["Root-Is-Purelib"] or "").lower(), sorted(m.get_all("Requires-Dist") or [])]
    except Exception as e: told["installer"] = None
    print(json.dumps(told))
"#;

/// Installs a wheel with installer and lists a tree.
const INSTALL: &str = r#"
import sys, os
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
for line in open(sys.argv[1]):
    path, root = line.strip().split("\t")
    scheme = {k: root for k in ("purelib", "platlib", "data", "headers")}
    scheme["scripts"] = os.path.join(root, "bin")
    try:
        with WheelFile.open(path) as w:
            install(w, SchemeDictionaryDestination(scheme, interpreter=sys.executable,
                script_kind="posix"), additional_metadata={})
    except Exception as e:
        os.makedirs(root, exist_ok=True)
        open(os.path.join(root, "refused"), "w").write(repr(e))
"#;

fn accepted(name: &str, files: &[Vec<u8>]) -> Vec<(Value, Vec<u8>)> {
    let read = |bytes: &Vec<u8>| {
        let found = inspect(&Pypi, bytes, Some(name), &[]).ok()?;
        let manifest = serde_json::from_str(&found.manifest).unwrap();
        Some((manifest, bytes.clone()))
    };
    files.iter().filter_map(read).collect()
}

/// Writes each file into a folder of its own under its name.
fn spread(folder: &Path, name: &str, files: &[(Value, Vec<u8>)]) -> Vec<PathBuf> {
    let paths = files.iter().enumerate().map(|(at, (_, bytes))| {
        let path = folder.join(at.to_string());
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(name), bytes).unwrap();
        path.join(name)
    });
    paths.collect()
}

fn lines(folder: &Path, lines: impl Iterator<Item = String>) -> PathBuf {
    let list = folder.join("list");
    std::fs::write(&list, lines.map(|line| line + "\n").collect::<String>()).unwrap();
    list
}

/// All files below a folder with their content, but for what each installer writes of its own.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let own = ["RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"];
            let is_own = |file: &&str| name == format!("hay-1.0.dist-info/{file}");
            if !own.iter().any(is_own) && name != ".lock" {
                // Scripts begin with the interpreter of whoever installs them.
                let is_script = name.starts_with("bin/");
                found.push((
                    name,
                    if is_script { Vec::new() } else { std::fs::read(&path).unwrap() },
                ));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

#[test]
fn wheels_read_alike() {
    let Some(mut reader) = python(&["pip", "installer"]) else { return };
    let files = accepted(WHEEL, &generated(wheel(), 2_000));
    println!("{} of 2000 accepted", files.len());
    assert!(files.len() > 300);
    let folder = tempfile::tempdir().unwrap();
    let paths = spread(folder.path(), WHEEL, &files);
    let list = lines(folder.path(), paths.iter().map(|path| path.display().to_string()));
    let told = run(reader.args(["-I", "-c", READ_WHEELS]).arg(list));
    let (mut read, mut refused) = (0, 0);
    for ((ours, bytes), told) in files.iter().zip(told.lines()) {
        let told: Value = serde_json::from_str(told).unwrap();
        for client in ["pip", "installer"] {
            let Value::Array(told) = &told[client] else {
                refused += 1;
                continue;
            };
            let info = &ours["info"];
            assert_eq!(told[0], info["name"], "{client}: {}", show(bytes));
            assert_eq!(told[1], info["version"], "{client}: {}", show(bytes));
            assert_eq!(told[2], "hay-1.0.dist-info", "{client}");
            let needs =
                info.get("requires_dist").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
            assert_eq!(told[4], needs, "{client}: {}", show(bytes));
            read += 1;
        }
    }
    println!("{read} readings agree, {refused} are refused by a client alone");
    assert!(read > 500);
}

/// Names and small texts of a wheel, for messages.
fn show(bytes: &[u8]) -> String {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut file = zip.by_index(at).unwrap();
            let name = file.name().unwrap().into_owned();
            let text = Limits::read(&mut file, 1 << 20).unwrap();
            let text = String::from_utf8_lossy(&text);
            format!("{name}: {text:?}\n")
        })
        .collect()
}

#[test]
fn wheels_are_installed_alike() {
    let Some(mut installer) = python(&["installer", "uv"]) else { return };
    let uv = run(python(&["uv"]).unwrap().args(["-c", "import uv; print(uv.find_uv_bin())"]));
    let files: Vec<_> = accepted(WHEEL, &generated(wheel(), 400)).into_iter().take(30).collect();
    let folder = tempfile::tempdir().unwrap();
    let paths = spread(folder.path(), WHEEL, &files);
    let root = |path: &Path, client: &str| path.with_file_name(client);
    let pairs = paths
        .iter()
        .map(|path| format!("{}\t{}", path.display(), root(path, "installer").display()));
    run(installer.args(["-I", "-c", INSTALL]).arg(lines(folder.path(), pairs)));
    let (mut both, mut one) = (0, 0);
    for (path, (_, bytes)) in paths.iter().zip(&files) {
        let status = Command::new(uv.trim())
            .args([
                "pip",
                "install",
                "--quiet",
                "--offline",
                "--no-deps",
                "--no-cache",
                "--no-config",
                "--target",
            ])
            .arg(root(path, "uv"))
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let theirs = tree(&root(path, "installer"));
        if !status.success() || theirs.iter().any(|(name, _)| name == "refused") {
            one += 1;
            continue;
        }
        assert_eq!(tree(&root(path, "uv")), theirs, "{}", show(bytes));
        both += 1;
    }
    println!("{both} installed alike by uv and installer, {one} by one of them or none");
    assert!(both > 15);
}

/// Source distributions with links, spellings and ends that readers take in two ways.
fn sdist() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        4 => Just("hay-1.0/a"), 1 => Just("hay-1.0/b/c"), 1 => Just("hay-1.0/b/l/d"), 2 => Just("hay-1.0/b/l"),
        1 => Just("hay-1.0/x/y/z"), 1 => Just("./hay-1.0/e"), 1 => Just("hay-1.0//f"), 1 => Just("Hay-1.0/g"),
        1 => Just("hay-1.0/setup.py"), 1 => Just("hay-1.0/SETUP.py"), 1 => Just("hay-1.0/pkg-info"),
        1 => Just("hay-1.0/../h"), 1 => Just("/i"), 1 => Just("hay-1.0\\j"), 1 => Just("hay-1.0/PKG-INFO"),
    ];
    let kind = prop_oneof![6 => Just(b'0'), 3 => Just(b'2'), 1 => Just(b'1'), 1 => Just(b'5'), 1 => Just(b'x'), 1 => Just(b'L')];
    let target = prop_oneof![
        Just("a"),
        Just(".."),
        Just("../.."),
        Just("../../.."),
        Just("x/y/z/../../../out"),
        Just("hay-1.0/a"),
        Just("hay-1.0/b/l"),
        Just("/etc/passwd"),
        Just("b/l/../../out"),
    ];
    let member = (name, kind, target, "[ab]");
    (proptest::collection::vec(member, 0..5), 0..12_u8).prop_map(|(members, odd)| {
        let mut tar = Vec::new();
        add(
            &mut tar,
            "hay-1.0/PKG-INFO",
            b'0',
            "",
            b"Metadata-Version: 2.1\nName: hay\nVersion: 1.0\n",
        );
        for (name, kind, target, text) in &members {
            let (target, data): (&str, &[u8]) = match kind {
                b'1' | b'2' => (target, b""),
                b'5' => ("", b""),
                b'x' => ("", b"18 path=hay-1.0/k\n"),
                b'L' => ("", b"hay-1.0/long\0"),
                _ => ("", text.as_bytes()),
            };
            add(&mut tar, name, *kind, target, data);
        }
        if odd == 0 {
            tar.extend([0; 1024]);
            add(&mut tar, "hay-1.0/late", b'0', "", b"");
        }
        tar.extend([0; 1024]);
        let gzip = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        match odd {
            1 => [gzip(&tar[..512]), gzip(&tar[512..])].concat(),
            2 => [gzip(b""), gzip(&tar)].concat(),
            3 => [gzip(&tar), vec![0; 100]].concat(),
            4 => [gzip(&tar), b"more".to_vec()].concat(),
            _ => gzip(&tar),
        }
    })
}

fn add(tar: &mut Vec<u8>, path: &str, kind: u8, target: &str, data: &[u8]) {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_mode(0o644);
    header.set_entry_type(EntryType::new(kind));
    header.set_size(data.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Unpacks with pip, and with Python's own filter for data.
const UNPACK: &str = r#"
import os, sys, tarfile
from pip._internal.utils.unpacking import untar_file
for line in open(sys.argv[1]):
    path, pip, plain = line.strip().split("\t")
    for root, unpack in ((pip, lambda: untar_file(path, pip)),
            (plain, lambda: tarfile.open(path).extractall(plain, filter="data"))):
        try: unpack()
        except Exception as e:
            os.makedirs(root, exist_ok=True)
            open(os.path.join(os.path.dirname(root), "refused"), "a").write(repr(e) + "\n")
"#;

#[test]
fn source_distributions_are_unpacked_alike() {
    let Some(mut python) = python(&["pip"]) else { return };
    let files = accepted(SDIST, &generated(sdist(), 3_000));
    println!("{} of 3000 accepted", files.len());
    assert!(files.len() > 200);
    let folder = tempfile::tempdir().unwrap();
    let paths = spread(folder.path(), SDIST, &files);
    let list = lines(
        folder.path(),
        paths.iter().map(|path| {
            let root = |client| path.with_file_name("in").join(client);
            format!("{}\t{}\t{}", path.display(), root("pip").display(), root("plain").display())
        }),
    );
    run(python.args(["-I", "-c", UNPACK]).arg(list));
    let mut whole = 0;
    for path in &paths {
        let names = |folder: &Path| -> Vec<String> {
            let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let outer = path.parent().unwrap();
        assert_eq!(names(outer), [SDIST, "in"], "{path:?}");
        let inner = names(&outer.join("in"));
        assert!(
            inner.iter().all(|name| ["pip", "plain", "refused"].contains(&name.as_str())),
            "{inner:?}"
        );
        if inner.iter().any(|name| name == "refused") {
            continue;
        }
        whole += 1;
        assert_eq!(names(&outer.join("in/plain")), ["hay-1.0"]);
        let info = |path: &str| std::fs::read(outer.join("in").join(path)).unwrap();
        // pip leaves the top directory where only some paths begin with a dot.
        let below = if outer.join("in/pip/PKG-INFO").exists() { "pip" } else { "pip/hay-1.0" };
        assert_eq!(info(&format!("{below}/PKG-INFO")), info("plain/hay-1.0/PKG-INFO"));
        for top in [below, "plain/hay-1.0"] {
            let top = std::fs::canonicalize(outer.join("in").join(top)).unwrap();
            links_stay(&top, &top);
        }
    }
    println!("{whole} unpacked by both");
    assert!(whole > 100);
}

fn links_stay(top: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            if let Ok(target) = std::fs::canonicalize(entry.path()) {
                assert!(target.starts_with(top), "{:?} leads to {target:?}", entry.path());
            }
        } else if kind.is_dir() {
            links_stay(top, &entry.path());
        }
    }
}
