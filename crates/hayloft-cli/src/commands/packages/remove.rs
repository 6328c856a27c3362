use hayloft_http::wire::PackageVersionInfo;
use serde_json::{Value, json};

use super::full_name;
use super::package::PackageVersion;
use super::{
    ARCH, COMPONENT, DISTRO, FILE_NAME, NO_CONNECTORS, ONE_WORDS, PACKAGE, PLATFORM, QUALIFIER,
    VERSION,
};
use crate::arguments::{Command, Invocation};
use crate::commands::going::{self, DRY_RUN, Going, YES};
use crate::connection::{Connection, Target};
use crate::console::Console;
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "delete",
    "Deletes a package",
    &[
        PACKAGE.required(),
        VERSION.required(),
        YES,
        DRY_RUN,
        QUALIFIER,
        ARCH,
        DISTRO,
        COMPONENT,
        FILE_NAME,
        PLATFORM,
        NO_CONNECTORS,
    ],
    delete,
)
.words(ONE_WORDS)
.examples(&["hayloft packages delete dev tools@1.0.0"]);

fn delete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    package.check(&connection, &feed, invocation)?;
    let object = |deleted: bool| -> Value {
        json!({
            "feed": feed, "group": package.group, "name": package.name,
            "version": package.version, "qualifier": package.qualifier, "deleted": deleted,
        })
    };
    let what = format!("{package} from {feed}");
    if going::is_shown(invocation, console) {
        let going = files(&connection, &package, &feed)?;
        if !going::allowed(invocation, console, &what, &going)? {
            return console.value(&object(false));
        }
    }
    console.say(format_args!("Deleting {package} from {feed} feed..."))?;
    connection.post(package.target(&feed, "delete"))?;
    console.say("Package deleted.")?;
    console.value(&object(true))
}

/// The files of the version, or the one that the qualifier names.
fn files(connection: &Connection, package: &PackageVersion, feed: &str) -> Result<Going, Failure> {
    let target = Target::new(&["api", "packages", feed, "versions"])
        .query("group", package.group.as_deref())
        .query("name", Some(&package.name))
        .query("version", Some(&package.version));
    let mut going = Going::default();
    connection.fetch(target)?.each(&mut |element| {
        let file: PackageVersionInfo = crate::connection::parse(element.get())?;
        if package.qualifier.is_none() || package.qualifier == file.qualifier {
            going.add(format!("{} {}", full_name(&file), file.version), file.size);
        }
        Ok(())
    })?;
    Ok(going)
}
