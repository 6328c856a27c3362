//! Steps that tests leave out, to prove that they would be missed.

use super::file::{ALIGN, Identity};
use super::record::Salt;

/// Steps of the log's protocol that are left out, so that tests can prove they would notice.
#[cfg(feature = "sim")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct LogMutations {
    /// A record is not flushed.
    pub skip_sync: bool,
    /// A commit is seen before its record is flushed.
    pub visible_before_sync: bool,
    /// A half is written again before the checkpoint of what it held has returned.
    pub recycle_early: bool,
    /// The position is stored in a commit of its own, before that of the rows.
    pub position_apart: bool,
    /// The last record is not written again when the log is opened.
    pub skip_rewrite: bool,
    /// A snapshot takes its two parts one after the other, with a checkpoint between.
    pub snapshot_in_two: bool,
    /// Records have no salt.
    pub skip_salt: bool,
    /// Records share pages.
    pub unaligned: bool,
    /// A log that is given up is removed before the row that asks for it.
    pub unlink_first: bool,
    /// No part of the last half is left to deletes.
    pub skip_reserve: bool,
}

/// The same, as the code asks for it; all off without the simulator.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Switches {
    #[cfg(feature = "sim")]
    pub(super) mutations: LogMutations,
}

crate::mutations::switches!(
    skip_sync,
    visible_before_sync,
    recycle_early,
    position_apart,
    skip_rewrite,
    snapshot_in_two,
    skip_salt,
    unaligned,
    unlink_first,
    skip_reserve,
);

impl Switches {
    pub(super) fn salt(self, identity: &Identity, generation: u64) -> Salt {
        if self.skip_salt() { Salt::default() } else { identity.salt(generation) }
    }

    pub(super) fn align(self) -> usize {
        if self.unaligned() { 512 } else { ALIGN }
    }
}
