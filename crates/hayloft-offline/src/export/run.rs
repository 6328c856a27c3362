use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hayloft_core::{NativeError, NativeView, Store, StoreError};
use hayloft_feed::native::{Answer, Body, FeedView, Native, Request, Resource, ViewError, Want};
use hayloft_feed::{FeedType, FileId, NameKey, PackageHead};
use sha2::{Digest, Sha256};

use super::content::{self, NOWHERE, Source, Written};
use super::cursor;
use super::ledger::{self, Context, FORMAT, FileRecord, Ledger, State};
use super::{ExportError, ExportOptions, ExportReport, Exported};
use crate::{Draft, Target, TargetName};

/// Packages whose files are written before their documents.
const BATCH: usize = 256;
/// Names that are told where they could not be written.
const TOLD: usize = 100;
/// How many changes of the feed a file stays that no document names any more: clients that have
/// read the last document still ask for it.
const RETIRED: u32 = 2;

/// Why a run did not end.
pub(super) enum Interrupted {
    /// The feed changed under it: what it was about to write is gone.
    Changed,
    Failed(Box<ExportError>),
}

impl From<ExportError> for Interrupted {
    fn from(error: ExportError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        ExportError::from(error).into()
    }
}

impl From<NativeError> for Interrupted {
    fn from(error: NativeError) -> Self {
        ExportError::from(error).into()
    }
}

impl From<ViewError> for Interrupted {
    fn from(error: ViewError) -> Self {
        ExportError::from(error).into()
    }
}

pub(super) fn run(
    store: &Store,
    feed: &str,
    target: &dyn Target,
    options: &ExportOptions,
    report: &mut ExportReport,
    progress: &mut dyn FnMut(Exported),
) -> Result<(), Interrupted> {
    let about = store.feed(feed).map_err(ExportError::from)?;
    let state: Option<State> =
        ledger::read(target, &ledger::state_name()).map_err(ExportError::Target)?;
    let was_complete = target.length(&ledger::incomplete_name()).map_err(ExportError::Target)?;
    let was_complete = was_complete.is_none() && state.is_some();
    bring_up_to_date(store, &about.name, options)?;
    // Before the view: what changes in between is looked at again by the next run.
    let cursor = cursor::newest(store)?;
    let native_view = store.native_view(&about.name)?;
    let feed_type = native_view.feed_type().clone();
    let native = protocol(&native_view)?;
    let context = Context {
        store: HEXLOWER.encode(&store.id()),
        timeline: HEXLOWER.encode(&store.timeline()),
        feed: about.id,
        feed_type: about.feed_type.clone(),
        base_url: options.base_url.clone(),
        index_revision: feed_type.index_revision(),
        answer_revision: native.answer_revision(),
    };
    if let Some(state) = &state {
        check(state, &about.name, &context)?;
    }
    let known = state.as_ref().filter(|state| state.context == context && !options.check);
    let view = native_view.view();
    let mut run = Run {
        store,
        target,
        options,
        feed: about.id,
        feed_type: feed_type.as_ref(),
        native,
        view: &view,
        feed_url: options.base_url.as_deref().unwrap_or(NOWHERE),
        trusts_revisions: known.is_some(),
        expected: None,
        doomed: BTreeSet::new(),
        report,
        progress,
    };
    let changed = match known {
        Some(state) if was_complete => cursor::changed_since(store, &about.name, &state.cursor)?,
        _ => None,
    };
    if was_complete && changed.as_ref().is_some_and(BTreeSet::is_empty) && run.root_stands()? {
        return Ok(());
    }
    let marker = "an export to this folder is under way, or did not end; the next one ends it\n";
    run.put_text(&ledger::incomplete_name(), marker)?;
    run.settle()?;
    match changed {
        Some(changed) => run.some(&changed)?,
        None => run.all()?,
    }
    run.settle()?;
    run.root()?;
    run.settle()?;
    run.sweep()?;
    run.settle()?;
    let state = State { format: FORMAT, feed: about.name.clone(), context, cursor };
    ledger::write(target, &ledger::state_name(), &state).map_err(ExportError::Target)?;
    run.settle()?;
    target.remove(&ledger::incomplete_name()).map_err(ExportError::Target)?;
    run.settle()
}

