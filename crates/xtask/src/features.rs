use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{Step, root};

/// Feature sets that a crate is compiled with by itself, and dependencies that they must not bring.
const SETS: &[(&str, &str, &[&str])] = &[
    ("hayloft", "", &[]),
    ("hayloft", "debian", &[]),
    ("hayloft", "npm", &[]),
    ("hayloft", "nuget", &[]),
    ("hayloft", "pypi", &[]),
    ("hayloft", "rubygems", &[]),
    ("hayloft", "universal", &[]),
    ("hayloft-http", "", &["rustls", "tokio-rustls", "utoipa"]),
    ("hayloft-http", "serve", &["rustls", "tokio-rustls", "utoipa"]),
    ("hayloft-http", "tls", &["utoipa"]),
    ("hayloft-http", "openapi", &["rustls", "tokio-rustls"]),
];

/// Compiles each set, and looks for what it must leave out.
pub(crate) fn check() -> Result<()> {
    for (package, features, absent) in SETS {
        let chosen = ["-p", package, "--no-default-features", "--features", features];
        Step::cargo(["check"]).args(chosen).run()?;
        if !absent.is_empty() {
            leaves_out(&chosen, absent)?;
        }
    }
    Ok(())
}

fn leaves_out(chosen: &[&str], absent: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--edges=normal", "--prefix=none", "--format={p}"])
        .args(chosen)
        .current_dir(root())
        .output()
        .context("cargo cannot be asked")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let tree = String::from_utf8(output.stdout)?;
    let brought = |name: &&&str| tree.lines().any(|line| line.split(' ').next() == Some(**name));
    if let Some(name) = absent.iter().find(brought) {
        bail!("cargo tree {} has {name}, which it should leave out", chosen.join(" "));
    }
    Ok(())
}
