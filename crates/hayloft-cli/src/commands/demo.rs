//! `hayloft demo`: the whole way of a package from a build to production, with real packages.

mod compare;
mod script;

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use self::script::Script;
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::console::{Color, Console};
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "demo",
    "Shows what Hayloft does, with real packages in a store of its own",
    &[Opt::text(
        "directory",
        "A new or empty directory; by default hayloft-demo, or hayloft-demo-2",
    )],
    demo,
)
.words(&[Word::Value("directory")]);

/// Where a demo goes if nothing else is said.
const DIRECTORY: &str = "hayloft-demo";

fn demo(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let directory = match invocation.text("directory") {
        Some(directory) => asked_for(Path::new(directory))?,
        None => fresh()?,
    };
    prepare(&directory)?;
    let shown = directory.display();
    console.colored(Color::Bold, "Hayloft: from a build to production without a rebuild")?;
    console.lines(format_args!(
        "\nEverything happens in the directory {shown}; its store is {shown}/store.\n\
         Lines that begin with $ are the commands that are carried out."
    ))?;
    let mut script = Script::new(&directory, console);
    feeds(&mut script)?;
    let nupkg = build(&mut script, &directory)?;
    upload(&mut script, &directory, &nupkg)?;
    release(&mut script)?;
    check(&mut script)?;
    farewell(console, &directory)
}

/// A directory that is new or empty. People upload packages of their own into the store of a demo,
/// so a later one leaves it alone.
fn asked_for(directory: &Path) -> Result<PathBuf, Failure> {
    if is_free(directory)? {
        return Ok(directory.to_owned());
    }
    let text = format!("`{}` is not empty; name a new directory", directory.display());
    Err(Failure::option("directory", text))
}

/// `hayloft-demo`, or with the first number that is free.
fn fresh() -> Result<PathBuf, Failure> {
    const MOST: u32 = 1_000;
    let numbered = (2..MOST).map(|number| format!("{DIRECTORY}-{number}"));
    for name in std::iter::once(DIRECTORY.to_owned()).chain(numbered) {
        if is_free(Path::new(&name))? {
            return Ok(name.into());
        }
    }
    Err(Failure::text(format!("there are {MOST} demos here; name a directory with --directory")))
}

fn is_free(directory: &Path) -> Result<bool, Failure> {
    match fs::read_dir(directory) {
        Ok(mut names) => Ok(names.next().is_none()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(true),
            io::ErrorKind::NotADirectory => Ok(false),
            _ => Err(Failure::io(cannot_use(directory))(error)),
        },
    }
}

fn cannot_use(directory: &Path) -> String {
    format!("use `{}` for the demo", directory.display())
}

fn prepare(directory: &Path) -> Result<(), Failure> {
    for part in ["files/build/bin", "downloads"] {
        let path = directory.join(part);
        fs::create_dir_all(path).map_err(Failure::io(cannot_use(directory)))?;
    }
    Ok(())
}

fn feeds(script: &mut Script<'_>) -> Result<(), Failure> {
    script.title("A feed for each stage, of two types")?;
    for (kind, prefix) in [("NuGet", "nuget"), ("Universal", "apps")] {
        for stage in ["dev", "test", "prod"] {
            script.run(&[
                "feeds",
                "create",
                &format!("--name={prefix}-{stage}"),
                "--type",
                kind,
            ])?;
        }
    }
    script.run(&["feeds", "list"])
}

/// Makes the packages of a build; returns the file of the NuGet package.
fn build(script: &mut Script<'_>, directory: &Path) -> Result<PathBuf, Failure> {
    script.title("Two packages, as a build server would make them")?;
    let files = directory.join("files");
    let cannot = || format!("write to `{}`", files.display());
    let tool = "#!/bin/sh\necho \"Hello from a universal package\"\n";
    fs::write(files.join("build/bin/greet"), tool).map_err(Failure::io(cannot()))?;
    fs::write(files.join("build/settings.json"), "{ \"greeting\": \"hello\" }\n")
        .map_err(Failure::io(cannot()))?;
    script.run(&[
        "upack",
        "create",
        "--name=acme/greeter",
        "--version=1.0.0-ci.1",
        &format!("--source-directory={}", files.join("build").display()),
        &format!("--target-directory={}", files.display()),
    ])?;
    let package = hayloft_testkit::nupkg("Acme.Greeter", "1.0.0-ci.1").payload(100_000);
    let path = files.join(package.file_name());
    fs::write(&path, package.build()).map_err(Failure::io(cannot()))?;
    script.say(format_args!("(made by the demo itself: {})", path.display()))?;
    Ok(path)
}

