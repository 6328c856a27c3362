//! Ctrl-C in the middle of a command.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use fs_err as fs;

use crate::manner::{Ending, Manner};

/// Files that are not finished.
static DRAFTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

static LISTENING: Once = Once::new();

/// From now on Ctrl-C removes unfinished files and ends the process, as the original does. A store
/// needs no more care: it survives the end of its process at any moment.
pub(crate) fn listen() {
    LISTENING.call_once(start);
}

fn start() {
    // Without the thread, Ctrl-C ends the process in the system's way.
    let _ = thread::Builder::new().name("interrupt".to_owned()).spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
            return;
        };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            let _ = writeln!(std::io::stderr(), "Operation canceled.");
            let drafts = DRAFTS.lock().unwrap_or_else(PoisonError::into_inner);
            for draft in drafts.iter() {
                let _ = fs::remove_file(draft);
            }
            std::process::exit(Manner::current().status(Ending::Interrupted).into());
        }
    });
}

/// An unfinished file, which goes away with the process as long as this is held.
pub(crate) struct Draft(PathBuf);

impl Draft {
    pub(crate) fn at(path: &Path) -> Self {
        DRAFTS.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        DRAFTS.lock().unwrap_or_else(PoisonError::into_inner).retain(|draft| *draft != self.0);
    }
}
