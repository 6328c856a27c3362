use std::io::{self, Read, SeekFrom, Write};

use hayloft_archive::{ArchiveError, DosTime, Duplicates, Zip, ZipEntry, ZipRules};
use hayloft_feed::{Limits, PathFault, ReadError, ReadSeek};

use crate::manifest::{Manifest, ManifestError};

/// The name of the manifest in the root of the archive; exact.
pub const MANIFEST: &str = "upack.json";

/// An opened package file: a ZIP archive, or the bare manifest of a virtual package.
///
/// Reads the manifest and the directory of the archive, and no content.
#[derive(Debug)]
pub struct Package<'a> {
    manifest: Manifest,
    container: Container<'a>,
}

#[derive(Debug)]
pub(crate) enum Container<'a> {
    /// The archive, where the manifest is, and what it holds, a byte order mark included.
    Archive { zip: Box<Zip<'a>>, manifest: usize, written: Vec<u8> },
    /// The manifest alone, as written.
    Bare(Vec<u8>),
}

/// A file is not a universal package, or an entry of it cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Neither of the two forms.
    #[error("the file is neither a ZIP archive nor the JSON manifest of a virtual package")]
    Form,
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// No manifest.
    #[error("the archive has no `{MANIFEST}` in its root")]
    NoManifest,
    /// Two of them.
    #[error("the archive has more than one `{MANIFEST}`")]
    TwoManifests,
    /// A name that leads outside, or means something else on Windows, where most clients run.
    #[error("the entry name `{}` {}", hayloft_feed::shorten(name), fault.text())]
    Name {
        /// As stored, with `/` for every backslash.
        name: String,
        /// Which rule it breaks.
        fault: PathFault,
    },
    /// A symbolic link out of the directory that is unpacked into.
    #[error("the entry `{}` is a symbolic link that leads outside", hayloft_feed::shorten(.0))]
    Link(String),
    /// The manifest is larger than the limit.
    #[error("`{MANIFEST}` is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The manifest was read and is not one.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A virtual package gets all its files when it is assembled.
    #[error(
        "the manifest has `contents`, so the package is virtual, but the archive holds `{}` too",
        hayloft_feed::shorten(.0)
    )]
    VirtualWithFiles(String),
    /// A JSON file without parts to assemble.
    #[error("the file is a bare manifest without `contents`, which only a virtual package can be")]
    BareWithoutContents,
}

impl PackageError {
    /// True if the file is to blame; false for a failure of the storage under it.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Archive(error) if !error.is_input())
    }
}

impl From<ReadError> for PackageError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge { limit } => Self::TooLarge { limit },
            ReadError::Io(error) => Self::Archive(ArchiveError::Io(error)),
            ReadError::Exhausted(error) => Self::Archive(error.into()),
            other => Self::Archive(ArchiveError::Io(io::Error::other(other))),
        }
    }
}

/// One file of a package.
#[derive(Debug, Clone, Copy)]
pub struct PackageEntry<'p>(&'p ZipEntry);

impl<'p> PackageEntry<'p> {
    /// What [`Package::copy_to`] takes.
    pub fn index(self) -> usize {
        self.0.index()
    }

    /// Path in the archive, with `/` between its parts whatever the archive has.
    pub fn path(self) -> &'p str {
        self.0.path()
    }

    /// Path below `package/` if this is content, which is what installing writes.
    pub fn content_path(self) -> Option<&'p str> {
        content_path(self.0.path())
    }

    /// Bytes when unpacked.
    pub fn size(self) -> u64 {
        self.0.size()
    }

    /// Whether the content is the target of a symbolic link, which no package needs.
    pub fn is_symbolic_link(self) -> bool {
        self.0.is_symbolic_link()
    }

    /// When it was changed, in a time zone that is not known.
    pub fn modified(self) -> Option<DosTime> {
        self.0.modified()
    }
}

/// What follows `package/` in a path whose separators are `/`; the prefix is found in any case.
pub fn content_path(path: &str) -> Option<&str> {
    let (first, rest) = path.split_once('/')?;
    (first.eq_ignore_ascii_case("package") && !rest.is_empty()).then_some(rest)
}

