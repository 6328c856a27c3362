use std::ops::Range;

use hayloft_feed::Limits;

use super::{DosTime, damaged, extra, name};
use crate::ArchiveError;
use crate::bytes::Fields;

pub(crate) const ENCRYPTED: u16 = 1 << 0;
pub(crate) const DESCRIPTOR: u16 = 1 << 3;
pub(crate) const PATCH: u16 = 1 << 5;
pub(crate) const STRONG_ENCRYPTION: u16 = 1 << 6;
pub(crate) const UTF8: u16 = 1 << 11;
pub(crate) const MASKED: u16 = 1 << 13;
pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

const SIGNATURE: u32 = 0x0201_4b50;
const LARGE: u64 = 0xffff_ffff;

/// One entry as the directory of a zip archive states it.
///
/// Size and CRC were compared with the local header; whether the data has them shows when it is
/// read.
#[derive(Debug, Clone)]
pub struct ZipEntry {
    pub(crate) index: usize,
    pub(crate) name: Box<str>,
    /// Unless it is `name`.
    pub(crate) raw_name: Option<Box<[u8]>>,
    /// Unless it is `name`.
    pub(crate) path: Option<Box<str>>,
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
    /// Of the local record, in the file.
    pub(crate) offset: u64,
    /// Within the directory.
    pub(crate) extra: Range<usize>,
    /// Within the directory.
    pub(crate) comment: Range<usize>,
    /// Within the directory, from the signature to the end of the comment.
    pub(crate) header: Range<usize>,
}

impl ZipEntry {
    /// Position in the directory, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The name as written: UTF-8 with or without the flag for it, else code page 437.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as it stands in the file.
    pub fn raw_name(&self) -> &[u8] {
        self.raw_name.as_deref().unwrap_or(self.name.as_bytes())
    }

    /// The name with `/` for every `\`. Never absolute, never with `..`.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.name)
    }

    /// Whether the path ends in `/`.
    pub fn is_directory(&self) -> bool {
        self.path().ends_with('/')
    }

    /// Bytes of the data.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the data as it lies in the file.
    pub fn compressed_size(&self) -> u64 {
        self.compressed
    }

    /// CRC-32 of the data.
    pub fn crc32(&self) -> u32 {
        self.crc
    }

    /// Whether the data is not compressed; otherwise it is deflated.
    pub fn is_stored(&self) -> bool {
        self.method == STORED
    }

    /// When the file was changed, in an unknown time zone; `None` if the fields hold no date.
    pub fn modified(&self) -> Option<DosTime> {
        DosTime::from_fields(self.date, self.time)
    }

    /// General purpose flags of the directory.
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// External attributes; the upper half is the Unix mode if the writer was a Unix one.
    pub fn external_attributes(&self) -> u32 {
        self.external
    }

    /// Unix mode, if the entry was written with one.
    pub fn unix_mode(&self) -> Option<u32> {
        let unix = self.made_by >> 8 == 3;
        Some(self.external >> 16).filter(|mode| unix && *mode != 0)
    }

    /// Whether the data is the target of a symbolic link.
    pub fn is_symbolic_link(&self) -> bool {
        self.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000)
    }

    fn damaged(&self, fault: &'static str) -> ArchiveError {
        ArchiveError::DamagedEntry { format: "zip", name: self.name.to_string(), fault }
    }

    /// Reads the header at `start` of `directory`.
    pub(crate) fn parse(
        directory: &[u8],
        start: usize,
        index: usize,
        limits: &Limits,
    ) -> Result<Self, ArchiveError> {
        let bytes = directory.get(start..).unwrap_or_default();
        let cut_off = || damaged("its directory is cut off");
        let mut fields = Fields::new(bytes);
        if fields.u32().ok_or_else(cut_off)? != SIGNATURE {
            return Err(damaged("its directory holds something other than entries"));
        }
        let fixed = Fixed::parse(&mut fields).ok_or_else(cut_off)?;
        let raw_name = fields.take(fixed.name_length.into()).ok_or_else(cut_off)?;
        let extra_start = start + 46 + usize::from(fixed.name_length);
        let extra_end = extra_start + usize::from(fixed.extra_length);
        let end = extra_end + usize::from(fixed.comment_length);
        let extra = directory.get(extra_start..extra_end).ok_or_else(cut_off)?;
        directory.get(extra_end..end).ok_or_else(cut_off)?;
        let Names { name, raw_name, path } = Names::parse(raw_name, fixed.flags, extra, limits)?;
        let mut entry = Self {
            index,
            name,
            raw_name,
            path,
            made_by: fixed.made_by,
            needed: fixed.needed,
            flags: fixed.flags,
            method: fixed.method,
            time: fixed.time,
            date: fixed.date,
            crc: fixed.crc,
            compressed: fixed.compressed.into(),
            size: fixed.size.into(),
            internal: fixed.internal,
            external: fixed.external,
            offset: fixed.offset.into(),
            extra: extra_start..extra_end,
            comment: extra_end..end,
            header: start..end,
        };
        entry.apply_zip64(extra, fixed.disk)?;
        entry.check()?;
        Ok(entry)
    }

    fn apply_zip64(&mut self, extra: &[u8], disk: u16) -> Result<(), ArchiveError> {
        let field = extra::find(extra, extra::ZIP64).map_err(|fault| self.damaged(fault))?;
        let mut disk = u32::from(disk);
        if let Some(field) = field {
            let mut fields = Fields::new(field);
            let places = [&mut self.size, &mut self.compressed, &mut self.offset];
            let mut complete = true;
            for place in places.into_iter().filter(|place| **place == LARGE) {
                match fields.u64() {
                    Some(value) => *place = value,
                    None => complete = false,
                }
            }
            if disk == 0xffff {
                match fields.u32() {
                    Some(value) => disk = value,
                    None => complete = false,
                }
            }
            if !complete {
                return Err(self.damaged("its zip64 field is too short"));
            }
        }
        if disk != 0 {
            let feature = "several disks";
            return Err(ArchiveError::Unsupported { format: "zip", feature });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ArchiveError> {
        let feature = if self.flags & (ENCRYPTED | STRONG_ENCRYPTION | MASKED) != 0 {
            "encryption"
        } else if self.flags & PATCH != 0 {
            "patch data"
        } else if !matches!(self.method, STORED | DEFLATED) {
            "a compression other than deflate"
        } else if self.method == STORED && self.size != self.compressed {
            return Err(self.damaged("it is stored, but its two sizes differ"));
        } else {
            return Ok(());
        };
        let name = self.name.to_string();
        Err(ArchiveError::UnsupportedEntry { format: "zip", name, feature })
    }
}

/// The fields of a directory header that have a fixed place.
struct Fixed {
    made_by: u16,
    needed: u16,
    flags: u16,
    method: u16,
    time: u16,
    date: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    name_length: u16,
    extra_length: u16,
    comment_length: u16,
    disk: u16,
    internal: u16,
    external: u32,
    offset: u32,
}

impl Fixed {
    fn parse(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            made_by: fields.u16()?,
            needed: fields.u16()?,
            flags: fields.u16()?,
            method: fields.u16()?,
            time: fields.u16()?,
            date: fields.u16()?,
            crc: fields.u32()?,
            compressed: fields.u32()?,
            size: fields.u32()?,
            name_length: fields.u16()?,
            extra_length: fields.u16()?,
            comment_length: fields.u16()?,
            disk: fields.u16()?,
            internal: fields.u16()?,
            external: fields.u32()?,
            offset: fields.u32()?,
        })
    }
}

