use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::connection::{Answer, parse};
use crate::console::{Console, Table};
use crate::failure::Failure;

/// Prints a list as it arrives: `line` for each element, or the very elements as JSON, one a line.
/// Returns how many there were.
pub(super) fn list<T: DeserializeOwned>(
    console: &mut Console,
    answer: Answer,
    mut line: impl FnMut(&mut Console, T) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut count = 0;
    answer.each(&mut |element| {
        if console.is_json() {
            console.json(if count == 0 { "[\n" } else { ",\n" })?;
            console.json(element.get())?;
        } else {
            let element = serde_json::from_str(element.get()).map_err(|error| {
                anyhow::Error::new(error).context("an element of the list cannot be read")
            })?;
            line(console, element)?;
        }
        count += 1;
        Ok(())
    })?;
    if console.is_json() {
        console.json(if count == 0 { "[]\n" } else { "\n]\n" })?;
    }
    Ok(count)
}

/// The same, as a table under these heads where tables are wanted.
pub(super) fn table<T: DeserializeOwned>(
    console: &mut Console,
    answer: Answer,
    heads: &'static [&'static str],
    row: impl Fn(&T) -> Vec<String>,
    mut line: impl FnMut(&mut Console, T) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut table = console.is_table().then(|| Table::new(heads));
    let count = list(console, answer, |console, item: T| match &mut table {
        Some(table) => table.row(console, row(&item)),
        None => line(console, item),
    })?;
    if let Some(table) = table {
        table.finish(console)?;
    }
    Ok(count)
}

/// Prints one JSON value of the API as it came, on a line.
pub(super) fn value(console: &mut Console, text: &str) -> Result<(), Failure> {
    let value: &RawValue = parse(text)?;
    console.json(value.get())?;
    console.json("\n")
}
