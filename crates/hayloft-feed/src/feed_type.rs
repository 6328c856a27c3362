use std::collections::BTreeMap;
use std::fmt;

use crate::native::{FeedView, Native, Terms};
use crate::{
    Coordinates, FeedTypeError, Identity, IndexChange, IndexError, IndexWriter, Inspected, Limits,
    PackageName, Purl, Qualifiers, Repackage, Repackaged, TagChange, Timestamp, Upload, Version,
};

/// Whether two packages of a feed may have names that differ by ASCII case alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseTwins {
    /// They are two packages, if the name key says so.
    Allowed,
    /// The second one is refused at upload.
    Refused,
}

/// One package ecosystem.
///
/// Methods are pure: no clock, network or files but those passed in. Given the same arguments they
/// answer the same, on every machine. Bad input is any [`FeedTypeError`] but `Io`, never a panic,
/// and costs no more than [`Limits`] allow.
///
/// New capabilities come as methods with a default body, so that a feed type written today
/// compiles tomorrow.
pub trait FeedType: fmt::Debug + Send + Sync + 'static {
    /// Written into every record and compared for ever, such as `nuget`; lower case.
    fn tag(&self) -> &'static str;

    /// What package URLs and the Packages API call it, such as `upack` for universal.
    fn package_type(&self) -> &'static str {
        self.tag()
    }

    /// What the names of its package files end in, in lower case, such as `.nupkg`: how they are
    /// told from others in a folder. None: any file may be one.
    fn file_endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Raised when a release derives other keys from the same text; the store then reindexes.
    fn revision(&self) -> u32 {
        1
    }

    /// Checks a group and a name as a caller typed them, and derives their key.
    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError>;

    /// Checks a version as a caller typed it, and derives what it equals and where it sorts.
    ///
    /// This is the rule for new versions: strict.
    fn version(&self, text: &str) -> Result<Version, FeedTypeError>;

    /// The identity text under which a stored version is looked up.
    ///
    /// More lenient than [`FeedType::version`] where stored data may be older than a rule.
    fn lookup_version(&self, text: &str) -> Result<Version, FeedTypeError> {
        self.version(text)
    }

    /// Checks and normalizes qualifiers, which may be a part of what tells files apart. Knows
    /// aliases (`filename` for `file`).
    ///
    /// Without a body of its own a type takes none: its versions have one file each.
    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        match asked.iter().next() {
            None => Ok(Qualifiers::none()),
            Some((key, _)) => Err(FeedTypeError::Qualifier {
                feed_type: self.tag(),
                text: asked.to_string(),
                detail: format!("a version has one file, which `{key}` cannot tell from others")
                    .into(),
            }),
        }
    }

    /// The file that a request without qualifiers means when a version has several; `None` makes
    /// such a request ambiguous.
    fn default_qualifiers(&self) -> Option<Qualifiers> {
        None
    }

    /// Keys of the qualifiers by which a person names one file of a version, all of them: the
    /// command asks for each before it asks a server. Empty where a version has one file; `None`
    /// leaves it to the server.
    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Keys of which the store remembers, per feed, the values in use: see
    /// [`Upload::remembered`](crate::Upload::remembered).
    fn remembered_qualifiers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether two files of one version, whose qualifiers differ, are one file to clients, so that
    /// the second one would stand in for the first. It is then treated as that file.
    ///
    /// Overridden where a qualifier can be spelled in several ways, as Python's file names.
    fn are_one_file(&self, one: &Qualifiers, other: &Qualifiers) -> bool {
        let _ = (one, other);
        false
    }

    /// Whether names that differ by case alone may coexist.
    fn case_twins(&self) -> CaseTwins {
        CaseTwins::Allowed
    }

    /// Checks all parts of a full identity.
    fn identify(&self, asked: &Coordinates) -> Result<Identity, FeedTypeError> {
        Ok(Identity {
            package: self.package_name(&asked.group, &asked.name)?,
            version: self.version(&asked.version)?,
            qualifiers: self.qualifiers(&asked.qualifiers)?,
        })
    }

    /// Reads identity and manifest out of a file.
    ///
    /// The file's content decides; its name counts only where the ecosystem says so. Cost is
    /// bounded by `limits`, whatever the file claims.
    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError>;

    /// The identity that a file has once its version is `version`.
    ///
    /// Overridden where the version is part of a qualifier, as in Python file names.
    fn retarget(&self, from: &Identity, version: &Version) -> Result<Identity, FeedTypeError> {
        Ok(Identity {
            package: from.package.clone(),
            version: version.clone(),
            qualifiers: from.qualifiers.clone(),
        })
    }

    /// Writes a file again under a new version. What does not carry the version is copied byte for
    /// byte; signatures that became false are left out; the history entry is embedded. The same
    /// order gives the same bytes.
    fn repackage(&self, order: Repackage<'_>, limits: &Limits)
    -> Result<Repackaged, FeedTypeError>;

    /// The tags that a package has after a change of its versions; they are stored in the commit
    /// that makes the change. Overridden where an ecosystem lets a tag follow, as npm's `latest`.
    fn tags(&self, change: &TagChange<'_>) -> BTreeMap<String, String> {
        change.tags.clone()
    }

    /// Raised when a release derives other index rows from the same files; the store then rebuilds
    /// the indexes of its feeds. Zero: this type has no index rows.
    fn index_revision(&self) -> u32 {
        0
    }

    /// Derives what native documents need from one change, in the commit of that change.
    ///
    /// `view` is the feed as it is after the change, without what this call writes. Cost follows
    /// the change: read what it and its heads name, never all of a feed. May run several times for
    /// one change. Deriving every package anew, in any order, gives the same rows, and logs equal
    /// after [`FeedType::normal_form`].
    ///
    /// Without a body of its own packages are found by their names. Called only if
    /// [`FeedType::index_revision`] is not zero.
    fn index(
        &self,
        change: &IndexChange<'_>,
        view: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        let _ = view;
        out.search(change.after.map(|_| Terms::of(change.name).record(0)).as_ref())
    }

    /// Begins logs anew that have come to repeat themselves, as some ecosystems do now and then.
    ///
    /// Maintenance calls it often, and in a commit only where it has something to write: it must
    /// find out from heads of logs and a few rows that there is nothing to do. What it writes may
    /// differ from what was there in nothing that [`FeedType::normal_form`] keeps.
    fn tidy(
        &self,
        view: &dyn FeedView,
        now: Timestamp,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        let _ = (view, now, out);
        Ok(())
    }

    /// True for index rows that tell what happened, not how things are: entries of a journal, and
    /// what [`Native::refresh`] writes. They do not count when an incremental index is compared
    /// with a rebuilt one, and a rebuild keeps them.
    fn is_history(&self, key: &[u8]) -> bool {
        let _ = key;
        false
    }

    /// What of a log's bytes counts when an incremental index is compared with a rebuilt one.
    fn normal_form(&self, log: &[u8], bytes: Vec<u8>) -> Vec<u8> {
        let _ = log;
        bytes
    }

    /// The protocol of the ecosystem's own clients.
    fn native(&self) -> Option<&dyn Native> {
        None
    }

    /// What the file is called when downloaded: one safe path segment.
    fn file_name(&self, identity: &Identity) -> String;

    /// The package URL of a file.
    fn purl(&self, identity: &Identity) -> Purl {
        Purl {
            package_type: self.package_type().to_owned(),
            group: identity.package.group().to_owned(),
            name: identity.package.name().to_owned(),
            version: Some(identity.version.text().to_owned()),
            qualifiers: identity.qualifiers.clone(),
        }
    }

    /// Inverse of [`FeedType::purl`], ready for [`FeedType::identify`]. The version is empty if
    /// the package URL has none.
    fn coordinates(&self, purl: &Purl) -> Result<Coordinates, FeedTypeError> {
        if purl.package_type != self.package_type() && purl.package_type != self.tag() {
            return Err(FeedTypeError::Purl {
                feed_type: self.tag(),
                text: purl.to_string(),
                detail: format!("its type is not `{}`", self.package_type()).into(),
            });
        }
        Ok(Coordinates {
            group: purl.group.clone(),
            name: purl.name.clone(),
            version: purl.version.clone().unwrap_or_default(),
            qualifiers: purl.qualifiers.clone(),
        })
    }
}
