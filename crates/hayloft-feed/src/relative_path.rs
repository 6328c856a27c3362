use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The path of an archive's entry that stays below the directory it is unpacked into, and means the
/// same on every system.
///
/// The only way to a file name out of what a stranger wrote. `.` components and one slash at the
/// end say nothing and are left out. A path that a client decodes before it unpacks, such as the
/// percent escapes of nuget, is decoded before it is parsed.
///
/// ```
/// use std::path::Path;
/// use hayloft_feed::{PathFault, RelativePath};
///
/// let path: RelativePath = "./bin/tool".parse()?;
/// assert_eq!(path.below(Path::new("/opt")), Path::new("/opt/bin/tool"));
/// assert_eq!("../etc/passwd".parse::<RelativePath>(), Err(PathFault::Parent));
/// # Ok::<(), PathFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(Box<str>);

/// Why a path is not safe to unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.text())]
#[non_exhaustive]
pub enum PathFault {
    /// Nothing, or only dots and slashes.
    Empty,
    /// Holds a zero byte, where a system ends the name.
    Zero,
    /// Begins with a slash of either kind.
    Absolute,
    /// Begins with a drive letter, also in a later component, where joining would begin anew.
    Drive,
    /// A component leads upwards: `..`, also between backslashes, or with the blanks and dots that
    /// Windows leaves out.
    Parent,
    /// Two slashes in a row: what follows is absolute for whoever cuts the path there.
    EmptyComponent,
    /// Holds a backslash, which is a separator on one system and a character on others.
    Backslash,
    /// Holds a colon, which names a stream of a file on Windows.
    Colon,
    /// Holds a control character of either set, or a character that is not seen but turns or hides
    /// what stands around it.
    Control,
    /// A component is called as a device of Windows, with whatever extension.
    Device,
    /// A component ends in a dot or blank, which Windows leaves out: two names become one file.
    TrailingDotOrBlank,
}

impl PathFault {
    /// What is wrong, to follow the name in a sentence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::Zero => "contains a zero byte",
            Self::Absolute => "is an absolute path",
            Self::Drive => "begins with a drive letter",
            Self::Parent => "contains `..`",
            Self::EmptyComponent => "contains an empty component (`//`)",
            Self::Backslash => "contains a backslash",
            Self::Colon => "contains a colon",
            Self::Control => "contains a control character, or one that is not seen",
            Self::Device => "is the name of a device on Windows",
            Self::TrailingDotOrBlank => "has a component that ends in a dot or blank",
        }
    }

    /// Whether unpacking could write outside of the directory, on this or another system. The
    /// other faults only make a name mean something else on Windows.
    pub const fn leaves_directory(self) -> bool {
        match self {
            Self::Zero | Self::Absolute | Self::Drive | Self::Parent | Self::EmptyComponent => true,
            Self::Empty
            | Self::Backslash
            | Self::Colon
            | Self::Control
            | Self::Device
            | Self::TrailingDotOrBlank => false,
        }
    }

    /// Looks at a path of bytes, as archives have them. Of several faults, one by which it
    /// [leaves the directory](Self::leaves_directory) is told first.
    pub fn of(path: &[u8]) -> Option<Self> {
        leaving(path).or_else(|| misread(path))
    }
}

fn leaving(path: &[u8]) -> Option<PathFault> {
    let [first, ..] = path else { return Some(PathFault::Empty) };
    if path.contains(&0) {
        return Some(PathFault::Zero);
    }
    if is_separator(*first) {
        return Some(PathFault::Absolute);
    }
    let mut found = None;
    let mut components = path.split(|byte| is_separator(*byte)).peekable();
    while let Some(component) = components.next() {
        if is_parent(component) {
            return Some(PathFault::Parent);
        }
        if matches!(component, [letter, b':', ..] if letter.is_ascii_alphabetic()) {
            return Some(PathFault::Drive);
        }
        // One slash at the end marks a directory.
        if component.is_empty() && components.peek().is_some() {
            found = Some(PathFault::EmptyComponent);
        }
    }
    found
}

