//! Python's own clients publish to a feed and install from it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft_testkit::{Package, sdist, wheel};
use hayloft_tests::{Request, Response, Server, Wiretap, finish, meanwhile, python, run, sha256};
use tempfile::TempDir;

/// A program that installs into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    Pip,
    Uv,
}

impl Installer {
    /// Those that are here.
    fn all() -> impl Iterator<Item = Self> {
        let all = [Self::Pip, Self::Uv].into_iter();
        all.filter(|installer| python(&[installer.module()]).is_some())
    }

    fn module(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv => "uv",
        }
    }
}

/// A server with a feed `py`, and a folder for what clients leave.
struct Scene {
    folder: TempDir,
    server: Server,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("store"));
        server.create_feed("py", "pypi");
        server.create_feed("stable", "pypi");
        Self { folder, server }
    }

    fn url(&self, feed: &str) -> String {
        format!("http://{}/pypi/{feed}", self.server.address)
    }

    fn index(&self, feed: &str) -> String {
        self.index_at(self.server.address, feed)
    }

    fn index_at(&self, address: SocketAddr, feed: &str) -> String {
        format!("http://api:{}@{address}/pypi/{feed}/simple/", self.server.key)
    }

    fn write(&self, package: &Package) -> PathBuf {
        let path = self.folder.path().join(package.file_name());
        fs_err::write(&path, package.build()).unwrap();
        path
    }

    /// A tool that finds no settings of whoever runs the tests.
    fn tool(&self, module: &str) -> Option<Command> {
        let mut tool = python(&[module])?;
        let home = self.folder.path().join("home");
        fs_err::create_dir_all(&home).unwrap();
        tool.args(["-m", module]).env("HOME", &home).env("XDG_CONFIG_HOME", &home);
        tool.env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring").current_dir(&home);
        Some(tool)
    }

    fn twine(&self, file: &Path) -> Option<()> {
        let mut twine = self.tool("twine")?;
        twine.args(["upload", "--disable-progress-bar", "--non-interactive", "--repository-url"]);
        twine.arg(format!("{}/legacy/", self.url("py")));
        run(twine.args(["-u", "api", "-p", &self.server.key]).arg(file));
        Some(())
    }

    /// Installs with pip into a folder of its own; gives `name version` of all that is there.
    fn pip(&self, feed: &str, label: &str, arguments: &[&str]) -> Vec<String> {
        let target = self.folder.path().join(label);
        run(self.installer(Installer::Pip, &self.index(feed), &target).args(arguments));
        installed(&target)
    }

    /// The same with uv.
    fn uv(&self, feed: &str, label: &str, arguments: &[&str]) -> Vec<String> {
        let target = self.folder.path().join(label);
        run(self.installer(Installer::Uv, &self.index(feed), &target).args(arguments));
        installed(&target)
    }

    /// A command that installs from an index into a folder.
    fn installer(&self, installer: Installer, index: &str, target: &Path) -> Command {
        let mut tool = self.tool(installer.module()).unwrap();
        match installer {
            Installer::Pip => {
                tool.args(["--isolated", "--disable-pip-version-check", "install"]);
                tool.args(["--no-cache-dir", "--no-deps", "--no-compile", "--upgrade"]);
                tool.args(["--root-user-action=ignore", "--no-build-isolation"]);
            }
            Installer::Uv => {
                tool.args(["pip", "install", "--no-config", "--no-cache", "--no-deps"]);
            }
        }
        tool.args(["--index-url", index, "--target"]).arg(target);
        tool
    }

    /// A project for poetry that needs nothing yet.
    fn project(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("home").join(name);
        fs_err::create_dir_all(&folder).unwrap();
        let toml = format!(
            "[project]\nname = \"{name}\"\nversion = \"0.1\"\nrequires-python = \">=3.9,<4\"\n\
             dependencies = []\n[tool.poetry]\npackages = [{{include = \"{name}.py\"}}]\n\
             [build-system]\nrequires = [\"poetry-core\"]\nbuild-backend = \"poetry.core.masonry.api\"\n"
        );
        fs_err::write(folder.join("pyproject.toml"), toml).unwrap();
        fs_err::write(folder.join(format!("{name}.py")), "").unwrap();
        folder
    }

    fn post(&self, target: &str, json: &str) -> Response {
        self.server.send(Request::new("POST", target).json(json)).expect(200)
    }
}

