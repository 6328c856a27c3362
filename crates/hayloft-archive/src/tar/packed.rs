use std::io::{Read, SeekFrom, Write};

use hayloft_feed::{Limits, ReadSeek};

use super::{TarAction, TarEntry, TarReader, rewrite_tar};
use crate::{ArchiveError, Compression, Links, decoder, encoder, leaves_directory};

/// Reads one file of a compressed tar stream, of at most `most` bytes: the one whose path
/// `wanted` likes. Two such files are refused, and so are paths and links that lead out of where the
/// stream is unpacked; all of it is read.
pub fn read_from_tar(
    input: &mut dyn ReadSeek,
    compression: Compression,
    limits: &Limits,
    most: u64,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<(String, Vec<u8>)>, ArchiveError> {
    input.seek(SeekFrom::Start(0)).map_err(ArchiveError::from_io)?;
    let mut tar = TarReader::new(decoder(compression, Box::new(input), limits)?, limits);
    let mut found = None;
    let mut links = Links::default();
    while let Some(mut member) = tar.next()? {
        let path = member.entry().path_text()?.to_owned();
        if let Some(fault) = leaves_directory(path.as_bytes()) {
            return Err(ArchiveError::Name { name: path, fault: fault.text() });
        }
        links.entry(member.entry())?;
        if !wanted(&path) {
            continue;
        }
        if found.is_some() {
            return Err(ArchiveError::Duplicate { name: path });
        }
        found = Some((path, member.read(most)?));
    }
    links.check(None)?;
    Ok(found)
}

/// Copies a compressed tar stream into another as [`rewrite_tar`] does.
pub fn rewrite_packed_tar<'e>(
    input: &mut dyn ReadSeek,
    compression: Compression,
    output: impl Write,
    limits: &Limits,
    decide: &mut dyn FnMut(&TarEntry) -> Result<TarAction<'e>, ArchiveError>,
) -> Result<(), ArchiveError> {
    input.seek(SeekFrom::Start(0)).map_err(ArchiveError::from_io)?;
    let plain: Box<dyn Read + '_> = decoder(compression, Box::new(input), limits)?;
    let mut packed = encoder(compression, Box::new(output))?;
    rewrite_tar(plain, &mut packed, limits, &[], decide)?;
    packed.finish().map(drop)
}
