//! npm, pnpm and both yarns against a running server: they publish, install and maintain, and find
//! what was repackaged and promoted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft_testkit::npm_tgz;
use hayloft_tests::{
    Body, Request, Server, finish, has_program, javascript, meanwhile, python, run,
};
use serde_json::{Value, json};

/// A client of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Npm,
    Pnpm,
    Yarn1,
    Yarn4,
}

impl Client {
    /// Those that are here.
    fn all() -> Vec<Self> {
        let all = [Self::Npm, Self::Pnpm, Self::Yarn1, Self::Yarn4];
        all.into_iter().filter(|client| client.program().is_some()).collect()
    }

    fn program(self) -> Option<Command> {
        match self {
            Self::Npm => has_program("npm").then(|| Command::new("npm")),
            Self::Pnpm => javascript("HAYLOFT_PNPM"),
            Self::Yarn1 => javascript("HAYLOFT_YARN1"),
            Self::Yarn4 => javascript("HAYLOFT_YARN"),
        }
    }

    /// Arguments that install what the lock file names and nothing else.
    fn locked(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["ci"],
            Self::Pnpm | Self::Yarn1 => &["install", "--frozen-lockfile"],
            Self::Yarn4 => &["install", "--immutable"],
        }
    }

    /// Arguments that add packages to a project.
    fn add(self) -> &'static str {
        if self == Self::Npm { "install" } else { "add" }
    }

    fn publish(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["publish", "--access=public"],
            Self::Pnpm => &["publish", "--no-git-checks", "--access=public"],
            Self::Yarn1 => {
                &["publish", "--non-interactive", "--new-version=1.0.0", "--access=public"]
            }
            Self::Yarn4 => &["npm", "publish", "--access=public"],
        }
    }
}

