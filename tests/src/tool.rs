use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// True if the program runs; says so if not.
pub fn has_program(program: &str) -> bool {
    let found = Command::new(program)
        .arg(if program == "unzip" { "-v" } else { "--version" })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("skipped: `{program}` does not run on this machine");
    }
    found
}

/// A Python that has these modules: `HAYLOFT_PYTHON`, else `python3`.
pub fn python(modules: &[&str]) -> Option<Command> {
    let program = env::var_os("HAYLOFT_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&program)
        .args(["-c", "import sys, importlib.util as u; assert all(map(u.find_spec, sys.argv[1:]))"])
        .args(modules)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("skipped: there is no python3 with {modules:?}; see HAYLOFT_PYTHON");
        return None;
    }
    let mut python = Command::new(program);
    python.stdin(Stdio::null());
    Some(python)
}

/// nuget.exe, which `HAYLOFT_NUGET_EXE` names, under mono.
pub fn nuget() -> Option<Command> {
    let Some(client) = env::var_os("HAYLOFT_NUGET_EXE").map(PathBuf::from) else {
        println!("skipped: HAYLOFT_NUGET_EXE does not name a nuget.exe");
        return None;
    };
    if !has_program("mono") {
        return None;
    }
    let mut mono = Command::new("mono");
    mono.arg(client).stdin(Stdio::null());
    Some(mono)
}

/// Runs a tool that must succeed; gives what it prints.
pub fn run(tool: &mut Command) -> String {
    let output = tool.env("LC_ALL", "C.UTF-8").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool:?}:\n{printed}\n{errors}");
    printed
}
