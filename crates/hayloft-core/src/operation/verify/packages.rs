//! Packages, the index of names by case, and what is summed up for packages and feeds.

use std::collections::BTreeMap;

use super::ahead;
use super::run::{Look, Run, look, row};
use crate::plan::Plan;
use crate::records::{
    FacetRecord, FileValue, PackageRecord, Pointer, StabilityValue, TotalsRecord, VersionRecord,
};
use crate::resolve::qualifiers;
use crate::versions::highest;
use crate::{
    Direction, FeedTypes, FindingCode, MetaRead, Row, StoreError, Want, codec, rows, tables,
};

/// What the versions of a package say that its row must say.
#[derive(Debug, Default)]
pub(super) struct PackageSums {
    pub(super) key: Vec<u8>,
    pub(super) number: u64,
    pub(super) versions: u64,
    pub(super) latest: Option<Pointer>,
    pub(super) latest_stable: Option<Pointer>,
    /// True if a version could not be read.
    pub(super) unsure: bool,
}

/// What the rows of a feed say that its totals and facets must say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FeedSums {
    packages: i64,
    versions: i64,
    files: i64,
    bytes: i64,
    /// By the rest of the key in `facet`; `None` if the type does not tell which.
    facets: Option<BTreeMap<Vec<u8>, u64>>,
    remembered: &'static [&'static str],
    unsure: bool,
}

impl FeedSums {
    pub(super) fn new(types: &FeedTypes, tag: &str) -> Self {
        let known = types.get(tag);
        Self {
            facets: known.map(|_| BTreeMap::new()),
            remembered: known.map_or(&[], |known| known.remembered_qualifiers()),
            ..Self::default()
        }
    }

    /// Counts a version that cannot be read.
    pub(super) fn unreadable(&mut self) {
        self.versions += 1;
        self.unsure = true;
    }

