use std::collections::HashSet;
use std::io::{self, Write};

use hayloft_archive::{ArchiveError, Duplicates, Zip, ZipEntry, ZipLayout, ZipRules};
use hayloft_feed::{
    Detail, FeedTypeError, HistoryEntry, HistoryError, Limits, PathFault, ReadSeek, shorten,
};
use percent_encoding::percent_decode_str;

use crate::{NuspecError, SignatureError, SymbolsError, TAG, XmlError};

/// Most bytes of a nuspec.
const LARGEST_NUSPEC: u64 = 3 << 20;
/// Most bytes of any other part that is read whole.
const LARGEST_PART: u64 = 1 << 20;
/// Most bytes of all such parts: license, icon, readme, signature, histories, content types, and
/// core properties, of which a package has one.
const LARGEST_PARTS: u64 = 8 << 20;
/// Most bytes of a link's target.
const LONGEST_LINK: u64 = 4096;
/// Most entries of a package.
const MOST_ENTRIES: u64 = 65_535;

/// Entry that holds the repackaging history.
pub(crate) const HISTORY: &str = ".progetRepackageHistory.json";
/// Entry that older tools keep it in.
pub(crate) const OLD_HISTORY: &str = ".progetRepackagingHistory.json";
/// Entry that holds the signature.
pub(crate) const SIGNATURE: &str = ".signature.p7s";

/// A file is a zip archive, but not an acceptable package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Windows tools unpack two backslashes as one, others do not.
    #[error("entry `{}` has two backslashes in a row; write the path with slashes", shorten(.0))]
    DoubleBackslash(String),
    /// A name that leads elsewhere, or means something else on another system, once its `%`
    /// sequences are decoded, as clients do.
    #[error("the path of entry `{}` {}, as clients decode it", shorten(name), fault.text())]
    Path {
        /// As it stands in the archive.
        name: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// Tools other than clients, which write its target as text, make a link of it.
    #[error("entry `{}` is a symbolic link that leads outside the package", shorten(.0))]
    Link(String),
    /// Two names lead to one place.
    #[error(
        "there is more than one entry `{}`; case, doubled slashes and escapes do not tell names apart",
        shorten(.0)
    )]
    Collision(String),
    /// No nuspec at the root.
    #[error("there is no .nuspec file at the root of the package")]
    NoNuspec,
    /// Several of them.
    #[error(
        "there are two .nuspec files at the root, `{}` and `{}`",
        shorten(first),
        shorten(second)
    )]
    SeveralNuspecs {
        /// Name of the first.
        first: String,
        /// Name of the second.
        second: String,
    },
    /// The nuspec is not one.
    #[error("the manifest `{}` is not acceptable", shorten(entry))]
    Nuspec {
        /// Name of the entry.
        entry: String,
        /// What is wrong.
        #[source]
        source: Box<NuspecError>,
    },
    /// The nuspec names a license that is not there.
    #[error(
        "the nuspec names the license file `{}`, which the package does not contain",
        shorten(path)
    )]
    NoLicense {
        /// What it names.
        path: String,
    },
    /// A signature that does not hold, which clients refuse.
    #[error("the signature `.signature.p7s` does not fit the package")]
    Signature(#[source] SignatureError),
    /// A symbol package that is not one.
    #[error("the symbol package is not acceptable")]
    Symbols(#[source] SymbolsError),
    /// A symbol package where another kind is expected.
    #[error("this is a symbol package; push it to the address for symbols")]
    UnexpectedSymbols,
    /// Another package where symbols are expected.
    #[error("this is no symbol package; it needs the package type `SymbolsPackage`")]
    NoSymbolPackage,
    /// An XML part that has to be changed.
    #[error("entry `{}` cannot be changed", shorten(entry))]
    Part {
        /// Name of the entry.
        entry: String,
        /// What is wrong.
        #[source]
        source: XmlError,
    },
    /// More parts to read whole than are read.
    #[error("the parts that describe the package have more than 8 MiB together")]
    TooMuch,
    /// A repackaging history that cannot be continued.
    #[error("entry `{}` is no repackaging history; remove it", shorten(entry))]
    History {
        /// Name of the entry.
        entry: String,
        /// What is wrong.
        #[source]
        source: HistoryError,
    },
    /// A repackaging history that is not text.
    #[error("entry `{}` is no repackaging history in UTF-8; remove it", shorten(.0))]
    HistoryEncoding(String),
    /// The file is not the package that it is stored as.
    #[error("the package says it is {found}, but it is stored as {stored}")]
    Stranger {
        /// What it says.
        found: String,
        /// What the store says.
        stored: String,
    },
}

impl PackageError {
    pub(crate) fn refused(self) -> FeedTypeError {
        FeedTypeError::Refused { feed_type: TAG, detail: self.into() }
    }

    pub(crate) fn not_repackageable(self) -> FeedTypeError {
        FeedTypeError::NotRepackageable { detail: self.into() }
    }
}

pub(crate) fn refused(error: ArchiveError) -> FeedTypeError {
    error.into_feed_type_error(TAG)
}

/// An open package whose entry names were checked.
#[derive(Debug)]
pub(crate) struct Package<'a> {
    pub(crate) zip: Zip<'a>,
    /// By index of the entry: its path as clients unpack it.
    paths: Vec<String>,
    nuspec: usize,
    limits: Limits,
    /// Bytes of all parts that may still be read whole.
    budget: u64,
}

