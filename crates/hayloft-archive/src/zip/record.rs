use std::io::{self, Write};

use super::DosTime;
use super::entry::{DEFLATED, STORED, UTF8};
use crate::ArchiveError;
use crate::bytes::{count, length};

const LARGE: u64 = 0xffff_ffff;
const LARGE_COUNT: u64 = 0xffff;
/// Version that knows zip64.
const ZIP64_VERSION: u16 = 45;

/// All that the two headers of one entry say.
#[derive(Debug, Clone)]
pub(crate) struct Record<'r> {
    pub(crate) made_by: u16,
    pub(crate) needed: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) time: u16,
    pub(crate) date: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) size: u64,
    pub(crate) internal: u16,
    pub(crate) external: u32,
    pub(crate) name: &'r [u8],
    /// Without zip64 field, as are all extra areas here.
    pub(crate) local_extra: Vec<u8>,
    pub(crate) central_extra: Vec<u8>,
    pub(crate) comment: &'r [u8],
    /// Whether the local header has room for 64-bit sizes although they may turn out small.
    pub(crate) roomy: bool,
}

impl<'r> Record<'r> {
    /// A new entry without data.
    pub(crate) fn new(name: &'r str, modified: DosTime, mode: u32) -> Self {
        const UNIX: u16 = 3 << 8;
        const REGULAR: u32 = 0o100_000;
        const DIRECTORY: u32 = 0o040_000;
        const DOS_DIRECTORY: u32 = 0x10;
        let (date, time) = modified.fields();
        let directory = name.ends_with('/');
        let kind = if directory { DIRECTORY } else { REGULAR };
        Self {
            made_by: UNIX + 20,
            needed: 20,
            flags: if name.is_ascii() { 0 } else { UTF8 },
            method: if directory { STORED } else { DEFLATED },
            time,
            date,
            crc: 0,
            compressed: 0,
            size: 0,
            internal: 0,
            external: (kind | mode) << 16 | if directory { DOS_DIRECTORY } else { 0 },
            name: name.as_bytes(),
            local_extra: Vec::new(),
            central_extra: Vec::new(),
            comment: &[],
            roomy: false,
        }
    }

    fn is_large(&self) -> bool {
        self.roomy || self.size >= LARGE || self.compressed >= LARGE
    }

    /// The local header; its length does not depend on sizes if `roomy` is set.
    pub(crate) fn local(&self) -> Result<Vec<u8>, ArchiveError> {
        let large = self.is_large();
        let mut extra = Vec::new();
        if large {
            extra.extend_from_slice(&zip64_field(&[self.size, self.compressed]));
        }
        extra.extend_from_slice(&self.local_extra);
        let mut bytes = b"PK\x03\x04".to_vec();
        self.write_shared(&mut bytes, large);
        let sizes = if large { (LARGE, LARGE) } else { (self.compressed, self.size) };
        put32(&mut bytes, sizes.0);
        put32(&mut bytes, sizes.1);
        put_length(&mut bytes, self.name, self.name)?;
        put_length(&mut bytes, &extra, self.name)?;
        bytes.extend_from_slice(self.name);
        bytes.extend_from_slice(&extra);
        Ok(bytes)
    }

    /// Appends the directory header of the entry whose local header is at `offset`.
    pub(crate) fn central(&self, offset: u64, out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        let large: Vec<u64> = [self.size, self.compressed, offset]
            .into_iter()
            .filter(|value| *value >= LARGE)
            .collect();
        let mut extra = Vec::new();
        if !large.is_empty() {
            extra.extend_from_slice(&zip64_field(&large));
        }
        extra.extend_from_slice(&self.central_extra);
        out.extend_from_slice(b"PK\x01\x02");
        out.extend_from_slice(&self.made_by.to_le_bytes());
        self.write_shared(out, self.is_large() || !large.is_empty());
        put32(out, self.compressed);
        put32(out, self.size);
        put_length(out, self.name, self.name)?;
        put_length(out, &extra, self.name)?;
        put_length(out, self.comment, self.name)?;
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.internal.to_le_bytes());
        out.extend_from_slice(&self.external.to_le_bytes());
        put32(out, offset);
        out.extend_from_slice(self.name);
        out.extend_from_slice(&extra);
        out.extend_from_slice(self.comment);
        Ok(())
    }

    /// What both headers have in common, from version to CRC.
    fn write_shared(&self, out: &mut Vec<u8>, large: bool) {
        let needed = if large { self.needed.max(ZIP64_VERSION) } else { self.needed };
        for field in [needed, self.flags, self.method, self.time, self.date] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.crc.to_le_bytes());
    }
}

fn zip64_field(values: &[u64]) -> Vec<u8> {
    let length = u16::try_from(values.len() * 8).unwrap_or_default();
    let mut field = vec![1, 0];
    field.extend_from_slice(&length.to_le_bytes());
    for value in values {
        field.extend_from_slice(&value.to_le_bytes());
    }
    field
}

/// A 32-bit field, or the value that refers to the zip64 field.
fn put32(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_length(out: &mut Vec<u8>, of: &[u8], name: &[u8]) -> Result<(), ArchiveError> {
    let length = u16::try_from(of.len()).map_err(|_| ArchiveError::Name {
        name: crate::error::shown(name),
        fault: "or the extra fields with it are longer than a zip header can say",
    })?;
    out.extend_from_slice(&length.to_le_bytes());
    Ok(())
}

/// The records that end an archive whose directory of `entries` headers begins at `start`.
pub(crate) fn end(entries: u64, start: u64, directory: &[u8], comment: &[u8]) -> Vec<u8> {
    let size = length(directory);
    let mut bytes = Vec::new();
    if entries >= LARGE_COUNT || size >= LARGE || start >= LARGE {
        bytes.extend_from_slice(b"PK\x06\x06");
        bytes.extend_from_slice(&44_u64.to_le_bytes());
        bytes.extend_from_slice(&ZIP64_VERSION.to_le_bytes());
        bytes.extend_from_slice(&ZIP64_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        for field in [entries, entries, size, start] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        bytes.extend_from_slice(&start.saturating_add(size).to_le_bytes());
        bytes.extend_from_slice(&[1, 0, 0, 0]);
    }
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let small = u16::try_from(entries).unwrap_or(u16::MAX).to_le_bytes();
    bytes.extend_from_slice(&small);
    bytes.extend_from_slice(&small);
    put32(&mut bytes, size);
    put32(&mut bytes, start);
    // The comment came from a 16-bit length or is empty.
    bytes.extend_from_slice(&u16::try_from(comment.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(comment);
    bytes
}

/// Counts the bytes that go by.
#[derive(Debug)]
pub(crate) struct Counter<W> {
    pub(crate) out: W,
    pub(crate) written: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written = self.written.saturating_add(count(written));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
