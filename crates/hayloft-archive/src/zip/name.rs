use std::borrow::Cow;

use super::Duplicates;

/// The names of code page 437 from 0x80 on, which is what zip names are without a UTF-8 flag.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Decodes a name: UTF-8 if it is that, since many writers forget the flag, else code page 437.
pub(crate) fn decode(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) => Cow::Owned(
            raw.iter()
                .map(|byte| match byte.checked_sub(0x80) {
                    None => char::from(*byte),
                    Some(high) => {
                        CP437.chars().nth(high.into()).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                })
                .collect(),
        ),
    }
}

/// The name with `/` for every `\`: Windows tools write both.
pub(crate) fn normalize(name: &str) -> Cow<'_, str> {
    if name.contains('\\') { Cow::Owned(name.replace('\\', "/")) } else { Cow::Borrowed(name) }
}

/// What is wrong with a normalized path.
pub(crate) fn fault(path: &str) -> Option<&'static str> {
    let mut start = path.bytes();
    let drive = start.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && start.next() == Some(b':');
    if path.is_empty() {
        Some("is empty")
    } else if path.contains('\0') {
        Some("contains a zero byte")
    } else if path.starts_with('/') {
        Some("is an absolute path")
    } else if drive {
        Some("begins with a drive letter")
    } else if path.split('/').any(|component| component == "..") {
        Some("contains `..`")
    } else {
        None
    }
}

/// Where a path leads, for telling two entries that would be unpacked to one place: without empty
/// and `.` components, and in lower case where asked for.
pub(crate) fn place(path: &str, duplicates: Duplicates) -> Cow<'_, str> {
    let plain = !path.split('/').any(|component| matches!(component, "" | "."));
    let place = if plain {
        Cow::Borrowed(path)
    } else {
        let components = path.split('/').filter(|component| !matches!(*component, "" | "."));
        Cow::Owned(components.collect::<Vec<_>>().join("/"))
    };
    match duplicates {
        Duplicates::IgnoringCase => Cow::Owned(place.to_lowercase()),
        Duplicates::Refused | Duplicates::Allowed => place,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ascii(b"a/b", "a/b")]
    #[case::utf8("é".as_bytes(), "é")]
    #[case::cp437(b"caf\x82", "café")]
    #[case::last(b"\xff", "\u{a0}")]
    fn names_are_decoded(#[case] raw: &[u8], #[case] expected: &str) {
        assert_eq!(decode(raw), expected);
        assert_eq!(CP437.chars().count(), 128);
    }

    #[rstest]
    #[case::plain("a/b.txt", None)]
    #[case::directory("a/", None)]
    #[case::dots_in_a_name("a..b/...", None)]
    #[case::colon_later("ab:c", None)]
    #[case::empty("", Some("is empty"))]
    #[case::zero("a\0", Some("contains a zero byte"))]
    #[case::absolute("/a", Some("is an absolute path"))]
    #[case::share("\\\\host\\a", Some("is an absolute path"))]
    #[case::drive("C:\\a", Some("begins with a drive letter"))]
    #[case::drive_relative("c:a", Some("begins with a drive letter"))]
    #[case::up("a/../b", Some("contains `..`"))]
    #[case::up_windows("a\\..\\..\\b", Some("contains `..`"))]
    #[case::up_last("a/..", Some("contains `..`"))]
    fn unsafe_names_are_known(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(fault(&normalize(name)), expected);
    }

    #[rstest]
    #[case("a/b", "a/b")]
    #[case("a//b", "a/b")]
    #[case("./a/./b/", "a/b")]
    fn places_are_told_apart(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(place(path, Duplicates::Refused), expected);
        let upper = path.to_uppercase();
        assert_eq!(place(&upper, Duplicates::IgnoringCase), expected);
    }
}
