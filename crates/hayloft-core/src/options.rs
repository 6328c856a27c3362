use std::sync::Arc;
use std::time::Duration;

use hayloft_feed::Limits;

use crate::{Clock, SystemClock};

/// How a store is opened. The defaults suit a server; every number is a setting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// What to do if the directory holds no store.
    pub create: Create,
    /// Largest file, in bytes, that lies in the metadata file instead of one of its own; 0 for
    /// none. Capped at 16 MiB.
    pub inline_limit: u64,
    /// Memory of the metadata engine's cache in bytes.
    pub cache: usize,
    /// Largest package file in bytes.
    pub max_file_size: u64,
    /// Uploads are refused while less than this many bytes are free.
    pub free_space_floor: u64,
    /// How long, in milliseconds, a content without a use is kept.
    pub grace: i64,
    /// Whether downloads are checked against their digest.
    pub verify_on_read: VerifyOnRead,
    /// Whether threads of the store run maintenance by themselves.
    pub background: Background,
    /// What a package file may cost to read.
    pub limits: Limits,
    /// Bytes of memory for reading package files, all that are read at one time together. A file
    /// that needs more than three quarters of it is refused.
    pub inspection_memory: u64,
    /// How long a package file may be read whose compressed data unfolds to far more than that of
    /// real packages. One such file is read at a time.
    pub costly_inspection_time: Duration,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Written into embedded history as the tool, like a user agent.
    pub tool: String,
}

/// What to do if there is no store yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Make one.
    IfMissing,
    /// Fail.
    Never,
}

/// Whether downloads of files are checked. Files that lie in the metadata always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyOnRead {
    /// Every reader sees the digest match before the end of the file, or an error instead of it.
    Yes,
    /// Only the length is checked.
    No,
}

/// Who runs maintenance: garbage, orphans, jobs, download counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// A thread of the store.
    Thread,
    /// The caller, with [`Store::run_maintenance`](crate::Store::run_maintenance).
    Caller,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: Create::IfMissing,
            inline_limit: 16_000,
            cache: 64 << 20,
            max_file_size: 64 << 30,
            free_space_floor: 256 << 20,
            grace: 10 * 60 * 1000,
            verify_on_read: VerifyOnRead::Yes,
            background: Background::Thread,
            limits: Limits::default(),
            inspection_memory: 256 << 20,
            costly_inspection_time: Duration::from_secs(20),
            clock: Arc::new(SystemClock),
            tool: concat!("hayloft/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
