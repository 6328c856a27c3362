/// The candidate that `word` was most likely meant to be: one that is a few keys away from it, or
/// that goes on where it ends.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// Longer words are not typed by hand.
    const LONGEST: usize = 100;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let close = |candidate: &'c str| {
        if candidate.len() > LONGEST {
            return None;
        }
        let lower = candidate.to_lowercase();
        let goes_on = word.len() >= 3 && lower.starts_with(&word);
        let distance = if goes_on { 1 } else { distance(&word, &lower) };
        (distance <= (word.chars().count().max(3) / 3)).then_some((distance, candidate))
    };
    candidates.into_iter().filter_map(close).min_by_key(|(distance, _)| *distance).map(|(_, it)| it)
}

/// Characters that have to be typed, left out or replaced, or neighbours that change places.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut line_before: Vec<usize> = Vec::new();
    let mut previous_line: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, typed) in one.chars().enumerate() {
        let mut line = vec![row + 1];
        let mut wanted_before = None;
        for (column, wanted) in other.iter().copied().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&previous_line, column) + usize::from(typed != wanted);
            let mut least =
                replaced.min(at(&previous_line, column + 1) + 1).min(at(&line, column) + 1);
            if let Some(before) = column.checked_sub(1)
                && previous == Some(wanted)
                && wanted_before == Some(typed)
            {
                least = least.min(at(&line_before, before) + 1);
            }
            line.push(least);
            wanted_before = Some(wanted);
        }
        line_before = std::mem::replace(&mut previous_line, line);
        previous = Some(typed);
    }
    previous_line.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "", 0)]
    #[case("", "ab", 2)]
    #[case("list", "list", 0)]
    #[case("lsit", "list", 1)]
    #[case("lis", "list", 1)]
    #[case("listt", "list", 1)]
    #[case("lost", "list", 1)]
    #[case("kitten", "sitting", 3)]
    fn keys_are_counted(#[case] one: &str, #[case] other: &str, #[case] expected: usize) {
        assert_eq!(distance(one, other), expected);
        assert_eq!(distance(other, one), expected);
    }

    #[rstest]
    #[case::swapped("pakcages", Some("packages"))]
    #[case::case("Feeds", Some("feeds"))]
    #[case::begun("pack", Some("packages"))]
    #[case::far("install", None)]
    #[case::short("x", None)]
    #[case::nothing("", None)]
    fn words_are_recognized(#[case] word: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(word, ["feeds", "packages", "sources", "serve"]), expected);
    }
}
