use std::io::{self, Read, SeekFrom};
use std::path::Path;

use hayloft_archive::{ArchiveError, Compression, TarKind, TarReader, Trailing, decoder_with};
use hayloft_feed::{Detail, FeedTypeError, Limits, PathFault, ReadError, ReadSeek, shorten};

use crate::PackageJsonError;
use crate::manifest::{PackageJson, PackageText, TarballFacts};
use crate::reading::{Place, place};

/// Bytes of a readme that an index serves.
const LONGEST_README: u64 = 64 << 10;
/// Bytes of the paths of all commands; they become a part of the manifest.
const LARGEST_LIST: u64 = 1 << 20;

/// The file is not an npm package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarballError {
    /// The archive is damaged, too large, or could not be read.
    #[error("the tarball could not be read")]
    Archive(#[source] ArchiveError),
    /// Not gzip.
    #[error("the file is not a gzip-compressed tar archive")]
    NotGzip,
    /// A path that is absolute, has a drive letter or an empty component, or climbs.
    #[error(
        "the entry `{}` would be unpacked outside the folder of the package: it {fault}",
        shorten(path)
    )]
    UnsafePath {
        /// As stored.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link that climbs out of the package.
    #[error(
        "the entry `{}` is a link to `{}`, outside the folder of the package",
        shorten(path),
        shorten(target)
    )]
    UnsafeLink {
        /// As stored.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Clients differ in what the entry is.
    #[error("the entry `{}` means different things to different clients: {how}", shorten(path))]
    Ambiguous {
        /// As stored.
        path: String,
        /// In what they differ.
        how: &'static str,
    },
    /// Two root manifests with different content; unpacking leaves the last one.
    #[error(
        "the tarball has two manifests, `{}` and `{}`, that differ; pack it again with one",
        shorten(first),
        shorten(second)
    )]
    TwoManifests {
        /// Path of the first.
        first: String,
        /// Path of the second.
        second: String,
    },
    /// No `package.json` in the one folder at the top.
    #[error("there is no package.json in the top folder of the tarball")]
    NoPackageJson,
    /// The root manifest is no manifest.
    #[error("`{}` is not the manifest of a package", shorten(path))]
    PackageJson {
        /// Path of the entry.
        path: String,
        /// What is wrong with it.
        #[source]
        source: PackageJsonError,
    },
}

impl From<ArchiveError> for TarballError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl TarballError {
    pub(crate) fn into_feed_type_error(self) -> FeedTypeError {
        match self {
            Self::Archive(error) => error.into_feed_type_error(crate::TAG),
            error => FeedTypeError::Refused { feed_type: crate::TAG, detail: Detail::from(error) },
        }
    }
}

/// What one walk through a tarball finds.
#[derive(Debug)]
pub(crate) struct Tarball {
    /// Of the root manifest.
    path: String,
    text: PackageText,
    /// How many entries are root manifests; all have the same bytes.
    pub(crate) manifests: usize,
    pub(crate) facts: TarballFacts,
    pub(crate) readme: Option<String>,
}

/// Files in the root of the package.
#[derive(Debug, Default)]
struct RootFiles {
    manifest: Option<(String, Vec<u8>)>,
    manifests: usize,
    has_shrinkwrap: bool,
    has_gyp: bool,
    readme: Option<Readme>,
}

#[derive(Debug)]
struct Readme {
    rank: u8,
    file_name: String,
    text: String,
}

impl Tarball {
    /// Reads the whole tarball once, twice if its commands are the files of a folder.
    pub(crate) fn read(content: &mut dyn ReadSeek, limits: &Limits) -> Result<Self, TarballError> {
        let mut files = RootFiles::default();
        let mut facts = TarballFacts::default();
        for_each_file(content, limits, &mut |path, place, file| {
            facts.file_count = facts.file_count.saturating_add(1);
            facts.unpacked_size = facts.unpacked_size.saturating_add(file.size);
            files.take(path, place, file, limits)
        })?;
        let (path, manifest) = files.manifest.ok_or(TarballError::NoPackageJson)?;
        facts.has_shrinkwrap = files.has_shrinkwrap;
        facts.has_gyp = files.has_gyp;
        let readme = files.readme.map(|readme| {
            facts.readme_filename = Some(readme.file_name);
            readme.text
        });
        // It is checked, read by parts and printed again.
        let length = u64::try_from(manifest.len()).unwrap_or(u64::MAX);
        limits.account.charge(length.saturating_mul(8)).map_err(ArchiveError::from)?;
        let text = PackageText::read(manifest, limits)
            .map_err(|source| TarballError::PackageJson { path: path.clone(), source })?;
        let mut tarball = Self { path, text, manifests: files.manifests, facts, readme };
        if let Some(bin) = tarball.package()?.bin_folder() {
            tarball.facts.bin_files = files_under(content, limits, &bin)?;
        }
        Ok(tarball)
    }

    /// What the root manifest says.
    pub(crate) fn package(&self) -> Result<PackageJson<'_>, TarballError> {
        self.text
            .package()
            .map_err(|source| TarballError::PackageJson { path: self.path.clone(), source })
    }
}

impl RootFiles {
    fn take(
        &mut self,
        path: &str,
        place: &Place,
        file: &mut File<'_>,
        limits: &Limits,
    ) -> Result<(), TarballError> {
        let name = match place {
            Place::Manifest => return self.take_manifest(path, file, limits),
            Place::File(name) if !name.contains('/') => name,
            Place::File(_) | Place::Nothing => return Ok(()),
        };
        match name.as_str() {
            "npm-shrinkwrap.json" => self.has_shrinkwrap = true,
            _ if Path::new(name).extension().is_some_and(|extension| extension == "gyp") => {
                self.has_gyp = true;
            }
            _ => {
                let known = self.readme.as_ref().map_or(u8::MAX, |readme| readme.rank);
                if let Some(rank) = readme_rank(name).filter(|rank| *rank < known) {
                    let file_name = name.to_owned();
                    let text = file.read_beginning(LONGEST_README)?;
                    self.readme = Some(Readme { rank, file_name, text });
                }
            }
        }
        Ok(())
    }

