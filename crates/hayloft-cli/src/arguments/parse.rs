use std::collections::BTreeMap;
use std::ffi::OsString;

use super::grammar::{Command, Kind, Opt, Takes};
use super::{Action, Invocation};

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Carry it out.
    Run(Invocation, Action),
    /// Explain the command at the end of this path.
    Help(Vec<&'static Command>),
    /// The release.
    Version,
    /// The command needs a further word.
    Incomplete(Vec<&'static Command>),
    /// Every mistake there is.
    Mistakes(Vec<&'static Command>, Vec<String>),
}

/// Reads the words after the program's name.
pub(crate) fn parse(
    root: &'static Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Outcome {
    let mut path = vec![root];
    let mut here = root;
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    let mut mistakes = Vec::new();
    let mut help = false;
    let mut words = arguments.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some(word) = word.to_str() else {
            mistakes.push(format!("argument is not Unicode: {}", word.to_string_lossy()));
            continue;
        };
        if let Some(child) = here.children().iter().find(|child| child.name == word) {
            here = child;
            path.push(child);
            continue;
        }
        let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) else {
            if word == "-?" || word == "-h" {
                help = true;
            } else {
                mistakes.push(format!("unexpected argument: {word}"));
            }
            continue;
        };
        match option.split_once('=') {
            Some((name, value)) => options.push((name.to_owned(), Some(value.to_owned()))),
            None if option == "help" => help = true,
            None => {
                let next = if takes_value(root, option) {
                    words.next_if(|next| !next.as_encoded_bytes().starts_with(b"--"))
                } else {
                    None
                };
                let next = next.map(OsString::into_string).transpose();
                match next {
                    Ok(value) => options.push((option.to_owned(), value)),
                    Err(value) => mistakes.push(format!(
                        "--{option} error: value is not Unicode: {}",
                        value.to_string_lossy()
                    )),
                }
            }
        }
    }
    if help {
        return Outcome::Help(path);
    }
    let action = match here.kind {
        Kind::Action(action) | Kind::OpenAction(action) => action,
        Kind::Group(_) => {
            let version = path.len() == 1 && options.iter().any(|(name, _)| name == "version");
            return match mistakes.is_empty() {
                true if version => Outcome::Version,
                true => Outcome::Incomplete(path),
                false => Outcome::Mistakes(path, mistakes),
            };
        }
    };
    let mut invocation = Invocation { path, values: BTreeMap::new(), others: Vec::new() };
    for (name, value) in options {
        if let Err(mistake) = take(&mut invocation, here, name, value) {
            mistakes.push(mistake);
        }
    }
    for option in known(&invocation.path).filter(|option| option.required) {
        let told = format!("--{} ", option.name);
        let was_told = mistakes.iter().any(|mistake| mistake.starts_with(&told));
        if invocation.text(option.name).is_none() && !was_told {
            mistakes.push(format!("missing required argument: --{}", option.name));
        }
    }
    if mistakes.is_empty() {
        Outcome::Run(invocation, action)
    } else {
        Outcome::Mistakes(invocation.path, mistakes)
    }
}

