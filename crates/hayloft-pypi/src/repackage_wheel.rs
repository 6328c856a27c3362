use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;

use hayloft_archive::{Comments, ZipEdit, ZipOutput};
use hayloft_feed::{FeedTypeError, Limits, ReadSeek, Repackaged, WriteSeek, json};

use crate::cost::{charge_headers, charge_json, charge_rows};
use crate::metadata::{ReadMetadata, with_version};
use crate::name::normalize;
use crate::record::{Checker, Record, RecordError, Row, RowEdit, Sum};
use crate::repackage::{RepackageError, Target, extended_history};
use crate::wheel::{HISTORY, METADATA, RECORD, SIGNATURES, Wheel, WheelError};
use crate::{PypiVersion, TAG, refused};

/// Repeats name and version in wheels of 2013 to 2018.
const OLD_METADATA: &str = "metadata.json";

/// Largest of them that is changed, in bytes; installers do not read it.
const MAX_OLD_METADATA: usize = 1 << 20;

/// Largest script that is searched for a requirement, in bytes; larger ones are programs.
const MAX_SCRIPT: u64 = 1 << 20;

/// Writes a wheel under another version: the metadata and data directories are renamed, the
/// version in the metadata is replaced, the record follows. Compressed bytes of all other members
/// are copied. Costs one read of all members to hold them against the record, and one copy.
pub(crate) fn repackage(
    source: &mut dyn ReadSeek,
    target: &Target<'_>,
    limits: &Limits,
    out: &mut dyn WriteSeek,
) -> Result<Repackaged, FeedTypeError> {
    let mut wheel = Wheel::open(source, limits)?;
    let new_prefix = target.renamed(&wheel.prefix)?;
    let record_bytes = wheel.required(RECORD, limits.metadata)?;
    charge_rows(&record_bytes, limits)?;
    let record = Record::parse(&record_bytes, limits.entries).map_err(RepackageError::Record)?;
    verify(&mut wheel, &record, target, limits)?;

    let metadata_bytes = wheel.required(METADATA, limits.manifest)?;
    charge_headers(&metadata_bytes, limits)?;
    let metadata = ReadMetadata::parse(&metadata_bytes)
        .map_err(|error| refused(WheelError::Metadata(error)))?;
    let mut contents = Contents { changed: BTreeMap::new(), removed: Vec::new() };
    let path = wheel.info_path(METADATA);
    let changed = with_version(&metadata_bytes, &target.old, &target.new)
        .map_err(|source| RepackageError::Metadata { path: path.clone(), source })?;
    contents.changed.insert(path, changed);
    if let Some(bytes) =
        wheel.info_file(OLD_METADATA, limits.manifest)?.filter(|old| old.len() <= MAX_OLD_METADATA)
        && charge_json(&bytes, limits).is_ok()
        && let Some(changed) = with_version_in_json(&bytes, target)
    {
        contents.changed.insert(wheel.info_path(OLD_METADATA), changed);
    }
    for file in SIGNATURES {
        let path = wheel.info_path(file);
        if wheel.zip.find(&path).is_some() {
            contents.removed.push(path);
        }
    }
    let entry = if contents.removed.is_empty() {
        target.entry.clone()
    } else {
        target.entry.with_signature_removed()
    };
    let history_path = wheel.info_path(HISTORY);
    let existing = wheel.info_file(HISTORY, limits.manifest)?;
    if let Some(existing) = &existing {
        charge_json(existing, limits)?;
    }
    let history = extended_history(&history_path, existing.as_deref(), &entry)?;
    let names = Names { old: wheel.prefix.clone(), new: new_prefix };
    let new_history =
        existing.is_none().then(|| (names.renamed_or_same(&history_path), history.clone()));
    if existing.is_some() {
        contents.changed.insert(history_path, history);
    }
    let record_path = wheel.info_path(RECORD);
    let record = contents.record(&record, &names, new_history.as_ref(), &record_path);
    contents.changed.insert(record_path, record.into_bytes());
    let edits = contents.edits(&wheel, &names, new_history);
    let output = ZipOutput { comments: Comments::Dropped, ..ZipOutput::default() };
    wheel.zip.rewrite_with(&edits, output, out).map_err(RepackageError::Archive)?;

    let mut done = Repackaged::plain();
    done.signatures_removed = contents.removed;
    done.sibling_pins = metadata.fields.exact_pins(&target.old);
    Ok(done)
}