struct Names {
    name: Box<str>,
    raw_name: Option<Box<[u8]>>,
    path: Option<Box<str>>,
}

impl Names {
    fn parse(raw: &[u8], flags: u16, extra: &[u8], limits: &Limits) -> Result<Self, ArchiveError> {
        let name = name::decode(raw);
        let refused = |fault| ArchiveError::Name { name: name.to_string(), fault };
        if raw.len() > limits.entry_name {
            return Err(refused("is longer than the limit"));
        }
        let utf8 = std::str::from_utf8(raw).is_ok();
        if flags & UTF8 != 0 && !utf8 {
            return Err(refused("is said to be UTF-8 and is not"));
        }
        let path = name::normalize(&name);
        if let Some(fault) = name::fault(&path) {
            return Err(refused(fault));
        }
        if let Some(other) = unicode_path(raw, extra) {
            let spelled = std::str::from_utf8(other)
                .map_err(|_| refused("has a second spelling that is not UTF-8"))?;
            // Python unpacks to the second spelling, .NET to the first.
            if utf8 && spelled != name {
                return Err(refused("has a second spelling that differs"));
            }
            if let Some(fault) = name::fault(&name::normalize(spelled)) {
                return Err(refused(fault));
            }
        }
        let path = (*path != *name).then(|| Box::from(&*path));
        let raw_name = (*raw != *name.as_bytes()).then(|| Box::from(raw));
        Ok(Self { name: Box::from(&*name), raw_name, path })
    }
}

/// The Unicode path field, if it speaks of this name.
fn unicode_path<'e>(raw: &[u8], extra: &'e [u8]) -> Option<&'e [u8]> {
    let field = extra::find(extra, extra::UNICODE_PATH).ok()??;
    let (version, rest) = field.split_first()?;
    let mut fields = Fields::new(rest);
    let crc = fields.u32()?;
    (*version == 1 && crc == crc32fast::hash(raw)).then(|| fields.rest())
}
