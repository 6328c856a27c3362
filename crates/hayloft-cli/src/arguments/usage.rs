use std::fmt::Write;

use super::grammar::{Command, Kind, Opt, Takes, Word};

/// Explains the command at the end of `path`.
pub(crate) fn usage(path: &[&'static Command]) -> String {
    let mut text = String::new();
    let Some((command, parents)) = path.split_last() else { return text };
    let words: Vec<&str> = path.iter().map(|command| command.name).collect();
    let words = words.join(" ");
    let rest = rest(path);
    let description = command.description;
    let _ = write!(text, "Description:\n  {description}\n\nUsage:\n  {words} {rest}\n");
    if let Kind::Group(_) = command.kind {
        let rows =
            command.shown().map(|child| (child.name.to_owned(), child.description.to_owned()));
        columns(&mut text, "Commands:", rows.collect());
    }
    let mut own = rows(command.options);
    if matches!(command.kind, Kind::OpenAction(_)) {
        own.push(("--<property>=<value>".to_owned(), "A property of that name".to_owned()));
    }
    let mut inherited: Vec<(String, Vec<(String, String)>)> = parents
        .iter()
        .rev()
        .map(|parent| (format!("Common Options ({}):", parent.name), rows(parent.options)))
        .collect();
    inherited.retain(|(_, rows)| !rows.is_empty());
    let last = inherited.last_mut().map_or(&mut own, |(_, rows)| rows);
    last.push(("-?, --help".to_owned(), "Show this help".to_owned()));
    columns(&mut text, "Options:", own);
    for (title, rows) in inherited {
        columns(&mut text, &title, rows);
    }
    if !command.examples.is_empty() {
        text.push_str("\nExamples:\n");
        for example in command.examples {
            let _ = writeln!(text, "  $> {example}");
        }
    }
    text
}

/// What an option is for, and what holds without it.
pub(super) fn described(option: &Opt) -> String {
    let default = option.default.map(|default| format!("; by default {default}"));
    option.description.to_owned() + &default.unwrap_or_default()
}

/// What follows the command's own words in a synopsis.
pub(super) fn rest(path: &[&'static Command]) -> String {
    let words = path.iter().flat_map(|command| command.words);
    let mut rest: String = words.map(|word| shown_word(*word, path) + " ").collect();
    let is_group = path.last().is_some_and(|command| matches!(command.kind, Kind::Group(_)));
    rest.push_str(if is_group { "[command] [options]" } else { "[options]" });
    rest
}

/// A word that stands for an option.
fn shown_word(word: Word, path: &[&'static Command]) -> String {
    let mut known = path.iter().flat_map(|command| command.options);
    let required = known.any(|option| option.name == word.option() && option.required);
    let has_version =
        path.iter().flat_map(|command| command.options).any(|option| option.name == "version");
    let name = match word {
        Word::Package if has_version => "package@version",
        other => other.option(),
    };
    match word {
        Word::Values(_) => format!("<{name}>..."),
        _ if required => format!("<{name}>"),
        _ => format!("[<{name}>]"),
    }
}

/// Required options first.
fn rows(options: &'static [Opt]) -> Vec<(String, String)> {
    let shown = |required| {
        options.iter().filter(move |option| option.required == required && !option.hidden)
    };
    shown(true).chain(shown(false)).map(|option| (spelled(option), described(option))).collect()
}

pub(super) fn spelled(option: &Opt) -> String {
    let name = option.name;
    let value = match option.takes {
        Takes::Nothing => String::new(),
        Takes::Text => format!("=<{name}>"),
        Takes::OneOf(words) => format!("=<{}>", words.join("|")),
    };
    let required = if option.required { " (REQUIRED)" } else { "" };
    format!("--{name}{value}{required}")
}

/// Names wider than this get a line of their own.
const WIDEST: usize = 40;

fn columns(text: &mut String, title: &str, rows: Vec<(String, String)>) {
    if rows.is_empty() {
        return;
    }
    let width = |(name, _): &(String, String)| Some(name.len()).filter(|width| *width <= WIDEST);
    let width = rows.iter().filter_map(width).max().unwrap_or(WIDEST);
    let _ = write!(text, "\n{title}\n");
    for (name, description) in rows {
        if name.len() > width {
            let _ = writeln!(text, "  {name}\n  {:width$}  {description}", "");
        } else {
            let _ = writeln!(text, "  {name:width$}  {description}");
        }
    }
}
