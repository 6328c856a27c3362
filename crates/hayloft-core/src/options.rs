use std::sync::Arc;
use std::time::Duration;

use hayloft_feed::Limits;

use crate::mutations::Switches;
use crate::{Clock, LogOptions, SystemClock};

/// How a store is opened. The defaults suit a server; every number is a setting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// What to do if the directory holds no store.
    pub create: Create,
    /// Whether the store may be changed.
    pub mode: OpenMode,
    /// Largest file, in bytes, that lies in the metadata file instead of one of its own; 0 for
    /// none. Capped at 16 MiB.
    pub inline_limit: u64,
    /// Memory of the metadata engine's cache in bytes.
    pub cache: usize,
    /// How commits become durable.
    pub log: LogOptions,
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
    /// Steps that are left out.
    #[cfg(feature = "sim")]
    pub mutations: crate::StoreMutations,
}

/// What to do if there is no store yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Make one.
    IfMissing,
    /// Fail.
    Never,
}

/// Whether a store may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It may.
    ReadWrite,
    /// Every change is refused, no file is written, and downloads are not counted. Recovery takes
    /// place in memory, so this also opens a store on a full disk or on a medium that cannot be
    /// written, and one of a newer format that says that it can be read.
    ReadOnly,
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

impl OpenOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do if the directory holds no store; [`Create::IfMissing`] unless set.
    #[must_use]
    pub fn create(self, create: Create) -> Self {
        Self { create, ..self }
    }

    /// Opens an existing store without changing anything; see [`OpenMode::ReadOnly`].
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { mode: OpenMode::ReadOnly, create: Create::Never, ..self }
    }

    /// Largest file in bytes that lies in the metadata; 16,000 unless set.
    #[must_use]
    pub fn inline_limit(self, inline_limit: u64) -> Self {
        Self { inline_limit, ..self }
    }

    /// Memory of the metadata engine's cache in bytes; 64 MiB unless set.
    #[must_use]
    pub fn cache(self, cache: usize) -> Self {
        Self { cache, ..self }
    }

    /// Largest package file in bytes; 64 GiB unless set.
    #[must_use]
    pub fn max_file_size(self, max_file_size: u64) -> Self {
        Self { max_file_size, ..self }
    }

    /// Bytes that must stay free on the disk; 256 MiB unless set.
    #[must_use]
    pub fn free_space_floor(self, free_space_floor: u64) -> Self {
        Self { free_space_floor, ..self }
    }

    /// How long a content that nothing uses any more is kept; 10 minutes unless set.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace: i64::try_from(grace.as_millis()).unwrap_or(i64::MAX), ..self }
    }

    /// Whether downloads are checked against their digest; they are unless set.
    #[must_use]
    pub fn verify_on_read(self, verify_on_read: VerifyOnRead) -> Self {
        Self { verify_on_read, ..self }
    }

    /// Who runs maintenance; a thread of the store unless set.
    #[must_use]
    pub fn background(self, background: Background) -> Self {
        Self { background, ..self }
    }

    /// What one package file may cost to read; see [`Limits`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Bytes of memory for all package files that are read at one time; 256 MiB unless set.
    #[must_use]
    pub fn inspection_memory(self, inspection_memory: u64) -> Self {
        Self { inspection_memory, ..self }
    }

    /// How long a suspiciously costly package file may be read; 20 seconds unless set.
    #[must_use]
    pub fn costly_inspection_time(self, costly_inspection_time: Duration) -> Self {
        Self { costly_inspection_time, ..self }
    }

    /// Where the time comes from; the system unless set.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// What tests leave out.
    #[cfg_attr(not(feature = "sim"), expect(clippy::unused_self, reason = "only tests set it"))]
    pub(crate) fn switches(&self) -> Switches {
        Switches {
            #[cfg(feature = "sim")]
            mutations: self.mutations,
        }
    }

    /// What embedded history names as the tool; `hayloft/VERSION` unless set.
    #[must_use]
    pub fn tool(self, tool: impl Into<String>) -> Self {
        Self { tool: tool.into(), ..self }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: Create::IfMissing,
            mode: OpenMode::ReadWrite,
            inline_limit: 16_000,
            cache: 64 << 20,
            log: LogOptions::default(),
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
            #[cfg(feature = "sim")]
            mutations: crate::StoreMutations::default(),
        }
    }
}
