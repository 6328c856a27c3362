use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fs_err as fs;
use hayloft_core::{
    Actor, Deprecation, DeprecationChange, SelectError, Selector, Staged, StagingError,
    StatusChange, StatusError, Store, StoreError, Stored, TagError, UploadError, UploadRequest,
};
use hayloft_feed::{FeedType, Upload};

use super::find::{Found, Item};
use super::packument::Statements;
use super::{Fate, ImportError, ImportOptions, ImportReport};

const CHUNK: usize = 256 << 10;
/// How often a store that is busy is asked again.
const ATTEMPTS: u32 = 60;

pub(super) struct Work<'a> {
    pub(super) store: &'a Store,
    pub(super) feed: &'a str,
    pub(super) feed_type: &'a dyn FeedType,
    pub(super) options: &'a ImportOptions,
    pub(super) actor: &'a Actor,
    pub(super) observe: &'a (dyn Fn(&Path, Fate<'_>) + Sync),
}

#[derive(Default)]
struct Counts {
    stored: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    tags: AtomicU64,
    deprecated: AtomicU64,
}

impl Counts {
    fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a file is not stored.
enum Unstored {
    /// It is none that the feed takes.
    Refused(String),
    /// It belongs to a version that is not there yet.
    TooEarly(String),
    /// Nothing can be stored any more.
    Failed(StoreError),
}

impl Work<'_> {
    pub(super) fn run(&self, found: Found) -> Result<ImportReport, ImportError> {
        let counts = Counts::default();
        counts.refused.store(found.refused, Ordering::Relaxed);
        let early = self.items(found.items, &counts, true)?;
        // Companions come before what they belong to where names say so.
        self.items(early, &counts, false)?;
        if !self.options.dry_run {
            for (path, statements) in &found.statements {
                self.state(path, statements, &counts)?;
            }
        }
        let read = |counter: AtomicU64| counter.into_inner();
        Ok(ImportReport {
            stored: read(counts.stored),
            unchanged: read(counts.unchanged),
            refused: read(counts.refused),
            ignored: found.ignored,
            bytes: read(counts.bytes),
            tags: read(counts.tags),
            deprecated: read(counts.deprecated),
        })
    }

    fn workers(&self) -> usize {
        match self.options.workers {
            // They wait for the disk and share commits: more than there are cores.
            0 => thread::available_parallelism().map_or(4, usize::from).clamp(2, 8) * 2,
            some => some.min(64),
        }
    }

