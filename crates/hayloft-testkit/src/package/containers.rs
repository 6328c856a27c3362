use std::collections::BTreeSet;
use std::io::{Cursor, Write};

use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A ZIP archive of deflated entries, all of 1980-01-01.
pub(super) fn zip<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (path, bytes) in files {
        archive.start_file(path, options).expect("entry names are valid");
        archive.write_all(bytes).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

/// Seconds since 1970 at which all tar members were changed: 1985-10-26T08:15:00Z, as npm has it.
pub(super) const MODIFIED: u64 = 499_162_500;

/// Whether a tar names the directories that its files are in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Directories {
    Named,
    Implied,
}

/// An uncompressed tar archive of plain files, mode 0644, owned by root.
pub(super) fn tar<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    directories: Directories,
) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut named = BTreeSet::new();
    for (path, bytes) in files {
        if directories == Directories::Named {
            for (end, _) in path.match_indices('/') {
                let parent: String = path.chars().take(end + 1).collect();
                if named.insert(parent.clone()) {
                    append(&mut archive, header(EntryType::Directory, 0o755, 0), &parent, &[]);
                }
            }
        }
        append(&mut archive, header(EntryType::Regular, 0o644, bytes.len()), path, bytes);
    }
    archive.into_inner().expect("memory can be written")
}

fn append(archive: &mut tar::Builder<Vec<u8>>, mut header: Header, path: &str, bytes: &[u8]) {
    // The library would leave out the `./` that Debian's tools write.
    if let Some(name) = header.as_mut_bytes().get_mut(..path.len())
        && path.len() <= 100
    {
        name.copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, bytes).expect("memory can be written");
    } else {
        archive.append_data(&mut header, path, bytes).expect("memory can be written");
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root").expect("a short name");
    header.set_groupname("root").expect("a short name");
    header.set_mtime(MODIFIED);
    header.set_size(u64::try_from(size).expect("a length fits 64 bits"));
    header
}

/// A gzip stream without name and time.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut stream =
        GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    stream.write_all(bytes).expect("memory can be written");
    stream.finish().expect("memory can be written")
}

pub(super) fn borrowed(files: &[(String, Vec<u8>)]) -> impl Iterator<Item = (&str, &[u8])> {
    files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
}
