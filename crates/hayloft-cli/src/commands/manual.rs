//! `hayloft manual`: manual pages, for those who package the program.

use std::path::Path;

use fs_err as fs;
use serde_json::json;

use super::ROOT;
use crate::arguments::{Command, Invocation, Opt, Page, Word, pages};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "manual",
    "Writes manual pages of all commands",
    &[Opt::text("directory", "Directory for the pages, such as man/man1").required()],
    manual,
)
.words(&[Word::Value("directory")])
.examples(&["hayloft manual ~/.local/share/man/man1"]);

fn manual(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let directory = Path::new(invocation.required("directory")?);
    let cannot = || format!("write to `{}`", directory.display());
    fs::create_dir_all(directory).map_err(Failure::io(cannot()))?;
    let pages = pages(&ROOT);
    for Page { name, text } in &pages {
        let path = directory.join(format!("{name}.1"));
        fs::write(path, text).map_err(Failure::io(cannot()))?;
    }
    console.say(format_args!("{} pages are in {}.", pages.len(), directory.display()))?;
    console.value(&json!({ "directory": directory, "pages": pages.len() }))
}