/// A server with the feeds `dev` and `prod`, and a home for the clients.
struct Registry {
    server: Server,
    home: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(&home.path().join("store"));
        for feed in ["dev", "prod"] {
            server.create_feed(feed, "npm");
        }
        let registry = Self { server, home };
        registry.write_settings("dev", &registry.server.key);
        registry
    }

    fn url(&self, feed: &str) -> String {
        format!("http://{}/npm/{feed}", self.server.address)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Tells all clients about a feed.
    fn write_settings(&self, feed: &str, key: &str) {
        let url = self.url(feed);
        let place = url.strip_prefix("http:").unwrap();
        // Else yarn 1 shows the token for scoped packages only.
        let settings =
            format!("registry={url}/\n{place}/:_authToken={key}\n{place}/:always-auth=true\n");
        fs_err::write(self.path(".npmrc"), settings).unwrap();
        fs_err::write(self.path(".yarnrc"), format!("registry \"{url}/\"\n")).unwrap();
        self.write_yarn_settings(feed, &format!("npmAuthToken: \"{key}\"\nnpmAlwaysAuth: true\n"));
    }

    fn write_yarn_settings(&self, feed: &str, more: &str) {
        // Its gate against packages of the last day is off.
        let settings = format!(
            "npmRegistryServer: \"{}\"\nunsafeHttpWhitelist: [\"127.0.0.1\"]\n{more}\
             enableTelemetry: false\nnodeLinker: node-modules\nnpmMinimalAgeGate: 0\n",
            self.url(feed),
        );
        fs_err::write(self.path(".yarnrc.yml"), settings).unwrap();
    }

    /// A client in a folder, with settings and caches of this registry alone.
    fn client(&self, mut client: Command, folder: &Path) -> Command {
        for name in std::env::vars().map(|(name, _)| name) {
            if name.to_ascii_lowercase().starts_with("npm_config_") || name == "CI" {
                client.env_remove(name);
            }
        }
        let cache = self.path("cache");
        for variable in [
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "YARN_CACHE_FOLDER",
            "YARN_GLOBAL_FOLDER",
        ] {
            client.env(variable, &cache);
        }
        client
            .current_dir(folder)
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("npm_config_userconfig", self.path(".npmrc"))
            // Else yarn 1 has root keep its settings outside of all homes.
            .env("FAKEROOTKEY", "0")
            .env("npm_config_cache", &cache)
            .env("npm_config_update_notifier", "false")
            .env("npm_config_fund", "false")
            .env("npm_config_ignore_scripts", "true");
        client
    }

    fn npm(&self, folder: &Path, arguments: &[&str]) -> String {
        self.run(Client::Npm, folder, arguments)
    }

    fn run(&self, client: Client, folder: &Path, arguments: &[&str]) -> String {
        if client == Client::Yarn4 && !folder.join("yarn.lock").exists() {
            // Without it a folder is part of a project above it.
            fs_err::write(folder.join("yarn.lock"), "").unwrap();
        }
        run(self.client(client.program().unwrap(), folder).args(arguments))
    }

    /// Runs a client at a terminal of its own, where it is told answers to words that it prints.
    fn at_a_terminal(&self, folder: &Path, answers: &[&str], program: &Command) -> String {
        let mut python = self.client(python(&["pty"]).unwrap(), folder);
        python.args(["-c", AT_A_TERMINAL, "60"]).args(answers).arg("--");
        run(python.arg(program.get_program()).args(program.get_args()))
    }

    /// Publishes with a client a package that has no dependencies.
    fn publish_with(&self, client: Client, folder: &Path) {
        if client == Client::Yarn4 {
            self.run(client, folder, &["install"]);
        }
        self.run(client, folder, client.publish());
    }

    /// Takes away what a client installed and keeps, and installs again by the lock file.
    fn install_locked(&self, client: Client, project: &Path) {
        for gone in [project.join("node_modules"), self.path("cache")] {
            if gone.exists() {
                fs_err::remove_dir_all(gone).unwrap();
            }
        }
        self.run(client, project, client.locked());
    }

    /// What npm says to a command that fails.
    fn npm_fails(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = finish(self.client(Command::new("npm"), folder).args(arguments));
        assert!(!output.status.success(), "npm {arguments:?} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A folder with a package to publish.
    fn package(&self, name: &str, version: &str, dependencies: &Value) -> PathBuf {
        let folder = self.path(&format!("{}-{version}", name.replace('/', "-")));
        fs_err::create_dir_all(&folder).unwrap();
        let manifest = json!({
            "name": name,
            "version": version,
            "description": format!("describes {name}"),
            "license": "MIT",
            "bin": "cli.js",
            "dependencies": dependencies,
        });
        fs_err::write(folder.join("package.json"), manifest.to_string()).unwrap();
        fs_err::write(folder.join("cli.js"), "#!/usr/bin/env node\n").unwrap();
        fs_err::write(folder.join("README.md"), format!("# {name}\n")).unwrap();
        folder
    }

    fn publish(&self, name: &str, version: &str, dependencies: &Value, options: &[&str]) {
        let folder = self.package(name, version, dependencies);
        self.npm(&folder, &[&["publish", "--access=public"], options].concat());
    }

    /// An empty project.
    fn project(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs_err::create_dir_all(&folder).unwrap();
        let manifest = json!({"name": "app", "version": "1.0.0", "license": "MIT"});
        fs_err::write(folder.join("package.json"), manifest.to_string()).unwrap();
        folder
    }

    fn post(&self, target: &str, body: &Value) {
        self.server.send(Request::new("POST", target).json(&body.to_string())).expect(200);
    }
}

fn installed(project: &Path, name: &str) -> Value {
    let path = project.join("node_modules").join(name).join("package.json");
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn npm_publishes_installs_and_maintains() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    let here = registry.home.path().to_owned();
    registry.npm(&here, &["ping"]);
    assert!(!registry.npm(&here, &["whoami"]).trim().is_empty());
    registry.publish("dep", "1.0.0", &json!({}), &[]);
    registry.publish("dep", "1.1.0", &json!({}), &[]);
    registry.publish("dep", "2.0.0-rc.1", &json!({}), &["--tag=next"]);
    registry.publish("@acme/tool", "1.0.0", &json!({"dep": "^1.0.0"}), &[]);
    let again = registry.package("dep", "1.1.0", &json!({}));
    assert!(registry.npm_fails(&again, &["publish"]).contains("1.1.0"));

    let shown: Value = serde_json::from_str(
        &registry.npm(&here, &["view", "dep", "versions", "dist-tags", "--json"]),
    )
    .unwrap();
    assert_eq!(shown["versions"], json!(["1.0.0", "1.1.0", "2.0.0-rc.1"]));
    assert_eq!(shown["dist-tags"], json!({"latest": "1.1.0", "next": "2.0.0-rc.1"}));
    assert!(registry.npm(&here, &["search", "tool"]).contains("@acme/tool"));
    assert!(registry.npm(&here, &["owner", "ls", "dep"]).lines().next().is_some());

    let app = registry.project("app");
    registry.npm(&app, &["install", "@acme/tool", "dep@1.0.0"]);
    assert_eq!(installed(&app, "dep")["version"], "1.0.0");
    assert!(app.join("node_modules/.bin/tool").exists());
    let lock = fs_err::read_to_string(app.join("package-lock.json")).unwrap();
    for line in lock.lines().filter(|line| line.contains("\"resolved\"")) {
        assert!(line.contains(&format!("{}/", registry.url("dev"))), "{line}");
        assert!(line.contains("/-/"), "{line}");
    }
    assert!(lock.contains("\"integrity\": \"sha512-"));
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    fs_err::remove_dir_all(registry.path("cache")).unwrap();
    registry.npm(&app, &["ci"]);
    assert_eq!(installed(&app, "@acme/tool")["version"], "1.0.0");
    assert!(registry.npm(&app, &["audit"]).contains("found 0 vulnerabilities"));
    // npm exits with 1 when something is out of date.
    let outdated = finish(registry.client(Command::new("npm"), &app).arg("outdated"));
    assert!(String::from_utf8_lossy(&outdated.stdout).contains("1.1.0"));

    registry.npm(&here, &["dist-tag", "add", "dep@1.0.0", "stable/x"]);
    assert!(registry.npm(&here, &["dist-tag", "ls", "dep"]).contains("stable/x: 1.0.0"));
    registry.npm(&here, &["dist-tag", "rm", "dep", "stable/x"]);
    registry.npm(&here, &["deprecate", "dep@<1.1", "too old"]);
    assert_eq!(registry.npm(&here, &["view", "dep@1.0.0", "deprecated"]).trim(), "too old");
    registry.npm(&here, &["deprecate", "dep@1.0.0", ""]);
    assert_eq!(registry.npm(&here, &["view", "dep@1.0.0", "deprecated"]).trim(), "");
    registry.npm(&here, &["unpublish", "dep@1.0.0", "--force"]);
    let versions = registry.npm(&here, &["view", "dep", "versions", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&versions).unwrap(), json!(["1.1.0", "2.0.0-rc.1"]));
    registry.npm(&here, &["unpublish", "@acme/tool", "--force"]);
    assert!(registry.npm_fails(&here, &["view", "@acme/tool"]).contains("404"));
    assert!(registry.npm_fails(&here, &["star", "dep"]).contains("403"));
    assert!(registry.npm_fails(&here, &["owner", "add", "you", "dep"]).contains("keys"));
    registry.npm(&here, &["token", "list"]);
    assert!(registry.npm_fails(&here, &["token", "revoke", "0a1b2c"]).contains("0a1b2c"));
    let token = Request::new("POST", "/npm/dev/-/npm/v1/tokens").json("{\"password\":\"x\"}");
    assert!(registry.server.send(token).expect(403).text().contains("keys"));
    assert!(!registry.npm(&here, &["profile", "get", "name"]).trim().is_empty());
}

#[test]
fn a_login_gives_the_key_back_and_others_are_refused() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    let here = registry.home.path().to_owned();
    let login = |key: &str| {
        let body = json!({"_id": "org.couchdb.user:me", "name": "me", "password": key}).to_string();
        let target = "/npm/dev/-/user/org.couchdb.user:me";
        Request::new("PUT", target).json(&body).send(registry.server.address)
    };
    assert_eq!(
        login(&registry.server.key).expect(201).json()["token"],
        registry.server.key.as_str()
    );
    assert!(login("hayloft_wrong").expect(401).json()["error"].is_string());
    registry.write_settings("dev", "wrong");
    assert!(registry.npm_fails(&here, &["whoami"]).contains("401"));
    let package = registry.package("a", "1.0.0", &json!({}));
    let refused = registry.npm_fails(&package, &["publish"]);
    assert!(refused.contains("401") || refused.contains("E403"), "{refused}");
}

/// Runs a command at a terminal of its own and answers what it asks: after the seconds it may take
/// come pairs of a word that is waited for and the answer to it, then the command.
const AT_A_TERMINAL: &str = r#"
import os, pty, select, sys, time
end = time.time() + float(sys.argv[1])
split = sys.argv.index("--")
answers = list(zip(sys.argv[2:split:2], sys.argv[3:split:2]))
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
told = ""
while time.time() < end:
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    told += piece.decode(errors="replace")
    if answers and answers[0][0] in told:
        told = told.split(answers[0][0], 1)[1]
        os.write(terminal, answers.pop(0)[1].encode() + b"\r")
else:
    os.kill(pid, 9)
status = os.waitpid(pid, 0)[1]
print(told)
sys.exit(1 if status else 0)
"#;

#[test]
fn npm_logs_in_at_a_terminal() {
    if !has_program("npm") {
        return;
    }
    if python(&["pty"]).is_none() {
        return;
    }
    let registry = Registry::start();
    let here = registry.home.path().to_owned();
    let key = registry.server.key.clone();
    let answers = ["Username", "me", "Password", &key, "Email", "me@example.org"];
    for client in Client::all() {
        if !matches!(client, Client::Npm | Client::Pnpm) {
            continue;
        }
        let settings = format!("registry={}/\n", registry.url("dev"));
        fs_err::write(registry.path(".npmrc"), settings).unwrap();
        assert!(registry.npm_fails(&here, &["whoami"]).contains("ENEEDAUTH"));
        let mut program = client.program().unwrap();
        let told = registry.at_a_terminal(&here, &answers, program.arg("login"));
        assert!(told.contains("Logged in on"), "{told}");
        assert!(!registry.run(client, &here, &["whoami"]).trim().is_empty());
        let package =
            registry.package(&format!("a-{client:?}").to_lowercase(), "1.0.0", &json!({}));
        registry.publish_with(client, &package);
        registry.run(client, &here, &["logout"]);
        assert!(registry.npm_fails(&here, &["whoami"]).contains("ENEEDAUTH"));
    }
}

#[test]
fn yarn_1_logs_in_at_a_terminal() {
    let Some(mut yarn) = Client::Yarn1.program() else { return };
    if python(&["pty"]).is_none() {
        return;
    }
    let registry = Registry::start();
    fs_err::write(registry.path(".npmrc"), format!("registry={}/\n", registry.url("dev"))).unwrap();
    let names = ["npm username", "me", "npm email", "me@example.org"];
    registry.at_a_terminal(registry.home.path(), &names, yarn.arg("login"));
    for name in ["a", "@acme/b"] {
        let package = registry.package(name, "1.0.0", &json!({}));
        let answers = ["npm password", registry.server.key.as_str()];
        let mut yarn = Client::Yarn1.program().unwrap();
        let publish = ["publish", "--new-version=1.0.0", "--access=public"];
        let told = registry.at_a_terminal(&package, &answers, yarn.args(publish));
        assert!(told.contains("Logged in") && told.contains("Published"), "{told}");
        registry.server.get(&format!("/npm/dev/{name}/1.0.0"));
    }
}

#[test]
fn yarn_4_logs_in_at_a_terminal() {
    let Some(mut yarn) = Client::Yarn4.program() else { return };
    if python(&["pty"]).is_none() {
        return;
    }
    let registry = Registry::start();
    registry.write_yarn_settings("dev", "");
    let package = registry.package("@acme/a", "1.0.0", &json!({}));
    registry.run(Client::Yarn4, &package, &["install"]);
    let answers = ["Username", "me", "Password", registry.server.key.as_str()];
    registry.at_a_terminal(&package, &answers, yarn.args(["npm", "login"]));
    assert!(!registry.run(Client::Yarn4, &package, &["npm", "whoami"]).trim().is_empty());
    registry.publish_with(Client::Yarn4, &package);
    registry.server.get("/npm/dev/@acme/a/1.0.0");
    registry.run(Client::Yarn4, &package, &["npm", "logout"]);
    let mut yarn = registry.client(Client::Yarn4.program().unwrap(), &package);
    assert!(!finish(yarn.args(["npm", "whoami"])).status.success());
}

#[test]
fn npm_installs_what_was_repackaged_and_promoted() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    registry.publish("dep", "1.0.0", &json!({}), &[]);
    registry.publish("@acme/tool", "2.0.0-rc.1", &json!({"dep": "^1.0.0"}), &["--tag=next"]);
    registry.post("/api/repackaging/repackage", &json!({
        "feed": "dev", "group": "@acme", "name": "tool", "version": "2.0.0-rc.1", "newVersion": "2.0.0",
    }));
    for (group, name, version) in [("@acme", "tool", "2.0.0"), ("", "dep", "1.0.0")] {
        registry.post("/api/promotions/promote", &json!({
            "packageName": name, "groupName": group, "version": version, "fromFeed": "dev", "toFeed": "prod",
        }));
    }
    registry.write_settings("prod", &registry.server.key);
    let app = registry.project("app");
    registry.npm(&app, &["install", "@acme/tool"]);
    let manifest = installed(&app, "@acme/tool");
    assert_eq!(manifest["version"], "2.0.0");
    assert_eq!(manifest["repackageHistory"].as_array().unwrap().len(), 1);
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    fs_err::remove_dir_all(registry.path("cache")).unwrap();
    registry.npm(&app, &["ci"]);
    let tags = registry.npm(&app, &["dist-tag", "ls", "@acme/tool"]);
    assert_eq!(tags.trim(), "latest: 2.0.0");
}

