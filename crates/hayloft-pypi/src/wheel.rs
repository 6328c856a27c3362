use std::collections::{BTreeMap, BTreeSet, HashSet};

use hayloft_archive::{Links, Portability, Zip, ZipEntry, leaves_directory};
use hayloft_feed::{FeedTypeError, HistoryEntry, Limits, PathFault, ReadSeek, shorten};

use crate::cost::{charge_headers, charge_json, charge_rows};
use crate::file_name::{FileName, WheelName, split_name_and_version};
use crate::headers::{Headers, HeadersError};
use crate::metadata::{MetadataError, ReadMetadata};
use crate::record::{Record, RecordError};
use crate::{TAG, refused};

/// Entry of the repackaging history, in the metadata directory.
pub(crate) const HISTORY: &str = "repackage_history.json";
pub(crate) const METADATA: &str = "METADATA";
pub(crate) const WHEEL: &str = "WHEEL";
pub(crate) const RECORD: &str = "RECORD";
/// Signatures over the record; both forms are deprecated.
pub(crate) const SIGNATURES: [&str; 2] = ["RECORD.jws", "RECORD.p7s"];

/// Ends the name of the metadata directory.
const DIST_INFO: &str = ".dist-info";
/// Ends the name of the directory with files for other places.
const DATA: &str = ".data";
/// What installers read in the metadata directory.
const READ: [&str; 5] = [METADATA, WHEEL, RECORD, "entry_points.txt", "INSTALLER"];
/// Bytes of a history: some hundred steps.
const MAX_HISTORY: u64 = 256 << 10;
/// Bytes of the target of a link.
const MAX_LINK: u64 = 4096;

/// Members named in one warning at most.
const NAMED: usize = 3;

/// A wheel whose directory was read.
///
/// The metadata directory is found by listing: case, dots and zeros in its name may differ from
/// those in the file name, and one that lies deeper belongs to a vendored package.
#[derive(Debug)]
pub(crate) struct Wheel<'a> {
    pub(crate) zip: Zip<'a>,
    /// `name-version`, the name of the metadata directory before `.dist-info`.
    pub(crate) prefix: String,
}

