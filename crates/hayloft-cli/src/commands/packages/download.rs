use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft::feed_type::RelativePath;
use hayloft_http::wire::PackageVersionInfo;
use serde_json::json;

use super::package::PackageVersion;
use super::{ARCH, COMPONENT, DISTRO, FILE_NAME, NO_CONNECTORS, PACKAGE, PLATFORM, QUALIFIER};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Answer, Connection, Target, parse};
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt::Draft;

pub(super) const COMMAND: Command = Command::action(
    "download",
    "Gets a package file",
    &[
        PACKAGE.required(),
        Opt::text("version", "Version, or latest, latest-stable, latest-unstable").required(),
        Opt::text("output-file", "Where to save it; by default its own name here"),
        Opt::flag("stdout", "Write the file to standard output"),
        QUALIFIER,
        ARCH,
        DISTRO,
        COMPONENT,
        FILE_NAME,
        PLATFORM,
        NO_CONNECTORS,
    ],
    download,
)
.words(&[Word::Value("feed"), Word::Package, Word::Value("output-file")])
.examples(&[
    "hayloft packages download dev tools@latest",
    "hayloft packages download dev tools@1.0.0 --stdout | sha256sum",
]);

fn download(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let package = PackageVersion::of(invocation)?;
    let output = invocation.text("output-file").map(Path::new);
    if invocation.flag("stdout") {
        if output.is_some() {
            let text = "give either --output-file or --stdout, not both";
            return Err(Failure::option("stdout", text));
        }
        console.speak_bytes();
    }
    let connection = Connection::open(invocation, console)?;
    let feed = connection.feed(invocation)?;
    package.check(&connection, &feed, invocation)?;
    console.say(format_args!("Downloading {package} from {feed} feed..."))?;
    let answer = connection.fetch(package.target(&feed, "download"));
    let mut answer =
        answer.map_err(|failure| only_prereleases(failure, &connection, &feed, &package))?;
    if invocation.flag("stdout") {
        console.copy(&mut answer.body)?;
        return Ok(());
    }
    let path = destination(output, &answer)?;
    console.say(format_args!("Saving package to {}...", path.display()))?;
    let size = save(console, answer, &path)?;
    console.say(format_args!("Download complete ({size} bytes)"))?;
    console.value(&json!({
        "feed": feed, "group": package.group, "name": package.name, "version": package.version,
        "qualifier": package.qualifier, "file": path, "size": size,
    }))
}

/// That there is no latest version does not mean that there is none.
fn only_prereleases(
    failure: Failure,
    connection: &Connection,
    feed: &str,
    package: &PackageVersion,
) -> Failure {
    let latest = ["latest", "latest-stable"].contains(&package.version.as_str());
    if !latest || failure.answer().is_none_or(|(status, _)| status != 404) {
        return failure;
    }
    let target = Target::new(&["api", "packages", feed, "latest"])
        .query("group", package.group.as_deref())
        .query("name", Some(&package.name));
    let mut newest = None;
    let listed = connection.fetch(target).and_then(|answer| {
        answer.each(&mut |element| {
            let found: PackageVersionInfo = parse(element.get())?;
            newest.get_or_insert(found.version);
            Ok(())
        })
    });
    match (listed, newest) {
        (Ok(()), Some(newest)) => failure.advise(format!(
            "{} has prereleases only; the newest is {newest}, which latest-unstable finds",
            package.full_name()
        )),
        _ => failure,
    }
}

/// Where to save: the file that was asked for, else the server's name in the directory that was
/// asked for, else here.
fn destination(output: Option<&Path>, answer: &Answer) -> Result<PathBuf, Failure> {
    match output {
        Some(path) if !path.is_dir() => Ok(path.to_owned()),
        directory => {
            let disposition = answer.disposition.as_deref().unwrap_or_default();
            let name = file_name(disposition).ok_or_else(|| {
                Failure::text("the server did not name the file; say where with --output-file")
            })?;
            Ok(directory.unwrap_or(Path::new("")).join(name))
        }
    }
}

/// The plain name in a `Content-Disposition`, never with a directory.
fn file_name(disposition: &str) -> Option<&str> {
    let mut parts = disposition.split(';').map(str::trim);
    let value = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("filename").then(|| value.trim().trim_matches('"'))
    })?;
    let name = value.rsplit(['/', '\\']).next()?;
    let path: RelativePath = name.parse().ok()?;
    (path.as_str() == name).then_some(name)
}

/// The file appears under its name only when all of it is there. A pipe or device gets the bytes as
/// they come, for nothing may take its place.
fn save(console: &mut Console, answer: Answer, path: &Path) -> Result<u64, Failure> {
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        let cannot = || format!("write to `{}`", path.display());
        let mut device =
            fs::OpenOptions::new().write(true).open(path).map_err(Failure::io(cannot()))?;
        return received(console, answer, &mut device, cannot);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let cannot = || format!("save `{}`", path.display());
    let mut draft = tempfile::Builder::new();
    draft.prefix(".hayloft-");
    // Temporary files are for their owner alone; a download is a file like any other.
    #[cfg(unix)]
    draft.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = draft.tempfile_in(directory).map_err(Failure::io(cannot()))?;
    let _unfinished = Draft::at(file.path());
    let size = received(console, answer, &mut file, cannot)?;
    file.persist(path).map_err(|error| Failure::io(cannot())(error.error))?;
    Ok(size)
}

/// Copies all bytes of an answer, and returns how many there were.
fn received(
    console: &mut Console,
    answer: Answer,
    out: &mut dyn io::Write,
    cannot: impl Fn() -> String,
) -> Result<u64, Failure> {
    let bar = console.progress(answer.length)?;
    let copied = io::copy(&mut bar.wrap_read(answer.body), out);
    bar.finish_and_clear();
    let size = copied.map_err(Failure::io(cannot()))?;
    match answer.length.filter(|length| *length != size) {
        Some(length) => Err(Failure::text(format!("only {size} of {length} bytes arrived"))),
        None => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::quoted("attachment; filename=\"a-1.0.0.upack\"", Some("a-1.0.0.upack"))]
    #[case::bare("attachment; filename=a.deb", Some("a.deb"))]
    #[case::both("attachment; filename=\"a.gem\"; filename*=UTF-8''b.gem", Some("a.gem"))]
    #[case::directory("attachment; filename=\"../../etc/passwd\"", Some("passwd"))]
    #[case::windows("attachment; filename=\"..\\..\\a.exe\"", Some("a.exe"))]
    #[case::parent("attachment; filename=\"..\"", None)]
    #[case::stream("attachment; filename=\"c:a\"", None)]
    #[case::device("attachment; filename=\"NUL.txt\"", None)]
    #[case::escape("attachment; filename=\"a\u{1b}[2J\"", None)]
    #[case::none("attachment", None)]
    #[case::empty("", None)]
    fn names_of_servers_stay_in_the_directory(
        #[case] disposition: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(file_name(disposition), expected);
    }
}
