use std::collections::BTreeMap;
use std::str::FromStr;

use hayloft_feed::{FeedTypeError, Qualifiers};

use crate::TAG;

/// What a package runs on: `all` or one architecture such as `amd64`; `[a-z0-9][a-z0-9-]*`.
///
/// Wildcards (`any`, `linux-any`) and `source` belong to source packages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Architecture(Box<str>);

/// Text is not the architecture of a binary package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// Not one word of lower-case letters, digits and inner hyphens.
    #[error("is not one word of at most 64 lower-case letters, digits and hyphens")]
    Shape,
    /// A wildcard, or `source`.
    #[error("is no architecture that a binary package can have; name one, or `all`")]
    NotBinary,
}

impl Architecture {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Architecture {
    type Err = ArchitectureError;

    fn from_str(text: &str) -> Result<Self, ArchitectureError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=64).contains(&text.len()) || text.starts_with('-') || !text.bytes().all(allowed) {
            return Err(ArchitectureError::Shape);
        }
        if text == "source" || text.split('-').any(|word| word == "any") {
            return Err(ArchitectureError::NotBinary);
        }
        Ok(Self(text.into()))
    }
}

/// A distribution or component: a directory below `dists/`, perhaps nested (`stable/updates`).
///
/// Each part begins with a letter or digit and goes on with those and `+ . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirectoryName(Box<str>);

/// Text is not a distribution or component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryNameError {
    /// Empty or longer than a directory may be.
    #[error("has {0} characters; a distribution or component has 1 to 128")]
    Length(usize),
    /// A part is empty, begins with a mark, or holds something else than letters, digits, `+._-`.
    #[error(
        "is not made of parts that begin with a letter or digit and hold letters, digits and `+._-`, with `/` between them"
    )]
    Part,
    /// A part means something else below `dists/`.
    #[error(
        "has a part that a repository uses for its own indexes: `by-hash`, `debian-installer`, `i18n` or `binary-…`"
    )]
    Reserved,
}

impl DirectoryName {
    /// The path, without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DirectoryName {
    type Err = DirectoryNameError;