/// The file is not a wheel that can be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WheelError {
    /// No `*.dist-info` at the top.
    #[error("has no `.dist-info` directory at its top")]
    NoDistInfo,
    /// More than one `*.dist-info` at the top.
    #[error(
        "has two `.dist-info` directories at its top, `{}` and `{}`",
        shorten(first),
        shorten(second)
    )]
    TwoDistInfos {
        /// Name of one.
        first: String,
        /// Name of another one.
        second: String,
    },
    /// A directory that pip takes for the wheel's data, and other installers for a package.
    #[error("has a directory `{}` at its top, which is not the data of this wheel", shorten(.0))]
    OtherData(String),
    /// A file that installers read is there in two spellings.
    #[error(
        "has two files `{}` and `{}`, which some systems unpack to one",
        shorten(first),
        shorten(second)
    )]
    TwoSpellings {
        /// One path.
        first: String,
        /// The other one.
        second: String,
    },
    /// A path that leads into the metadata directory by another way.
    #[error("has a file `{}` that is unpacked into its metadata directory", shorten(.0))]
    Hidden(String),
    /// A path that leads out of the directory unpacked into.
    #[error("has a file `{}` whose path {fault}", shorten(path))]
    Path {
        /// As written.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A header of `WHEEL` that stands once stands twice, or text between its headers.
    #[error("has a `WHEEL` that readers take in two ways: {0}")]
    AmbiguousAbout(&'static str),
    /// A file that every wheel has is not there.
    #[error("has no `{}`", shorten(.0))]
    Missing(String),
    /// The `METADATA` file.
    #[error("has an unusable `METADATA`")]
    Metadata(#[source] MetadataError),
    /// The metadata directory is named after another version.
    #[error(
        "has a metadata directory `{}.dist-info` that does not match Name `{}` and Version `{}`",
        shorten(prefix),
        shorten(name),
        shorten(version)
    )]
    DistInfoName {
        /// Of the directory, before `.dist-info`.
        prefix: String,
        /// By the metadata.
        name: String,
        /// By the metadata.
        version: String,
    },
    /// The `WHEEL` file is not made of headers.
    #[error("has an unusable `WHEEL`")]
    About(#[source] HeadersError),
    /// A format version nobody here knows.
    #[error("has Wheel-Version `{}`; only 1.x can be read", shorten(.0))]
    WheelVersion(String),
    /// The `RECORD` file.
    #[error("has an unusable `RECORD`")]
    Record(#[source] RecordError),
}

/// What was found in a wheel.
#[derive(Debug)]
pub(crate) struct ReadWheel {
    pub(crate) metadata: ReadMetadata,
    pub(crate) document: Vec<u8>,
    pub(crate) history: Vec<HistoryEntry>,
    pub(crate) about: About,
}

/// What a `WHEEL` file says.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) build: Option<String>,
    pub(crate) tags: Vec<String>,
}

impl<'a> Wheel<'a> {
    pub(crate) fn open(
        content: &'a mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<Self, FeedTypeError> {
        let zip = Zip::open(content, limits).map_err(|error| error.into_feed_type_error(TAG))?;
        Self::of(zip)
    }

    pub(crate) fn of(zip: Zip<'a>) -> Result<Self, FeedTypeError> {
        let mut found = dist_infos(&zip);
        let first = found.pop_first().ok_or_else(|| refused(WheelError::NoDistInfo))?;
        if let Some(second) = found.pop_first() {
            let (first, second) = (first.to_owned(), second.to_owned());
            return Err(refused(WheelError::TwoDistInfos { first, second }));
        }
        let prefix = first.strip_suffix(DIST_INFO);
        let prefix = prefix.ok_or_else(|| refused(WheelError::NoDistInfo))?.to_owned();
        Ok(Self { zip, prefix })
    }

    /// Refuses what installers read in two ways, and paths that leave the directory.
    fn check_paths(&self, metadata: &mut ReadMetadata) -> Result<(), WheelError> {
        let mut names = Portability::default();
        let mut spelled: BTreeMap<String, &str> = BTreeMap::new();
        let info = self.info_path("");
        for entry in self.zip.entries() {
            let path = entry.path();
            if let Some(fault) = leaves_directory(path.as_bytes()) {
                return Err(WheelError::Path { path: path.to_owned(), fault });
            }
            names.note(path.as_bytes());
            let top = path.split('/').next().unwrap_or_default();
            if let Some(prefix) = top.strip_suffix(DATA)
                && prefix != self.prefix
                && split_name_and_version(prefix, &metadata.name, &metadata.version).is_none()
            {
                return Err(WheelError::OtherData(top.to_owned()));
            }
            match path.strip_prefix(&info) {
                Some(file) if READ.iter().any(|name| name.eq_ignore_ascii_case(file)) => {
                    let first = spelled.entry(file.to_ascii_lowercase()).or_insert(path);
                    if *first != path {
                        let (first, second) = ((*first).to_owned(), path.to_owned());
                        return Err(WheelError::TwoSpellings { first, second });
                    }
                }
                Some(_) => {}
                None => {
                    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
                    let first = parts.next().unwrap_or_default();
                    if first.to_ascii_lowercase().ends_with(DIST_INFO) && parts.next().is_some() {
                        return Err(WheelError::Hidden(path.to_owned()));
                    }
                }
            }
        }
        metadata.warnings.append(&mut names.into_warnings());
        Ok(())
    }

    /// The path of a file in the metadata directory.
    pub(crate) fn info_path(&self, file: &str) -> String {
        format!("{}.dist-info/{file}", self.prefix)
    }

    /// The content of a file in the metadata directory, if it is there.
    pub(crate) fn info_file(
        &mut self,
        file: &str,
        max: u64,
    ) -> Result<Option<Vec<u8>>, FeedTypeError> {
        let path = self.info_path(file);
        self.zip
            .find(&path)
            .map(|index| self.zip.read(index, max))
            .transpose()
            .map_err(|error| error.into_feed_type_error(TAG))
    }

    /// As [`Wheel::info_file`], for a file that every wheel has.
    pub(crate) fn required(&mut self, file: &str, max: u64) -> Result<Vec<u8>, FeedTypeError> {
        self.info_file(file, max)?.ok_or_else(|| refused(WheelError::Missing(self.info_path(file))))
    }

    pub(crate) fn inspect(&mut self, limits: &Limits) -> Result<ReadWheel, FeedTypeError> {
        let document = self.required(METADATA, limits.manifest)?;
        charge_headers(&document, limits)?;
        let mut metadata =
            ReadMetadata::parse(&document).map_err(|error| refused(WheelError::Metadata(error)))?;
        if split_name_and_version(&self.prefix, &metadata.name, &metadata.version).is_none() {
            return Err(refused(WheelError::DistInfoName {
                prefix: self.prefix.clone(),
                name: metadata.fields.name,
                version: metadata.fields.version,
            }));
        }
        self.check_paths(&mut metadata).map_err(refused)?;
        check_links(&mut self.zip, None)?;
        let about = self.required(WHEEL, limits.manifest)?;
        charge_headers(&about, limits)?;
        let about = About::parse(&about).map_err(refused)?;
        let record = self.required(RECORD, limits.metadata)?;
        charge_rows(&record, limits)?;
        self.compare_with_record(&record, limits, &mut metadata.warnings)?;
        let mut history = Vec::new();
        if let Some(bytes) = self.info_file(HISTORY, history_limit(limits))? {
            charge_json(&bytes, limits)?;
            history = read_history(&bytes, &mut metadata.warnings);
        }
        Ok(ReadWheel { metadata, document, history, about })
    }

    /// Installers do not look at the record, so that a wrong one is no reason to refuse a wheel
    /// that installs; only repackaging insists.
    fn compare_with_record(
        &self,
        bytes: &[u8],
        limits: &Limits,
        warnings: &mut Vec<String>,
    ) -> Result<(), FeedTypeError> {
        let record = Record::parse(bytes, limits.entries)
            .map_err(|error| refused(WheelError::Record(error)))?;
        let listed: HashSet<&str> = record.rows().iter().map(|row| &*row.path).collect();
        let info = self.info_path("");
        let unlisted = self.files().map(ZipEntry::path).filter(|path| {
            !listed.contains(path)
                && !path.strip_prefix(&info).is_some_and(|file| SIGNATURES.contains(&file))
        });
        warn_of(unlisted, "is not listed in RECORD", warnings);
        let present: HashSet<&str> = self.files().map(ZipEntry::path).collect();
        let absent = listed.iter().copied().filter(|path| !present.contains(path));
        let absent: BTreeSet<&str> = absent.collect();
        warn_of(absent.into_iter(), "is listed in RECORD but is not there", warnings);
        let own_path = self.info_path(RECORD);
        let weak = record.rows().iter().filter(|row| {
            row.path != own_path
                && !row.path.strip_prefix(&info).is_some_and(|file| SIGNATURES.contains(&file))
                && crate::record::Checker::of(row).is_err()
        });
        warn_of(weak.map(|row| &*row.path), "has no sound digest in RECORD", warnings);
        Ok(())
    }

    /// All entries but directories.
    pub(crate) fn files(&self) -> impl Iterator<Item = &ZipEntry> {
        self.zip.entries().iter().filter(|entry| !entry.is_directory())
    }
}

/// All that is called like a metadata directory at the top, in whatever case; pip counts files, too.
fn dist_infos<'z>(zip: &'z Zip<'_>) -> BTreeSet<&'z str> {
    zip.entries()
        .iter()
        .filter_map(|entry| entry.path().split('/').next())
        .filter(|top| top.to_ascii_lowercase().ends_with(DIST_INFO))
        .collect()
}

/// Follows the links of a zip archive, which `unzip` makes and installers do not.
pub(crate) fn check_links(zip: &mut Zip<'_>, top: Option<&[u8]>) -> Result<(), FeedTypeError> {
    let archive = |error: hayloft_archive::ArchiveError| error.into_feed_type_error(TAG);
    let mut links = Links::default();
    for index in 0..zip.entries().len() {
        let Some(entry) = zip.entries().get(index) else { break };
        let path = entry.path().as_bytes().to_vec();
        if entry.is_symbolic_link() {
            let target = zip.read(index, MAX_LINK).map_err(archive)?;
            links.symbolic(&path, &target).map_err(archive)?;
        } else {
            links.member(&path).map_err(archive)?;
        }
    }
    links.check(top).map_err(archive)
}

/// Bytes that a history may have.
pub(crate) fn history_limit(limits: &Limits) -> u64 {
    limits.manifest.min(MAX_HISTORY)
}

/// True if the archive looks like a wheel rather than a source distribution.
pub(crate) fn is_wheel(zip: &Zip<'_>) -> bool {
    !dist_infos(zip).is_empty()
}

fn warn_of<'p>(paths: impl Iterator<Item = &'p str>, fault: &str, warnings: &mut Vec<String>) {
    let mut paths = paths.peekable();
    for _ in 0..NAMED {
        let Some(path) = paths.next() else { return };
        warnings.push(format!("`{}` {fault}", shorten(path)));
    }
    let more = paths.count();
    if more > 0 {
        warnings.push(format!("the same goes for {more} more: each {fault}"));
    }
}