impl<'a> Package<'a> {
    pub(crate) fn open(
        content: &'a mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<Self, FeedTypeError> {
        let mut limits = limits.clone();
        limits.entries = limits.entries.min(MOST_ENTRIES);
        // Names are compared below, decoded as clients decode them.
        let rules = ZipRules { duplicates: Duplicates::Allowed };
        let mut zip = Zip::open_with(content, &limits, &rules).map_err(refused)?;
        let paths = decoded_paths(zip.entries()).map_err(PackageError::refused)?;
        check_links(&mut zip, &paths)?;
        let nuspec = nuspec(&paths).map_err(PackageError::refused)?;
        let budget = limits.metadata.min(LARGEST_PARTS);
        Ok(Self { zip, paths, nuspec, limits, budget })
    }

    /// Paths by index of the entry.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (usize, &str)> {
        self.paths.iter().map(String::as_str).enumerate()
    }

    /// The name of an entry as it stands in the archive.
    pub(crate) fn entry_name(&self, index: usize) -> String {
        self.zip.entries().get(index).map(ZipEntry::name).unwrap_or_default().to_owned()
    }

    /// The entry that clients would unpack to `path`, case aside.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        let path = path.to_lowercase();
        self.paths().find(|(_, other)| other.to_lowercase() == path).map(|(index, _)| index)
    }

    pub(crate) fn nuspec(&self) -> usize {
        self.nuspec
    }

    pub(crate) fn read_nuspec(&mut self) -> Result<Vec<u8>, FeedTypeError> {
        let most = LARGEST_NUSPEC.min(self.limits.manifest);
        self.zip.read(self.nuspec, most).map_err(refused)
    }

    /// Reads a part of at most 1 MiB, of 8 MiB for all parts together.
    pub(crate) fn read(&mut self, index: usize) -> Result<Vec<u8>, FeedTypeError> {
        let size = self.zip.entries().get(index).map_or(0, ZipEntry::size);
        let most = LARGEST_PART.min(self.limits.metadata);
        if let Some(rest) = self.budget.checked_sub(size) {
            self.budget = rest;
        } else if size <= most {
            return Err(PackageError::TooMuch.refused());
        }
        self.zip.read(index, most).map_err(refused)
    }

    /// Reads the first bytes of an entry of any size.
    pub(crate) fn read_prefix(
        &mut self,
        index: usize,
        length: usize,
    ) -> Result<Vec<u8>, FeedTypeError> {
        let mut prefix = Prefix { bytes: Vec::new(), length };
        let copied = self.zip.copy_to(index, self.limits.unpacked, &mut prefix);
        match copied {
            Err(_) if prefix.bytes.len() == length => Ok(prefix.bytes),
            copied => copied.map(|_| prefix.bytes).map_err(refused),
        }
    }

    /// The history that the package tells, oldest first, and the entries that tell it: that of
    /// older tools, and the one of today.
    pub(crate) fn history(&mut self) -> Result<History, FeedTypeError> {
        let mut history = History::default();
        for name in [OLD_HISTORY, HISTORY] {
            let Some(index) = self.find(name) else { continue };
            let entry = self.entry_name(index);
            let Ok(text) = String::from_utf8(self.read(index)?) else {
                history.fault = Some(PackageError::HistoryEncoding(entry));
                continue;
            };
            match HistoryEntry::parse_list(&text) {
                Ok(entries) => history.entries.extend(entries),
                Err(source) => history.fault = Some(PackageError::History { entry, source }),
            }
            history.files.push(HistoryFile { index, text });
        }
        Ok(history)
    }

    /// The signature's entry, and where all entries lie.
    pub(crate) fn signature(&self) -> Option<(usize, ZipLayout)> {
        Some((self.zip.find(SIGNATURE)?, self.zip.layout().clone()))
    }
}