fn protocol(view: &NativeView) -> Result<&dyn Native, ExportError> {
    let tag = || view.feed_type().tag().to_owned();
    view.native().ok_or_else(|| ExportError::NoProtocol { feed_type: tag() })
}

fn check(state: &State, feed: &str, context: &Context) -> Result<(), ExportError> {
    if state.format > FORMAT {
        return Err(ExportError::Newer);
    }
    let same = state.context.store == context.store && state.context.feed == context.feed;
    if !same && !state.feed.eq_ignore_ascii_case(feed) {
        return Err(ExportError::OtherFeed { found: state.feed.clone() });
    }
    Ok(())
}

/// Makes the store renew what a reader would have it renew.
fn bring_up_to_date(store: &Store, feed: &str, options: &ExportOptions) -> Result<(), Interrupted> {
    let feed_url = options.base_url.as_deref().unwrap_or(NOWHERE);
    for _ in 0..4 {
        let mut stale = BTreeSet::new();
        {
            let native_view = store.native_view(feed)?;
            let native = protocol(&native_view)?;
            let view = native_view.view();
            let paths = paths(native, &view, None);
            for path in paths.map_err(|error| rebuilt(error, store))? {
                let request = Request::get(&path, feed_url);
                let answer = native.resolve(&view, &request);
                if let Answer::Refresh(subject) = answer.map_err(|error| rebuilt(error, store))? {
                    stale.insert(subject);
                }
            }
        }
        if stale.is_empty() {
            break;
        }
        for subject in stale {
            store.refresh(feed, &subject).map_err(ExportError::Refresh)?;
        }
    }
    Ok(())
}

/// An index that is being built anew is waited for.
fn rebuilt(error: ViewError, store: &Store) -> Interrupted {
    if let ViewError::Rebuilding { .. } = error
        && store.run_maintenance().is_ok()
    {
        std::thread::sleep(Duration::from_millis(500));
        return Interrupted::Changed;
    }
    error.into()
}

fn paths(
    native: &dyn Native,
    view: &dyn FeedView,
    package: Option<&PackageHead>,
) -> Result<Vec<String>, ViewError> {
    let mut paths = Vec::new();
    native.paths(view, package, &mut |path| paths.push(path.to_owned()))?;
    Ok(paths)
}

struct Run<'a> {
    store: &'a Store,
    target: &'a dyn Target,
    options: &'a ExportOptions,
    feed: u32,
    feed_type: &'a dyn FeedType,
    native: &'a dyn Native,
    view: &'a dyn FeedView,
    feed_url: &'a str,
    /// Whether a package of the same revision has the same files.
    trusts_revisions: bool,
    /// The names of all files that are to stay, where all of the feed is gone through.
    expected: Option<HashSet<Box<str>>>,
    /// Files and records to remove in the end.
    doomed: BTreeSet<String>,
    report: &'a mut ExportReport,
    progress: &'a mut dyn FnMut(Exported),
}

/// A package between the writing of its files and of its documents.
struct Begun {
    key: NameKey,
    old: Ledger,
    new: Ledger,
    /// Paths of its documents.
    documents: Vec<String>,
}

