use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

const PROGRAM: &str = "hayloft-cli";

/// A `CycloneDX` document of the crates that are compiled into the program, out of what
/// `cargo metadata` says. Same input, same document: no time, no random number.
pub(super) fn of(metadata: &Value) -> Result<Value> {
    let array = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> = array(metadata, "packages")
        .into_iter()
        .map(|package| (text(&package, "id"), package))
        .collect();
    let nodes: BTreeMap<String, Value> = array(&metadata["resolve"], "nodes")
        .into_iter()
        .map(|node| (text(&node, "id"), node))
        .collect();
    let program = packages.values().find(|package| text(package, "name") == PROGRAM);
    let program = program.context("cargo does not know the program")?;
    let mut open = vec![text(program, "id")];
    let mut seen = BTreeSet::new();
    let mut dependencies = BTreeMap::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = nodes.get(&id).context("a crate is not resolved")?;
        let needed: BTreeSet<String> = array(node, "deps")
            .iter()
            // Neither for tests nor for build scripts.
            .filter(|dependency| {
                array(dependency, "dep_kinds").iter().any(|it| it["kind"].is_null())
            })
            .map(|dependency| text(dependency, "pkg"))
            .collect();
        open.extend(needed.iter().cloned());
        dependencies.insert(id, needed);
    }
    let url = |id: &String| packages.get(id).map(purl).unwrap_or_default();
    let mut components: Vec<Value> = seen
        .iter()
        .filter_map(|id| packages.get(id))
        .filter(|package| text(package, "name") != PROGRAM)
        .map(|package| {
            json!({
                "type": "library", "bom-ref": purl(package), "name": package["name"],
                "version": package["version"], "purl": purl(package),
                "licenses": [{ "expression": text(package, "license").replace('/', " OR ") }],
            })
        })
        .collect();
    components.sort_by_key(|component| text(component, "purl"));
    let dependencies: Vec<Value> = dependencies
        .iter()
        .map(|(id, needed)| {
            json!({ "ref": url(id), "dependsOn": needed.iter().map(url).collect::<Vec<_>>() })
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": {
            "type": "application", "bom-ref": purl(program), "name": "hayloft",
            "version": program["version"], "purl": purl(program),
        } },
        "components": components, "dependencies": dependencies,
    }))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version").replace('+', "%2B"))
}
