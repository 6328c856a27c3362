use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use hayloft::Timestamp;

/// Upper ends of what durations are sorted into, in milliseconds.
pub(crate) const BUCKETS: [u64; 12] =
    [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000];
/// Feeds that are counted; deleted ones go when there are more.
const FEEDS: usize = 10_000;

/// What goes in and out of an app.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// When it began, which also makes the numbers of requests differ from those of earlier runs.
    since: Timestamp,
    requests: AtomicU64,
    running: AtomicI64,
    uploads: AtomicI64,
    bytes: AtomicU64,
    /// Answers by the first digit of their status.
    classes: [AtomicU64; 5],
    /// By [`Kind`].
    times: [Times; 2],
    /// By name.
    feeds: Mutex<BTreeMap<String, FeedCounts>>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Read, Self::Write];

    pub(crate) fn of(method: &Method) -> Self {
        if method.is_safe() { Self::Read } else { Self::Write }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// How long requests of a kind took.
#[derive(Debug, Default)]
struct Times {
    /// Those up to the end of each bucket, and not up to that of the one before.
    buckets: [AtomicU64; BUCKETS.len()],
    beyond: AtomicU64,
    micros: AtomicU64,
}

/// A snapshot of how long requests of a kind took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Requests up to the end of each bucket.
    pub(crate) up_to: [u64; BUCKETS.len()],
    pub(crate) all: u64,
    pub(crate) micros: u64,
}

/// What was answered for one feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FeedCounts {
    /// By [`Kind`], then by the first digit of the status.
    pub(crate) requests: [[u64; 5]; 2],
    pub(crate) bytes: u64,
}

/// A snapshot of the counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) running: i64,
    pub(crate) uploads: i64,
    pub(crate) bytes: u64,
    pub(crate) classes: [u64; 5],
}

/// An answer that has gone out, or whose client has gone.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) kind: Kind,
    pub(crate) status: StatusCode,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    pub(crate) feed: Option<&'a str>,
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
            since: start,
            requests: AtomicU64::default(),
            running: AtomicI64::default(),
            uploads: AtomicI64::default(),
            bytes: AtomicU64::default(),
            classes: Default::default(),
            times: Default::default(),
            feeds: Mutex::default(),
        }
    }

    /// When counting began.
    pub(crate) fn start(&self) -> Timestamp {
        self.since
    }

    /// A new request and its number.
    pub(crate) fn begin(self: &Arc<Self>) -> (Running, String) {
        self.running.fetch_add(1, Ordering::Relaxed);
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        (Running(self.clone()), format!("{:x}-{number:x}", self.since.millis()))
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

    /// How long requests of a kind took.
    pub(crate) fn spread(&self, kind: Kind) -> Spread {
        let [read, write] = &self.times;
        let times = if kind == Kind::Read { read } else { write };
        let mut all = 0;
        let up_to = times.buckets.each_ref().map(|bucket| {
            all += bucket.load(Ordering::Relaxed);
            all
        });
        let all = all + times.beyond.load(Ordering::Relaxed);
        Spread { up_to, all, micros: times.micros.load(Ordering::Relaxed) }
    }

    /// What was answered for these feeds; others are forgotten.
    pub(crate) fn of_feeds(&self, exists: impl Fn(&str) -> bool) -> BTreeMap<String, FeedCounts> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|name, _| exists(name));
        feeds.clone()
    }
}

impl Running {
    pub(crate) fn answered(&self, answered: &Answered<'_>) {
        let traffic = &self.0;
        traffic.bytes.fetch_add(answered.bytes, Ordering::Relaxed);
        let class = usize::from(answered.status.as_u16() / 100).checked_sub(1);
        if let Some(class) = class.and_then(|class| traffic.classes.get(class)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        let [read, write] = &traffic.times;
        let times = if answered.kind == Kind::Read { read } else { write };
        let micros = u64::try_from(answered.took.as_micros()).unwrap_or(u64::MAX);
        let fits = BUCKETS.iter().position(|end| micros <= end * 1_000);
        let bucket = fits.and_then(|at| times.buckets.get(at)).unwrap_or(&times.beyond);
        bucket.fetch_add(1, Ordering::Relaxed);
        times.micros.fetch_add(micros, Ordering::Relaxed);
        let Some(feed) = answered.feed else { return };
        let mut feeds = traffic.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if feeds.len() >= FEEDS && !feeds.contains_key(feed) {
            feeds.clear();
        }
        if !feeds.contains_key(feed) {
            feeds.insert(feed.to_owned(), FeedCounts::default());
        }
        let Some(counts) = feeds.get_mut(feed) else { return };
        counts.bytes += answered.bytes;
        let [read, write] = &mut counts.requests;
        let classes = if answered.kind == Kind::Read { read } else { write };
        if let Some(class) = class.and_then(|class| classes.get_mut(class)) {
            *class += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_below_their_end() {
        let traffic = Arc::new(Traffic::since(Timestamp::from_millis(0)));
        let (running, _) = traffic.begin();
        for millis in [0, 1, 2, 61_000] {
            running.answered(&Answered {
                kind: Kind::Write,
                status: StatusCode::CREATED,
                bytes: 10,
                took: Duration::from_millis(millis),
                feed: Some("dev"),
            });
        }
        let spread = traffic.spread(Kind::Write);
        assert_eq!(spread.up_to, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!((spread.all, spread.micros), (4, 61_003_000));
        assert_eq!(traffic.spread(Kind::Read).all, 0);
        let feeds = traffic.of_feeds(|_| true);
        assert_eq!(feeds["dev"], FeedCounts { requests: [[0; 5], [0, 4, 0, 0, 0]], bytes: 40 });
        assert!(traffic.of_feeds(|_| false).is_empty() && traffic.of_feeds(|_| true).is_empty());
    }
}
