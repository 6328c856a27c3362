use serde_json::json;

use super::package::PackageVersion;
use crate::arguments::Invocation;
use crate::connection::Connection;
use crate::console::Console;
use crate::failure::Failure;

pub(super) fn delete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    package.check(&connection, &feed, invocation)?;
    console.line(format_args!("Deleting {package} from {feed} feed..."))?;
    connection.post(package.target(&feed, "delete"))?;
    console.line("Package deleted.")?;
    console.value(&json!({
        "feed": feed, "group": package.group, "name": package.name, "version": package.version,
        "qualifier": package.qualifier, "deleted": true,
    }))
}
