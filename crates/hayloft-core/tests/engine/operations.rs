//! What callers can do with a store, read in its source.

use std::collections::BTreeSet;
use std::path::Path;

/// Names of the methods that callers have of a store.
pub(crate) fn operations() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with("sim")).then_some(path));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("\nimpl Store {").skip(1) {
                let body = part.split("\n}").next().unwrap();
                for method in body.split("\n    pub fn ").skip(1) {
                    let (name, rest) = method.split_once('(').unwrap();
                    if rest.trim_start().starts_with("&self") {
                        found.insert(name.split('<').next().unwrap().to_owned());
                    }
                }
            }
        }
    }
    found
}