/// All options of a command: those of its parents first.
fn known(path: &[&'static Command]) -> impl Iterator<Item = &'static Opt> {
    path.iter().flat_map(|command| command.options)
}

fn take(
    invocation: &mut Invocation,
    command: &Command,
    name: String,
    value: Option<String>,
) -> Result<(), String> {
    if invocation.values.contains_key(&name)
        || invocation.others.iter().any(|(other, _)| *other == name)
    {
        return Err(format!("option specified more than once: --{name}"));
    }
    let Some(option) = known(&invocation.path).find(|option| option.name == name) else {
        if matches!(command.kind, Kind::OpenAction(_)) {
            invocation.others.push((name, value.unwrap_or_else(|| "true".to_owned())));
            return Ok(());
        }
        return Err(format!("unexpected argument: --{name}"));
    };
    let value = match (option.takes, value) {
        // As the original: a flag is set whatever its value.
        (Takes::Nothing, _) => String::new(),
        (_, None) => return Err(format!("--{name} error: missing value")),
        (Takes::Text, Some(value)) => value,
        (Takes::OneOf(_), Some(value)) if value.is_empty() => value,
        (Takes::OneOf(words), Some(value)) => {
            match words.iter().find(|word| word.eq_ignore_ascii_case(&value)) {
                Some(word) => (*word).to_owned(),
                None => {
                    return Err(format!(
                        "--{name} error: `{}` is not one of {}",
                        hayloft::feed_type::shorten(&value),
                        words.join(", ")
                    ));
                }
            }
        }
    };
    invocation.values.insert(name, value);
    Ok(())
}

/// Whether any command has an option of this name with a value. Where an option stands says
/// nothing, so one name must not be a flag here and have a value there.
fn takes_value(command: &Command, name: &str) -> bool {
    command.options.iter().any(|option| option.name == name && option.takes != Takes::Nothing)
        || command.children().iter().any(|child| takes_value(child, name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::commands::ROOT;

    fn read(line: &str) -> Outcome {
        parse(&ROOT, line.split_whitespace().map(|word| word.replace('_', " ").into()))
    }

    fn words(path: &[&'static Command]) -> String {
        path.iter().skip(1).map(|command| command.name).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::attached("packages versions --feed=dev --package=a/b", "packages versions")]
    #[case::apart("packages versions --feed dev --package a/b", "packages versions")]
    #[case::options_first("--feed dev --package a/b packages versions", "packages versions")]
    #[case::word_in_between("packages --feed=dev versions --package a/b", "packages versions")]
    #[case::value_like_a_word("packages versions --feed dev --package list", "packages versions")]
    #[case::deeper(
        "packages --package x status --version 1 --feed=f blocked",
        "packages status blocked"
    )]
    fn words_and_options_stand_anywhere(#[case] line: &str, #[case] expected: &str) {
        let Outcome::Run(invocation, _) = read(line) else { panic!("{line}") };
        assert_eq!(words(invocation.path()), expected);
    }

    #[rstest]
    #[case::text("packages list --feed=a=b", "feed", Some("a=b"))]
    #[case::empty_is_absent("packages list --feed=", "feed", None)]
    #[case::absent("packages list", "feed", None)]
    #[case::blanks(
        "packages promote --package=a --version=1 --to-feed=f --comment by_hand",
        "comment",
        Some("by hand")
    )]
    #[case::dash(
        "packages promote --package=a --version=1 --to-feed=f --comment -1",
        "comment",
        Some("-1")
    )]
    #[case::any_case(
        "packages status blocked --package=a --version=1 --state=NotSet",
        "state",
        Some("notset")
    )]
    fn values_are_read(#[case] line: &str, #[case] name: &str, #[case] expected: Option<&str>) {
        let Outcome::Run(invocation, _) = read(line) else { panic!("{line}: {:?}", read(line)) };
        assert_eq!(invocation.text(name), expected);
    }

    #[rstest]
    #[case::alone("packages list --stable")]
    #[case::with_a_value("packages list --stable=false")]
    #[case::before_a_word("packages --stable list")]
    fn flags_are_set_whatever_their_value(#[case] line: &str) {
        let Outcome::Run(invocation, _) = read(line) else { panic!("{line}") };
        assert!(invocation.flag("stable"));
    }

    #[rstest]
    #[case::unknown("packages list --fed=x", &["unexpected argument: --fed"])]
    #[case::stray_word("packages list dev", &["unexpected argument: dev"])]
    #[case::twice("packages list --feed=a --feed=b", &["option specified more than once: --feed"])]
    #[case::all_at_once("packages download --stable x",
        &["unexpected argument: x", "unexpected argument: --stable",
          "missing required argument: --package", "missing required argument: --version"])]
    #[case::empty_required("feeds delete --name=", &["missing required argument: --name"])]
    #[case::no_value("feeds delete --name", &["--name error: missing value"])]
    #[case::option_in_place_of_a_value("feeds delete --name --json", &["--name error: missing value"])]
    #[case::enumerated("packages status unlisted --package=a --version=1 --state=off",
        &["--state error: `off` is not one of listed, unlisted"])]
    fn all_mistakes_are_told(#[case] line: &str, #[case] expected: &[&str]) {
        let Outcome::Mistakes(_, mistakes) = read(line) else { panic!("{line}") };
        assert_eq!(mistakes, expected);
    }

    #[rstest]
    #[case("packages", "packages")]
    #[case("packages status", "packages status")]
    #[case("", "")]
    fn a_group_alone_is_incomplete(#[case] line: &str, #[case] expected: &str) {
        let Outcome::Incomplete(path) = read(line) else { panic!("{line}") };
        assert_eq!(words(&path), expected);
    }

    #[rstest]
    #[case("packages list --help")]
    #[case("-? packages list")]
    #[case("packages -h list --bogus")]
    fn help_wins_over_mistakes(#[case] line: &str) {
        let Outcome::Help(path) = read(line) else { panic!("{line}") };
        assert_eq!(words(&path), "packages list");
    }

    #[test]
    fn the_release_is_told_without_a_command_only() {
        assert!(matches!(read("--version"), Outcome::Version));
        assert!(matches!(read("packages --version 1"), Outcome::Incomplete(_)));
    }

    /// The parser reads `--name value` before it knows the command.
    #[test]
    fn no_option_is_a_flag_here_and_has_a_value_there() {
        fn flags(command: &'static Command, found: &mut Vec<&'static str>) {
            let flag = |option: &&Opt| option.takes == Takes::Nothing;
            found.extend(command.options.iter().filter(flag).map(|option| option.name));
            command.children().iter().for_each(|child| flags(child, found));
        }
        let mut found = Vec::new();
        flags(&ROOT, &mut found);
        found.retain(|name| takes_value(&ROOT, name));
        assert_eq!(found, [""; 0]);
    }

    /// A word below another must not be taken for a sibling of its parent.
    #[test]
    fn no_option_is_defined_twice_on_one_path() {
        fn walk(command: &'static Command, above: &[&'static str]) {
            let mut names = above.to_vec();
            for option in command.options {
                assert!(!names.contains(&option.name), "{} --{}", command.name, option.name);
                names.push(option.name);
            }
            command.children().iter().for_each(|child| walk(child, &names));
        }
        walk(&ROOT, &[]);
    }
}
