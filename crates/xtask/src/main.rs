//! Repository chores: `cargo xtask help`.

mod dist;
mod features;
mod run;
mod rust_version;
mod soak;
mod tools;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use run::{Step, root};

const HELP: &str = "\
cargo xtask <command>

  test [args]        install the tools that the tests drive, then run every test;
                     args go to `cargo test`, and leave the tools alone
  ci                 what a change must pass: `check`, then `test`
  check              formatting, lints, documentation, feature sets, packages, licences
  tools              install the tools only (Debian packages, npm, pip)
  fuzz [-s N] [name] run the fuzz targets, N seconds each (60), all or those whose
                     name contains `name`
  soak [--minutes N] [--seed S] [--large]
                     clients of all types, strangers, kills, full disks and clock steps
                     against a real server, N minutes long (1); `--large` stores 9 GiB too
  teeth              leave out each rule of the store and its log in turn, and show what finds that
  deny               check licences, sources and duplicates of all dependencies
  package            pack every crate that is meant to be published
  rust-version       check that no dependency needs a newer Rust than the crates say
  semver             compare the public API with the last release's
  dist [--program=P] [--out=D]
                     build a release and pack it: .deb, .tar.gz, checksums and a bill of
                     materials in target/dist, or of a program that is built already
  bench [--quick] [--million] [--rounds=N] [--json] [--directory=D] [--program=P] [row...]
                     measure; prints ratios to baselines of the same run
  help               this text, as does --help after any command";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn help() {
    println!("{HELP}");
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", arguments),
    };
    // What stands behind `--` is for the tests.
    let mut ours = arguments.iter().map(String::as_str).take_while(|argument| *argument != "--");
    if command == "help" || ours.any(|argument| argument == "--help" || argument == "-h") {
        help();
        return Ok(());
    }
    let takes_arguments = ["test", "fuzz", "soak", "dist", "bench"].contains(&command);
    if let (false, Some(argument)) = (takes_arguments, rest.first()) {
        bail!("`cargo xtask {command}` takes no `{argument}`; see `cargo xtask help`");
    }
    match command {
        "test" => test(rest),
        "ci" => check().and_then(|()| test(&[])),
        "check" => check(),
        "tools" => tools::install().map(drop),
        "fuzz" => fuzz(rest),
        "teeth" => teeth(),
        "soak" => soak::soak(rest),
        "dist" => dist::dist(rest),
        "deny" => deny(),
        "semver" => semver(),
        "package" => package(),
        "rust-version" => rust_version::check(),
        "bench" => {
            Step::cargo(["build", "--release", "-p", "hayloft-cli"]).run()?;
            Step::cargo(["run", "--release", "-p", "hayloft-benches", "--"]).args(rest).run()
        }
        other => bail!("unknown command `{other}`; see `cargo xtask help`"),
    }
}

fn test(arguments: &[String]) -> Result<()> {
    if arguments.is_empty() {
        let tools = tools::install()?;
        // The end-to-end tests run the program, and Cargo does not know that they do.
        Step::cargo(["build", "-p", "hayloft-cli", "-p", "hayloft-core", "-p", "hayloft-http"])
            .args(["--features", "hayloft-core/sim,hayloft-http/fuzzing"])
            .run()?;
        // One feature set for the whole run, so that each crate is compiled once.
        Step::cargo(["test", "--workspace", "--features", "hayloft-core/sim", "--no-fail-fast"])
            .envs(tools.environment())
            .run()
    } else {
        Step::cargo(["build", "-p", "hayloft-cli"]).run()?;
        Step::cargo(["test"]).args(arguments).envs(tools::Tools::present().environment()).run()
    }
}

/// Runs the tests that leave out a rule, and prints what each of them found.
#[expect(clippy::print_stdout, reason = "the result of the command")]
fn teeth() -> Result<()> {
    let tests = ["sim_blobs", "sim_log", "sim_redb", "sim_store", "teeth"];
    let named = tests.iter().flat_map(|test| ["--test", test]);
    let printed = Step::cargo(["test", "-p", "hayloft-core", "--features", "sim"])
        .args(named)
        .args(["--", "--nocapture", "--test-threads=1"])
        .output()?;
    let mut teeth: Vec<&str> =
        printed.lines().filter_map(|line| Some(line.split_once("tooth: ")?.1)).collect();
    teeth.sort_unstable();
    for tooth in &teeth {
        println!("{tooth}");
    }
    if teeth.is_empty() {
        bail!("no test told what it had left out");
    }
    Ok(())
}

fn check() -> Result<()> {
    Step::cargo(["fmt", "--all", "--check"]).run()?;
    Step::cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        "hayloft-core/sim",
        "--",
        "-D",
        "warnings",
    ])
    .run()?;
    Step::cargo(["doc", "--workspace", "--no-deps", "--features", "hayloft-core/sim"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    features::check()?;
    rust_version::check()?;
    package()?;
    deny()
}

/// Every crate but those for this repository alone. They were compiled already; what this finds is
/// what a package lacks: a description, a README, a version of a dependency.
fn package() -> Result<()> {
    Step::cargo(["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"])
        .args(["--exclude=hayloft-tests", "--exclude=hayloft-benches", "--exclude=xtask"])
        .run()
}

/// Licences and sources need no network; known holes do, so they are looked for elsewhere.
fn deny() -> Result<()> {
    let deny = tools::cargo_deny()?;
    Step::new(deny).args(["--log-level=error", "check", "bans", "licenses", "sources"]).run()
}

fn semver() -> Result<()> {
    let Some(tag) = run::last_tag() else {
        eprintln!("there is no release to compare with yet");
        return Ok(());
    };
    tools::cargo_semver_checks()?;
    Step::cargo(["semver-checks", "--workspace"]).args(["--baseline-rev".to_owned(), tag]).run()
}

fn fuzz(arguments: &[String]) -> Result<()> {
    let mut seconds = "60".to_owned();
    let mut wanted = "";
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "-s" {
            seconds.clone_from(rest.next().context("-s needs a number of seconds")?);
        } else if argument.starts_with('-') || !wanted.is_empty() {
            bail!("`cargo xtask fuzz` takes no `{argument}`; see `cargo xtask help`");
        } else {
            wanted = argument;
        }
    }
    seconds.parse::<u32>().context("-s needs a number of seconds")?;
    tools::cargo_fuzz()?;
    let targets: Vec<String> =
        fuzz_targets()?.into_iter().filter(|target| target.contains(wanted)).collect();
    if targets.is_empty() {
        bail!("no fuzz target's name contains `{wanted}`");
    }
    for target in targets {
        Step::cargo(["fuzz", "run", "--sanitizer", "none", &target, "--"])
            .args([format!("-max_total_time={seconds}"), "-max_len=65536".to_owned()])
            .args(["-timeout=20", "-rss_limit_mb=2048"])
            .run()?;
    }
    Ok(())
}

fn fuzz_targets() -> Result<Vec<String>> {
    let folder: PathBuf = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in folder.read_dir().context("the fuzz targets could not be listed")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
