use hayloft_http::wire::AuditResult;

use super::package::PackageVersion;
use crate::arguments::Invocation;
use crate::commands::listing;
use crate::connection::{Connection, parse};
use crate::console::Console;
use crate::failure::Failure;

/// The original takes every result for an error; here those are that say so.
pub(super) fn audit(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    console.say(format_args!("Checking {package}..."))?;
    let text = connection.post(package.target(&feed, "audit"))?.text()?;
    let result: AuditResult = parse(&text)?;
    if console.is_json() {
        listing::value(console, &text)?;
    }
    let complies = matches!(result.result_code.as_deref(), None | Some("C" | "W"));
    if complies {
        console.line(&result.status_text)?;
    } else {
        console.flush()?;
        console.error(&result.status_text);
    }
    if let Some(detail) = &result.detail {
        console.line(detail)?;
    }
    if complies { Ok(()) } else { Err(Failure::Told) }
}