#[test]
fn every_client_installs_what_was_repackaged_and_promoted() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    registry.publish("dep", "1.0.0", &json!({}), &[]);
    registry.publish("@acme/tool", "2.0.0-rc.1", &json!({"dep": "^1.0.0"}), &["--tag=next"]);
    registry.post("/api/repackaging/repackage", &json!({
        "feed": "dev", "group": "@acme", "name": "tool", "version": "2.0.0-rc.1", "newVersion": "2.0.0",
    }));
    for (group, name, version) in [("@acme", "tool", "2.0.0"), ("", "dep", "1.0.0")] {
        registry.post("/api/promotions/promote", &json!({
            "packageName": name, "groupName": group, "version": version, "fromFeed": "dev", "toFeed": "prod",
        }));
    }
    for client in Client::all() {
        for feed in ["dev", "prod"] {
            registry.write_settings(feed, &registry.server.key);
            let app = registry.project(&format!("{client:?}-{feed}").to_lowercase());
            registry.run(client, &app, &[client.add(), "@acme/tool"]);
            registry.install_locked(client, &app);
            let tool = installed(&app, "@acme/tool");
            assert_eq!(tool["version"], "2.0.0", "{client:?} {feed}");
            assert_eq!(tool["repackageHistory"].as_array().unwrap().len(), 1);
        }
    }
}

