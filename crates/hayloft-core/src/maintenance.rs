//! Work in the background: counters, jobs, garbage, orphans.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::collection::Suspect;
use crate::pins::Claim;
use crate::records::{BlobRecord, FeedRecord, JobRecord, Place};
use crate::resolve::{FeedHandle, VersionHandle};
use crate::scrub::Scrubbed;
use crate::store::Inner;
use crate::writer::check_outside_plan;
use crate::{
    Background, BlobKey, Direction, MetaRead, Store, StoreError, Want, blob_rows, codec, index,
    layout, plan::Plan, rows, tables, versions,
};

/// Time between rounds.
const ROUND: Duration = Duration::from_secs(10);
/// How long the look for what crashes left behind goes on before other work has its turn.
const SLICE: Duration = Duration::from_millis(100);
/// How long contents that are due are read before other work has its turn.
const SCRUBBED_FOR: Duration = Duration::from_secs(1);
/// Counts that wait for a commit at most until the next round begins early.
const COUNTS: usize = 10_000;
/// Contents whose rows are looked at in one view.
const SWEPT: usize = 1_000;
/// Jobs read at a time.
const JOBS: usize = 256;
/// Feeds whose indexes are looked at in one view.
const INDEXES: usize = 256;
/// Rows of a feed that one commit removes, roughly.
const DELETED_ROWS: usize = 5_000;
/// Bytes that a step of an index's work writes, roughly.
const INDEX_WEIGHT: usize = 1 << 20;
/// How long the lines of a log that was begun anew can still be read, in milliseconds.
const OLD_LINES: i64 = 10 * 60 * 1000;
/// How long orphans lie in the trash, in milliseconds.
const TRASH: i64 = 24 * 60 * 60 * 1000;

/// The threads that work by themselves, and how they are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    work: Worker,
    /// Saves counts, and waits for no other work.
    counts: Worker,
    /// Held by the one round that runs.
    round: Mutex<()>,
    /// How far contents were read to find rot, once it is known.
    pub(crate) scrubbed: Mutex<Option<Scrubbed>>,
}

#[derive(Debug, Default)]
struct Worker {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    fn start(
        &self,
        name: &str,
        run: impl FnOnce(&Signal) + Send + 'static,
    ) -> Result<(), StoreError> {
        let signal = self.signal.clone();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&signal))
            .map_err(StoreError::io("start a thread for", name))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    fn stop(&self) {
        self.signal.set(|state| state.stopping = true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of maintenance ended by a panic");
        }
    }
}

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    stopping: bool,
    woken: bool,
}

impl Signal {
    fn set(&self, set: impl FnOnce(&mut SignalState)) {
        set(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopping
    }

    /// Waits, at most for so long, for the next round; false if there is to be none.
    fn wait(&self, round: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, round, |state| !state.stopping && !state.woken)
            .unwrap_or_else(PoisonError::into_inner);
        state.woken = false;
        !state.stopping
    }
}

impl Maintenance {
    /// Starts the threads, if the options want them.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<(), StoreError> {
        if inner.options.background == Background::Caller {
            return Ok(());
        }
        let store = Arc::downgrade(inner);
        let maintenance = &inner.maintenance;
        maintenance.work.start("hayloft-maintenance", move |signal| run(signal, &store))?;
        let store = Arc::downgrade(inner);
        maintenance.counts.start("hayloft-counts", move |signal| save_counts(signal, &store))
    }

    /// Saves counts now, if many wait.
    pub(crate) fn wake_for_counts(&self, waiting: usize) {
        if waiting >= COUNTS {
            self.counts.signal.set(|state| state.woken = true);
        }
    }

    /// Begins the next round now.
    pub(crate) fn wake(&self) {
        self.work.signal.set(|state| state.woken = true);
    }

    /// Ends the threads.
    pub(crate) fn stop(&self) {
        self.counts.stop();
        self.work.stop();
    }
}

fn run(signal: &Signal, store: &Weak<Inner>) {
    let mut sweep = Sweep::begin(Pace::Slices);
    loop {
        let Some(inner) = store.upgrade() else { return };
        match inner.reopen_if_stopped().and_then(|()| inner.maintain(&mut sweep)) {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%error, "a round of maintenance failed"),
        }
        drop(inner);
        let round = if sweep.is_over() { ROUND } else { SLICE };
        if !signal.wait(round) {
            return;
        }
    }
}

