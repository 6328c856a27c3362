use std::fmt;
use std::path::{Path, PathBuf};

use hayloft_feed::native::decoded;
use hayloft_feed::{PathFault, shorten};

/// The folder of a target in which an export keeps its own records.
pub(crate) const OWN: &str = ".hayloft-export";

/// The name of a file in a target: components between slashes, none of which leads elsewhere.
///
/// The only way to a file name out of what packages are called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(Box<str>);

/// A path that cannot be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be the name of a file: it {}", shorten(path), fault.text())]
pub struct UnfitName {
    path: String,
    fault: PathFault,
}

/// Most bytes of a component, as file systems have it.
const LONGEST: usize = 255;

impl TargetName {
    /// The name for the path of a URL, with or without a slash at its start, whose escapes a server
    /// takes back once.
    pub fn of_path(path: &str) -> Result<Self, UnfitName> {
        let unfit = |fault| UnfitName { path: path.to_owned(), fault };
        let encoded = path.strip_prefix('/').unwrap_or(path);
        let mut components = Vec::new();
        for component in encoded.split('/') {
            let component = decoded(component).ok_or_else(|| unfit(PathFault::Control))?;
            if component.contains('/') {
                return Err(unfit(PathFault::Absolute));
            }
            if component.len() > LONGEST {
                return Err(unfit(PathFault::TrailingDotOrBlank));
            }
            components.push(component);
        }
        Self::of_text(&components.join("/")).map_err(unfit)
    }

    /// A name that was written down before.
    pub fn of_text(text: &str) -> Result<Self, PathFault> {
        if let Some(fault) = PathFault::of(text.as_bytes()) {
            // Packages are called `aux` or `a:b`, which Windows alone cannot have.
            let harmless = !fault.leaves_directory() && fault != PathFault::Empty;
            if !harmless || fault == PathFault::Control || cfg!(windows) {
                return Err(fault);
            }
        }
        let mut components = text.split('/');
        if components.clone().any(|component| matches!(component, "" | "." | "..")) {
            return Err(PathFault::EmptyComponent);
        }
        if components.next().is_some_and(|first| first.eq_ignore_ascii_case(OWN)) {
            return Err(PathFault::Absolute);
        }
        Ok(Self(text.into()))
    }

    /// A name in the folder of records.
    pub(crate) fn own(below: &str) -> Self {
        Self(format!("{OWN}/{below}").into())
    }

    /// Components between slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file of this name in a folder.
    pub fn below(&self, folder: &Path) -> PathBuf {
        let mut path = folder.to_owned();
        path.extend(self.0.split('/'));
        path
    }

    /// True for what an export keeps for itself.
    pub fn is_own(&self) -> bool {
        self.0.starts_with(OWN)
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_names_once_decoded() {
        let name = |path: &str| TargetName::of_path(path).map(|name| name.as_str().to_owned());
        assert_eq!(name("/@acme/widget/index.json").unwrap(), "@acme/widget/index.json");
        assert_eq!(name("/pool/a_1%253a2.deb").unwrap(), "pool/a_1%3a2.deb");
        assert_eq!(name("/con/index.json").is_ok(), !cfg!(windows));
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for path in [
            "/../x",
            "/a/../x",
            "//x",
            "/a//x",
            "/%2e%2e/x",
            "/a%2f..%2fx",
            "/.",
            "/a/.",
            "/",
            "",
            "/a%00b",
            "/C:/x",
            "/..%5cx",
            "/.hayloft-export/state.json",
            "/.Hayloft-Export/x",
            "/a%0ab",
        ] {
            assert!(TargetName::of_path(path).is_err(), "{path}");
        }
    }
}
