use crate::console::Console;
use crate::failure::Failure;

use super::Invocation;

/// What a command does once its arguments are read.
pub(crate) type Action = fn(&Invocation, &mut Console) -> Result<(), Failure>;

/// One word of the command line: a group of further words, or something to do.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// Also taken by all commands below this one.
    pub(crate) options: &'static [Opt],
    pub(crate) kind: Kind,
    /// What words without a dash stand for, in this order.
    pub(crate) words: &'static [Word],
    pub(crate) examples: &'static [&'static str],
    /// Not for people: in no help.
    pub(crate) hidden: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Group(&'static [Command]),
    Action(Action),
    /// Takes options of any name besides its own.
    OpenAction(Action),
}

/// What a word that is no option stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The value of this option.
    Value(&'static str),
    /// The option `package`, and `version` behind an `@` if the command has that.
    Package,
    /// Any number of values of this option; the last of a command's words.
    Values(&'static str),
}

impl Word {
    /// The option that the word stands for.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Value(option) | Self::Values(option) => option,
            Self::Package => "package",
        }
    }
}

/// One option, written `--name=value` or `--name value`, or `--name` alone if it is a flag.
#[derive(Debug)]
pub(crate) struct Opt {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) takes: Takes,
    pub(crate) required: bool,
    pub(crate) hidden: bool,
    /// What holds where nothing is given, for those who ask.
    pub(crate) default: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Text,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
}

impl Opt {
    pub(crate) const fn flag(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            takes: Takes::Nothing,
            required: false,
            hidden: false,
            default: None,
        }
    }

    pub(crate) const fn text(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            takes: Takes::Text,
            required: false,
            hidden: false,
            default: None,
        }
    }

    pub(crate) const fn one_of(
        name: &'static str,
        words: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        Self {
            name,
            description,
            takes: Takes::OneOf(words),
            required: false,
            hidden: false,
            default: None,
        }
    }

    /// Whether it has no value.
    pub(crate) fn is_flag(&self) -> bool {
        self.takes == Takes::Nothing
    }

    /// The same with a default, which the command itself must keep to.
    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

impl Command {
    /// A word with further words below it.
    pub(crate) const fn group(
        name: &'static str,
        description: &'static str,
        options: &'static [Opt],
        children: &'static [Command],
    ) -> Self {
        Self {
            name,
            description,
            options,
            kind: Kind::Group(children),
            words: &[],
            examples: &[],
            hidden: false,
        }
    }

    /// A word that does something.
    pub(crate) const fn action(
        name: &'static str,
        description: &'static str,
        options: &'static [Opt],
        action: Action,
    ) -> Self {
        Self {
            name,
            description,
            options,
            kind: Kind::Action(action),
            words: &[],
            examples: &[],
            hidden: false,
        }
    }

    /// The same with words in place of options, for people.
    pub(crate) const fn words(mut self, words: &'static [Word]) -> Self {
        self.words = words;
        self
    }

    pub(crate) const fn examples(mut self, examples: &'static [&'static str]) -> Self {
        self.examples = examples;
        self
    }

    /// The same, in no help.
    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The words below this one that people see.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &'static Command> {
        self.children().iter().filter(|child| !child.hidden)
    }

    /// The words below this one.
    pub(crate) fn children(&self) -> &'static [Command] {
        match &self.kind {
            Kind::Group(children) => children,
            Kind::Action(_) | Kind::OpenAction(_) => &[],
        }
    }
}
