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

/// The name of the one folder in a compressed tar stream, and the text of a file that lies in it:
/// of `FOLDER/file`, as large as a manifest may be. Reads as [`read_from_tar`] does.
pub fn read_in_folder(
    input: &mut dyn ReadSeek,
    compression: Compression,
    limits: &Limits,
    file: &str,
) -> Result<(String, String), ArchiveError> {
    let wanted = |path: &str| path.split_once('/').is_some_and(|(_, rest)| rest == file);
    let found = read_from_tar(input, compression, limits, limits.manifest, wanted)?;
    let missing = || ArchiveError::Missing { name: format!("FOLDER/{file}") };
    let (path, bytes) = found.ok_or_else(missing)?;
    let folder = path.split('/').next().unwrap_or_default().to_owned();
    match String::from_utf8(bytes) {
        Ok(text) => Ok((folder, text)),
        Err(_) => Err(ArchiveError::DamagedEntry {
            format: "tar",
            name: path,
            fault: "it is not text in UTF-8",
        }),
    }
}

/// Copies a compressed tar stream whose members lie in one folder into another: with the second
/// name of `folders` in place of the first, and this text in the file of the folder that is named.
pub fn retarget_packed_tar(
    input: &mut dyn ReadSeek,
    compression: Compression,
    output: impl Write,
    limits: &Limits,
    folders: (&str, &str),
    (file, text): (&str, &str),
) -> Result<(), ArchiveError> {
    rewrite_packed_tar(input, compression, output, limits, &mut |member| {
        let rest = member.path_text()?.strip_prefix(folders.0);
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = rest.map(|rest| format!("{}{rest}", folders.1).into_bytes());
        if rest.and_then(|rest| rest.strip_prefix('/')) != Some(file) {
            return Ok(TarAction::Rename { path, link: None });
        }
        let (bytes, max) = (text.as_bytes().to_vec(), limits.manifest);
        let edit = Box::new(move |_| Ok(bytes));
        Ok(TarAction::RenameAndEdit { path, link: None, max, edit })
    })
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