/// What [`Package::history`] found.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) entries: Vec<HistoryEntry>,
    pub(crate) files: Vec<HistoryFile>,
    pub(crate) fault: Option<PackageError>,
}

#[derive(Debug)]
pub(crate) struct HistoryFile {
    pub(crate) index: usize,
    pub(crate) text: String,
}

/// Keeps what it gets up to a length, then wants no more.
struct Prefix {
    bytes: Vec<u8>,
    length: usize,
}

impl Write for Prefix {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.length.saturating_sub(self.bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.bytes.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn decoded_paths(entries: &[ZipEntry]) -> Result<Vec<String>, PackageError> {
    let mut places = HashSet::new();
    let mut paths = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = entry.name();
        if name.contains("\\\\") {
            return Err(PackageError::DoubleBackslash(name.to_owned()));
        }
        let path = decoded(entry.path());
        if let Some(fault) = fault(&path) {
            return Err(PackageError::Path { name: name.to_owned(), fault });
        }
        let place = path.split('/').filter(|part| !matches!(*part, "" | "."));
        if !places.insert(place.collect::<Vec<_>>().join("/").to_lowercase()) {
            return Err(PackageError::Collision(name.to_owned()));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Links that stay inside are what some build machines pack; clients unpack them as text.
fn check_links(zip: &mut Zip<'_>, paths: &[String]) -> Result<(), FeedTypeError> {
    let links = zip.entries().iter().filter(|entry| entry.is_symbolic_link());
    let links: Vec<usize> = links.map(ZipEntry::index).collect();
    for index in links {
        let target = zip.read(index, LONGEST_LINK).map_err(refused)?;
        if !stays_inside(paths.get(index).map_or("", String::as_str), &target) {
            let name = zip.entries().get(index).map(ZipEntry::name).unwrap_or_default();
            return Err(PackageError::Link(name.to_owned()).refused());
        }
    }
    Ok(())
}

fn stays_inside(path: &str, target: &[u8]) -> bool {
    if matches!(
        PathFault::of(target),
        Some(PathFault::Zero | PathFault::Absolute | PathFault::Drive | PathFault::Empty)
    ) {
        return false;
    }
    let named = |part: &&[u8]| !matches!(*part, b"" | b".");
    let mut depth = path.as_bytes().split(|byte| *byte == b'/').filter(named).count();
    // The link itself is no folder on the way.
    depth = depth.saturating_sub(1);
    for part in target.split(|byte| matches!(byte, b'/' | b'\\')).filter(named) {
        if part == b".." {
            let Some(above) = depth.checked_sub(1) else { return false };
            depth = above;
        } else {
            depth += 1;
        }
    }
    true
}

/// Writers escape names as in a URI, and clients unescape them before they unpack. Escapes that
/// stand for no UTF-8 stay as they are.
fn decoded(path: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        for byte in chunk.invalid() {
            decoded.push_str(percent_encoding::percent_encode_byte(*byte));
        }
    }
    if decoded.contains('\\') { decoded.replace('\\', "/") } else { decoded }
}

/// What is wrong with a decoded path.
///
/// The public gallery has packages with doubled slashes, which every client takes for one.
fn fault(path: &str) -> Option<PathFault> {
    match PathFault::of(path.as_bytes()) {
        Some(PathFault::EmptyComponent) => {
            let components = path.split('/').filter(|component| !component.is_empty());
            PathFault::of(components.collect::<Vec<_>>().join("/").as_bytes())
        }
        fault => fault,
    }
}

fn nuspec(paths: &[String]) -> Result<usize, PackageError> {
    let mut found = paths
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.contains('/') && path.to_ascii_lowercase().ends_with(".nuspec"));
    match (found.next(), found.next()) {
        (None, _) => Err(PackageError::NoNuspec),
        (Some((index, _)), None) => Ok(index),
        (Some((_, first)), Some((_, second))) => {
            Err(PackageError::SeveralNuspecs { first: first.clone(), second: second.clone() })
        }
    }
}

impl From<PackageError> for FeedTypeError {
    fn from(error: PackageError) -> Self {
        error.refused()
    }
}

/// For errors of this crate that stand on their own.
pub(crate) fn detail(error: impl Into<Detail>) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: error.into() }
}
