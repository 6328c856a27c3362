use std::sync::Arc;

use hayloft_core::{Background, Checkpoints, ManualClock, OpenOptions, Timestamp};

/// Nothing happens in such a store but what the test does, and nothing that is not used stays.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.inline_limit = 0;
    options.grace = 0;
    options.free_space_floor = 0;
    options.cache = 4 << 20;
    options.log.half = 32 << 10;
    options.log.checkpoints = Checkpoints::Caller;
    options.log.spare = 0;
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    options
}
