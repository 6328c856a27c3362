//! Packages taken apart, for comparing them member by member.

use std::io::Cursor;

use hayloft_archive::{Compression, TarReader, decoder, read_ar};
use hayloft_feed::Limits;

/// One entry of a control archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) header: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// Name, header and data of each member.
pub(crate) fn members_of(package: &[u8]) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let mut content = Cursor::new(package);
    let members = read_ar(&mut content, &Limits::default()).unwrap();
    members
        .into_iter()
        .map(|member| {
            let start = usize::try_from(member.data.start).unwrap();
            let end = usize::try_from(member.data.end).unwrap();
            (member.name, member.header.to_vec(), package[start..end].to_vec())
        })
        .collect()
}

/// The entries of the control archive.
pub(crate) fn control_of(package: &[u8]) -> Vec<Entry> {
    let members = members_of(package);
    let (name, _, data) =
        members.iter().find(|(name, ..)| name.starts_with("control.tar")).unwrap();
    let compression = Compression::from_extension(name).unwrap();
    let limits = Limits::default();
    let stream = decoder(compression, Box::new(data.as_slice()), &limits).unwrap();
    let mut archive = TarReader::new(stream, &limits);
    let mut entries = Vec::new();
    while let Some(mut entry) = archive.next().unwrap() {
        let (path, header) = (entry.path().to_vec(), entry.header().to_vec());
        let data = entry.read(limits.metadata).unwrap();
        entries.push(Entry { path, header, data });
    }
    entries
}
