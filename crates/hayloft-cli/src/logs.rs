use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Writes what the libraries log to standard error: by default from `level` on, else what the
/// environment variable `HAYLOFT_LOG` selects, such as `debug` or `hayloft_core=trace`.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::try_from_env("HAYLOFT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}