fn save_counts(signal: &Signal, store: &Weak<Inner>) {
    while signal.wait(ROUND) {
        let Some(inner) = store.upgrade() else { return };
        if inner.is_closed() {
            return;
        }
        // What is stopped is told by whoever opens it again.
        if !inner.writer.is_stopped()
            && let Err(error) = inner.context.downloads.flush(&inner.writer)
        {
            tracing::warn!(%error, "download counts were not saved and are kept");
        }
    }
}

/// How far the look for what crashes left behind has come.
#[derive(Debug)]
struct Sweep {
    pace: Pace,
    next: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Files of uploads that an earlier run did not end.
    Staging,
    /// Contents, by the first byte of their digest.
    Shard(u8),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// In slices, with other work between.
    Slices,
    AtOnce,
}

impl Sweep {
    fn begin(pace: Pace) -> Self {
        Self { pace, next: Stage::Staging }
    }

    fn is_over(&self) -> bool {
        self.next == Stage::Over
    }
}

impl Store {
    /// Saves download counters, continues unfinished work, removes garbage older than the grace
    /// period and sweeps what crashes left behind. Runs by itself under
    /// [`Background::Thread`](crate::Background::Thread).
    pub fn run_maintenance(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        check_outside_plan()?;
        inner.reopen_if_stopped()?;
        let counted = inner.context.downloads.flush(&inner.writer);
        inner.set_aside(counted, "saving download counts")?;
        inner.maintain(&mut Sweep::begin(Pace::AtOnce))
    }
}

impl Inner {
    fn check_writable(&self) -> Result<(), StoreError> {
        if self.is_closed() {
            return Err(StoreError::Closed);
        }
        self.staging.space.check_writable()
    }

    /// Goes on after a failure that stopped all writing, if it can.
    fn reopen_if_stopped(&self) -> Result<(), StoreError> {
        check_outside_plan()?;
        let _one_at_a_time = self.maintenance.round.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_writable()?;
        if self.writer.is_stopped() { self.reopen() } else { Ok(()) }
    }

    fn maintain(&self, sweep: &mut Sweep) -> Result<(), StoreError> {
        check_outside_plan()?;
        let _one_at_a_time = self.maintenance.round.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_writable()?;
        self.run_jobs()?;
        self.run_indexes()?;
        let swept = self.sweep(sweep);
        self.set_aside(swept, "the look for what belongs to nothing")?;
        let slice = (sweep.pace == Pace::Slices).then_some(SCRUBBED_FOR);
        let scrubbed = self.scrub(slice);
        self.set_aside(scrubbed, "reading contents to find rot")?;
        let emptied = self.empty_trash();
        self.set_aside(emptied, "emptying the trash")
    }

    pub(crate) fn stops(&self) -> bool {
        self.is_closed() || self.maintenance.work.signal.is_stopping()
    }

