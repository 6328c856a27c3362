//! Words that stand for options.

use super::grammar::{Command, Opt, Word};

/// Puts words in the places of options, after those that were given by name. Returns the words that
/// have no place.
pub(super) fn place(
    command: &Command,
    known: &[&'static Opt],
    words: Vec<String>,
    options: &mut Vec<(String, Option<String>)>,
    values: &mut Vec<String>,
) -> Vec<String> {
    let given = |name: &str| options.iter().any(|(given, _)| given == name);
    let open: Vec<Word> =
        command.words.iter().copied().filter(|word| !given(word.option())).collect();
    let needed = |word: &Word| match word {
        Word::Values(_) => true,
        Word::Value(name) => known.iter().any(|option| option.name == *name && option.required),
        Word::Package => known.iter().any(|option| option.name == "package" && option.required),
    };
    let has_version = known.iter().any(|option| option.name == "version") && !given("version");
    // What the command can do without gives way to what it needs: the feed, where there is a
    // default one.
    let mut spare = words.len().saturating_sub(open.iter().filter(|word| needed(word)).count());
    let mut words = words.into_iter().peekable();
    for word in open {
        if words.peek().is_none() {
            break;
        }
        if !needed(&word) {
            match spare.checked_sub(1) {
                Some(less) => spare = less,
                None => continue,
            }
        }
        match word {
            Word::Value(name) => options.push((name.to_owned(), words.next())),
            Word::Values(_) => values.extend(words.by_ref()),
            Word::Package => {
                let Some(package) = words.next() else { break };
                match cut(&package).filter(|_| has_version) {
                    Some((name, version)) => {
                        options.push(("package".to_owned(), Some(name.to_owned())));
                        options.push(("version".to_owned(), Some(version.to_owned())));
                    }
                    None => options.push(("package".to_owned(), Some(package))),
                }
            }
        }
    }
    words.collect()
}

/// `name@version`; an `@` at the start, or of a group, is part of the name.
fn cut(package: &str) -> Option<(&str, &str)> {
    let (name, version) = package.rsplit_once('@')?;
    (!name.is_empty() && !name.ends_with('/') && !version.is_empty() && !version.contains('/'))
        .then_some((name, version))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("a@1.0.0", Some(("a", "1.0.0")))]
    #[case::group("@babel/runtime@7.0.0", Some(("@babel/runtime", "7.0.0")))]
    #[case::no_version("@babel/runtime", None)]
    #[case::name("a", None)]
    #[case::odd_name("g/@a", None)]
    #[case::empty("a@", None)]
    fn versions_are_cut_off(#[case] package: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(cut(package), expected);
    }
}
