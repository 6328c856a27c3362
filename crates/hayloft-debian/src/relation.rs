use hayloft_feed::shorten;

/// How a relation bounds the version of the package it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the obsolete `<`
    EarlierOrEqual,
    /// `=`, and a version without an operator
    Equal,
    /// `>=`, and the obsolete `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// One package named in a field such as `Depends`: `name[:arch] [(operator version)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation<'t> {
    /// Package name.
    pub name: &'t str,
    /// Architecture after the colon, such as `any`.
    pub architecture: Option<&'t str>,
    /// The version bound. Versions are not checked: apt and dpkg take any word.
    pub bound: Option<(Operator, &'t str)>,
    /// The relation as written.
    pub text: &'t str,
}

/// The value of a relation field cannot be read by dpkg or by apt.
///
/// An index with one such value fails to load as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelationError {
    /// dpkg sees no name on the field's own line.
    #[error("begins on a continuation line, where dpkg does not look for it")]
    BeginsBelow,
    /// Two separators side by side, or one at an end.
    #[error("names no package before or after a `,` or `|`")]
    NoName,
    /// Neither dpkg nor apt takes the name.
    #[error("names `{}`, which is no package name", shorten(.0))]
    Name(String),
    /// What follows the colon is no architecture.
    #[error("names the architecture `{}`, which is none", shorten(.0))]
    Architecture(String),
    /// No closing parenthesis, an empty version, or more than one word.
    #[error("has a malformed version bound in `{}`", shorten(.0))]
    Bound(String),
    /// apt takes no bound this short at the end of a field.
    #[error("ends with `{}`, which is too short for apt; write `(= version)` with a blank", shorten(.0))]
    ShortBound(String),
    /// Text between a relation and the next separator.
    #[error("has `{}` after a package, where only `,` or `|` may stand", shorten(.0))]
    Garbage(String),
}

/// Reads all relations of one field, alternatives and conjunctions alike, in order.
pub fn relations(value: &str) -> Result<Vec<Relation<'_>>, RelationError> {
    if value.starts_with(['\n', '\r']) {
        return Err(RelationError::BeginsBelow);
    }
    let mut found = Vec::new();
    let mut rest = value;
    loop {
        let (relation, tail) = relation(rest.trim_ascii_start())?;
        found.push(relation);
        let tail = tail.trim_ascii_start();
        if tail.is_empty() {
            return Ok(found);
        }
        rest =
            tail.strip_prefix([',', '|']).ok_or_else(|| RelationError::Garbage(tail.to_owned()))?;
    }
}

fn relation(text: &str) -> Result<(Relation<'_>, &str), RelationError> {
    let ends_word = |found: char| found.is_ascii_whitespace() || "(),|[]<>".contains(found);
    let (word, tail) = text.split_at(text.find(ends_word).unwrap_or(text.len()));
    if word.is_empty() {
        return Err(match tail.chars().next() {
            None | Some(',' | '|') => RelationError::NoName,
            _ => RelationError::Garbage(tail.to_owned()),
        });
    }
    let (name, architecture) = match word.split_once(':') {
        Some((name, architecture)) => (name, Some(architecture)),
        None => (word, None),
    };
    let name_holds = |found: char| found.is_ascii_alphanumeric() || "+-._".contains(found);
    if !name.starts_with(|first: char| first.is_ascii_alphanumeric())
        || !name.chars().all(name_holds)
    {
        return Err(RelationError::Name(name.to_owned()));
    }
    let is_architecture = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphanumeric())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if let Some(architecture) = architecture.filter(|word| !is_architecture(word)) {
        return Err(RelationError::Architecture(architecture.to_owned()));
    }
    let (bound, tail) = match tail.trim_ascii_start().strip_prefix('(') {
        Some(inside) => {
            let (bound, tail) = bound(inside)?;
            (Some(bound), tail)
        }
        None => (None, tail),
    };
    let text = text.get(..text.len() - tail.len()).unwrap_or(text).trim_ascii_end();
    Ok((Relation { name, architecture, bound, text }, tail))
}

