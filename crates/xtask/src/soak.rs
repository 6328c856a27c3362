use anyhow::{Context, Result, bail};

use crate::run::Step;
use crate::tools;

/// Runs the soak for longer than the tests do.
pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    let mut minutes = 1;
    let mut seed = None;
    let mut is_large = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--minutes" => minutes = number(rest.next())?,
            "--seed" => seed = Some(number(rest.next())?),
            "--large" => is_large = true,
            other => bail!("soak knows no `{other}`; see `cargo xtask help`"),
        }
    }
    let seconds = minutes.checked_mul(60).context("these are too many minutes")?;
    let tools = tools::install()?;
    Step::cargo(["build", "-p", "hayloft-cli"]).run()?;
    let mut soak = Step::cargo(["test", "-p", "hayloft-tests", "--test", "soak", "--"])
        .args(["--nocapture"])
        .env("HAYLOFT_SOAK_SECONDS", seconds.to_string())
        .envs(tools.environment());
    if let Some(seed) = seed {
        soak = soak.env("HAYLOFT_SIM_SEED", seed.to_string());
    }
    soak.run()?;
    if is_large {
        Step::cargo(["test", "-p", "hayloft-core", "--features", "sim", "--test", "large", "--"])
            .args(["--ignored", "--nocapture"])
            .run()?;
    }
    Ok(())
}

fn number(argument: Option<&String>) -> Result<u64> {
    let text = argument.context("--minutes and --seed need a number")?;
    text.parse().with_context(|| format!("`{text}` is no number"))
}
