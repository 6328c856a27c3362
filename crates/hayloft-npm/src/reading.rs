//! What clients make of the entries of a tarball, and which entries they read in different ways.
//!
//! Read in the sources of npm 11 (pacote, node-tar 7), pnpm 9 (a parser of its own) and yarn 1
//! (tar-fs, tar-stream), and tried with all three:
//!
//! | in the tarball | npm | pnpm | yarn 1 | here |
//! |---|---|---|---|---|
//! | `x/package.json` for any `x`, `./package.json` | the manifest | the manifest | the manifest | the manifest |
//! | `./package/package.json` | a nested file | a nested file | a nested file | a nested file |
//! | `package.json` at the top | dropped | the manifest | an error | refused |
//! | two manifests, from one root or two | the last | the last | the last | refused unless equal |
//! | other files twice | the last | the last | the last | accepted |
//! | `x//package.json`, `x/C:package.json` | the manifest | a nested file | differs | refused |
//! | `x\package.json` | dropped, on Windows the manifest | the manifest | dropped | refused |
//! | `x/Package.json`, `x/package.json.` and the like | the manifest on some systems | same | same | refused |
//! | `x/package.json` as link or folder | dropped | empty if a hard link | made | refused |
//! | symbolic links that stay inside | dropped | dropped | made | accepted, not counted |
//! | a file whose header has a link's target | its data is read as headers | the file | the file | refused |
//! | members after the end | ignored | ignored | read | refused |
//! | several gzip members, the first empty | read as one | read as one | read as one | read as one |
//! | zeros after the gzip data, and what follows them | ignored | ignored | ignored | ignored |
//! | other data after the gzip data | an error | an error | an error | ignored, as old clients do |
//! | a prefix in a header that is not POSIX | ignored | used | used | refused |
//! | base-256 sizes | read | misread | read | refused below 8 GiB |
//! | pax records and GNU long names together | the last | lost | read | refused |
//!
//! Names that only Windows misreads (`TODO.`, `aux.js`, colons, backslashes) are served by the
//! public registry and accepted where they cannot be taken for the manifest.

use hayloft_archive::{TarEntry, TarKind};
use hayloft_feed::PathFault;

use crate::archive::TarballError;

const MANIFEST: &str = "package.json";

/// What an entry is to the package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The manifest.
    Manifest,
    /// A regular file at this path inside the package.
    File(String),
    /// A folder, a link, or something beside the folder that clients cut off.
    Nothing,
}

/// Finds the place of an entry. Refuses what leads outside, and what clients read in different
/// ways where that can decide what the package is.
pub(crate) fn place(entry: &TarEntry) -> Result<Place, TarballError> {
    let path = String::from_utf8_lossy(entry.path()).into_owned();
    if let Some(fault) = PathFault::of(entry.path())
        && (fault.leaves_directory() || fault == PathFault::Empty && !is_bare(&path))
    {
        return Err(TarballError::UnsafePath { path, fault });
    }
    if let Some(target) = entry.link().filter(|_| leads_outside(entry)) {
        let target = String::from_utf8_lossy(target).into_owned();
        return Err(TarballError::UnsafeLink { path, target });
    }
    if let Some(how) = misread_header(entry) {
        return Err(TarballError::Ambiguous { path, how });
    }
    let inner = inner(&path);
    let is_manifest = entry.kind() == TarKind::File && inner.as_deref() == Some(MANIFEST);
    if is_manifest && !first_component(&path).contains('\\') {
        return Ok(Place::Manifest);
    }
    if is_manifest || may_be_manifest(&path) {
        let how = "some clients take it for the package.json of the package";
        return Err(TarballError::Ambiguous { path, how });
    }
    Ok(match inner {
        Some(inner) if entry.kind() == TarKind::File => Place::File(inner),
        _ => Place::Nothing,
    })
}

/// The path below the one component that clients cut off, without components that say nothing.
pub(crate) fn inner(path: &str) -> Option<String> {
    let parts = path.split('/').skip(1).filter(|part| !matches!(*part, "" | "."));
    let inner = parts.collect::<Vec<_>>().join("/");
    (!inner.is_empty()).then_some(inner)
}