impl<'a> Package<'a> {
    /// Opens a package file and checks its manifest. `content` may be positioned anywhere.
    pub fn open(content: &'a mut dyn ReadSeek, limits: &Limits) -> Result<Self, PackageError> {
        content.seek(SeekFrom::Start(0)).map_err(ArchiveError::Io)?;
        let start = Limits::read(&mut (&mut *content).take(64), 64)?;
        if start.starts_with(b"PK\x03\x04") {
            return Self::open_archive(content, limits);
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(PackageError::Form);
        }
        content.seek(SeekFrom::Start(0)).map_err(ArchiveError::Io)?;
        let written = limits.load(content, limits.manifest.min(limits.metadata))?;
        let manifest = Manifest::parse(&written, limits)?;
        if manifest.virtual_parts().is_none() {
            return Err(PackageError::BareWithoutContents);
        }
        Ok(Self { manifest, container: Container::Bare(written) })
    }

    fn open_archive(content: &'a mut dyn ReadSeek, limits: &Limits) -> Result<Self, PackageError> {
        // Real packages have equal names; only the manifest's must be unique.
        let rules = ZipRules { duplicates: Duplicates::Allowed };
        let mut zip = Zip::open_with(content, limits, &rules)?;
        check_names(&mut zip)?;
        let mut manifests = zip.entries().iter().filter(|entry| is_the_manifest(entry));
        let index = match manifests.next() {
            Some(entry) if entry.path() == MANIFEST => entry.index(),
            _ => return Err(PackageError::NoManifest),
        };
        if manifests.next().is_some() {
            return Err(PackageError::TwoManifests);
        }
        let written = zip.read(index, limits.manifest.min(limits.metadata))?;
        let manifest = Manifest::parse(&written, limits)?;
        if manifest.virtual_parts().is_some()
            && let Some(other) =
                zip.entries().iter().find(|entry| entry.index() != index && !entry.is_directory())
        {
            return Err(PackageError::VirtualWithFiles(other.path().to_owned()));
        }
        Ok(Self {
            manifest,
            container: Container::Archive { zip: Box::new(zip), manifest: index, written },
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All files in the order of the archive, without directories; none for a bare manifest.
    pub fn entries(&self) -> impl Iterator<Item = PackageEntry<'_>> {
        let zip = match &self.container {
            Container::Archive { zip, .. } => zip.entries(),
            Container::Bare(_) => &[],
        };
        zip.iter().filter(|entry| !entry.is_directory()).map(PackageEntry)
    }

    /// The file at `path`: exactly, else the first by bytes of those equal without ASCII case; of
    /// those with one path the last, which is what remains where the archive is unpacked.
    /// Slashes of both kinds are equal; those at the start do not count.
    pub fn find(&self, path: &str) -> Option<PackageEntry<'_>> {
        let path = path.replace('\\', "/");
        let path = path.trim_start_matches('/');
        self.entries().filter(|entry| entry.path().eq_ignore_ascii_case(path)).reduce(
            |best, entry| {
                let rank = |entry: PackageEntry<'_>| entry.path() != path;
                let replaces = (rank(entry), entry.path()) <= (rank(best), best.path());
                if replaces { entry } else { best }
            },
        )
    }

    /// Writes the content of the entry `index` to `out` and returns its length. Fails above `most`
    /// bytes, and if length or checksum are not those that the archive states.
    pub fn copy_to(
        &mut self,
        index: usize,
        most: u64,
        out: &mut dyn Write,
    ) -> Result<u64, ArchiveError> {
        match &mut self.container {
            Container::Archive { zip, .. } => zip.copy_to(index, most, out),
            Container::Bare(_) => Err(ArchiveError::NoSuchEntry { index }),
        }
    }

    pub(crate) fn container(&mut self) -> &mut Container<'a> {
        &mut self.container
    }

