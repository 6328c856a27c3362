use hayloft_http::wire::HealthInfo;

use super::{PLACE, listing};
use crate::arguments::{Command, Invocation};
use crate::connection::{Connection, Method, Payload, Request, Target, parse};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command =
    Command::action("health", "Checks that a server or store works", PLACE, health);

fn health(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let (text, info) = ask(&connection)?;
    let statuses = [&info.database_status, &info.license_status, &info.service_status];
    let healthy = statuses.iter().all(|status| *status == "OK");
    if console.is_json() {
        listing::value(console, &text)?;
        return if healthy { Ok(()) } else { Err(Failure::Told) };
    }
    let checked = format!("Checking {}...", connection.place());
    if healthy {
        console.line(format_args!("{checked}all OK"))?;
    } else {
        console.error(format_args!("{checked}not OK"));
    }
    console.line(format_args!("Version: {} ({})", info.release_number, info.version_number))?;
    if let Some(version) = &info.hayloft_version {
        console.line(format_args!("Hayloft: {version}"))?;
    }
    console.line("")?;
    let rows = [
        ("Database:", &info.database_status, &info.database_status_details),
        ("License: ", &info.license_status, &info.license_status_detail),
        ("Service: ", &info.service_status, &info.service_status_detail),
    ];
    for (name, status, detail) in rows {
        let detail = detail.as_deref().filter(|detail| !detail.is_empty());
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        console.line(format_args!("{name} {status}{detail}"))?;
    }
    if healthy { Ok(()) } else { Err(Failure::Told) }
}

/// The answer, whatever its status: an ill server says 500 and the same object.
pub(crate) fn ask(connection: &Connection) -> Result<(String, HealthInfo), Failure> {
    let target = Target::new(&["health"]);
    let request = Request { method: Method::Get, target, payload: Payload::Nothing };
    let answer = connection.send_unchecked(request)?;
    let status = answer.status;
    let text = answer.text()?;
    match parse(&text) {
        Ok(info) => Ok((text, info)),
        Err(_) if status >= 400 => Err(Failure::Server { status, body: text }),
        Err(failure) => Err(failure),
    }
}
