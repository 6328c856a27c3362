use std::collections::BTreeMap;
use std::ffi::OsString;

use super::grammar::{Command, Kind, Opt, Takes};
use super::{Action, Invocation, Mistake, nearest, words};

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
    /// Every mistake there is; to be told as JSON if that was asked for.
    Mistakes { path: Vec<&'static Command>, mistakes: Vec<Mistake>, json: bool },
}

/// Reads the words after the program's name.
pub(crate) fn parse(
    root: &'static Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Outcome {
    let line = Line::read(root, arguments);
    if line.help {
        return Outcome::Help(line.path);
    }
    if line.release {
        return Outcome::Version;
    }
    line.outcome()
}

/// A command line in its parts.
struct Line {
    path: Vec<&'static Command>,
    here: &'static Command,
    options: Vec<(String, Option<String>)>,
    words: Vec<String>,
    mistakes: Vec<Mistake>,
    help: bool,
    release: bool,
}

impl Line {
    fn read(root: &'static Command, arguments: impl IntoIterator<Item = OsString>) -> Self {
        let mut line = Self {
            path: vec![root],
            here: root,
            options: Vec::new(),
            words: Vec::new(),
            mistakes: Vec::new(),
            help: false,
            release: false,
        };
        let mut arguments = arguments.into_iter().peekable();
        let mut only_words = false;
        while let Some(word) = arguments.next() {
            let Some(word) = word.to_str() else {
                let text = format!("argument is not Unicode: {}", word.to_string_lossy());
                line.mistakes.push(Mistake::new(text));
                continue;
            };
            if only_words || !word.starts_with('-') || word == "-" {
                line.word(word, only_words);
                continue;
            }
            let Some(option) = word.strip_prefix("--") else {
                line.short(word);
                continue;
            };
            match option.split_once('=') {
                _ if option.is_empty() => only_words = true,
                Some((name, value)) => {
                    line.options.push((name.to_owned(), Some(value.to_owned())));
                }
                None if option == "help" => line.help = true,
                None if takes_value(root, option) => {
                    let next = arguments
                        .next_if(|next| !next.as_encoded_bytes().starts_with(b"--"))
                        .map(OsString::into_string)
                        .transpose();
                    match next {
                        Ok(value) => line.options.push((option.to_owned(), value)),
                        Err(value) => line.mistakes.push(Mistake::new(format!(
                            "--{option} error: value is not Unicode: {}",
                            value.to_string_lossy()
                        ))),
                    }
                }
                None => line.options.push((option.to_owned(), None)),
            }
        }
        line.release |= line.path.len() == 1 && line.has("version");
        line
    }

    fn word(&mut self, word: &str, literal: bool) {
        let children = self.here.children();
        if let Some(child) = children.iter().find(|child| child.name == word).filter(|_| !literal) {
            self.here = child;
            self.path.push(child);
        } else if word == "help" && !literal && matches!(self.here.kind, Kind::Group(_)) {
            self.help = true;
        } else {
            self.words.push(word.to_owned());
        }
    }

    fn short(&mut self, word: &str) {
        match word {
            "-?" | "-h" => self.help = true,
            "-V" => self.release = true,
            "-q" => self.options.push(("quiet".to_owned(), None)),
            _ => self.mistakes.push(Mistake::new(format!("unexpected argument: {word}"))),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| given == name)
    }

    fn wants_json(&self) -> bool {
        let format = |(name, value): &(String, Option<String>)| {
            name == "format" && value.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("json"))
        };
        self.has("json") || self.options.iter().any(format)
    }

    fn outcome(mut self) -> Outcome {
        let json = self.wants_json();
        let here = self.here;
        let (Kind::Action(action) | Kind::OpenAction(action)) = here.kind else {
            for word in std::mem::take(&mut self.words) {
                let meant = nearest(&word, here.children().iter().map(|child| child.name));
                let text = format!("unexpected argument: {word}");
                self.mistakes.push(Mistake::new(text).meaning(meant));
            }
            let Self { path, mistakes, .. } = self;
            return if mistakes.is_empty() {
                Outcome::Incomplete(path)
            } else {
                Outcome::Mistakes { path, mistakes, json }
            };
        };
        let Self { path, mut options, words: given, mut mistakes, .. } = self;
        let known: Vec<&'static Opt> = path.iter().flat_map(|command| command.options).collect();
        let mut listed = Vec::new();
        for word in words::place(here, &known, given, &mut options, &mut listed) {
            mistakes.push(Mistake::new(format!("unexpected argument: {word}")));
        }
        let mut invocation =
            Invocation { path, values: BTreeMap::new(), others: Vec::new(), listed };
        for (name, value) in options {
            if let Err(mistake) = take(&mut invocation, here, &known, name, value) {
                mistakes.push(mistake);
            }
        }
        for option in known.iter().filter(|option| option.required) {
            let told = format!("--{} ", option.name);
            let was_told = mistakes.iter().any(|mistake| mistake.text().starts_with(&told));
            if invocation.text(option.name).is_none() && !was_told {
                mistakes.push(Mistake::missing(option.name));
            }
        }
        if mistakes.is_empty() {
            Outcome::Run(invocation, action)
        } else {
            Outcome::Mistakes { path: invocation.path, mistakes, json }
        }
    }
}

