use std::sync::atomic::{AtomicU64, Ordering};

/// What a store did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Durable commits.
    pub commits: u64,
    /// Changes that went into them; more than commits when callers met.
    pub changes: u64,
    /// The most changes in one commit.
    pub largest_batch: u64,
    /// Package files stored.
    pub files_stored: u64,
    /// Contents made durable in files of their own.
    pub blobs_published: u64,
    /// Downloads counted.
    pub downloads: u64,
    /// Contents removed as garbage.
    pub blobs_collected: u64,
    /// Contents read in the background to find rot.
    pub blobs_scrubbed: u64,
    /// What the log of the metadata did; all zero without one.
    pub log: LogMetrics,
}

/// What a log did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogMetrics {
    /// Records written: commits, but for those too large for a record.
    pub records: u64,
    /// Times that its rows were taken into the metadata file.
    pub checkpoints: u64,
    /// Bytes of memory that its rows take, those that only old snapshots still hold included.
    pub memory: u64,
    /// How long, in milliseconds, the oldest view of rows has been held that is held now: it keeps in
    /// memory and in the file what later changes have replaced.
    pub oldest_snapshot: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) commits: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) largest_batch: AtomicU64,
    pub(crate) files_stored: AtomicU64,
    pub(crate) blobs_published: AtomicU64,
    pub(crate) downloads: AtomicU64,
    pub(crate) blobs_collected: AtomicU64,
    pub(crate) blobs_scrubbed: AtomicU64,
}

impl Meter {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Metrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            commits: read(&self.commits),
            changes: read(&self.changes),
            largest_batch: read(&self.largest_batch),
            files_stored: read(&self.files_stored),
            blobs_published: read(&self.blobs_published),
            downloads: read(&self.downloads),
            blobs_collected: read(&self.blobs_collected),
            blobs_scrubbed: read(&self.blobs_scrubbed),
            log: LogMetrics::default(),
        }
    }
}
