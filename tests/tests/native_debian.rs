//! apt, unmodified, against a server: releases, indexes, packages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hayloft_testkit::{Package, deb};
use hayloft_tests::{Hayloft, Request, Server, finish, has_program, meanwhile, run};
use tempfile::TempDir;

const FEED: &str = "apt";

/// apt with folders of its own, and the root of a system that it installs into.
struct Apt {
    folder: PathBuf,
    architecture: &'static str,
}

impl Apt {
    /// Set up for a feed as its setup lines say, but below a folder.
    fn new(folder: &Path, server: &Server, suite: &str, components: &str) -> Self {
        let apt = Self { folder: folder.to_owned(), architecture: "amd64" };
        for part in [
            "lists/partial",
            "cache/archives/partial",
            "log",
            "root/var/lib/dpkg/info",
            "root/var/lib/dpkg/updates",
            "trusted.d",
        ] {
            fs_err::create_dir_all(folder.join(part)).unwrap();
        }
        fs_err::write(folder.join("root/var/lib/dpkg/status"), "").unwrap();
        let key = server.get(&format!("/debian/{FEED}/keys/{FEED}.asc")).body;
        fs_err::write(folder.join("key.asc"), key).unwrap();
        let url = format!("http://{}/debian/{FEED}", server.address);
        let login = format!("machine {url}/ login api password {}\n", server.key);
        fs_err::write(folder.join("auth.conf"), login).unwrap();
        let key = folder.join("key.asc");
        let source = format!("deb [signed-by={}] {url} {suite} {components}\n", key.display());
        fs_err::write(folder.join("sources.list"), source).unwrap();
        apt
    }

