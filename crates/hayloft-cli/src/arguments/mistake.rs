use std::fmt;

/// What is wrong with a command line, and what may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    text: String,
    meant: Option<String>,
}

impl Mistake {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), meant: None }
    }

    /// An option that the command cannot do without is not there.
    pub(crate) fn missing(option: &str) -> Self {
        Self::new(format!("missing required argument: --{option}"))
    }

    /// The same, with what it looks like.
    pub(crate) fn meaning(mut self, meant: Option<impl Into<String>>) -> Self {
        self.meant = meant.map(Into::into);
        self
    }

    /// What is wrong.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What may have been meant, as it is typed.
    pub(crate) fn meant(&self) -> Option<&str> {
        self.meant.as_deref()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl From<String> for Mistake {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
