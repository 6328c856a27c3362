//! A release: the program with its manual, completions, unit and settings as a Debian package and as
//! an archive, a bill of materials and checksums.

mod bill;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{Step, root, target};

/// What is packed.
struct Release {
    version: String,
    /// Of Debian, such as `amd64`.
    architecture: &'static str,
    program: PathBuf,
    /// Where the results go.
    out: PathBuf,
    /// Seconds since 1970 that all files of the packages have: those of the last commit.
    time: String,
}

pub(crate) fn dist(arguments: &[String]) -> Result<()> {
    let option = |name: &str| {
        arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    };
    let unknown =
        |argument: &&String| !argument.starts_with("--program=") && !argument.starts_with("--out=");
    if let Some(argument) = arguments.iter().find(unknown) {
        bail!("unknown argument `{argument}`; see `cargo xtask help`");
    }
    let program = if let Some(program) = option("--program") {
        PathBuf::from(program).canonicalize().context("there is no program")?
    } else {
        Step::cargo(["build", "--release", "--locked", "-p", "hayloft-cli"]).run()?;
        target().join("release/hayloft")
    };
    let out = option("--out").map_or_else(|| target().join("dist"), PathBuf::from);
    fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        architecture: architecture()?,
        program,
        out,
        time: read(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()))
            .unwrap_or_else(|_| "0".to_owned()),
    };
    let scratch = release.out.join("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    let files = [release.deb(&scratch.join("deb"))?, release.archive(&scratch)?, release.bill()?];
    fs::remove_dir_all(&scratch)?;
    let names = files.iter().map(|file| file.file_name().unwrap_or_default());
    let sums = read(Command::new("sha256sum").args(names).current_dir(&release.out))?;
    fs::write(release.out.join("SHA256SUMS"), sums + "\n")?;
    for file in files {
        eprintln!("{}", file.display());
    }
    Ok(())
}

/// The name that Debian has for this machine.
fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "riscv64" => "riscv64",
        other => bail!("Debian's name for {other} is not known here"),
    })
}

impl Release {
    /// The tree of `/usr` below `root`, the same in every package.
    fn install(&self, root: &Path) -> Result<()> {
        copy(&self.program, &root.join("usr/bin/hayloft"), 0o755)?;
        let say = |words: &[&str]| read(Command::new(&self.program).args(words));
        let manual = root.join("usr/share/man/man1");
        fs::create_dir_all(&manual)?;
        let status = Command::new(&self.program).args(["manual", "-q"]).arg(&manual).status()?;
        if !status.success() {
            bail!("the program wrote no manual");
        }
        for (shell, path) in [
            ("bash", "usr/share/bash-completion/completions/hayloft"),
            ("zsh", "usr/share/zsh/vendor-completions/_hayloft"),
            ("fish", "usr/share/fish/vendor_completions.d/hayloft.fish"),
        ] {
            write(&root.join(path), &(say(&["completions", shell])? + "\n"), 0o644)?;
        }
        Ok(())
    }