fn first_component(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// `.` or `./`: the folder that `tar -C` packs.
fn is_bare(path: &str) -> bool {
    path.split('/').all(|part| matches!(part, "" | "."))
}

/// Whether a link leads out of the package once its first component is cut off.
fn leads_outside(entry: &TarEntry) -> bool {
    let Some(link) = entry.link() else { return false };
    if entry.link_escapes() {
        return true;
    }
    if entry.kind() == TarKind::HardLink {
        return false;
    }
    let path = String::from_utf8_lossy(entry.path());
    let parts = inner(&path).map_or(0, |inner| inner.split('/').count());
    let mut depth = parts.saturating_sub(1);
    for part in link.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

/// Whether some client on some system takes the entry for the manifest, or for a folder in its
/// place.
fn may_be_manifest(path: &str) -> bool {
    let cut = |separators: &[char]| {
        let mut parts = path.split(separators).skip(1).filter(|part| !matches!(*part, "" | "."));
        parts.next().is_some_and(is_called_as_the_manifest)
    };
    let mut all = path.split(['/', '\\']).filter(|part| !matches!(*part, "" | "."));
    let alone = all.next().filter(|_| all.next().is_none() && !path.starts_with('.'));
    cut(&['/']) || cut(&['/', '\\']) || alone.is_some_and(is_called_as_the_manifest)
}

/// Compares as file systems of Windows and macOS do: without case, without the dots and blanks that
/// Windows drops and the stream that a colon names, without the invisible characters that HFS+
/// drops.
fn is_called_as_the_manifest(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    let visible = name.chars().filter(|letter| {
        !matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            && !matches!(letter, '\u{206a}'..='\u{206f}' | '\u{feff}')
    });
    // Upper case first: it makes an S of the long s.
    let folded: String = visible
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .take(MANIFEST.len() * 2)
        .collect();
    folded.trim_end_matches(['.', ' ']) == MANIFEST
}

/// What is in a header that clients read in different ways.
fn misread_header(entry: &TarEntry) -> Option<&'static str> {
    let header = entry.header();
    let field = |start: usize, end: usize| header.get(start..end).unwrap_or_default();
    let is_link = matches!(entry.kind(), TarKind::HardLink | TarKind::SymbolicLink);
    let behind_zero = |field: &[u8]| {
        let zero = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        field.get(zero..).unwrap_or_default().contains(&b'\n')
    };
    let octal = |field: &[u8]| field.iter().all(|byte| matches!(byte, b'0'..=b'7' | b' ' | 0));
    let posix = field(257, 265) == b"ustar\x0000";
    let unsigned: u32 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    let sum = field(148, 156);
    let digits = sum.split(|byte| matches!(byte, b' ' | 0)).find(|digits| !digits.is_empty());
    let stated = digits
        .filter(|digits| digits.len() < 8)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 8).ok());
    if !is_link && field(157, 158) != [0] {
        // node-tar skips such a header, and looks for the next one in the data.
        Some("its header states the target of a link, but it is none")
    } else if entry.kind() == TarKind::Other(b'N') {
        Some("it is a name for the next entry to npm alone")
    } else if !octal(field(124, 136)) && entry.size() < 1 << 33 {
        Some("its size is not written in octal digits")
    } else if stated != Some(unsigned) {
        Some("its header has a checksum that some clients do not understand")
    } else if !posix && field(345, 346) != [0] {
        Some("its header states a prefix of the path, but is not of the format that has one")
    } else if behind_zero(field(0, 100)) || behind_zero(field(345, 500)) {
        Some("a line end follows its name in the header")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usual("package/package.json", Some("package.json"))]
    #[case::nested("package/lib/a.js", Some("lib/a.js"))]
    #[case::dot("./package.json", Some("package.json"))]
    #[case::dot_and_folder("./package/a", Some("package/a"))]
    #[case::dots("package/./a/.", Some("a"))]
    #[case::top_level("pax_global_header", None)]
    #[case::the_folder_itself("package/", None)]
    fn paths_are_cut_as_clients_cut_them(#[case] path: &str, #[case] expected: Option<&str>) {
        assert_eq!(inner(path).as_deref(), expected);
    }

    #[rstest]
    #[case::at_the_top("package.json")]
    #[case::other_case("package/Package.JSON")]
    #[case::long_s("package/package.j\u{17f}on")]
    #[case::kelvin("package/pac\u{212a}age.json")]
    #[case::dot("package/package.json.")]
    #[case::dots_and_blanks("package/package.json . .")]
    #[case::stream("package/package.json::$DATA")]
    #[case::invisible("package/package.js\u{200c}on")]
    #[case::backslash("package\\package.json")]
    #[case::inner_backslash("a/b\\package.json/x")]
    #[case::folder("package/package.json/a")]
    #[case::dotted("././PACKAGE.json")]
    fn what_some_system_takes_for_the_manifest_is_known(#[case] path: &str) {
        let nested = path == "a/b\\package.json/x";
        assert_eq!(may_be_manifest(path), !nested, "{path}");
    }

    #[rstest]
    #[case("package/lib/package.json")]
    #[case("package/._package.json")]
    #[case("package/package.json5")]
    #[case("package/package-json")]
    #[case("./package/package.json")]
    #[case("package/package.json.orig")]
    fn other_files_are_not_taken_for_it(#[case] path: &str) {
        assert!(!may_be_manifest(path), "{path}");
    }
}