    /// What was accepted although a rule forbids it.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut found = self.manifest.warnings().to_vec();
        let Container::Archive { zip, .. } = &self.container else { return found };
        if zip.entries().iter().any(is_twin_of_the_manifest) {
            found.push(format!(
                "a file is called as `{MANIFEST}` but for the case; repackaging leaves it out"
            ));
        }
        let mut paths: Vec<&str> = zip.entries().iter().map(ZipEntry::path).collect();
        paths.sort_unstable();
        let repeated = paths.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        });
        if let Some(path) = repeated {
            let path = hayloft_feed::shorten(path);
            found.push(format!("`{path}` is in the archive more than once"));
        }
        found
    }
}

/// Longest target of a link on any system.
const LONGEST_TARGET: u64 = 4096;

/// Refuses names that could be unpacked elsewhere than they say. The ecosystem's clients write a
/// link as a file that holds its target; other programs that unpack the archive make the link.
fn check_names(zip: &mut Zip<'_>) -> Result<(), PackageError> {
    let mut links = Vec::new();
    for entry in zip.entries() {
        if let Some(fault) = PathFault::of(entry.path().as_bytes()) {
            return Err(PackageError::Name { name: entry.path().to_owned(), fault });
        }
        if entry.is_symbolic_link() {
            links.push((entry.index(), entry.path().to_owned()));
        }
    }
    for (index, path) in links {
        let target = zip.read(index, LONGEST_TARGET)?;
        let Ok(target) = std::str::from_utf8(&target) else { return Err(PackageError::Link(path)) };
        if leads_outside(content_path(&path).unwrap_or(&path), &target.replace('\\', "/")) {
            return Err(PackageError::Link(path));
        }
    }
    Ok(())
}

/// Whether a link at `path` leads out of the root of that path.
fn leads_outside(path: &str, target: &str) -> bool {
    let named = |part: &&str| !matches!(*part, "" | ".");
    let mut depth = path.split('/').filter(named).count().saturating_sub(1);
    if target.is_empty() || target.starts_with('/') || target.contains([':', '\0']) {
        return true;
    }
    for part in target.split('/').filter(named) {
        if part.trim_end_matches([' ', '.']).is_empty() {
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

/// The manifest however it is written: readers that normalize paths take `./upack.json` for it.
fn is_the_manifest(entry: &ZipEntry) -> bool {
    let mut parts = entry.path().split('/').filter(|part| !matches!(*part, "" | "."));
    parts.next() == Some(MANIFEST) && parts.next().is_none()
}

/// A file in the root that some readers would take for the manifest.
pub(crate) fn is_twin_of_the_manifest(entry: &ZipEntry) -> bool {
    let parts = entry.path().split('/').filter(|part| !matches!(*part, "" | "."));
    let mut places = parts.map(|part| part.eq_ignore_ascii_case(MANIFEST));
    let in_the_root = places.next() == Some(true) && places.next().is_none();
    in_the_root && entry.path() != MANIFEST && !entry.is_directory()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::beside("a/b", "c", false)]
    #[case::up_within("a/b/c", "../../d", false)]
    #[case::up_and_out("a/b", "../../d", true)]
    #[case::out_of_the_content("a", "../b", true)]
    #[case::down_and_out("a/b", "c/../../../d", true)]
    #[case::absolute("a/b", "/etc/passwd", true)]
    #[case::drive("a/b", "C:/x", true)]
    #[case::blank_parent("a", ".. /b", true)]
    #[case::empty("a", "", true)]
    fn links_out_of_the_root_are_known(
        #[case] path: &str,
        #[case] target: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(leads_outside(path, target), expected);
    }

    #[rstest]
    #[case("package/a", Some("a"))]
    #[case("Package/a/b", Some("a/b"))]
    #[case("package/", None)]
    #[case("package", None)]
    #[case("packages/a", None)]
    #[case("a/package/b", None)]
    #[case("upack.json", None)]
    fn content_is_what_lies_below_package(#[case] path: &str, #[case] expected: Option<&str>) {
        assert_eq!(content_path(path), expected);
    }
}
