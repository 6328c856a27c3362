//! Fuzzed bytes as three files: themselves, a tar stream that is compressed, and the manifest in a
//! sound package.

use std::io::Write;

use hayloft_archive::{Compression, TarAppend, encoder, rewrite_tar};
use hayloft_feed::Limits;

pub fn gzipped(tar: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = encoder(Compression::Gzip, Box::new(&mut out)).unwrap();
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap();
    out
}

pub fn with_manifest(manifest: &[u8]) -> Vec<u8> {
    let file = TarAppend {
        path: b"package/package.json".to_vec(),
        mode: 0o644,
        mtime: 0,
        bytes: manifest.to_vec(),
    };
    let mut tar = Vec::new();
    let empty = [0; 1024];
    rewrite_tar(&empty[..], &mut tar, &Limits::default(), &[file], &mut |_| unreachable!())
        .unwrap();
    gzipped(&tar)
}
