/// The part of a file that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
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
    let (Ok(first), Ok(last)) = (position(first), position(last)) else { return Part::Whole };
    let (start, end) = match (first, last) {
        (None, None) => return Part::Whole,
        (Some(first), Some(last)) if last < first => return Part::Whole,
        (Some(first), None) => (first, size),
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(size)),
        (None, Some(suffix)) => (size.saturating_sub(suffix), size),
    };
    match end.checked_sub(start) {
        Some(length) if length > 0 => Part::Some { start, length },
        _ => Part::Unsatisfiable,
    }
}

struct NoNumber;

/// `None` for nothing; what is too large for a number is beyond every file.
fn position(text: &str) -> Result<Option<u64>, NoNumber> {
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NoNumber);
    }
    Ok((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
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