/// Old and new name of the directories that carry the version.
struct Names {
    old: String,
    new: String,
}

impl Names {
    /// The path of a member in one of the two directories; `None` for all others.
    fn renamed(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&self.old)?;
        [".dist-info/", ".data/"]
            .iter()
            .any(|directory| rest.starts_with(directory))
            .then(|| format!("{}{rest}", self.new))
    }

    fn renamed_or_same(&self, path: &str) -> String {
        self.renamed(path).unwrap_or_else(|| path.to_owned())
    }
}

/// What becomes of members, by old path.
struct Contents {
    changed: BTreeMap<String, Vec<u8>>,
    removed: Vec<String>,
}

impl Contents {
    fn record(
        &self,
        record: &Record<'_>,
        names: &Names,
        new_history: Option<&(String, Vec<u8>)>,
        record_path: &str,
    ) -> String {
        let mut edits = BTreeMap::new();
        for Row { path, .. } in record.rows() {
            let new_path = names.renamed(path);
            let edit = if self.removed.iter().any(|removed| *removed == **path) {
                RowEdit::Remove
            } else if let Some(bytes) = self.changed.get(&**path) {
                let new_path = new_path.unwrap_or_else(|| path.clone().into_owned());
                RowEdit::Replace(new_path, Sum::of(bytes))
            } else if let Some(new_path) = new_path {
                RowEdit::Rename(new_path)
            } else {
                continue;
            };
            edits.insert(path.clone().into_owned(), edit);
        }
        let added = new_history.map(|(path, bytes)| (path.as_str(), Sum::of(bytes)));
        record.edited(&edits, added.as_ref().map(|(path, sum)| (*path, sum)), record_path)
    }

    fn edits(
        &self,
        wheel: &Wheel<'_>,
        names: &Names,
        new_history: Option<(String, Vec<u8>)>,
    ) -> Vec<ZipEdit> {
        let mut edits = Vec::new();
        for entry in wheel.zip.entries() {
            let index = entry.index();
            let path = entry.path().to_owned();
            let name = names.renamed(&path);
            let bytes = self.changed.get(&path).cloned();
            edits.push(match (name, bytes) {
                _ if self.removed.contains(&path) => ZipEdit::Remove { index },
                (Some(name), Some(bytes)) => ZipEdit::ReplaceAndRename { index, name, bytes },
                (Some(name), None) => ZipEdit::Rename { index, name },
                (None, Some(bytes)) => ZipEdit::Replace { index, bytes },
                (None, None) => continue,
            });
        }
        edits.extend(new_history.map(|(name, bytes)| ZipEdit::Append { name, bytes }));
        edits
    }
}

/// Holds every member against the record: nobody else does, so that repackaging would vouch for
/// damage.
fn verify(
    wheel: &mut Wheel<'_>,
    record: &Record<'_>,
    target: &Target<'_>,
    limits: &Limits,
) -> Result<(), FeedTypeError> {
    let own = wheel.info_path(RECORD);
    let signatures = SIGNATURES.map(|file| wheel.info_path(file));
    let scripts = format!("{}.data/scripts/", wheel.prefix);
    let files: Vec<(usize, String, u64)> =
        wheel.files().map(|entry| (entry.index(), entry.path().to_owned(), entry.size())).collect();
    let present: HashSet<&str> = files.iter().map(|(_, path, _)| path.as_str()).collect();
    let rows: HashMap<&str, &Row<'_>> = record.rows().iter().map(|row| (&*row.path, row)).collect();
    if let Some(row) = record.rows().iter().find(|row| !present.contains(&*row.path)) {
        return Err(RepackageError::Absent(row.path.clone().into_owned()).into());
    }
    for (index, path, size) in &files {
        if signatures.contains(path) {
            continue;
        }
        let row = rows.get(path.as_str()).ok_or_else(|| RepackageError::Unlisted(path.clone()))?;
        if *path == own {
            if !row.hash.is_empty() || !row.size.is_empty() {
                let error = RecordError::OwnDigest;
                return Err(RepackageError::Record(error).into());
            }
            continue;
        }
        let is_script = path.starts_with(&scripts) && *size <= MAX_SCRIPT;
        let mut sink = Sink {
            checker: Checker::of(row).map_err(RepackageError::Record)?,
            text: is_script.then(Vec::new),
        };
        let stated = row.size().map_err(RepackageError::Record)?;
        let copied = wheel
            .zip
            .copy_to(*index, limits.unpacked, &mut sink)
            .map_err(|error| error.into_feed_type_error(TAG))?;
        if copied != stated || !sink.checker.matches() {
            return Err(RepackageError::Content(path.clone()).into());
        }
        if sink.text.is_some_and(|text| requires_exactly(&text, target)) {
            let version = target.old.to_string();
            return Err(RepackageError::Script { path: path.clone(), version }.into());
        }
    }
    Ok(())
}