    /// The same for a server that listens elsewhere now.
    fn moved(&self, server: &Server) {
        for file in ["auth.conf", "sources.list"] {
            let text = fs_err::read_to_string(self.folder.join(file)).unwrap();
            let (start, rest) = text.split_once("http://").unwrap();
            let (_, end) = rest.split_once('/').unwrap();
            let text = format!("{start}http://{}/{end}", server.address);
            fs_err::write(self.folder.join(file), text).unwrap();
        }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let at = |part: &str| self.folder.join(part).display().to_string();
        let root = at("root");
        let options = [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::Etc::netrc={}", at("auth.conf")),
            "Dir::Etc::netrcparts=-".to_owned(),
            format!("Dir::Etc::trusted={}", at("trusted.gpg")),
            format!("Dir::Etc::trustedparts={}", at("trusted.d")),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::State::status={root}/var/lib/dpkg/status"),
            format!("Dir::State::extended_states={}", at("extended")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Log={}", at("log")),
            format!("DPkg::Options::=--root={root}"),
            "DPkg::Options::=--force-not-root".to_owned(),
            "DPkg::Options::=--force-script-chrootless".to_owned(),
            "DPkg::Options::=--log=/dev/null".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
            "Acquire::Check-Date=true".to_owned(),
            "Acquire::http::Proxy=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let mut command = Command::new(program);
        for option in &options {
            command.args(["-o", option]);
        }
        command.args(arguments).env("LC_ALL", "C").current_dir(&self.folder);
        finish(&mut command)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let ran = self.command(program, arguments);
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{program} {arguments:?}:\n{told}\n{errors}");
        assert!(!errors.contains("W:") && !errors.contains("E:"), "{errors}");
        told
    }

    fn update(&self) -> String {
        self.run("apt-get", &["update"])
    }

    fn install(&self, package: &str) {
        self.run("apt-get", &["install", "-y", "--no-install-recommends", package]);
    }

    fn installed(&self, name: &str) -> String {
        let root = format!("--root={}", self.folder.join("root").display());
        let mut query = Command::new("dpkg-query");
        run(query.args([&root, "-W", "-f", "${Version}", name]))
    }
}

fn has_apt() -> bool {
    ["apt-get", "dpkg", "gpgv"].into_iter().all(has_program)
}

fn started() -> (TempDir, Server) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(&directory.path().join("store"));
    server.create_feed(FEED, "debian");
    (directory, server)
}

fn publish(server: &Server, suite: &str, component: &str, package: &Package) {
    let suite = suite.replace('/', "%2F");
    let target = format!("/debian/{FEED}/upload/{suite}/{component}");
    server.send(Request::put(&target, package.build())).expect(201);
}

#[test]
fn apt_updates_installs_and_upgrades() {
    if !has_apt() {
        return;
    }
    let (directory, server) = started();
    publish(&server, "stable", "main", &deb("hay", "1.0-1", "amd64"));
    publish(&server, "stable", "main", &deb("straw", "1:2.0~rc1+b1", "all"));
    publish(&server, "stable", "contrib", &deb("oats", "3.0", "amd64").field("Depends", "straw"));
    publish(&server, "stable", "main", &deb("hay", "1.0-1", "arm64"));
    publish(&server, "testing", "main", &deb("hay", "9.0", "amd64"));
    let apt = Apt::new(&directory.path().join("apt"), &server, "stable", "main contrib");
    let told = apt.update();
    assert!(told.contains("Get:1 "), "{told}");
    apt.install("hay=1.0-1");
    apt.install("oats");
    assert_eq!(apt.installed("hay"), "1.0-1");
    assert_eq!(apt.installed("straw"), "1:2.0~rc1+b1");

    let told = apt.update();
    assert!(told.contains("Hit:1 ") && !told.contains("Get:"), "{told}");

    publish(&server, "stable", "main", &deb("hay", "1.1-1", "amd64"));
    apt.update();
    let policy = apt.run("apt-cache", &["policy", "hay"]);
    assert!(policy.contains("Candidate: 1.1-1") && policy.contains("1.0-1"), "{policy}");
    apt.run("apt-get", &["upgrade", "-y"]);
    assert_eq!(apt.installed("hay"), "1.1-1");

    let mut server = server;
    server.kill();
    let server = server.restart();
    apt.moved(&server);
    publish(&server, "stable", "main", &deb("hay", "1.2-1", "amd64"));
    apt.update();
    apt.install("hay");
    assert_eq!(apt.installed("hay"), "1.2-1");
}

/// Distributions, architectures and components of one feed, each with what is its own: a
/// distribution and an architecture see no package of another.
#[test]
fn apt_finds_each_architecture_component_and_distribution() {
    if !has_apt() {
        return;
    }
    let (directory, server) = started();
    let suites = ["stable", "testing/updates"];
    let architectures = ["amd64", "arm64", "i386"];
    let components = [("main", "hay"), ("contrib", "oats")];
    for (suite, first) in suites.into_iter().zip(1..) {
        for (architecture, second) in architectures.into_iter().zip(1..) {
            for (component, name) in components {
                let package = deb(name, &format!("{first}.{second}"), architecture);
                publish(&server, suite, component, &package);
            }
        }
        publish(&server, suite, "main", &deb("straw", &format!("{first}.0"), "all"));
    }
    for (suite, first) in suites.into_iter().zip(1..) {
        for (architecture, second) in architectures.into_iter().zip(1..) {
            let folder = directory.path().join(format!("{architecture}-{first}"));
            let mut apt = Apt::new(&folder, &server, suite, "main contrib");
            apt.architecture = architecture;
            apt.update();
            apt.run("apt-get", &["download", "hay", "oats", "straw"]);
            let mut files: Vec<String> = fs_err::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "deb"))
                .collect();
            files.sort();
            let own = |name| format!("{name}_{first}.{second}_{architecture}.deb");
            assert_eq!(files, [own("hay"), own("oats"), format!("straw_{first}.0_all.deb")]);
        }
    }
    let folder = directory.path().join("main");
    let apt = Apt::new(&folder, &server, suites[0], "main");
    apt.update();
    assert!(apt.run("apt-cache", &["pkgnames"]).lines().all(|name| name != "oats"));
}

/// A view of the file system whose folders of apt are the test's own.
struct View {
    folder: TempDir,
}

impl View {
    fn new() -> Self {
        // Out of reach for the account that apt's downloads run under, the test's folder is not
        // used.
        Self { folder: TempDir::with_prefix_in("hayloft-apt-", "/var/tmp").unwrap() }
    }