/// The history inside a package; one that cannot be read is left alone.
pub(crate) fn read_history(bytes: &[u8], warnings: &mut Vec<String>) -> Vec<HistoryEntry> {
    let history =
        std::str::from_utf8(bytes).ok().and_then(|text| HistoryEntry::parse_list(text).ok());
    history.unwrap_or_else(|| {
        warnings.push(format!("`{HISTORY}` is not a repackaging history"));
        Vec::new()
    })
}

impl About {
    fn parse(bytes: &[u8]) -> Result<Self, WheelError> {
        let headers = Headers::parse(bytes).map_err(WheelError::About)?;
        if headers.broken_off() {
            return Err(WheelError::AmbiguousAbout("a line is neither a header nor empty"));
        }
        for (name, fault) in [
            ("Wheel-Version", "`Wheel-Version` stands in it twice"),
            ("Root-Is-Purelib", "`Root-Is-Purelib` stands in it twice"),
            ("Build", "`Build` stands in it twice"),
        ] {
            if headers.named(name).count() > 1 {
                return Err(WheelError::AmbiguousAbout(fault));
            }
        }
        let values = |name: &'static str| {
            headers
                .named(name)
                .map(|header| String::from_utf8_lossy(headers.raw(header)).trim().to_owned())
        };
        let Some(version) = values("Wheel-Version").next() else {
            return Err(WheelError::WheelVersion(String::new()));
        };
        if version.split('.').next() != Some("1") {
            return Err(WheelError::WheelVersion(version));
        }
        Ok(Self { build: values("Build").next(), tags: values("Tag").collect() })
    }

    /// Says where `WHEEL` and the file name differ.
    pub(crate) fn compare(&self, name: &WheelName, warnings: &mut Vec<String>) {
        let stated: BTreeSet<&str> = self.tags.iter().map(String::as_str).collect();
        if !name.has_tags(&stated) {
            warnings.push("the tags in WHEEL are not those in the file name".to_owned());
        }
        if self.build != name.build {
            warnings.push("the build tag in WHEEL is not the one in the file name".to_owned());
        }
    }

    /// The name that a wheel with this content has; `None` if its tags do not make one.
    pub(crate) fn file_name(&self, metadata: &ReadMetadata) -> Option<String> {
        let mut sets: [Vec<&str>; 3] = Default::default();
        for tag in &self.tags {
            let mut parts = tag.split('-');
            for set in &mut sets {
                let part = parts.next()?;
                if !set.contains(&part) {
                    set.push(part);
                }
            }
            if parts.next().is_some() || sets.iter().any(|set| set.len() > 64) {
                return None;
            }
        }
        let [python, abi, platform] = sets.map(|set| set.join("."));
        let distribution = metadata.name.normalized().replace('-', "_");
        let build = self.build.as_ref().map(|build| format!("-{build}")).unwrap_or_default();
        let version = &metadata.version;
        let name = format!("{distribution}-{version}{build}-{python}-{abi}-{platform}.whl");
        let stated: BTreeSet<&str> = self.tags.iter().map(String::as_str).collect();
        match name.parse() {
            Ok(FileName::Wheel(wheel)) if wheel.has_tags(&stated) => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn about(text: &str) -> About {
        About::parse(text.as_bytes()).unwrap()
    }

    #[rstest]
    #[case::two_pythons(
        "Tag: py2-none-any\nTag: py3-none-any\n",
        Some("a_b-1.0-py2.py3-none-any.whl")
    )]
    #[case::build("Build: 7\nTag: cp39-cp39-win32\n", Some("a_b-1.0-7-cp39-cp39-win32.whl"))]
    #[case::not_a_product("Tag: py2-none-any\nTag: py3-abi3-any\n", None)]
    #[case::no_tag("", None)]
    #[case::malformed("Tag: py3-none\n", None)]
    #[case::four_parts("Tag: py3-none-any-x\n", None)]
    fn a_file_name_is_made_of_the_content(#[case] headers: &str, #[case] expected: Option<&str>) {
        let metadata =
            ReadMetadata::parse(b"Metadata-Version: 2.1\nName: A.B\nVersion: v1.0\n").unwrap();
        let about = about(&format!("Wheel-Version: 1.0\n{headers}"));
        assert_eq!(about.file_name(&metadata).as_deref(), expected);
    }

    #[rstest]
    #[case::one("Wheel-Version: 1.0\n", true)]
    #[case::later_minor("Wheel-Version: 1.9\n", true)]
    #[case::two("Wheel-Version: 2.0\n", false)]
    #[case::missing("Tag: py3-none-any\n", false)]
    fn wheel_versions_are_checked(#[case] text: &str, #[case] accepted: bool) {
        assert_eq!(About::parse(text.as_bytes()).is_ok(), accepted);
    }

    #[test]
    fn long_lists_of_faults_are_summed_up() {
        let mut warnings = Vec::new();
        warn_of(["a", "b", "c", "d", "e"].into_iter(), "is wrong", &mut warnings);
        assert_eq!(warnings.len(), 4);
        assert_eq!(warnings[3], "the same goes for 2 more: each is wrong");
    }
}
