//! Where the files of the data archive lead.

use hayloft_archive::{ArMember, Compression, Section, TarKind, TarReader, Trailing, decoder_with};
use hayloft_feed::{Limits, ReadSeek};

use crate::container::ContainerError;

/// Refuses a package that dpkg would unpack beside the directory it was told to: with `--root` or
/// `--instdir` it follows `..`. What else leads out, it or the `tar` that it runs keeps inside.
pub(crate) fn check_names(
    content: &mut dyn ReadSeek,
    member: &ArMember,
    compression: Compression,
    limits: &Limits,
) -> Result<(), ContainerError> {
    let section = Section::new(content, member.data.clone());
    let stream = decoder_with(compression, Box::new(section), limits, Trailing::default())?;
    let mut archive = TarReader::new(stream, limits);
    while let Some(entry) = archive.next()? {
        let target = entry.link().filter(|_| entry.kind() == TarKind::HardLink);
        for path in [Some(entry.path()), target].into_iter().flatten() {
            if path.split(|byte| *byte == b'/').any(|component| component == b"..") {
                return Err(ContainerError::Upwards(String::from_utf8_lossy(path).into_owned()));
            }
        }
    }
    Ok(())
}