fn upload(script: &mut Script<'_>, directory: &Path, nupkg: &Path) -> Result<(), Failure> {
    script.title("Into the feeds for development")?;
    let upack = directory.join("files").join("*.upack");
    for (feed, file) in [("nuget-dev", nupkg), ("apps-dev", &upack)] {
        let (feed, file) = (format!("--feed={feed}"), format!("--input-file={}", file.display()));
        script.run(&["packages", "upload", &feed, &file])?;
        script.run(&["packages", "list", &feed])?;
    }
    Ok(())
}

/// ci to rc to stable, from stage to stage.
fn release(script: &mut Script<'_>) -> Result<(), Failure> {
    for (title, prefix, package) in [
        (
            "NuGet: ci.1 becomes rc.1, goes to test, becomes 1.0.0, goes to prod",
            "nuget",
            "Acme.Greeter",
        ),
        ("Universal: the same way", "apps", "acme/greeter"),
    ] {
        script.title(title)?;
        let package = format!("--package={package}");
        let feed = |stage| format!("--feed={prefix}-{stage}");
        script.run(&[
            "packages",
            "repackage",
            &feed("dev"),
            &package,
            "--version=1.0.0-ci.1",
            "--new-version=1.0.0-rc.1",
            "--comment=unit tests passed",
        ])?;
        script.run(&[
            "packages",
            "promote",
            &feed("dev"),
            &package,
            "--version=1.0.0-rc.1",
            &format!("--to-feed={prefix}-test"),
        ])?;
        script.run(&[
            "packages",
            "repackage",
            &feed("test"),
            &package,
            "--version=1.0.0-rc.1",
            "--new-version=1.0.0",
            "--comment=accepted by QA",
        ])?;
        script.run(&[
            "packages",
            "promote",
            &feed("test"),
            &package,
            "--version=1.0.0",
            &format!("--to-feed={prefix}-prod"),
            "--comment=release day",
        ])?;
    }
    Ok(())
}

fn check(script: &mut Script<'_>) -> Result<(), Failure> {
    script.title("What came out of it")?;
    for (prefix, package) in [("nuget", "Acme.Greeter"), ("apps", "acme/greeter")] {
        let built = script.download(&format!("{prefix}-dev"), package, "1.0.0-ci.1")?;
        let tested = script.download(&format!("{prefix}-test"), package, "1.0.0")?;
        let released = script.download(&format!("{prefix}-prod"), package, "1.0.0")?;
        script.say(compare::promoted(&tested, &released)?)?;
        script.say(compare::repackaged(&built.path, &released.path)?)?;
        script.say("")?;
    }
    script.title("Where it came from")?;
    for (prefix, package) in [("nuget", "Acme.Greeter"), ("apps", "acme/greeter")] {
        let (feed, package) = (format!("--feed={prefix}-prod"), format!("--package={package}"));
        script.run(&["packages", "history", &feed, &package, "--version=1.0.0"])?;
    }
    script.title("Is the store sound?")?;
    script.run(&["verify", "--level=deep"])
}

fn farewell(console: &mut Console, directory: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("hayloft"));
    console.line("")?;
    console.colored(Color::Bold, "With your own files")?;
    console.lines(format_args!(
        "  alias hayloft={}\n  \
         export HAYLOFT_STORE={}/store      # or leave it out: hayloft-data, here\n  \
         hayloft packages upload nuget-dev path/to/*.nupkg\n  \
         hayloft upack create --name mine/app --version 1.0.0-ci.1 --source-directory path/to/app\n  \
         hayloft packages upload apps-dev app-1.0.0-ci.1.upack\n  \
         hayloft packages versions apps-dev\n  \
         hayloft packages --help",
        program.display(),
        directory.display(),
    ))
}
