use std::io::{self, Read, SeekFrom};
use std::path::Path;

use hayloft_archive::{ArchiveError, Compression, TarKind, TarReader, Trailing, decoder_with};
use hayloft_feed::{Detail, FeedTypeError, Limits, ReadError, ReadSeek, shorten};

use crate::PackageJsonError;
use crate::manifest::{PackageJson, TarballFacts};

/// Bytes of a readme that an index serves.
const LONGEST_README: u64 = 64 << 10;

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
    /// A path that is absolute, has a drive letter, or climbs.
    #[error("the entry `{}` would be unpacked outside the folder of the package", shorten(path))]
    UnsafePath {
        /// As stored.
        path: String,
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

/// Where the package lies in its tarball. Clients cut one component off every path, whatever it
/// is, so `./package.json` is a manifest too; for `./package/package.json` they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// In the `.` of `./package.json`.
    Dot,
    /// In a folder of any name; a `./` in front does not count.
    Folder,
}

impl Root {
    /// The path inside the package, if the entry belongs to this root.
    pub(crate) fn inner(self, path: &str) -> Option<String> {
        let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        match self {
            Self::Dot if !path.starts_with("./") => return None,
            Self::Dot => {}
            Self::Folder => {
                parts.next();
            }
        }
        let inner = parts.collect::<Vec<_>>().join("/");
        (!inner.is_empty()).then_some(inner)
    }
}

/// What one walk through a tarball finds.
#[derive(Debug)]
pub(crate) struct Tarball {
    pub(crate) root: Root,
    pub(crate) package: PackageJson,
    /// How many entries are root manifests; unpacking leaves the last one.
    pub(crate) manifests: usize,
    pub(crate) facts: TarballFacts,
    pub(crate) readme: Option<String>,
}

/// Files in the root of the package, under one of the two readings of where that is.
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
        let (mut dot, mut folder) = (RootFiles::default(), RootFiles::default());
        let mut facts = TarballFacts::default();
        for_each_file(content, limits, &mut |path, file| {
            facts.file_count = facts.file_count.saturating_add(1);
            facts.unpacked_size = facts.unpacked_size.saturating_add(file.size);
            for (root, files) in [(Root::Dot, &mut dot), (Root::Folder, &mut folder)] {
                if let Some(name) = root.inner(path).filter(|inner| !inner.contains('/')) {
                    return files.take(path, &name, file, limits);
                }
            }
            Ok(())
        })?;
        let (root, files) =
            if dot.manifest.is_some() { (Root::Dot, dot) } else { (Root::Folder, folder) };
        let (path, manifest) = files.manifest.ok_or(TarballError::NoPackageJson)?;
        let package = PackageJson::parse(&manifest, limits)
            .map_err(|source| TarballError::PackageJson { path, source })?;
        facts.has_shrinkwrap = files.has_shrinkwrap;
        facts.has_gyp = files.has_gyp;
        let readme = files.readme.map(|readme| {
            facts.readme_filename = Some(readme.file_name);
            readme.text
        });
        if let Some(bin) = package.bin_folder() {
            facts.bin_files = files_under(content, limits, root, &bin)?;
        }
        Ok(Self { root, package, manifests: files.manifests, facts, readme })
    }
}

impl RootFiles {
    fn take(
        &mut self,
        path: &str,
        name: &str,
        file: &mut File<'_>,
        limits: &Limits,
    ) -> Result<(), TarballError> {
        match name {
            "package.json" => {
                self.manifests = self.manifests.saturating_add(1);
                self.manifest = Some((path.to_owned(), file.read(path, limits.manifest)?));
            }
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
    root: Root,
    folder: &str,
) -> Result<Vec<String>, TarballError> {
    let mut files = Vec::new();
    let mut left = limits.metadata;
    for_each_file(content, limits, &mut |path, _| {
        let inner = root.inner(path);
        let below = inner
            .filter(|inner| inner.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
        if let Some(file) = below {
            let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(length).ok_or_else(|| ArchiveError::TooLarge {
                what: format!("the list of commands in `{}`", shorten(folder)),
                limit: limits.metadata,
            })?;
            files.push(file);
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
    fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        Limits::read(self.data, limit).map_err(|error| match error {
            ReadError::TooLarge { limit } => {
                ArchiveError::TooLarge { what: format!("`{}`", shorten(path)), limit }
            }
            ReadError::Io(error) => ArchiveError::from_io(error),
            error => ArchiveError::Io(io::Error::other(error)),
        })
    }

    /// The beginning as text; characters that are broken or cut by the limit are left out.
    fn read_beginning(&mut self, most: u64) -> Result<String, ArchiveError> {
        let mut bytes = Vec::new();
        io::copy(&mut self.data.take(most), &mut bytes).map_err(ArchiveError::from_io)?;
        Ok(bytes.utf8_chunks().map(|chunk| chunk.valid()).collect())
    }
}

/// Walks a tarball to the last byte of its compressed stream. The paths of all entries are checked;
/// links, which clients leave out, and folders are not shown.
fn for_each_file(
    content: &mut dyn ReadSeek,
    limits: &Limits,
    see: &mut dyn FnMut(&str, &mut File<'_>) -> Result<(), TarballError>,
) -> Result<(), TarballError> {
    let mut stream = unzipped(content, limits)?;
    let mut tar = TarReader::new(&mut stream, limits);
    while let Some(mut member) = tar.next()? {
        let path = String::from_utf8_lossy(member.path()).into_owned();
        if member.path_escapes() {
            return Err(TarballError::UnsafePath { path });
        }
        if member.kind() == TarKind::File {
            see(&path, &mut File { size: member.size(), data: &mut member })?;
        }
    }
    // What follows the end of the archive is padding, but its checksum covers all before it.
    io::copy(&mut stream, &mut io::sink()).map_err(ArchiveError::from_io)?;
    Ok(())
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usual("package/package.json", None, Some("package.json"))]
    #[case::nested("package/lib/a.js", None, Some("lib/a.js"))]
    #[case::dot("./package.json", Some("package.json"), None)]
    #[case::dot_and_folder("./package/a", Some("package/a"), Some("a"))]
    #[case::blank_parts("package//./a", None, Some("a"))]
    #[case::top_level("pax_global_header", None, None)]
    #[case::the_folder_itself("package/", None, None)]
    fn paths_are_cut_as_clients_cut_them(
        #[case] path: &str,
        #[case] dot: Option<&str>,
        #[case] folder: Option<&str>,
    ) {
        assert_eq!(Root::Dot.inner(path).as_deref(), dot);
        assert_eq!(Root::Folder.inner(path).as_deref(), folder);
    }

    #[test]
    fn a_markdown_readme_is_preferred() {
        let ranks =
            ["README.md", "readme", "README.ja.md", "README-zh", "LICENSE"].map(readme_rank);
        assert_eq!(ranks, [Some(0), Some(1), Some(2), Some(3), None]);
    }
}