    fn take_manifest(
        &mut self,
        path: &str,
        file: &mut File<'_>,
        limits: &Limits,
    ) -> Result<(), TarballError> {
        self.manifests = self.manifests.saturating_add(1);
        match &self.manifest {
            None => self.manifest = Some((path.to_owned(), file.read(path, limits)?)),
            Some((first, bytes)) if !file.is(bytes)? => {
                return Err(TarballError::TwoManifests {
                    first: first.clone(),
                    second: path.to_owned(),
                });
            }
            Some(_) => {}
        }
        Ok(())
    }
}

/// What an index keeps of a readme: whole characters only.
pub(crate) fn readme_beginning(text: &str) -> &str {
    let most = usize::try_from(LONGEST_README).unwrap_or(usize::MAX);
    let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let end = ends.take_while(|end| *end <= most).last().unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// npm takes a markdown file first; `README.de.md` is found when there is nothing better.
fn readme_rank(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("readme")? {
        ".md" | ".markdown" => Some(0),
        "" => Some(1),
        rest if rest.starts_with('.') => Some(2),
        _ => Some(3),
    }
}

/// The files below a folder, as paths from the root of the package.
fn files_under(
    content: &mut dyn ReadSeek,
    limits: &Limits,
    folder: &str,
) -> Result<Vec<String>, TarballError> {
    let mut files = Vec::new();
    let mut left = LARGEST_LIST;
    for_each_file(content, limits, &mut |_, place, _| {
        let Place::File(inner) = place else { return Ok(()) };
        if inner.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) {
            let length = u64::try_from(inner.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(length).ok_or_else(|| ArchiveError::TooLarge {
                what: format!("the list of commands in `{}`", shorten(folder)),
                limit: LARGEST_LIST,
            })?;
            files.push(inner.clone());
        }
        Ok(())
    })?;
    Ok(files)
}

/// A regular file on its way past.
struct File<'r> {
    size: u64,
    data: &'r mut dyn Read,
}

impl File<'_> {
    fn read(&mut self, path: &str, limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
        limits.load(self.data, limits.manifest).map_err(|error| match error {
            ReadError::TooLarge { limit } => {
                ArchiveError::TooLarge { what: format!("`{}`", shorten(path)), limit }
            }
            ReadError::Io(error) => ArchiveError::from_io(error),
            ReadError::Exhausted(error) => error.into(),
            error => ArchiveError::Io(io::Error::other(error)),
        })
    }

    /// Whether the file has these bytes.
    fn is(&mut self, bytes: &[u8]) -> Result<bool, ArchiveError> {
        let mut expected = bytes;
        let mut buffer = [0; 4096];
        loop {
            let read = self.data.read(&mut buffer).map_err(ArchiveError::from_io)?;
            let Some(read) = buffer.get(..read).filter(|read| !read.is_empty()) else {
                return Ok(expected.is_empty());
            };
            match expected.strip_prefix(read) {
                Some(rest) => expected = rest,
                None => return Ok(false),
            }
        }
    }

    /// The beginning as text; characters that are broken or cut by the limit are left out.
    fn read_beginning(&mut self, most: u64) -> Result<String, ArchiveError> {
        let mut bytes = Vec::new();
        io::copy(&mut self.data.take(most), &mut bytes).map_err(ArchiveError::from_io)?;
        Ok(bytes.utf8_chunks().map(|chunk| chunk.valid()).collect())
    }
}

/// Walks a tarball to the last byte of its compressed stream. All entries are checked; links, which
/// clients leave out, and folders are not shown.
fn for_each_file(
    content: &mut dyn ReadSeek,
    limits: &Limits,
    see: &mut dyn FnMut(&str, &Place, &mut File<'_>) -> Result<(), TarballError>,
) -> Result<(), TarballError> {
    let mut tar = TarReader::new(unzipped(content, limits)?, limits);
    while let Some(mut member) = tar.next()? {
        let place = place(&member)?;
        if member.kind() == TarKind::File {
            let path = String::from_utf8_lossy(member.path()).into_owned();
            see(&path, &place, &mut File { size: member.size(), data: &mut member })?;
        }
    }
    Ok(tar.finish()?)
}

/// The tar stream in a tarball; what follows the gzip data is ignored, as clients ignore it.
pub(crate) fn unzipped<'c>(
    content: &'c mut dyn ReadSeek,
    limits: &Limits,
) -> Result<Box<dyn Read + 'c>, TarballError> {
    let start = |content: &mut dyn ReadSeek| content.seek(SeekFrom::Start(0));
    start(content).map_err(ArchiveError::Io)?;
    let mut magic = Vec::new();
    io::copy(&mut (&mut *content).take(2), &mut magic).map_err(ArchiveError::Io)?;
    if Compression::sniff(&magic) != Some(Compression::Gzip) {
        return Err(TarballError::NotGzip);
    }
    start(content).map_err(ArchiveError::Io)?;
    Ok(decoder_with(Compression::Gzip, Box::new(content), limits, Trailing::Anything)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_markdown_readme_is_preferred() {
        let ranks =
            ["README.md", "readme", "README.ja.md", "README-zh", "LICENSE"].map(readme_rank);
        assert_eq!(ranks, [Some(0), Some(1), Some(2), Some(3), None]);
    }
}
