use hayloft_http::wire::{Artifact, PackageMetadata, StatusObject};
use serde::Deserialize;

use super::package::PackageVersion;
use crate::arguments::Invocation;
use crate::commands::listing;
use crate::connection::{Connection, parse};
use crate::console::Console;
use crate::failure::Failure;

/// What other servers know about a package and Hayloft does not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assessed {
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
    #[serde(default)]
    licenses: Vec<License>,
    compliance_report: Option<Compliance>,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: String,
    summary: String,
}

#[derive(Deserialize)]
struct License {
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compliance {
    analysis_result: String,
}

pub(super) fn metadata(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let text = connection.fetch(package.target(&feed, "metadata"))?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let found: PackageMetadata = parse(&text)?;
    console.line(format_args!("{} {}", found.name, found.version))?;
    if let Some(published) = &found.published {
        let by = found.published_by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        console.line(format_args!(" Published: {published}{by}"))?;
    }
    if let Some(size) = found.size {
        console.line(format_args!(" Size: {size} bytes"))?;
    }
    if let Some(downloads) = found.downloads {
        console.line(format_args!(" Downloads: {downloads}"))?;
    }
    console.line(format_args!(" Status: {:?}{}", found.state, flags(found.status.as_ref())))?;
    let assessed: Assessed = parse(&text)?;
    for Vulnerability { id, summary } in &assessed.vulnerabilities {
        console.line(format_args!(" Vulnerability: {id}: {summary}"))?;
    }
    if let Some(artifacts) = found.artifacts.filter(|artifacts| !artifacts.is_empty()) {
        console.line(format_args!(" Artifacts ({}):", artifacts.len()))?;
        for artifact in &artifacts {
            console.line(format_args!("  {}", artifact_line(artifact)))?;
        }
    }
    if let Some(report) = assessed.compliance_report {
        console.line(format_args!(" Compliance: {}", report.analysis_result))?;
    }
    let licenses: Vec<&str> = assessed.licenses.iter().map(|each| each.code.as_str()).collect();
    let licenses =
        if licenses.is_empty() { "none/unknown".to_owned() } else { licenses.join(", ") };
    console.line(format_args!(" License: {licenses}"))
}

fn flags(status: Option<&StatusObject>) -> String {
    let Some(status) = status else { return String::new() };
    let flags = [
        (!status.listed, "Unlisted"),
        (status.deprecated, "Deprecated"),
        (status.allow_download == Some(false), "Download Blocked"),
    ];
    let set: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    if set.is_empty() { String::new() } else { format!(" [{}]", set.join(", ")) }
}

fn artifact_line(artifact: &Artifact) -> String {
    let size = artifact.size.map(|size| format!(" ({size} bytes)")).unwrap_or_default();
    let name = artifact.name.as_deref().unwrap_or(&artifact.qualifier);
    format!("{name}{size}")
}
