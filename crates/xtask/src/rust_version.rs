use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::root;

/// Fails if a dependency says that it needs a newer Rust than the workspace does. That the crates
/// themselves use nothing newer is what the lint `incompatible_msrv` sees to.
pub(crate) fn check() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .arg(format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH))
        .current_dir(root())
        .output()
        .context("cargo cannot be asked")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("cargo lists no packages")?;
    let ours = packages.iter().find(|package| package["name"] == "hayloft");
    let ours = ours.context("there is no crate `hayloft`")?["rust_version"].clone();
    let limit = number(ours.as_str().context("the workspace states no rust-version")?)?;
    let mut newer = Vec::new();
    for package in packages {
        if let Some(version) = package["rust_version"].as_str()
            && number(version)? > limit
        {
            newer.push(format!("{} needs {version}", package["name"]));
        }
    }
    if !newer.is_empty() {
        bail!("the workspace is for {ours}, but {}", newer.join(", "));
    }
    eprintln!("{} crates are content with Rust {ours}", packages.len());
    Ok(())
}

/// `1.90` or `1.90.0` as a pair.
fn number(version: &str) -> Result<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("`{version}` is no version of Rust"),
    }
}
