//! NuGet's own clients publish to a server and install from it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft_testkit::nupkg;
use hayloft_tests::{Request, Server, dotnet, finish, meanwhile, nuget, run};
use serde_json::json;
use tempfile::TempDir;

/// Addresses below a feed that a client may be given.
const ROOTS: [&str; 2] = ["v3/index.json", "v2"];

struct Bench {
    directory: TempDir,
    server: Server,
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let server = Server::start(&directory.path().join("store"));
        server.create_feed("dev", "nuget");
        server.create_feed("prod", "nuget");
        Self { directory, server }
    }

    fn source(&self, feed: &str, root: &str) -> String {
        format!("http://{}/nuget/{feed}/{root}", self.server.address)
    }

    /// A folder that is empty.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.directory.path().join(name);
        if folder.exists() {
            fs_err::remove_dir_all(&folder).unwrap();
        }
        fs_err::create_dir_all(&folder).unwrap();
        folder
    }

    fn file(&self, id: &str, version: &str) -> PathBuf {
        let path = self.directory.path().join(format!("{id}.{version}.nupkg"));
        let bytes = nupkg(id, version).payload(2_000).build();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Settings that name one feed, with a key as password, in a home of their own.
    fn home(&self, feed: &str, root: &str) -> PathBuf {
        let home = self.folder("home");
        let config = format!(
            "<?xml version=\"1.0\"?><configuration><packageSources><clear />\
             <add key=\"hay\" value=\"{}\" /></packageSources><packageSourceCredentials><hay>\
             <add key=\"Username\" value=\"api\" />\
             <add key=\"ClearTextPassword\" value=\"{}\" />\
             </hay></packageSourceCredentials></configuration>",
            self.source(feed, root),
            self.server.key
        );
        fs_err::write(home.join("NuGet.Config"), config).unwrap();
        home
    }

    fn api(&self, target: &str, body: &serde_json::Value) {
        let request = Request::new("POST", target).json(&body.to_string());
        self.server.send(request).expect(200);
    }
}

/// nuget.exe without state outside of a home, whose settings it finds where it works: not all of its
/// commands can be told a file.
fn nuget_exe(home: &Path, arguments: &[&str]) -> Option<Command> {
    let mut client = nuget()?;
    client
        .args(arguments)
        .arg("-NonInteractive")
        .env("HOME", home)
        .env("NUGET_PACKAGES", home.join("packages"))
        .env("NUGET_HTTP_CACHE_PATH", home.join("http-cache"))
        .current_dir(home);
    Some(client)
}

fn install(home: &Path, id: &str, version: &str) -> Option<()> {
    let installed = home.join("installed");
    let place = installed.join(format!("{id}.{version}"));
    if place.exists() {
        fs_err::remove_dir_all(&place).unwrap();
    }
    let out = installed.to_str().unwrap();
    let flags = ["-NoCache", "-DirectDownload", "-OutputDirectory", out];
    let arguments = [&["install", id, "-Version", version], &flags[..]].concat();
    let told = run(&mut nuget_exe(home, &arguments)?);
    assert!(told.contains("Successfully installed"), "{told}");
    assert!(place.join("content/payload.bin").is_file(), "{}", place.display());
    Some(())
}

fn list(home: &Path, more: &[&str]) -> Option<Vec<String>> {
    let arguments: Vec<&str> = ["list"].into_iter().chain(more.iter().copied()).collect();
    let told = run(&mut nuget_exe(home, &arguments)?);
    Some(told.lines().map(str::to_owned).collect())
}

/// Fails; gives what it prints.
fn fails(tool: &mut Command) -> String {
    let output = finish(tool);
    assert!(!output.status.success(), "{tool:?} succeeds");
    let told = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&told).into_owned()
}

