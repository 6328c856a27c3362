//! What a deletion takes along, shown before it goes.

use super::size;
use crate::arguments::{Invocation, Opt};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const YES: Opt = Opt::flag("yes", "Delete without asking");
pub(super) const DRY_RUN: Opt = Opt::flag("dry-run", "Show what would go, and delete nothing");

/// Names that are shown; of the rest only their number is.
const SHOWN: usize = 10;

/// What is to go.
#[derive(Debug, Default)]
pub(super) struct Going {
    names: Vec<String>,
    count: u64,
    bytes: u64,
    more: bool,
}

impl Going {
    /// One file more.
    pub(super) fn add(&mut self, name: String, bytes: u64) {
        if self.names.len() < SHOWN {
            self.names.push(name);
        }
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// How many files there are so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// There are more, which were not counted.
    pub(super) fn and_more(&mut self) {
        self.more = true;
    }

    fn total(&self) -> String {
        let (count, size) = (self.count, size::shown(self.bytes));
        match (count, self.more) {
            (0, false) => "no files".to_owned(),
            (1, false) => format!("1 file, {size}"),
            (_, false) => format!("{count} files, {size}"),
            (_, true) => format!("more than {count} files"),
        }
    }
}

/// Whether what goes has to be found out: for somebody who can be asked, or wants to know.
pub(super) fn is_shown(invocation: &Invocation, console: &Console) -> bool {
    invocation.flag("dry-run") || (!invocation.flag("yes") && console.is_conversation())
}

/// Shows what goes and asks; false if it was only to be shown.
pub(super) fn allowed(
    invocation: &Invocation,
    console: &mut Console,
    what: &str,
    going: &Going,
) -> Result<bool, Failure> {
    let dry = invocation.flag("dry-run");
    console.line(format_args!("{} {what}:", if dry { "Would delete" } else { "To delete" }))?;
    for name in &going.names {
        console.line(format_args!("  {name}"))?;
    }
    if going.count > going.names.len() as u64 || going.more {
        console.line("  ...")?;
    }
    console.line(format_args!("  {}", going.total()))?;
    if dry {
        return Ok(false);
    }
    if console.ask(format_args!("Delete {what}?"))? {
        Ok(true)
    } else {
        Err(Failure::text("nothing was deleted"))
    }
}
