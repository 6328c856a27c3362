use std::error::Error;
use std::fmt;
use std::io::{self, BufWriter, Read, Write};

use hayloft_feed::{Limits, shorten};

use super::blocks::{Blocks, Member, Next, Record};
use super::rename::Name;
use super::{TarEntry, damaged_entry, padding};
use crate::ArchiveError;
use crate::bytes::length;
use crate::error::shown;

/// Makes new data out of the old; called once, with all of it.
pub type TarEdit<'e> =
    Box<dyn FnOnce(Vec<u8>) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> + 'e>;

/// What is to happen to one member.
pub enum TarAction<'e> {
    /// Copy it with its extension records.
    Keep,
    /// Leave it out.
    Remove,
    /// Store other data; the header keeps all but size and checksum.
    Edit {
        /// Bytes of old data that `edit` takes at most.
        max: u64,
        /// Makes the new data.
        edit: TarEdit<'e>,
    },
    /// Change its path or what it links to, where they are given.
    Rename {
        /// The new path.
        path: Option<Vec<u8>>,
        /// The new target; only for links.
        link: Option<Vec<u8>>,
    },
    /// Both.
    RenameAndEdit {
        /// The new path.
        path: Option<Vec<u8>>,
        /// The new target; only for links.
        link: Option<Vec<u8>>,
        /// Bytes of old data that `edit` takes at most.
        max: u64,
        /// Makes the new data.
        edit: TarEdit<'e>,
    },
}

impl fmt::Debug for TarAction<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Keep => "Keep",
            Self::Remove => "Remove",
            Self::Edit { .. } => "Edit",
            Self::Rename { .. } => "Rename",
            Self::RenameAndEdit { .. } => "RenameAndEdit",
        })
    }
}

/// A regular file to add after all members: POSIX header, owner and group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarAppend {
    /// Its path.
    pub path: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Its data.
    pub bytes: Vec<u8>,
}

/// Copies an uncompressed tar stream, asking for each member what is to happen to it.
///
/// What is not decided otherwise is copied byte for byte: headers, extension records, padding, the
/// end marker and whatever follows it. `append` comes before the end marker; where that is
/// missing, it stays so. A stream is refused as by [`TarReader`](crate::TarReader). Memory is one
/// edited member. For a compressed stream hand in a [`decoder`](crate::decoder) and an
/// [`encoder`](crate::encoder), and finish the latter.
pub fn rewrite_tar<'e>(
    input: impl Read,
    output: impl Write,
    limits: &Limits,
    append: &[TarAppend],
    decide: &mut dyn FnMut(&TarEntry) -> Result<TarAction<'e>, ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut blocks = Blocks::new(input, limits);
    let mut out = BufWriter::with_capacity(32 << 10, output);
    loop {
        match blocks.next()? {
            Next::Global(record) => write_record(&record, &mut out)?,
            Next::Member(member) => {
                let action = decide(&member.entry)?;
                write_member(*member, action, &mut blocks, &mut out)?;
            }
            Next::End(marker) => {
                for file in append {
                    write_appended(file, limits, &mut out)?;
                }
                out.write_all(&marker).map_err(ArchiveError::from_io)?;
                copy_rest(&mut blocks, &mut out)?;
                return out.flush().map_err(ArchiveError::from_io);
            }
        }
    }
}

