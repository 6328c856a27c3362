//! Everything a user can see of a store.

use std::collections::BTreeSet;
use std::io::Read;

use hayloft_core::{
    AuditQuery, Files, Finding, FindingCode, Manifests, PackageFile, PromotionQuery, Repair,
    SelectError, Selector, Store, StoreError, VerifyLevel, VersionsQuery,
};

use super::{Engine, blob_files, staged_files};

/// One line per thing; equal views mean equal stores, download counters aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View(Vec<String>);

impl View {
    /// The lines that one has and the other has not.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
            (self.0.iter().collect(), other.0.iter().collect());
        let missing = ours.difference(&theirs).map(|line| format!("- {line}\n"));
        let added = theirs.difference(&ours).map(|line| format!("+ {line}\n"));
        missing.chain(added).collect()
    }
}

pub(crate) fn view(store: &Store) -> Result<View, StoreError> {
    let mut lines = Vec::new();
    for feed in store.feeds()? {
        let query = VersionsQuery {
            manifests: Manifests::Included,
            files: Files::All,
            ..VersionsQuery::default()
        };
        for file in store.versions(&feed.name, &query).map_err(only_store)? {
            let mut file = file?;
            file.file_downloads = 0;
            file.version_downloads = 0;
            file.package_downloads = 0;
            lines.push(format!("{} {file:?} {}", feed.name, content(store, &feed.name, &file)?));
        }
        for package in store.packages(&feed.name, None).map_err(only_store)? {
            lines.push(format!("{} {:?}", feed.name, package?));
        }
        lines.push(format!("{:?}", store.feed_stats(&feed.name)));
        lines.push(format!("{feed:?}"));
    }
    for promotion in store.promotions(&PromotionQuery::default())? {
        lines.push(format!("{:?}", promotion?));
    }
    for repackaging in store.repackagings(&PromotionQuery::default())? {
        lines.push(format!("{:?}", repackaging?));
    }
    for row in store.audit_log(&AuditQuery::default())? {
        lines.push(format!("{:?}", row?));
    }
    lines.push(format!("{:?}", store.settings()?));
    lines.push(format!("{:?}", store.keys()?));
    Ok(View(lines))
}

fn only_store(error: SelectError) -> StoreError {
    match error {
        SelectError::Store(error) => error,
        other => panic!("{other:?}"),
    }
}

/// What comes out when the file is downloaded.
fn content(store: &Store, feed: &str, file: &PackageFile) -> Result<String, StoreError> {
    let selector = Selector::ungrouped(&file.name, &file.version);
    let mut download = match store.download(feed, &selector) {
        Ok(download) => download,
        Err(SelectError::Blocked { .. }) => return Ok("blocked".to_owned()),
        Err(error) => return Err(only_store(error)),
    };
    let mut hasher = blake3::Hasher::new();
    let mut chunk = [0; 8192];
    loop {
        match download.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&chunk[..read]);
            }
            Err(error) => return Ok(format!("unreadable: {error}")),
        }
    }
    let found = *hasher.finalize().as_bytes();
    Ok(if found == file.digests.blake3 { "sound" } else { "OTHER BYTES" }.to_owned())
}

/// What verification finds, except files that nothing refers to: a crash may leave those.
fn damage(store: &Store) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    store
        .verify(VerifyLevel::Normal, Repair::No, &mut |finding| found.push(finding.clone()))
        .unwrap();
    found.retain(|finding| finding.code != FindingCode::BlobOrphan);
    found
}

/// Damage, unreadable files and, once maintenance has had its time, garbage: all that a recovered
/// store must not have.
pub(crate) fn garbage(engine: &Engine) -> Vec<String> {
    let mut found: Vec<_> = damage(&engine.store).iter().map(ToString::to_string).collect();
    for _ in 0..3 {
        engine.clock.step(3 * 86_400_000);
        engine.store.run_maintenance().unwrap();
    }
    found.extend(damage(&engine.store).iter().map(ToString::to_string));
    let mut used = BTreeSet::new();
    for feed in engine.store.feeds().unwrap() {
        let query = VersionsQuery { files: Files::All, ..VersionsQuery::default() };
        for file in engine.store.versions(&feed.name, &query).unwrap() {
            let digest = file.unwrap().digests.blake3;
            used.insert(data_encoding::HEXLOWER.encode(&digest));
        }
    }
    for file in blob_files(&engine.fs) {
        if !used.contains(&file) {
            found.push(format!("orphan {file}"));
        }
    }
    for file in staged_files(&engine.fs) {
        found.push(format!("staged {}", file.display()));
    }
    found
}