    /// Runs lines in it.
    fn run(&self, lines: &str) -> String {
        let mut script = String::from("umask 022\n");
        for (part, place) in
            [("etc", "/etc/apt"), ("lists", "/var/lib/apt/lists"), ("cache", "/var/cache/apt")]
        {
            let part = self.folder.path().join(part);
            fs_err::create_dir_all(&part).unwrap();
            script.extend(["mount --bind ", part.to_str().unwrap(), " ", place, "\n"]);
        }
        script += "cd /etc/apt; mkdir -p apt.conf.d preferences.d sources.list.d trusted.gpg.d\n";
        script += "mkdir -p keyrings; cd /\n";
        script += lines;
        let mut unshare = Command::new("unshare");
        run(unshare.args(["--mount", "sh", "-ec", &script]).current_dir("/"))
    }
}

/// Says so if there may be no such view.
fn may_unshare() -> bool {
    let unshared = Command::new("unshare").args(["--mount", "true"]).output();
    let may = unshared.is_ok_and(|unshared| unshared.status.success());
    if !may {
        println!("skipped: there may be no view of the file system of its own here");
    }
    may
}

#[test]
fn the_lines_that_are_printed_work() {
    if !has_apt() || !has_program("curl") || !may_unshare() {
        return;
    }
    let (directory, server) = started();
    let file = directory.path().join("FILE.deb");
    fs_err::write(&file, deb("hay", "1.0", "amd64").build()).unwrap();
    let mut upload = Command::new("sh");
    upload.args(["-ec", &server.setup(FEED, "curl")]).current_dir(directory.path());
    run(&mut upload);
    let lines = server.setup(FEED, "apt") + "apt-cache policy hay:amd64\n";
    let told = View::new().run(&lines);
    assert!(told.contains("Candidate: 1.0"), "{told}");
}

#[test]
fn apt_uses_the_feed_by_what_hayloft_writes_until_it_is_undone() {
    if !has_apt() || !may_unshare() {
        return;
    }
    let (directory, server) = started();
    server.create_feed("My.feed", "debian");
    let other = deb("straw", "2.0", "amd64").build();
    let target = "/debian/My.feed/upload/stable/main";
    server.send(Request::put(target, other)).expect(201);
    publish(&server, "stable", "main", &deb("hay", "1.0", "amd64"));
    let view = View::new();
    let mine = "# mine\n\nTypes: deb\nURIs: file:/nowhere\nSuites: x/\nEnabled: no\n";
    let sources = view.folder.path().join("etc/sources.list.d/hayloft.sources");
    fs_err::create_dir_all(sources.parent().unwrap()).unwrap();
    fs_err::write(&sources, mine).unwrap();
    let login = view.folder.path().join("etc/auth.conf.d/hayloft.conf");
    let hayloft = Hayloft::on_store(directory.path());
    let place = format!("--source=http://{} --api-key={}", server.address, server.key);
    let hayloft = format!(
        "HOME={} {} use --client=apt",
        directory.path().display(),
        hayloft.free_command([""; 0]).get_program().display()
    );
    let both = format!(
        "for feed in {FEED} My.feed {FEED}; do {hayloft} $feed {place}; done\n\
         apt-get update\napt-cache policy hay:amd64 straw:amd64\n"
    );
    let told = view.run(&both);
    assert!(told.contains("Candidate: 1.0") && told.contains("Candidate: 2.0"), "{told}");
    assert!(!told.contains("W:"), "{told}");
    let mode = |path: &Path| {
        let about = fs_err::metadata(path).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777
    };
    assert_eq!((mode(&sources), mode(&login)), (0o644, 0o600));
    let told = view.run(&format!(
        "{hayloft} My.feed --undo\napt-get update\napt-cache policy hay:amd64 straw:amd64\n"
    ));
    assert!(told.contains("Candidate: 1.0") && !told.contains("Candidate: 2.0"), "{told}");
    view.run(&format!("{hayloft} --undo\n"));
    assert_eq!(fs_err::read_to_string(sources).unwrap(), mine);
    assert!(!login.exists());
}

#[test]
fn sequoia_takes_the_signatures() {
    if !has_program("sqv") {
        return;
    }
    let (directory, server) = started();
    publish(&server, "stable", "main", &deb("hay", "1.0", "amd64"));
    let file = |name: &str, target: &str| {
        let path = directory.path().join(name);
        fs_err::write(&path, server.get(target).body).unwrap();
        path
    };
    let release = file("Release", &format!("/debian/{FEED}/dists/stable/Release"));
    let signature = file("Release.gpg", &format!("/debian/{FEED}/dists/stable/Release.gpg"));
    for extension in ["asc", "gpg"] {
        let name = format!("{FEED}.{extension}");
        let keyring = file(&name, &format!("/debian/{FEED}/keys/{name}"));
        let mut sqv = Command::new("sqv");
        let told = run(sqv.arg("--keyring").arg(keyring).arg(&signature).arg(&release));
        assert_eq!(told.trim().len(), 40, "a fingerprint: {told}");
    }
}

