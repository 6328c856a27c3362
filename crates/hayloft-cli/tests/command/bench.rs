//! A directory with a home, and the program run in it.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Bench {
    directory: TempDir,
    /// Options that every command gets.
    always: Vec<String>,
}

/// What a run said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) errors: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        Self { directory, always: Vec::new() }
    }

    /// With a universal feed `dev` and one `prod`.
    pub(crate) fn with_feeds() -> Self {
        let bench = Self::new();
        for name in ["dev", "prod"] {
            bench.ok(&["feeds", "create", "--name", name, "--type=Universal"]);
        }
        bench
    }

    pub(crate) fn always(mut self, options: &[&str]) -> Self {
        self.always = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a universal package and uploads it; returns its bytes.
    pub(crate) fn upload(&self, feed: &str, name: &str, version: &str) -> Vec<u8> {
        let (group, name) = name.rsplit_once('/').unwrap_or(("", name));
        let package = hayloft_testkit::upack(group, name, version);
        let package = package.file("package/bin/tool", *b"#!/bin/sh\n");
        let bytes = package.build();
        fs::write(self.path(&package.file_name()), &bytes).unwrap();
        let file = format!("--input-file={}", package.file_name());
        self.ok(&["packages", "upload", "--feed", feed, &file]);
        bytes
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        self.run_with(words, b"")
    }

    pub(crate) fn run_with(&self, words: &[&str], input: &[u8]) -> Run {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        Run {
            status: output.status.code().unwrap(),
            bytes: output.stdout,
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hayloft"));
        command
            .args(words)
            .args(&self.always)
            .current_dir(self.directory.path())
            .env_remove("HAYLOFT_STORE")
            .env_remove("HAYLOFT_ADMIN_KEY")
            .env_remove("HAYLOFT_CONFIG")
            .env_remove("HAYLOFT_LOG")
            .env("XDG_CONFIG_HOME", self.path("home/config"))
            .env("HOME", self.path("home"))
            .env("USER", "tester");
        command
    }

    /// Status and all output of a run on a terminal where somebody types `input`; nothing if the
    /// program that makes terminals is absent.
    pub(crate) fn on_terminal(&self, words: &[&str], input: &str) -> Option<(i32, String)> {
        self.on_terminal_until(words, "", input)
    }

    /// The same where somebody types only when this text has come.
    pub(crate) fn on_terminal_until(
        &self,
        words: &[&str],
        until: &str,
        input: &str,
    ) -> Option<(i32, String)> {
        let found = Command::new("script").arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no `script`, of util-linux, to make a terminal");
            return None;
        }
        let bare = self.command(words);
        let words: Vec<String> = std::iter::once(bare.get_program())
            .chain(bare.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let mut command = Command::new("script");
        // `exec`: dash would wait beside the command, meet Ctrl-C as well, and end with 130.
        command.args(["-qefc", &format!("exec {}", words.join(" ")), "/dev/null"]);
        command.current_dir(bare.get_current_dir().unwrap());
        command.env("NO_COLOR", "1").env("SHELL", "/bin/sh");
        for (name, value) in bare.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut keyboard = child.stdin.take().unwrap();
        let mut screen = child.stdout.take().unwrap();
        let mut shown = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&shown).contains(until) {
            let read = screen.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&buffer[..read]);
        }
        keyboard.write_all(input.as_bytes()).unwrap();
        io::copy(&mut screen, &mut shown).unwrap();
        let status = child.wait().unwrap().code().unwrap();
        drop(keyboard);
        Some((status, String::from_utf8(shown).unwrap().replace("\r\n", "\n")))
    }

    /// What a run that succeeds prints.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!(run.status, 0, "{words:?}: {run:?}");
        run.text()
    }

    /// The JSON value that a run that succeeds prints.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.push("--json");
        serde_json::from_str(&self.ok(&words)).unwrap()
    }

    /// What a run that fails says, without hints.
    pub(crate) fn fails(&self, words: &[&str]) -> String {
        self.ends_with(1, words)
    }

    /// The same of a run whose arguments are wrong.
    pub(crate) fn misused(&self, words: &[&str]) -> String {
        self.ends_with(2, words)
    }

    fn ends_with(&self, status: i32, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!(run.status, status, "{words:?}: {run:?}");
        let lines = run.errors.lines().filter(|line| !line.starts_with("hint: "));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The hints of a run that fails.
    pub(crate) fn hints(&self, words: &[&str]) -> String {
        let run = self.run(words);
        assert_ne!(run.status, 0, "{words:?}: {run:?}");
        let hints = run.errors.lines().filter_map(|line| line.strip_prefix("hint: "));
        hints.collect::<Vec<_>>().join("\n")
    }
}

impl Run {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| {
            AsRef::<OsStr>::as_ref(&entry.unwrap().file_name()).to_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}
