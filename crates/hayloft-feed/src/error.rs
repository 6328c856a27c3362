use std::error::Error;
use std::io;

/// Why, in the words of the feed type; becomes the source of a [`FeedTypeError`].
pub type Detail = Box<dyn Error + Send + Sync + 'static>;

/// What a feed type answers when it cannot do what it was asked.
///
/// All variants but [`FeedTypeError::Io`] blame the input. The message never repeats its source:
/// print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedTypeError {
    /// The group or name is not one of this ecosystem.
    #[error("`{}` is not a valid {feed_type} package name", shorten(text))]
    Name {
        /// Tag of the feed type.
        feed_type: &'static str,
        /// What was given.
        text: String,
        /// Which rule it breaks.
        #[source]
        detail: Detail,
    },
    /// The version is not one of this ecosystem.
    #[error("`{}` is not a valid {feed_type} version", shorten(text))]
    Version {
        /// Tag of the feed type.
        feed_type: &'static str,
        /// What was given.
        text: String,
        /// Which rule it breaks.
        #[source]
        detail: Detail,
    },
    /// A qualifier is unknown here, or its value is malformed.
    #[error("`{}` is not a valid {feed_type} qualifier", shorten(text))]
    Qualifier {
        /// Tag of the feed type.
        feed_type: &'static str,
        /// What was given.
        text: String,
        /// Which rule it breaks.
        #[source]
        detail: Detail,
    },
    /// The package URL names another type or lacks a part.
    #[error("`{}` does not name a {feed_type} package", shorten(text))]
    Purl {
        /// Tag of the feed type.
        feed_type: &'static str,
        /// What was given.
        text: String,
        /// Which rule it breaks.
        #[source]
        detail: Detail,
    },
    /// The upload lacks something that is not in the file, such as a Debian distribution.
    #[error("the upload must say its `{parameter}`")]
    Missing {
        /// The request parameter to add.
        parameter: &'static str,
    },
    /// The file was read and is not a package that can be accepted.
    #[error("the file is not an acceptable {feed_type} package")]
    Refused {
        /// Tag of the feed type.
        feed_type: &'static str,
        /// What is wrong with which entry.
        #[source]
        detail: Detail,
    },
    /// The package is sound but cannot be written under another version.
    #[error("the package cannot be repackaged")]
    NotRepackageable {
        /// Why, and what to do instead.
        #[source]
        detail: Detail,
    },
    /// Reading or writing failed for a reason outside the package.
    #[error("the package file could not be read or written")]
    Io(#[source] io::Error),
}

impl FeedTypeError {
    /// The name breaks a rule.
    pub fn name(feed_type: &'static str, text: &str, detail: impl Into<Detail>) -> Self {
        Self::Name { feed_type, text: text.to_owned(), detail: detail.into() }
    }

    /// The version breaks a rule.
    pub fn version(feed_type: &'static str, text: &str, detail: impl Into<Detail>) -> Self {
        Self::Version { feed_type, text: text.to_owned(), detail: detail.into() }
    }

    /// The qualifier is unknown, or its value breaks a rule.
    pub fn qualifier(feed_type: &'static str, text: &str, detail: impl Into<Detail>) -> Self {
        Self::Qualifier { feed_type, text: text.to_owned(), detail: detail.into() }
    }

    /// The package URL names no package of the type.
    pub fn purl(feed_type: &'static str, text: &str, detail: impl Into<Detail>) -> Self {
        Self::Purl { feed_type, text: text.to_owned(), detail: detail.into() }
    }

    /// The request lacks a parameter that the file does not tell.
    pub fn missing(parameter: &'static str) -> Self {
        Self::Missing { parameter }
    }

    /// The file is no package that can be accepted.
    pub fn refused(feed_type: &'static str, detail: impl Into<Detail>) -> Self {
        Self::Refused { feed_type, detail: detail.into() }
    }

    /// The package cannot be written under another version.
    pub fn not_repackageable(detail: impl Into<Detail>) -> Self {
        Self::NotRepackageable { detail: detail.into() }
    }

    /// True if the input is to blame; false for a failure of the storage under it.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// Cuts offending text to at most 80 characters for a message and escapes control characters.
pub fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(show).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

fn show(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_unprintable_text_is_tamed() {
        assert_eq!(shorten("a\nb"), "a\\nb");
        assert_eq!(shorten(&"x".repeat(81)).chars().count(), 81);
        assert_eq!(shorten(&"x".repeat(80)), "x".repeat(80));
    }
}
