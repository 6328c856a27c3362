use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, SeekFrom};

use hayloft_archive::{
    ArchiveError, Compression, Links, Portability, TarEntry, TarKind, TarReader, Zip, ZipEntry,
    decoder, leaves_directory,
};
use hayloft_feed::{FeedTypeError, HistoryEntry, Limits, PathFault, ReadSeek, shorten};
use sha2::{Digest as _, Sha256};

use crate::cost::{MEMBER, charge, charge_headers, charge_json};
use crate::file_name::{SdistForm, split_name_and_version};
use crate::metadata::{MetadataError, ReadMetadata};
use crate::version_source::{PYPROJECT, SETUP_CFG, SETUP_PY};
use crate::wheel::{HISTORY, check_links, history_limit, read_history};
use crate::{TAG, refused};

pub(crate) const PKG_INFO: &str = "PKG-INFO";

/// What decides about a build, at the top: one spelling and one content of each.
const DECIDING: [&str; 4] = [PKG_INFO, PYPROJECT, SETUP_CFG, SETUP_PY];

/// What was read out of a source distribution.
#[derive(Debug)]
pub(crate) struct Sdist {
    /// Name of the one directory at the top.
    pub(crate) top: String,
    /// The wanted files by path below the top directory.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Something of a version control system is in the top directory.
    pub(crate) repository: Option<String>,
    /// A path that two members have, if there is one.
    pub(crate) duplicate: Option<String>,
    /// Names that are not the same everywhere.
    pub(crate) warnings: Vec<String>,
}

/// The file is not a source distribution that can be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdistError {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// A file beside the top directory.
    #[error("has `{}` outside a top directory", shorten(.0))]
    Outside(String),
    /// More than one directory at the top.
    #[error("has two top directories, `{}` and `{}`", shorten(first), shorten(second))]
    TwoTops {
        /// The one that comes first.
        first: String,
        /// Another one.
        second: String,
    },
    /// A path that leads out of the directory unpacked into.
    #[error("has a member `{}` whose path {fault}", shorten(path))]
    Path {
        /// As written.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link that leads out of the top directory.
    #[error("has a link `{}` that leads out of the top directory", shorten(.0))]
    Link(String),
    /// A device, a pipe, or a vendor's kind of member.
    #[error("has a member `{}` that is neither a file nor a directory nor a link", shorten(.0))]
    Kind(String),
    /// A file that is read here stands twice or is a link.
    #[error("has a file `{}` that stands there twice or is a link", shorten(.0))]
    Ambiguous(String),
    /// A file that decides about the build is there in two spellings.
    #[error(
        "has two files `{}` and `{}`, which some systems unpack to one",
        shorten(first),
        shorten(second)
    )]
    TwoSpellings {
        /// The one that comes first.
        first: String,
        /// The other one.
        second: String,
    },
    /// No metadata.
    #[error("has no `PKG-INFO` in its top directory")]
    NoMetadata,
    /// The metadata.
    #[error("has an unusable `PKG-INFO`")]
    Metadata(#[source] MetadataError),
    /// The top directory is named after another version.
    #[error(
        "has a top directory `{}` that does not match Name `{}` and Version `{}`",
        shorten(top),
        shorten(name),
        shorten(version)
    )]
    TopName {
        /// Of the directory.
        top: String,
        /// By the metadata.
        name: String,
        /// By the metadata.
        version: String,
    },
    /// The files that decide about the version are too large together.
    #[error("has metadata of more than {0} bytes")]
    TooLarge(u64),
    /// The name of the top directory is not text.
    #[error("has a top directory `{}` whose name is not UTF-8", shorten(.0))]
    TopEncoding(String),
}

/// What was found in a source distribution.
#[derive(Debug)]
pub(crate) struct ReadSdist {
    pub(crate) metadata: ReadMetadata,
    pub(crate) document: Vec<u8>,
    pub(crate) history: Vec<HistoryEntry>,
    pub(crate) top: String,
}

