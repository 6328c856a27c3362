/// How commits go through the log. The defaults suit a server; every number is a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// Where new commits go. A log that exists is replayed in any case.
    pub commits: Commits,
    /// Bytes of each of the two halves of a log that is made anew. A half is moved into the
    /// metadata file once it is half full.
    pub half: u64,
    /// Who moves a half into the metadata file.
    pub checkpoints: Checkpoints,
    /// Bytes that must be free, beside room for the rows, for a half to be moved.
    pub spare: u64,
    /// What is done with a log that is damaged.
    pub damaged: DamagedLog,
    /// Rows of tables that only a newer release knows are left out: for who reads only.
    pub(crate) leaves_out_unknown: bool,
    /// Steps that are left out.
    #[cfg(feature = "sim")]
    pub mutations: super::LogMutations,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            commits: Commits::Log,
            half: 8 << 20,
            checkpoints: Checkpoints::Thread,
            spare: 16 << 20,
            damaged: DamagedLog::Refuse,
            leaves_out_unknown: false,
            #[cfg(feature = "sim")]
            mutations: super::LogMutations::default(),
        }
    }
}

/// Where new commits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// Into a log in front of the metadata file: the cost of a commit does not follow the size of
    /// that file.
    Log,
    /// Into the metadata file. A log that exists is taken in and removed.
    Metadata,
}

/// Who moves rows from the log into the metadata file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoints {
    /// A thread of the log.
    Thread,
    /// Whoever commits when a half has become half full: the order of events is then always the
    /// same.
    Caller,
}

/// What is done with a log that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamagedLog {
    /// The store is not opened.
    Refuse,
    /// The log is copied to the directory `quarantine` and given up from the first record that
    /// cannot be read.
    Quarantine,
}