    fn run_jobs(&self) -> Result<(), StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let range = match &after {
                None => tables::prefixed(&[]),
                Some(key) => tables::prefixed_after(&[], key),
            };
            let jobs = rows::list::<JobRecord>(
                self.snapshot()?.as_ref(),
                tables::JOB,
                &range,
                Direction::Forward,
                JOBS,
            )?;
            let suspects: Vec<Suspect> = jobs
                .rows
                .iter()
                .filter_map(|(key, job)| match job {
                    JobRecord::Collect { blob } => {
                        Some(Suspect { blob: BlobKey(*blob), job: Some(key.clone()) })
                    }
                    _ => None,
                })
                .collect();
            if self.stops() {
                return Ok(());
            }
            if !suspects.is_empty() {
                // Files that could not be removed have been told.
                let collected = self.collect(&suspects).map(drop);
                self.set_aside(collected, "collecting contents")?;
            }
            for (key, job) in &jobs.rows {
                if self.stops() {
                    return Ok(());
                }
                let outcome = match job {
                    JobRecord::Collect { .. } => Ok(()),
                    JobRecord::DeleteFeed { feed } => self.run_delete_feed(key, *feed),
                    JobRecord::OldLines { feed, log, since } => {
                        self.run_old_lines(key, *feed, log, *since)
                    }
                };
                self.set_aside(outcome, "a job")?;
            }
            match jobs.last {
                Some(key) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    /// Lets the rest of a round go on after a part of it has failed, unless all would fail.
    fn set_aside(&self, outcome: Result<(), StoreError>, what: &str) -> Result<(), StoreError> {
        match outcome {
            Err(error) if self.is_closed() || self.writer.is_stopped() => Err(error),
            Err(error) => {
                tracing::error!(%error, "{what} failed and is tried again later");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Brings the indexes of feeds up to date: folds search terms, and builds anew what a change is
    /// missing in.
    fn run_indexes(&self) -> Result<(), StoreError> {
        for feed in self.unfinished_indexes()? {
            let mut outcome = self.run_index(feed);
            if let Err(error @ StoreError::Damaged { .. }) = &outcome {
                tracing::error!(%error, feed, "the index of a feed is made anew");
                let types = self.context.types.clone();
                outcome = self
                    .writer
                    .change::<(), StoreError>(INDEX_WEIGHT, move |plan| {
                        index::make_dirty(plan, &types, feed)
                    })
                    .and_then(|()| self.run_index(feed));
            }
            self.set_aside(outcome, "the index of a feed")?;
        }
        Ok(())
    }

    /// Feeds whose index has work waiting, or does not tell. Many are looked at together: they are
    /// asked about in each round, in which most have nothing to do.
    fn unfinished_indexes(&self) -> Result<Vec<u32>, StoreError> {
        let snapshot = self.snapshot()?;
        let read = snapshot.as_ref();
        let mut feeds = Vec::new();
        rows::each(read, tables::FEED, &[], |key, _| {
            feeds.extend(tables::u32_at(key, 0));
            Ok(())
        })?;
        let mut unfinished = Vec::new();
        for some in feeds.chunks(INDEXES) {
            self.prefetch(read, || {
                let keys = some.iter().map(|feed| tables::feed(*feed));
                keys.flat_map(|key| {
                    let state = Want::Row(tables::INDEX_STATE, key.clone());
                    [Want::Row(tables::FEED, key.clone()), state, unfolded(&key)]
                })
                .collect()
            })?;
            unfinished.extend(some.iter().filter(|feed| !self.is_finished(read, **feed)));
        }
        Ok(unfinished)
    }

    /// True if nothing is to be done for the index of a feed. What cannot be read is met again, and
    /// told, by who does it.
    fn is_finished(&self, read: &dyn MetaRead, feed: u32) -> bool {
        let (types, now) = (&self.context.types, self.options.clock.now());
        matches!(self.is_index_complete(read, feed), Ok(true))
            && matches!(has_unfolded(read, feed), Ok(false))
            && matches!(index::untidy(read, types, feed, now), Ok(None))
    }

    pub(crate) fn run_index(&self, feed: u32) -> Result<(), StoreError> {
        let types = self.context.types.clone();
        let mut more = !self.is_index_complete(self.snapshot()?.as_ref(), feed)?;
        while more && !self.stops() {
            let types = types.clone();
            more = self.writer.change::<bool, StoreError>(INDEX_WEIGHT, move |plan| {
                index::build_step(plan, &types, feed)
            })?;
        }
        while !self.stops() && has_unfolded(self.snapshot()?.as_ref(), feed)? {
            self.writer
                .change::<bool, StoreError>(INDEX_WEIGHT, move |plan| index::fold(plan, feed))?;
        }
        if self.stops() {
            return Ok(());
        }
        let types = self.context.types.clone();
        let now = self.options.clock.now();
        if let Some(weight) = index::untidy(self.snapshot()?.as_ref(), &types, feed, now)? {
            self.writer
                .change::<(), StoreError>(weight, move |plan| index::tidy(plan, &types, feed))?;
        }
        Ok(())
    }

    fn is_index_complete(&self, read: &dyn MetaRead, feed: u32) -> Result<bool, StoreError> {
        let handle = FeedHandle::by_id(read, &self.context.types, feed)?;
        let feed_type = handle.and_then(|handle| handle.feed_type);
        feed_type.map_or(Ok(true), |feed_type| index::is_complete(read, feed, feed_type.as_ref()))
    }

    fn run_old_lines(
        &self,
        job: &[u8],
        feed: u32,
        log: &[u8],
        since: i64,
    ) -> Result<(), StoreError> {
        if self.options.clock.now().millis().saturating_sub(since) < OLD_LINES {
            return Ok(());
        }
        loop {
            let (job, log) = (job.to_vec(), log.to_vec());
            let more =
                self.writer.change_freeing::<bool, StoreError>(INDEX_WEIGHT, move |plan| {
                    let more = index::drop_old_lines(plan, feed, &log)?;
                    if !more {
                        plan.delete(tables::JOB, job.clone());
                    }
                    Ok(more)
                })?;
            if !more || self.stops() {
                return Ok(());
            }
        }
    }

    fn run_delete_feed(&self, job: &[u8], feed: u32) -> Result<(), StoreError> {
        loop {
            if self.stops() {
                return Ok(());
            }
            let job = job.to_vec();
            let weight = DELETED_ROWS * 64;
            let finished = self.writer.change_freeing::<bool, StoreError>(weight, move |plan| {
                delete_some(plan, feed, &job)
            })?;
            if finished {
                return Ok(());
            }
        }
    }

    /// Looks for what crashes left behind: staged files, and contents that no row names, which go to
    /// the trash. Under [`Pace::Slices`] it ends after a while, and goes on from there.
    fn sweep(&self, sweep: &mut Sweep) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut listed = Vec::new();
        while !sweep.is_over() && !self.stops() {
            match sweep.next {
                Stage::Staging => {
                    self.clear_staging()?;
                    sweep.next = Stage::Shard(0);
                }
                Stage::Shard(shard) => {
                    // What cannot be listed is not looked for in vain for ever.
                    sweep.next = shard.checked_add(1).map_or(Stage::Over, Stage::Shard);
                    let found = self.blobs.list(shard);
                    listed.extend(found.map_err(StoreError::io("list", self.layout.blobs()))?);
                }
                Stage::Over => {}
            }
            let pauses = sweep.pace == Pace::Slices && begun.elapsed() >= SLICE;
            if listed.len() >= SWEPT || sweep.is_over() || pauses {
                for some in listed.chunks(SWEPT) {
                    self.sweep_listed(some)?;
                }
                listed.clear();
            }
            if pauses {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes what earlier runs left in staging. What cannot be removed stays for the next run.
    fn clear_staging(&self) -> Result<(), StoreError> {
        let tmp = self.layout.tmp();
        for entry in self.fs.list(&tmp).map_err(StoreError::io("list", &tmp))? {
            let path = tmp.join(&entry.name);
            if path == self.staging.directory || self.stops() {
                continue;
            }
            if let Err(error) = layout::remove(self.fs.as_ref(), &path, entry.is_directory) {
                tracing::warn!(%error, "what an upload left was not removed");
            }
        }
        Ok(())
    }

    /// Moves those of some contents to the trash that no row names.
    fn sweep_listed(&self, listed: &[BlobKey]) -> Result<(), StoreError> {
        if listed.is_empty() {
            return Ok(());
        }
        for blob in self.without_rows(listed)? {
            self.sweep_orphan(blob)?;
        }
        Ok(())
    }

    /// Those of some contents that no row names at this moment.
    pub(crate) fn without_rows(&self, blobs: &[BlobKey]) -> Result<Vec<BlobKey>, StoreError> {
        let snapshot = self.snapshot()?;
        self.prefetch(snapshot.as_ref(), || {
            blobs.iter().map(|blob| Want::Row(tables::BLOB, blob.0.to_vec())).collect()
        })?;
        let mut found = Vec::new();
        for blob in blobs {
            if !is_kept(snapshot.as_ref(), *blob)? {
                found.push(*blob);
            }
        }
        Ok(found)
    }

    /// True if a content has a file, no row says so, and no upload is about to.
    pub(crate) fn is_orphan(&self, blob: BlobKey) -> Result<bool, StoreError> {
        Ok(!is_kept(self.snapshot()?.as_ref(), blob)? && self.claim_orphan(blob)?.is_some())
    }

    /// The claim of a content that no row names and no operation is at: with it no upload can begin
    /// with this content; one that was at it before has its row in a snapshot taken from here on, or
    /// has given up.
    fn claim_orphan(&self, blob: BlobKey) -> Result<Option<Claim>, StoreError> {
        let claim = self.pins.claim(blob);
        if claim.is_none() || is_kept(self.snapshot()?.as_ref(), blob)? {
            return Ok(None);
        }
        Ok(claim)
    }

    /// Moves a content to the trash if no row names it; true if it was moved.
    pub(crate) fn sweep_orphan(&self, blob: BlobKey) -> Result<bool, StoreError> {
        let Some(_claim) = self.claim_orphan(blob)? else { return Ok(false) };
        let name = format!(
            "{}-{}",
            self.options.clock.now().millis(),
            data_encoding::HEXLOWER.encode(&blob.0)
        );
        let target = self.layout.trash().join(name);
        tracing::info!(content = %codec::shown(&blob.0), "an orphan was moved to the trash");
        self.blobs
            .set_aside(&blob, &target)
            .map_err(StoreError::io("move a content to", &target))?;
        Ok(true)
    }

    /// Removes a content that was made durable for an operation that was refused, unless a row names
    /// it or another operation is at it.
    pub(crate) fn unpublish(&self, blob: BlobKey) -> Result<(), StoreError> {
        let Some(_claim) = self.claim_orphan(blob)? else { return Ok(()) };
        self.blobs
            .delete(&blob)
            .map_err(StoreError::io("remove", format!("content {}", codec::shown(&blob.0))))
    }

    fn empty_trash(&self) -> Result<(), StoreError> {
        let trash = self.layout.trash();
        let now = self.options.clock.now().millis();
        for entry in self.fs.list(&trash).map_err(StoreError::io("list", &trash))? {
            let since = entry.name.split('-').next().and_then(|text| text.parse::<i64>().ok());
            let old = since.is_some_and(|since| now.saturating_sub(since) >= TRASH);
            if old && !entry.is_directory {
                let path = trash.join(&entry.name);
                if let Err(error) = self.fs.remove_file(&path) {
                    tracing::warn!(%error, path = %path.display(), "trash was not removed");
                }
            }
        }
        Ok(())
    }
}

/// The first of the words of a feed that are not folded.
fn unfolded(feed: &[u8]) -> Want {
    Want::Range(tables::SEARCH_LOG, tables::prefixed(feed), Direction::Forward, 1)
}

fn has_unfolded(read: &dyn MetaRead, feed: u32) -> Result<bool, StoreError> {
    let range = tables::prefixed(&tables::feed(feed));
    Ok(!read.scan(tables::SEARCH_LOG, range, Direction::Forward, 1)?.is_empty())
}

/// True if a row says that a content has a file, or that something uses a content whose own row is
/// lost: a repair can make that row again, but not the content.
fn is_kept(read: &dyn crate::MetaRead, blob: BlobKey) -> Result<bool, StoreError> {
    match rows::left_out(rows::get::<BlobRecord>(read, tables::BLOB, &blob.0))? {
        Some(Some(row)) => Ok(row.place == Place::File),
        Some(None) => blob_rows::has_use(read, &blob),
        // What a damaged row says is not known.
        None => Ok(true),
    }
}

/// Removes some versions of a feed that is being deleted; true once nothing is left of it.
fn delete_some(plan: &mut Plan, feed: u32, job: &[u8]) -> Result<bool, StoreError> {
    const ROWS_PER_FILE: usize = 8;
    let feed_key = tables::feed(feed);
    let record = match plan.get::<FeedRecord>(tables::FEED, &feed_key) {
        Ok(Some(record)) => record,
        Ok(None) => {
            plan.delete(tables::JOB, job.to_vec());
            return Ok(true);
        }
        Err(StoreError::Damaged { .. }) => FeedRecord::lost(plan.now()),
        Err(error) => return Err(error),
    };
    let handle = FeedHandle { id: feed, record, feed_type: None };
    let mut range = tables::prefixed(&feed_key);
    let mut removed = 0;
    while removed < DELETED_ROWS {
        let found = MetaRead::scan(plan, tables::VERSION, range, Direction::Forward, 1)?;
        let Some((key, value)) = found.into_iter().next() else {
            // What is left is removed by commits of its own.
            return if removed == 0 { finish_delete(plan, feed, job) } else { Ok(false) };
        };
        // What was removed is not looked at again.
        range = tables::prefixed_after(&feed_key, &key);
        if let Some(version) = rows::left_out(VersionHandle::of_row(plan, &key, &value))? {
            let all = version.all_files();
            removed += ROWS_PER_FILE * (all.len() + 1);
            versions::remove_files(plan, &handle, version, &all)?;
        } else {
            removed += ROWS_PER_FILE;
            versions::remove_damaged(plan, feed, &key)?;
        }
    }
    Ok(false)
}

/// Removes some of what is left of a feed without versions; true once nothing is left.
fn finish_delete(plan: &mut Plan, feed: u32, job: &[u8]) -> Result<bool, StoreError> {
    let prefix = tables::feed(feed);
    let own = [
        tables::PACKAGE,
        tables::PACKAGE_CASE,
        tables::STATUS,
        tables::FRAGMENT,
        tables::FACET,
        tables::TOTALS,
        tables::DOWNLOADS,
    ];
    let mut removed = 0;
    for table in own.into_iter().chain(tables::OF_INDEX) {
        let mut range = tables::prefixed(&prefix);
        loop {
            let page = MetaRead::scan(plan, table, range, Direction::Forward, rows::PAGE)?;
            let full = page.len() == rows::PAGE;
            let last = page.last().map(|(key, _)| key.clone()).unwrap_or_default();
            removed += page.len();
            for (key, _) in page {
                plan.delete(table, key);
            }
            if removed >= DELETED_ROWS {
                return Ok(false);
            }
            if !full {
                break;
            }
            range = tables::prefixed_after(&prefix, &last);
        }
    }
    plan.delete(tables::FEED, prefix);
    plan.delete(tables::JOB, job.to_vec());
    Ok(true)
}
