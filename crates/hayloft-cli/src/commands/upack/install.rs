use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft::Limits;
use hayloft::feed_type::RelativePath;
use hayloft_universal::Package;
use jiff::Timestamp;
use serde_json::{Map, json};

use super::registry::{Registration, Registry};
use super::versions::{self, ListedVersion};
use crate::arguments::Invocation;
use crate::connection::{Connection, Target, user_of_the_system};
use crate::console::{Color, Console};
use crate::failure::Failure;
use crate::interrupt::Draft;

/// What happens to files that are in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    Replace,
}

pub(super) fn install(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = invocation.required("package")?;
    let target = PathBuf::from(invocation.required("target")?);
    let registry = Registry::of_user()?;
    if let Some(found) = registry.list()?.iter().find(|each| each.is(package)) {
        return Err(Failure::text(format!(
            "{} {} is already installed; use upack update or upack remove",
            found.full_name(),
            found.version
        )));
    }
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let existing = if invocation.flag("overwrite") { Existing::Replace } else { Existing::Refuse };
    let asked = invocation.text("version").unwrap_or("latest");
    let found = versions::find(&connection, &feed, package, asked)?;
    let place = Installation { connection: &connection, feed: &feed, target: &target };
    let file = place.fetch(&found, console)?;
    place.unpack(&file, existing, console)?;
    place.register(&registry, &found, console)
}

pub(super) fn update(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = invocation.required("package")?;
    let registry = Registry::of_user()?;
    let installed = registered(&registry, package)?;
    let target = path_of(&installed)?;
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    let asked = invocation.text("version").unwrap_or("latest");
    let found = versions::find(&connection, &feed, package, asked)?;
    if found.version == installed.version {
        console.line(format_args!("{package} {} is already installed.", found.version))?;
        return console.value(&installed);
    }
    let place = Installation { connection: &connection, feed: &feed, target: &target };
    // Nothing is deleted before the new package is here and can be read.
    let file = place.fetch(&found, console)?;
    clear(&target)?;
    place.unpack(&file, Existing::Replace, console)?;
    place.register(&registry, &found, console)
}

pub(super) fn remove(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = invocation.required("package")?;
    let registry = Registry::of_user()?;
    let installed = registered(&registry, package)?;
    let target = path_of(&installed)?;
    registry.change("remove a package", |all| {
        all.retain(|each| !each.is(package));
        Ok(())
    })?;
    console.say(format_args!("Removing {} {}...", installed.full_name(), installed.version))?;
    clear(&target)?;
    console.say(format_args!("{} was removed.", installed.full_name()))?;
    console.value(&installed)
}

pub(super) fn list(_: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let installed = Registry::of_user()?.list()?;
    console.value(&installed)?;
    if installed.is_empty() {
        return console.line("No packages have been registered.");
    }
    for each in &installed {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        console.line(format_args!("Name: {}", each.full_name()))?;
        console.line(format_args!("Version: {}", each.version))?;
        console.line(format_args!("Install Path: {}", shown(&each.path)))?;
        let (date, user) = (shown(&each.installation_date), shown(&each.installed_by));
        console.line(format_args!("Installed On: {date} by {user}"))?;
        console.line("")?;
    }
    Ok(())
}

fn registered(registry: &Registry, package: &str) -> Result<Registration, Failure> {
    let found = registry.list()?.into_iter().find(|each| each.is(package));
    found.ok_or_else(|| Failure::text(format!("{package} is not installed")))
}

fn path_of(installed: &Registration) -> Result<PathBuf, Failure> {
    let path = installed.path.as_deref().filter(|path| !path.is_empty()).map(PathBuf::from);
    path.filter(|path| path.is_absolute()).ok_or_else(|| {
        Failure::text(format!("the register does not say where {} is", installed.full_name()))
    })
}

/// Deletes everything in a directory, which clients of the format do, but not the directory.
fn clear(directory: &Path) -> Result<(), Failure> {
    let clear = || {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // A link to a directory is a file here: what it leads to stays.
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    clear().map_err(Failure::io(format_args!("clear `{}`", directory.display())))
}

/// One package on its way from a feed into a directory.
struct Installation<'a> {
    connection: &'a Connection,
    feed: &'a str,
    target: &'a Path,
}

