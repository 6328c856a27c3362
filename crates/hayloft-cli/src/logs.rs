use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Whether a filter can be read.
pub(crate) fn check(filter: &str) -> Result<(), Failure> {
    let read = EnvFilter::builder().parse(filter);
    read.map(drop).map_err(|error| Failure::option("log", error))
}

/// Writes what the libraries log to standard error, as far as the filter lets it through, such as
/// `debug` or `hayloft_core=trace`.
pub(crate) fn start(filter: &str) {
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}

/// The same for commands that end soon: errors, or what `HAYLOFT_LOG` lets through.
pub(crate) fn start_for_command() {
    start(&std::env::var("HAYLOFT_LOG").unwrap_or_else(|_| "error".to_owned()));
}
