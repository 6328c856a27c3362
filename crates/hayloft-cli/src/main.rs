//! The `hayloft` command with the feed types of this tree.

use std::process::ExitCode;

fn main() -> ExitCode {
    hayloft_cli::run(hayloft::feed_types(), Vec::new())
}
