use std::fmt::Write;

use hayloft_feed::{FeedTypeError, shorten};

use crate::package::{self, Package, PackageError};
use crate::{Manifest, SymbolFile};

/// Extensions of what may lie in a symbol package.
const EXTENSIONS: [&str; 6] = ["pdb", "nuspec", "xml", "psmdcp", "rels", "p7s"];
/// Bytes of a symbol file that are looked at; compilers put the streams' names first.
const PREFIX: usize = 4096;
/// Length of what identifies a symbol file: a GUID and a time stamp.
const PDB_ID: usize = 20;

/// A symbol package is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// Something other than symbols and metadata.
    #[error("entry `{}` is none of .pdb, .nuspec, .xml, .psmdcp, .rels and .p7s", shorten(.0))]
    Extension(String),
    /// Nothing that a symbol package is for.
    #[error("there is no .pdb file")]
    NoSymbols,
    /// A symbol file of the old format, which works on Windows only.
    #[error("entry `{}` is not a portable symbol file; build with DebugType=portable", shorten(.0))]
    NotPortable(String),
}

/// Checks what a symbol package contains and lists its symbol files in the order of the archive.
pub(crate) fn read(package: &mut Package<'_>) -> Result<Vec<SymbolFile>, FeedTypeError> {
    let fault = |error| PackageError::Symbols(error).refused();
    let mut symbols = Vec::new();
    for (index, path) in package.paths() {
        let is_history = [package::HISTORY, package::OLD_HISTORY]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(path));
        if path.ends_with('/') || is_history {
            continue;
        }
        let extension = path.rsplit('/').next().and_then(|file| file.rsplit_once('.'));
        let extension = extension.map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("pdb") => symbols.push((index, path.to_owned())),
            Some(other) if EXTENSIONS.contains(&other) => {}
            _ => return Err(fault(SymbolsError::Extension(path.to_owned()))),
        }
    }
    if symbols.is_empty() {
        return Err(fault(SymbolsError::NoSymbols));
    }
    symbols
        .into_iter()
        .map(|(index, path)| {
            let prefix = package.read_prefix(index, PREFIX)?;
            if !prefix.starts_with(b"BSJB") {
                return Err(fault(SymbolsError::NotPortable(path)));
            }
            Ok(SymbolFile { path, guid: guid(&prefix) })
        })
        .collect()
}

/// What symbol packages have no use for; the public gallery refuses it.
pub(crate) fn judge(manifest: &Manifest, warnings: &mut Vec<String>) {
    let has = [
        ("authors", manifest.authors.is_some()),
        ("owners", manifest.owners.is_some()),
        ("license", manifest.license.is_some() || manifest.license_url.is_some()),
        ("icon", manifest.icon.is_some() || manifest.icon_url.is_some()),
    ];
    for (name, _) in has.into_iter().filter(|(_, is_there)| *is_there) {
        warnings.push(format!("the nuspec of a symbol package has `{name}`, which has no effect"));
    }
}

/// The GUID in the `#Pdb` stream of a portable symbol file.
///
/// Format: <https://github.com/dotnet/runtime/blob/main/docs/design/specs/PortablePdb-Metadata.md>
fn guid(prefix: &[u8]) -> Option<String> {
    let number = |at: usize, length: usize| {
        let bytes = prefix.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let flags = 16_usize.checked_add(number(12, 4)?)?;
    let mut at = flags.checked_add(4)?;
    for _ in 0..number(flags.checked_add(2)?, 2)? {
        let start = number(at, 4)?;
        let name = prefix.get(at.checked_add(8)?..)?;
        let length = name.iter().position(|byte| *byte == 0)?;
        if name.get(..length)? == b"#Pdb" {
            let id = prefix.get(start..start.checked_add(PDB_ID)?)?;
            return Some(guid_text(id));
        }
        // A name is padded with one to four zeros.
        at = at.checked_add(8)?.checked_add((length / 4 + 1) * 4)?;
    }
    None
}

/// The first three fields of a GUID are stored with their lowest byte first.
fn guid_text(id: &[u8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    order.into_iter().filter_map(|at| id.get(at)).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portable(streams: &[&[u8]]) -> Vec<u8> {
        let header = [b"BSJB\x01\0\x01\0\0\0\0\0\x0c\0\0\0PDB v1.0\0\0\0\0\0\0", &[0_u8; 0][..]];
        let count = [u8::try_from(streams.len()).unwrap(), 0];
        [&header.concat()[..], &count, &streams.concat()].concat()
    }

    #[test]
    fn the_guid_is_read_from_its_stream() {
        let streams: [&[u8]; 2] = [b"\0\0\0\0\0\0\0\0#~\0\0", b"\x3c\0\0\0\x14\0\0\0#Pdb\0\0\0\0"];
        let mut bytes = portable(&streams);
        assert_eq!(bytes.len(), 0x3c);
        bytes.extend(0..20);
        assert_eq!(guid(&bytes).as_deref(), Some("030201000504070608090a0b0c0d0e0f"));
        for length in 0..bytes.len() {
            assert_eq!(guid(&bytes[..length]), None.or(guid(&bytes[..length])));
            assert!(length >= 0x3c + 20 || guid(&bytes[..length]).is_none());
        }
    }

    #[test]
    fn offsets_that_lie_give_no_guid() {
        let bytes = portable(&[b"\xff\xff\xff\xff\x14\0\0\0#Pdb\0\0\0\0"]);
        assert_eq!(guid(&bytes), None);
        let mut bytes = portable(&[]);
        bytes[12..16].copy_from_slice(&[0xff; 4]);
        assert_eq!(guid(&bytes), None);
    }
}