#[test]
fn every_client_publishes_and_installs_forty_megabytes() {
    let registry = Registry::start();
    let mut seed = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    })
    .take(40 << 20)
    .collect();
    for client in Client::all() {
        let name = format!("big-{client:?}").to_lowercase();
        let folder = registry.package(&name, "1.0.0", &json!({}));
        fs_err::write(folder.join("noise.bin"), &noise).unwrap();
        registry.publish_with(client, &folder);
        fs_err::remove_dir_all(folder).unwrap();
        let app = registry.project(&format!("app-{name}"));
        registry.run(client, &app, &[client.add(), &name]);
        let installed = app.join("node_modules").join(&name).join("noise.bin");
        assert_eq!(fs_err::metadata(installed).unwrap().len(), 40 << 20, "{client:?}");
        fs_err::remove_dir_all(app).unwrap();
        fs_err::remove_dir_all(registry.path("cache")).unwrap();
    }
}

/// Clients send all of it before they look at the answer: npm and pnpm what is in the tree, yarn 1
/// the whole tree.
#[test]
fn an_audit_of_any_size_is_answered() {
    let registry = Registry::start();
    let packages: serde_json::Map<String, Value> = (0..400_000)
        .map(|number| (format!("package-{number:09}"), json!([format!("1.{number}.0")])))
        .collect();
    let body = Value::Object(packages).to_string();
    assert!(body.len() > 12 << 20);
    for (path, findings) in [
        ("advisories/bulk", json!({})),
        ("audits/quick", json!({"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0})),
        ("audits", json!({"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0})),
    ] {
        let target = format!("/npm/dev/-/npm/v1/security/{path}");
        for framed in [
            Body::Sized(body.clone().into_bytes()),
            Body::Chunked(body.clone().into_bytes(), 64 << 10),
        ] {
            let request = Request::new("POST", &target).header("content-type", "application/json");
            let request = request.key(&registry.server.key).body(framed);
            let mut stream = TcpStream::connect(registry.server.address).unwrap();
            stream.write_all(&request.bytes(registry.server.address)).unwrap();
            let mut told = Vec::new();
            std::io::copy(&mut stream, &mut told).unwrap();
            let told = String::from_utf8(told).unwrap();
            assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
            let (_, answer) = told.split_once("\r\n\r\n").unwrap();
            let answer: Value = serde_json::from_str(answer).unwrap();
            let found = answer["metadata"].get("vulnerabilities").unwrap_or(&answer).clone();
            assert_eq!(found, findings, "{path}");
        }
    }
}

#[test]
fn every_client_goes_on_while_others_publish_and_after_a_kill() {
    let clients = Client::all();
    let mut registry = Registry::start();
    registry.server.upload("dev", npm_tgz("dep", "1.0.0").build());
    let publish = |number| {
        registry.server.upload("dev", npm_tgz("dep", &format!("1.{}.0", number + 1)).build());
    };
    let (published, ()) = meanwhile(publish, || {
        for (round, client) in (0..2).flat_map(|round| clients.iter().map(move |of| (round, *of))) {
            let app = registry.project(&format!("{client:?}-{round}").to_lowercase());
            registry.run(client, &app, &[client.add(), "dep"]);
            registry.install_locked(client, &app);
            assert!(installed(&app, "dep")["version"].is_string());
        }
    });
    assert!(published > 5 || clients.is_empty());
    let last = registry.server.get("/npm/dev/dep").json()["dist-tags"]["latest"].clone();
    registry.server = registry.server.restart();
    registry.write_settings("dev", &registry.server.key);
    for client in clients {
        let app = registry.project(&format!("{client:?}-after").to_lowercase());
        registry.run(client, &app, &[client.add(), "dep"]);
        assert_eq!(installed(&app, "dep")["version"], last, "{client:?}");
        let package =
            registry.package(&format!("a-{client:?}").to_lowercase(), "1.0.0", &json!({}));
        registry.publish_with(client, &package);
    }
}

#[test]
fn pnpm_publishes_and_installs() {
    let Some(_) = javascript("HAYLOFT_PNPM") else { return };
    let registry = Registry::start();
    let pnpm = |folder: &Path, arguments: &[&str]| registry.run(Client::Pnpm, folder, arguments);
    for (name, version, dependencies) in
        [("dep", "1.0.0", json!({})), ("@acme/tool", "1.0.0", json!({"dep": "^1.0.0"}))]
    {
        let folder = registry.package(name, version, &dependencies);
        pnpm(&folder, &["publish", "--no-git-checks", "--access=public"]);
    }
    let app = registry.project("app");
    pnpm(&app, &["add", "@acme/tool"]);
    let lock = fs_err::read_to_string(app.join("pnpm-lock.yaml")).unwrap();
    assert!(!lock.contains("tarball:"), "{lock}");
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    pnpm(&app, &["install", "--frozen-lockfile"]);
    assert_eq!(installed(&app, "@acme/tool")["version"], "1.0.0");
    assert!(pnpm(&app, &["view", "dep", "versions"]).contains("1.0.0"));
    pnpm(&app, &["audit"]);
    // pnpm holds what is in a package against its name and version.
    registry.post("/api/repackaging/repackage", &json!({
        "feed": "dev", "group": "@acme", "name": "tool", "version": "1.0.0", "newVersion": "1.1.0",
    }));
    pnpm(&app, &["update", "@acme/tool"]);
    pnpm(&app, &["install", "--force"]);
    assert_eq!(installed(&app, "@acme/tool")["version"], "1.1.0");

    let folder = registry.package("dep", "1.1.0", &json!({}));
    pnpm(&folder, &["publish", "--no-git-checks"]);
    pnpm(&app, &["add", "dep@1.0.0"]);
    // pnpm exits with 1 when something is out of date.
    let mut outdated = registry.client(Client::Pnpm.program().unwrap(), &app);
    let outdated = finish(outdated.arg("outdated"));
    assert!(String::from_utf8_lossy(&outdated.stdout).contains("1.1.0"));
    assert!(pnpm(&app, &["search", "tool"]).contains("@acme/tool"));
    pnpm(&app, &["dist-tag", "add", "dep@1.0.0", "old"]);
    assert!(pnpm(&app, &["dist-tag", "ls", "dep"]).contains("old: 1.0.0"));
    pnpm(&app, &["deprecate", "dep@1.0.0", "too old"]);
    assert_eq!(pnpm(&app, &["view", "dep@1.0.0", "deprecated"]).trim(), "too old");
    pnpm(&app, &["unpublish", "dep@1.0.0", "--force"]);
    assert!(!pnpm(&app, &["view", "dep", "versions"]).contains("1.0.0"));
    pnpm(&app, &["unpublish", "dep", "--force"]);
    registry.server.send(Request::get("/npm/dev/dep")).expect(404);
}

#[test]
fn yarn_1_publishes_and_installs() {
    let Some(_) = javascript("HAYLOFT_YARN1") else { return };
    let registry = Registry::start();
    let yarn = |folder: &Path, arguments: &[&str]| registry.run(Client::Yarn1, folder, arguments);
    for (name, dependencies) in [("dep", json!({})), ("@acme/tool", json!({"dep": "^1.0.0"}))] {
        let folder = registry.package(name, "1.0.0", &dependencies);
        let version = ["publish", "--non-interactive", "--new-version=1.0.0", "--access=public"];
        yarn(&folder, &version);
    }
    let app = registry.project("app");
    yarn(&app, &["add", "@acme/tool"]);
    let lock = fs_err::read_to_string(app.join("yarn.lock")).unwrap();
    let tarball = format!("{}/@acme/tool/-/tool-1.0.0.tgz#", registry.url("dev"));
    assert!(lock.contains(&tarball), "{lock}");
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    yarn(&app, &["install", "--frozen-lockfile"]);
    assert_eq!(installed(&app, "dep")["version"], "1.0.0");
    yarn(&app, &["tag", "add", "dep@1.0.0", "old"]);
    assert!(yarn(&app, &["tag", "list", "dep"]).contains("old: 1.0.0"));
    yarn(&app, &["tag", "remove", "dep", "old"]);
    registry.publish("dep", "1.1.0", &json!({}), &[]);
    assert!(yarn(&app, &["info", "dep", "versions"]).contains("1.1.0"));
    yarn(&app, &["add", "dep@1.0.0"]);
    // yarn exits with 1 when something is out of date.
    let mut outdated = registry.client(Client::Yarn1.program().unwrap(), &app);
    let outdated = finish(outdated.arg("outdated"));
    assert!(String::from_utf8_lossy(&outdated.stdout).contains("1.1.0"));
    yarn(&app, &["upgrade", "dep@^1.0.0"]);
    assert_eq!(installed(&app, "dep")["version"], "1.1.0");
}

#[test]
fn yarn_4_publishes_and_installs_from_two_feeds_of_one_host() {
    let Some(_) = javascript("HAYLOFT_YARN") else { return };
    let registry = Registry::start();
    let yarn = |folder: &Path, feed: &str, arguments: &[&str]| {
        registry.write_settings(feed, &registry.server.key);
        registry.run(Client::Yarn4, folder, arguments)
    };
    let publish = |feed: &str, name: &str, version: &str| {
        registry.write_settings(feed, &registry.server.key);
        registry.publish_with(Client::Yarn4, &registry.package(name, version, &json!({})));
    };
    publish("dev", "dep", "1.0.0");
    publish("dev", "@acme/tool", "1.0.0");
    publish("prod", "dep", "3.0.0");
    let app = registry.project("app");
    yarn(&app, "dev", &["add", "@acme/tool", "dep"]);
    let lock = fs_err::read_to_string(app.join("yarn.lock")).unwrap();
    assert!(!lock.contains("__archiveUrl"), "{lock}");
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    yarn(&app, "dev", &["install", "--immutable"]);
    assert_eq!(installed(&app, "dep")["version"], "1.0.0");
    // Its cache of documents knows hosts, not feeds.
    let other = registry.project("other");
    yarn(&other, "prod", &["add", "dep"]);
    assert_eq!(installed(&other, "dep")["version"], "3.0.0");
    assert!(yarn(&app, "dev", &["npm", "tag", "list", "dep"]).contains("1.0.0"));
    yarn(&app, "dev", &["npm", "tag", "add", "dep@1.0.0", "old"]);
    assert!(yarn(&app, "dev", &["npm", "tag", "list", "dep"]).contains("old"));
    yarn(&app, "dev", &["npm", "tag", "remove", "dep", "old"]);
    assert!(yarn(&app, "dev", &["npm", "info", "dep", "--fields", "version"]).contains("1.0.0"));
    assert!(!yarn(&app, "dev", &["npm", "whoami"]).is_empty());
    yarn(&app, "dev", &["npm", "audit"]);
}

#[test]
fn the_lines_that_are_printed_work() {
    let registry = Registry::start();
    let package = npm_tgz("dep", "1.0.0").build();
    registry.server.upload("dev", package);
    let called = |client: Client| match client {
        Client::Npm => "npm",
        Client::Pnpm => "pnpm",
        Client::Yarn1 => "yarn1",
        Client::Yarn4 => "yarn",
    };
    for client in Client::all() {
        for settings in [".npmrc", ".yarnrc"] {
            fs_err::write(registry.path(settings), "").unwrap();
        }
        let settings = "nodeLinker: node-modules\nnpmMinimalAgeGate: 0\n";
        fs_err::write(registry.path(".yarnrc.yml"), settings).unwrap();
        let name = format!("@acme/{}", called(client));
        let app = registry.package(&name, "1.0.0", &json!({}));
        fs_err::write(app.join("yarn.lock"), "").unwrap();
        // Lines call a program by its name.
        let mut script = String::new();
        if client != Client::Npm {
            let program = client.program().unwrap();
            let file = program.get_args().next().unwrap().to_str().unwrap();
            let name = if client == Client::Pnpm { "pnpm" } else { "yarn" };
            script = format!("{name}() {{ node '{file}' \"$@\"; }}\n");
        }
        script += &registry.server.setup("dev", called(client));
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]);
        run(&mut registry.client(shell, &app));
        registry.publish_with(client, &app);
        registry.run(client, &app, &[client.add(), "dep"]);
        assert_eq!(installed(&app, "dep")["version"], "1.0.0", "{client:?}");
    }
}
