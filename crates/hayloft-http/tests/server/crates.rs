//! Crates, and how `cargo publish` sends them.

use std::io::Write;

use hayloft::feed_type::native::{ActionKind, SampleRequest};
use hayloft_archive::{ArchiveError, Compression, TarWriter, encoder};

/// A crate with nothing in it.
pub(crate) fn file(name: &str, version: &str, description: &str) -> Vec<u8> {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"{version}\"\ndescription = \"{description}\"\n"
    );
    let mut tar = TarWriter::new(Vec::new(), &hayloft::Limits::default());
    let path = format!("{name}-{version}/Cargo.toml");
    tar.add(&path, 0o644, 0, manifest.len() as u64, |out| {
        out.write_all(manifest.as_bytes()).map_err(ArchiveError::Io)
    })
    .unwrap();
    let tar = tar.finish().unwrap();
    let mut file = Vec::new();
    let mut packed = encoder(Compression::Gzip, Box::new(&mut file)).unwrap();
    packed.write_all(&tar).unwrap();
    packed.finish().unwrap();
    file
}

/// What `cargo publish` sends.
pub(crate) fn publish(name: &str, version: &str, description: &str) -> SampleRequest {
    let file = file(name, version, description);
    let told = format!(r#"{{"name":"{name}","vers":"{version}"}}"#);
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
    let body =
        [&length(told.len())[..], told.as_bytes(), &length(file.len())[..], &file[..]].concat();
    SampleRequest::action("PUT", "/api/v1/crates/new", ActionKind::Upload)
        .body("application/octet-stream", body)
}