/// `name version` of all distributions in a folder.
fn installed(target: &Path) -> Vec<String> {
    const LIST: &str = "import sys, importlib.metadata as m\n\
        for d in m.distributions(path=[sys.argv[1]]): print(d.metadata['Name'], d.version)";
    let mut list = python(&["pip"]).unwrap();
    let mut found: Vec<String> =
        run(list.args(["-I", "-c", LIST]).arg(target)).lines().map(str::to_owned).collect();
    found.sort();
    found
}

#[test]
fn twine_publishes_and_pip_installs() {
    if python(&["pip", "twine", "setuptools", "wheel"]).is_none() {
        return;
    }
    let scene = Scene::new();
    let built = [
        wheel("Hay.Bale", "1.0"),
        wheel("Hay.Bale", "2.0rc1"),
        wheel("Hay.Bale", "1!0.5+local.1"),
        sdist("straw", "0.1"),
    ];
    for package in &built {
        let file = scene.write(package);
        scene.twine(&file).unwrap();
        // Publishing again is safe.
        scene.twine(&file).unwrap();
    }
    let other = wheel("Hay.Bale", "1.0").file("more.py", "");
    fs_err::write(scene.folder.path().join(other.file_name()), other.build()).unwrap();
    // Who may add may not replace.
    let adder = r#"{"type":"Feed","packagePermissions":["view","add"],"feed":"py"}"#;
    let adder =
        scene.post("/api/api-keys/create", adder).json()["key"].as_str().unwrap().to_owned();
    let mut twine = scene.tool("twine").unwrap();
    twine.args(["upload", "--disable-progress-bar", "--non-interactive", "--repository-url"]);
    twine.arg(format!("{}/legacy/", scene.url("py"))).args(["-u", "api", "-p", &adder]);
    let output = finish(twine.arg(scene.folder.path().join(other.file_name())));
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("File already exists"), "{told}");

    assert_eq!(scene.pip("py", "newest", &["hay_bale"]), ["Hay.Bale 1!0.5+local.1"]);
    assert_eq!(scene.pip("py", "range", &["HAY-BALE<2"]), ["Hay.Bale 1.0"]);
    assert_eq!(scene.pip("py", "pre", &["--pre", "hay.bale<3"]), ["Hay.Bale 2.0rc1"]);
    assert_eq!(scene.pip("py", "sdist", &["straw", "--no-binary=:all:"]), ["straw 0.1"]);
    let mut pip = scene.tool("pip").unwrap();
    pip.args(["--isolated", "download", "--no-cache-dir", "--no-deps", "--no-binary=:all:"]);
    pip.args(["--no-build-isolation", "--index-url", &scene.index("py"), "straw", "--dest"]);
    let folder = scene.folder.path().join("downloaded");
    run(pip.arg(&folder));
    assert_eq!(fs_err::read(folder.join("straw-0.1.tar.gz")).unwrap(), built[3].build());
    let hashed = scene.folder.path().join("requirements.txt");
    let digest = sha256(&built[0].build());
    fs_err::write(&hashed, format!("hay-bale==1.0 --hash=sha256:{digest}\n")).unwrap();
    let requirements = ["--require-hashes", "-r", hashed.to_str().unwrap()];
    assert_eq!(scene.pip("py", "hashed", &requirements), ["Hay.Bale 1.0"]);
}

