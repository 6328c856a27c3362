use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_feed::native::{FeedView, ViewError, Want};
use hayloft_feed::{
    FeedType, FileCard, FileRole, Fragment, IndexChange, IndexError, IndexWriter, PackageHead,
    PackageName, SearchRecord, Status, Timestamp, VersionState,
};

use super::compact::{VERSIONS, begun, header, info_log, versions_header};
use super::fragments::INFO;

/// Raised when other rows or logs are derived from the same gems.
pub(crate) const INDEX_REVISION: u32 = 1;

/// What stands above the lines of a compact index.
pub(crate) const HEADER_END: &str = "---\n";

/// A gem that has a stable version.
const HAS_STABLE: u8 = 1;

/// In the indexes: neither blocked nor unlisted, which is what a yank does.
pub(crate) fn is_shown(status: &Status) -> bool {
    status.is_listed() && !status.is_blocked()
}

/// `VERSION[-PLATFORM]`
pub(crate) fn number(version: &str, file: &FileCard) -> String {
    match file.qualifiers.get("platform") {
        None | Some("ruby") => version.to_owned(),
        Some(platform) => format!("{version}-{platform}"),
    }
}

/// The same out of the name of the file, which tells how the version of what is gone was spelled.
fn number_of(name: &str, version: &str, file: &FileCard) -> String {
    let rest = file.file_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    rest.and_then(|rest| rest.strip_suffix(".gem"))
        .map_or_else(|| number(version, file), str::to_owned)
}

/// Packages of a version.
pub(crate) fn gems(files: &[FileCard]) -> impl Iterator<Item = &FileCard> {
    files.iter().filter(|file| file.role == FileRole::Package)
}

/// A line of `info/NAME` with what it is sorted by when all are written anew.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    arrived: Timestamp,
    sort_key: Vec<u8>,
    number: String,
    text: String,
}

impl Line {
    fn new(sort_key: &[u8], number: String, file: &FileCard, info: &[u8]) -> Self {
        let arrived = file.published;
        let text =
            format!("{},created_at:{}\n", String::from_utf8_lossy(info), arrived.to_seconds());
        Self { arrived, sort_key: sort_key.to_vec(), number, text }
    }
}

/// Appends what came to both logs of the compact index; what went makes `info/NAME` begin anew, at
/// the price of the versions of that gem.
pub(crate) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let (came, went) = difference(change)?;
    if !came.is_empty() || !went.is_empty() {
        let log = info_log(change.name.name());
        let head = if went.is_empty() {
            let lines: String = came.iter().map(|line| line.text.as_str()).collect();
            let header = if view.log(&log)?.is_none() { HEADER_END } else { "" };
            out.append(&log, format!("{header}{lines}").as_bytes())?
        } else {
            out.restart(&log)?;
            out.append(&log, whole_info(view, change.name)?.as_bytes())?
        };
        let mut line = String::new();
        if view.log(VERSIONS)?.is_none() {
            line.push_str(&versions_header(view));
        }
        let went = went.iter().map(|number| format!("-{number}"));
        let numbers: Vec<String> = went.chain(came.into_iter().map(|line| line.number)).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            line,
            "{} {} {}",
            change.name.name(),
            numbers.join(","),
            HEXLOWER.encode(&head.md5)
        );
        out.append(VERSIONS, line.as_bytes())?;
    }
    let record = match change.after {
        // What has nothing to show is not found either.
        Some(head) if head.latest.is_some() => Some(search_record(change, view, head)?),
        _ => None,
    };
    out.search(record.as_ref())
}

/// Bytes of a list that is worth to be begun anew, and of one that a commit can take.
const TIDIED: std::ops::RangeInclusive<u64> = 16 << 10..=8 << 20;
/// How long a list goes on, as on the public service.
const MONTH: i64 = 30 * 24 * 60 * 60 * 1000;

/// Begins the list of versions anew once a month, if something came to it: a line for each gem,
/// without what was yanked. Bundler finds out by the length or the digest that what it has is of
/// the former one, and fetches all of it.
pub(crate) fn tidy(
    view: &dyn FeedView,
    now: Timestamp,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let Some(head) = view.log(VERSIONS)?.filter(|head| TIDIED.contains(&head.length)) else {
        return Ok(());
    };
    let Some(begun) = begun(view)? else { return Ok(()) };
    let month_ago = Timestamp::from_millis(now.millis().saturating_sub(MONTH)).to_seconds();
    if begun > month_ago || head.changed.to_seconds() <= begun {
        return Ok(());
    }
    let mut text = header(now);
    for (name, gem) in Listing::read(view)?.0 {
        let numbers: Vec<&str> = gem.numbers.iter().map(String::as_str).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {} {}", numbers.join(","), gem.digest);
    }
    out.restart(VERSIONS)?;
    out.append(VERSIONS, text.as_bytes())?;
    Ok(())
}

/// The lines of gems that were not shown before with these bytes, and the numbers of those that
/// were and are no more.
fn difference(change: &IndexChange<'_>) -> Result<(Vec<Line>, Vec<String>), IndexError> {
    let mut came = Vec::new();
    let mut went = Vec::new();
    for version in change.versions {
        let text = version.version.text();
        let shown = |state: Option<&VersionState>| -> BTreeMap<String, FileCard> {
            state
                .filter(|state| is_shown(&state.status))
                .map(|state| {
                    gems(&state.files)
                        .map(|file| (number_of(change.name.name(), text, file), file.clone()))
                        .collect()
                })
                .unwrap_or_default()
        };
        let before = shown(version.before.as_ref());
        let after = shown(version.after.as_ref());
        for (number, file) in &before {
            if after.get(number).is_none_or(|now| now.digests.sha256 != file.digests.sha256) {
                went.push(number.clone());
            }
        }
        for (number, file) in after {
            if before.get(&number).is_some_and(|was| was.digests.sha256 == file.digests.sha256) {
                continue;
            }
            let state = version.after.as_ref();
            let info = state.and_then(|state| state.fragment(file.id.number, INFO));
            let info = info.ok_or_else(|| IndexError::Unexpected {
                package: change.name.spelled(),
                what: format!("{number} has no line"),
            })?;
            came.push(Line::new(version.version.sort_key().as_bytes(), number, &file, info));
        }
    }
    came.sort();
    Ok((came, went))
}

