//! The `hayloft` command: package feeds in a store on this machine, or on a server.
//!
//! Every command is requests of the Packages API. They go to a server, or to the same router in
//! this process over a store on this machine; commands do not know which. Words, options, output
//! and exit codes are those of pgutil where it has them.

mod arguments;
mod commands;
mod connection;
mod console;
#[cfg(unix)]
mod control;
mod failure;
mod interrupt;
mod kinds;
mod logs;
mod manner;
mod sources;

use std::process::ExitCode;
use std::sync::Arc;

use hayloft::FeedTypes;
use hayloft_http::native::Protocol;

use arguments::{Command, Mistake, Outcome, parse, usage};
use commands::ROOT;
use console::{Console, Shape};
use failure::Failure;
use manner::{Ending, Manner};

/// Runs the command on the arguments of this process: with these feed types, and with these
/// protocols of its server beside those that the types speak. The status is what the process is to
/// end with.
///
/// The whole program of who has a feed type of their own:
///
/// ```no_run
/// # use hayloft::feed_types as my_types;
/// fn main() -> std::process::ExitCode {
///     hayloft_cli::run(my_types(), Vec::new()) // hayloft::feed_types().with(MyType)
/// }
/// ```
///
/// For one call in a process: a second one gets the types of the first.
pub fn run(types: FeedTypes, protocols: Vec<Arc<dyn Protocol>>) -> ExitCode {
    kinds::are(types, protocols);
    let mut console = Console::new();
    let outcome = parse(&ROOT, std::env::args_os().skip(1));
    let ending = carry_out(outcome, &mut console);
    ExitCode::from(Manner::current().status(ending))
}

fn carry_out(outcome: Outcome, console: &mut Console) -> Ending {
    let ending = answer(outcome, console).and_then(|ending| {
        console.flush()?;
        Ok(ending)
    });
    ending.unwrap_or_else(|failure| {
        let _ = console.flush();
        if !failure.is_told() {
            console.fail(&failure);
        }
        failure.ending()
    })
}

fn answer(outcome: Outcome, console: &mut Console) -> Result<Ending, Failure> {
    match outcome {
        Outcome::Run(invocation, action) => {
            match (invocation.flag("json"), invocation.text("format")) {
                (true, _) | (_, Some("json")) => console.speak_json(),
                (_, Some("table")) => console.shape(Shape::Table),
                (_, Some("plain")) => console.shape(Shape::Plain),
                _ => {}
            }
            if invocation.flag("quiet") {
                console.hush();
            }
            match action(&invocation, console) {
                Err(Failure::Arguments(mistakes)) => {
                    Ok(mistaken(invocation.path(), mistakes, console))
                }
                ended => ended.map(|()| Ending::Success),
            }
        }
        Outcome::Mistakes { path, mistakes, json } => {
            if json {
                console.speak_json();
            }
            Ok(mistaken(&path, mistakes, console))
        }
        Outcome::Help(path) => {
            console.raw(&usage(&path))?;
            Ok(Ending::Explained)
        }
        Outcome::Incomplete(path) => {
            if path.len() == 1 {
                console.lines(concat!("hayloft ", env!("CARGO_PKG_VERSION"), "\n"))?;
            }
            console.raw(&usage(&path))?;
            Ok(Ending::Incomplete)
        }
        Outcome::Version => {
            console.line(concat!("hayloft ", env!("CARGO_PKG_VERSION")))?;
            Ok(Ending::Success)
        }
    }
}

/// The original prints the usage after the mistakes, which then scroll away.
fn mistaken(path: &[&'static Command], mistakes: Vec<Mistake>, console: &mut Console) -> Ending {
    let _ = console.flush();
    let words: Vec<&str> = path.iter().map(|command| command.name).collect();
    let failure = Failure::Arguments(mistakes);
    if Manner::current() == Manner::Pgutil {
        console.error(&failure);
        console.raw_error(&format!("\n{}\n", usage(path).trim_end()));
    } else {
        console.fail(&failure.advise(format!("see {} --help", words.join(" "))));
    }
    Ending::Misused
}