#[test]
fn nuget_exe_publishes_installs_and_deletes() {
    let bench = Bench::new();
    for (at, root) in ROOTS.into_iter().enumerate() {
        let home = bench.home("dev", root);
        let id = format!("Hay.Loft{at}");
        let source = bench.source("dev", root);
        let key = bench.server.key.as_str();
        for version in ["1.0.0", "1.1.0-rc.1", "1.2.0"] {
            let file = bench.file(&id, version);
            let file = file.to_str().unwrap();
            let push = ["push", file, "-Source", &source, "-ApiKey", key];
            let Some(mut client) = nuget_exe(&home, &push) else { return };
            let told = run(&mut client);
            assert!(told.contains("Your package was pushed"), "{told}");
            let told = fails(&mut nuget_exe(&home, &push).unwrap());
            assert!(told.contains("409") && told.contains("exist"), "{told}");
            let skip: Vec<&str> = push.into_iter().chain(["-SkipDuplicate"]).collect();
            run(&mut nuget_exe(&home, &skip).unwrap());
        }
        let file = bench.file(&id, "2.0.0");
        let wrong = ["push", file.to_str().unwrap(), "-Source", &source, "-ApiKey", "wrong"];
        let told = fails(&mut nuget_exe(&home, &wrong).unwrap());
        assert!(told.contains("403") || told.contains("401"), "{told}");

        install(&home, &id, "1.0.0").unwrap();
        install(&home, &id, "1.1.0-rc.1").unwrap();
        let listed = |more: &[&str]| list(&home, more).unwrap();
        assert_eq!(listed(&[&id]), [format!("{id} 1.2.0")]);
        assert_eq!(listed(&[&id, "-AllVersions", "-Prerelease"]).len(), 3);
        let delete = ["delete", &id, "1.2.0", "-Source", &source, "-ApiKey", key];
        run(&mut nuget_exe(&home, &delete).unwrap());
        assert_eq!(listed(&[&id]), [format!("{id} 1.0.0")]);
        assert_eq!(listed(&[&id, "-Prerelease"]), [format!("{id} 1.1.0-rc.1")]);
        install(&home, &id, "1.2.0").unwrap();
    }
    for root in ROOTS {
        let home = bench.home("dev", root);
        let found = run(&mut nuget_exe(&home, &["search", "hay"]).unwrap());
        assert!(found.contains("> Hay.Loft0 | 1.0.0") && found.contains("> Hay.Loft1"), "{found}");
        let config = "<packages><package id=\"Hay.Loft0\" version=\"1.0.0\" />\
                      <package id=\"Hay.Loft1\" version=\"1.1.0-rc.1\" /></packages>";
        fs_err::write(home.join("packages.config"), config).unwrap();
        let restore = ["restore", "packages.config", "-PackagesDirectory", "restored", "-NoCache"];
        run(&mut nuget_exe(&home, &restore).unwrap());
        for place in ["restored/Hay.Loft0.1.0.0", "restored/Hay.Loft1.1.1.0-rc.1"] {
            assert!(home.join(place).is_dir(), "{root}");
        }
    }
}

#[test]
fn clients_find_their_way_among_300_versions() {
    let bench = Bench::new();
    for minor in 0..300 {
        let bytes = nupkg("Many", &format!("1.{minor}.0")).payload(10).build();
        bench.server.upload("dev", bytes);
    }
    for root in ROOTS {
        let home = bench.home("dev", root);
        let installed = home.join("installed");
        let out = installed.to_str().unwrap();
        let arguments = ["install", "Many", "-NoCache", "-OutputDirectory", out];
        let Some(mut client) = nuget_exe(&home, &arguments) else { return };
        let told = run(&mut client);
        assert!(told.contains("'Many 1.299.0'"), "{told}");
        install(&home, "Many", "1.100.0").unwrap();
        assert_eq!(list(&home, &["Many", "-AllVersions"]).unwrap().len(), 300);
    }
    restore(&bench, "dev", "Many", "1.*", "1.299.0");
}

/// Restores a project with the SDK; gives nothing if there is none.
fn restore(bench: &Bench, feed: &str, id: &str, range: &str, expected: &str) -> Option<()> {
    for root in ROOTS {
        let mut client = dotnet()?;
        let home = bench.home(feed, root);
        let project = home.join("project");
        fs_err::create_dir_all(&project).unwrap();
        let text = format!(
            "<Project Sdk=\"Microsoft.NET.Sdk\"><PropertyGroup>\
             <TargetFramework>netstandard2.0</TargetFramework>\
             <DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>\
             </PropertyGroup><ItemGroup><PackageReference Include=\"{id}\" Version=\"{range}\" />\
             </ItemGroup></Project>"
        );
        fs_err::write(project.join("p.csproj"), text).unwrap();
        run(client
            .args(["restore", "--no-cache", "--configfile"])
            .arg(home.join("NuGet.Config"))
            .env("HOME", &home)
            .env("DOTNET_CLI_HOME", &home)
            .env("NUGET_PACKAGES", home.join("packages"))
            .current_dir(&project));
        let place = home.join("packages").join(id.to_lowercase());
        let versions: Vec<_> = fs_err::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(versions, [expected], "{root}");
    }
    Some(())
}