#[test]
fn mmdebstrap_makes_a_system_out_of_a_feed() {
    if !has_apt() || !has_program("mmdebstrap") {
        return;
    }
    let (directory, server) = started();
    publish(&server, "stable", "main", &deb("hay", "1.0", "amd64").field("Depends", "straw"));
    publish(&server, "stable", "main", &deb("straw", "2.0", "all").field("Essential", "yes"));
    let apt = Apt::new(&directory.path().join("apt"), &server, "stable", "main");
    let source = fs_err::read_to_string(apt.folder.join("sources.list")).unwrap();
    let url = source.split_once("http://").unwrap().1;
    let source = source.replace(url, &format!("api:{}@{url}", server.key));
    let root = directory.path().join("root.tar");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--mode=chrootless", "--variant=custom", "--include=hay"]);
    mmdebstrap.args(["--architectures=amd64", "--aptopt=Acquire::http::Proxy \"false\""]);
    mmdebstrap.args(["--aptopt=APT::Sandbox::User \"root\"", "--skip=check/empty"]);
    run(mmdebstrap.arg("stable").arg(&root).arg(source.trim()).current_dir(directory.path()));
    let status = run(Command::new("tar").args(["-xOf"]).arg(&root).arg("./var/lib/dpkg/status"));
    assert!(status.contains("Package: hay\nStatus: install ok installed"), "{status}");
    assert!(status.contains("Package: straw\n"), "{status}");
}

#[test]
fn apt_refuses_a_release_under_another_key() {
    if !has_apt() {
        return;
    }
    let (directory, server) = started();
    server.create_feed("other", "debian");
    publish(&server, "stable", "main", &deb("hay", "1.0", "amd64"));
    let apt = Apt::new(&directory.path().join("apt"), &server, "stable", "main");
    let other = server.get("/debian/keys/other.asc").body;
    let own = fs_err::read(apt.folder.join("key.asc")).unwrap();
    assert_ne!(other, own);
    fs_err::write(apt.folder.join("key.asc"), other).unwrap();
    let ran = apt.command("apt-get", &["update"]);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && errors.contains("NO_PUBKEY"), "{errors}");
    fs_err::write(apt.folder.join("key.asc"), own).unwrap();
    apt.update();
}

const UPDATES: usize = 50;

#[test]
fn apt_never_meets_two_moments_while_others_publish() {
    if !has_apt() {
        return;
    }
    let (directory, server) = started();
    publish(&server, "stable", "main", &deb("hay", "1.0", "amd64"));
    let apt = Apt::new(&directory.path().join("apt"), &server, "stable", "main");
    let again = |number| {
        let name = format!("p{}", number % 40);
        publish(&server, "stable", "main", &deb(&name, &format!("1.{number}"), "amd64"));
    };
    meanwhile(again, || {
        for _ in 0..UPDATES {
            apt.update();
        }
    });
    apt.install("hay");
    assert_eq!(apt.installed("hay"), "1.0");
}

#[test]
fn apt_installs_what_was_repackaged_and_promoted() {
    if !has_apt() {
        return;
    }
    let (directory, server) = started();
    server.create_feed("ci", "debian");
    let package = deb("hay", "1.0~rc1-1", "amd64").build();
    server.put("/api/packages/ci/upload?distribution=stable", package);
    let source = "name=hay&version=1.0~rc1-1&arch=amd64&distro=stable&component=main";
    let repackage =
        format!("/api/repackaging/repackage?fromFeed=ci&toFeed={FEED}&{source}&newVersion=1.0-1");
    server.send(Request::new("POST", &repackage)).expect(200);
    server.put("/api/packages/ci/upload?distribution=stable", deb("straw", "2.0", "all").build());
    let promote =
        format!("/api/promotions/promote?fromFeed=ci&toFeed={FEED}&name=straw&version=2.0");
    server.send(Request::new("POST", &promote)).expect(200);
    let apt = Apt::new(&directory.path().join("apt"), &server, "stable", "main");
    apt.update();
    apt.install("hay");
    apt.install("straw");
    assert_eq!((apt.installed("hay").as_str(), apt.installed("straw").as_str()), ("1.0-1", "2.0"));
}

