use std::vec::IntoIter;

use super::{Filter, HistoryRecord, Promotion, PromotionQuery};
use crate::records::PromotionRecord;
use crate::resolve::folded;
use crate::rows_pager::{Pager, Rows};
use crate::tables::{self, HistoryKind};
use crate::{Direction, MetaRead, Store, StoreError, rows};

/// Promotions in one view of a list, roughly, and packages that one view visits.
const PAGE: usize = 500;

impl Store {
    /// The promotions of each version, oldest first; those of deleted packages and feeds too.
    ///
    /// Versions of a package follow each other by their first promotions, packages by their types
    /// and names. No row is empty. Costs two reads per promotion; memory for the promotions of one
    /// version, and less than 100 bytes for each promotion of its package.
    pub fn promoted_versions(
        &self,
        query: &PromotionQuery,
    ) -> Result<Rows<Vec<Promotion>>, StoreError> {
        let reading = self.inner.read()?;
        let mut filter = Filter::new(&reading, self.types(), query)?;
        let packages = match self.indexed::<PromotionRecord>(&reading, query)? {
            Some(prefixes) => {
                filter.without_package();
                Packages::These(prefixes.into_iter())
            }
            None => Packages::Behind(Vec::new()),
        };
        Ok(Rows::new(PromotedVersions {
            store: self.clone(),
            filter,
            packages,
            current: Vec::new().into_iter(),
        }))
    }
}

/// The packages that are still to be visited, as prefixes of [`tables::HISTORY`].
enum Packages {
    These(IntoIter<Vec<u8>>),
    /// All whose keys come after this one.
    Behind(Vec<u8>),
}

impl Packages {
    fn next(&mut self, read: &dyn MetaRead) -> Result<Option<Vec<u8>>, StoreError> {
        let behind = match self {
            Self::These(prefixes) => return Ok(prefixes.next()),
            Self::Behind(key) => key,
        };
        loop {
            let range = tables::prefixed_after(&[], behind);
            let found = read.scan(tables::HISTORY, range, Direction::Forward, 1)?;
            let Some((key, _)) = found.into_iter().next() else { return Ok(None) };
            // A key of another length is for verification to tell.
            let Some((prefix, _)) = key.split_last_chunk::<8>() else {
                *behind = key;
                continue;
            };
            *behind = [prefix, &u64::MAX.to_be_bytes()].concat();
            if prefix.last() == Some(&(HistoryKind::Promotion as u8)) {
                return Ok(Some(prefix.to_vec()));
            }
        }
    }
}

/// Where a promotion stands in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The first promotion of the version.
    first: u64,
    id: u64,
}

struct PromotedVersions {
    store: Store,
    filter: Filter,
    packages: Packages,
    /// What is still to be shown of a package.
    current: IntoIter<Place>,
}

impl Pager<Vec<Promotion>> for PromotedVersions {
    fn page(&mut self) -> Result<Option<Vec<Vec<Promotion>>>, StoreError> {
        let snapshot = self.store.inner.snapshot()?;
        let read = snapshot.as_ref();
        let mut page = Vec::new();
        let (mut promotions, mut visited) = (0, 0);
        while promotions < PAGE && visited < PAGE {
            if self.current.as_slice().is_empty() {
                let Some(prefix) = self.packages.next(read)? else {
                    return Ok((visited > 0 || !page.is_empty()).then_some(page));
                };
                visited += 1;
                self.current = self.places(read, &prefix)?.into_iter();
                continue;
            }
            let version = self.next_version(read)?;
            promotions += version.len();
            if !version.is_empty() {
                page.push(version);
            }
        }
        Ok(Some(page))
    }
}

impl PromotedVersions {
    /// The promotions of a package that fit, in their order.
    fn places(&self, read: &dyn MetaRead, prefix: &[u8]) -> Result<Vec<Place>, StoreError> {
        // A hash stands for the version: a package may have very many.
        let mut found: Vec<([u8; 32], u64)> = Vec::new();
        rows::each(read, tables::HISTORY, prefix, |key, _| {
            let Some(id) = tables::u64_at(key, prefix.len()) else { return Ok(()) };
            if let Some(record) = rows::left_out(record(read, id))?
                && record.fits(&self.filter)
            {
                found.push((*blake3::hash(&folded(&record.version)).as_bytes(), id));
            }
            Ok(())
        })?;
        found.sort_unstable();
        let mut places = Vec::with_capacity(found.len());
        for version in found.chunk_by(|one, other| one.0 == other.0) {
            let first = version.first().map_or(0, |(_, id)| *id);
            places.extend(version.iter().map(|(_, id)| Place { first, id: *id }));
        }
        places.sort_unstable();
        Ok(places)
    }

    fn next_version(&mut self, read: &dyn MetaRead) -> Result<Vec<Promotion>, StoreError> {
        let mut version = Vec::new();
        let first = self.current.as_slice().first().map(|place| place.first);
        while let Some(place) = self.current.as_slice().first().copied()
            && Some(place.first) == first
        {
            if let Some(record) = rows::left_out(record(read, place.id))? {
                version.push(record.shown(read, place.id)?);
            }
            self.current.next();
        }
        Ok(version)
    }
}

fn record(read: &dyn MetaRead, id: u64) -> Result<PromotionRecord, StoreError> {
    rows::need(read, tables::PROMOTION, &tables::number(id))
}