fn bound(inside: &str) -> Result<((Operator, &str), &str), RelationError> {
    let malformed =
        || RelationError::Bound(inside.split([',', '|']).next().unwrap_or("").to_owned());
    // apt demands four characters from here to the end of the field, blanks not counted.
    if inside.trim_ascii_start().len() < 4 {
        return Err(RelationError::ShortBound(inside.to_owned()));
    }
    let (within, tail) = inside.split_once(')').ok_or_else(malformed)?;
    let within = within.trim_ascii();
    let operators = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Equal),
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ];
    let (operator, version) = operators
        .into_iter()
        .find_map(|(sign, operator)| Some((operator, within.strip_prefix(sign)?)))
        .unwrap_or((Operator::Equal, within));
    let version = version.trim_ascii_start();
    let breaks = |found: char| found.is_ascii_whitespace() || "(<>=,|".contains(found);
    if version.is_empty() || version.contains(breaks) {
        return Err(malformed());
    }
    Ok(((operator, version), tail))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn relations_are_read_in_order_with_their_bounds() {
        let value = "libc6 (>= 2.14), a:any|b:amd64(=1:2-3 ) ,\n c (<< 4~),d (> 1), e (10.5)";
        let read = relations(value).unwrap();
        let names: Vec<_> = read.iter().map(|relation| relation.name).collect();
        assert_eq!(names, ["libc6", "a", "b", "c", "d", "e"]);
        assert_eq!(read[0].bound, Some((Operator::LaterOrEqual, "2.14")));
        assert_eq!((read[1].architecture, read[1].bound), (Some("any"), None));
        assert_eq!(read[2].bound, Some((Operator::Equal, "1:2-3")));
        assert_eq!(read[2].text, "b:amd64(=1:2-3 )");
        assert_eq!(read[3].bound, Some((Operator::Earlier, "4~")));
        assert_eq!(read[4].bound, Some((Operator::LaterOrEqual, "1")));
        assert_eq!(read[5].bound, Some((Operator::Equal, "10.5")));
    }

    // Each was given to dpkg 1.21 and apt 2.6: at least one of them fails on it.
    #[rstest]
    #[case::below("\n a", RelationError::BeginsBelow)]
    #[case::trailing_comma("a,", RelationError::NoName)]
    #[case::double_comma("a,, b", RelationError::NoName)]
    #[case::trailing_bar("a |", RelationError::NoName)]
    #[case::two_words("a b", RelationError::Garbage("b".into()))]
    #[case::open("a (>= 1", RelationError::Bound(">= 1".into()))]
    #[case::double_equals("a (== 1)", RelationError::Bound("== 1)".into()))]
    #[case::two_versions("a (>= 1 2)", RelationError::Bound(">= 1 2)".into()))]
    #[case::no_version("a (>=  )", RelationError::Bound(">=  )".into()))]
    #[case::empty_bound("a ()", RelationError::ShortBound(")".into()))]
    #[case::short_bound("a (=3)", RelationError::ShortBound("=3)".into()))]
    #[case::short_implicit("a (12)", RelationError::ShortBound("12)".into()))]
    #[case::second_bound("a (= 1.0) (= 2.0)", RelationError::Garbage("(= 2.0)".into()))]
    #[case::architectures("a [amd64]", RelationError::Garbage("[amd64]".into()))]
    #[case::profile("a <x>", RelationError::Garbage("<x>".into()))]
    #[case::closing("a (= 1.0))", RelationError::Garbage(")".into()))]
    #[case::dot_name(".a", RelationError::Name(".a".into()))]
    #[case::foreign_name("é", RelationError::Name("é".into()))]
    #[case::architecture("a:any:x", RelationError::Architecture("any:x".into()))]
    fn what_dpkg_or_apt_cannot_read_is_refused(#[case] value: &str, #[case] error: RelationError) {
        assert_eq!(relations(value), Err(error));
    }

    #[rstest]
    #[case::short_but_not_last("a(=3), b")]
    #[case::long_enough("a (= 3)")]
    #[case::odd_version("a (>= _x)")]
    #[case::underscore_name("A_b")]
    #[case::folded("a\n (>= 1.0)")]
    #[case::folded_bound("a (>=\n 1.0)")]
    fn what_both_read_is_taken(#[case] value: &str) {
        assert!(relations(value).is_ok());
    }
}
