use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::connection::{Answer, parse};
use crate::console::Console;
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

/// Prints one JSON value of the API as it came, on a line.
pub(super) fn value(console: &mut Console, text: &str) -> Result<(), Failure> {
    let value: &RawValue = parse(text)?;
    console.json(value.get())?;
    console.json("\n")
}
