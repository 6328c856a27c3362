//! Under which name the program runs: as `pgutil` it keeps that program's habits where people would
//! rather have others.

use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Hayloft,
    /// Scripts compare status and text.
    Pgutil,
}

/// How a run ended, for the one who started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    Success,
    /// What was asked for was not done, or a check found something.
    Failed,
    /// The command line is wrong.
    Misused,
    /// A check could not be made.
    Unchecked,
    /// The usage was asked for.
    Explained,
    /// The command needs a further word.
    Incomplete,
    /// Ctrl-C.
    Interrupted,
}

impl Manner {
    /// By the name that the program was called by.
    pub(crate) fn current() -> Self {
        static CURRENT: OnceLock<Manner> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let name = std::env::args_os().next().unwrap_or_default();
            let name = Path::new(&name).file_stem().unwrap_or_default();
            if name.eq_ignore_ascii_case("pgutil") { Self::Pgutil } else { Self::Hayloft }
        })
    }

    /// The status of the process.
    pub(crate) fn status(self, ending: Ending) -> u8 {
        match (self, ending) {
            (_, Ending::Success) | (Self::Hayloft, Ending::Explained) => 0,
            (_, Ending::Incomplete) | (Self::Hayloft, Ending::Failed) => 1,
            (_, Ending::Unchecked) | (Self::Hayloft, Ending::Misused) => 2,
            (Self::Hayloft, Ending::Interrupted) => 130,
            // -1 there.
            (Self::Pgutil, _) => 255,
        }
    }
}