fn misread(path: &[u8]) -> Option<PathFault> {
    let mut named = false;
    for component in path.split(|byte| *byte == b'/') {
        if matches!(component, b"" | b".") {
            continue;
        }
        named = true;
        for byte in component {
            match byte {
                b'\\' => return Some(PathFault::Backslash),
                b':' => return Some(PathFault::Colon),
                _ => {}
            }
        }
        if component.utf8_chunks().any(|chunk| chunk.valid().contains(is_hidden)) {
            return Some(PathFault::Control);
        }
        if is_device(component) {
            return Some(PathFault::Device);
        }
        if matches!(component, [.., b'.' | b' ']) {
            return Some(PathFault::TrailingDotOrBlank);
        }
    }
    (!named).then_some(PathFault::Empty)
}

/// Joiners and variation selectors are not among these: names in some scripts, and pictures, are
/// spelled with them.
fn is_hidden(each: char) -> bool {
    each.is_control()
        || matches!(
            each,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Two dots, with whatever of blanks and dots follows or stands between: Windows drops those at the
/// end, some of its versions whatever their number.
fn is_parent(component: &[u8]) -> bool {
    let [b'.', rest @ ..] = component else { return false };
    rest.contains(&b'.') && rest.iter().all(|byte| matches!(byte, b'.' | b' '))
}

/// What opens a device on Windows in every directory. The extension does not count, nor do blanks
/// before it; the superscript digits are those of Latin-1.
fn is_device(component: &[u8]) -> bool {
    let stem = component.split(|byte| *byte == b'.').next().unwrap_or(component);
    let stem = stem.trim_ascii_end();
    let is = |name: &str| stem.eq_ignore_ascii_case(name.as_bytes());
    if ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"].into_iter().any(is) {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else { return false };
    let port = port.eq_ignore_ascii_case(b"com") || port.eq_ignore_ascii_case(b"lpt");
    let superscript = ["¹", "²", "³"].iter().any(|digit| number == digit.as_bytes());
    port && (superscript || matches!(number, [b'0'..=b'9']))
}

impl RelativePath {
    /// The components with slashes between them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components: at least one, each a plain file name.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The path below a directory, in the spelling of this system.
    pub fn below(&self, directory: &Path) -> PathBuf {
        let mut path = directory.to_owned();
        path.extend(self.components());
        path
    }
}

impl FromStr for RelativePath {
    type Err = PathFault;

    fn from_str(path: &str) -> Result<Self, PathFault> {
        if let Some(fault) = PathFault::of(path.as_bytes()) {
            return Err(fault);
        }
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        Ok(Self(parts.collect::<Vec<_>>().join("/").into()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::file("a", "a")]
    #[case::deep("a/b/c.txt", "a/b/c.txt")]
    #[case::dot("./a/./b", "a/b")]
    #[case::directory("a/b/", "a/b")]
    #[case::hidden(".config/.x", ".config/.x")]
    #[case::dots_in_a_name("a..b/..c/...d", "a..b/..c/...d")]
    #[case::blank_inside("a b/ c", "a b/ c")]
    #[case::letters_of_the_world("ä/日本.txt", "ä/日本.txt")]
    #[case::joined("می\u{200c}خواهم/👩\u{200d}💻\u{fe0f}", "می\u{200c}خواهم/👩\u{200d}💻\u{fe0f}")]
    #[case::like_a_device("console/com10/null.txt/lpt/aux1", "console/com10/null.txt/lpt/aux1")]
    fn safe_paths_are_kept(#[case] path: &str, #[case] expected: &str) {
        let parsed: RelativePath = path.parse().unwrap();
        assert_eq!(parsed.as_str(), expected);
        let below = parsed.below(Path::new("t"));
        assert_eq!(below, Path::new("t").join(expected));
        assert_eq!(below.components().count(), parsed.components().count() + 1);
    }

    #[rstest]
    #[case::nothing("", PathFault::Empty)]
    #[case::dot(".", PathFault::Empty)]
    #[case::dots("././", PathFault::Empty)]
    #[case::zero("a\0b", PathFault::Zero)]
    #[case::absolute("/etc/cron.d/x", PathFault::Absolute)]
    #[case::share("//host/share", PathFault::Absolute)]
    #[case::windows_share("\\\\host\\share", PathFault::Absolute)]
    #[case::verbatim("\\\\?\\C:\\x", PathFault::Absolute)]
    #[case::drive("C:/x", PathFault::Drive)]
    #[case::drive_relative("c:x", PathFault::Drive)]
    #[case::later_drive("a/C:x", PathFault::Drive)]
    #[case::drive_behind_a_backslash("a\\C:x", PathFault::Drive)]
    #[case::up("..", PathFault::Parent)]
    #[case::up_first("../a", PathFault::Parent)]
    #[case::up_inside("a/../../b", PathFault::Parent)]
    #[case::up_last("a/..", PathFault::Parent)]
    #[case::up_windows("a\\..\\..\\b", PathFault::Parent)]
    #[case::up_mixed("a/..\\..\\b", PathFault::Parent)]
    #[case::up_with_blanks("a/.. /b", PathFault::Parent)]
    #[case::up_with_a_dot("a/.../b", PathFault::Parent)]
    #[case::up_with_blank_between("a/. ./b", PathFault::Parent)]
    #[case::twice("a//b", PathFault::EmptyComponent)]
    #[case::twice_at_the_end("a//", PathFault::EmptyComponent)]
    #[case::twice_windows("a\\\\b", PathFault::EmptyComponent)]
    #[case::backslash("a\\b", PathFault::Backslash)]
    #[case::stream("ab:stream", PathFault::Colon)]
    #[case::hidden_stream("ab/xy::$DATA", PathFault::Colon)]
    #[case::line("a\nb", PathFault::Control)]
    #[case::escape("a\u{1b}[2J", PathFault::Control)]
    #[case::delete("a/b\u{7f}", PathFault::Control)]
    #[case::of_the_other_set("a\u{9b}31m", PathFault::Control)]
    #[case::next_line("a\u{85}b", PathFault::Control)]
    #[case::turned("a/\u{202e}gpj.exe", PathFault::Control)]
    #[case::isolated("a\u{2066}b", PathFault::Control)]
    #[case::line_separator("a\u{2028}b", PathFault::Control)]
    #[case::no_width("a\u{200b}b", PathFault::Control)]
    #[case::mark("\u{feff}a", PathFault::Control)]
    #[case::hyphen("pass\u{ad}word", PathFault::Control)]
    #[case::tag("a\u{e0041}", PathFault::Control)]
    #[case::device("nul", PathFault::Device)]
    #[case::device_in_capitals("a/CON", PathFault::Device)]
    #[case::device_with_extension("a/Aux.tar.gz", PathFault::Device)]
    #[case::device_with_blank("prn .txt", PathFault::Device)]
    #[case::port("com1/x", PathFault::Device)]
    #[case::port_zero("lpt0", PathFault::Device)]
    #[case::port_in_superscript("COM²", PathFault::Device)]
    #[case::console("CONIN$", PathFault::Device)]
    #[case::dot_at_the_end("a./b", PathFault::TrailingDotOrBlank)]
    #[case::blank_at_the_end("a/b ", PathFault::TrailingDotOrBlank)]
    fn faults_are_told(#[case] path: &str, #[case] fault: PathFault) {
        assert_eq!(path.parse::<RelativePath>(), Err(fault));
    }

    #[test]
    fn what_leaves_the_directory_is_told_first() {
        assert_eq!(PathFault::of(b"nul/a\\../../x"), Some(PathFault::Parent));
        assert_eq!(PathFault::of(b"a./b//c"), Some(PathFault::EmptyComponent));
        assert_eq!(PathFault::of(b"\xff/a"), None);
        assert_eq!(PathFault::of(b"\xff\xc2\x9b"), Some(PathFault::Control));
        assert_eq!(PathFault::of(b"\xff\\.."), Some(PathFault::Parent));
    }
}
