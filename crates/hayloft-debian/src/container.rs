use std::io::Read;

use hayloft_archive::{
    ArMember, ArchiveError, Compression, Section, TarEntry, TarKind, TarReader, Trailing,
    decoder_with, read_ar,
};
use hayloft_feed::{
    FeedTypeError, HistoryEntry, HistoryError, Limits, ReadError, ReadSeek, shorten,
};

use crate::TAG;
use crate::data::check_names;

/// Member that carries the repackaging history; dpkg skips names that begin with `_`.
pub(crate) const HISTORY: &str = "_repackhist";

/// More than ten times what the largest packages of Debian have.
const CONTROL_ARCHIVE_LIMIT: u64 = 16 << 20;

/// A stanza above about this size makes apt's cache unusable. With what an index adds it has room
/// in one row.
const CONTROL_LIMIT: u64 = (1 << 20) - (8 << 10);

/// The members of a package, checked to stand as dpkg demands.
#[derive(Debug)]
pub(crate) struct Container {
    members: Vec<ArMember>,
    control: usize,
    compression: Compression,
    data: usize,
    data_compression: Compression,
}

/// A file is not a Debian package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The `ar` archive or one of the archives in it cannot be read.
    #[error("the package cannot be unpacked")]
    Archive(#[source] ArchiveError),
    /// The first member says the format's version.
    #[error("`debian-binary` holds `{}`; its first line must be `2.0`, and end with a newline", shorten(.0))]
    FormatVersion(String),
    /// A member stands where another one must.
    #[error("the member `{}` stands where `{wanted}` must", shorten(.found))]
    Unexpected {
        /// What is there.
        found: String,
        /// What must be.
        wanted: &'static str,
    },
    /// The package ends too early.
    #[error("there is no `{0}` member")]
    Missing(&'static str),
    /// dpkg reads the first of two members, apt the last.
    #[error("there is a second member `{}`", shorten(.0))]
    Duplicate(String),
    /// dpkg refuses empty archives.
    #[error("the member `{}` is empty", shorten(.0))]
    Empty(String),
    /// dpkg knows no such compression for this member.
    #[error("the member `{}` is compressed in a way that dpkg does not read there; use gzip, xz or zstd", shorten(.0))]
    Compression(String),
    /// The bytes are not what the member's name promises.
    #[error("the member `{}` does not hold what its extension says", shorten(.0))]
    Mislabeled(String),
    /// A path that would be unpacked outside, or to `control` by dpkg alone.
    #[error("the control archive has an entry with the path `{}`; use `./` and plain names", shorten(.0))]
    Path(String),
    /// dpkg would unpack it beside the directory that it was told.
    #[error("the data archive has an entry with the path `{}`, which leads upwards", shorten(.0))]
    Upwards(String),
    /// A link, a device or the like.
    #[error("the entry `{}` of the control archive is neither a plain file nor a directory", shorten(.0))]
    Kind(String),
    /// More than one `control`.
    #[error("the control archive has more than one `control` entry")]
    TwoControls,
    /// No `control`.
    #[error("the control archive has no `control` entry")]
    NoControl,
    /// `control` is a link or a directory.
    #[error("the `control` entry of the control archive is not a plain file")]
    ControlKind,
}

impl ContainerError {
    pub(crate) fn into_feed_type_error(self) -> FeedTypeError {
        match self {
            Self::Archive(error) => error.into_feed_type_error(TAG),
            refused => FeedTypeError::Refused { feed_type: TAG, detail: Box::new(refused) },
        }
    }
}

impl From<ArchiveError> for ContainerError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl Container {
    /// Lists and checks the members. Reads their headers, `debian-binary`, and the first bytes of
    /// the data archive.
    pub(crate) fn open(
        content: &mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<Self, ContainerError> {
        let members = read_ar(content, limits)?;
        let (control, data) = places(&members)?;
        let at = |index: usize, wanted| members.get(index).ok_or(ContainerError::Missing(wanted));
        check_format_version(content, at(0, "debian-binary")?)?;
        let compression = control_compression(at(control, "control.tar")?)?;
        let data_compression = check_data(content, at(data, "data.tar")?)?;
        Ok(Self { members, control, compression, data, data_compression })
    }

    /// All members in their order.
    pub(crate) fn members(&self) -> &[ArMember] {
        &self.members
    }

    /// True for the member that is the control archive.
    pub(crate) fn is_control(&self, index: usize) -> bool {
        index == self.control
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// The control archive, decompressed within limits.
    pub(crate) fn control_archive<'c>(
        &self,
        content: &'c mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<Box<dyn Read + 'c>, ContainerError> {
        let member = self.members.get(self.control);
        let member = member.ok_or(ContainerError::Missing("control.tar"))?;
        let section = Section::new(content, member.data.clone());
        let trailing = match self.compression {
            Compression::Gzip => Trailing::default(),
            _ => Trailing::OneMember,
        };
        Ok(decoder_with(self.compression, Box::new(section), &control_limits(limits), trailing)?)
    }

    /// Fails if the data leads out of where it is unpacked.
    pub(crate) fn check_names(
        &self,
        content: &mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<(), ContainerError> {
        let member = self.members.get(self.data).ok_or(ContainerError::Missing("data.tar"))?;
        check_names(content, member, self.data_compression, limits)
    }

    /// The text of `control`, and how many bytes the control archive has.
    pub(crate) fn control_text(
        &self,
        content: &mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<(Vec<u8>, u64), ContainerError> {
        let mut stream = Counted { stream: self.control_archive(content, limits)?, length: 0 };
        let mut text = None;
        let mut archive = TarReader::new(&mut stream, &control_limits(limits));
        while let Some(mut entry) = archive.next()? {
            let is_control = is_control_path(entry.path())?;
            let name = entry.header().split(|byte| *byte == 0).next().unwrap_or_default();
            let name = name.get(..100).unwrap_or(name);
            if is_control != is_control_path(name).unwrap_or(false) {
                // apt looks at the header alone, whatever an extension record says.
                return Err(ContainerError::Path(String::from_utf8_lossy(name).into_owned()));
            }
            check_kind(&entry)?;
            if !is_control {
                continue;
            }
            if entry.kind() != TarKind::File {
                return Err(ContainerError::ControlKind);
            }
            if text.replace(entry.read(control_limit(limits))?).is_some() {
                return Err(ContainerError::TwoControls);
            }
        }
        drop(archive);
        // Damage behind the archive's end is found by the decompressor alone.
        std::io::copy(&mut stream, &mut std::io::sink()).map_err(ArchiveError::from_io)?;
        let text = text.ok_or(ContainerError::NoControl)?;
        limits.account.charge(fields_size(&text)).map_err(ArchiveError::from)?;
        Ok((text, stream.length))
    }

    /// The repackaging history that an earlier step embedded, as text; `None` without one.
    pub(crate) fn history_text(
        &self,
        content: &mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<Option<Result<String, UnreadableHistory>>, ContainerError> {
        let Some(member) = self.members.iter().find(|member| member.name == HISTORY) else {
            return Ok(None);
        };
        let mut section = Section::new(content, member.data.clone());
        let read = limits.load(&mut section, history_limit(limits));
        let bytes = match read {
            Err(ReadError::Io(error)) => return Err(ArchiveError::Io(error).into()),
            read => read.map_err(UnreadableHistory::Size),
        };
        Ok(Some(bytes.and_then(|bytes| {
            let text = String::from_utf8(bytes).map_err(|_| UnreadableHistory::Encoding)?;
            HistoryEntry::parse_list(&text).map_err(UnreadableHistory::Shape)?;
            Ok(text)
        })))
    }
}

/// Counts what is read.
struct Counted<R> {
    stream: R,
    length: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.stream.read(into)?;
        self.length = self.length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// Memory that the fields of a control file take in all forms in which they are held at one time.
fn fields_size(text: &[u8]) -> u64 {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let lines = text.split(|byte| *byte == b'\n').count();
    count(text.len()).saturating_mul(4).saturating_add(count(lines).saturating_mul(320))
}

/// The embedded history cannot be read, which says nothing about the package itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableHistory {
    /// Larger than a manifest may be.
    #[error("its history member `_repackhist` is too large")]
    Size(#[source] ReadError),
    /// Not UTF-8.
    #[error("its history member `_repackhist` is not UTF-8")]
    Encoding,
    /// Not a history.
    #[error("its history member `_repackhist` is damaged")]
    Shape(#[source] HistoryError),
}

/// dpkg unpacks the archive with `tar`, which follows links: behind one, another name can be
/// `control`. What is neither file nor directory it reads in ways that apt does not.
fn check_kind(entry: &TarEntry) -> Result<(), ContainerError> {
    let type_byte = entry.header().get(156).copied().unwrap_or_default();
    match (entry.kind(), type_byte) {
        (TarKind::File | TarKind::Directory, 0 | b'0' | b'5') => Ok(()),
        _ => Err(ContainerError::Kind(String::from_utf8_lossy(entry.path()).into_owned())),
    }
}

/// Bytes of `control`.
pub(crate) fn control_limit(limits: &Limits) -> u64 {
    CONTROL_LIMIT.min(limits.manifest).min(limits.metadata)
}

/// Bytes of the history.
pub(crate) fn history_limit(limits: &Limits) -> u64 {
    limits.manifest.min(limits.metadata)
}

/// For unfolding the control archive.
pub(crate) fn control_limits(limits: &Limits) -> Limits {
    let mut control = limits.clone();
    control.unpacked = CONTROL_ARCHIVE_LIMIT.min(limits.unpacked).min(limits.metadata);
    control
}

/// True for the entry that is `control`. Paths that only dpkg resolves to it are refused.
pub(crate) fn is_control_path(path: &[u8]) -> Result<bool, ContainerError> {
    if path == b"control" || path == b"./control" {
        return Ok(true);
    }
    let shown = || ContainerError::Path(String::from_utf8_lossy(path).into_owned());
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    if path.starts_with(b"/") || parts.clone().any(|part| part == b"..") {
        return Err(shown());
    }
    if parts.next() == Some(b"control") && parts.next().is_none() {
        return Err(shown());
    }
    Ok(false)
}

/// Where the control and data archives stand. Behind the latter anything may follow.
fn places(members: &[ArMember]) -> Result<(usize, usize), ContainerError> {
    let unexpected = |member: &ArMember, wanted| {
        Err(ContainerError::Unexpected { found: member.name.clone(), wanted })
    };
    let mut rest = members.iter().enumerate();
    match rest.next() {
        None => return Err(ContainerError::Missing("debian-binary")),
        Some((_, first)) if first.name != "debian-binary" => {
            return unexpected(first, "debian-binary");
        }
        Some(_) => {}
    }
    let (mut control, mut data, mut history) = (None, None, None);
    for (at, member) in rest {
        let name = member.name.as_str();
        if name == HISTORY && history.replace(at).is_some() {
            return Err(ContainerError::Duplicate(name.to_owned()));
        }
        match (control, data) {
            _ if name.starts_with('_') => {}
            (None, _) if is_archive(name, "control.tar") => control = Some(at),
            (None, _) => return unexpected(member, "control.tar"),
            (Some(_), None) if is_archive(name, "data.tar") => data = Some(at),
            (Some(_), None) => return unexpected(member, "data.tar"),
            _ if name == "debian-binary"
                || is_archive(name, "control.tar")
                || is_archive(name, "data.tar") =>
            {
                return Err(ContainerError::Duplicate(name.to_owned()));
            }
            _ => {}
        }
    }
    match (control, data) {
        (Some(control), Some(data)) => Ok((control, data)),
        (Some(_), None) => Err(ContainerError::Missing("data.tar")),
        _ => Err(ContainerError::Missing("control.tar")),
    }
}

fn is_archive(name: &str, of: &str) -> bool {
    name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// dpkg ignores a higher minor number and further lines.
fn check_format_version(
    content: &mut dyn ReadSeek,
    member: &ArMember,
) -> Result<(), ContainerError> {
    let mut text = [0; 256];
    let end = member.data.start + member.size().min(256);
    let read = read_start(&mut Section::new(content, member.data.start..end), &mut text)?;
    let text = text.get(..read).unwrap_or_default();
    let line = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let minor = line.strip_prefix(b"2.").and_then(|rest| rest.strip_suffix(b"\n"));
    let is_number = |digits: &&[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    match minor.filter(is_number) {
        Some(_) => Ok(()),
        None => Err(ContainerError::FormatVersion(String::from_utf8_lossy(line).into_owned())),
    }
}

fn control_compression(member: &ArMember) -> Result<Compression, ContainerError> {
    if member.size() == 0 {
        return Err(ContainerError::Empty(member.name.clone()));
    }
    Ok(match member.name.as_str() {
        "control.tar" => Compression::None,
        "control.tar.gz" => Compression::Gzip,
        "control.tar.xz" => Compression::Xz,
        "control.tar.zst" => Compression::Zstd,
        other => return Err(ContainerError::Compression(other.to_owned())),
    })
}

/// The data archive is never unpacked; its first bytes tell gross mislabeling.
fn check_data(
    content: &mut dyn ReadSeek,
    member: &ArMember,
) -> Result<Compression, ContainerError> {
    let compression = match member.name.as_str() {
        "data.tar" => Compression::None,
        "data.tar.gz" => Compression::Gzip,
        "data.tar.xz" => Compression::Xz,
        "data.tar.zst" => Compression::Zstd,
        "data.tar.bz2" => Compression::Bzip2,
        "data.tar.lzma" => Compression::Lzma,
        other => return Err(ContainerError::Compression(other.to_owned())),
    };
    if member.size() == 0 {
        return Err(ContainerError::Empty(member.name.clone()));
    }
    let mut start = [0; 262];
    let read = read_start(&mut Section::new(content, member.data.clone()), &mut start)?;
    match Compression::sniff(start.get(..read).unwrap_or_default()) {
        Some(found) if found != compression => Err(ContainerError::Mislabeled(member.name.clone())),
        _ => Ok(compression),
    }
}

/// Fills `into` as far as the stream goes.
fn read_start(from: &mut dyn Read, into: &mut [u8]) -> Result<usize, ArchiveError> {
    let mut filled = 0;
    while let Some(free) = into.get_mut(filled..).filter(|free| !free.is_empty()) {
        match from.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ArchiveError::Io(error)),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"control", true)]
    #[case(b"./control", true)]
    #[case(b"./", false)]
    #[case(b"./md5sums", false)]
    #[case(b"./sub/control", false)]
    #[case(b"Control", false)]
    fn two_paths_are_the_control_file(#[case] path: &[u8], #[case] expected: bool) {
        assert_eq!(is_control_path(path).unwrap(), expected);
    }

    #[rstest]
    #[case(b"/control")]
    #[case(b".//control")]
    #[case(b"././control")]
    #[case(b"./control/")]
    #[case(b"../control")]
    #[case(b"./a/../control")]
    #[case(b"/etc/passwd")]
    fn paths_that_lead_elsewhere_are_refused(#[case] path: &[u8]) {
        assert!(matches!(is_control_path(path), Err(ContainerError::Path(_))));
    }
}
