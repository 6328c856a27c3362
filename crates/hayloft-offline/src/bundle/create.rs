use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use fs_err as fs;
use hayloft_archive::{ArchiveError, TarWriter};
use hayloft_core::{FileId, Files, PackageInfo, PromotionQuery, SelectError, Store, VersionsQuery};
use hayloft_feed::Limits;
use sha2::{Digest, Sha256};

use super::apply::{self, Opened};
use super::record::{FORMAT, FileRecord, PromotionRecord, Record, TagsRecord};
use super::{BLOBS, BundleError, BundleHeader, BundleMark, HEADER_NAME, RECORDS, RECORDS_NAME};
use crate::export::cursor::{self, Cursor};

/// What goes into a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleOptions {
    /// Only these packages, by group (or an empty text) and name; none: all.
    pub packages: Vec<(String, String)>,
    /// An earlier bundle of this feed, which this one is to follow: it holds the packages that have
    /// changed since, and no content that the earlier one holds.
    pub since: Option<PathBuf>,
}

const CHUNK: usize = 256 << 10;

/// Writes packages of a feed into a new file, which appears once it is whole.
///
/// Blocked versions are left out: nobody may have their bytes.
pub fn create(
    store: &Store,
    feed: &str,
    path: &Path,
    options: &BundleOptions,
) -> Result<BundleHeader, BundleError> {
    let about = store.feed(feed)?;
    let newest = cursor::newest(store)?;
    let mut found = Found::default();
    let mut since = None;
    let mut chosen: Option<BTreeSet<(String, String)>> =
        (!options.packages.is_empty()).then(|| options.packages.iter().cloned().collect());
    if let Some(earlier) = &options.since {
        let unrelated = || BundleError::Unrelated { path: earlier.clone() };
        let opened = Opened::read(&mut fs::File::open(earlier)?)?;
        let mark = opened.header.until.clone();
        let from = Cursor { id: mark.row, chain: mark.chain.clone() };
        let changed = cursor::changed_since(store, &about.name, &from)?.ok_or_else(unrelated)?;
        chosen = Some(match chosen {
            Some(chosen) => chosen.intersection(&changed).cloned().collect(),
            None => changed,
        });
        found.elsewhere = opened.files().map(|file| file.sha256.clone()).collect();
        since = Some(mark);
    }
    match chosen {
        None => {
            for package in store.packages(&about.name, None)? {
                found.package(store, &about.name, &package?)?;
            }
        }
        Some(chosen) => {
            for (group, name) in &chosen {
                match store.package(&about.name, group, name) {
                    Ok(package) => found.package(store, &about.name, &package)?,
                    // Deleted since: a bundle adds and never removes.
                    Err(SelectError::NotFound { .. }) if since.is_some() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    found.promotions.sort();
    let mut records = Vec::new();
    let lines = found.files.iter().map(|file| Record::File(Box::new(file.clone())));
    let lines = lines.chain(found.tags.iter().cloned().map(Record::Tags));
    let lines = lines.chain(found.promotions.iter().cloned().map(Record::Promotion));
    for line in lines {
        serde_json::to_writer(&mut records, &line).map_err(io::Error::from)?;
        records.push(b'\n');
        if records.len() as u64 > RECORDS {
            let text = format!("its records are over {RECORDS} bytes; bundle fewer packages");
            return Err(BundleError::Damaged(text));
        }
    }
    let header = BundleHeader {
        hayloft_bundle: FORMAT,
        feed: about.name.clone(),
        feed_type: about.feed_type.clone(),
        files: found.files.len() as u64,
        blobs: found.blobs.len() as u64,
        bytes: found.blobs.values().map(|blob| blob.size).sum(),
        promotions: found.promotions.len() as u64,
        blocked: found.blocked,
        records_size: records.len() as u64,
        records_sha256: HEXLOWER.encode(&Sha256::digest(&records)),
        until: BundleMark { row: newest.id, chain: newest.chain },
        since,
    };
    write(store, path, &header, &records, &found.blobs)?;
    Ok(header)
}

/// A content and a file that has it.
struct Blob {
    id: FileId,
    size: u64,
}

#[derive(Default)]
struct Found {
    files: Vec<FileRecord>,
    tags: Vec<TagsRecord>,
    promotions: Vec<PromotionRecord>,
    /// Packages before companions, each by SHA-256.
    blobs: BTreeMap<(bool, String), Blob>,
    /// What an earlier bundle holds.
    elsewhere: BTreeSet<String>,
    blocked: u64,
}

impl Found {
    fn package(
        &mut self,
        store: &Store,
        feed: &str,
        package: &PackageInfo,
    ) -> Result<(), BundleError> {
        let query = VersionsQuery {
            group: Some(package.group.clone()),
            name: Some(package.name.clone()),
            files: Files::All,
            ..VersionsQuery::default()
        };
        for file in store.versions(feed, &query)? {
            let file = file?;
            if file.status.is_blocked() {
                self.blocked += 1;
                continue;
            }
            let record = FileRecord::of(&file);
            if !self.elsewhere.contains(&record.sha256) {
                let first = (false, record.sha256.clone());
                let key = (record.companion, record.sha256.clone());
                if !self.blobs.contains_key(&first) {
                    // Bytes that are both lie among packages.
                    if !record.companion {
                        self.blobs.remove(&(true, record.sha256.clone()));
                    }
                    self.blobs.entry(key).or_insert(Blob { id: file.id, size: file.size });
                }
            }
            self.files.push(record);
        }
        if !package.tags.is_empty() {
            self.tags.push(TagsRecord {
                group: package.group.clone(),
                name: package.name.clone(),
                tags: package.tags.clone(),
            });
        }
        let query = PromotionQuery {
            to_feed: Some(feed.to_owned()),
            group: Some(package.group.clone()),
            name: Some(package.name.clone()),
            ..PromotionQuery::default()
        };
        for promotion in store.promotions(&query)? {
            self.promotions.push(PromotionRecord::of(promotion?));
        }
        Ok(())
    }
}

fn write(
    store: &Store,
    path: &Path,
    header: &BundleHeader,
    records: &[u8],
    blobs: &BTreeMap<(bool, String), Blob>,
) -> Result<(), BundleError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut draft = path.as_os_str().to_owned();
    draft.push(".unfinished");
    let draft = PathBuf::from(draft);
    let written = (|| {
        let file = io::BufWriter::with_capacity(CHUNK, fs::File::create(&draft)?);
        let mut tar = TarWriter::new(file, &Limits::default());
        let mut text = serde_json::to_vec_pretty(header).map_err(io::Error::from)?;
        text.push(b'\n');
        let whole =
            |bytes: &[u8], out: &mut dyn Write| out.write_all(bytes).map_err(ArchiveError::Io);
        tar.add(HEADER_NAME, 0o644, 0, text.len() as u64, |out| whole(&text, out))?;
        tar.add(RECORDS_NAME, 0o644, 0, records.len() as u64, |out| whole(records, out))?;
        for ((_, sha256), blob) in blobs {
            let mut download = store.download_file(blob.id).map_err(|error| match error {
                SelectError::NotFound { .. } | SelectError::Blocked { .. } => BundleError::Changed,
                other => other.into(),
            })?;
            if HEXLOWER.encode(&download.file().digests.sha256) != *sha256 {
                return Err(BundleError::Changed);
            }
            let mut digest = Sha256::new();
            tar.add(&format!("{BLOBS}{sha256}"), 0o644, 0, blob.size, |out| {
                let mut both = apply::Digesting { out, digest: &mut digest };
                io::copy(&mut download, &mut both).map(drop).map_err(ArchiveError::Io)
            })?;
            if HEXLOWER.encode(&digest.finalize()) != *sha256 {
                let file = &download.file().file_name;
                return Err(BundleError::Damaged(format!("the store's copy of `{file}` is not")));
            }
        }
        let file = tar.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        if cfg!(unix) {
            fs::File::open(directory)?.sync_all()?;
        }
        Ok(())
    })();
    if written.is_err() {
        // The error says more than what is left would.
        let _ = fs::remove_file(&draft);
    }
    written
}
