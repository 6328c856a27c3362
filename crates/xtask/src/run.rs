use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where build results and downloaded tools go.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// One command of a chore, run at the root of the repository.
#[derive(Debug)]
pub(crate) struct Step(Command);

impl Step {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Self(command)
    }

    pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo).args(arguments)
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn envs(
        mut self,
        variables: impl IntoIterator<Item = (&'static str, PathBuf)>,
    ) -> Self {
        self.0.envs(variables);
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.0.current_dir(directory);
        self
    }

    /// Runs the command with its output shown; fails if it does.
    pub(crate) fn run(mut self) -> Result<()> {
        eprintln!("$ {}", self.line());
        let status = self.0.status().with_context(|| format!("cannot start {}", self.line()))?;
        if !status.success() {
            bail!("{} ended with {status}", self.line());
        }
        Ok(())
    }

    /// What the command prints; fails if it does.
    pub(crate) fn output(mut self) -> Result<String> {
        eprintln!("$ {}", self.line());
        let done = self.0.stderr(Stdio::inherit()).output();
        let done = done.with_context(|| format!("cannot start {}", self.line()))?;
        let printed = String::from_utf8_lossy(&done.stdout).into_owned();
        if !done.status.success() {
            bail!("{} ended with {}:\n{printed}", self.line(), done.status);
        }
        Ok(printed)
    }

    /// True if the command starts and succeeds; prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// The newest release, if there is one.
pub(crate) fn last_tag() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--tags", "--abbrev=0", "--match=v*"]).current_dir(root());
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
