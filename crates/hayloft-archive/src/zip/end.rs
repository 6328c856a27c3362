use std::ops::Range;

use super::damaged;
use super::window::Window;
use crate::ArchiveError;
use crate::bytes::Fields;

const END: [u8; 4] = *b"PK\x05\x06";
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;
const END_LENGTH: u64 = 22;
const LOCATOR_LENGTH: u64 = 20;
const ZIP64_LENGTH: u64 = 56;

/// What the records at the end of the file say.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) entries: u64,
    pub(crate) directory: Range<u64>,
    pub(crate) zip64_end: Option<Range<u64>>,
    pub(crate) zip64_locator: Option<Range<u64>>,
    pub(crate) end: Range<u64>,
    pub(crate) comment: Vec<u8>,
}

/// The counts and places an end record states; the 32-bit one may defer to the 64-bit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stated {
    this_disk: u32,
    directory_disk: u32,
    entries_here: u64,
    entries: u64,
    directory_length: u64,
    directory_start: u64,
}

/// Finds the end record and checks it, and the zip64 one if there is one.
///
/// The last signature in the file must be the one of a record that ends with the file: readers
/// differ in what they do with anything else.
pub(crate) fn find(window: &mut Window<'_>) -> Result<Tail, ArchiveError> {
    let length = window.length();
    let tail_start = length.saturating_sub(END_LENGTH + 0xffff);
    let tail_length = usize::try_from(length - tail_start).unwrap_or_default();
    let mut tail = vec![0; tail_length];
    if !window.read_at(tail_start, &mut tail)? {
        return Err(damaged("it became shorter while it was read"));
    }
    let found = tail.windows(4).rposition(|bytes| bytes == END);
    let Some(record) = found.and_then(|at| tail.get(at..)) else {
        return Err(damaged("it has no end record; it may be cut off or not be a zip file"));
    };
    let (stated, comment) = parse_end(record)
        .ok_or_else(|| damaged("its end record is cut off, or something stands behind it"))?;
    let end = length - u64::try_from(record.len()).unwrap_or(length)..length;
    let zip64 = find_zip64(window, end.start)?;
    let (stated, zip64_end, zip64_locator) = match zip64 {
        Some(Zip64 { stated: large, record, locator }) => {
            if !agree(stated, large) {
                return Err(damaged("its two end records disagree"));
            }
            (large, Some(record), Some(locator))
        }
        None => (stated, None, None),
    };
    if stated.this_disk != 0 || stated.directory_disk != 0 || stated.entries != stated.entries_here
    {
        let feature = "several disks";
        return Err(ArchiveError::Unsupported { format: "zip", feature });
    }
    let directory_end = zip64_end.as_ref().map_or(end.start, |record| record.start);
    if stated.directory_start.checked_add(stated.directory_length) != Some(directory_end) {
        return Err(damaged("its directory does not lie right before its end record"));
    }
    Ok(Tail {
        entries: stated.entries,
        directory: stated.directory_start..directory_end,
        zip64_end,
        zip64_locator,
        end,
        comment,
    })
}

fn parse_end(record: &[u8]) -> Option<(Stated, Vec<u8>)> {
    let mut fields = Fields::new(record);
    fields.u32()?;
    let stated = Stated {
        this_disk: fields.u16()?.into(),
        directory_disk: fields.u16()?.into(),
        entries_here: fields.u16()?.into(),
        entries: fields.u16()?.into(),
        directory_length: fields.u32()?.into(),
        directory_start: fields.u32()?.into(),
    };
    let comment = usize::from(fields.u16()?);
    (fields.rest().len() == comment).then(|| (stated, fields.rest().to_vec()))
}

struct Zip64 {
    stated: Stated,
    record: Range<u64>,
    locator: Range<u64>,
}

/// The zip64 records right before the end record, if a locator is there.
fn find_zip64(window: &mut Window<'_>, end: u64) -> Result<Option<Zip64>, ArchiveError> {
    let Some(locator_start) = end.checked_sub(LOCATOR_LENGTH) else {
        return Ok(None);
    };
    let mut locator = [0; 20];
    if !window.read_at(locator_start, &mut locator)? {
        return Ok(None);
    }
    let mut fields = Fields::new(&locator);
    if fields.u32() != Some(ZIP64_LOCATOR) {
        return Ok(None);
    }
    let place = fields.u32().zip(fields.u64()).zip(fields.u32());
    let Some(((0, record_start), 0 | 1)) = place else {
        let feature = "several disks";
        return Err(ArchiveError::Unsupported { format: "zip", feature });
    };
    let mut record = [0; 56];
    let fits = record_start
        .checked_add(ZIP64_LENGTH)
        .is_some_and(|record_end| record_end <= locator_start);
    if !fits || !window.read_at(record_start, &mut record)? {
        return Err(damaged("its zip64 locator points outside the file"));
    }
    let Some((stated, length)) = parse_zip64(&record) else {
        return Err(damaged("its zip64 locator points at no end record"));
    };
    if record_start.checked_add(length) != Some(locator_start) {
        return Err(damaged("its zip64 end record does not lie right before its locator"));
    }
    let record = record_start..locator_start;
    Ok(Some(Zip64 { stated, record, locator: locator_start..end }))
}

/// What the record states, and its whole length.
fn parse_zip64(record: &[u8]) -> Option<(Stated, u64)> {
    let mut fields = Fields::new(record);
    fields.u32().filter(|signature| *signature == ZIP64_END)?;
    let length = fields.u64()?.checked_add(12)?;
    fields.u32()?;
    let stated = Stated {
        this_disk: fields.u32()?,
        directory_disk: fields.u32()?,
        entries_here: fields.u64()?,
        entries: fields.u64()?,
        directory_length: fields.u64()?,
        directory_start: fields.u64()?,
    };
    Some((stated, length))
}

/// Whether each 32-bit value is the 64-bit one or says that it does not fit. Readers differ in
/// which record they believe.
fn agree(small: Stated, large: Stated) -> bool {
    let disk = |small: u32, large: u32| small == large || small == 0xffff;
    let count = |small: u64, large: u64| small == large || small == 0xffff;
    let place = |small: u64, large: u64| small == large || small == 0xffff_ffff;
    disk(small.this_disk, large.this_disk)
        && disk(small.directory_disk, large.directory_disk)
        && count(small.entries_here, large.entries_here)
        && count(small.entries, large.entries)
        && place(small.directory_length, large.directory_length)
        && place(small.directory_start, large.directory_start)
}
