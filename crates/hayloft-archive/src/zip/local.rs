use std::ops::Range;

use super::entry::{DESCRIPTOR, ENCRYPTED, STRONG_ENCRYPTION, UTF8};
use super::extra;
use super::window::Window;
use super::{ZipEntry, damaged};
use crate::ArchiveError;
use crate::bytes::Fields;

const SIGNATURE: u32 = 0x0403_4b50;
const DESCRIPTOR_SIGNATURE: u32 = 0x0807_4b50;
const LARGE: u64 = 0xffff_ffff;

/// Where the parts of an entry lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipRecord {
    /// The local header, the data and the data descriptor if there is one.
    pub local: Range<u64>,
    /// The data as it lies in the file, usually compressed.
    pub data: Range<u64>,
    /// The header in the directory.
    pub central: Range<u64>,
    /// The extra area of the local header.
    pub(crate) local_extra: Range<u64>,
}

/// Reads the local header of `entry` and checks that it tells the same as the directory.
///
/// The extra areas may differ: the 28 bytes of growth hint that .NET writes are in one of them
/// only.
pub(crate) fn check(
    window: &mut Window<'_>,
    entry: &ZipEntry,
    central: Range<u64>,
    directory: u64,
    buffer: &mut Vec<u8>,
) -> Result<ZipRecord, ArchiveError> {
    let fault =
        |fault| ArchiveError::DamagedEntry { format: "zip", name: entry.name.to_string(), fault };
    let mut fixed = [0; 30];
    let read = entry.offset < directory && window.read_at(entry.offset, &mut fixed)?;
    let header = Local::parse(&fixed).filter(|_| read);
    let header = header.ok_or_else(|| fault("its local header is not where it should be"))?;
    let name_start = entry.offset.saturating_add(30);
    let extra_start = name_start.saturating_add(header.name_length.into());
    let data_start = extra_start.saturating_add(header.extra_length.into());
    let data_end = data_start.saturating_add(entry.compressed);
    if data_end > directory {
        return Err(fault("its data reaches into the directory"));
    }
    buffer.clear();
    buffer.resize(usize::from(header.name_length) + usize::from(header.extra_length), 0);
    if !window.read_at(name_start, buffer)? {
        return Err(damaged("it became shorter while it was read"));
    }
    let (name, extra) = buffer.split_at_checked(header.name_length.into()).unwrap_or_default();
    if name != entry.raw_name() {
        return Err(fault("its local header has another name"));
    }
    if header.method != entry.method {
        return Err(fault("its local header has another compression"));
    }
    if header.flags & (ENCRYPTED | STRONG_ENCRYPTION) != 0 {
        return Err(fault("only its local header says that it is encrypted"));
    }
    // Readers that go by the flag would decode the name in two ways.
    if !name.is_ascii() && (header.flags ^ entry.flags) & UTF8 != 0 {
        return Err(fault("its local header has another name encoding"));
    }
    header.check_sizes(entry, extra).map_err(fault)?;
    let end = if header.flags & DESCRIPTOR == 0 {
        data_end
    } else {
        let length = descriptor(window, entry, data_end, directory)?;
        data_end
            + length.ok_or_else(|| fault("its data descriptor disagrees with the directory"))?
    };
    Ok(ZipRecord {
        local: entry.offset..end,
        data: data_start..data_end,
        central,
        local_extra: extra_start..data_start,
    })
}

struct Local {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    name_length: u16,
    extra_length: u16,
}

impl Local {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        fields.u32().filter(|signature| *signature == SIGNATURE)?;
        fields.u16()?;
        let flags = fields.u16()?;
        let method = fields.u16()?;
        fields.u32()?;
        Some(Self {
            flags,
            method,
            crc: fields.u32()?,
            compressed: fields.u32()?.into(),
            size: fields.u32()?.into(),
            name_length: fields.u16()?,
            extra_length: fields.u16()?,
        })
    }

    /// Sizes and CRC must be those of the directory, or be zero and follow in a descriptor.
    fn check_sizes(&self, entry: &ZipEntry, extra: &[u8]) -> Result<(), &'static str> {
        let (mut size, mut compressed) = (self.size, self.compressed);
        if size == LARGE || compressed == LARGE {
            // A malformed area is no fault in itself, but here a field of it is needed.
            if let Some(field) = extra::find(extra, extra::ZIP64)? {
                let mut fields = Fields::new(field);
                for place in [&mut size, &mut compressed] {
                    if *place == LARGE {
                        *place = fields.u64().ok_or("its local zip64 field is too short")?;
                    }
                }
            }
        }
        let deferred = self.flags & DESCRIPTOR != 0;
        let agrees = |local: u64, central: u64| local == central || (deferred && local == 0);
        if agrees(size, entry.size)
            && agrees(compressed, entry.compressed)
            && agrees(self.crc.into(), entry.crc.into())
        {
            Ok(())
        } else {
            Err("its local header has another size or checksum")
        }
    }
}

/// The length of the data descriptor at `at`: with or without signature, in 32 or 64 bits.
fn descriptor(
    window: &mut Window<'_>,
    entry: &ZipEntry,
    at: u64,
    directory: u64,
) -> Result<Option<u64>, ArchiveError> {
    let mut bytes = [0; 24];
    let room = usize::try_from(directory.saturating_sub(at)).unwrap_or(usize::MAX).min(24);
    let bytes = bytes.get_mut(..room).unwrap_or_default();
    if !window.read_at(at, bytes)? {
        return Ok(None);
    }
    let small = |mut fields: Fields<'_>| {
        let crc = fields.u32()?;
        let sizes = (u64::from(fields.u32()?), u64::from(fields.u32()?));
        Some((crc, sizes))
    };
    let large = |mut fields: Fields<'_>| {
        let crc = fields.u32()?;
        Some((crc, (fields.u64()?, fields.u64()?)))
    };
    let expected = Some((entry.crc, (entry.compressed, entry.size)));
    let bare = Fields::new(bytes);
    let mut signed = bare;
    if signed.u32() == Some(DESCRIPTOR_SIGNATURE) {
        if large(signed) == expected {
            return Ok(Some(24));
        }
        if small(signed) == expected {
            return Ok(Some(16));
        }
    }
    if large(bare) == expected {
        return Ok(Some(20));
    }
    Ok((small(bare) == expected).then_some(12))
}
