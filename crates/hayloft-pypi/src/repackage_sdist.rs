use std::collections::{BTreeMap, BTreeSet};

use hayloft_archive::{
    ArchiveError, Comments, Compression, TarAction, TarAppend, TarEntry, TarKind, Zip, ZipEdit,
    ZipOutput, encoder, rewrite_tar,
};
use hayloft_feed::{FeedTypeError, Limits, ReadSeek, Repackaged, WriteSeek};

use crate::cost::{charge_headers, charge_json, charge_toml};
use crate::metadata::{ReadMetadata, with_version};
use crate::repackage::{RepackageError, Target, extended_history};
use crate::sdist::{
    PKG_INFO, Place, Sdist, SdistError, in_egg_info, retargeted_symbolic_link, tar_stream,
    zip_path_with_top,
};
use crate::version_source::{
    BuildFiles, PYPROJECT, Reader, SETUP_CFG, SETUP_PY, VersionSource, VersionSourceError,
};
use crate::wheel::HISTORY;
use crate::{TAG, refused};

/// What newer `setuptools_scm` believes more than `PKG-INFO`.
const SCM_VERSION: &str = "scm_version.json";
/// Lists all files, that one too.
const SOURCES: &str = "SOURCES.txt";
/// Written by `git archive` and `hg archive`; once filled in, believed more than `PKG-INFO`.
const ARCHIVAL: [&str; 2] = [".git_archival.txt", ".hg_archival.txt"];

/// What becomes of the members, by path below the top directory.
struct Plan {
    new_top: String,
    changed: BTreeMap<String, Vec<u8>>,
    removed: BTreeSet<String>,
    /// A history where there was none.
    history: Option<Vec<u8>>,
    sibling_pins: Vec<String>,
}

/// Writes a `.tar.gz` source distribution under another version. Costs two passes.
pub(crate) fn repackage_tar(
    source: &mut dyn ReadSeek,
    target: &Target<'_>,
    limits: &Limits,
    out: &mut dyn WriteSeek,
) -> Result<Repackaged, FeedTypeError> {
    let plan = Plan::of(Sdist::read_tar(source, limits, &is_wanted)?, target, limits)?;
    let written = |error: ArchiveError| FeedTypeError::from(RepackageError::Archive(error));
    let append: Vec<TarAppend> = plan
        .history
        .iter()
        .map(|bytes| TarAppend {
            path: format!("{}/{HISTORY}", plan.new_top).into_bytes(),
            mode: 0o644,
            mtime: 0,
            bytes: bytes.clone(),
        })
        .collect();
    let input = tar_stream(source, limits)?;
    let mut output = encoder(Compression::Gzip, Box::new(out)).map_err(written)?;
    rewrite_tar(input, &mut output, limits, &append, &mut |entry| Ok(plan.action(entry, limits)))
        .map_err(written)?;
    output.finish().map_err(written)?;
    Ok(plan.done())
}

/// Writes a `.zip` source distribution under another version.
pub(crate) fn repackage_zip(
    source: &mut dyn ReadSeek,
    target: &Target<'_>,
    limits: &Limits,
    out: &mut dyn WriteSeek,
) -> Result<Repackaged, FeedTypeError> {
    let mut zip = Zip::open(source, limits).map_err(|error| error.into_feed_type_error(TAG))?;
    let plan = Plan::of(Sdist::read_zip(&mut zip, limits, &is_wanted)?, target, limits)?;
    let mut edits = Vec::new();
    for entry in zip.entries() {
        let index = entry.index();
        let path = entry.path().as_bytes();
        let below = Place::of(path).and_then(|place| place.below(path)).unwrap_or_default();
        let name = zip_path_with_top(entry, &plan.new_top);
        edits.push(match (name, plan.changed.get(&below)) {
            _ if plan.removed.contains(&below) => ZipEdit::Remove { index },
            (Some(name), Some(bytes)) => {
                ZipEdit::ReplaceAndRename { index, name, bytes: bytes.clone() }
            }
            (Some(name), None) => ZipEdit::Rename { index, name },
            (None, _) => continue,
        });
    }
    edits.extend(plan.history.iter().map(|bytes| ZipEdit::Append {
        name: format!("{}/{HISTORY}", plan.new_top),
        bytes: bytes.clone(),
    }));
    let output = ZipOutput { comments: Comments::Dropped, ..ZipOutput::default() };
    zip.rewrite_with(&edits, output, out).map_err(RepackageError::Archive)?;
    Ok(plan.done())
}

fn is_wanted(path: &str) -> bool {
    [PKG_INFO, HISTORY, PYPROJECT, SETUP_CFG, SETUP_PY].contains(&path)
        || ARCHIVAL.contains(&path)
        || [PKG_INFO, SCM_VERSION, SOURCES].iter().any(|file| in_egg_info(path, file))
}

