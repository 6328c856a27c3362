use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// One object with flat fields.
    Json,
}

impl Format {
    /// As an option names it.
    pub(crate) fn of(word: &str) -> Self {
        if word.eq_ignore_ascii_case("json") { Self::Json } else { Self::Text }
    }
}

/// Whether a filter can be read.
pub(crate) fn check(filter: &str) -> Result<(), Failure> {
    let read = EnvFilter::builder().parse(filter);
    read.map(drop).map_err(|error| Failure::option("log", error))
}

/// Writes what the libraries log to standard error, as far as the filter lets it through, such as
/// `debug` or `hayloft_core=trace`.
pub(crate) fn start(filter: &str, format: Format) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && format == Format::Text)
        .with_target(false);
    // A second start in one process keeps the first.
    let _ = match format {
        Format::Text => log.try_init(),
        Format::Json => log.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// The same for commands that end soon: errors, or what `HAYLOFT_LOG` lets through.
pub(crate) fn start_for_command() {
    let filter = std::env::var("HAYLOFT_LOG").unwrap_or_else(|_| "error".to_owned());
    start(&filter, Format::Text);
}