    fn from_str(text: &str) -> Result<Self, DirectoryNameError> {
        if !(1..=128).contains(&text.len()) {
            return Err(DirectoryNameError::Length(text.len()));
        }
        if text.contains("..") || !text.split('/').all(is_part) {
            return Err(DirectoryNameError::Part);
        }
        if text.split('/').any(is_reserved) {
            return Err(DirectoryNameError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

fn is_part(part: &str) -> bool {
    let marks = |byte: u8| matches!(byte, b'+' | b'.' | b'_' | b'-');
    part.starts_with(|first: char| first.is_ascii_alphanumeric())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks(byte))
}

fn is_reserved(part: &str) -> bool {
    matches!(part, "by-hash" | "debian-installer" | "i18n") || part.starts_with("binary-")
}

/// Where one file of a version stands in a feed: what tells it from the version's other files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// From the control file.
    pub architecture: Architecture,
    /// Such as `main`.
    pub component: DirectoryName,
    /// Such as `bookworm`.
    pub distribution: DirectoryName,
}

impl Placement {
    /// The same as qualifiers `arch`, `component` and `distro`.
    pub fn qualifiers(&self) -> Qualifiers {
        // Three different keys with values that are not empty.
        Qualifiers::from_pairs([
            ("arch", self.architecture.as_str()),
            ("component", self.component.as_str()),
            ("distro", self.distribution.as_str()),
        ])
        .unwrap_or_default()
    }

    /// Where an upload goes: the architecture it has, the rest as the request says.
    ///
    /// The distribution may be missing if all files of the feed are in one.
    pub(crate) fn of_upload(
        architecture: Architecture,
        hints: &BTreeMap<String, String>,
        remembered: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, FeedTypeError> {
        let asked = hinted(hints)?;
        if let Some(arch) = asked.get(ARCH)
            && arch != architecture.as_str()
        {
            return Err(qualifier_error(
                &format!("arch={arch}"),
                format!("the package is for `{}`", architecture.as_str()),
            ));
        }
        let component = asked.get(COMPONENT).unwrap_or("main");
        let distribution = match (asked.get(DISTRO), remembered.get(DISTRO).map(Vec::as_slice)) {
            (Some(asked), _) => asked,
            (None, Some([only])) => only,
            _ => return Err(FeedTypeError::Missing { parameter: "distribution" }),
        };
        Ok(Self {
            architecture,
            component: parsed(COMPONENT, component)?,
            distribution: parsed(DISTRO, distribution)?,
        })
    }
}

pub(crate) const ARCH: &str = "arch";
pub(crate) const COMPONENT: &str = "component";
pub(crate) const DISTRO: &str = "distro";

/// Checks qualifiers under any of their names and gives them their own; may be partial.
pub(crate) fn normalized(asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
    let mut checked: BTreeMap<&'static str, String> = BTreeMap::new();
    for (alias, value) in asked.iter() {
        let key = key(alias).ok_or_else(|| {
            qualifier_error(
                &format!("{alias}={value}"),
                "a Debian package is told by `arch`, `component` and `distro`",
            )
        })?;
        let value = match key {
            // Architectures have no upper case, and qualifiers compare without case.
            ARCH => parsed::<Architecture>(ARCH, &value.to_ascii_lowercase())?.0,
            _ => parsed::<DirectoryName>(key, value)?.0,
        };
        match checked.get(key) {
            Some(other) if !other.eq_ignore_ascii_case(&value) => {
                return Err(qualifier_error(
                    &format!("{alias}={value}"),
                    format!("`{key}` is also given as `{other}`"),
                ));
            }
            _ => checked.insert(key, value.into()),
        };
    }
    Ok(Qualifiers::from_pairs(checked).unwrap_or_default())
}

/// Request parameters that are qualifiers, under any of their names; empty ones were not given.
fn hinted(hints: &BTreeMap<String, String>) -> Result<Qualifiers, FeedTypeError> {
    let mut all = Qualifiers::none();
    for (alias, value) in hints {
        let alias = if alias == "group" { COMPONENT } else { alias };
        if key(alias).is_some() && !value.is_empty() {
            all = merged(&all, alias, value)?;
        }
    }
    Ok(all)
}

/// `to` with one more qualifier, which must not contradict it.
pub(crate) fn merged(
    to: &Qualifiers,
    alias: &str,
    value: &str,
) -> Result<Qualifiers, FeedTypeError> {
    let one = Qualifiers::from_pairs([(alias, value)]).unwrap_or_default();
    let one = normalized(&one)?;
    let mut pairs: BTreeMap<String, String> =
        to.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, value) in one.iter() {
        if let Some(other) = to.get(key)
            && !other.eq_ignore_ascii_case(value)
        {
            return Err(qualifier_error(
                &format!("{alias}={value}"),
                format!("`{key}` is also given as `{other}`"),
            ));
        }
        pairs.insert(key.to_owned(), value.to_owned());
    }
    Ok(Qualifiers::from_pairs(pairs).unwrap_or_default())
}

fn key(alias: &str) -> Option<&'static str> {
    Some(match alias {
        "arch" | "architecture" => ARCH,
        "component" => COMPONENT,
        "distro" | "distribution" => DISTRO,
        _ => return None,
    })
}

fn parsed<T>(key: &str, value: &str) -> Result<T, FeedTypeError>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    value.parse().map_err(|error| qualifier_error(&format!("{key}={value}"), error))
}