#[test]
fn the_sdk_pushes_restores_and_deletes() {
    let bench = Bench::new();
    let source = bench.source("dev", ROOTS[0]);
    let home = bench.home("dev", ROOTS[0]);
    let sdk = |arguments: &[&str]| {
        let mut client = dotnet()?;
        client
            .args(arguments)
            .args(["--source", &source, "--api-key", &bench.server.key])
            .env("HOME", &home)
            .env("DOTNET_CLI_HOME", &home)
            .current_dir(&home);
        Some(client)
    };
    for version in ["1.0.0", "1.1.0"] {
        let file = bench.file("Sdk.Made", version);
        let Some(mut client) = sdk(&["nuget", "push", file.to_str().unwrap()]) else { return };
        let told = run(&mut client);
        assert!(told.contains("Your package was pushed"), "{told}");
    }
    restore(&bench, "dev", "Sdk.Made", "1.*", "1.1.0").unwrap();
    let home = bench.home("dev", ROOTS[0]);
    let delete = ["nuget", "delete", "Sdk.Made", "1.1.0", "--non-interactive"];
    let mut client = dotnet().unwrap();
    run(client
        .args(delete)
        .args(["--source", &source, "--api-key", &bench.server.key])
        .env("HOME", &home)
        .env("DOTNET_CLI_HOME", &home)
        .current_dir(&home));
    let leaf = "/nuget/dev/v3/registration/sdk.made/1.1.0.json";
    assert_eq!(bench.server.get(leaf).json()["listed"], false);
}

#[test]
fn what_was_repackaged_and_promoted_installs_while_others_publish() {
    let bench = Bench::new();
    bench.server.upload("dev", nupkg("Hay.Bale", "1.0.0-rc.1").payload(2_000).build());
    let body = json!({
        "feed": "dev", "name": "Hay.Bale", "version": "1.0.0-rc.1", "newVersion": "1.0.0",
    });
    bench.api("/api/repackaging/repackage", &body);
    let body =
        json!({ "fromFeed": "dev", "name": "Hay.Bale", "version": "1.0.0", "toFeed": "prod" });
    bench.api("/api/promotions/promote", &body);
    let publish = |at| {
        // Clients read all versions of a package: there must be an end to them.
        let id = if at < 300 { "Hay.Bale" } else { "Hay.Straw" };
        let package = nupkg(id, &format!("2.0.{at}-ci")).payload(100).build();
        bench.server.upload("dev", package.clone());
        bench.server.upload("prod", package);
    };
    let (_, is_done) = meanwhile(publish, || {
        let mut is_done = Some(());
        for feed in ["dev", "prod"] {
            for root in ROOTS {
                let home = bench.home(feed, root);
                let steps = ["1.0.0", "1.0.0-rc.1"];
                for version in steps.iter().take(if feed == "dev" { 2 } else { 1 }) {
                    is_done = is_done.and(install(&home, "Hay.Bale", version));
                }
            }
        }
        for feed in ["dev", "prod"] {
            restore(&bench, feed, "Hay.Bale", "1.0.0", "1.0.0");
        }
        is_done
    });
    if is_done.is_none() {
        return;
    }
    // As `kill -9` does.
    let Bench { directory, server } = bench;
    let bench = Bench { directory, server: server.restart() };
    for root in ROOTS {
        let home = bench.home("prod", root);
        install(&home, "Hay.Bale", "1.0.0").unwrap();
        assert_eq!(list(&home, &["Hay.Bale"]).unwrap(), ["Hay.Bale 1.0.0"]);
    }
    restore(&bench, "prod", "Hay.Bale", "1.*", "1.0.0");
}

#[test]
fn the_lines_that_are_printed_work() {
    let bench = Bench::new();
    let home = bench.folder("home");
    let Some(client) = nuget_exe(&home, &[]) else { return };
    let file = client.get_args().next().unwrap().to_str().unwrap().to_owned();
    let package = bench.file("Hay.Bale", "1.0.0");
    let key = &bench.server.key;
    let script = format!(
        "nuget() {{ mono '{file}' \"$@\" -NonInteractive; }}\n{}\
         nuget push {} -Source dev -ApiKey {key}\n\
         nuget install Hay.Bale -Source dev -NoCache -DirectDownload -OutputDirectory installed\n",
        bench.server.setup("dev", "nuget"),
        package.display(),
    );
    let mut shell = Command::new("sh");
    for (name, value) in client.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.env_remove("XDG_CONFIG_HOME").args(["-ec", &script]).current_dir(&home);
    run(&mut shell);
    assert!(home.join("installed/Hay.Bale.1.0.0/content/payload.bin").is_file());
}