impl Installation<'_> {
    /// Gets the package file and checks that it is the one asked for.
    fn fetch(&self, found: &ListedVersion, console: &mut Console) -> Result<fs::File, Failure> {
        let name = full_name(found);
        console.say(format_args!("Downloading {name} {}...", found.version))?;
        let group = found.group.as_deref().unwrap_or_default();
        let segments = group.split('/').filter(|segment| !segment.is_empty());
        let target = segments
            .fold(Target::new(&["upack", self.feed, "download"]), Target::segment)
            .segment(&found.name)
            .segment(&found.version);
        let answer = self.connection.fetch(target)?;
        let mut file = tempfile::tempfile().map_err(Failure::io("make a temporary file"))?;
        let bar = console.progress(answer.length)?;
        let copied = io::copy(&mut bar.wrap_read(answer.body), &mut file);
        bar.finish_and_clear();
        let size = copied.map_err(Failure::io("save the package"))?;
        if let Some(length) = answer.length.filter(|length| *length != size) {
            return Err(Failure::text(format!("only {size} of {length} bytes arrived")));
        }
        let mut file = fs::File::from_parts(file, "the downloaded package");
        let package = open(&mut file)?;
        let manifest = package.manifest();
        if !manifest.package().to_string().eq_ignore_ascii_case(&name)
            || manifest.version().text() != found.version
        {
            return Err(Failure::text(format!(
                "the file says that it is {} {}",
                manifest.package(),
                manifest.version().text()
            )));
        }
        content(&package)?;
        Ok(file)
    }

    /// Writes the content of the package. Without leave to replace, nothing is written if any file
    /// is in the way.
    fn unpack(
        &self,
        file: &fs::File,
        existing: Existing,
        console: &mut Console,
    ) -> Result<(), Failure> {
        console.say(format_args!("Installing into {}...", self.target.display()))?;
        let mut file = file.try_clone().map_err(Failure::io("read the package"))?;
        let mut package = open(&mut file)?;
        let content = content(&package)?;
        for ContentFile { path, .. } in &content {
            self.in_the_way(path, existing)?;
        }
        fs::create_dir_all(self.target).map_err(Failure::io("make the directory"))?;
        for ContentFile { index, size, path } in &content {
            let directory = self.make_directories(path)?;
            let path = path.below(self.target);
            let cannot = || format!("write `{}`", path.display());
            let mut draft =
                tempfile::NamedTempFile::new_in(&directory).map_err(Failure::io(cannot()))?;
            let _unfinished = Draft::at(draft.path());
            package.copy_to(*index, *size, &mut draft).map_err(anyhow::Error::new)?;
            draft.flush().map_err(Failure::io(cannot()))?;
            super::create::readable_by_others(draft.as_file()).map_err(Failure::io(cannot()))?;
            // Takes the place of a link, and does not go through it.
            draft.persist(&path).map_err(|error| Failure::io(cannot())(error.error))?;
        }
        Ok(())
    }

    /// Fails if what is in the target already does not let the file be written.
    fn in_the_way(&self, path: &RelativePath, existing: Existing) -> Result<(), Failure> {
        let mut place = self.target.to_owned();
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            place.push(part);
            let Ok(about) = fs::symlink_metadata(&place) else { return Ok(()) };
            let shown = place.display();
            if parts.peek().is_some() {
                refuse_link(&place, &about)?;
                if !about.is_dir() {
                    return Err(Failure::text(format!("`{shown}` is no directory")));
                }
            } else if existing == Existing::Refuse {
                let text = format!("`{shown}` is there already; replace it with --overwrite");
                return Err(Failure::text(text));
            } else if about.is_dir() {
                return Err(Failure::text(format!("`{shown}` is a directory; remove it first")));
            }
        }
        Ok(())
    }

    /// Makes the directories of a file below the target, the last of which is returned. Never goes
    /// through links, which could lead out of it.
    fn make_directories(&self, file: &RelativePath) -> Result<PathBuf, Failure> {
        let mut path = self.target.to_owned();
        let mut parts = file.components().peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                break;
            }
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(about) => refuse_link(&path, &about)?,
                Err(_) => fs::create_dir(&path).map_err(Failure::io("make a directory"))?,
            }
        }
        Ok(path)
    }

    fn register(
        &self,
        registry: &Registry,
        found: &ListedVersion,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let path = fs::canonicalize(self.target).map_err(Failure::io("find the directory"))?;
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let feed_url = Target::new(&["upack", self.feed]);
        let place = self.connection.place().trim_end_matches('/');
        let installed = Registration {
            group: found.group.clone().filter(|group| !group.is_empty()),
            name: found.name.clone(),
            version: found.version.clone(),
            path: Some(path.display().to_string()),
            feed_url: Some(format!("{place}/{}", feed_url.as_str())),
            installation_date: Some(now),
            installation_reason: None,
            installed_using: Some(concat!("hayloft/", env!("CARGO_PKG_VERSION")).to_owned()),
            installed_by: Some(user_of_the_system()),
            others: Map::new(),
        };
        let name = installed.full_name();
        registry.change("install a package", |all| {
            all.retain(|each| !each.is(&name));
            all.push(installed.clone());
            Ok(())
        })?;
        console.colored(Color::Green, format_args!("{name} {} installed.", found.version))?;
        console.value(&json!(installed))
    }
}

fn refuse_link(path: &Path, about: &std::fs::Metadata) -> Result<(), Failure> {
    if about.is_symlink() {
        return Err(Failure::text(format!("`{}` is a link; remove it first", path.display())));
    }
    Ok(())
}

/// A file to be written.
struct ContentFile {
    index: usize,
    size: u64,
    path: RelativePath,
}

/// The files that installing writes, all of them in places below the target.
fn content(package: &Package<'_>) -> Result<Vec<ContentFile>, Failure> {
    let mut files = Vec::new();
    for entry in package.entries() {
        let Some(path) = entry.content_path() else { continue };
        let refused = |fault: &dyn std::fmt::Display| {
            let name = hayloft::feed_type::shorten(entry.path());
            Failure::text(format!("the package was not installed: `{name}` {fault}"))
        };
        if entry.is_symbolic_link() {
            return Err(refused(&"is a symbolic link"));
        }
        let path = path.parse().map_err(|fault| refused(&fault))?;
        files.push(ContentFile { index: entry.index(), size: entry.size(), path });
    }
    // In this order a path is followed by those below it, but for names that go on otherwise.
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for path in &paths {
        let below = format!("{path}/");
        if paths.range(below.as_str()..).next().is_some_and(|next| next.starts_with(&below)) {
            let name = hayloft::feed_type::shorten(path);
            return Err(Failure::text(format!(
                "the package was not installed: `package/{name}` is a file and a directory"
            )));
        }
    }
    Ok(files)
}

fn full_name(found: &ListedVersion) -> String {
    match found.group.as_deref() {
        None | Some("") => found.name.clone(),
        Some(group) => format!("{group}/{}", found.name),
    }
}

fn open(file: &mut fs::File) -> Result<Package<'_>, Failure> {
    Package::open(file, &Limits::default()).map_err(|error| {
        Failure::Other(anyhow::Error::new(error).context("the package cannot be read"))
    })
}
