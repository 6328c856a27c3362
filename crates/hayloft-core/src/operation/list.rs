/// Which versions [`Store::versions`](crate::Store::versions) lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionsQuery {
    /// Only this group; an empty text means packages without one.
    pub group: Option<String>,
    /// Only this package.
    pub name: Option<String>,
    /// Only this version, by the type's rule of equality.
    pub version: Option<String>,
    /// Whether rows carry the manifest.
    pub manifests: Manifests,
    /// Which files.
    pub files: Files,
}

/// Which packages [`Store::latest`](crate::Store::latest) lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatestQuery {
    /// Only this group; an empty text means packages without one.
    pub group: Option<String>,
    /// Only this package.
    pub name: Option<String>,
    /// Which version of each package.
    pub pick: Pick,
    /// Whether rows carry the manifest.
    pub manifests: Manifests,
}

/// Which version stands for a package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pick {
    /// The highest of all.
    #[default]
    Highest,
    /// The highest stable one; packages without one are left out.
    HighestStable,
}

/// Whether rows carry the manifest; one more read per row if so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manifests {
    /// No.
    #[default]
    Omitted,
    /// Yes.
    Included,
}

/// Which files of a version are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Files {
    /// Those that make the version exist.
    #[default]
    Packages,
    /// Companions as well.
    All,
}