/// gpg with a home of its own, which no agent outlives.
struct Gpg {
    home: TempDir,
}

impl Gpg {
    fn new() -> Self {
        // Names of sockets are short: not below the folder of the build.
        Self { home: TempDir::with_prefix("hayloft-gpg-").unwrap() }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(self.home.path()).args(["--batch", "--passphrase", ""]);
        run(gpg.args(["--pinentry-mode", "loopback"]).args(arguments))
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        finish(end.arg("--homedir").arg(self.home.path()).args(["--kill", "all"]));
    }
}

/// Runs the command against the server, whose key it shows.
fn hayloft(store: &Path, server: &Server, arguments: &[&str]) -> Output {
    let place =
        [format!("--source=http://{}", server.address), format!("--api-key={}", server.key)];
    let arguments = arguments.iter().map(|each| (*each).to_owned()).chain(place);
    finish(&mut Hayloft::on_store(store).free_command(arguments))
}

#[test]
fn apt_takes_a_feed_under_a_key_of_ones_own_and_refuses_the_former_one() {
    if !has_apt() || !has_program("gpg") || !has_program("gpgconf") {
        return;
    }
    let (directory, server) = started();
    publish(&server, "stable", "main", &deb("hay", "1.0", "amd64"));
    let apt = Apt::new(&directory.path().join("apt"), &server, "stable", "main");
    apt.update();
    let store = directory.path().join("store");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let succeeds = |arguments: &[&str]| {
        let ran = hayloft(&store, &server, arguments);
        assert!(ran.status.success(), "{arguments:?}: {ran:?}");
        ran
    };
    // With indexes of an earlier update apt only warns, and keeps to them.
    let is_refused = || {
        let ran = apt.command("apt-get", &["update"]);
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(errors.contains("The repository is not updated"), "{errors}");
        assert!(errors.contains("NO_PUBKEY"), "{errors}");
    };
    let former = file("former.asc");
    succeeds(&["feeds", "key", "export", FEED, &format!("--to={former}")]);

    for (name, kind) in [("new", "rsa3072"), ("newer", "ed25519")] {
        let gpg = Gpg::new();
        let address = format!("{name}@example.org");
        gpg.run(&["--quick-generate-key", &address, kind, "sign", "never"]);
        let secret = file(&format!("{name}.asc"));
        fs_err::write(&secret, gpg.run(&["--armor", "--export-secret-keys", &address])).unwrap();
        let public = gpg.run(&["--armor", "--export", &address]);
        let refused = file("public.asc");
        fs_err::write(&refused, &public).unwrap();
        let ran = hayloft(
            &store,
            &server,
            &["feeds", "key", "replace", FEED, &format!("--from={refused}")],
        );
        assert_eq!(ran.status.code(), Some(1), "a public key signs nothing: {ran:?}");

        succeeds(&["feeds", "key", "replace", FEED, &format!("--from={secret}")]);
        is_refused();
        fs_err::write(apt.folder.join("key.asc"), public).unwrap();
        apt.update();
        let public_part = server.get(&format!("/debian/{FEED}/keys/{FEED}.asc")).body;
        fs_err::write(apt.folder.join("key.asc"), public_part).unwrap();
        apt.update();
    }
    publish(&server, "stable", "main", &deb("hay", "1.1", "amd64"));
    apt.update();
    apt.install("hay");
    assert_eq!(apt.installed("hay"), "1.1");

    // What was taken away comes back.
    succeeds(&["feeds", "key", "replace", FEED, &format!("--from={former}")]);
    is_refused();
    let public_part = server.get(&format!("/debian/{FEED}/keys/{FEED}.asc")).body;
    fs_err::write(apt.folder.join("key.asc"), public_part).unwrap();
    apt.update();
    let ran = hayloft(&store, &server, &["feeds", "key", "export", FEED]);
    assert_eq!(ran.stdout, fs_err::read(&former).unwrap());
}