#[test]
fn pip_minds_what_is_yanked_blocked_repackaged_and_promoted() {
    if python(&["pip"]).is_none() {
        return;
    }
    let scene = Scene::new();
    for version in ["1.0", "1.1", "2.0rc1"] {
        scene.server.upload("py", wheel("hay", version).build());
    }
    let status = |version: &str, json: &str| {
        scene.post(&format!("/api/packages/py/status?name=hay&version={version}"), json);
    };
    status("1.1", r#"{"deprecated":true,"deprecationReason":"mouldy"}"#);
    assert_eq!(scene.pip("py", "open", &["hay"]), ["hay 1.0"]);
    assert_eq!(scene.pip("py", "pinned", &["hay==1.1"]), ["hay 1.1"]);
    // The same out of HTML, which older releases read.
    let page = format!("{}hay/?format=text/html", scene.index("py"));
    let html = ["--no-index", "--find-links", &page];
    assert_eq!(scene.pip("py", "html", &[&html[..], &["hay"]].concat()), ["hay 1.0"]);
    assert_eq!(scene.pip("py", "html-pin", &[&html[..], &["hay==1.1"]].concat()), ["hay 1.1"]);
    status("1.0", r#"{"allow":false}"#);
    let repackage = r#"{"feed":"py","name":"hay","version":"2.0rc1","newVersion":"2.0"}"#;
    scene.post("/api/repackaging/repackage", repackage);
    assert_eq!(scene.pip("py", "repackaged", &["hay"]), ["hay 2.0"]);
    let promote = r#"{"fromFeed":"py","name":"hay","version":"2.0","toFeed":"stable"}"#;
    scene.post("/api/promotions/promote", promote);
    assert_eq!(scene.pip("stable", "promoted", &["hay"]), ["hay 2.0"]);
    if python(&["uv"]).is_some() {
        assert_eq!(scene.uv("py", "uv-repackaged", &["hay"]), ["hay 2.0"]);
        assert_eq!(scene.uv("stable", "uv-promoted", &["hay"]), ["hay 2.0"]);
    }
}

/// Forms of an index with what clients ask for, JSON first, and what takes its place on the way.
const FORMS: [(&str, &str, &str); 2] = [("json", "", ""), ("html", "v1+json", "v1+html")];

/// A feed with a file that may be taken, one that is yanked and one for a Python to come.
fn choice(scene: &Scene) -> Package {
    let open = wheel("hay", "1.0");
    for package in
        [&open, &wheel("hay", "1.1"), &wheel("hay", "2.0").field("Requires-Python", ">=99")]
    {
        scene.server.upload("py", package.build());
    }
    let yank = r#"{"deprecated":true,"deprecationReason":"mouldy"}"#;
    scene.post("/api/packages/py/status?name=hay&version=1.1", yank);
    open
}

#[test]
fn pip_and_uv_mind_hashes_pythons_and_yanks_in_json_and_html() {
    let scene = Scene::new();
    let digest = sha256(&choice(&scene).build());
    let requirements = |name: &str, digest: &str| {
        let path = scene.folder.path().join(name);
        fs_err::write(&path, format!("hay==1.0 --hash=sha256:{digest}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = requirements("right.txt", &digest);
    let wrong = requirements("wrong.txt", &"0".repeat(64));
    for (form, from, to) in FORMS {
        let tap = Wiretap::changing(scene.server.address, from, to);
        for installer in Installer::all() {
            let label = scene.folder.path().join(format!("{installer:?}-{form}"));
            let ask = |arguments: &[&str]| {
                let index = scene.index_at(tap.address, "py");
                if label.exists() {
                    fs_err::remove_dir_all(&label).unwrap();
                }
                let mut asked = scene.installer(installer, &index, &label);
                asked.args(arguments);
                asked
            };
            run(&mut ask(&["hay"]));
            assert_eq!(installed(&label), ["hay 1.0"], "{installer:?} {form}");
            run(&mut ask(&["hay==1.1"]));
            assert_eq!(installed(&label), ["hay 1.1"], "{installer:?} {form}");
            run(&mut ask(&["--require-hashes", "-r", &right]));
            assert_eq!(installed(&label), ["hay 1.0"], "{installer:?} {form}");
            for refused in
                [&["hay==2.0"][..], &["--require-hashes", "--force-reinstall", "-r", &wrong]]
            {
                let refused = finish(&mut ask(refused));
                assert!(!refused.status.success(), "{installer:?} {form}");
            }
            let heard = tap.take();
            assert!(heard.contains(&format!("application/vnd.pypi.simple.v1+{form}")), "{heard}");
        }
    }
}

#[test]
fn uv_publishes_and_installs() {
    if python(&["uv"]).is_none() {
        return;
    }
    let scene = Scene::new();
    for package in [wheel("hay", "1.0"), wheel("hay", "1.1"), sdist("hay", "1.1")] {
        let file = scene.write(&package);
        for _ in 0..2 {
            let mut uv = scene.tool("uv").unwrap();
            uv.args(["publish", "--no-config", "--publish-url"]);
            uv.arg(format!("{}/legacy/", scene.url("py")));
            run(uv.args(["--username", "api", "--password", &scene.server.key]).arg(&file));
        }
    }
    let file = scene.write(&wheel("hay", "1.2"));
    let mut uv = scene.tool("uv").unwrap();
    uv.args(["publish", "--no-config", "--publish-url", &format!("{}/legacy/", scene.url("py"))]);
    run(uv.args(["--token", &scene.server.key]).arg(&file));
    let target = scene.folder.path().join("target");
    let mut uv = scene.tool("uv").unwrap();
    uv.args(["pip", "install", "--no-config", "--no-cache", "--no-deps", "--index-url"]);
    run(uv.arg(scene.index("py")).arg("--target").arg(&target).arg("Hay"));
    assert_eq!(installed(&target), ["hay 1.2"]);
}

#[test]
fn flit_publishes() {
    if python(&["flit"]).is_none() {
        return;
    }
    let scene = Scene::new();
    let project = scene.folder.path().join("project");
    fs_err::create_dir_all(&project).unwrap();
    let toml = "[build-system]\nrequires = [\"flit_core>=3\"]\nbuild-backend = \"flit_core.buildapi\"\n\
        [project]\nname = \"flit-hay\"\nversion = \"0.3\"\ndescription = \"Hay\"\n";
    fs_err::write(project.join("pyproject.toml"), toml).unwrap();
    fs_err::write(project.join("flit_hay.py"), "\"\"\"Hay\"\"\"\n").unwrap();
    for _ in 0..2 {
        let mut flit = scene.tool("flit").unwrap();
        flit.args(["publish", "--no-use-vcs"]).current_dir(&project);
        flit.env("FLIT_INDEX_URL", format!("{}/legacy/", scene.url("py")));
        run(flit.env("FLIT_USERNAME", "api").env("FLIT_PASSWORD", &scene.server.key));
    }
    assert_eq!(scene.pip("py", "installed", &["flit_hay"]), ["flit-hay 0.3"]);
}

/// Runs lines in a shell in which `python3` is the one that has the modules.
fn shell(scene: &Scene, lines: &str) -> String {
    let program = python(&["pip"]).unwrap().get_program().to_owned();
    let home = scene.folder.path().join("home");
    fs_err::create_dir_all(&home).unwrap();
    let mut sh = Command::new("sh");
    sh.args(["-ec", lines]).env("HOME", &home).env("PYTHON", program).current_dir(&home);
    run(sh.env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"))
}

#[test]
fn the_lines_that_are_printed_work() {
    if python(&["pip", "twine", "uv"]).is_none() {
        return;
    }
    let scene = Scene::new();
    let first = scene.write(&wheel("hay", "1.0"));
    let second = scene.write(&wheel("hay", "1.1"));
    let with = |client: &str, command: String| {
        shell(&scene, &format!("{}{command}", scene.server.setup("py", client)))
    };
    with("twine", format!("\"$PYTHON\" -m twine upload {}", first.display()));
    with("uv", format!("\"$PYTHON\" -m uv publish --no-config {}", second.display()));
    let pip = "\"$PYTHON\" -m pip install --no-cache-dir --no-deps --target pip hay==1.0";
    with("pip", pip.to_owned());
    with("uv", "\"$PYTHON\" -m uv pip install --no-cache --no-deps --target uv hay".to_owned());
    let home = scene.folder.path().join("home");
    assert_eq!(installed(&home.join("pip")), ["hay 1.0"]);
    assert_eq!(installed(&home.join("uv")), ["hay 1.1"]);
}

#[test]
fn poetry_publishes_and_installs_by_the_lines_that_are_printed() {
    if python(&["pip", "poetry"]).is_none() {
        return;
    }
    let scene = Scene::new();
    let lines = scene.server.setup("py", "poetry");
    // Lines call it by its name.
    let lines = format!("poetry() {{ \"$PYTHON\" -m poetry \"$@\"; }}\n{lines}");
    scene.project("poem");
    scene.project("reader");
    let publish = "poetry publish -n --repository py";
    shell(&scene, &format!("cd poem\n{lines}{publish} --build\n{publish}\n"));
    let add = "poetry add -n poem\npoetry run python -c 'import poem; print(\"read\")'";
    let told = shell(&scene, &format!("cd reader\n{lines}{add}\n"));
    assert!(told.ends_with("read\n"), "{told}");
    let lock = fs_err::read_to_string(scene.folder.path().join("home/reader/poetry.lock")).unwrap();
    assert!(lock.contains("poem-0.1-py3-none-any.whl"), "{lock}");
}

/// A project of poetry's that takes packages from one feed, with an environment and a cache of its
/// own.
struct Poetry<'s> {
    scene: &'s Scene,
    folder: PathBuf,
}

impl<'s> Poetry<'s> {
    /// Gives nothing if there is no poetry.
    fn new(scene: &'s Scene, name: &str, address: SocketAddr, feed: &str) -> Option<Self> {
        python(&["pip", "poetry"])?;
        let folder = scene.project(name);
        let poetry = Self { scene, folder };
        poetry.takes_from(address, feed);
        Some(poetry)
    }

    fn takes_from(&self, address: SocketAddr, feed: &str) {
        let file = self.folder.join("pyproject.toml");
        let text = fs_err::read_to_string(&file).unwrap();
        let text = text.split("[[tool.poetry.source]]").next().unwrap();
        let url = format!("http://{address}/pypi/{feed}/simple/");
        let source = format!("[[tool.poetry.source]]\nname = \"hay\"\nurl = \"{url}\"\n");
        fs_err::write(&file, format!("{text}{source}")).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut poetry = self.scene.tool("poetry").unwrap();
        poetry.args(arguments).arg("--no-interaction").current_dir(&self.folder);
        poetry.env("POETRY_CACHE_DIR", self.folder.join("cache"));
        poetry.env("POETRY_VIRTUALENVS_IN_PROJECT", "true");
        poetry.env("POETRY_VIRTUALENVS_OPTIONS_NO_PIP", "true");
        poetry.env("POETRY_HTTP_BASIC_HAY_USERNAME", "api");
        poetry.env("POETRY_HTTP_BASIC_HAY_PASSWORD", &self.scene.server.key);
        poetry
    }

    /// Puts a package into the project and its environment; gives which version the lock file has.
    fn add(&self, package: &str) -> String {
        run(&mut self.command(&["add", package]));
        assert_eq!(self.installed("hay"), self.locked("hay"));
        self.locked("hay")
    }

    /// Takes the environment and what was fetched away.
    fn forget(&self) {
        for kept in [".venv", "cache"] {
            fs_err::remove_dir_all(self.folder.join(kept)).unwrap();
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("poetry.lock")
    }

    fn locked(&self, name: &str) -> String {
        let lock = fs_err::read_to_string(self.lock_file()).unwrap();
        let start = format!("name = \"{name}\"\nversion = \"");
        let (_, rest) = lock.split_once(&start).unwrap_or_else(|| panic!("{lock}"));
        rest.split('"').next().unwrap().to_owned()
    }

    fn installed(&self, name: &str) -> String {
        let list = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))";
        let mut python = Command::new(self.folder.join(".venv/bin/python"));
        run(python.args(["-I", "-c", list, name])).trim().to_owned()
    }
}

#[test]
fn poetry_locks_hashes_and_minds_pythons_and_yanks_in_json_and_html() {
    let scene = Scene::new();
    let digest = sha256(&choice(&scene).build());
    for (form, from, to) in FORMS {
        let tap = Wiretap::changing(scene.server.address, from, to);
        let Some(poetry) = Poetry::new(&scene, &format!("reads_{form}"), tap.address, "py") else {
            return;
        };
        assert_eq!(poetry.add("hay<3"), "1.0", "{form}");
        let heard = tap.take();
        assert!(heard.contains(&format!("application/vnd.pypi.simple.v1+{form}")), "{heard}");
        let lock = fs_err::read_to_string(poetry.lock_file()).unwrap();
        assert!(lock.contains(&format!("hash = \"sha256:{digest}\"")), "{lock}");

        poetry.forget();
        run(&mut poetry.command(&["sync", "--no-root"]));
        assert_eq!(poetry.installed("hay"), "1.0", "{form}");
        poetry.forget();
        fs_err::write(poetry.lock_file(), lock.replace(&digest, &"0".repeat(64))).unwrap();
        let refused = finish(&mut poetry.command(&["sync", "--no-root"]));
        assert!(!refused.status.success(), "{form}: {refused:?}");
        fs_err::write(poetry.lock_file(), lock).unwrap();

        let refused = finish(&mut poetry.command(&["add", "hay==2.0"]));
        assert!(!refused.status.success(), "{form}: {refused:?}");
        assert_eq!(poetry.add("hay==1.1"), "1.1", "{form}");
    }
}

#[test]
fn poetry_installs_what_was_repackaged_and_promoted_also_after_a_kill() {
    let scene = Scene::new();
    scene.server.upload("py", wheel("hay", "2.0rc1").build());
    scene.server.upload("py", wheel("hay", "1.0").build());
    let repackage = r#"{"feed":"py","name":"hay","version":"2.0rc1","newVersion":"2.0"}"#;
    scene.post("/api/repackaging/repackage", repackage);
    let promote = r#"{"fromFeed":"py","name":"hay","version":"2.0","toFeed":"stable"}"#;
    scene.post("/api/promotions/promote", promote);
    let publish = |count| {
        scene.server.upload("py", wheel("straw", &format!("0.{count}")).build());
    };
    let (_, added) = meanwhile(publish, || {
        for feed in ["py", "stable"] {
            let poetry = Poetry::new(&scene, feed, scene.server.address, feed)?;
            assert_eq!(poetry.add("hay"), "2.0", "{feed}");
        }
        Some(())
    });
    if added.is_none() {
        return;
    }
    let Scene { folder, server } = scene;
    let scene = Scene { folder, server: server.restart() };
    let poetry = Poetry::new(&scene, "later", scene.server.address, "stable").unwrap();
    assert_eq!(poetry.add("hay"), "2.0");
}

#[test]
fn poetry_publishes_again_and_is_told_what_is_there() {
    let scene = Scene::new();
    let Some(poetry) = Poetry::new(&scene, "poem", scene.server.address, "py") else { return };
    let publish = |user: &str, key: &str, more: &[&str]| {
        let mut publish = poetry.command(&["publish", "--build", "--repository", "target"]);
        publish.env("POETRY_REPOSITORIES_TARGET_URL", format!("{}/legacy/", scene.url("py")));
        publish.args(["--username", user, "--password", key]).args(more);
        let output = finish(&mut publish);
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    // Who may add may not replace.
    let adder = r#"{"type":"Feed","packagePermissions":["view","add"],"feed":"py"}"#;
    let adder = scene.post("/api/api-keys/create", adder).json()["key"].clone();
    let adder = adder.as_str().unwrap();
    for user in ["api", "__token__"] {
        let (is_published, told) = publish(user, adder, &[]);
        assert!(is_published, "{told}");
    }
    fs_err::write(poetry.folder.join("poem.py"), "changed = True\n").unwrap();
    let (is_published, told) = publish("api", adder, &[]);
    assert!(!is_published && told.contains("File already exists"), "{told}");
    let (is_published, told) = publish("api", adder, &["--skip-existing"]);
    assert!(is_published, "{told}");
    let (is_published, told) = publish("api", "wrong", &["--skip-existing"]);
    assert!(!is_published && told.contains("401"), "{told}");
    assert_eq!(scene.pip("py", "installed", &["poem"]), ["poem 0.1"]);
}

#[test]
fn installing_goes_on_while_others_publish_and_after_a_kill() {
    if python(&["pip"]).is_none() {
        return;
    }
    let has_uv = python(&["uv"]).is_some();
    let scene = Scene::new();
    scene.server.upload("py", wheel("hay", "1.0").build());
    let publish = |count| {
        scene.server.upload("py", wheel("straw", &format!("0.{count}")).build());
    };
    let (published, ()) = meanwhile(publish, || {
        for at in 0..3 {
            assert_eq!(scene.pip("py", &format!("during-{at}"), &["hay"]), ["hay 1.0"]);
            if has_uv {
                assert_eq!(scene.uv("py", &format!("uv-during-{at}"), &["hay"]), ["hay 1.0"]);
            }
        }
    });
    assert!(published > 3);
    let Scene { folder, server } = scene;
    let scene = Scene { folder, server: server.restart() };
    assert_eq!(scene.pip("py", "after", &["hay"]), ["hay 1.0"]);
    scene.server.upload("py", wheel("hay", "1.1").build());
    assert_eq!(scene.pip("py", "later", &["hay"]), ["hay 1.1"]);
    if has_uv {
        assert_eq!(scene.uv("py", "uv-later", &["hay"]), ["hay 1.1"]);
    }
}
