//! What all parts of a verification share: findings, mends, and reading rows that may be bad.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use crate::codec::{self, Record};
use crate::plan::Plan;
use crate::records::{EntryRecord, FeedRecord, VersionPlaceRecord, VersionRecord};
use crate::watch::Watch;
use crate::{
    Action, Actor, Direction, Finding, FindingCode, MetaRead, Repair, Store, StoreError, Table,
    VerifyLevel, VerifySummary, rows, tables,
};

use super::ahead::{Ahead, Along};
use crate::operation::audit::Entry;

/// Rows read at a time.
const PAGE: usize = 500;
/// Mends in one commit.
const BATCH: usize = 256;
/// Bytes that a mend writes, roughly.
const WEIGHT: usize = 4 << 10;

/// Puts one thing right inside the writer, where it looks again; false if it could not.
pub(super) type Mend = Box<dyn Fn(&mut Plan) -> Result<bool, StoreError> + Send>;

/// A row that may be bad.
pub(super) enum Look<R> {
    Missing,
    /// Its table's own pass reports it, unless another does to mend it.
    Bad,
    /// Its table's own pass reports it; it is not touched.
    Newer,
    Good(R),
}

pub(super) fn look<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    key: &[u8],
) -> Result<Look<R>, StoreError> {
    match rows::get(read, table, key) {
        Ok(None) => Ok(Look::Missing),
        Ok(Some(record)) => Ok(Look::Good(record)),
        Err(StoreError::Damaged { .. }) => Ok(Look::Bad),
        Err(StoreError::Newer { .. }) => Ok(Look::Newer),
        Err(error) => Err(error),
    }
}

/// A set of numbers that were given out one after the other: a bit for each.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<u64, [u64; 16]>);

