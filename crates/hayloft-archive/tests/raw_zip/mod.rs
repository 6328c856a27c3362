//! Zip archives put together byte by byte, so that every field can lie.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io::Write;

/// One entry; local and central values are equal unless a test changes one.
#[derive(Debug, Clone)]
pub(crate) struct RawEntry {
    pub(crate) local: RawHeader,
    pub(crate) central: RawHeader,
    /// As it lies in the file.
    pub(crate) data: Vec<u8>,
    /// Right behind the data.
    pub(crate) descriptor: Vec<u8>,
    /// Bytes before the local header that belong to nothing.
    pub(crate) gap: Vec<u8>,
    /// Instead of the real place.
    pub(crate) offset: Option<u32>,
    pub(crate) disk: u16,
    pub(crate) external: u32,
    pub(crate) internal: u16,
    pub(crate) comment: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawHeader {
    pub(crate) made_by: u16,
    pub(crate) needed: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) time: u16,
    pub(crate) date: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u32,
    pub(crate) size: u32,
    pub(crate) name: Vec<u8>,
    pub(crate) extra: Vec<u8>,
}

pub(crate) fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A plain file entry.
pub(crate) fn entry(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> RawEntry {
    let content = content.as_ref();
    let data = deflate(content);
    let header = RawHeader {
        made_by: 0x0314,
        needed: 20,
        flags: 0,
        method: 8,
        time: 0x6c32,
        date: 0x5a75,
        crc: crc32fast::hash(content),
        compressed: u32::try_from(data.len()).unwrap(),
        size: u32::try_from(content.len()).unwrap(),
        name: name.as_ref().to_vec(),
        extra: Vec::new(),
    };
    RawEntry {
        local: header.clone(),
        central: header,
        data,
        descriptor: Vec::new(),
        gap: Vec::new(),
        offset: None,
        disk: 0,
        external: 0o100_644 << 16,
        internal: 0,
        comment: Vec::new(),
    }
}

impl RawEntry {
    pub(crate) fn both(mut self, change: impl Fn(&mut RawHeader)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    pub(crate) fn local(mut self, change: impl Fn(&mut RawHeader)) -> Self {
        change(&mut self.local);
        self
    }

    pub(crate) fn central(mut self, change: impl Fn(&mut RawHeader)) -> Self {
        change(&mut self.central);
        self
    }

    pub(crate) fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn stored(self, content: &[u8]) -> Self {
        let length = u32::try_from(content.len()).unwrap();
        self.both(|header| {
            header.method = 0;
            header.compressed = length;
        })
        .with(|entry| entry.data = content.to_vec())
    }

    /// Sizes and CRC behind the data.
    pub(crate) fn described(self, signed: bool, wide: bool) -> Self {
        let header = self.central.clone();
        let mut descriptor = Vec::new();
        if signed {
            descriptor.extend_from_slice(b"PK\x07\x08");
        }
        descriptor.extend_from_slice(&header.crc.to_le_bytes());
        for size in [header.compressed, header.size] {
            descriptor.extend_from_slice(&size.to_le_bytes());
            if wide {
                descriptor.extend_from_slice(&[0; 4]);
            }
        }
        self.both(|header| header.flags |= 8)
            .local(|header| {
                header.crc = 0;
                header.compressed = 0;
                header.size = 0;
            })
            .with(|entry| entry.descriptor.clone_from(&descriptor))
    }
}

impl RawHeader {
    fn shared(&self, out: &mut Vec<u8>) {
        for field in [self.needed, self.flags, self.method, self.time, self.date] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.crc, self.compressed, self.size] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for length in [self.name.len(), self.extra.len()] {
            out.extend_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
        }
    }
}

/// The end of an archive; `None` fields are as they should be.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawEnd {
    pub(crate) count: Option<u16>,
    pub(crate) directory_length: Option<u32>,
    pub(crate) directory_start: Option<u32>,
    pub(crate) disk: u16,
    pub(crate) comment: Vec<u8>,
    /// Instead of the length of the comment.
    pub(crate) comment_length: Option<u16>,
    pub(crate) zip64: Option<Zip64>,
    /// Behind the comment.
    pub(crate) trailing: Vec<u8>,
    /// Between directory and end record.
    pub(crate) gap: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Zip64 {
    pub(crate) record_start: Option<u64>,
    pub(crate) record_length: Option<u64>,
    pub(crate) count: Option<u64>,
    pub(crate) directory_start: Option<u64>,
    pub(crate) disks: Option<u32>,
}

pub(crate) fn archive(entries: &[RawEntry]) -> Vec<u8> {
    archive_with(entries, &RawEnd::default())
}

pub(crate) fn archive_with(entries: &[RawEntry], end: &RawEnd) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        out.extend_from_slice(&entry.gap);
        let offset = entry.offset.unwrap_or_else(|| u32::try_from(out.len()).unwrap());
        out.extend_from_slice(b"PK\x03\x04");
        entry.local.shared(&mut out);
        out.extend_from_slice(&entry.local.name);
        out.extend_from_slice(&entry.local.extra);
        out.extend_from_slice(&entry.data);
        out.extend_from_slice(&entry.descriptor);

        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&entry.central.made_by.to_le_bytes());
        entry.central.shared(&mut directory);
        let comment_length = u16::try_from(entry.comment.len()).unwrap();
        for field in [comment_length, entry.disk, entry.internal] {
            directory.extend_from_slice(&field.to_le_bytes());
        }
        directory.extend_from_slice(&entry.external.to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(&entry.central.name);
        directory.extend_from_slice(&entry.central.extra);
        directory.extend_from_slice(&entry.comment);
    }
    let start = out.len();
    out.extend_from_slice(&directory);
    write_end(&mut out, entries.len(), start, directory.len(), end);
    out
}

fn write_end(out: &mut Vec<u8>, count: usize, start: usize, length: usize, end: &RawEnd) {
    out.extend_from_slice(&end.gap);
    if let Some(zip64) = &end.zip64 {
        let record_start = out.len() as u64;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&zip64.record_length.unwrap_or(44).to_le_bytes());
        out.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let stated = zip64.count.unwrap_or(count as u64);
        let directory_start = zip64.directory_start.unwrap_or(start as u64);
        for field in [stated, stated, length as u64, directory_start] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&zip64.record_start.unwrap_or(record_start).to_le_bytes());
        out.extend_from_slice(&zip64.disks.unwrap_or(1).to_le_bytes());
    }
    out.extend_from_slice(b"PK\x05\x06");
    let count = end.count.unwrap_or_else(|| u16::try_from(count).unwrap());
    for field in [end.disk, end.disk, count, count] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    let length = end.directory_length.unwrap_or_else(|| u32::try_from(length).unwrap());
    out.extend_from_slice(&length.to_le_bytes());
    let start = end.directory_start.unwrap_or_else(|| u32::try_from(start).unwrap());
    out.extend_from_slice(&start.to_le_bytes());
    let comment = u16::try_from(end.comment.len()).unwrap();
    out.extend_from_slice(&end.comment_length.unwrap_or(comment).to_le_bytes());
    out.extend_from_slice(&end.comment);
    out.extend_from_slice(&end.trailing);
}
