use std::fmt;

/// One index of a distribution: the packages of a component for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Section {
    /// Such as `main`.
    pub(super) component: String,
    /// Whether it lists packages for the installer, which are never among the others.
    pub(super) installer: bool,
    /// Such as `amd64`. `all` has no index of its own: its packages are in each.
    pub(super) architecture: String,
}

/// The architecture of packages that run on each.
pub(super) const ALL: &str = "all";

impl Section {
    /// The directory below that of the distribution.
    pub(super) fn directory(&self) -> String {
        let installer = if self.installer { "debian-installer/" } else { "" };
        format!("{}/{installer}binary-{}", self.component, self.architecture)
    }

    /// The inverse of [`Section::directory`].
    pub(super) fn parse(directory: &[&str]) -> Option<Self> {
        let (last, before) = directory.split_last()?;
        let architecture = last.strip_prefix("binary-")?.to_owned();
        let (installer, component) = match before.split_last() {
            Some((&"debian-installer", component)) => (true, component),
            _ => (false, before),
        };
        (!component.is_empty()).then(|| Self {
            component: component.join("/"),
            installer,
            architecture,
        })
    }

    /// The same for another architecture.
    pub(super) fn of(&self, architecture: &str) -> Self {
        Self { architecture: architecture.to_owned(), ..self.clone() }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.directory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_read_back() {
        for text in
            ["main/binary-amd64", "updates/main/binary-all", "main/debian-installer/binary-arm64"]
        {
            let parts: Vec<&str> = text.split('/').collect();
            assert_eq!(Section::parse(&parts).unwrap().directory(), text);
        }
        for text in ["binary-amd64", "debian-installer/binary-amd64", "main", "", "main/x"] {
            let parts: Vec<&str> = text.split('/').collect();
            assert_eq!(Section::parse(&parts), None, "{text}");
        }
    }
}