    fn deb(&self, tree: &Path) -> Result<PathBuf> {
        self.install(tree)?;
        let repository = root();
        for name in ["hayloft.service", "hayloft.socket"] {
            let from = repository.join("packaging/systemd").join(name);
            copy(&from, &tree.join("usr/lib/systemd/system").join(name), 0o644)?;
        }
        let settings = tree.join("etc/hayloft/hayloft.toml");
        copy(&repository.join("packaging/hayloft.toml"), &settings, 0o644)?;
        let documents = tree.join("usr/share/doc/hayloft");
        copy(&repository.join("README.md"), &documents.join("README.md"), 0o644)?;
        copy(&repository.join("CHANGELOG.md"), &documents.join("changelog"), 0o644)?;
        let licences = ["LICENSE-MIT", "LICENSE-APACHE"];
        let texts = licences.map(|name| fs::read_to_string(repository.join(name)));
        let mut copyright = "MIT or Apache-2.0, at your choice.\n".to_owned();
        for text in texts {
            copyright = copyright + "\n" + &text?;
        }
        write(&documents.join("copyright"), &copyright, 0o644)?;
        for directory in [tree.join("usr/share/man/man1"), documents] {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.ends_with(".1") || name == "changelog" {
                    read(Command::new("gzip").arg("-9n").arg(&path))?;
                }
            }
        }
        let control = tree.join("DEBIAN");
        write(&control.join("control"), &self.control(tree)?, 0o644)?;
        write(&control.join("conffiles"), "/etc/hayloft/hayloft.toml\n", 0o644)?;
        let sums = "find usr etc -type f -print0 | sort -z | xargs -0 md5sum";
        let sums = read(Command::new("sh").args(["-c", sums]).current_dir(tree))?;
        write(&control.join("md5sums"), &(sums + "\n"), 0o644)?;
        let name = format!("hayloft_{}_{}.deb", self.version, self.architecture);
        let file = self.out.join(name);
        Step::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([tree, &file])
            .env("SOURCE_DATE_EPOCH", &self.time)
            .run()?;
        Ok(file)
    }

    fn control(&self, tree: &Path) -> Result<String> {
        let size = read(Command::new("du").args(["-sk", "--exclude=DEBIAN"]).arg(tree))?;
        let size = size.split_whitespace().next().unwrap_or("0").to_owned();
        let glibc = newest_glibc(&self.program)?;
        let mut text = String::new();
        write!(
            text,
            "Package: hayloft\nVersion: {}\nArchitecture: {}\nMaintainer: The Hayloft authors \
             <maintainers@hayloft.dev>\nInstalled-Size: {size}\nDepends: libc6 (>= {glibc}), \
             libgcc-s1\nSection: devel\nPriority: optional\nHomepage: https://hayloft.dev\n\
             Description: package feeds in a store on this machine, or on a server\n \
             Holds feeds of NuGet, npm, PyPI, Debian, RubyGems and universal packages, and can\n \
             repackage a version under another and promote it to another feed, byte for byte.\n \
             .\n The server is started by `systemctl enable --now hayloft`.\n",
            self.version, self.architecture
        )?;
        Ok(text)
    }

    /// The same without what belongs to Debian.
    fn archive(&self, scratch: &Path) -> Result<PathBuf> {
        let name = format!("hayloft-{}-{}-linux", self.version, std::env::consts::ARCH);
        let tree = scratch.join(&name);
        self.install(&tree)?;
        for document in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            copy(&root().join(document), &tree.join(document), 0o644)?;
        }
        for file in ["hayloft.toml", "systemd/hayloft.service", "systemd/hayloft.socket"] {
            let from = root().join("packaging").join(file);
            copy(&from, &tree.join("packaging").join(file), 0o644)?;
        }
        let file = self.out.join(format!("{name}.tar.gz"));
        Step::new("tar")
            .args([
                "--create",
                "--use-compress-program=gzip -n",
                "--sort=name",
                "--owner=0",
                "--group=0",
            ])
            .args(["--numeric-owner", "--format=ustar"])
            .args([format!("--mtime=@{}", self.time)])
            .args([format!("--file={}", file.display())])
            .args([format!("--directory={}", scratch.display()), name])
            .run()?;
        Ok(file)
    }

    /// What the program is made of.
    fn bill(&self) -> Result<PathBuf> {
        let metadata = read(
            Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .args(["metadata", "--format-version=1", "--locked", "--offline"])
                .arg(format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH))
                .current_dir(root()),
        )?;
        let bill = bill::of(&serde_json::from_str(&metadata)?)?;
        let file = self.out.join(format!("hayloft-{}.cdx.json", self.version));
        fs::write(&file, serde_json::to_string_pretty(&bill)? + "\n")?;
        Ok(file)
    }
}

/// The newest version of the C library of which the program needs a function.
fn newest_glibc(program: &Path) -> Result<String> {
    let versions = read(Command::new("readelf").args(["--version-info", "--wide"]).arg(program))?;
    let minor = versions
        .split("GLIBC_2.")
        .skip(1)
        .filter_map(|rest| rest.split(|each: char| !each.is_ascii_digit()).next()?.parse().ok())
        .max();
    let minor: u32 = minor.context("the program does not use the C library of GNU")?;
    Ok(format!("2.{minor}"))
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file has a directory")?)?;
    fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    permit(to, mode)
}

fn write(to: &Path, text: &str, mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file has a directory")?)?;
    fs::write(to, text)?;
    permit(to, mode)
}

#[cfg(unix)]
fn permit(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[cfg(not(unix))]
fn permit(_: &Path, _: u32) -> Result<()> {
    bail!("releases are packed on Linux")
}

/// What a program prints, without the end of the last line.
fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
