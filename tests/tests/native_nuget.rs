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
use hayloft_tests::{Body, Request, Server, dotnet, finish, meanwhile, nuget, run};
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

/// What nuget.exe 2.8.7 on Unix and others send, around a package.
fn form(package: &[u8], end: &str) -> Vec<u8> {
    let head = "--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; \
                name=\"package\"; filename=\"package\"\r\n\r\n";
    [head.as_bytes(), package, end.as_bytes(), b"--b--\r\n"].concat()
}

/// The packages that the recorded requests name.
const RECORDED: &[(&str, &[&str])] = &[
    ("Serilog", &["2.7.1", "4.4.0"]),
    ("V2.Dep", &["1.0.0"]),
    ("V2.Many", &["1.3.0", "1.99.0", "1.149.0"]),
    ("V2.New", &["1.0.0", "1.0.1", "1.0.2", "1.0.4", "1.0.6", "2.0.0-b.1+sha"]),
    ("V2.Odd", &["1.0", "1.02.0", "1.2.3.4", "2.0.0"]),
    ("V2.Pre", &["1.0.0", "1.1.0-beta1", "1.2.0", "1.3.0+5", "2.0.0-alpha", "2.0.0-rc.1+meta"]),
    ("V2.Unl", &["1.0.0", "2.0.0"]),
    ("V2Mod", &["1.0.0", "1.5.0", "2.0.0", "2.1.0-preview1"]),
    ("V2ModDep", &["1.0.0"]),
    ("V2ModMany", &["1.99.0", "1.140.0"]),
    ("V2Pub", &["1.0.0"]),
    ("V2Script", &["1.0.0"]),
];

/// Chocolatey's, PowerShell's, Paket's and others', line by line as they came over the wire.
#[test]
fn the_recorded_requests_of_other_clients_are_answered_as_they_were() {
    let Some(recorded) = recorded() else { return };
    let bench = Bench::new();
    for (id, versions) in RECORDED {
        for version in *versions {
            bench.server.upload("dev", nupkg(id, version).payload(10).build());
        }
    }
    let mut pushed = 0;
    for line in recorded.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [client, method, target, status, headers] = cells[..] else { panic!("{line}") };
        let roots = ["/api/v2", "/nuget/ps", "/nuget", ""];
        let below = roots.into_iter().find_map(|root| target.strip_prefix(root)).unwrap();
        let mut request = Request::new(method, &format!("/nuget/dev/v2{below}"));
        let mut words = headers.split(' ').peekable();
        while let Some(name) = words.next().and_then(|word| word.strip_suffix(':')) {
            let next = |word: &&str| !word.ends_with(':');
            let value: Vec<&str> = std::iter::from_fn(|| words.next_if(next)).collect();
            if !["content-type", "transfer-encoding", "x-nuget-apikey"].contains(&name) {
                request = request.header(name, &value.join(" "));
            }
        }
        let status: u16 = status.parse().unwrap();
        let expected = match method {
            "PUT" => 201,
            "DELETE" if below.ends_with("/7.0.0") => 404,
            "DELETE" => 204,
            // It ends a whole restore of some.
            _ if below.contains("FindPackagesById()?id='v2.nope'") => 200,
            // The recording servers took two slashes for a path of another kind.
            _ if status == 404 && below.starts_with("//") => 200,
            _ => status,
        };
        if method == "GET" {
            let got = bench.server.send(request);
            assert_eq!(got.status, expected, "{client}: {line}: {}", got.text());
            continue;
        }
        let request = request.header("x-nuget-apikey", &bench.server.key);
        if method == "DELETE" {
            let done = request.header("content-length", "0").send(bench.server.address);
            assert_eq!(done.status, expected, "{client}: {line}: {}", done.text());
            continue;
        }
        let version = format!("3.0.{pushed}");
        pushed += 1;
        let package = nupkg("V2.New", &version).payload(10).build();
        let end = if client == "nuget.exe 2.8.7" { "\n" } else { "\r\n" };
        let body = form(&package, end);
        let body =
            if headers.contains("chunked") { Body::Chunked(body, 100) } else { Body::Sized(body) };
        let request = request.header("content-type", "multipart/form-data; boundary=\"b\"");
        let done = request.body(body).send(bench.server.address);
        assert_eq!(done.status, expected, "{client}: {line}: {}", done.text());
        let stored = bench.server.get(&format!("/nuget/dev/v2/package/V2.New/{version}"));
        assert_eq!(stored.body, package, "{client}: {line}");
    }
    assert!(pushed > 10);
}

/// What was recorded, if the folder of the corpus has it beside it.
fn recorded() -> Option<String> {
    let corpus = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"),
        PathBuf::from,
    );
    let path = corpus.join("../spec/nuget-v2-requests.tsv");
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    text
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