fn take(
    invocation: &mut Invocation,
    command: &Command,
    known: &[&'static Opt],
    name: String,
    value: Option<String>,
) -> Result<(), Mistake> {
    if invocation.values.contains_key(&name)
        || invocation.others.iter().any(|(other, _)| *other == name)
    {
        return Err(Mistake::new(format!("option specified more than once: --{name}")));
    }
    let Some(option) = known.iter().find(|option| option.name == name) else {
        if matches!(command.kind, Kind::OpenAction(_)) {
            invocation.others.push((name, value.unwrap_or_else(|| "true".to_owned())));
            return Ok(());
        }
        let shown = known.iter().filter(|option| !option.hidden).map(|option| option.name);
        let meant = nearest(&name, shown).map(|near| format!("--{near}"));
        return Err(Mistake::new(format!("unexpected argument: --{name}")).meaning(meant));
    };
    let value = match (option.takes, value) {
        // As the original: a flag is set whatever its value.
        (Takes::Nothing, _) => String::new(),
        (_, None) => return Err(Mistake::new(format!("--{name} error: missing value"))),
        (Takes::Text, Some(value)) => value,
        (Takes::OneOf(_), Some(value)) if value.is_empty() => value,
        (Takes::OneOf(words), Some(value)) => {
            let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(&value)) else {
                let shown = hayloft::feed_type::shorten(&value);
                let text = format!("--{name} error: `{shown}` is not one of {}", words.join(", "));
                return Err(Mistake::new(text).meaning(nearest(&value, words.iter().copied())));
            };
            (*word).to_owned()
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
    #[case::stray_word("packages list dev tools more", &["unexpected argument: more"])]
    #[case::word_of_no_command("packages lost", &["unexpected argument: lost"])]
    #[case::twice("packages list --feed=a --feed=b", &["option specified more than once: --feed"])]
    #[case::all_at_once("packages download -x --stable",
        &["unexpected argument: -x", "unexpected argument: --stable",
          "missing required argument: --package", "missing required argument: --version"])]
    #[case::empty_required("feeds delete --name=", &["missing required argument: --name"])]
    #[case::no_value("feeds delete --name", &["--name error: missing value"])]
    #[case::option_in_place_of_a_value("feeds delete --name --json", &["--name error: missing value"])]
    #[case::enumerated("packages status unlisted --package=a --version=1 --state=off",
        &["--state error: `off` is not one of listed, unlisted"])]
    fn all_mistakes_are_told(#[case] line: &str, #[case] expected: &[&str]) {
        let Outcome::Mistakes { mistakes, .. } = read(line) else { panic!("{line}") };
        assert_eq!(mistakes.iter().map(Mistake::text).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::command("packges list", Some("packages"))]
    #[case::deeper("packages upload dev x --input-fil=x", Some("--input-file"))]
    #[case::choice("packages status blocked dev a@1 --state=bloked", Some("blocked"))]
    #[case::nothing_like_it("packages frobnicate", None)]
    fn what_was_meant_is_told(#[case] line: &str, #[case] expected: Option<&str>) {
        let Outcome::Mistakes { mistakes, .. } = read(line) else { panic!("{line}") };
        assert_eq!(mistakes[0].meant(), expected);
    }

    #[rstest]
    #[case::named("packages delete --feed=f --package=a --version=1", "f", "a", "1")]
    #[case::words("packages delete f a@1", "f", "a", "1")]
    #[case::group("packages delete f @g/a@1", "f", "@g/a", "1")]
    #[case::version_by_name("packages delete f a@b --version=1", "f", "a@b", "1")]
    #[case::feed_by_name("packages delete a@1 --feed f", "f", "a", "1")]
    #[case::feed_of_the_source("packages delete a@1", "", "a", "1")]
    #[case::literally("packages delete -- f a@1", "f", "a", "1")]
    #[case::deeper("packages status blocked f a@1", "f", "a", "1")]
    fn words_stand_for_options(
        #[case] line: &str,
        #[case] feed: &str,
        #[case] package: &str,
        #[case] version: &str,
    ) {
        let Outcome::Run(invocation, _) = read(line) else { panic!("{line}: {:?}", read(line)) };
        let text = |name| invocation.text(name).unwrap_or_default();
        assert_eq!((text("feed"), text("package"), text("version")), (feed, package, version));
    }

    #[rstest]
    #[case::feed_and_files("packages upload f a b", "f", &["a", "b"])]
    #[case::one_file("packages upload a", "", &["a"])]
    #[case::named_feed("packages upload --feed f a b", "f", &["a", "b"])]
    #[case::literal_names("packages upload f -- list --x", "f", &["list", "--x"])]
    fn the_last_word_may_be_many(#[case] line: &str, #[case] feed: &str, #[case] files: &[&str]) {
        let Outcome::Run(invocation, _) = read(line) else { panic!("{line}: {:?}", read(line)) };
        assert_eq!(invocation.text("feed").unwrap_or_default(), feed);
        assert_eq!(invocation.listed(), files);
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
    #[case("help packages list")]
    #[case("packages help list")]
    fn help_wins_over_mistakes(#[case] line: &str) {
        let Outcome::Help(path) = read(line) else { panic!("{line}") };
        assert_eq!(words(&path), "packages list");
    }

    /// Words that the command takes are options of it; many come last.
    #[test]
    fn words_are_options_of_their_command() {
        fn walk(command: &'static Command, above: &[&'static Opt]) {
            let known: Vec<&'static Opt> = above.iter().copied().chain(command.options).collect();
            for (at, word) in command.words.iter().enumerate() {
                let name = word.option();
                assert!(known.iter().any(|option| option.name == name), "{} {name}", command.name);
                assert!(command.children().is_empty(), "{}", command.name);
                let last = at + 1 == command.words.len();
                assert!(last || !matches!(word, super::super::Word::Values(_)));
            }
            command.children().iter().for_each(|child| walk(child, &known));
        }
        walk(&ROOT, &[]);
    }

    #[test]
    fn the_release_is_told_without_a_command_only() {
        assert!(matches!(read("--version"), Outcome::Version));
        assert!(matches!(read("-V"), Outcome::Version));
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
