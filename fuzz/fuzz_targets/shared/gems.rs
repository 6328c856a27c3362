//! Fuzzed bytes as gems: the file itself, or one member of a sound gem.

use std::io::Write;

use hayloft_archive::{Compression, TarAppend, encoder, rewrite_tar};
use hayloft_feed::Limits;

const IDENTITY: &[u8] = b"--- !ruby/object:Gem::Specification\nname: hay\n\
    version: !ruby/object:Gem::Version\n  version: 1.0.0.rc1\nplatform: ruby\n";

/// The file that `kind` makes of `bytes`.
pub fn file(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let empty = [0; 1024];
    match kind % 7 {
        0 => bytes.to_vec(),
        1 => gem(bytes, &empty, &[]),
        2 => gem(&[IDENTITY, bytes].concat(), &empty, &[]),
        3 => gem(&[bytes, &IDENTITY[4..]].concat(), &empty, &[]),
        4 => gem(IDENTITY, bytes, &[]),
        5 => gem(IDENTITY, &empty, &[("checksums.yaml.gz", gzipped(bytes))]),
        _ => gem(IDENTITY, &empty, &[("repackage_history.json", bytes.to_vec())]),
    }
}

fn gem(specification: &[u8], files: &[u8], others: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let members = [("metadata.gz", gzipped(specification)), ("data.tar.gz", gzipped(files))];
    let append: Vec<TarAppend> = members
        .iter()
        .chain(others)
        .map(|(path, bytes)| TarAppend {
            path: path.as_bytes().to_vec(),
            mode: 0o444,
            mtime: 0,
            bytes: bytes.clone(),
        })
        .collect();
    let (mut tar, empty) = (Vec::new(), [0; 1024]);
    rewrite_tar(&empty[..], &mut tar, &Limits::default(), &append, &mut |_| unreachable!())
        .unwrap();
    tar
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = encoder(Compression::Gzip, Box::new(&mut out)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    out
}
