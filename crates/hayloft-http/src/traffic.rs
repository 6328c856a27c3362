use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::http::StatusCode;
use hayloft::Timestamp;

/// What goes in and out of an app.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Makes the numbers of requests differ from those of earlier runs.
    run: i64,
    requests: AtomicU64,
    running: AtomicI64,
    uploads: AtomicI64,
    bytes: AtomicU64,
    /// Answers by the first digit of their status.
    classes: [AtomicU64; 5],
}

/// A snapshot of the counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) running: i64,
    pub(crate) uploads: i64,
    pub(crate) bytes: u64,
    pub(crate) classes: [u64; 5],
}

/// A request, as long as it exists.
#[derive(Debug)]
pub(crate) struct Running(Arc<Traffic>);

/// An upload, as long as it exists.
#[derive(Debug)]
pub(crate) struct RunningUpload(Arc<Traffic>);

impl Traffic {
    /// Nothing yet.
    pub(crate) fn since(start: Timestamp) -> Self {
        Self {
            run: start.millis(),
            requests: AtomicU64::default(),
            running: AtomicI64::default(),
            uploads: AtomicI64::default(),
            bytes: AtomicU64::default(),
            classes: Default::default(),
        }
    }

    /// A new request and its number.
    pub(crate) fn begin(self: &Arc<Self>) -> (Running, String) {
        self.running.fetch_add(1, Ordering::Relaxed);
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        (Running(self.clone()), format!("{:x}-{number:x}", self.run))
    }

    /// A new upload.
    pub(crate) fn upload(self: &Arc<Self>) -> RunningUpload {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        RunningUpload(self.clone())
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            running: self.running.load(Ordering::Relaxed),
            uploads: self.uploads.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            classes: self.classes.each_ref().map(|class| class.load(Ordering::Relaxed)),
        }
    }
}

impl Running {
    pub(crate) fn answered(&self, status: StatusCode, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(class) = class.and_then(|class| self.0.classes.get(class)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for RunningUpload {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}