struct Sink {
    checker: Checker,
    text: Option<Vec<u8>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(text) = &mut self.text {
            text.extend_from_slice(bytes);
        }
        self.checker.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Old `setuptools` scripts set `__requires__ = 'name==version'`, which fails at run time once the
/// version is another one.
fn requires_exactly(script: &[u8], target: &Target<'_>) -> bool {
    String::from_utf8_lossy(script)
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("__requires__"))
        .filter_map(|rest| rest.split(['\'', '"']).nth(1))
        .filter_map(|requirement| requirement.split_once("=="))
        .any(|(name, version)| {
            normalize(name.trim()) == target.name.normalized()
                && version
                    .trim_start_matches('=')
                    .parse::<PypiVersion>()
                    .is_ok_and(|version| version == target.old)
        })
}

/// The file with the new version; `None` if it does not state the old one.
fn with_version_in_json(bytes: &[u8], target: &Target<'_>) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let object = json::Object::parse(text).ok()?;
    let stated: PypiVersion = object.string("version").ok()??.parse().ok()?;
    (stated == target.old)
        .then(|| object.with_string("version", &target.new.to_string()).ok())?
        .map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use hayloft_feed::HistoryEntry;
    use rstest::rstest;

    use super::*;

    fn with_target<T>(act: impl FnOnce(&Target<'_>) -> T) -> T {
        act(&Target {
            name: "a.b".parse().unwrap(),
            old: "1.0".parse().unwrap(),
            new: "2.0".parse().unwrap(),
            entry: &HistoryEntry::of("a-b:1.0"),
        })
    }

    #[rstest]
    #[case::old_setuptools("#!python\n# EASY-INSTALL\n__requires__ = 'A_b==1.0.0'\n", true)]
    #[case::double_quotes("__requires__=\"a-b==1\"\n", true)]
    #[case::other_version("__requires__ = 'a-b==1.1'\n", false)]
    #[case::other_package("__requires__ = 'c==1.0'\n", false)]
    #[case::range("__requires__ = 'a-b>=1.0'\n", false)]
    #[case::unclosed("__requires__ = \n", false)]
    fn scripts_that_pin_the_version_are_known(#[case] script: &str, #[case] pins: bool) {
        assert_eq!(with_target(|target| requires_exactly(script.as_bytes(), target)), pins);
    }

    #[rstest]
    #[case::states_it(r#"{"name":"a","version": "1.0"}"#, Some(r#"{"name":"a","version": "2.0"}"#))]
    #[case::other(r#"{"version":"1.1"}"#, None)]
    #[case::not_an_object("[]", None)]
    #[case::number(r#"{"version":1.0}"#, None)]
    fn the_old_metadata_follows(#[case] text: &str, #[case] changed: Option<&str>) {
        let found = with_target(|target| with_version_in_json(text.as_bytes(), target));
        assert_eq!(found.as_deref(), changed.map(str::as_bytes));
    }

    #[rstest]
    #[case::metadata("a-1.dist-info/METADATA", Some("a-2.dist-info/METADATA"))]
    #[case::directory("a-1.data/", Some("a-2.data/"))]
    #[case::longer_version("a-1.1.dist-info/METADATA", None)]
    #[case::deeper("x/a-1.dist-info/METADATA", None)]
    #[case::file("a-1.dist-info", None)]
    fn only_two_directories_are_renamed(#[case] path: &str, #[case] expected: Option<&str>) {
        let names = Names { old: "a-1".to_owned(), new: "a-2".to_owned() };
        assert_eq!(names.renamed(path).as_deref(), expected);
    }
}
