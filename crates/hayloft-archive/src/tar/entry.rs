use super::BLOCK;
use crate::ArchiveError;
use crate::error::shown;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TarKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Another name of an earlier member.
    HardLink,
    /// A symbolic link.
    SymbolicLink,
    /// A device, a pipe, or a kind of some vendor: the type byte.
    Other(u8),
}

/// What the headers of a member say, extension records applied.
#[derive(Debug, Clone)]
pub struct TarEntry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) kind: TarKind,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) mtime: u64,
    pub(crate) header: Box<[u8; BLOCK]>,
}

impl TarEntry {
    /// The path: of the pax record, else of the GNU one, else of the header with its prefix.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The path as text; an error if it is not UTF-8.
    pub fn path_text(&self) -> Result<&str, ArchiveError> {
        std::str::from_utf8(&self.path)
            .map_err(|_| ArchiveError::Name { name: shown(&self.path), fault: "is not UTF-8" })
    }

    /// The target, if this is a link.
    pub fn link(&self) -> Option<&[u8]> {
        self.link.as_deref()
    }

    /// What the member is. A file whose path ends in `/` is a directory, as old archives write it.
    pub fn kind(&self) -> TarKind {
        self.kind
    }

    /// Bytes of data.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The header block as it stands in the stream.
    pub fn header(&self) -> &[u8; BLOCK] {
        &self.header
    }

    /// Permission bits of the header; 0 if the field is blank or holds no number.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// Seconds since 1970 by the header; 0 if the field is blank or holds no number.
    pub fn mtime(&self) -> u64 {
        self.mtime
    }

    /// Whether unpacking the path could leave the directory unpacked into: it is empty or
    /// absolute, has a `..`, a drive letter or a zero byte, also when read with `\` for `/`.
    pub fn path_escapes(&self) -> bool {
        escapes(&self.path)
    }

    /// Whether the link leads out of the directory unpacked into. A symbolic link starts from the
    /// directory it is in, a hard link from the top.
    pub fn link_escapes(&self) -> bool {
        let Some(link) = &self.link else {
            return false;
        };
        if self.kind == TarKind::HardLink {
            return escapes(link);
        }
        let absolute = link.first().is_none_or(|first| is_separator(*first));
        if absolute || has_drive(link) || link.contains(&0) || escapes(&self.path) {
            return true;
        }
        let named = |component: &&[u8]| !matches!(*component, b"" | b".");
        let mut depth = components(&self.path).filter(named).count().saturating_sub(1);
        for component in components(link).filter(named) {
            if component == b".." {
                match depth.checked_sub(1) {
                    Some(up) => depth = up,
                    None => return true,
                }
            } else {
                depth += 1;
            }
        }
        false
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| is_separator(*byte))
}

fn has_drive(path: &[u8]) -> bool {
    matches!(path, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn escapes(path: &[u8]) -> bool {
    path.first().is_none_or(|first| is_separator(*first))
        || path.contains(&0)
        || has_drive(path)
        || components(path).any(|component| component == b"..")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn entry(path: &str, kind: TarKind, link: Option<&str>) -> TarEntry {
        TarEntry {
            path: path.into(),
            link: link.map(Into::into),
            kind,
            size: 0,
            mode: 0,
            mtime: 0,
            header: Box::new([0; BLOCK]),
        }
    }

    #[rstest]
    #[case::plain("a/b", false)]
    #[case::dot("./a", false)]
    #[case::dots_in_a_name("a/..b", false)]
    #[case::empty("", true)]
    #[case::absolute("/a", true)]
    #[case::up("a/../b", true)]
    #[case::up_windows("a\\..\\b", true)]
    #[case::drive("C:/a", true)]
    #[case::zero("a\0b", true)]
    fn paths_that_escape_are_known(#[case] path: &str, #[case] expected: bool) {
        assert_eq!(entry(path, TarKind::File, None).path_escapes(), expected);
    }

    #[rstest]
    #[case::beside("a/b", TarKind::SymbolicLink, "c", false)]
    #[case::up_within("a/b/c", TarKind::SymbolicLink, "../../d", false)]
    #[case::up_and_out("a/b", TarKind::SymbolicLink, "../../d", true)]
    #[case::down_and_out("a/b", TarKind::SymbolicLink, "c/../../../d", true)]
    #[case::absolute("a/b", TarKind::SymbolicLink, "/etc/passwd", true)]
    #[case::dotted_path("./a", TarKind::SymbolicLink, "../b", true)]
    #[case::hard("a/b", TarKind::HardLink, "a/c", false)]
    #[case::hard_up("a/b", TarKind::HardLink, "../c", true)]
    fn links_that_escape_are_known(
        #[case] path: &str,
        #[case] kind: TarKind,
        #[case] link: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(entry(path, kind, Some(link)).link_escapes(), expected);
    }
}
