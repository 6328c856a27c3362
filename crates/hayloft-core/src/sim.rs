//! A simulated disk that loses power, for tests of everything that has to survive it.
//!
//! [`SimFs`] keeps files in memory the way a disk does: what was written lies in a cache until it
//! is flushed, and a power cut keeps of the cache whatever the seed says. Names are as volatile as
//! bytes. The metadata engine runs on the same files, so one counter covers every change.
//!
//! - [`SimFs::images`] hands out the disk as it was before each change, and [`SimImage::reboot`]
//!   what a power cut at that moment leaves: a history is run once and judged at every step.
//! - [`SimFs::crash_at`] cuts the power in the running program, and [`SimFs::reboot`] brings it back.
//! - [`Fault`] makes the n-th call fail.
//! - [`Mutations`], [`StoreMutations`](crate::StoreMutations), [`LogMutations`](crate::LogMutations)
//!   and [`Store::skip_pins`](crate::Store::skip_pins) leave out a step of the store's
//!   protocol, to prove that tests would notice.
//!
//! All choices follow from one seed.

mod content;
mod disk;
mod fault;
mod file;
mod fs;
mod log;
mod random;
mod store;

pub use disk::SimImage;
pub use fault::{Fault, FaultKind, Lasting};
pub use fs::{Mutations, SimFs};
pub use log::{log_body, log_record, read_log, read_log_body, read_record, tables};
pub use random::Random;

/// The seed to begin with: `HAYLOFT_SIM_SEED` if it is set, to replay a failure, else `otherwise`.
pub fn seed(otherwise: u64) -> u64 {
    std::env::var("HAYLOFT_SIM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
