use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::finish;

/// The `hayloft` program, told where to work and kept from the settings of whoever runs the tests.
#[derive(Debug, Clone)]
pub struct Hayloft {
    place: Vec<String>,
    home: PathBuf,
}

impl Hayloft {
    /// On a store in this directory.
    pub fn on_store(directory: &Path) -> Self {
        let place = vec![format!("--store={}", directory.display())];
        Self { place, home: directory.with_extension("home") }
    }

    /// The program: `HAYLOFT_BIN`, else what Cargo built beside the tests.
    pub fn path() -> PathBuf {
        let beside = || {
            let test = env::current_exe().unwrap();
            test.ancestors().nth(2).unwrap().join("hayloft")
        };
        let path = env::var_os("HAYLOFT_BIN").map_or_else(beside, PathBuf::from);
        assert!(
            path.exists(),
            "there is no {}: run `cargo build -p hayloft-cli`, or these tests by `cargo xtask test`",
            path.display()
        );
        path
    }

    /// As [`Self::command`], saying no store.
    pub fn free_command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        Self { place: Vec::new(), home: self.home.clone() }.command(arguments)
    }

    /// A command of the program, not yet started.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        fs_err::create_dir_all(self.home.join("config")).unwrap();
        let mut command = Command::new(Self::path());
        command
            .args(arguments)
            .args(&self.place)
            .env_remove("HAYLOFT_STORE")
            .env_remove("HAYLOFT_ADMIN_KEY")
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("USER", "tester")
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        let mut command = self.command(arguments);
        let output = finish(&mut command);
        Ran {
            line: format!("{:?}", command.get_args().collect::<Vec<_>>()),
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output of a command that must succeed.
    pub fn ok<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        String::from_utf8(self.run(arguments).success()).unwrap()
    }

    /// The JSON that a command that must succeed prints.
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let ran = self.run(arguments);
        let line = ran.line.clone();
        let stdout = ran.success();
        serde_json::from_slice(&stdout).unwrap_or_else(|error| {
            panic!("{line} printed no JSON: {error}\n{}", String::from_utf8_lossy(&stdout))
        })
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    line: String,
    code: Option<i32>,
    /// As printed.
    pub stdout: Vec<u8>,
    /// As printed.
    pub stderr: String,
}

impl Ran {
    /// Standard output; panics unless the exit code is 0.
    pub fn success(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}:\n{}", self.line, self.stderr);
        self.stdout
    }

    /// How it ended; `None` if by a signal.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// What a failed command says is wrong, without its hints: panics unless the exit code is 1 and
    /// the text is one line that a person can use.
    pub fn refusal(self) -> String {
        let lines = self.stderr.trim().lines().filter(|line| !line.starts_with("hint: "));
        let text = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(self.code, Some(1), "{}:\n{text}", self.line);
        assert!(text.len() > 20, "{}: says too little: {text}", self.line);
        assert_eq!(text.lines().count(), 1, "{}:\n{text}", self.line);
        for word in ["panicked", "its log has the cause", "internal error"] {
            assert!(!text.contains(word), "{}: {text}", self.line);
        }
        text
    }
}
