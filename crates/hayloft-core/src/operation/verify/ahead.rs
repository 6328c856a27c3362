//! What a verification is going to read, asked for a page at a time: an engine that is far away
//! answers each question of its own in a round trip, and a store has millions of rows.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::run::{Look, look};
use crate::codec::{self, Record};
use crate::records::{VersionPlaceRecord, VersionRecord};
use crate::{
    Direction, MetaError, MetaRead, ReadThrough, Row, StoreError, Table, Want, rows, tables,
};

/// Asks for what visiting these rows is going to read.
pub(super) type Ahead<'a> = &'a dyn Fn(&dyn MetaRead, &[Row]) -> Result<(), StoreError>;

/// The rows of a page that can be read; the others are told when they are visited.
pub(super) fn readable<R: Record>(table: Table, page: &[Row]) -> impl Iterator<Item = (&[u8], R)> {
    page.iter().filter_map(move |(key, value)| {
        codec::decode(table, key, value).ok().map(|record| (key.as_slice(), record))
    })
}

/// Asks for rows of a table, whose keys may come more than once.
pub(super) fn ask(
    read: &dyn MetaRead,
    table: Table,
    keys: impl Iterator<Item = Vec<u8>>,
) -> Result<(), StoreError> {
    let keys: BTreeSet<Vec<u8>> = keys.collect();
    let wants: Vec<Want> = keys.into_iter().map(|key| Want::Row(table, key)).collect();
    if wants.is_empty() { Ok(()) } else { Ok(read.prefetch(&wants)?) }
}

/// Asks for versions by their keys, with the rows that hold their further files.
pub(super) fn versions(
    read: &dyn MetaRead,
    keys: impl Iterator<Item = Vec<u8>>,
) -> Result<(), StoreError> {
    let keys: BTreeSet<Vec<u8>> = keys.collect();
    ask(read, tables::VERSION, keys.iter().cloned())?;
    let mut parts = Vec::new();
    for key in keys {
        if let Look::Good(record) = look::<VersionRecord>(read, tables::VERSION, &key)? {
            parts.extend((0..record.more).map(|part| tables::part(record.version, part)));
        }
    }
    ask(read, tables::VERSION_FILES, parts.into_iter())
}

/// The same by their numbers.
pub(super) fn versions_by_number(
    read: &dyn MetaRead,
    numbers: impl Iterator<Item = u64>,
) -> Result<(), StoreError> {
    let numbers: BTreeSet<u64> = numbers.collect();
    ask(read, tables::VERSION_ID, numbers.iter().map(|number| tables::number(*number)))?;
    let mut keys = Vec::new();
    for number in numbers {
        let place = look::<VersionPlaceRecord>(read, tables::VERSION_ID, &tables::number(number))?;
        if let Look::Good(place) = place {
            keys.push(place.key);
        }
    }
    versions(read, keys.into_iter())
}

/// Rows of a table that are asked for in the order of their keys come a page at a time; all else is
/// as the reader below has it.
pub(super) struct Along {
    below: Box<dyn MetaRead>,
    table: Table,
    page: RefCell<Page>,
}

/// Rows that follow each other.
#[derive(Default)]
struct Page {
    rows: Vec<Row>,
    /// There are none between this key and the first.
    from: Vec<u8>,
    /// There are none after the last.
    is_last: bool,
}

impl Page {
    /// Whether the page tells if there is a row with this key, which does not lie before it.
    fn covers(&self, key: &[u8]) -> bool {
        self.is_last || self.rows.last().is_some_and(|(last, _)| key <= last.as_slice())
    }
}

impl Along {
    /// Rows of `table`.
    pub(super) fn new(below: Box<dyn MetaRead>, table: Table) -> Self {
        Self { below, table, page: RefCell::default() }
    }
}

impl ReadThrough for Along {
    fn below(&self) -> &dyn MetaRead {
        self.below.as_ref()
    }

    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        let mut page = self.page.borrow_mut();
        if table != self.table || key < page.from.as_slice() {
            return self.below.get(table, key);
        }
        if !page.covers(key) {
            let range = (Bound::Included(key.to_vec()), Bound::Unbounded);
            page.rows = self.below.scan(table, range, Direction::Forward, rows::LARGE_PAGE)?;
            page.from = key.to_vec();
            page.is_last = page.rows.len() < rows::LARGE_PAGE;
        }
        let found = page.rows.binary_search_by(|(found, _)| found.as_slice().cmp(key)).ok();
        Ok(found.and_then(|at| page.rows.get(at)).map(|(_, value)| value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::KeyRange;

    const TABLE: Table = Table("test-1");

    /// Rows that count how often they are asked.
    struct Asked(BTreeMap<Vec<u8>, Vec<u8>>, Arc<AtomicUsize>);

    impl MetaRead for Asked {
        fn get(&self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(self.0.get(key).cloned())
        }

        fn scan(
            &self,
            _: Table,
            range: KeyRange,
            _: Direction,
            limit: usize,
        ) -> Result<Vec<Row>, MetaError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let rows = self.0.range(range).take(limit);
            Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
    }

    #[test]
    fn rows_in_order_come_in_pages_and_are_the_same_in_any_order() {
        let key = |number: u32| number.to_be_bytes().to_vec();
        // Every third key has a row.
        let rows = (0..3_000).step_by(3).map(|number| (key(number), vec![1]));
        let asked = Arc::new(AtomicUsize::new(0));
        let along = Along::new(Box::new(Asked(rows.collect(), asked.clone())), TABLE);
        for number in 0..3_100 {
            let expected = (number % 3 == 0 && number < 3_000).then(|| vec![1]);
            assert_eq!(along.get(TABLE, &key(number)).unwrap(), expected, "{number}");
        }
        let pages = 1_000_usize.div_ceil(rows::LARGE_PAGE);
        // A page that begins at a key without a row, or ends before one, costs no more.
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked <= 2 * pages + 1, "{asked}");
        for number in [2_999, 0, 1, 3_000, 600, 599, 2_997, u32::MAX, 3] {
            let expected = (number % 3 == 0 && number < 3_000).then(|| vec![1]);
            assert_eq!(along.get(TABLE, &key(number)).unwrap(), expected, "{number}");
        }
    }
}