impl Run<'_> {
    fn settle(&self) -> Result<(), Interrupted> {
        Ok(self.target.settle().map_err(ExportError::Target)?)
    }

    fn put_text(&self, name: &TargetName, text: &str) -> Result<(), Interrupted> {
        let put = || {
            let mut draft = self.target.draft()?;
            std::io::Write::write_all(&mut draft, text.as_bytes())?;
            draft.publish(name)
        };
        Ok(put().map_err(ExportError::Target)?)
    }

    fn read_ledger(&self, name: &TargetName) -> Result<Option<Ledger>, Interrupted> {
        Ok(ledger::read(self.target, name).map_err(ExportError::Target)?)
    }

    fn write_ledger(&self, name: &TargetName, ledger: &Ledger) -> Result<(), Interrupted> {
        Ok(ledger::write(self.target, name, ledger).map_err(ExportError::Target)?)
    }

    /// True if the feed's own documents are what they were.
    fn root_stands(&mut self) -> Result<bool, Interrupted> {
        let Some(old) = self.read_ledger(&ledger::feed_name())? else { return Ok(false) };
        let mut looked = 0;
        for path in paths(self.native, self.view, None)? {
            let request = Request::get(&path, self.feed_url).exported();
            let Answer::Resource(resource) = self.native.resolve(self.view, &request)? else {
                continue;
            };
            let Ok(name) = TargetName::of_path(&self.native.exported_as(&path)) else { continue };
            let found = old.files.get(name.as_str());
            if found.is_none_or(|found| found.validator != content::validator(&resource)) {
                return Ok(false);
            }
            looked += 1;
        }
        self.report.unchanged += looked;
        Ok(looked == old.files.len() as u64)
    }

    /// Writes those packages whose names are given.
    fn some(&mut self, names: &BTreeSet<(String, String)>) -> Result<(), Interrupted> {
        let mut batch = Vec::new();
        for (group, name) in names {
            // What is no name of the type is the name of no package.
            let Ok(name) = self.feed_type.package_name(group, name) else { continue };
            match self.view.package(name.key())? {
                Some(head) => batch.push(head),
                None => self.forget(&ledger::package_name(name.key().as_bytes()))?,
            }
            if batch.len() == BATCH {
                self.write(std::mem::take(&mut batch))?;
            }
        }
        self.write(batch)
    }

    /// Writes all packages.
    fn all(&mut self) -> Result<(), Interrupted> {
        self.report.full = true;
        self.expected = Some(HashSet::new());
        let mut after: Option<NameKey> = None;
        loop {
            let mut batch = Vec::new();
            self.view.packages(after.as_ref(), &mut |head| {
                batch.push(head.clone());
                if batch.len() == BATCH {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some(last.name.key().clone());
            self.write(batch)?;
        }
    }

    /// Everything of a package goes, once nothing names it any more.
    fn forget(&mut self, record: &TargetName) -> Result<(), Interrupted> {
        if let Some(ledger) = self.read_ledger(record)? {
            self.doomed.extend(ledger.files.into_keys());
        }
        self.doomed.insert(record.as_str().to_owned());
        Ok(())
    }

    fn write(&mut self, batch: Vec<PackageHead>) -> Result<(), Interrupted> {
        let mut begun = Vec::new();
        for head in batch {
            begun.extend(self.files(&head)?);
        }
        self.settle()?;
        for package in begun {
            self.documents(package)?;
        }
        Ok(())
    }

    fn done(&mut self) {
        self.report.packages += 1;
        (self.progress)(Exported {
            packages: self.report.packages,
            written: self.report.written,
            bytes: self.report.bytes,
        });
    }

    fn expect(&mut self, record: &TargetName, ledger: &Ledger) {
        if let Some(expected) = &mut self.expected {
            expected.insert(record.as_str().into());
            let names = ledger.files.keys().chain(ledger.retired.keys());
            expected.extend(names.map(|name| name.as_str().into()));
        }
    }

    /// Writes the files of a package; `None` if nothing about it has changed.
    fn files(&mut self, head: &PackageHead) -> Result<Option<Begun>, Interrupted> {
        let key = head.name.key().clone();
        let record = ledger::package_name(key.as_bytes());
        let old = self.read_ledger(&record)?.unwrap_or_default();
        if self.trusts_revisions && old.revision == Some(head.revision) {
            self.report.unchanged += old.files.len() as u64;
            self.expect(&record, &old);
            self.done();
            return Ok(None);
        }
        let old = self.checked(old)?;
        let blocked = self.blocked(&key)?;
        let mut new = Ledger {
            group: head.name.group().to_owned(),
            name: head.name.name().to_owned(),
            revision: Some(head.revision),
            ..Ledger::default()
        };
        let mut documents = Vec::new();
        for path in paths(self.native, self.view, Some(head))? {
            let request = Request::get(&path, self.feed_url).exported();
            let Answer::Resource(resource) = self.native.resolve(self.view, &request)? else {
                continue;
            };
            if is_blocked(&resource.body, &blocked) {
                continue;
            }
            if !content::is_of_package(&resource.body) {
                documents.push(path.clone());
                continue;
            }
            let Some(name) = self.name(&path) else { continue };
            if let Some((draft, found)) = self.made(&path, &name, resource, &old)? {
                if let Some(draft) = draft {
                    self.publish(draft, &name, &found)?;
                }
                new.files.insert(name.as_str().to_owned(), found);
            }
        }
        // Should the run end here, the next one knows which files are there.
        let mut both = Ledger { revision: None, files: old.files.clone(), ..new.clone() };
        both.files.extend(new.files.clone());
        self.write_ledger(&record, &both)?;
        Ok(Some(Begun { key, old, new, documents }))
    }

    /// Writes the documents of a package, once its files are there.
    fn documents(&mut self, begun: Begun) -> Result<(), Interrupted> {
        let Begun { key, old, mut new, documents } = begun;
        for path in documents {
            let request = Request::get(&path, self.feed_url).exported();
            let Answer::Resource(resource) = self.native.resolve(self.view, &request)? else {
                continue;
            };
            let Some(name) = self.name(&path) else { continue };
            if let Some((draft, found)) = self.made(&path, &name, resource, &old)? {
                if let Some(draft) = draft {
                    self.publish(draft, &name, &found)?;
                }
                new.files.insert(name.as_str().to_owned(), found);
            }
        }
        let gone = old.files.keys().filter(|name| !new.files.contains_key(*name));
        self.doomed.extend(gone.cloned());
        let record = ledger::package_name(key.as_bytes());
        self.write_ledger(&record, &new)?;
        self.expect(&record, &new);
        self.done();
        Ok(())
    }

    /// Writes the feed's own documents: all are made before the first one is seen.
    fn root(&mut self) -> Result<(), Interrupted> {
        let record = ledger::feed_name();
        let old = self.read_ledger(&record)?.unwrap_or_default();
        let retired = old.retired.clone();
        let old = self.checked(old)?;
        let mut new = Ledger::default();
        let mut drafts = Vec::new();
        for path in paths(self.native, self.view, None)? {
            let request = Request::get(&path, self.feed_url).exported();
            let Answer::Resource(resource) = self.native.resolve(self.view, &request)? else {
                continue;
            };
            let Some(name) = self.name(&path) else { continue };
            if let Some((draft, found)) = self.made(&path, &name, resource, &old)? {
                drafts.extend(draft.map(|draft| (draft, name.clone(), found.clone())));
                new.files.insert(name.as_str().to_owned(), found);
            }
        }
        let gone = |name: &&String| !new.files.contains_key(*name);
        let leaving: Vec<String> = old.files.keys().filter(gone).cloned().collect();
        let changes = !drafts.is_empty() || !leaving.is_empty();
        for (name, age) in retired.into_iter().filter(|(name, _)| gone(&name)) {
            let age = age + u32::from(changes);
            if age >= RETIRED {
                self.doomed.insert(name);
            } else {
                new.retired.insert(name, age);
            }
        }
        new.retired.extend(leaving.into_iter().map(|name| (name, 0)));
        // The record comes first: what is written after it is known to the next run.
        self.write_ledger(&record, &Ledger { files: merged(&old, &new), ..new.clone() })?;
        for (draft, name, found) in drafts {
            self.publish(draft, &name, &found)?;
        }
        self.write_ledger(&record, &new)?;
        self.expect(&record, &new);
        Ok(())
    }

    /// Removes what nothing names any more.
    fn sweep(&mut self) -> Result<(), Interrupted> {
        let doomed = std::mem::take(&mut self.doomed);
        if let Some(expected) = self.expected.take() {
            let mut strange = Vec::new();
            self.target
                .list(&mut |name| {
                    let record = ledger::is_package(name);
                    if (record || !name.is_own()) && !expected.contains(name.as_str()) {
                        strange.push(name.clone());
                    }
                    Ok(())
                })
                .map_err(ExportError::Target)?;
            for name in strange {
                self.remove(&name)?;
            }
            return Ok(());
        }
        for name in doomed {
            let own = TargetName::own("");
            let name = match name.strip_prefix(own.as_str()) {
                Some(below) => TargetName::own(below),
                None => match TargetName::of_text(&name) {
                    Ok(name) => name,
                    Err(_) => continue,
                },
            };
            self.remove(&name)?;
        }
        Ok(())
    }

    fn remove(&mut self, name: &TargetName) -> Result<(), Interrupted> {
        self.report.removed += u64::from(!name.is_own());
        Ok(self.target.remove(name).map_err(ExportError::Target)?)
    }

    fn name(&mut self, path: &str) -> Option<TargetName> {
        match TargetName::of_path(&self.native.exported_as(path)) {
            Ok(name) => Some(name),
            Err(unfit) => {
                if self.report.left_out.len() < TOLD {
                    self.report.left_out.push(unfit);
                }
                None
            }
        }
    }

    /// The records of those files that are as they say.
    fn checked(&self, mut old: Ledger) -> Result<Ledger, Interrupted> {
        if self.options.check {
            let mut sound = BTreeMap::new();
            for (name, record) in std::mem::take(&mut old.files) {
                let Ok(target) = TargetName::of_text(&name) else { continue };
                if self.is_there(&target, &record)? {
                    sound.insert(name, record);
                }
            }
            old.files = sound;
        }
        Ok(old)
    }

    /// Whether a file has the content that a record tells.
    fn is_there(&self, name: &TargetName, record: &FileRecord) -> Result<bool, Interrupted> {
        let failed = ExportError::Target;
        if self.target.length(name).map_err(failed)? != Some(record.size) {
            return Ok(false);
        }
        let mut sha256 = Sha256::new();
        let shown = self.target.show(name, &mut |bytes| sha256.update(bytes)).map_err(failed)?;
        Ok(shown && HEXLOWER.encode(&sha256.finalize()) == record.sha256)
    }

    /// The answer to a path as a file that is to be published, or without one if it is there.
    #[expect(clippy::type_complexity, reason = "a draft and its record, or none, or nothing")]
    fn made(
        &mut self,
        path: &str,
        name: &TargetName,
        resource: Resource<'_>,
        old: &Ledger,
    ) -> Result<Option<(Option<Box<dyn Draft>>, FileRecord)>, Interrupted> {
        let validator = content::validator(&resource);
        let known = old.files.get(name.as_str());
        if let Some(known) = known.filter(|known| known.validator == validator) {
            self.report.unchanged += 1;
            return Ok(Some((None, known.clone())));
        }
        let (store, view, target) = (self.store, self.view, self.target);
        let looks = self.options.base_url.is_none() && !content::is_of_package(&resource.body);
        let source = Source { store, feed: self.feed, view, target, path, looks };
        let is_package = content::is_package(&resource.body);
        let written = if let Some(download) = source.file(&resource.body)? {
            let file = download.file();
            let sha256 = HEXLOWER.encode(&file.digests.sha256);
            let record =
                FileRecord { validator: validator.clone(), sha256, size: file.size, package: true };
            if self.stands(name, &record, known)? {
                return Ok(Some((None, record)));
            }
            source.copy(download, validator)?
        } else {
            match source.make(resource.body, validator)? {
                Some(written) => written,
                None => return Ok(None),
            }
        };
        let Written { draft, mut record } = written;
        record.package = is_package;
        if self.stands(name, &record, known)? {
            return Ok(Some((None, record)));
        }
        Ok(Some((Some(draft), record)))
    }

    /// Whether a file of these bytes is there already, by its record or, without one, by a look.
    fn stands(
        &mut self,
        name: &TargetName,
        record: &FileRecord,
        known: Option<&FileRecord>,
    ) -> Result<bool, Interrupted> {
        let stands = match known {
            Some(known) => known.sha256 == record.sha256 && known.size == record.size,
            None => self.is_there(name, record)?,
        };
        self.report.unchanged += u64::from(stands);
        Ok(stands)
    }

    fn publish(
        &mut self,
        draft: Box<dyn Draft>,
        name: &TargetName,
        record: &FileRecord,
    ) -> Result<(), Interrupted> {
        draft.publish(name).map_err(ExportError::Target)?;
        self.report.written += 1;
        self.report.bytes += record.size;
        Ok(())
    }

    /// The files of blocked versions.
    fn blocked(&self, package: &NameKey) -> Result<BTreeSet<FileId>, Interrupted> {
        let mut blocked = BTreeSet::new();
        self.view.versions(package, &Want::nothing().files(), &mut |version| {
            if version.status.is_blocked() {
                blocked.extend(version.files.iter().map(|file| file.id));
            }
            ControlFlow::Continue(())
        })?;
        Ok(blocked)
    }
}

fn merged(old: &Ledger, new: &Ledger) -> BTreeMap<String, FileRecord> {
    let mut files = old.files.clone();
    files.extend(new.files.clone());
    files
}

fn is_blocked(body: &Body<'_>, blocked: &BTreeSet<FileId>) -> bool {
    match body {
        Body::File(file) | Body::Document { file, .. } => blocked.contains(file),
        Body::Extract(extract) => blocked.contains(&extract.file),
        Body::Assemble(order) => order.files.iter().any(|file| blocked.contains(file)),
        _ => false,
    }
}
