use hayloft_feed::json::quoted;

use super::Package;
use super::containers::{Directories, borrowed, gzip, tar};

pub(super) fn package(package: &Package) -> Vec<u8> {
    let manifest = format!(
        "{{\n  \"name\": {},\n  \"version\": {},\n  \"description\": \"A package for tests\",\n  \
         \"main\": \"index.js\",\n  \"license\": \"MIT\"{}\n}}\n",
        quoted(&package.name),
        quoted(&package.version),
        package.json_fields()
    );
    let index = format!("module.exports = {};\n", quoted(&package.version));
    let files = [
        ("package/package.json", manifest.as_bytes()),
        ("package/index.js", index.as_bytes()),
        ("package/README.md", b"# For tests\n".as_slice()),
    ];
    gzip(&tar(files.into_iter().chain(borrowed(&package.files)), Directories::Implied))
}