    pub(super) fn version(&mut self, files: &[FileValue]) -> Result<(), StoreError> {
        self.versions += 1;
        for file in files {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(i64::try_from(file.size).unwrap_or(i64::MAX));
            let Some(facets) = &mut self.facets else { continue };
            if self.remembered.is_empty() {
                continue;
            }
            let qualifiers = qualifiers(file)?;
            for name in self.remembered {
                if let Some(value) = qualifiers.get(name) {
                    let key = tables::facet(0, name, value).split_off(4);
                    *facets.entry(key).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    /// Counts everything of a feed again.
    fn recount(
        read: &dyn MetaRead,
        types: &FeedTypes,
        feed: u32,
        tag: &str,
    ) -> Result<Self, StoreError> {
        let mut sums = Self::new(types, tag);
        let prefix = tables::feed(feed);
        rows::each(read, tables::PACKAGE, &prefix, |_, _| {
            sums.packages += 1;
            Ok(())
        })?;
        rows::each(read, tables::VERSION, &prefix, |key, value| {
            let record: VersionRecord = codec::decode(tables::VERSION, key, value)?;
            sums.version(&rows::completed(read, record)?.files)
        })?;
        Ok(sums)
    }

    fn write(self, plan: &mut Plan, feed: u32) -> Result<(), StoreError> {
        let totals = TotalsRecord {
            packages: self.packages,
            versions: self.versions,
            files: self.files,
            bytes: self.bytes,
            ..TotalsRecord::default()
        };
        plan.put(tables::TOTALS, tables::feed(feed), &totals)?;
        if let Some(facets) = self.facets {
            let prefix = tables::feed(feed);
            let mut old = Vec::new();
            rows::each(plan, tables::FACET, &prefix, |key, _| {
                old.push(key.to_vec());
                Ok(())
            })?;
            for key in old {
                plan.delete(tables::FACET, key);
            }
            for (rest, count) in facets {
                let key = tables::joined(&[&prefix, &rest]);
                plan.put(tables::FACET, key, &FacetRecord(count))?;
            }
        }
        plan.touch_feed(feed)
    }

    /// What differs from the totals that are kept.
    fn differing(&self, kept: &TotalsRecord) -> Vec<&'static str> {
        let sure = !self.unsure;
        [
            ("packages", self.packages, kept.packages, true),
            ("versions", self.versions, kept.versions, true),
            ("files", self.files, kept.files, sure),
            ("bytes", self.bytes, kept.bytes, sure),
        ]
        .into_iter()
        .filter(|(_, counted, kept, sure)| *sure && counted != kept)
        .map(|(name, ..)| name)
        .collect()
    }
}

impl Run<'_> {
    /// Every package has a feed, a version and its entry in the index of names by case.
    pub(super) fn package_rows(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each_bytes_ahead(read, tables::PACKAGE, &ask_about_packages, |run, key, value| {
            let feed = tables::u32_at(key, 0).unwrap_or_default();
            *run.packages.entry(feed).or_default() += 1;
            if !run.feeds.contains_key(&feed) {
                run.found(FindingCode::FeedRow, format!("{} has no feed", shown(key)));
            }
            let decoded = codec::decode::<PackageRecord>(tables::PACKAGE, key, value);
            if let Err(error) = decoded {
                run.unreadable(tables::PACKAGE, key, &error);
            }
            if !has_version(read, key)? {
                let text = format!("{} has no version", shown(key));
                run.found(FindingCode::PackageRow, text);
            }
            let Some(index) = case_index(key) else { return Ok(()) };
            if read.get(tables::PACKAGE_CASE, &index)?.is_some() {
                return Ok(());
            }
            let text = format!("{} is not found without case", shown(key));
            let package = key.to_vec();
            run.found_mendable(FindingCode::CaseIndex, text, move |plan| {
                if MetaRead::get(plan, tables::PACKAGE, &package)?.is_some() {
                    plan.put_entry(tables::PACKAGE_CASE, index.clone())?;
                }
                Ok(true)
            })
        })?;
        let packages = |read: &dyn MetaRead, page: &[Row]| {
            ahead::ask(read, tables::PACKAGE, page.iter().map(|(key, _)| package_named_by(key)))
        };
        self.each_key(read, tables::PACKAGE_CASE, &packages, |run, key| {
            if package_of_case(read, key)? {
                return Ok(());
            }
            let text = format!("{} leads nowhere", row(tables::PACKAGE_CASE, key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::CaseIndex, text, move |plan| {
                if !package_of_case(plan, &key)? {
                    plan.delete(tables::PACKAGE_CASE, key.clone());
                }
                Ok(true)
            })
        })
    }

    /// Holds a package's row against what its versions say.
    pub(super) fn finish_package(
        &mut self,
        read: &dyn MetaRead,
        sums: PackageSums,
    ) -> Result<(), StoreError> {
        let record: PackageRecord = match look(read, tables::PACKAGE, &sums.key)? {
            Look::Bad | Look::Newer => return Ok(()),
            Look::Missing => {
                let text = format!("{} has versions but no row", shown(&sums.key));
                self.found(FindingCode::PackageRow, text);
                return Ok(());
            }
            Look::Good(record) => record,
        };
        if sums.number != 0 && sums.number != record.package {
            let text = format!("{} has versions of another package", shown(&sums.key));
            self.found(FindingCode::PackageRow, text);
        }
        let pointers = record.latest == sums.latest && record.latest_stable == sums.latest_stable;
        if record.versions == sums.versions && (pointers || sums.unsure) {
            return Ok(());
        }
        let text = format!("{} points at other versions than it has", shown(&sums.key));
        self.found_mendable(FindingCode::PackagePointer, text, move |plan| {
            point_again(plan, sums.key.clone())?;
            Ok(true)
        })
    }

    /// Holds the totals and facets of a feed against what its rows say.
    pub(super) fn finish_feed(
        &mut self,
        read: &dyn MetaRead,
        feed: u32,
        mut sums: FeedSums,
    ) -> Result<(), StoreError> {
        let Some(Some(record)) = self.feeds.get(&feed) else { return Ok(()) };
        let (tag, name) = (record.tag.clone(), record.name.clone());
        sums.packages = self.packages.get(&feed).copied().unwrap_or_default();
        let mut wrong = Vec::new();
        match look(read, tables::TOTALS, &tables::feed(feed))? {
            Look::Good(kept) => {
                let names = sums.differing(&kept).into_iter();
                wrong.extend(names.map(|name| (FindingCode::FeedTotals, name.to_owned())));
            }
            Look::Missing => wrong.push((FindingCode::FeedTotals, "totals".to_owned())),
            Look::Bad => wrong.push((FindingCode::Row, "totals".to_owned())),
            Look::Newer => wrong.push((FindingCode::NewerRow, "totals".to_owned())),
        }
        let facets = self.wrong_facets(read, feed, &sums)?;
        wrong.extend(facets);
        // A row that cannot be read may say what is right.
        let newer = wrong.iter().any(|(code, _)| *code == FindingCode::NewerRow);
        for (at, (code, what)) in wrong.into_iter().enumerate() {
            let what = what.to_ascii_lowercase();
            let text = format!("`{what}` of feed `{name}` does not fit its rows");
            if sums.unsure || newer {
                self.found(code, text);
                continue;
            }
            let (types, tag) = (self.store.types().clone(), tag.clone());
            self.found_mendable(code, text, move |plan| {
                // The first of them puts all right.
                if at == 0 {
                    FeedSums::recount(plan, &types, feed, &tag)?.write(plan, feed)?;
                }
                Ok(true)
            })?;
        }
        Ok(())
    }

    fn wrong_facets(
        &mut self,
        read: &dyn MetaRead,
        feed: u32,
        sums: &FeedSums,
    ) -> Result<Vec<(FindingCode, String)>, StoreError> {
        let mut wrong = Vec::new();
        let Some(facets) = &sums.facets else { return Ok(wrong) };
        let mut missing = facets.clone();
        let prefix = tables::feed(feed);
        let mut rows = 0;
        rows::each(read, tables::FACET, &prefix, |key, value| {
            rows += 1;
            let rest = key.get(prefix.len()..).unwrap_or_default();
            let name = String::from_utf8_lossy(rest).replace('\0', "=");
            let expected = missing.remove(rest);
            match codec::decode(tables::FACET, key, value) {
                Ok(FacetRecord(found)) if Some(found) == expected || sums.unsure => {}
                Ok(_) => wrong.push((FindingCode::Facet, name)),
                Err(StoreError::Newer { .. }) => wrong.push((FindingCode::NewerRow, name)),
                Err(_) => wrong.push((FindingCode::Row, name)),
            }
            Ok(())
        })?;
        self.summary.rows += rows;
        let names = missing.keys().map(|rest| String::from_utf8_lossy(rest).replace('\0', "="));
        wrong.extend(names.map(|name| (FindingCode::Facet, name)));
        Ok(wrong)
    }

    /// Totals and facets belong to feeds.
    pub(super) fn sums_of_no_feed(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        for table in [tables::TOTALS, tables::FACET] {
            self.each_bytes(read, table, |run, key, _| {
                let feed = tables::u32_at(key, 0).unwrap_or_default();
                if run.feeds.contains_key(&feed) {
                    return Ok(());
                }
                let text = format!("{} has no feed", row(table, key));
                let key = key.to_vec();
                run.found_mendable(FindingCode::FeedRow, text, move |plan| {
                    if MetaRead::get(plan, tables::FEED, &tables::feed(feed))?.is_none() {
                        plan.delete(table, key.clone());
                    }
                    Ok(true)
                })
            })?;
        }
        Ok(())
    }
}

/// Derives a package's pointers and counts from its versions.
fn point_again(plan: &mut Plan, key: Vec<u8>) -> Result<(), StoreError> {
    let Some(mut record) = plan.get::<PackageRecord>(tables::PACKAGE, &key)? else {
        return Ok(());
    };
    record.versions = 0;
    rows::each(plan, tables::VERSION, &key, |_, _| {
        record.versions += 1;
        Ok(())
    })?;
    record.latest = highest(plan, &key, |_, _| true)?;
    record.latest_stable =
        highest(plan, &key, |_, found| found.stability == StabilityValue::Stable)?;
    record.revision = plan.sequence();
    let feed = tables::u32_at(&key, 0).unwrap_or_default();
    plan.put(tables::PACKAGE, key, &record)?;
    plan.touch_feed(feed)
}

/// Asks whether packages have a version, and their entries in the index of names by case.
fn ask_about_packages(read: &dyn MetaRead, page: &[Row]) -> Result<(), StoreError> {
    let versions = page
        .iter()
        .map(|(key, _)| Want::Range(tables::VERSION, tables::prefixed(key), Direction::Forward, 1));
    let cases = page.iter().filter_map(|(key, _)| case_index(key));
    let cases = cases.map(|index| Want::Row(tables::PACKAGE_CASE, index));
    Ok(read.prefetch(&versions.chain(cases).collect::<Vec<_>>())?)
}

fn has_version(read: &dyn MetaRead, package: &[u8]) -> Result<bool, StoreError> {
    let range = tables::prefixed(package);
    Ok(!read.scan(tables::VERSION, range, Direction::Forward, 1)?.is_empty())
}

/// The row in the index of names by case that a package must have, if it must.
fn case_index(package: &[u8]) -> Option<Vec<u8>> {
    let feed = tables::u32_at(package, 0)?;
    let name_key = package.get(4..)?;
    let lower = name_key.to_ascii_lowercase();
    (lower != name_key).then(|| tables::package_case(feed, &lower, name_key))
}

/// True if a row of the index of names by case leads to a package.
fn package_of_case(read: &dyn MetaRead, key: &[u8]) -> Result<bool, StoreError> {
    let package = package_named_by(key);
    Ok(read.get(tables::PACKAGE, &package)?.is_some()
        && case_index(&package).is_some_and(|index| index == key))
}

/// The key of the package that a row of the index of names by case names.
fn package_named_by(key: &[u8]) -> Vec<u8> {
    let feed = tables::u32_at(key, 0).unwrap_or_default();
    let rest = key.get(4..).unwrap_or_default();
    let lower = tables::name_key_in(rest).unwrap_or_default();
    tables::package(feed, rest.get(lower.len()..).unwrap_or_default())
}

/// A package for people, by its key.
pub(super) fn shown(key: &[u8]) -> String {
    let name = key.get(4..).unwrap_or_default();
    let name = String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name));
    let name = name.trim_start_matches('\u{1}').replace('\u{1}', "/");
    let feed = tables::u32_at(key, 0).unwrap_or_default();
    format!("package `{}` of feed {feed}", hayloft_feed::shorten(&name))
}
