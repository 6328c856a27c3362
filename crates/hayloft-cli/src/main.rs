//! The hayloft command.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("hayloft: no command is built into this release yet; use the library crates");
    ExitCode::FAILURE
}