fn qualifier_error(text: &str, detail: impl Into<hayloft_feed::Detail>) -> FeedTypeError {
    FeedTypeError::Qualifier { feed_type: TAG, text: text.to_owned(), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn place(hints: &[(&str, &str)], remembered: &[&str]) -> Result<String, FeedTypeError> {
        let remembered = remembered.iter().map(|value| (*value).to_owned()).collect();
        let remembered = BTreeMap::from([("distro".to_owned(), remembered)]);
        Placement::of_upload("amd64".parse().unwrap(), &map(hints), &remembered)
            .map(|placement| placement.qualifiers().to_string())
    }

    #[rstest]
    #[case("amd64")]
    #[case("all")]
    #[case("kfreebsd-amd64")]
    #[case("many")]
    fn architectures_are_taken(#[case] text: &str) {
        assert_eq!(text.parse::<Architecture>().unwrap().as_str(), text);
    }

    #[rstest]
    #[case("any", ArchitectureError::NotBinary)]
    #[case("linux-any", ArchitectureError::NotBinary)]
    #[case("any-amd64", ArchitectureError::NotBinary)]
    #[case("source", ArchitectureError::NotBinary)]
    #[case("amd64 i386", ArchitectureError::Shape)]
    #[case("AMD64", ArchitectureError::Shape)]
    #[case("", ArchitectureError::Shape)]
    #[case("-", ArchitectureError::Shape)]
    fn wildcards_and_lists_are_refused(#[case] text: &str, #[case] error: ArchitectureError) {
        assert_eq!(text.parse::<Architecture>(), Err(error));
    }

    #[rstest]
    #[case("main")]
    #[case("stable/updates")]
    #[case("non-free-firmware")]
    #[case("bookworm-backports_1.0+x")]
    fn directories_are_taken(#[case] text: &str) {
        assert_eq!(text.parse::<DirectoryName>().unwrap().as_str(), text);
    }

    #[rstest]
    #[case("", DirectoryNameError::Length(0))]
    #[case::flat("stable/", DirectoryNameError::Part)]
    #[case("/stable", DirectoryNameError::Part)]
    #[case("a//b", DirectoryNameError::Part)]
    #[case("..", DirectoryNameError::Part)]
    #[case("a/../b", DirectoryNameError::Part)]
    #[case("a/.b", DirectoryNameError::Part)]
    #[case("a b", DirectoryNameError::Part)]
    #[case("a%2fb", DirectoryNameError::Part)]
    #[case("main/debian-installer", DirectoryNameError::Reserved)]
    #[case("binary-amd64", DirectoryNameError::Reserved)]
    fn other_directories_are_refused(#[case] text: &str, #[case] error: DirectoryNameError) {
        assert_eq!(text.parse::<DirectoryName>(), Err(error));
    }

    #[test]
    fn aliases_become_the_keys_that_clients_sort_by() {
        let asked = "architecture=AMD64&distribution=stable&component=main".parse().unwrap();
        let known = normalized(&asked).unwrap();
        assert_eq!(known.to_string(), "arch=amd64&component=main&distro=stable");
        assert!(normalized(&"distribution=a&distro=A".parse().unwrap()).is_ok());
    }

    #[rstest]
    #[case::unknown("file=x.deb")]
    #[case::contradiction("arch=amd64&architecture=i386")]
    #[case::wildcard("arch=any")]
    #[case::traversal("component=..%2Fmain")]
    fn other_qualifiers_are_refused(#[case] text: &str) {
        let error = normalized(&text.parse().unwrap()).unwrap_err();
        assert!(matches!(error, FeedTypeError::Qualifier { .. }), "{error}");
    }

    #[test]
    fn the_component_of_an_upload_is_main_unless_said() {
        assert_eq!(
            place(&[("distribution", "sid")], &[]).unwrap(),
            "arch=amd64&component=main&distro=sid"
        );
        let hints = [("distro", "sid"), ("component", "contrib"), ("file", "ignored")];
        assert_eq!(place(&hints, &[]).unwrap(), "arch=amd64&component=contrib&distro=sid");
        let hints = [("distro", "sid"), ("group", "contrib"), ("component", "")];
        assert_eq!(place(&hints, &[]).unwrap(), "arch=amd64&component=contrib&distro=sid");
    }

    #[test]
    fn a_feed_with_one_distribution_needs_no_word_of_it() {
        assert_eq!(place(&[], &["sid"]).unwrap(), "arch=amd64&component=main&distro=sid");
        assert!(place(&[("distribution", "x")], &["sid"]).unwrap().ends_with("distro=x"));
        for remembered in [&[][..], &["sid", "bookworm"]] {
            let error = place(&[], remembered).unwrap_err();
            assert!(matches!(error, FeedTypeError::Missing { parameter: "distribution" }));
        }
    }

    #[rstest]
    #[case::two_distributions(&[("distribution", "a"), ("distro", "b")])]
    #[case::component_and_group(&[("distro", "a"), ("component", "main"), ("group", "contrib")])]
    #[case::other_architecture(&[("distro", "a"), ("arch", "i386")])]
    #[case::traversal(&[("distro", "../a")])]
    fn contradicting_hints_are_refused(#[case] hints: &[(&str, &str)]) {
        let error = place(hints, &[]).unwrap_err();
        assert!(matches!(error, FeedTypeError::Qualifier { .. }), "{error}");
    }
}
