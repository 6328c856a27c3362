//! `hayloft demo`: the whole way of a package from a build to production, with real packages.

mod compare;
mod script;

use std::path::{Path, PathBuf};

use fs_err as fs;

use self::script::Script;
use crate::arguments::{Command, Invocation, Opt};
use crate::console::{Color, Console};
use crate::failure::Failure;

pub(super) const COMMAND: Command = Command::action(
    "demo",
    "Shows what Hayloft does, with real packages in a store of its own",
    &[Opt::text("directory", "A new or empty directory; by default hayloft-demo")],
    demo,
);

/// Says that a directory was made by a demo and may be made anew.
const MARK: &str = "made-by-hayloft-demo.txt";
const MARK_TEXT: &str = "`hayloft demo` made this directory. It may be deleted at any time;\n\
                         the next demo replaces the directories store, files and downloads.\n";

fn demo(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let directory = PathBuf::from(invocation.text("directory").unwrap_or("hayloft-demo"));
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

/// Makes the directory, or empties what an earlier demo left; refuses anything else.
fn prepare(directory: &Path) -> Result<(), Failure> {
    let cannot = || format!("use `{}` for the demo", directory.display());
    fs::create_dir_all(directory).map_err(Failure::io(cannot()))?;
    let mark = directory.join(MARK);
    if mark.exists() {
        for part in ["store", "files", "downloads"] {
            let part = directory.join(part);
            if part.exists() {
                fs::remove_dir_all(part).map_err(Failure::io(cannot()))?;
            }
        }
    } else if fs::read_dir(directory).map_err(Failure::io(cannot()))?.next().is_some() {
        return Err(Failure::option(
            "directory",
            format!("`{}` has files of others; name a new directory", directory.display()),
        ));
    }
    fs::write(mark, MARK_TEXT).map_err(Failure::io(cannot()))?;
    for part in ["files/build/bin", "downloads"] {
        fs::create_dir_all(directory.join(part)).map_err(Failure::io(cannot()))?;
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
         hayloft packages upload --feed nuget-dev --input-file \"path/to/*.nupkg\"\n  \
         hayloft upack create --name mine/app --version 1.0.0-ci.1 --source-directory path/to/app\n  \
         hayloft packages upload --feed apps-dev --input-file app-1.0.0-ci.1.upack\n  \
         hayloft packages versions --feed apps-dev --json\n  \
         hayloft packages --help",
        program.display(),
        directory.display(),
    ))
}
