use hayloft_feed::json::quoted;

use super::Package;
use super::containers::{borrowed, zip};

pub(super) fn package(package: &Package) -> Vec<u8> {
    let manifest = manifest(package, "");
    let readme = format!("{} {}\n", package.name, package.version);
    zip([("upack.json", manifest.as_bytes()), ("package/README.txt", readme.as_bytes())]
        .into_iter()
        .chain(borrowed(&package.files)))
}

pub(super) fn virtual_package(package: &Package, contents: &str) -> Vec<u8> {
    let manifest = manifest(package, &format!(",\n  \"contents\": {contents}"));
    zip([("upack.json", manifest.as_bytes())].into_iter().chain(borrowed(&package.files)))
}

fn manifest(package: &Package, contents: &str) -> String {
    format!(
        "{{\n  \"group\": {},\n  \"name\": {},\n  \"version\": {}{}{contents}\n}}\n",
        quoted(&package.group),
        quoted(&package.name),
        quoted(&package.version),
        package.json_fields()
    )
}