/// `info/NAME` by what is there.
fn whole_info(view: &dyn FeedView, name: &PackageName) -> Result<String, ViewError> {
    let mut lines: BTreeSet<Line> = BTreeSet::new();
    view.versions(name.key(), &Want::fragments(&[INFO]).files(), &mut |version| {
        if is_shown(version.status) {
            for file in gems(version.files) {
                if let Some(info) = version.fragment_of(file.id.number, INFO) {
                    let number = number(version.text, file);
                    lines.insert(Line::new(version.sort_key, number, file, info));
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    let mut text = HEADER_END.to_owned();
    text.extend(lines.into_iter().map(|line| line.text));
    Ok(text)
}

/// What counts of a log: of `versions` the numbers that each gem has after all lines, of an info
/// the set of its lines. Their order is that of arrival, which deriving anew does not repeat.
pub(crate) fn normal_form(log: &[u8], bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split_once(HEADER_END).map_or("", |(_, lines)| lines);
    if log != VERSIONS {
        let lines: BTreeSet<&str> = lines.lines().collect();
        return lines.into_iter().flat_map(|line| [line, "\n"]).collect::<String>().into_bytes();
    }
    let mut listing = Listing::default();
    lines.lines().for_each(|line| listing.line(line));
    let mut normal = String::new();
    for (name, gem) in listing.0.iter().filter(|(_, gem)| !gem.numbers.is_empty()) {
        let numbers: Vec<&str> = gem.numbers.iter().map(String::as_str).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(normal, "{name} {}", numbers.join(","));
    }
    normal.into_bytes()
}

/// What a `versions` log comes to.
#[derive(Debug, Default)]
pub(crate) struct Listing(pub(crate) BTreeMap<String, Listed>);

/// What it says of a gem.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) numbers: BTreeSet<String>,
    /// Of the last `info/NAME`, in hex.
    digest: String,
}

impl Listing {
    /// Reads the whole log.
    pub(crate) fn read(view: &dyn FeedView) -> Result<Self, ViewError> {
        let mut listing = Self::default();
        let mut rest: Vec<u8> = Vec::new();
        view.read_log(VERSIONS, &mut |piece| {
            rest.extend_from_slice(piece);
            let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            for line in rest.drain(..end).as_slice().split(|byte| *byte == b'\n') {
                listing.line(&String::from_utf8_lossy(line));
            }
            ControlFlow::Continue(())
        })?;
        listing.0.retain(|_, gem| !gem.numbers.is_empty());
        Ok(listing)
    }

    fn line(&mut self, line: &str) {
        // The header has two parts or one.
        let mut parts = line.split(' ');
        let (Some(name), Some(numbers), Some(digest)) = (parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        let known = self.0.entry(name.to_owned()).or_default();
        digest.clone_into(&mut known.digest);
        for number in numbers.split(',') {
            match number.strip_prefix('-') {
                Some(gone) => {
                    known.numbers.remove(gone);
                }
                None => {
                    known.numbers.insert(number.to_owned());
                }
            }
        }
    }
}

/// Words of the name, and of what the latest version says of itself.
fn search_record(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    head: &PackageHead,
) -> Result<SearchRecord, IndexError> {
    let name = head.name.name();
    let mut terms = vec![name.to_lowercase()];
    terms.extend(words(name));
    if let Some(manifest) = latest_manifest(change, view, head)? {
        let text = |key: &str| manifest.get(key).and_then(|text| text.as_str()).unwrap_or_default();
        terms.extend(words(text("summary")));
        let description = text("description");
        let end = description.char_indices().nth(200).map_or(description.len(), |(at, _)| at);
        terms.extend(words(description.get(..end).unwrap_or_default()));
    }
    let mut seen = HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms.truncate(SearchRecord::TERMS);
    let flags = if head.latest_stable.is_some() { HAS_STABLE } else { 0 };
    Ok(SearchRecord { terms, flags })
}

fn latest_manifest(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    head: &PackageHead,
) -> Result<Option<serde_json::Value>, IndexError> {
    let Some(latest) = head.latest_stable.as_ref().or(head.latest.as_ref()) else {
        return Ok(None);
    };
    let known = change.versions.iter().find(|version| version.version.text() == latest);
    let known = known
        .and_then(|version| version.after.as_ref())
        .and_then(|state| state.fragment(state.files.first()?.id.number, Fragment::MANIFEST));
    if let Some(manifest) = known {
        return Ok(serde_json::from_slice(manifest).ok());
    }
    let Ok(version) = crate::RubyGems.version(latest) else { return Ok(None) };
    let mut manifest = None;
    let want = Want::fragments(&[Fragment::MANIFEST]);
    view.version(head.name.key(), &version, &want, &mut |entry| {
        manifest = entry
            .fragment(Fragment::MANIFEST)
            .and_then(|manifest| serde_json::from_slice(manifest).ok());
    })?;
    Ok(manifest)
}

fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty() && word.len() <= SearchRecord::TERM_LENGTH)
        .take(SearchRecord::TERMS)
        .map(str::to_lowercase)
        .collect()
}
