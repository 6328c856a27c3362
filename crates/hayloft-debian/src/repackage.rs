use std::error::Error;
use std::io::Cursor;

use hayloft_archive::{ArWriter, ArchiveError, Section, TarAction, encoder_within, rewrite_tar};
use hayloft_feed::{FeedTypeError, HistoryEntry, Limits, Repackage, Repackaged};

use crate::TAG;
use crate::container::{
    Container, ContainerError, HISTORY, control_limit, control_limits, history_limit,
    is_control_path,
};
use crate::control::Control;

/// Writes a package again under a new version.
///
/// The control archive is decompressed, its `control` edited, and compressed as it was; all other
/// members are copied, but for signatures over the old bytes (`_gpg…`). The history goes last.
pub(crate) fn repackage(
    order: Repackage<'_>,
    limits: &Limits,
) -> Result<Repackaged, FeedTypeError> {
    let Repackage { source, from, to, entry, out, .. } = order;
    let container =
        Container::open(source, limits).map_err(ContainerError::into_feed_type_error)?;
    let text = container.control_text(source, limits);
    let (text, length_before) = text.map_err(ContainerError::into_feed_type_error)?;
    let control = Control::parse(&text).map_err(refused)?;
    if control.name.as_str() != from.package.name()
        || control.version.as_str() != from.version.text()
    {
        return Err(refused(format!(
            "it is {} {}, not {} {}",
            control.name.as_str(),
            control.version.as_str(),
            from.package.name(),
            from.version
        )));
    }
    let edited = control.stanza.with_value("Version", to.version.text());
    let edited = edited.ok_or_else(|| refused("it has no version"))?;
    check_size("its control file", &edited, control_limit(limits))?;

    let removed: Vec<String> = container
        .members()
        .iter()
        .filter(|member| is_signature(&member.name))
        .map(|member| member.name.clone())
        .collect();
    let entry = if removed.is_empty() { entry.clone() } else { entry.with_signature_removed() };
    let history = extended_history(&container, source, &entry, limits)?;
    // The archive grows by what `control` does, and by the padding of that.
    let longest = length_before.saturating_add(length(&edited)).saturating_add(1024);
    let archive = edited_archive(&container, source, &edited, longest, limits);
    let archive = archive.map_err(|error| error.into_feed_type_error(TAG))?;

    let write = || -> Result<(), ArchiveError> {
        let mut writer = ArWriter::new(out)?;
        for (at, member) in container.members().iter().enumerate() {
            if container.is_control(at) {
                writer.replace_member(member, length(&archive), &mut Cursor::new(&archive))?;
            } else if !is_signature(&member.name) && member.name != HISTORY {
                writer.copy_member(member, &mut Section::new(source, member.data.clone()))?;
            }
        }
        let bytes = history.as_bytes();
        writer.add_member(HISTORY, 0, 0o100_644, length(bytes), &mut Cursor::new(bytes))?;
        writer.finish().map(drop)
    };
    write().map_err(|error| error.into_feed_type_error(TAG))?;

    let mut done = Repackaged::plain();
    done.signatures_removed = removed;
    done.sibling_pins = control.exact_pins();
    Ok(done)
}

/// Members of dpkg-sig and debsigs.
fn is_signature(name: &str) -> bool {
    name.starts_with("_gpg")
}

fn extended_history(
    container: &Container,
    source: &mut dyn hayloft_feed::ReadSeek,
    entry: &HistoryEntry,
    limits: &Limits,
) -> Result<String, FeedTypeError> {
    let existing = container.history_text(source, limits);
    let existing = existing.map_err(ContainerError::into_feed_type_error)?;
    let not_repackageable =
        |detail: Box<dyn Error + Send + Sync>| FeedTypeError::NotRepackageable { detail };
    let existing = existing.transpose().map_err(|error| not_repackageable(Box::new(error)))?;
    let extended = entry.append_to_list(existing.as_deref());
    let extended = extended.map_err(|error| not_repackageable(Box::new(error)))?;
    check_size("its history", extended.as_bytes(), history_limit(limits))?;
    Ok(extended)
}

/// What is written must be within what will be read.
fn check_size(what: &str, bytes: &[u8], limit: u64) -> Result<(), FeedTypeError> {
    if length(bytes) <= limit {
        return Ok(());
    }
    let detail = format!("{what} would be larger than the limit of {limit} bytes").into();
    Err(FeedTypeError::NotRepackageable { detail })
}

/// The control archive with `control` replaced, compressed as it was. Its size is that of a
/// package's metadata, so it is built in memory.
fn edited_archive(
    container: &Container,
    source: &mut dyn hayloft_feed::ReadSeek,
    edited: &[u8],
    longest: u64,
    limits: &Limits,
) -> Result<Vec<u8>, ArchiveError> {
    let input = container.control_archive(source, limits).map_err(unwrapped)?;
    let mut archive = Vec::new();
    // Compressed it may be a little longer, and the vector doubles.
    limits.account.charge(longest.saturating_mul(3))?;
    let output = Box::new(&mut archive);
    let mut output = encoder_within(container.compression(), longest, limits, output)?;
    rewrite_tar(input, &mut output, &control_limits(limits), &[], &mut |entry| {
        Ok(match is_control_path(entry.path()) {
            Ok(true) => {
                let edited = edited.to_vec();
                TarAction::Edit { max: u64::MAX, edit: Box::new(move |_| Ok(edited)) }
            }
            _ => TarAction::Keep,
        })
    })?;
    output.finish()?;
    Ok(archive)
}

fn unwrapped(error: ContainerError) -> ArchiveError {
    match error {
        ContainerError::Archive(error) => error,
        other => ArchiveError::edit("control.tar", other),
    }
}

fn refused(detail: impl Into<Box<dyn Error + Send + Sync>>) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: detail.into() }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
