//! A virtual package is put together when it is downloaded, out of packages of the same feed.

use std::collections::HashSet;
use std::io::Write;

use data_encoding::HEXLOWER;
use hayloft_archive::{ArchiveError, ZipMerge};
use hayloft_feed::native::{Assemble, FeedView, ViewError, Want};
use hayloft_feed::{FeedTypeError, FileCard, FileId, Fragment, PathFault, ReadSeek, Version};

use super::contents::limits;
use super::lists::is_virtual;
use crate::contents::{VirtualItem, VirtualKind, VirtualSource};
use crate::inspect::blamed;
use crate::package::{Container, Package, PackageEntry};
use crate::{Identification, MANIFEST, Manifest, TAG, refused};

/// Packages that one can be put together from.
const MOST_PARTS: usize = 100;

/// How a virtual package is put together.
#[derive(Debug)]
pub(super) struct Plan {
    manifest: String,
    steps: Vec<Step>,
    /// Without repetition.
    files: Vec<FileId>,
    /// What the result depends on.
    pub(super) digests: Vec<String>,
}

/// One item: where its files come from and go to.
#[derive(Debug)]
struct Step {
    /// Which of the files.
    file: usize,
    /// Path in it.
    from: String,
    /// Path in the result; `/` between the parts.
    to: String,
    kind: VirtualKind,
}

impl Plan {
    /// Looks up the parts of a manifest; in words why that cannot be done.
    pub(super) fn of(view: &dyn FeedView, text: &str) -> Result<Result<Self, String>, ViewError> {
        let manifest = match Manifest::parse(text.as_bytes(), &limits()) {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let (Some(parts), Ok(text)) = (manifest.virtual_parts(), manifest.assembled_text()) else {
            return Ok(Err("the package is not virtual".to_owned()));
        };
        let mut plan =
            Self { manifest: text, steps: Vec::new(), files: Vec::new(), digests: Vec::new() };
        let contents = parts.contents.iter().map(|item| ("package/", item));
        let beside = parts.meta_contents.iter().map(|item| ("", item));
        for (root, item) in contents.chain(beside) {
            if let Err(why) = plan.add(view, root, item)? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(plan))
    }

    fn add(
        &mut self,
        view: &dyn FeedView,
        root: &str,
        item: &VirtualItem,
    ) -> Result<Result<(), String>, ViewError> {
        let VirtualSource::Package { id, path } = &item.source else {
            let text = "only packages of the same feed are put together here";
            return Ok(Err(text.to_owned()));
        };
        let Some((file, manifest)) = find(view, id)? else {
            return Ok(Err(format!("its part {id} is not in the feed")));
        };
        if is_virtual(&manifest) {
            return Ok(Err(format!("its part {id} is virtual itself")));
        }
        let sha1 = HEXLOWER.encode(&file.digests.sha1);
        if id.sha1.as_ref().is_some_and(|stated| stated.to_string() != sha1) {
            return Ok(Err(format!("its part {id} has another hash")));
        }
        let at = match self.files.iter().position(|known| *known == file.id) {
            Some(at) => at,
            None if self.files.len() == MOST_PARTS => {
                return Ok(Err(format!("it has more than {MOST_PARTS} parts")));
            }
            None => {
                self.files.push(file.id);
                self.digests.push(HEXLOWER.encode(&file.digests.sha256));
                self.files.len() - 1
            }
        };
        let from = path.replace('\\', "/").trim_matches('/').to_owned();
        let to = format!("{root}{}", item.path);
        self.steps.push(Step { file: at, from, to, kind: item.kind });
        Ok(Ok(()))
    }

    /// The order to carry it out.
    pub(super) fn into_order(self) -> Assemble {
        let Self { manifest, steps, files, .. } = self;
        let assemble = move |files: &mut [&mut dyn ReadSeek], out: &mut dyn Write| {
            let mut result = Assembled::new(&manifest, out)?;
            for step in &steps {
                let file = files.get_mut(step.file).ok_or_else(|| refused("a part is missing"))?;
                result.take(step, *file)?;
            }
            result.archive.finish().map_err(of_archive)
        };
        Assemble { files, assemble: Box::new(assemble) }
    }
}

/// The one file of a package of the feed, and its manifest.
fn find(view: &dyn FeedView, id: &Identification) -> Result<Option<(FileCard, String)>, ViewError> {
    let Ok(name) = id.package.package_name() else { return Ok(None) };
    let version = id.version.version();
    file_and_manifest(view, name.key(), &version)
}

pub(super) fn file_and_manifest(
    view: &dyn FeedView,
    name: &hayloft_feed::NameKey,
    version: &Version,
) -> Result<Option<(FileCard, String)>, ViewError> {
    let mut found = None;
    let want = Want::fragments(&[Fragment::MANIFEST]).files();
    view.version(name, version, &want, &mut |entry| {
        let manifest = entry.fragment(Fragment::MANIFEST).unwrap_or_default();
        let manifest = String::from_utf8_lossy(manifest).into_owned();
        found = entry.files.first().map(|file| (file.clone(), manifest));
    })?;
    Ok(found)
}

/// The package being put together. A file that is there already is kept.
struct Assembled<'o> {
    archive: ZipMerge<'o>,
    taken: HashSet<String>,
}

impl<'o> Assembled<'o> {
    fn new(manifest: &str, out: &'o mut dyn Write) -> Result<Self, FeedTypeError> {
        let mut archive = ZipMerge::new(out);
        archive.add(MANIFEST, manifest.as_bytes()).map_err(of_archive)?;
        Ok(Self { archive, taken: HashSet::from([MANIFEST.to_owned()]) })
    }

    fn take(&mut self, step: &Step, file: &mut dyn ReadSeek) -> Result<(), FeedTypeError> {
        let mut package = Package::open(file, &limits()).map_err(blamed)?;
        let entries: Vec<(usize, String)> = match step.kind {
            VirtualKind::File => {
                let found = package.find(&step.from).map(PackageEntry::index);
                let index = found.ok_or_else(|| refused("a part lacks a file"))?;
                vec![(index, step.to.clone())]
            }
            VirtualKind::Directory => package
                .entries()
                .filter_map(|entry| {
                    Some((entry.index(), joined(&step.to, below(entry.path(), &step.from)?)))
                })
                .collect(),
        };
        let Container::Archive { zip, .. } = package.container() else {
            return Err(refused("a part holds no files"));
        };
        for (index, to) in entries {
            if PathFault::of(to.as_bytes()).is_some() {
                return Err(refused("a part leads outside"));
            }
            if self.taken.insert(to.to_ascii_lowercase()) {
                self.archive.copy(zip, index, &to).map_err(of_archive)?;
            }
        }
        Ok(())
    }
}

fn of_archive(error: ArchiveError) -> FeedTypeError {
    error.into_feed_type_error(TAG)
}

/// What of a path lies below a folder, found in any case; all of it below the root.
fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() {
        return Some(path);
    }
    let (start, rest) = path.split_at_checked(folder.len())?;
    let rest = rest.strip_prefix('/')?;
    (start.eq_ignore_ascii_case(folder) && !rest.is_empty()).then_some(rest)
}

fn joined(folder: &str, rest: &str) -> String {
    if folder.is_empty() {
        rest.to_owned()
    } else {
        format!("{}/{rest}", folder.trim_end_matches('/'))
    }
}
