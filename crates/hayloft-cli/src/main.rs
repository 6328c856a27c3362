//! The `hayloft` command: package feeds in a store on this machine, or on a server.
//!
//! Every command is requests of the Packages API. They go to a server, or to the same router in
//! this process over a store on this machine; commands do not know which. Words, options, output
//! and exit codes are those of pgutil where it has them.

mod arguments;
mod commands;
mod connection;
mod console;
mod failure;
mod interrupt;
mod logs;
mod sources;

use std::io::Write;
use std::process::ExitCode;

use arguments::{Outcome, parse, usage};
use commands::ROOT;
use console::Console;
use failure::Failure;

/// Every failure, and help: -1 in the original.
const FAILED: u8 = 255;
/// A command that needs a further word.
const INCOMPLETE: u8 = 1;

fn main() -> ExitCode {
    let mut console = Console::new();
    let outcome = parse(&ROOT, std::env::args_os().skip(1));
    let status = match answer(outcome, &mut console).and_then(|status| {
        console.flush()?;
        Ok(status)
    }) {
        Ok(status) => status,
        Err(Failure::Closed) => 0,
        Err(failure) => {
            let _ = console.flush();
            console.error(failure);
            FAILED
        }
    };
    ExitCode::from(status)
}

fn answer(outcome: Outcome, console: &mut Console) -> Result<u8, Failure> {
    match outcome {
        Outcome::Run(invocation, action) => {
            if invocation.flag("json") {
                console.speak_json();
            }
            match action(&invocation, console) {
                Ok(()) => Ok(0),
                Err(Failure::Told) => Ok(FAILED),
                Err(Failure::Arguments(mistakes)) => {
                    Ok(mistaken(invocation.path(), &mistakes, console))
                }
                Err(other) => Err(other),
            }
        }
        Outcome::Mistakes(path, mistakes) => Ok(mistaken(&path, &mistakes, console)),
        Outcome::Help(path) => {
            console.raw(&usage(&path))?;
            Ok(FAILED)
        }
        Outcome::Incomplete(path) => {
            if path.len() == 1 {
                console.lines(concat!("hayloft ", env!("CARGO_PKG_VERSION"), "\n"))?;
            }
            console.raw(&usage(&path))?;
            Ok(INCOMPLETE)
        }
        Outcome::Version => {
            console.line(concat!("hayloft ", env!("CARGO_PKG_VERSION")))?;
            Ok(0)
        }
    }
}

fn mistaken(
    path: &[&'static arguments::Command],
    mistakes: &[String],
    console: &mut Console,
) -> u8 {
    let _ = console.flush();
    for mistake in mistakes {
        console.error(mistake);
    }
    // As the original: usage goes where errors go.
    // Without a standard error there is nobody left to tell.
    let _ = writeln!(
        std::io::stderr(),
        "
{}",
        usage(path).trim_end()
    );
    FAILED
}
