//! What an export wrote, kept beside it, package by package: so that the next one touches only what
//! changed, and removes what is gone.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use fs_err as fs;
use hayloft_feed::Limits;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::name::OWN;
use crate::{Target, TargetName};

/// Raised when older releases cannot read the records.
pub(super) const FORMAT: u32 = 1;
/// Most bytes of one record: a package with a million files.
const LARGEST: u64 = 256 << 20;

/// The state of the whole export, written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    pub(super) format: u32,
    /// The feed's name, for people and for the next run.
    pub(super) feed: String,
    pub(super) context: Context,
    /// The newest row of the audit log that the export has seen.
    pub(super) cursor: Cursor,
}

/// What numbers of revisions and bytes of documents depend on beside the feed's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) store: String,
    pub(super) timeline: String,
    pub(super) feed: u32,
    pub(super) feed_type: String,
    pub(super) base_url: Option<String>,
    pub(super) index_revision: u32,
    pub(super) answer_revision: u32,
}

/// A row of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) id: u64,
    /// Its chain value: the same number in another store has another one.
    pub(crate) chain: String,
}

/// The files of one package, or those of the feed itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ledger {
    /// Group and name of the package.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// Revision of the package; `None` where files may be of others.
    pub(super) revision: Option<u64>,
    pub(super) files: BTreeMap<String, FileRecord>,
    /// Files that no document names any more, and how many changes ago.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) retired: BTreeMap<String, u32>,
}

/// One file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    /// What the bytes followed from.
    pub(super) validator: String,
    pub(super) sha256: String,
    pub(super) size: u64,
    /// True for the files of packages, false for documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) package: bool,
}

pub(super) fn state_name() -> TargetName {
    TargetName::own("state.json")
}

/// There as long as a run is under way.
pub(super) fn incomplete_name() -> TargetName {
    TargetName::own("incomplete")
}

/// The record of the feed's own files.
pub(super) fn feed_name() -> TargetName {
    TargetName::own("feed.json")
}

/// The record of a package, by the key of its name.
pub(super) fn package_name(key: &[u8]) -> TargetName {
    let digest = HEXLOWER.encode(&Sha256::digest(key));
    let (shard, rest) = digest.split_at_checked(2).unwrap_or((&digest, ""));
    TargetName::own(&format!("packages/{shard}/{rest}.json"))
}

/// Whether this names the record of a package.
pub(super) fn is_package(name: &TargetName) -> bool {
    name.as_str().starts_with(TargetName::own("packages/").as_str())
}

/// A record; `None` if there is none, or none that can be read: what it spoke of is found by going
/// through the whole target.
pub(super) fn read<T: for<'a> Deserialize<'a>>(
    target: &dyn Target,
    name: &TargetName,
) -> io::Result<Option<T>> {
    let bytes = target.read(name, LARGEST)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The package files of the export in a folder; `None` if there is none, or not all of one.
pub(crate) fn packages_of(root: &Path) -> io::Result<Option<HashSet<PathBuf>>> {
    let own = root.join(OWN);
    if !own.join("state.json").is_file() || own.join("incomplete").exists() {
        return Ok(None);
    }
    let mut found = HashSet::new();
    let shards = own.join("packages");
    if !shards.is_dir() {
        return Ok(Some(found));
    }
    for shard in fs::read_dir(shards)? {
        for record in fs::read_dir(shard?.path())? {
            let mut file = fs::File::open(record?.path())?;
            let bytes = Limits::read(&mut file, LARGEST).map_err(io::Error::other)?;
            let Ok(ledger) = serde_json::from_slice::<Ledger>(&bytes) else { return Ok(None) };
            let packages = ledger.files.iter().filter(|(_, file)| file.package);
            let names = packages.filter_map(|(name, _)| TargetName::of_text(name).ok());
            found.extend(names.map(|name| name.below(root)));
        }
    }
    Ok(Some(found))
}

pub(super) fn write<T: Serialize>(
    target: &dyn Target,
    name: &TargetName,
    record: &T,
) -> io::Result<()> {
    let mut draft = target.draft()?;
    serde_json::to_writer(&mut draft, record).map_err(io::Error::other)?;
    draft.publish(name)
}
