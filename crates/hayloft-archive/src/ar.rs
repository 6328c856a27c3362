use std::io::{self, Read, SeekFrom, Write};
use std::ops::Range;

use hayloft_feed::{Limits, ReadSeek};

use crate::ArchiveError;
use crate::error::shown;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: u64 = 60;
/// Memory of one member, its name included.
const MEMBER: u64 = 160;

/// One member of an `ar` archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArMember {
    /// Name without padding and without the slash that GNU `ar` appends.
    pub name: String,
    /// The header as it stands in the file.
    pub header: [u8; 60],
    /// Where the data lies in the file.
    pub data: Range<u64>,
}

impl ArMember {
    /// Bytes of data.
    pub fn size(&self) -> u64 {
        self.data.end.saturating_sub(self.data.start)
    }
}

/// Lists the members of an `ar` archive as Debian packages use it.
///
/// Long names of either dialect are refused, as `dpkg` does, and so is an archive whose last
/// member lacks its padding. Costs one small read for each member.
/// Format: <https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html>
pub fn read_ar(content: &mut dyn ReadSeek, limits: &Limits) -> Result<Vec<ArMember>, ArchiveError> {
    let length = content.seek(SeekFrom::End(0)).map_err(ArchiveError::Io)?;
    content.rewind().map_err(ArchiveError::Io)?;
    let mut magic = [0; 8];
    if length < 8 {
        return Err(damaged("it is too short"));
    }
    content.read_exact(&mut magic).map_err(ArchiveError::Io)?;
    if &magic != MAGIC {
        return Err(damaged("it does not begin with `!<arch>`"));
    }
    let mut members = Vec::new();
    let mut at = 8;
    while at < length {
        if u64::try_from(members.len()).unwrap_or(u64::MAX) >= limits.entries {
            return Err(ArchiveError::TooManyEntries { limit: limits.entries });
        }
        if length - at < HEADER {
            return Err(damaged("a member header is cut off"));
        }
        content.seek(SeekFrom::Start(at)).map_err(ArchiveError::Io)?;
        let mut header = [0; 60];
        content.read_exact(&mut header).map_err(ArchiveError::Io)?;
        let (name, size) = parse_header(&header)?;
        // The vector doubles, and is there twice while it moves.
        limits.account.charge(3 * MEMBER)?;
        let start = at + HEADER;
        let end = start + size;
        let next = end + size % 2;
        if next > length {
            let fault = if end > length { "its data is cut off" } else { "its padding is missing" };
            return Err(ArchiveError::DamagedEntry { format: "ar", name, fault });
        }
        members.push(ArMember { name, header, data: start..end });
        at = next;
    }
    Ok(members)
}

/// Name and size; the size has at most ten digits, so sums with it stay far from overflow.
fn parse_header(header: &[u8; 60]) -> Result<(String, u64), ArchiveError> {
    let (name, rest) = header.split_at(16);
    let (_, rest) = rest.split_at(32);
    let (size, end) = rest.split_at(10);
    if end != b"`\n" {
        return Err(damaged("a member header does not end as it must"));
    }
    let name = name.trim_ascii_end();
    if name.starts_with(b"/") || name.starts_with(b"#1/") {
        return Err(ArchiveError::Unsupported { format: "ar", feature: "long member names" });
    }
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let text = shown(name);
    if name.is_empty() || !name.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'/') {
        let fault = "is not 1 to 16 printable ASCII characters other than `/`";
        return Err(ArchiveError::Name { name: text, fault });
    }
    let size = size.trim_ascii_end();
    let digits = std::str::from_utf8(size)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(size) => Ok((text, size)),
        None => Err(ArchiveError::DamagedEntry {
            format: "ar",
            name: text,
            fault: "its size is not a decimal number",
        }),
    }
}

fn damaged(fault: &'static str) -> ArchiveError {
    ArchiveError::Damaged { format: "ar", fault }
}

/// Writes an `ar` archive.
#[derive(Debug)]
pub struct ArWriter<W> {
    out: W,
}

impl<W: Write> ArWriter<W> {
    /// Begins an archive on `out`.
    pub fn new(mut out: W) -> Result<Self, ArchiveError> {
        out.write_all(MAGIC).map_err(ArchiveError::Io)?;
        Ok(Self { out })
    }

    /// Copies a member: its header as it stands, its data from `data`.
    pub fn copy_member(
        &mut self,
        member: &ArMember,
        data: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.out.write_all(&member.header).map_err(ArchiveError::Io)?;
        self.write_data(&member.name, member.size(), data)
    }

    /// Writes a member in place of another: the header keeps all but its size.
    pub fn replace_member(
        &mut self,
        member: &ArMember,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let mut header = member.header;
        let field = size_field(&member.name, size)?;
        for (to, from) in header.iter_mut().skip(48).zip(field.bytes()) {
            *to = from;
        }
        self.out.write_all(&header).map_err(ArchiveError::Io)?;
        self.write_data(&member.name, size, data)
    }

    /// Writes a new member with owner and group 0. `mtime` is in seconds since 1970.
    pub fn add_member(
        &mut self,
        name: &str,
        mtime: u64,
        mode: u32,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let field = size_field(name, size)?;
        let header = format!("{name:<16}{mtime:<12}{:<6}{:<6}{mode:<8o}{field}`\n", 0, 0);
        let fits = <&[u8; 60]>::try_from(header.as_bytes());
        let written = fits.ok().and_then(|header| parse_header(header).ok());
        if written.is_none_or(|written| written != (name.to_owned(), size)) {
            return Err(ArchiveError::Name {
                name: name.to_owned(),
                fault: "cannot be written into an ar header",
            });
        }
        self.out.write_all(header.as_bytes()).map_err(ArchiveError::Io)?;
        self.write_data(name, size, data)
    }

    fn write_data(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let copied =
            io::copy(&mut data.take(size), &mut self.out).map_err(ArchiveError::from_io)?;
        if copied != size {
            return Err(ArchiveError::DamagedEntry {
                format: "ar",
                name: name.to_owned(),
                fault: "its data is shorter than its size says",
            });
        }
        if size % 2 == 1 {
            self.out.write_all(b"\n").map_err(ArchiveError::Io)?;
        }
        Ok(())
    }

    /// Flushes and gives the writer back.
    pub fn finish(mut self) -> Result<W, ArchiveError> {
        self.out.flush().map_err(ArchiveError::Io)?;
        Ok(self.out)
    }
}

fn size_field(name: &str, size: u64) -> Result<String, ArchiveError> {
    const LARGEST: u64 = 9_999_999_999;
    if size > LARGEST {
        return Err(ArchiveError::TooLarge { what: format!("member `{name}`"), limit: LARGEST });
    }
    Ok(format!("{size:<10}"))
}