impl Plan {
    fn of(sdist: Sdist, target: &Target<'_>, limits: &Limits) -> Result<Self, FeedTypeError> {
        let new_top = target.renamed(&sdist.top)?;
        if let Some(path) = sdist.duplicate {
            return Err(RepackageError::Duplicate(path).into());
        }
        let files = &sdist.files;
        for (path, bytes) in files {
            match path.as_str() {
                PYPROJECT => charge_toml(bytes, limits)?,
                HISTORY => charge_json(bytes, limits)?,
                // Read as headers or lines, and changed as a whole.
                _ => charge_headers(bytes, limits)?,
            }
        }
        let document = files.get(PKG_INFO).ok_or_else(|| refused(SdistError::NoMetadata))?;
        let metadata =
            ReadMetadata::parse(document).map_err(|error| refused(SdistError::Metadata(error)))?;
        let source = BuildFiles::parse(files)
            .and_then(|build| build.retarget(&target.old, &target.new))
            .map_err(RepackageError::from)?;
        let mut changed = package_infos(files, target)?;
        let mut removed = BTreeSet::new();
        match source {
            VersionSource::Declared { path, bytes } => {
                changed.insert(path.to_owned(), bytes);
            }
            VersionSource::PackageInfo(Reader::Other) => {}
            VersionSource::PackageInfo(Reader::SetuptoolsScm) => {
                let overriding = sdist.repository.clone().or_else(|| archival(files));
                if let Some(path) = overriding {
                    return Err(
                        RepackageError::from(VersionSourceError::Overridden { path }).into()
                    );
                }
                forget_scm_version(files, &mut changed, &mut removed);
            }
        }
        let existing = files.get(HISTORY).map(Vec::as_slice);
        let history = extended_history(HISTORY, existing, target.entry)?;
        let history = if existing.is_none() {
            Some(history)
        } else {
            changed.insert(HISTORY.to_owned(), history);
            None
        };
        let sibling_pins = metadata.fields.exact_pins(&target.old);
        Ok(Self { new_top, changed, removed, history, sibling_pins })
    }

    fn action(&self, entry: &TarEntry, limits: &Limits) -> TarAction<'_> {
        let path = entry.path();
        let Some(place) = Place::of(path) else { return TarAction::Keep };
        let link = match (entry.kind(), entry.link()) {
            (TarKind::HardLink, Some(link)) => {
                Place::of(link).map(|place| place.with_top(link, &self.new_top))
            }
            (TarKind::SymbolicLink, Some(link)) => {
                Some(retargeted_symbolic_link(path, link, &self.new_top))
            }
            _ => None,
        };
        let below = place.below(path).unwrap_or_default();
        let path = Some(place.with_top(path, &self.new_top));
        if self.removed.contains(&below) {
            return TarAction::Remove;
        }
        match self.changed.get(&below) {
            Some(bytes) => TarAction::RenameAndEdit {
                path,
                link,
                max: limits.manifest,
                edit: Box::new(move |_| Ok(bytes.clone())),
            },
            None => TarAction::Rename { path, link },
        }
    }

    fn done(self) -> Repackaged {
        let mut done = Repackaged::plain();
        done.sibling_pins = self.sibling_pins;
        done
    }
}

/// `PKG-INFO` at the top, and those of this project in `*.egg-info`, with the new version.
fn package_infos(
    files: &BTreeMap<String, Vec<u8>>,
    target: &Target<'_>,
) -> Result<BTreeMap<String, Vec<u8>>, RepackageError> {
    let mut changed = BTreeMap::new();
    for (path, bytes) in files {
        let is_top = path == PKG_INFO;
        if !is_top && !in_egg_info(path, PKG_INFO) {
            continue;
        }
        let edited = match ReadMetadata::parse(bytes) {
            Ok(metadata) if metadata.name != target.name && !is_top => continue,
            _ => with_version(bytes, &target.old, &target.new),
        };
        let edited =
            edited.map_err(|source| RepackageError::Metadata { path: path.clone(), source })?;
        changed.insert(path.clone(), edited);
    }
    Ok(changed)
}

/// An archival file that has been filled in.
fn archival(files: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let is_template = |bytes: &[u8]| bytes.windows(7).any(|window| window == b"$Format");
    ARCHIVAL
        .iter()
        .find(|path| files.get(**path).is_some_and(|bytes| !is_template(bytes)))
        .map(|path| (*path).to_owned())
}

/// Leaves out what overrides `PKG-INFO`, and its line in the list of files.
fn forget_scm_version(
    files: &BTreeMap<String, Vec<u8>>,
    changed: &mut BTreeMap<String, Vec<u8>>,
    removed: &mut BTreeSet<String>,
) {
    removed.extend(files.keys().filter(|path| in_egg_info(path, SCM_VERSION)).cloned());
    for (path, bytes) in files {
        if !in_egg_info(path, SOURCES) {
            continue;
        }
        let lines: Vec<&[u8]> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| {
                let listed = String::from_utf8_lossy(line);
                !removed.contains(&listed.trim().replace('\\', "/"))
            })
            .collect();
        let kept = lines.concat();
        if kept != *bytes {
            changed.insert(path.clone(), kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        pairs.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_scm_version_goes_with_its_line() {
        let files = files(&[
            ("src/a.egg-info/scm_version.json", "{}"),
            ("src/a.egg-info/SOURCES.txt", "a.py\r\nsrc/a.egg-info/scm_version.json\r\nb.py\r\n"),
        ]);
        let (mut changed, mut removed) = (BTreeMap::new(), BTreeSet::new());
        forget_scm_version(&files, &mut changed, &mut removed);
        assert!(removed.contains("src/a.egg-info/scm_version.json"));
        assert_eq!(changed["src/a.egg-info/SOURCES.txt"], b"a.py\r\nb.py\r\n");
    }

    #[test]
    fn a_list_without_that_line_keeps_its_bytes() {
        let files = files(&[("a.egg-info/SOURCES.txt", "a.py\n")]);
        let (mut changed, mut removed) = (BTreeMap::new(), BTreeSet::new());
        forget_scm_version(&files, &mut changed, &mut removed);
        assert!(changed.is_empty() && removed.is_empty());
    }

    #[test]
    fn only_filled_in_archival_files_override() {
        let template = files(&[(".git_archival.txt", "node: $Format:%H$\n")]);
        assert_eq!(archival(&template), None);
        let filled = files(&[(".hg_archival.txt", "tag: v1.0\n")]);
        assert_eq!(archival(&filled).as_deref(), Some(".hg_archival.txt"));
    }
}
