//! What a backup says of itself.
//!
//! `hayloft-backup` names the store, from the first run on; `backup.json` tells of the newest
//! complete run, and is what makes it one.

use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::BackupError;
use crate::layout::FORMAT;
use crate::{Fs, StoreError};

const OWNER: &str = "hayloft-backup";
const OWNER_DRAFT: &str = "hayloft-backup.new";
const MANIFEST: &str = "backup.json";
const MANIFEST_DRAFT: &str = "backup.json.new";
/// Far more than any manifest has.
const LIMIT: u64 = 1 << 20;

/// The newest complete run.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    /// Counts the runs.
    pub(super) number: u64,
    /// The store's number.
    pub(super) store: String,
    /// Milliseconds since 1970.
    pub(super) taken: i64,
    /// Rows of each table.
    pub(super) tables: Vec<(String, u64)>,
    pub(super) contents: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) root: String,
}

impl Manifest {
    /// Declares a run complete.
    pub(super) fn write(&self, fs: &dyn Fs, directory: &Path) -> Result<(), StoreError> {
        let tables: Map<String, Value> =
            self.tables.iter().map(|(table, rows)| (table.clone(), json!(rows))).collect();
        let value = json!({
            "format": FORMAT,
            "number": self.number,
            "store": self.store,
            "taken": self.taken,
            "metadata": metadata_name(self.number),
            "tables": tables,
            "contents": self.contents,
            "bytes": self.bytes,
            "lost": self.lost,
            "root": self.root,
        });
        write(fs, directory, MANIFEST_DRAFT, MANIFEST, format!("{value:#}\n").as_bytes())
    }

    /// The newest complete run of a backup, if there is one.
    pub(super) fn read(fs: &dyn Fs, directory: &Path) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = read(fs, &directory.join(MANIFEST))? else { return Ok(None) };
        let damaged = || StoreError::Damaged {
            what: format!("the manifest `{}`", directory.join(MANIFEST).display()),
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let number = |name: &str| value.get(name).and_then(Value::as_u64).ok_or_else(damaged);
        let text = |name: &str| {
            value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(damaged)
        };
        if number("format")? > u64::from(FORMAT) {
            return Err(StoreError::Newer {
                what: format!("the backup `{}`", directory.display()),
            });
        }
        let tables = value.get("tables").and_then(Value::as_object).ok_or_else(damaged)?;
        Ok(Some(Self {
            number: number("number")?,
            store: text("store")?,
            taken: value.get("taken").and_then(Value::as_i64).ok_or_else(damaged)?,
            tables: tables
                .iter()
                .map(|(name, rows)| Ok((name.clone(), rows.as_u64().ok_or_else(damaged)?)))
                .collect::<Result<_, StoreError>>()?,
            contents: number("contents")?,
            bytes: number("bytes")?,
            lost: number("lost")?,
            root: text("root")?,
        }))
    }
}

/// The file that holds the rows of a run.
pub(super) fn metadata_name(number: u64) -> String {
    format!("meta-{number}.redb")
}

pub(super) fn is_metadata(name: &str) -> bool {
    name.starts_with("meta-") && name.contains(".redb")
}

/// The store that a backup is of, if the directory is one.
pub(super) fn owner(fs: &dyn Fs, directory: &Path) -> Result<Option<String>, StoreError> {
    let Some(bytes) = read(fs, &directory.join(OWNER))? else { return Ok(None) };
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// Refuses a directory that holds other things, or the backup of another store.
pub(super) fn check_owner(fs: &dyn Fs, directory: &Path, store: &str) -> Result<(), BackupError> {
    match owner(fs, directory)? {
        Some(owner) if owner == store => Ok(()),
        Some(_) => Err(BackupError::OtherStore { directory: directory.to_owned() }),
        None => {
            let names = fs.list(directory).map_err(StoreError::io("list", directory))?;
            let own = [OWNER_DRAFT, super::lock::LOCK_FILE];
            if names.iter().any(|entry| !own.contains(&entry.name.as_str())) {
                return Err(BackupError::NotABackup { directory: directory.to_owned() });
            }
            fs.create_directory(directory).map_err(StoreError::io("create", directory))?;
            if let Some(parent) = directory.parent().filter(|parent| *parent != Path::new("")) {
                fs.sync_directory(parent).map_err(StoreError::io("flush", parent))?;
            }
            Ok(())
        }
    }
}

/// Makes the directory the backup of a store.
pub(super) fn own(fs: &dyn Fs, directory: &Path, store: &str) -> Result<(), BackupError> {
    match owner(fs, directory)? {
        Some(owner) if owner == store => Ok(()),
        Some(_) => Err(BackupError::OtherStore { directory: directory.to_owned() }),
        None => Ok(write(fs, directory, OWNER_DRAFT, OWNER, format!("{store}\n").as_bytes())?),
    }
}

/// Writes a small file that is whole or not there.
pub(super) fn write(
    fs: &dyn Fs,
    directory: &Path,
    draft: &str,
    name: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let draft = directory.join(draft);
    remove_if_there(fs, &draft)?;
    let failed = |error| StoreError::io("write", &draft)(error);
    let mut file = fs.create(&draft).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    drop(file);
    fs.rename(&draft, &directory.join(name)).map_err(StoreError::io("rename", &draft))?;
    fs.sync_directory(directory).map_err(StoreError::io("flush", directory))
}

/// A small file; `None` if it is not there.
pub(super) fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error| StoreError::io("read", path)(error);
    if fs.file_len(path).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = fs.open(path).map_err(failed)?;
    io::copy(&mut file.take(LIMIT), &mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

pub(super) fn remove_if_there(fs: &dyn Fs, path: &Path) -> Result<(), StoreError> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