    /// Stores files; gives those that came too early.
    fn items(
        &self,
        items: Vec<Item>,
        counts: &Counts,
        may_wait: bool,
    ) -> Result<Vec<Item>, ImportError> {
        let queue = Mutex::new(items.into_iter());
        let early = Mutex::new(Vec::new());
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..self.workers() {
                scope.spawn(|| {
                    loop {
                        let next = lock(&queue).next();
                        let Some(item) = next.filter(|_| lock(&failure).is_none()) else { return };
                        match self.item(&item, counts) {
                            Ok(Stored::Unchanged) => {
                                Counts::one(&counts.unchanged);
                                (self.observe)(&item.path, Fate::Unchanged);
                            }
                            Ok(_) => {
                                Counts::one(&counts.stored);
                                (self.observe)(&item.path, Fate::Stored);
                            }
                            Err(Unstored::TooEarly(_)) if may_wait => lock(&early).push(item),
                            Err(Unstored::TooEarly(reason) | Unstored::Refused(reason)) => {
                                Counts::one(&counts.refused);
                                (self.observe)(&item.path, Fate::Refused(&reason));
                            }
                            Err(Unstored::Failed(error)) => *lock(&failure) = Some(error),
                        }
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.into());
        }
        let mut early = early.into_inner().unwrap_or_else(PoisonError::into_inner);
        early.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(early)
    }

    fn item(&self, item: &Item, counts: &Counts) -> Result<Stored, Unstored> {
        let staged = self.stage(&item.path, counts)?;
        let name = item.path.file_name().map(|name| name.to_string_lossy().into_owned());
        if self.options.dry_run {
            return self.judge(&staged, name.as_deref(), &item.hints);
        }
        let request = UploadRequest {
            file_name: name,
            hints: item.hints.clone(),
            overwrite: self.options.overwrite,
            ..UploadRequest::default()
        };
        let mut staged = staged;
        for attempt in 0.. {
            match self.store.upload_staged(self.feed, &request, staged, self.actor) {
                Ok(uploaded) => return Ok(uploaded.stored),
                Err(UploadError::Store(StoreError::Busy)) if attempt < ATTEMPTS => {
                    thread::sleep(Duration::from_millis(250));
                    staged = self.stage(&item.path, &Counts::default())?;
                }
                Err(error) => return Err(unstored(error)),
            }
        }
        Err(Unstored::Failed(StoreError::Busy))
    }

    fn stage(&self, path: &Path, counts: &Counts) -> Result<Staged, Unstored> {
        let unread = |error: io::Error| Unstored::Refused(error.to_string());
        let mut file = fs::File::open(path).map_err(unread)?;
        let mut staging = self.store.stage(None).map_err(Unstored::Failed)?;
        let mut buffer = vec![0; CHUNK];
        let refused = |error| unstored(UploadError::from(error));
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(error)),
            };
            counts.bytes.fetch_add(read as u64, Ordering::Relaxed);
            let written = staging.write_all(buffer.get(..read).unwrap_or_default());
            written.map_err(|error| match error.downcast::<StagingError>() {
                Ok(error) => refused(error),
                Err(error) => Unstored::Refused(error.to_string()),
            })?;
        }
        staging.finish().map_err(refused)
    }

    /// What would become of a file.
    fn judge(
        &self,
        staged: &Staged,
        name: Option<&str>,
        hints: &BTreeMap<String, String>,
    ) -> Result<Stored, Unstored> {
        let mut content = staged.read().map_err(Unstored::Failed)?;
        let upload = Upload::new(content.as_mut(), staged.size(), staged.digests())
            .with_file_name(name)
            .with_hints(hints);
        let inspected = self.feed_type.inspect(upload, &self.store.options().limits);
        let inspected = inspected.map_err(|error| Unstored::Refused(told(&error)))?;
        let identity = inspected.identity;
        let selector = Selector {
            role: inspected.role,
            ..Selector::grouped(
                identity.package.group(),
                identity.package.name(),
                identity.version.text(),
            )
            .with_qualifiers(identity.qualifiers)
        };
        match self.store.file(self.feed, &selector) {
            Ok(file) if file.digests == *staged.digests() => Ok(Stored::Unchanged),
            Ok(_) if self.options.overwrite == hayloft_core::Overwrite::Refuse => {
                let text = "it is there with other bytes and would not be overwritten";
                Err(Unstored::Refused(text.to_owned()))
            }
            Ok(_) => Ok(Stored::Replaced),
            Err(SelectError::Store(error)) => Err(Unstored::Failed(error)),
            Err(_) => Ok(Stored::Created),
        }
    }

    /// Does as a document says. Versions that are not there are not spoken of.
    fn state(
        &self,
        path: &Path,
        statements: &Statements,
        counts: &Counts,
    ) -> Result<(), ImportError> {
        let refuse = |error: &(dyn Error + 'static)| {
            Counts::one(&counts.refused);
            (self.observe)(path, Fate::Refused(&told(error)));
        };
        let select =
            |version: &str| Selector::grouped(&statements.group, &statements.name, version);
        for (tag, version) in &statements.tags {
            match self.store.set_tag(self.feed, tag, &select(version), self.actor) {
                Ok(_) => Counts::one(&counts.tags),
                Err(TagError::Store(error) | TagError::Select(SelectError::Store(error))) => {
                    return Err(error.into());
                }
                Err(TagError::Select(SelectError::NotFound { .. })) => {}
                Err(error) => refuse(&error),
            }
        }
        for (version, reason) in &statements.deprecated {
            let deprecation = Deprecation { reason: Some(reason.clone()), details: None };
            let change = StatusChange {
                deprecation: Some(DeprecationChange::Set(deprecation)),
                ..StatusChange::default()
            };
            match self.store.set_status(self.feed, &select(version), &change, self.actor) {
                Ok(_) => Counts::one(&counts.deprecated),
                Err(StatusError::Store(error) | StatusError::Select(SelectError::Store(error))) => {
                    return Err(error.into());
                }
                Err(StatusError::Select(SelectError::NotFound { .. })) => {}
                Err(error) => refuse(&error),
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unstored(error: UploadError) -> Unstored {
    match error {
        // Of one file, not of the store.
        UploadError::Store(error @ StoreError::TooLarge { .. }) => Unstored::Refused(told(&error)),
        UploadError::Store(error) => Unstored::Failed(error),
        error @ UploadError::NoVersion { .. } => Unstored::TooEarly(told(&error)),
        error => Unstored::Refused(told(&error)),
    }
}

/// An error with its causes.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
