use std::collections::BTreeMap;

use super::{Command, Mistake, Opt};
use crate::failure::Failure;

/// A command with its options, read and complete.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(super) path: Vec<&'static Command>,
    pub(super) values: BTreeMap<String, String>,
    pub(super) others: Vec<(String, String)>,
    /// Words that stand for values of one option.
    pub(super) listed: Vec<String>,
}

impl Invocation {
    /// The command's words, the program's name first.
    pub(crate) fn path(&self) -> &[&'static Command] {
        &self.path
    }

    /// The value of an option; an empty one counts as absent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The value of an option, which may be empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an option that the command cannot do without.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name).ok_or_else(|| Failure::Arguments(vec![Mistake::missing(name)]))
    }

    /// The value of an option, else its default.
    pub(crate) fn or_default(&self, name: &str) -> &str {
        let default = self.options().find(|option| option.name == name).and_then(|it| it.default);
        self.text(name).or(default).unwrap_or_default()
    }

    /// All options that the command takes.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static Opt> {
        self.path.iter().flat_map(|command| command.options)
    }

    /// The same with a value for an option that the command line leaves open.
    pub(crate) fn fill(&mut self, name: &str, value: String) {
        self.values.entry(name.to_owned()).or_insert(value);
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The words that stand for values of one option.
    pub(crate) fn listed(&self) -> &[String] {
        &self.listed
    }

    /// Options that the command does not name, in the order given.
    pub(crate) fn others(&self) -> &[(String, String)] {
        &self.others
    }
}
