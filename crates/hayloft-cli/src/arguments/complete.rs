//! What may stand at the end of a command line that is being typed.

use super::grammar::{Command, Opt, Takes};

/// A word that fits, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    pub(crate) description: &'static str,
}

/// The words that fit in place of the last one, which may be begun or empty. None where anything
/// may stand, such as a file.
pub(crate) fn candidates(root: &'static Command, words: &[String]) -> Vec<Candidate> {
    let Some((begun, before)) = words.split_last() else { return Vec::new() };
    let typed = Typed::read(root, before);
    if let Some(option) = typed.waits_for_value {
        return choices(option, "", begun);
    }
    if let Some((name, value)) = begun.strip_prefix("--").and_then(|rest| rest.split_once('=')) {
        let option = typed.known().find(|option| option.name == name);
        return option
            .map(|option| choices(option, &format!("--{name}="), value))
            .unwrap_or_default();
    }
    if begun.starts_with('-') {
        return typed.options(begun);
    }
    let children = typed.here().children();
    let fitting = typed.here().shown().filter(|child| child.name.starts_with(begun.as_str()));
    let mut found: Vec<Candidate> = fitting
        .map(|child| Candidate { word: child.name.to_owned(), description: child.description })
        .collect();
    if children.is_empty()
        && let Some(word) = typed.here().words.get(typed.words)
        && let Some(option) = typed.known().find(|option| option.name == word.option())
    {
        found.extend(choices(option, "", begun));
    }
    found
}

/// What stands before the word that is being typed.
struct Typed {
    path: Vec<&'static Command>,
    options: Vec<String>,
    /// Words that are neither commands nor options.
    words: usize,
    waits_for_value: Option<&'static Opt>,
}

impl Typed {
    fn read(root: &'static Command, before: &[String]) -> Self {
        let mut typed =
            Self { path: vec![root], options: Vec::new(), words: 0, waits_for_value: None };
        for word in before {
            if typed.waits_for_value.take().is_some() {
                continue;
            }
            let Some(option) = word.strip_prefix("--") else {
                match typed.here().children().iter().find(|child| child.name == word) {
                    Some(child) => typed.path.push(child),
                    None => typed.words += 1,
                }
                continue;
            };
            if let Some((name, _)) = option.split_once('=') {
                typed.options.push(name.to_owned());
                continue;
            }
            let takes = |each: &&Opt| each.name == option && each.takes != Takes::Nothing;
            let found = typed.known().find(takes);
            typed.waits_for_value = found;
            typed.options.push(option.to_owned());
        }
        typed
    }

    fn here(&self) -> &'static Command {
        // There is always the root.
        self.path.last().copied().unwrap_or(&crate::commands::ROOT)
    }

    fn known(&self) -> impl Iterator<Item = &'static Opt> {
        self.path.iter().flat_map(|command| command.options)
    }

    /// The options that were not given yet, those of the command before those of its parents.
    fn options(&self, begun: &str) -> Vec<Candidate> {
        let options = self.path.iter().rev().flat_map(|command| command.options);
        options
            .filter(|option| !option.hidden && !self.options.iter().any(|it| it == option.name))
            .map(|option| Candidate {
                word: format!("--{}", option.name),
                description: option.description,
            })
            .chain([Candidate { word: "--help".to_owned(), description: "Show this help" }])
            .filter(|candidate| candidate.word.starts_with(begun))
            .collect()
    }
}

fn choices(option: &'static Opt, before: &str, begun: &str) -> Vec<Candidate> {
    let Takes::OneOf(words) = option.takes else { return Vec::new() };
    let begun = begun.to_ascii_lowercase();
    let fitting = words.iter().filter(|word| word.to_ascii_lowercase().starts_with(&begun));
    fitting
        .map(|word| Candidate { word: format!("{before}{word}"), description: option.description })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::commands::ROOT;

    #[rstest]
    #[case::commands("pack", &["packages"])]
    #[case::deeper("packages pro", &["promote"])]
    #[case::options("packages upload --inp", &["--input-file"])]
    #[case::options_of_parents("packages upload dev x --so", &["--source"])]
    #[case::given_once("packages list --feed=x --fee", &[])]
    #[case::hidden("packages delete --arc", &[])]
    #[case::choices("packages status blocked --state ", &["blocked", "notset", "allowed"])]
    #[case::choices_behind_a_sign("packages status blocked --state=No", &["--state=notset"])]
    #[case::value_of_an_option("packages list --feed ", &[])]
    #[case::words_after_a_value("packages --feed list li", &["list"])]
    #[case::words_with_choices("feeds properties set dev act", &["active"])]
    #[case::files("packages upload dev ", &[])]
    fn what_fits_is_found(#[case] line: &str, #[case] expected: &[&str]) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let found: Vec<String> =
            candidates(&ROOT, &words).into_iter().map(|candidate| candidate.word).collect();
        assert_eq!(found, expected);
    }
}