/// Inspects a source distribution. Costs one pass through the whole archive.
pub(crate) fn inspect(
    content: &mut dyn ReadSeek,
    form: SdistForm,
    limits: &Limits,
) -> Result<ReadSdist, FeedTypeError> {
    let wanted = |path: &str| path == PKG_INFO || path == HISTORY;
    let mut sdist = match form {
        SdistForm::TarGz => Sdist::read_tar(content, limits, &wanted)?,
        SdistForm::Zip => {
            let mut zip =
                Zip::open(content, limits).map_err(|error| error.into_feed_type_error(TAG))?;
            Sdist::read_zip(&mut zip, limits, &wanted)?
        }
    };
    let document = sdist.files.remove(PKG_INFO).ok_or_else(|| refused(SdistError::NoMetadata))?;
    charge_headers(&document, limits)?;
    if let Some(history) = sdist.files.get(HISTORY) {
        charge_json(history, limits)?;
    }
    let mut metadata =
        ReadMetadata::parse(&document).map_err(|error| refused(SdistError::Metadata(error)))?;
    if split_name_and_version(&sdist.top, &metadata.name, &metadata.version).is_none() {
        return Err(refused(SdistError::TopName {
            top: sdist.top,
            name: metadata.fields.name,
            version: metadata.fields.version,
        }));
    }
    let history = sdist.files.get(HISTORY).map(|bytes| read_history(bytes, &mut metadata.warnings));
    metadata.warnings.append(&mut sdist.warnings);
    if let Some(path) = sdist.duplicate {
        metadata.warnings.push(format!("`{}` stands in the archive twice", shorten(&path)));
    }
    Ok(ReadSdist { metadata, document, history: history.unwrap_or_default(), top: sdist.top })
}

/// The uncompressed tar stream of a `.tar.gz` file, from its start.
pub(crate) fn tar_stream<'c>(
    content: &'c mut dyn ReadSeek,
    limits: &Limits,
) -> Result<Box<dyn Read + 'c>, FeedTypeError> {
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    decoder(Compression::Gzip, Box::new(content), limits)
        .map_err(|error| error.into_feed_type_error(TAG))
}

