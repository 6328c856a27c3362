//! Fuzzed bytes as Python packages: the file itself, or one member of a sound package.

use std::io::{Cursor, Write};

use data_encoding::BASE64URL_NOPAD;
use hayloft_archive::{Compression, TarAppend, ZipWriter, encoder, rewrite_tar};
use hayloft_feed::Limits;
use sha2::{Digest, Sha256};

const IDENTITY: &[u8] = b"Metadata-Version: 2.1\nName: Hay.Bale\nVersion: 1.0rc1\n";
const INFO: &str = "hay_bale-1.0rc1.dist-info";

/// The file that `kind` makes of `bytes`, and the name it is uploaded under.
pub fn file(kind: u8, bytes: &[u8]) -> (Option<&'static str>, Vec<u8>) {
    let identified = [IDENTITY, bytes].concat();
    let info = |file: &str| format!("{INFO}/{file}");
    let dynamic: &[u8] = b"[project]\nname = 'hay.bale'\ndynamic = ['version']\n";
    match kind % 14 {
        0 => (None, bytes.to_vec()),
        1 => (None, gzipped(bytes)),
        2 => (Some("hay_bale-1.0rc1.tar.gz"), gzipped(bytes)),
        3 => wheel(&[(&info("METADATA"), &identified)]),
        4 => wheel(&[(&info("METADATA"), bytes)]),
        5 => wheel(&[(&info("RECORD"), bytes)]),
        6 => wheel(&[(&info("WHEEL"), bytes)]),
        7 => wheel(&[(&info("repackage_history.json"), bytes)]),
        8 => wheel(&[(&info("metadata.json"), bytes), ("hay_bale-1.0rc1.data/scripts/a", bytes)]),
        9 => sdist(&[("PKG-INFO", &identified), ("setup.py", b"setup(pbr=True)")]),
        10 => sdist(&[("pyproject.toml", bytes)]),
        11 => sdist(&[("pyproject.toml", &[dynamic, bytes].concat())]),
        12 => sdist(&[("setup.cfg", bytes)]),
        _ => sdist(&[("setup.py", bytes), ("setup.cfg", b"[metadata]\nversion = 1.0rc1\n")]),
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = encoder(Compression::Gzip, Box::new(&mut out)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    out
}

/// A wheel with a sound record unless that is one of `members`.
fn wheel(members: &[(&str, &[u8])]) -> (Option<&'static str>, Vec<u8>) {
    let about = b"Wheel-Version: 1.0\nTag: py3-none-any\n";
    let mut files = vec![("hay_bale/__init__.py".to_owned(), b"pass\n".to_vec())];
    files.extend(members.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())));
    for (file, bytes) in [("METADATA", IDENTITY), ("WHEEL", about)] {
        add_missing(&mut files, format!("{INFO}/{file}"), bytes.to_vec());
    }
    let own = format!("{INFO}/RECORD");
    let rows: Vec<String> = files
        .iter()
        .map(|(path, bytes)| {
            let digest = BASE64URL_NOPAD.encode(&Sha256::digest(bytes));
            format!("{path},sha256={digest},{}\n", bytes.len())
        })
        .collect();
    let record = format!("{}{own},,\n", rows.concat());
    add_missing(&mut files, own, record.into_bytes());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new())).unwrap();
    for (path, bytes) in &files {
        zip.add(path, None, &mut bytes.as_slice()).unwrap();
    }
    (Some("Hay_Bale-1.0rc1-py3-none-any.whl"), zip.finish().unwrap().into_inner())
}

fn add_missing(files: &mut Vec<(String, Vec<u8>)>, path: String, bytes: Vec<u8>) {
    if files.iter().all(|(other, _)| *other != path) {
        files.push((path, bytes));
    }
}

fn sdist(members: &[(&str, &[u8])]) -> (Option<&'static str>, Vec<u8>) {
    let mut files: Vec<(String, Vec<u8>)> =
        members.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
    add_missing(&mut files, "PKG-INFO".to_owned(), IDENTITY.to_vec());
    let append: Vec<TarAppend> = files
        .into_iter()
        .map(|(path, bytes)| TarAppend {
            path: format!("hay.bale-1.0rc1/{path}").into_bytes(),
            mode: 0o644,
            mtime: 0,
            bytes,
        })
        .collect();
    let (mut tar, empty) = (Vec::new(), [0; 1024]);
    rewrite_tar(&empty[..], &mut tar, &Limits::default(), &append, &mut |_| unreachable!())
        .unwrap();
    (Some("hay.bale-1.0rc1.tar.gz"), gzipped(&tar))
}
