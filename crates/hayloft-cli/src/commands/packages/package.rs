use std::fmt;

use hayloft_http::wire::FeedInfo;

use crate::arguments::{Invocation, Mistake};
use crate::connection::{Connection, Target, escape};
use crate::failure::Failure;
use crate::kinds;

/// One package version, or one file of it, as typed.
#[derive(Debug)]
pub(super) struct PackageVersion {
    pub(super) group: Option<String>,
    pub(super) name: String,
    pub(super) version: String,
    /// `key=value` pairs, the keys sorted, the values escaped.
    pub(super) qualifier: Option<String>,
}

/// Cuts group and name at the last slash.
pub(super) fn split(package: &str) -> (Option<&str>, &str) {
    package.rsplit_once('/').map_or((None, package), |(group, name)| (Some(group), name))
}

/// Options that are parts of a qualifier, with their keys in it, sorted by these.
const PARTS: [(&str, &str); 5] = [
    ("arch", "arch"),
    ("component", "component"),
    ("distro", "distro"),
    ("filename", "file"),
    ("platform", "platform"),
];

impl PackageVersion {
    pub(super) fn of(invocation: &Invocation) -> Result<Self, Failure> {
        let (group, name) = split(invocation.required("package")?);
        Ok(Self {
            group: group.map(str::to_owned),
            name: name.to_owned(),
            version: invocation.required("version")?.to_owned(),
            qualifier: qualifier(invocation),
        })
    }

    /// The endpoint for this version.
    pub(super) fn target(&self, feed: &str, endpoint: &str) -> Target {
        Target::new(&["api", "packages", feed, endpoint])
            .query("name", Some(&self.name))
            .query("version", Some(&self.version))
            .query("group", self.group.as_deref())
            .query("qualifier", self.qualifier.as_deref())
    }

    /// Group and name as typed.
    pub(super) fn full_name(&self) -> String {
        match &self.group {
            Some(group) => format!("{group}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Fails early where the feed's type needs other qualifiers, as the original does.
    pub(super) fn check(
        &self,
        connection: &Connection,
        feed: &str,
        invocation: &Invocation,
    ) -> Result<(), Failure> {
        let info: FeedInfo = connection.get(Target::new(&["api", "packages", feed]))?;
        let kind = info.package_type.as_str();
        let types = kinds::types();
        let known = types.iter().find(|known| known.package_type() == kind);
        let Some(needed) = known.and_then(|known| known.asked_qualifiers()) else { return Ok(()) };
        if needed.is_empty() && self.qualifier.is_some() {
            let text = format!("Qualifiers must not be used for {kind} packages.");
            return Err(Failure::Arguments(vec![text.into()]));
        }
        if invocation.text("qualifier").is_some() {
            return Ok(());
        }
        let options =
            needed.iter().filter_map(|needed| PARTS.iter().find(|(_, key)| key == needed));
        let missing = options.map(|(name, _)| name).filter(|name| invocation.text(name).is_none());
        let mistakes: Vec<Mistake> = missing
            .map(|name| format!("--{name} error: argument is required for {kind} packages").into())
            .collect();
        if mistakes.is_empty() { Ok(()) } else { Err(Failure::Arguments(mistakes)) }
    }
}

fn qualifier(invocation: &Invocation) -> Option<String> {
    if let Some(qualifier) = invocation.text("qualifier") {
        return Some(qualifier.to_owned());
    }
    let parts: Vec<String> = PARTS
        .iter()
        .filter_map(|(option, key)| Some(format!("{key}={}", escape(invocation.text(option)?))))
        .collect();
    (!parts.is_empty()).then(|| parts.join("&"))
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.full_name(), self.version)?;
        match &self.qualifier {
            Some(qualifier) => write!(out, " {qualifier}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::arguments::{Outcome, parse};
    use crate::commands::ROOT;

    #[rstest]
    #[case::plain("--package=a --version=1", "name=a&version=1")]
    #[case::group("--package=@babel/runtime --version=1", "name=runtime&version=1&group=%40babel")]
    #[case::long_group("--package=a/b/c --version=1", "name=c&version=1&group=a%2Fb")]
    #[case::parts(
        "--package=p --version=1 --distro=s --component=main --arch=amd64",
        "name=p&version=1&qualifier=arch%3Damd64%26component%3Dmain%26distro%3Ds"
    )]
    #[case::escaped_twice(
        "--package=p --version=1 --filename=a+b.whl",
        "name=p&version=1&qualifier=file%3Da%252Bb.whl"
    )]
    #[case::raw_wins(
        "--package=p --version=1 --arch=x --qualifier=arch=y",
        "name=p&version=1&qualifier=arch%3Dy"
    )]
    fn versions_are_named_as_the_original_does(#[case] options: &str, #[case] query: &str) {
        let words = format!("packages delete {options}");
        let words = words.split(' ').map(Into::into);
        let Outcome::Run(invocation, _) = parse(&ROOT, words) else { panic!("{options}") };
        let target = PackageVersion::of(&invocation).unwrap().target("f", "delete");
        assert_eq!(target.as_str(), format!("api/packages/f/delete?{query}"));
    }
}