impl Numbers {
    pub(super) fn insert(&mut self, number: u64) {
        let (page, word, bit) = place(number);
        if let Some(word) = self.0.entry(page).or_default().get_mut(word) {
            *word |= bit;
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let (page, word, bit) = place(number);
        self.0.get(&page).and_then(|page| page.get(word)).is_some_and(|word| word & bit != 0)
    }
}

fn place(number: u64) -> (u64, usize, u64) {
    let word = usize::try_from((number >> 6) & 15).unwrap_or_default();
    (number >> 10, word, 1 << (number & 63))
}

/// Where a version that a row names lies.
pub(super) enum Version {
    /// There is none of that number.
    None,
    /// It cannot be told.
    Unsure,
    Found(Box<VersionRecord>),
}

pub(super) struct Run<'a> {
    pub(super) store: &'a Store,
    pub(super) level: VerifyLevel,
    pub(super) repair: Repair,
    report: &'a mut dyn FnMut(&Finding),
    pub(super) watch: &'a Watch<'a>,
    pub(super) summary: VerifySummary,
    /// Findings whose mend waits for its commit.
    waiting: Vec<(Finding, Mend)>,
    /// Rows that were reported before their table's turn.
    reported: BTreeSet<(Table, Vec<u8>)>,
    /// True once a row of a version, or of its files, could not be read.
    pub(super) unsure: bool,
    /// Feeds by number; `None` if the row is bad.
    pub(super) feeds: BTreeMap<u32, Option<FeedRecord>>,
    /// Packages by feed.
    pub(super) packages: BTreeMap<u32, i64>,
    /// Contents that a job collects.
    pub(super) collecting: BTreeSet<[u8; 32]>,
    /// Feeds that a job deletes.
    pub(super) deleting: BTreeSet<u32>,
    /// Versions that their number does not lead to.
    pub(super) lost: BTreeSet<u64>,
    /// Contents without a row, or with a bad one.
    pub(super) rowless: BTreeSet<[u8; 32]>,
    /// Contents with a use that is not recorded.
    pub(super) unused: BTreeSet<[u8; 32]>,
    /// Contents whose rows cannot be read, and that no file uses.
    pub(super) doomed: BTreeSet<[u8; 32]>,
    /// Inline contents that no row names, by digest.
    pub(super) inline_orphans: BTreeMap<[u8; 32], u64>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        store: &'a Store,
        level: VerifyLevel,
        repair: Repair,
        report: &'a mut dyn FnMut(&Finding),
        watch: &'a Watch<'a>,
    ) -> Self {
        Self {
            store,
            level,
            repair,
            report,
            watch,
            summary: VerifySummary::default(),
            waiting: Vec::new(),
            reported: BTreeSet::new(),
            unsure: false,
            feeds: BTreeMap::new(),
            packages: BTreeMap::new(),
            collecting: BTreeSet::new(),
            deleting: BTreeSet::new(),
            lost: BTreeSet::new(),
            rowless: BTreeSet::new(),
            unused: BTreeSet::new(),
            doomed: BTreeSet::new(),
            inline_orphans: BTreeMap::new(),
        }
    }

    /// Everything, rows first: what they say is what contents are held against.
    pub(super) fn all(mut self) -> Result<VerifySummary, StoreError> {
        if self.repair == Repair::Derived {
            self.restore()?;
        }
        // Fragments lie in the order of their versions.
        let snapshot = Along::new(self.store.inner.snapshot()?, tables::FRAGMENT);
        let read = &snapshot;
        self.jobs(read)?;
        self.feeds(read)?;
        self.package_rows(read)?;
        self.find_inline_orphans(read)?;
        self.versions(read)?;
        self.version_index(read)?;
        self.statuses(read)?;
        self.fragments(read)?;
        self.index_rows(read)?;
        self.blob_rows(read)?;
        self.blob_uses(read)?;
        self.hash_index(read)?;
        self.group_rows(read)?;
        self.downloads(read)?;
        self.histories(read)?;
        self.audit_chain(read)?;
        self.keys(read)?;
        self.settings(read)?;
        drop(snapshot);
        self.mend()?;
        self.native_indexes()?;
        self.inline_leftovers()?;
        self.contents()?;
        self.mend()?;
        self.directories()?;
        Ok(self.summary)
    }

    /// Reports something that this run does not put right.
    pub(super) fn found(&mut self, code: FindingCode, text: impl Into<String>) {
        self.emit(&Finding { code, text: text.into(), repaired: false });
    }

    /// Reports something that `mend` puts right, if that is asked for.
    pub(super) fn found_mendable(
        &mut self,
        code: FindingCode,
        text: impl Into<String>,
        mend: impl Fn(&mut Plan) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let finding = Finding { code, text: text.into(), repaired: false };
        if self.repair == Repair::No {
            self.emit(&finding);
            return Ok(());
        }
        self.waiting.push((finding, Box::new(mend)));
        if self.waiting.len() >= BATCH { self.mend() } else { Ok(()) }
    }

    /// Reports something that was put right already, or not.
    pub(super) fn emit(&mut self, finding: &Finding) {
        self.summary.findings += 1;
        self.summary.repaired += u64::from(finding.repaired);
        (self.report)(finding);
    }

    /// Runs the mends that wait, in one commit, and reports what came of them.
    pub(super) fn mend(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let (mut findings, mends): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        let weight = mends.len().saturating_mul(WEIGHT);
        let mended: Vec<bool> =
            self.store.inner.writer.change(weight, move |plan| mend_all(plan, &mends, &codes))?;
        for (finding, mended) in findings.iter_mut().zip(mended) {
            finding.repaired = mended;
        }
        for finding in &findings {
            self.emit(finding);
        }
        Ok(())
    }

    /// Reports a row that cannot be read, unless that was done.
    pub(super) fn unreadable(&mut self, table: Table, key: &[u8], error: &StoreError) {
        if table == tables::VERSION || table == tables::VERSION_FILES {
            self.unsure = true;
        }
        if self.is_reported(table, key) {
            return;
        }
        let code = match error {
            StoreError::Newer { .. } => FindingCode::NewerRow,
            _ => FindingCode::Row,
        };
        self.found(code, row(table, key));
    }

    /// Keeps the bytes of a row where a person may find them, before it is taken away.
    pub(super) fn keep_aside(
        &self,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        if self.repair == Repair::No {
            return Ok(());
        }
        let mut hash = blake3::Hasher::new();
        hash.update(table.0.as_bytes()).update(key);
        let name = format!("{}-{}", table.0, hash.finalize().to_hex());
        // Length of the key, the key, the value.
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.quarantine(&name, &[&length, key, value].concat())
    }

    pub(super) fn set_reported(&mut self, table: Table, key: &[u8]) {
        self.reported.insert((table, key.to_vec()));
    }

    pub(super) fn is_reported(&self, table: Table, key: &[u8]) -> bool {
        !self.reported.is_empty() && self.reported.contains(&(table, key.to_vec()))
    }

    /// Visits all rows of a table as bytes.
    pub(super) fn each_bytes(
        &mut self,
        read: &dyn MetaRead,
        table: Table,
        visit: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_bytes_ahead(read, table, &|_, _| Ok(()), visit)
    }

    /// The same, where `ahead` asks for what visiting a page is going to read.
    pub(super) fn each_bytes_ahead(
        &mut self,
        read: &dyn MetaRead,
        table: Table,
        ahead: Ahead<'_>,
        mut visit: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let size = if table == tables::FRAGMENT { rows::LARGE_PAGE } else { PAGE };
        let mut range = tables::prefixed(&[]);
        loop {
            let page = read.scan(table, range, Direction::Forward, size)?;
            if self.store.inner.is_shared() {
                ahead(read, &page)?;
            }
            for (key, value) in &page {
                self.summary.rows += 1;
                visit(self, key, value)?;
            }
            self.watch.advance(0).map_err(StoreError::io("verify", self.store.directory()))?;
            match page.last() {
                Some((key, _)) if page.len() == size => range = tables::prefixed_after(&[], key),
                _ => return Ok(()),
            }
        }
    }

    /// Visits all rows of a table that can be read, and reports the others.
    pub(super) fn each<R: Record>(
        &mut self,
        read: &dyn MetaRead,
        table: Table,
        visit: impl FnMut(&mut Self, &[u8], R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_ahead(read, table, &|_, _| Ok(()), visit)
    }

    /// The same, where `ahead` asks for what visiting a page is going to read.
    pub(super) fn each_ahead<R: Record>(
        &mut self,
        read: &dyn MetaRead,
        table: Table,
        ahead: Ahead<'_>,
        mut visit: impl FnMut(&mut Self, &[u8], R) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_bytes_ahead(read, table, ahead, |run, key, value| {
            match codec::decode(table, key, value) {
                Ok(record) => visit(run, key, record),
                Err(error) => {
                    run.unreadable(table, key, &error);
                    Ok(())
                }
            }
        })
    }

    /// Visits the keys of an index, whose rows say nothing but that they are there; `ahead` asks for
    /// what visiting a page of them is going to read.
    pub(super) fn each_key(
        &mut self,
        read: &dyn MetaRead,
        table: Table,
        ahead: Ahead<'_>,
        mut visit: impl FnMut(&mut Self, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_bytes_ahead(read, table, ahead, |run, key, value| {
            match codec::decode(table, key, value) {
                Ok(EntryRecord) => {}
                Err(error @ StoreError::Newer { .. }) => {
                    run.unreadable(table, key, &error);
                    return Ok(());
                }
                Err(_) => {
                    let owned = key.to_vec();
                    // If its key is wrong as well, what visits it takes it away after that.
                    run.found_mendable(FindingCode::Row, row(table, key), move |plan| {
                        if MetaRead::get(plan, table, &owned)?.is_some() {
                            plan.put_entry(table, owned.clone())?;
                        }
                        Ok(true)
                    })?;
                }
            }
            visit(run, key)
        })
    }

    /// The version of this number with all its files.
    pub(super) fn version(&self, read: &dyn MetaRead, number: u64) -> Result<Version, StoreError> {
        if self.lost.contains(&number) {
            return Ok(Version::Unsure);
        }
        let place = match look(read, tables::VERSION_ID, &tables::number(number))? {
            Look::Missing => return Ok(Version::None),
            Look::Bad | Look::Newer => return Ok(Version::Unsure),
            Look::Good(place) => place,
        };
        let place: VersionPlaceRecord = place;
        Ok(match rows::readable(rows::version(read, &place.key))? {
            None => Version::Unsure,
            Some(Some(record)) if record.version == number => Version::Found(Box::new(record)),
            Some(_) => Version::None,
        })
    }

    /// A place in quarantine where nothing lies yet.
    pub(super) fn quarantine_place(&self, name: &str) -> Result<PathBuf, StoreError> {
        let directory = self.store.inner.layout.quarantine();
        let now = self.store.now().millis();
        for number in 0_u64.. {
            let path = directory.join(format!("{now}-{number}-{name}"));
            let there = self.store.inner.fs.file_len(&path);
            if there.map_err(StoreError::io("look at", &path))?.is_none() {
                return Ok(path);
            }
        }
        Ok(directory)
    }

    /// Keeps bytes that belong to nothing where a person may find them.
    pub(super) fn quarantine(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let directory = self.store.inner.layout.quarantine();
        let path = self.quarantine_place(name)?;
        let failed = |error| StoreError::io("write", &path)(error);
        let fs = self.store.inner.fs.as_ref();
        let mut file = fs.create(&path).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        fs.sync_directory(&directory).map_err(StoreError::io("flush", &directory))
    }
}

/// A row for people.
pub(super) fn row(table: Table, key: &[u8]) -> String {
    format!("row {} of `{}`", codec::shown(key), table.0)
}

fn mend_all(
    plan: &mut Plan,
    mends: &[Mend],
    codes: &[FindingCode],
) -> Result<Vec<bool>, StoreError> {
    let mut mended = Vec::with_capacity(mends.len());
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (mend, code) in mends.iter().zip(codes) {
        let done = rows::readable(mend(plan))?.unwrap_or(false);
        if done {
            *counts.entry(code.as_str()).or_default() += 1;
        }
        mended.push(done);
    }
    if !counts.is_empty() {
        let details = Some(serde_json::json!({ "findings": counts }));
        let entry = Entry { details, ..Entry::of(Action::Repair) };
        entry.write(plan, &Actor::system())?;
    }
    Ok(mended)
}