impl Sdist {
    /// Reads the files that `wanted` accepts, by path below the top directory, and checks all
    /// members.
    pub(crate) fn read_tar(
        content: &mut dyn ReadSeek,
        limits: &Limits,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, FeedTypeError> {
        let archive = |error: ArchiveError| error.into_feed_type_error(TAG);
        let mut stream = tar_stream(content, limits)?;
        let mut walk = Walk::new(limits);
        let mut reader = TarReader::new(&mut stream, limits);
        while let Some(mut member) = reader.next().map_err(archive)? {
            check_tar_member(member.entry()).map_err(refused)?;
            charge(limits, MEMBER)?;
            walk.links.entry(member.entry()).map_err(archive)?;
            let is_directory = member.kind() == TarKind::Directory;
            let Some(path) = walk.member(member.path(), is_directory).map_err(refused)? else {
                continue;
            };
            if wanted(&path) {
                if member.kind() != TarKind::File {
                    return Err(refused(SdistError::Ambiguous(path)));
                }
                let limit = most(&path, limits);
                let bytes = member.read(limit).map_err(archive)?;
                walk.keep(path, bytes).map_err(refused)?;
            } else if DECIDING.contains(&path.as_str()) {
                let mut hasher = Hasher(Sha256::new());
                io::copy(&mut member, &mut hasher)
                    .map_err(|error| archive(ArchiveError::from_io(error)))?;
                walk.decide(path, hasher.0.finalize().into()).map_err(refused)?;
            }
        }
        // Reading on to the end also checks the sum of the compressed stream.
        reader.finish().map_err(archive)?;
        walk.finish()
    }

    /// As [`Sdist::read_tar`], for the old form.
    pub(crate) fn read_zip(
        zip: &mut Zip<'_>,
        limits: &Limits,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, FeedTypeError> {
        let mut walk = Walk::new(limits);
        for index in 0..zip.entries().len() {
            let Some(entry) = zip.entries().get(index) else { break };
            let path = entry.path().as_bytes().to_vec();
            check_path(&path).map_err(refused)?;
            let (is_directory, is_link) = (entry.is_directory(), entry.is_symbolic_link());
            let found = walk.member(&path, is_directory).map_err(refused)?;
            if let Some(path) = found.filter(|path| wanted(path)) {
                if is_link {
                    return Err(refused(SdistError::Ambiguous(path)));
                }
                let bytes = zip
                    .read(index, most(&path, limits))
                    .map_err(|error| error.into_feed_type_error(TAG))?;
                walk.keep(path, bytes).map_err(refused)?;
            }
        }
        let sdist = walk.finish()?;
        check_links(zip, Some(sdist.top.as_bytes()))?;
        Ok(sdist)
    }
}

/// Bytes of a file that is read here.
fn most(path: &str, limits: &Limits) -> u64 {
    if path == HISTORY { history_limit(limits) } else { limits.manifest }
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The path must stay in the top directory, also once pip has cut that off, and on Windows.
fn check_path(path: &[u8]) -> Result<(), SdistError> {
    let below = Place::of(path).and_then(|place| path.get(place.end + 1..)).unwrap_or_default();
    let cut = leaves_directory(below).filter(|fault| match fault {
        PathFault::Empty => false,
        // A later component cannot begin anew for who does not join them one by one.
        PathFault::Drive => matches!(below, [_, b':', ..]),
        _ => true,
    });
    match leaves_directory(path).filter(|fault| *fault != PathFault::Drive).or(cut) {
        None if !matches!(path, [letter, b':', ..] if letter.is_ascii_alphabetic()) => Ok(()),
        fault => Err(SdistError::Path {
            path: String::from_utf8_lossy(path).into_owned(),
            fault: fault.unwrap_or(PathFault::Drive),
        }),
    }
}

fn check_tar_member(entry: &TarEntry) -> Result<(), SdistError> {
    let shown = || String::from_utf8_lossy(entry.path()).into_owned();
    check_path(entry.path())?;
    let stays = match entry.kind() {
        TarKind::File | TarKind::Directory => true,
        TarKind::SymbolicLink => !entry.link_escapes() && stays_in_top(entry),
        TarKind::HardLink => !entry.link_escapes() && has_same_top(entry),
        TarKind::Other(_) => return Err(SdistError::Kind(shown())),
    };
    if stays { Ok(()) } else { Err(SdistError::Link(shown())) }
}

/// A hard link names its target from the root of the archive.
fn has_same_top(entry: &TarEntry) -> bool {
    let link = entry.link().unwrap_or_default();
    let target = Place::of(link).map(|place| place.top(link));
    target.is_some() && target == Place::of(entry.path()).map(|place| place.top(entry.path()))
}

/// A symbolic link starts from the directory it is in.
fn stays_in_top(entry: &TarEntry) -> bool {
    let Some(top) = Place::of(entry.path()).map(|place| place.top(entry.path())) else {
        return false;
    };
    let mut depth = directories_above(entry.path());
    for component in entry.link().unwrap_or_default().split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => depth = depth.saturating_sub(1),
            _ if depth == 0 && component != top => return false,
            _ => depth += 1,
        }
    }
    depth > 0
}

fn directories_above(path: &[u8]) -> usize {
    let named = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    named.count().saturating_sub(1)
}

/// Where the top directory stands in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    start: usize,
    end: usize,
}

impl Place {
    /// Skips what leads nowhere, as in `./name-1.0/setup.py`; `None` for the root itself.
    pub(crate) fn of(path: &[u8]) -> Option<Self> {
        let mut start = 0;
        for component in path.split(|byte| *byte == b'/') {
            let end = start + component.len();
            if !matches!(component, b"" | b".") {
                return Some(Self { start, end });
            }
            start = end + 1;
        }
        None
    }

