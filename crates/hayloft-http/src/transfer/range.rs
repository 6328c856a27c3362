/// The part of a file that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// So many bytes from there on.
    Some {
        /// First byte.
        start: u64,
        /// At least one.
        length: u64,
    },
    /// Nothing of the range is in the file.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes.
///
/// Other units, several ranges and malformed ones count as no range, which the rules allow.
/// Rules: <https://www.rfc-editor.org/rfc/rfc9110#name-range-requests>
pub(super) fn part(header: &str, size: u64) -> Part {
    let Some((unit, range)) = header.split_once('=') else { return Part::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let span = match (position(first), position(last)) {
        (Some(Some(first)), Some(Some(last))) if last < first => return Part::Whole,
        (Some(Some(first)), Some(last)) => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            (first, end)
        }
        (Some(None), Some(Some(suffix))) => (size.saturating_sub(suffix), size),
        _ => return Part::Whole,
    };
    match span.1.checked_sub(span.0) {
        Some(length) if length > 0 => Part::Some { start: span.0, length },
        _ => Part::Unsatisfiable,
    }
}

/// `Some(None)` for nothing, `None` for what is no number.
fn position(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::both_ends("bytes=0-3", Part::Some { start: 0, length: 4 })]
    #[case::open_end("bytes=4-", Part::Some { start: 4, length: 6 })]
    #[case::end_beyond_the_file("bytes=8-99", Part::Some { start: 8, length: 2 })]
    #[case::last_bytes("bytes=-3", Part::Some { start: 7, length: 3 })]
    #[case::more_last_bytes_than_there_are("bytes=-30", Part::Some { start: 0, length: 10 })]
    #[case::largest_number("bytes=1-99999999999999999999999", Part::Some { start: 1, length: 9 })]
    #[case::beyond_the_file("bytes=10-", Part::Unsatisfiable)]
    #[case::no_last_bytes("bytes=-0", Part::Unsatisfiable)]
    #[case::backwards("bytes=3-2", Part::Whole)]
    #[case::several("bytes=0-1,3-4", Part::Whole)]
    #[case::other_unit("lines=0-1", Part::Whole)]
    #[case::nothing("bytes=-", Part::Whole)]
    #[case::signed("bytes=+1-2", Part::Whole)]
    fn ranges_of_ten_bytes(#[case] header: &str, #[case] expected: Part) {
        assert_eq!(part(header, 10), expected);
    }

    #[test]
    fn no_range_fits_an_empty_file() {
        assert_eq!(part("bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(part("bytes=-5", 0), Part::Unsatisfiable);
    }
}
