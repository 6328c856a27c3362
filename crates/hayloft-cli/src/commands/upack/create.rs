use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft::Limits;
use hayloft_archive::DosTime;
use hayloft_universal::{FullName, NewManifest, PackageWriter};
use serde_json::json;

use super::OVERWRITE;
use crate::arguments::{Command, Invocation, Mistake, Opt};
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt::{self, Draft};

pub(super) const COMMAND: Command = Command::action(
    "create",
    "Makes a package out of a directory",
    &[
        Opt::text("source-directory", "Directory with the content").required(),
        Opt::text("target-directory", "Directory for the package; by default this one"),
        Opt::text("manifest", "An upack.json to begin with"),
        Opt::text("name", "Name of the package, after its group: group/name"),
        Opt::text("version", "Version of the package"),
        OVERWRITE,
    ],
    create,
)
.examples(&[
    "hayloft upack create --name=initrode/tools --version=1.0.0-ci.1 --source-directory=build",
]);

fn create(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    interrupt::listen();
    let source = Path::new(invocation.required("source-directory")?);
    let directory = Path::new(invocation.text("target-directory").unwrap_or_default());
    let manifest_path = invocation.text("manifest").map(Path::new);
    let limits = Limits::default();
    let existing = manifest_path.map(|path| read(path, &limits)).transpose()?;
    let (group, name) = match invocation.text("name").map(|name| name.rsplit_once('/').ok_or(name))
    {
        Some(Ok((group, name))) => (Some(group), Some(name)),
        Some(Err(name)) => (existing.is_none().then_some(""), Some(name)),
        None => (None, None),
    };
    if existing.is_none() {
        let given = [("name", name), ("version", invocation.text("version"))];
        let missing = given.iter().filter(|(_, value)| value.is_none());
        let mistakes: Vec<Mistake> = missing
            .map(|(option, _)| {
                format!("missing required argument: --{option} or --manifest").into()
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(Failure::Arguments(mistakes));
        }
    }
    let manifest = NewManifest {
        existing: existing.as_deref(),
        group,
        name,
        version: invocation.text("version"),
    };
    let manifest = manifest.write(&limits).map_err(anyhow::Error::new)?;
    let FullName { name, .. } = manifest.package();
    let file_name = format!("{}-{}.upack", name.spelled(), manifest.version().text());
    let output = directory.join(&file_name);
    if output.exists() && !invocation.flag("overwrite") {
        let text = format!("`{}` is there already; replace it with --overwrite", output.display());
        return Err(Failure::text(text));
    }
    console.say(format_args!("Creating {}...", output.display()))?;
    let left_out: Vec<PathBuf> =
        [Some(output.as_path()), manifest_path].into_iter().flatten().filter_map(real).collect();
    let cannot = || format!("create `{}`", output.display());
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    fs::create_dir_all(directory).map_err(Failure::io(cannot()))?;
    let files = content(source, &left_out)?;
    let draft = tempfile::NamedTempFile::new_in(directory).map_err(Failure::io(cannot()))?;
    let _unfinished = Draft::at(draft.path());
    let mut writer = PackageWriter::new(draft, &manifest, None).map_err(anyhow::Error::new)?;
    for file in &files {
        let mut bytes = fs::File::open(&file.path).map_err(Failure::io("read the content"))?;
        writer
            .add(&file.name, file.modified, file.size, &mut bytes)
            .map_err(|error| packing(error, &file.path))?;
    }
    let mut draft = writer.finish().map_err(anyhow::Error::new)?;
    draft.flush().map_err(Failure::io(cannot()))?;
    readable_by_others(draft.as_file()).map_err(Failure::io(cannot()))?;
    draft.persist(&output).map_err(|error| Failure::io(cannot())(error.error))?;
    console.say(format_args!("{} created.", output.display()))?;
    console.value(&json!({
        "file": output, "group": manifest.package().group.spelled(),
        "name": manifest.package().name.spelled(), "version": manifest.version().text(),
        "files": files.len(),
    }))
}

fn packing(error: hayloft_archive::ArchiveError, path: &Path) -> Failure {
    let context = format!("`{}` cannot be packed", path.display());
    Failure::Other(anyhow::Error::new(error).context(context))
}

/// Temporary files are for their owner alone; a package is a file like any other.
#[cfg(unix)]
pub(super) fn readable_by_others(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
pub(super) fn readable_by_others(_: &std::fs::File) -> io::Result<()> {
    Ok(())
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let mut file = fs::File::open(path).map_err(Failure::io("read the manifest"))?;
    Limits::read(&mut file, limits.manifest).map_err(|error| {
        let context = format!("the manifest `{}` cannot be read", path.display());
        Failure::Other(anyhow::Error::new(error).context(context))
    })
}

/// The file itself, whatever path led to it.
fn real(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// A file of the content.
struct ContentFile {
    path: PathBuf,
    /// Below `package/`, with `/` between its parts.
    name: String,
    size: u64,
    modified: Option<DosTime>,
}

/// All files below a directory, sorted by name, so that equal directories make equal packages.
/// Links are followed, as the original does.
fn content(root: &Path, left_out: &[PathBuf]) -> Result<Vec<ContentFile>, Failure> {
    let mut found = Vec::new();
    let mut above = Vec::new();
    walk(root, "", left_out, &mut above, &mut found)?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn walk(
    directory: &Path,
    prefix: &str,
    left_out: &[PathBuf],
    above: &mut Vec<PathBuf>,
    found: &mut Vec<ContentFile>,
) -> Result<(), Failure> {
    let cannot = "read the content";
    let itself = fs::canonicalize(directory).map_err(Failure::io(cannot))?;
    if above.contains(&itself) {
        let text = format!("`{}` is a link to a directory above it", directory.display());
        return Err(Failure::text(text));
    }
    above.push(itself);
    for entry in fs::read_dir(directory).map_err(Failure::io(cannot))? {
        let entry = entry.map_err(Failure::io(cannot))?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(Failure::text(format!("the name of `{}` is not Unicode", path.display())));
        };
        let name = format!("{prefix}{name}");
        let about = fs::metadata(&path).map_err(Failure::io(cannot))?;
        if about.is_dir() {
            walk(&path, &format!("{name}/"), left_out, above, found)?;
        } else if !left_out.iter().any(|other| real(&path).as_ref() == Some(other)) {
            let modified = about.modified().ok().and_then(dos_time);
            found.push(ContentFile { path, name, size: about.len(), modified });
        }
    }
    above.pop();
    Ok(())
}

/// In UTC: what a zip holds has no time zone.
fn dos_time(time: std::time::SystemTime) -> Option<DosTime> {
    let time = jiff::Timestamp::try_from(time).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let part = |number: i8| u8::try_from(number).ok();
    DosTime::new(
        u16::try_from(time.year()).ok()?,
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
    )
}
