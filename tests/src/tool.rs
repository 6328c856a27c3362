use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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

/// The SDK of .NET 2.2, whose program `HAYLOFT_DOTNET` names. It wants OpenSSL 1.0, which lies in
/// the folder `ssl` beside it.
pub fn dotnet() -> Option<Command> {
    let program = env::var_os("HAYLOFT_DOTNET").map(PathBuf::from);
    let Some(program) = program.filter(|program| program.exists()) else {
        println!("skipped: HAYLOFT_DOTNET does not name a dotnet");
        return None;
    };
    let mut dotnet = Command::new(&program);
    dotnet
        .env("LD_LIBRARY_PATH", program.with_file_name("ssl"))
        .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
        .env("DOTNET_CLI_TELEMETRY_OPTOUT", "1")
        .env("DOTNET_SKIP_FIRST_TIME_EXPERIENCE", "1")
        .stdin(Stdio::null());
    Some(dotnet)
}

/// The folder with RubyGems and Bundler of their newest release, which `HAYLOFT_RUBYGEMS` names.
pub fn rubygems() -> Option<PathBuf> {
    let folder = env::var_os("HAYLOFT_RUBYGEMS").map(PathBuf::from).filter(|path| path.is_dir());
    if folder.is_none() {
        println!("skipped: HAYLOFT_RUBYGEMS does not name a folder with RubyGems");
    }
    folder
}

/// A client of npm's registry that is a JavaScript program of its own, which the variable names.
pub fn javascript(variable: &str) -> Option<Command> {
    let Some(program) = env::var_os(variable).map(PathBuf::from).filter(|path| path.exists())
    else {
        println!("skipped: {variable} does not name a JavaScript program");
        return None;
    };
    if !has_program("node") {
        return None;
    }
    let mut node = Command::new("node");
    node.arg(program).stdin(Stdio::null());
    Some(node)
}

/// How long a tool may take: none needs a tenth of it.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a tool to its end. One that hangs is killed, with what it started, and fails the test: mono
/// and what it runs are known for it.
pub fn finish(tool: &mut Command) -> Output {
    tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish_child(tool.process_group(0).spawn().unwrap())
}

/// The same for what runs already, in a process group of its own.
pub fn finish_child(child: Child) -> Output {
    let group = format!("-{}", child.id());
    let (ended, waited) = mpsc::channel::<()>();
    let killer = thread::spawn(move || {
        let is_late = waited.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        is_late && Command::new("kill").args(["-KILL", "--", &group]).status().is_ok()
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    let is_late = killer.join().unwrap();
    assert!(
        !is_late,
        "did not end within {LIMIT:?}; it told:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a tool that must succeed; gives what it prints.
pub fn run(tool: &mut Command) -> String {
    let output = finish(tool.env("LC_ALL", "C.UTF-8"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool:?}:\n{printed}\n{errors}");
    printed
}

/// Installs a package from a folder with nuget.exe, without state outside of `home`; gives where
/// packages are then, or nothing if the tool is absent.
pub fn nuget_install(home: &Path, source: &Path, id: &str, version: &str) -> Option<PathBuf> {
    let mut client = nuget()?;
    let installed = home.join("installed");
    let told = run(client
        .args(["install", id, "-Version", version, "-Source"])
        .arg(source)
        .arg("-OutputDirectory")
        .arg(&installed)
        .args(["-NonInteractive", "-DirectDownload", "-NoCache", "-DependencyVersion", "Ignore"])
        .env("HOME", home)
        .env("NUGET_PACKAGES", home.join("packages"))
        .env("NUGET_HTTP_CACHE_PATH", home.join("http-cache"))
        .current_dir(home));
    assert!(told.contains("Successfully installed"), "{told}");
    Some(installed)
}

/// Runs npm in a folder, without network and without the settings and caches of whoever runs it.
pub fn npm(folder: &Path, arguments: &[&str]) -> String {
    run(Command::new("npm")
        .current_dir(folder)
        .args(["--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"])
        .arg("--userconfig=/dev/null")
        .arg(format!("--cache={}", folder.join("cache").display()))
        .args(arguments))
}

/// Prints the versions of all distributions in a folder.
const INSTALLED: &str = "import sys, importlib.metadata as m\n\
    for d in m.distributions(path=[sys.argv[1]]): print(d.metadata['Name'], d.version)";

/// Installs files with pip, without network and without state outside of `home`; gives a line
/// `name version` for each.
pub fn pip_install(home: &Path, files: &[PathBuf]) -> Vec<String> {
    let target = home.join("installed");
    let mut pip = python(&["pip", "setuptools"]).unwrap();
    pip.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--no-index"])
        .args(["--no-deps", "--no-build-isolation", "--no-cache-dir", "--no-compile"])
        .args(["--root-user-action=ignore", "--target"])
        .arg(&target)
        .args(files);
    run(pip.env("HOME", home));
    let mut list = python(&["pip"]).unwrap();
    run(list.args(["-I", "-c", INSTALLED]).arg(target)).lines().map(str::to_owned).collect()
}