    fn top<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.get(self.start..self.end).unwrap_or_default()
    }

    /// The path below the top directory without what leads nowhere; `None` if it is not text.
    pub(crate) fn below(&self, path: &[u8]) -> Option<String> {
        let rest = std::str::from_utf8(path.get(self.end..)?).ok()?;
        let parts: Vec<&str> = rest.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        Some(parts.join("/"))
    }

    /// The path with another top directory.
    pub(crate) fn with_top(&self, path: &[u8], top: &str) -> Vec<u8> {
        let before = path.get(..self.start).unwrap_or_default();
        let after = path.get(self.end..).unwrap_or_default();
        [before, top.as_bytes(), after].concat()
    }
}

/// Keeps count while the members of an archive go by.
struct Walk {
    limit: u64,
    top: Option<Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
    kept: u64,
    /// Digests of paths, which take less memory than paths.
    names: HashSet<[u8; 16]>,
    /// Files that decide about a build, by name in lower case.
    deciding: BTreeMap<String, (String, Option<[u8; 32]>)>,
    repository: Option<String>,
    duplicate: Option<String>,
    links: Links,
    portability: Portability,
}

impl Walk {
    fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.metadata,
            top: None,
            files: BTreeMap::new(),
            kept: 0,
            names: HashSet::new(),
            deciding: BTreeMap::new(),
            repository: None,
            duplicate: None,
            links: Links::default(),
            portability: Portability::default(),
        }
    }

    /// Takes note of a member; answers the path of a file below the top directory.
    fn member(&mut self, path: &[u8], is_directory: bool) -> Result<Option<String>, SdistError> {
        let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let Some(place) = Place::of(path) else {
            return if is_directory { Ok(None) } else { Err(SdistError::Outside(shown(path))) };
        };
        let top = place.top(path);
        match &self.top {
            None => self.top = Some(top.to_vec()),
            Some(first) if first != top => {
                return Err(SdistError::TwoTops { first: shown(first), second: shown(top) });
            }
            Some(_) => {}
        }
        let below = place.below(path);
        if !is_directory {
            if below.as_ref().is_some_and(String::is_empty) {
                return Err(SdistError::Outside(shown(path)));
            }
            let name = below.as_ref().map_or(path, |below| below.as_bytes());
            let digest: [u8; 32] = Sha256::digest(name).into();
            let is_new = digest.first_chunk().is_none_or(|digest| self.names.insert(*digest));
            if !is_new && self.duplicate.is_none() {
                self.duplicate = Some(shown(path));
            }
            self.portability.note(path);
        }
        let Some(below) = below else { return Ok(None) };
        self.spelled_once(&below)?;
        if let Some(first @ (".git" | ".hg")) = below.split('/').next() {
            self.repository.get_or_insert_with(|| first.to_owned());
        }
        Ok((!is_directory).then_some(below))
    }

    fn spelled_once(&mut self, below: &str) -> Result<(), SdistError> {
        let Some(name) = DECIDING.iter().find(|name| name.eq_ignore_ascii_case(below)) else {
            return Ok(());
        };
        let known = self.deciding.entry(name.to_ascii_lowercase());
        let (first, _) = known.or_insert_with(|| (below.to_owned(), None));
        if first == below {
            return Ok(());
        }
        Err(SdistError::TwoSpellings { first: first.clone(), second: below.to_owned() })
    }

    /// Old tools packed some files twice; what differs is read in two ways.
    fn decide(&mut self, path: String, digest: [u8; 32]) -> Result<(), SdistError> {
        match self.deciding.get_mut(&path.to_ascii_lowercase()) {
            Some((_, Some(known))) if *known != digest => Err(SdistError::Ambiguous(path)),
            Some((_, known)) => {
                *known = Some(digest);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn keep(&mut self, path: String, bytes: Vec<u8>) -> Result<(), SdistError> {
        self.kept = self.kept.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.kept > self.limit {
            return Err(SdistError::TooLarge(self.limit));
        }
        match self.files.insert(path.clone(), bytes) {
            None => Ok(()),
            Some(_) => Err(SdistError::Ambiguous(path)),
        }
    }

    fn finish(self) -> Result<Sdist, FeedTypeError> {
        let top = self.top.ok_or_else(|| refused(SdistError::Empty))?;
        self.links.check(Some(&top)).map_err(|error| error.into_feed_type_error(TAG))?;
        let top = String::from_utf8(top).map_err(|error| {
            refused(SdistError::TopEncoding(String::from_utf8_lossy(error.as_bytes()).into()))
        })?;
        let Self { files, repository, duplicate, portability, .. } = self;
        let warnings = portability.into_warnings();
        Ok(Sdist { top, files, repository, duplicate, warnings })
    }
}

/// The target of a symbolic link at `path` once the top directory is called `new_top`; a link
/// that goes up out of the top directory and in again names it.
pub(crate) fn retargeted_symbolic_link(path: &[u8], link: &[u8], new_top: &str) -> Vec<u8> {
    let mut depth = directories_above(path);
    let renamed: Vec<&[u8]> = link
        .split(|byte| *byte == b'/')
        .map(|component| {
            match component {
                b"" | b"." => {}
                b".." => depth = depth.saturating_sub(1),
                _ => {
                    depth += 1;
                    if depth == 1 {
                        return new_top.as_bytes();
                    }
                }
            }
            component
        })
        .collect();
    renamed.join(&b'/')
}

/// The entry is a file that lies directly in `*.egg-info`, at the top or below `src`.
pub(crate) fn in_egg_info(path: &str, file: &str) -> bool {
    let path = path.strip_prefix("src/").unwrap_or(path);
    path.split_once('/')
        .is_some_and(|(directory, rest)| directory.ends_with(".egg-info") && rest == file)
}

/// The path of a zip entry with another top directory.
pub(crate) fn zip_path_with_top(entry: &ZipEntry, top: &str) -> Option<String> {
    let path = entry.path().as_bytes();
    String::from_utf8(Place::of(path)?.with_top(path, top)).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("a-1/b/c", "a-2/b/c", "b/c")]
    #[case::directory("a-1/", "a-2/", "")]
    #[case::dotted("./a-1/./b", "./a-2/./b", "b")]
    #[case::same_name_below("a-1/a-1/b", "a-2/a-1/b", "a-1/b")]
    fn the_first_component_is_the_top(#[case] old: &str, #[case] new: &str, #[case] below: &str) {
        let place = Place::of(old.as_bytes()).unwrap();
        assert_eq!(place.with_top(old.as_bytes(), "a-2"), new.as_bytes());
        assert_eq!(place.below(old.as_bytes()).as_deref(), Some(below));
    }

    #[rstest]
    #[case::beside("a-1/b", "c", "c")]
    #[case::up_within("a-1/b/c", "../d", "../d")]
    #[case::out_and_in("a-1/b", "../a-1/c", "../a-2/c")]
    #[case::deeper_out_and_in("a-1/b/c", "../../a-1/./c", "../../a-2/./c")]
    #[case::a_directory_of_that_name("a-1/b", "a-1/c", "a-1/c")]
    fn symbolic_links_keep_their_target(
        #[case] path: &str,
        #[case] link: &str,
        #[case] expected: &str,
    ) {
        let renamed = retargeted_symbolic_link(path.as_bytes(), link.as_bytes(), "a-2");
        assert_eq!(String::from_utf8(renamed).unwrap(), expected);
    }

    #[rstest]
    #[case::root("a.egg-info/PKG-INFO", true)]
    #[case::src("src/a.egg-info/PKG-INFO", true)]
    #[case::deeper("tests/a.egg-info/PKG-INFO", false)]
    #[case::below("a.egg-info/x/PKG-INFO", false)]
    #[case::top("PKG-INFO", false)]
    fn egg_infos_are_looked_for_in_two_places(#[case] path: &str, #[case] found: bool) {
        assert_eq!(in_egg_info(path, "PKG-INFO"), found);
    }
}
