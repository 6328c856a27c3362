//! Calls that fail.

use std::io;

/// Makes a call of [`SimFs`](super::SimFs) fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Number of the call, from 1; the first from there on that can fail this way does.
    pub at: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// If later calls fail too.
    pub lasting: Lasting,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// `EIO`, of any call. A write may have got through in part; a failed flush loses what it
    /// will, and a later one does not bring that back.
    Io,
    /// `ENOSPC`, of calls that need room.
    NoSpace,
    /// `EDQUOT`, of calls that need room.
    Quota,
    /// `EMFILE`, of calls that open something.
    TooManyFiles,
    /// `EINTR`, of reads and writes. A lasting one hits every other call, or nothing would end.
    Interrupted,
    /// A write takes half of what it was given.
    ShortWrite,
    /// `EIO`, of flushes of files.
    FailedSync,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Io,
        Self::NoSpace,
        Self::Quota,
        Self::TooManyFiles,
        Self::Interrupted,
        Self::ShortWrite,
        Self::FailedSync,
    ];
}

/// How long a [`Fault`] lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// One call.
    Once,
    /// Until [`SimFs::clear_fault`](super::SimFs::clear_fault).
    Until,
}

/// What a caller asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Open,
    Create,
    Read,
    Write,
    SetLen,
    Sync,
    SyncDirectory,
    Rename,
    Remove,
    MakeDirectory,
    List,
    Look,
    Protect,
    Lock,
}

impl Call {
    /// True if the call can change what is on the disk.
    pub(super) fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::List | Self::Look | Self::Lock)
    }
}

/// What the disk does instead of the call.
#[derive(Debug)]
pub(super) enum Outcome {
    Fail(io::Error),
    Short,
}

/// A planned [`Fault`] and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    fault: Fault,
    fired: u64,
    skip: bool,
}

impl Plan {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, fired: 0, skip: false }
    }

    pub(super) fn fired(&self) -> bool {
        self.fired > 0
    }

    /// What happens to call `number`.
    pub(super) fn meet(&mut self, number: u64, call: Call) -> Option<Outcome> {
        let over = self.fault.lasting == Lasting::Once && self.fired > 0;
        if over || number < self.fault.at || !can_fail(self.fault.kind, call) {
            return None;
        }
        if self.fault.kind == FaultKind::Interrupted {
            self.skip = !self.skip;
            if !self.skip {
                return None;
            }
        }
        self.fired += 1;
        Some(match self.fault.kind {
            FaultKind::Io | FaultKind::FailedSync => Outcome::Fail(io::Error::from_raw_os_error(5)),
            FaultKind::NoSpace => Outcome::Fail(io::Error::from_raw_os_error(28)),
            FaultKind::Quota => Outcome::Fail(io::Error::from_raw_os_error(122)),
            FaultKind::TooManyFiles => Outcome::Fail(io::Error::from_raw_os_error(24)),
            FaultKind::Interrupted => Outcome::Fail(io::ErrorKind::Interrupted.into()),
            FaultKind::ShortWrite => Outcome::Short,
        })
    }
}

fn can_fail(kind: FaultKind, call: Call) -> bool {
    match kind {
        FaultKind::Io => true,
        FaultKind::NoSpace | FaultKind::Quota => matches!(
            call,
            Call::Create
                | Call::Write
                | Call::SetLen
                | Call::Sync
                | Call::Rename
                | Call::MakeDirectory
        ),
        FaultKind::TooManyFiles => matches!(
            call,
            Call::Open | Call::Create | Call::SyncDirectory | Call::List | Call::Lock
        ),
        FaultKind::Interrupted => matches!(call, Call::Read | Call::Write),
        FaultKind::ShortWrite => call == Call::Write,
        FaultKind::FailedSync => call == Call::Sync,
    }
}
