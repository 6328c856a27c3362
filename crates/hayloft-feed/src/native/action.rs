use std::collections::BTreeMap;

use super::Reply;
use crate::{Allow, Deprecation, FileCard, PackageName, Qualifiers, Timestamp, Version};

/// What a request does, for its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ActionKind {
    /// Nothing: asks with a body, or checks a key. Needs to view the feed, or nothing at all.
    Ask,
    /// Adds a file; replacing one needs the right to overwrite.
    Upload,
    /// Sets tags.
    Tag,
    /// Lists, unlists, deprecates.
    SetStatus,
    /// Removes versions.
    Delete,
}

/// What a request asks for, once its body was read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Stores the file that came along.
    Upload(UploadOrder),
    /// Changes one package, all in one commit or nothing.
    Edit(Edit),
    /// Checks a key and tells it back, as logins by name and password do.
    LogIn {
        /// The key that was given as password.
        key: String,
        /// The name that was given.
        user: Option<String>,
    },
    /// Answers without changing anything; open to everybody who may view the feed.
    Reply(Reply),
}

impl Action {
    /// Its kind.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Upload(_) => ActionKind::Upload,
            Self::Edit(edit) => edit.kind(),
            Self::LogIn { .. } | Self::Reply(_) => ActionKind::Ask,
        }
    }
}

/// How an uploaded file is to be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadOrder {
    /// What the client calls the file.
    pub file_name: Option<String>,
    /// What the request says beside the file: [`Upload::hints`](crate::Upload::hints).
    pub hints: BTreeMap<String, String>,
    /// Tags to point at the version.
    pub tags: Vec<String>,
    /// What the request says the file is: a file that is another is refused.
    pub expect: Option<(PackageName, Version)>,
    /// What becomes of bytes that are there already.
    pub existing: Existing,
    /// True where uploading the bytes of an unlisted version lists it again.
    pub relist: bool,
}

impl UploadOrder {
    /// A file that has to be of this package and version.
    pub fn of(package: PackageName, version: Version) -> Self {
        Self { expect: Some((package, version)), ..Self::default() }
    }
}

/// What becomes of an upload of bytes that are stored already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Success, and nothing changes.
    #[default]
    Succeeds,
    /// A conflict, as other bytes are then too, whatever the caller may: the ecosystem's clients
    /// rely on it.
    Conflicts,
}

/// Changes of one package, made together in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edit {
    /// The package.
    pub package: PackageName,
    /// The revision that the package must still have.
    pub expect: Option<u64>,
    /// The changes, in order.
    pub changes: Vec<Change>,
}

impl Edit {
    /// Changes of a package.
    pub fn new(package: PackageName, changes: Vec<Change>) -> Self {
        Self { package, expect: None, changes }
    }

    /// Only if the package has this revision.
    #[must_use]
    pub fn expect(mut self, revision: Option<u64>) -> Self {
        self.expect = revision;
        self
    }

    /// The kind that needs the most of its changes.
    pub fn kind(&self) -> ActionKind {
        self.changes.iter().map(Change::kind).max().unwrap_or(ActionKind::Ask)
    }
}

/// One change of a package; a version that is not there is not found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Lists, unlists, or does what the feed says about deletes of native clients.
    List(Version, ListingChange),
    /// Blocks or allows; `None` takes that back.
    Allow(Version, Option<Allow>),
    /// Deprecates; `None` takes that back.
    Deprecate(Version, Option<Deprecation>),
    /// Removes the file with these qualifiers, or the whole version.
    Remove(Version, Option<Qualifiers>),
    /// Removes all versions.
    RemoveAll,
    /// Points a tag at a version.
    SetTag(String, Version),
    /// Removes a tag.
    RemoveTag(String),
}

/// A change of what searches show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingChange {
    /// Show it.
    List,
    /// Hide it.
    Unlist,
    /// Hide or remove it, as the feed is set.
    Delete,
}

impl ListingChange {
    /// Show it, or hide it.
    pub fn of(shown: bool) -> Self {
        if shown { Self::List } else { Self::Unlist }
    }
}

impl Change {
    /// What it is for its rights.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::SetTag(..) | Self::RemoveTag(_) => ActionKind::Tag,
            Self::List(_, ListingChange::Delete) | Self::Remove(..) | Self::RemoveAll => {
                ActionKind::Delete
            }
            Self::List(..) | Self::Allow(..) | Self::Deprecate(..) => ActionKind::SetStatus,
        }
    }
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A file was stored.
    Uploaded {
        /// The package.
        package: PackageName,
        /// The version as spelled.
        version: String,
        /// The file.
        file: Box<FileCard>,
        /// False if these bytes were there already.
        new: bool,
        /// Revision of the package.
        revision: u64,
        /// What was accepted although a strict reading forbids it.
        warnings: Vec<String>,
    },
    /// A package was changed.
    Edited {
        /// False if everything was as asked already.
        changed: bool,
        /// Revision of the package; `None` if it is gone.
        revision: Option<u64>,
        /// Time of the change.
        at: Timestamp,
    },
    /// A key is known.
    LoggedIn {
        /// The key.
        key: String,
        /// Whose it is.
        user: String,
    },
    /// Nothing was to be done.
    Answered,
}
