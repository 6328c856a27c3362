use super::blocks::{Member, Record, RecordKind};
use super::header::{Dialect, RawHeader};
use super::{BLOCK, pax};
use crate::ArchiveError;
use crate::bytes::length;
use crate::error::shown;

/// The two names a member may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Path,
    Link,
}

impl Name {
    fn pax_key(self) -> &'static [u8] {
        match self {
            Self::Path => b"path",
            Self::Link => b"linkpath",
        }
    }

    fn gnu_kind(self) -> RecordKind {
        match self {
            Self::Path => RecordKind::LongName,
            Self::Link => RecordKind::LongLink,
        }
    }
}

impl Record {
    /// Puts other data into the record.
    pub(crate) fn set_data(&mut self, data: Vec<u8>) {
        let size = length(&data);
        self.header.set_size(size);
        let padding = usize::try_from(super::padding(size)).unwrap_or_default();
        self.padding = vec![0; padding];
        self.data = data;
    }

    fn new(kind: RecordKind, header: RawHeader, data: Vec<u8>) -> Self {
        let mut record = Self { kind, header, data: Vec::new(), padding: Vec::new() };
        record.set_data(data);
        record
    }
}

impl Member {
    /// Gives the member another name where it has the present one: in its pax record, in its GNU
    /// record, or in the header; one that does not fit there gets a record of the dialect.
    pub(crate) fn rename(
        &mut self,
        which: Name,
        name: &[u8],
        limit: usize,
    ) -> Result<(), ArchiveError> {
        let refused = |fault| ArchiveError::Name { name: shown(name), fault };
        if name.is_empty() || name.contains(&0) {
            return Err(refused("is empty or contains a zero byte"));
        }
        if name.len() > limit {
            return Err(refused("is longer than the limit"));
        }
        let fits = self.set_in_header(which, name);
        let mut recorded = false;
        for record in &mut self.records {
            if record.kind == which.gnu_kind() {
                record.set_data([name, b"\0"].concat());
                recorded = true;
            } else if record.kind == RecordKind::Pax
                && let Some(data) = pax::replace(&record.data, which.pax_key(), name)
            {
                record.set_data(data);
                recorded = true;
            }
        }
        if !fits && !recorded {
            self.add_record(which, name);
        }
        Ok(())
    }

    /// Writes the name into the header, cut if it does not fit; whether it fits.
    fn set_in_header(&mut self, which: Name, name: &[u8]) -> bool {
        let fits = name.len() <= 100;
        match which {
            Name::Link => self.header.set_link(name),
            Name::Path if fits => self.header.set_name(name),
            Name::Path => {
                let split = split(name).filter(|_| self.header.dialect() == Dialect::Posix);
                match split {
                    Some((prefix, rest)) => {
                        self.header.set_prefixed(prefix, rest);
                        return true;
                    }
                    None => self.header.set_name(name),
                }
            }
        }
        fits
    }

    fn add_record(&mut self, which: Name, name: &[u8]) {
        if self.header.dialect() == Dialect::Posix {
            let addition = pax::record(which.pax_key(), name);
            let present = self.records.iter_mut().find(|record| record.kind == RecordKind::Pax);
            if let Some(record) = present {
                let data = [record.data.as_slice(), &addition].concat();
                record.set_data(data);
            } else {
                let header = RawHeader::new(b'x', b"PaxHeaders/long-name", 0, 0o644, 0);
                self.records.push(Record::new(RecordKind::Pax, header, addition));
            }
        } else {
            let kind = which.gnu_kind();
            let byte = if kind == RecordKind::LongName { b'L' } else { b'K' };
            let header = RawHeader::new_gnu(byte, 0);
            self.records.push(Record::new(kind, header, [name, b"\0"].concat()));
        }
    }

    /// States another size, in the header and in a pax record that states one.
    pub(crate) fn set_size(&mut self, size: u64) {
        self.header.set_size(size);
        for record in self.records.iter_mut().filter(|record| record.kind == RecordKind::Pax) {
            if let Some(data) = pax::replace(&record.data, b"size", size.to_string().as_bytes()) {
                record.set_data(data);
            }
        }
    }

    /// A new regular file.
    pub(crate) fn new(
        path: &[u8],
        size: u64,
        mode: u32,
        mtime: u64,
        limit: usize,
    ) -> Result<Self, ArchiveError> {
        let header = RawHeader::new(b'0', path, size, mode, mtime);
        let entry = super::TarEntry {
            path: path.to_vec(),
            link: None,
            kind: super::TarKind::File,
            size,
            mode,
            mtime,
            header: Box::new([0; BLOCK]),
        };
        let mut member = Self { records: Vec::new(), header, entry };
        member.rename(Name::Path, path, limit)?;
        Ok(member)
    }
}

/// Prefix and name of a path that fits these fields of a POSIX header.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    slashes
        .filter_map(|at| Some((path.get(..at)?, path.get(at + 1..)?)))
        .find(|(_, name)| name.len() <= 100)
        .filter(|(prefix, name)| (1..=155).contains(&prefix.len()) && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_where_it_fits() {
        let long = [b"a".repeat(60), b"b".repeat(60), b"c".repeat(30)].join(&b'/');
        let (prefix, name) = split(&long).unwrap();
        assert_eq!((prefix.len(), name.len()), (60, 91));
        assert_eq!(split(&b"x".repeat(120)), None);
        assert_eq!(split(&[b"p".repeat(156), b"n".to_vec()].join(&b'/')), None);
    }
}
