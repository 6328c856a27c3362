use crate::plan::Plan;
use crate::records::FileValue;
use crate::resolve::{FeedHandle, PackageHandle, VersionHandle, qualifiers};
use crate::space::Room;
use crate::versions::{Left, remove_damaged_version, remove_files};
use crate::{Action, Actor, FileId, SelectError, Selector, Store, StoreError, TooLong, Wanted};

use super::audit::{Entry, some_of};

/// Bytes that a delete writes, roughly.
const WEIGHT: usize = 16 << 10;

/// What a delete removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Package, version and qualifiers as they were spelled.
    pub package: String,
    /// Files removed, companions included.
    pub files: usize,
    /// What is gone with them.
    pub extent: Extent,
}

/// How far a delete went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Other files of the version remain.
    File,
    /// The version is gone; the package has others.
    Version,
    /// It was the last version of the package.
    Package,
}

/// Nothing was deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// It was not found, or several files fit.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Deletes the one file that the selector names. With the last package file its version goes,
    /// companions included. An exact version whose rows are damaged goes as a whole if the selector
    /// names nothing but it.
    pub fn delete_file(
        &self,
        feed: &str,
        selector: &Selector,
        actor: &Actor,
    ) -> Result<Deleted, DeleteError> {
        self.delete(feed, selector, actor, Doomed::File)
    }

    /// Deletes a version with all its files; the selector's qualifiers and role do not count. An
    /// exact version can be deleted also if its rows are damaged.
    pub fn delete_version(
        &self,
        feed: &str,
        selector: &Selector,
        actor: &Actor,
    ) -> Result<Deleted, DeleteError> {
        self.delete(feed, selector, actor, Doomed::Version)
    }

    fn delete(
        &self,
        feed: &str,
        selector: &Selector,
        actor: &Actor,
        doomed: Doomed,
    ) -> Result<Deleted, DeleteError> {
        actor.check()?;
        let types = self.types().clone();
        let (feed, selector, actor) = (feed.to_owned(), selector.clone(), actor.clone());
        let hints = self.inner.hints(&feed, |feed| feed.wants(&selector));
        let run = move |plan: &mut Plan| {
            let handle = FeedHandle::find(plan, &types, &feed).map_err(SelectError::from)?;
            let version = match handle.select_version(plan, &selector) {
                Err(SelectError::Store(StoreError::Damaged { .. }))
                    if doomed == Doomed::Version || selector.qualifiers.is_empty() =>
                {
                    return delete_damaged(plan, &handle, &selector, &actor);
                }
                version => version?,
            };
            let files = match doomed {
                Doomed::File => vec![handle.select_file(&version.record, &selector)?],
                Doomed::Version => version.all_files(),
            };
            delete(plan, &handle, version, &files, &actor)
        };
        let (deleted, gone) =
            self.inner.writer.change_expecting(Room::Freed, WEIGHT, hints, run)?;
        self.inner.context.downloads.forget(&gone);
        Ok(deleted)
    }
}

/// How much is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doomed {
    File,
    Version,
}

/// Deletes a version whose rows cannot all be read.
fn delete_damaged(
    plan: &mut Plan,
    handle: &FeedHandle,
    selector: &Selector,
    actor: &Actor,
) -> Result<(Deleted, Vec<FileId>), DeleteError> {
    let Some((package, key)) = handle.place_of(plan, selector)? else {
        return Err(handle.not_found(selector).into());
    };
    let Wanted::Exact(text) = &selector.version else {
        return Err(handle.not_found(selector).into());
    };
    let shown = format!("{} {text}", package.spelled());
    let left = delete_damaged_row(plan, handle, package, &key, text, actor)?;
    let extent = if left == Left::Nothing { Extent::Package } else { Extent::Version };
    Ok((Deleted { package: shown, files: 0, extent }, Vec::new()))
}

/// Deletes a version whose row cannot be read; `text` is empty if even that is not known.
pub(super) fn delete_damaged_row(
    plan: &mut Plan,
    handle: &FeedHandle,
    package: PackageHandle,
    key: &[u8],
    text: &str,
    actor: &Actor,
) -> Result<Left, DeleteError> {
    let entry = Entry {
        group: package.record.group.clone(),
        name: package.record.name.clone(),
        version: text.to_owned(),
        details: Some(serde_json::json!({ "damaged": true })),
        ..Entry::of_feed(Action::Delete, &handle.record.name)
    };
    let left = remove_damaged_version(plan, handle, package, key, text)?;
    entry.write(plan, actor)?;
    Ok(left)
}

pub(super) fn delete(
    plan: &mut Plan,
    handle: &FeedHandle,
    version: VersionHandle,
    doomed: &[usize],
    actor: &Actor,
) -> Result<(Deleted, Vec<FileId>), DeleteError> {
    let mut package = version.spelled();
    let mut entry = Entry::of_version(Action::Delete, &handle.record.name, &version);
    if let [only] = doomed
        && let Some(file) = version.record.files.get(*only)
    {
        let qualifiers = qualifiers(file)?;
        if !qualifiers.is_empty() {
            package = format!("{package} {qualifiers}");
        }
        entry.old_sha256 = Some(file.digests.sha256);
    }
    let names = doomed.iter().filter_map(|at| version.record.files.get(*at));
    entry.details = Some(serde_json::json!({
        "files": some_of(names.map(|file| file.file_name.as_str())),
    }));
    let (of, number) = (version.record.package, version.record.version);
    let id = |file: &FileValue| FileId::new(of, number, file.number);
    let mut gone: Vec<FileId> = version.record.files.iter().map(id).collect();
    let (left, files) = remove_files(plan, handle, version, doomed)?;
    entry.write(plan, actor)?;
    let extent = match left {
        Left::Files => {
            let mut at = 0..;
            gone.retain(|_| at.next().is_some_and(|at| doomed.contains(&at)));
            Extent::File
        }
        Left::Versions => Extent::Version,
        Left::Nothing => Extent::Package,
    };
    Ok((Deleted { package, files, extent }, gone))
}
