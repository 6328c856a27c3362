use hayloft_http::wire::SettingInfo;

use super::{PLACE, listing};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Connection, Target};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::group(
    "settings",
    "Settings of the server or store",
    PLACE,
    &[
        Command::action(
            "list",
            "Lists settings with their values",
            &[
                Opt::flag("expanded", "Also type and description"),
                Opt::flag("show-all", "Also settings without a value").hidden(),
            ],
            list,
        ),
        Command::action(
            "set",
            "Changes one setting",
            &[
                Opt::text("name", "Name of the setting").required(),
                Opt::text("value", "New value; without one the default"),
            ],
            set,
        )
        .words(&[Word::Value("name"), Word::Value("value")]),
    ],
);

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let all = if invocation.flag("show-all") { "True" } else { "False" };
    let target = Target::new(&["api", "settings", "list"]).query("showAll", Some(all));
    let expanded = invocation.flag("expanded");
    listing::list(console, connection.fetch(target)?, |console, item: SettingInfo| {
        let value = item.value.as_deref().unwrap_or_default();
        if !expanded {
            return console.line(format_args!("{}={value}", item.name));
        }
        console.line(&item.name)?;
        console.line(format_args!("  Type: {}", item.value_type))?;
        console.line(format_args!("  Desc: {}", item.description.unwrap_or_default()))?;
        console.line(format_args!("  Value: {value}"))
    })?;
    Ok(())
}

fn set(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let target = Target::new(&["api", "settings", "set"])
        .query("name", Some(invocation.required("name")?))
        .query("value", invocation.text("value"));
    connection.post(target)?;
    Ok(())
}