fn write_member<R: Read>(
    mut member: Member,
    action: TarAction<'_>,
    blocks: &mut Blocks<R>,
    out: &mut impl Write,
) -> Result<(), ArchiveError> {
    let (path, link, edit) = match action {
        TarAction::Remove => return copy_data(&member.entry, blocks, &mut io::sink()),
        TarAction::Keep => (None, None, None),
        TarAction::Edit { max, edit } => (None, None, Some((max, edit))),
        TarAction::Rename { path, link } => (path, link, None),
        TarAction::RenameAndEdit { path, link, max, edit } => (path, link, Some((max, edit))),
    };
    let longest = blocks.limits().entry_name;
    if let Some(path) = path.filter(|path| *path != member.entry.path) {
        member.rename(Name::Path, &path, longest)?;
    }
    if let Some(link) = link.filter(|link| member.entry.link.as_ref() != Some(link)) {
        if member.entry.link.is_none() {
            return Err(ArchiveError::edit(&member.entry.path, "it is not a link"));
        }
        member.rename(Name::Link, &link, longest)?;
    }
    let Some((max, edit)) = edit else {
        write_headers(&member, out)?;
        return copy_data(&member.entry, blocks, out);
    };
    let old = read_data(&member.entry, max, blocks)?;
    let size = length(&old);
    let new = edit(old).map_err(|error| ArchiveError::edit(&member.entry.path, error))?;
    if length(&new) != size {
        member.set_size(length(&new));
    }
    write_headers(&member, out)?;
    write_padded(&new, out)
}

fn write_appended(
    file: &TarAppend,
    limits: &Limits,
    out: &mut impl Write,
) -> Result<(), ArchiveError> {
    let size = length(&file.bytes);
    let member = Member::new(&file.path, size, file.mode, file.mtime, limits.entry_name)?;
    write_headers(&member, out)?;
    write_padded(&file.bytes, out)
}

pub(crate) fn write_headers(member: &Member, out: &mut impl Write) -> Result<(), ArchiveError> {
    for record in &member.records {
        write_record(record, out)?;
    }
    out.write_all(member.header.bytes()).map_err(ArchiveError::from_io)
}

fn write_record(record: &Record, out: &mut impl Write) -> Result<(), ArchiveError> {
    out.write_all(record.header.bytes())
        .and_then(|()| out.write_all(&record.data))
        .and_then(|()| out.write_all(&record.padding))
        .map_err(ArchiveError::from_io)
}

fn write_padded(data: &[u8], out: &mut impl Write) -> Result<(), ArchiveError> {
    let zeros = vec![0; usize::try_from(padding(length(data))).unwrap_or_default()];
    out.write_all(data).and_then(|()| out.write_all(&zeros)).map_err(ArchiveError::from_io)
}

/// Copies the data with its padding.
fn copy_data<R: Read>(
    entry: &TarEntry,
    blocks: &mut Blocks<R>,
    out: &mut impl Write,
) -> Result<(), ArchiveError> {
    let whole = entry.size.saturating_add(padding(entry.size));
    let copied = io::copy(&mut blocks.input().take(whole), out).map_err(ArchiveError::from_io)?;
    if copied != whole {
        return Err(damaged_entry(&entry.path, "its data is cut off"));
    }
    Ok(())
}

fn read_data<R: Read>(
    entry: &TarEntry,
    max: u64,
    blocks: &mut Blocks<R>,
) -> Result<Vec<u8>, ArchiveError> {
    let what = format!("entry `{}`", shorten(&shown(&entry.path)));
    if entry.size > max {
        return Err(ArchiveError::TooLarge { what, limit: max });
    }
    let whole = entry.size.saturating_add(padding(entry.size));
    let limits = blocks.limits().clone();
    let mut data = limits
        .load(&mut blocks.input().take(whole), whole)
        .map_err(|error| ArchiveError::from_limited(error, &what))?;
    if length(&data) != whole {
        return Err(damaged_entry(&entry.path, "its data is cut off"));
    }
    data.truncate(usize::try_from(entry.size).unwrap_or(usize::MAX));
    Ok(data)
}

/// Copies what follows the end marker: blocks of zeros as a rule.
fn copy_rest<R: Read>(blocks: &mut Blocks<R>, out: &mut impl Write) -> Result<(), ArchiveError> {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let read = match blocks.input().read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(ArchiveError::from_io)?,
        };
        if read == 0 {
            return Ok(());
        }
        blocks.count(crate::bytes::count(read))?;
        out.write_all(buffer.get(..read).unwrap_or_default()).map_err(ArchiveError::from_io)?;
    }
}
