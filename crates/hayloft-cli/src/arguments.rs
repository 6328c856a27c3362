//! The command line's grammar, its parser and its help.
//!
//! This is pgutil's grammar, which scripts rely on and which clap cannot be brought to: words of a
//! subcommand may stand anywhere between options, options of a parent may follow the words of its
//! children, a flag may be given a value that does not count, an empty value counts as absent, and
//! all mistakes are told at once.

mod complete;
mod grammar;
mod invocation;
mod manual;
mod mistake;
mod near;
mod parse;
mod usage;
mod words;

pub(crate) use complete::candidates;
pub(crate) use grammar::{Action, Command, Kind, Opt, Word};
pub(crate) use invocation::Invocation;
pub(crate) use manual::{Page, pages};
pub(crate) use mistake::Mistake;
pub(crate) use near::nearest;
pub(crate) use parse::{Outcome, parse};
pub(crate) use usage::usage;
