use std::io::{Read, Seek, Write};

use hayloft_archive::{ArchiveError, DosTime, ZipWriter};

use crate::Manifest;
use crate::package::MANIFEST;

/// Writes a new package: the manifest first, then files below `package/`. No directory entries are
/// written: the ecosystem's current client fails on them.
#[derive(Debug)]
pub struct PackageWriter<W> {
    archive: ZipWriter<W>,
}

impl<W: Write + Seek> PackageWriter<W> {
    /// Begins a package at the position of `out`; the manifest is as of `modified`, else 1980.
    pub fn new(
        out: W,
        manifest: &Manifest,
        modified: Option<DosTime>,
    ) -> Result<Self, ArchiveError> {
        let mut archive = ZipWriter::new(out)?;
        archive.add(MANIFEST, modified, &mut manifest.text().as_bytes())?;
        Ok(Self { archive })
    }

    /// Adds a file at `path` below `package/`; `path` has `/` or `\` between its parts. `size` is
    /// what the file is thought to have in bytes.
    pub fn add(
        &mut self,
        path: &str,
        modified: Option<DosTime>,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let path = path.replace('\\', "/");
        if path.is_empty() || path.starts_with('/') || path.ends_with('/') {
            return Err(ArchiveError::Name { name: path, fault: "is not the path of a file" });
        }
        self.archive.add_sized(&format!("package/{path}"), modified, size, content)
    }

    /// Writes the end and gives the writer back.
    pub fn finish(self) -> Result<W, ArchiveError> {
        self.archive.finish()
    }
}
