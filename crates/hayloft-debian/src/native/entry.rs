use sha2::{Digest, Sha256};

use hayloft_feed::FileCard;

use crate::control::{Control, PackageKind};
use crate::manifest::Manifest;
use crate::name::DebianName;

/// What an index needs of one package file, as far as the file itself tells: its part of a
/// `Packages` stanza, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'b> {
    /// Name of the source package, which is a directory of the pool.
    pub(crate) source: &'b str,
    /// Which family of indexes lists it.
    pub(crate) kind: PackageKind,
    /// Which architecture's index lists it; `all` is in each.
    pub(crate) architecture: &'b str,
    /// What the file is called in the pool.
    pub(crate) file_name: &'b str,
    /// Fields, each line with its end.
    pub(crate) fields: &'b [u8],
}

impl<'b> Entry<'b> {
    /// The kind of fragment that holds it.
    pub(crate) const FRAGMENT: u8 = 1;

    /// The fragment of a package.
    pub(crate) fn encode(control: &Control<'_>, manifest: &Manifest) -> Vec<u8> {
        let source = match manifest.source_name.parse::<DebianName>() {
            Ok(_) => &manifest.source_name,
            // It would be a directory of the pool that nobody checked.
            Err(_) => &manifest.name,
        };
        let head = [
            source.as_str(),
            manifest.kind.extension(),
            &manifest.index_architecture,
            &manifest.file_name,
        ];
        let mut out = head.join("\t").into_bytes();
        out.push(b'\n');
        for field in control.stanza.fields().iter().filter(|field| Control::is_indexed(field.name))
        {
            out.extend_from_slice(field.name.as_bytes());
            out.push(b':');
            if !field.value.starts_with(b"\n") && !field.value.starts_with(b"\r\n") {
                out.push(b' ');
            }
            // Carriage returns stand before line ends alone: others are refused.
            out.extend(field.value.iter().filter(|byte| **byte != b'\r'));
            out.push(b'\n');
        }
        out
    }

    /// What [`Entry::encode`] wrote; `None` for anything else.
    pub(crate) fn decode(fragment: &'b [u8]) -> Option<Self> {
        let end = fragment.iter().position(|byte| *byte == b'\n')?;
        let (head, fields) = fragment.split_at_checked(end + 1)?;
        let mut words = std::str::from_utf8(head).ok()?.trim_end_matches('\n').split('\t');
        let (source, kind) = (words.next()?, words.next()?);
        let known = [PackageKind::Deb, PackageKind::Udeb, PackageKind::Ddeb];
        let kind = known.into_iter().find(|known| known.extension() == kind)?;
        let (architecture, file_name) = (words.next()?, words.next()?);
        Some(Self { source, kind, architecture, file_name, fields })
    }

    /// The stanza of the file in an index, with the empty line behind it.
    pub(crate) fn stanza(&self, component: &str, card: &FileCard) -> Vec<u8> {
        let hex = data_encoding::HEXLOWER.encode(&card.digests.sha256);
        let path = self.pool_path(component, &card.digests.sha256);
        let mut out = self.fields.to_vec();
        let tail = format!("Filename: {path}\nSize: {}\nSHA256: {hex}\n\n", card.size);
        out.extend_from_slice(tail.as_bytes());
        out
    }

    /// Where the file is, from the root of the repository. The digest tells apart files of one
    /// name in several distributions, which share the pool.
    pub(crate) fn pool_path(&self, component: &str, sha256: &[u8; 32]) -> String {
        let first = match self.source.get(..4).filter(|start| start.starts_with("lib")) {
            Some(start) => start,
            None => self.source.get(..1).unwrap_or_default(),
        };
        let digest = digest_prefix(sha256);
        format!("pool/{component}/{first}/{}/{digest}/{}", self.source, self.file_name)
    }

    /// What the package is found by: the parts of its name, and what it is in words.
    pub(crate) fn synopsis(&self) -> Option<String> {
        let mut lines = self.fields.split(|byte| *byte == b'\n');
        let name = b"description:";
        let line = lines.find(|line| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        })?;
        let text = String::from_utf8_lossy(line.get(name.len()..)?).trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    }
}

/// The part of a digest that stands in paths.
pub(crate) fn digest_prefix(sha256: &[u8; 32]) -> String {
    let (prefix, _) = sha256.split_at(16);
    data_encoding::HEXLOWER.encode(prefix)
}

/// Tells the files of one index apart, whatever their names are long.
pub(crate) fn entry_id(name: &str, version: &str, architecture: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in [name, version, architecture] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(hash.split_at(16).0);
    id
}

#[cfg(test)]
mod tests {
    use hayloft_feed::{Digests, FileId, FileRole};
    use rstest::rstest;

    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let control = Control::parse(text.as_bytes()).unwrap();
        let manifest = Manifest::of(&control, None);
        Entry::encode(&control, &manifest)
    }

    fn card() -> FileCard {
        let digests = Digests {
            md5: [0; 16],
            sha1: [0; 20],
            sha256: [0xab; 32],
            sha512: [0; 64],
            blake3: [0; 32],
        };
        let id = FileId::new(1, 1, 0);
        FileCard::new(id, FileRole::Package, "hay.deb", 7, digests)
    }

    #[test]
    fn a_stanza_repeats_the_fields_and_says_where_the_file_is() {
        let fragment = encoded(
            "Package: libhay1\nVersion: 1:2.0-1\r\nSource: hay (2.0)\nArchitecture: amd64\n\
             Size: 99\nX-More:\n one\n two\nDescription: dry grass\n for horses\n",
        );
        let entry = Entry::decode(&fragment).unwrap();
        assert_eq!((entry.source, entry.kind), ("hay", PackageKind::Deb));
        assert_eq!(entry.synopsis().as_deref(), Some("dry grass"));
        let stanza = String::from_utf8(entry.stanza("main", &card())).unwrap();
        let digest = "ab".repeat(16);
        assert_eq!(
            stanza,
            format!(
                "Package: libhay1\nVersion: 1:2.0-1\nSource: hay (2.0)\nArchitecture: amd64\n\
                 X-More:\n one\n two\nDescription: dry grass\n for horses\n\
                 Filename: pool/main/h/hay/{digest}/libhay1_2.0-1_amd64.deb\nSize: 7\n\
                 SHA256: {digest}{digest}\n\n"
            )
        );
    }

    #[rstest]
    #[case::library("libfoo", "pool/main/libf/libfoo/")]
    #[case::short_library("lib", "pool/main/l/lib/")]
    #[case::other("zlib", "pool/main/z/zlib/")]
    fn the_pool_has_a_directory_for_a_beginning(#[case] name: &str, #[case] expected: &str) {
        let fragment = encoded(&format!("Package: {name}\nVersion: 1\nArchitecture: all\n"));
        let path = Entry::decode(&fragment).unwrap().pool_path("main", &[0; 32]);
        assert!(path.starts_with(expected), "{path}");
    }

    #[test]
    fn foreign_bytes_are_no_entry() {
        for bytes in [&b""[..], b"\n", b"a\tdeb\n", b"a\trpm\tall\tf\n", b"no end"] {
            assert_eq!(Entry::decode(bytes), None);
        }
    }
}
