//! What one batch is going to write, readable as if it were written already.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::ops::{Bound, ControlFlow};

use crate::codec::{self, Record};
use crate::index::Touched;
use crate::merge::{Merge, comes_first};
use crate::meta::{borrowed, is_empty, scan_by_visits};
use crate::mutations::Switches;
use crate::records::{
    AuditRecord, CounterRecord, CountersRecord, EntryRecord, JobRecord, NumberRecord, TotalsRecord,
};
use crate::small::{Changed, SMALL_ROW, is_small};
use crate::tables;
use crate::{
    Batch, CommitError, Direction, Done, Expect, KeyRange, MetaError, MetaRead, MetaTurn, Row,
    StoreError, Table, Timestamp, Visit, Want, rows,
};

/// Key of the `CountersRecord`.
pub(crate) const COUNTERS: &[u8] = b"counters";

/// The counters, as a snapshot is asked for them.
pub(crate) fn counters_wanted() -> Want {
    Want::Row(tables::META, COUNTERS.to_vec())
}

/// A change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Put(Vec<u8>),
    Delete,
}

/// Changes by table and key.
#[derive(Debug, Default)]
struct Changes(BTreeMap<Table, BTreeMap<Vec<u8>, Change>>);

impl Changes {
    fn get(&self, table: Table, key: &[u8]) -> Option<&Change> {
        self.0.get(&table)?.get(key)
    }

    fn set(&mut self, table: Table, key: Vec<u8>, change: Change) {
        self.0.entry(table).or_default().insert(key, change);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn merge(&mut self, later: Self) {
        for (table, rows) in later.0 {
            for (key, change) in rows {
                self.set(table, key, change);
            }
        }
    }
}

/// What lies below the changes.
enum Base<'a> {
    Turn(Box<dyn MetaTurn + 'a>),
    /// Nothing will be written; what is read is noted, so that a turn can begin with it.
    Rehearsal {
        read: Box<dyn MetaRead>,
        wants: RefCell<HashSet<Want>>,
    },
}

impl Base<'_> {
    fn read(&self) -> &dyn MetaRead {
        match self {
            Self::Turn(turn) => turn.as_ref(),
            Self::Rehearsal { read, .. } => read.as_ref(),
        }
    }

    fn note(&self, want: impl FnOnce() -> Want) {
        if let Self::Rehearsal { wants, .. } = self {
            wants.borrow_mut().insert(want());
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.note(|| Want::Row(table, key.to_vec()));
        self.read().get(table, key)
    }

    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        self.note(|| Want::Range(table, range.clone(), direction, limit));
        self.read().visit(table, range, direction, limit, visit)
    }
}

/// As many rows as a scan asks for at once in place of those that a batch has changed.
const FEW: usize = 64;

/// A view of the newest commit with the changes of a batch on top.
///
/// Operations plan one after the other: each sees what those before it in the batch are going to
/// write. What a refused operation wrote is dropped.
pub(crate) struct Plan<'a> {
    base: Base<'a>,
    now: Timestamp,
    /// Of the operations that stand.
    accepted: Changes,
    accepted_counters: CountersRecord,
    /// Of the operation that plans now.
    current: Changes,
    counters: CountersRecord,
    /// Number of the last version before the batch.
    versions_before: u64,
    /// Bytes of the counters at the start: the fence against a second writer.
    fence: Option<Vec<u8>>,
    /// Packages that the current operation changes, as they were before it.
    touched: Touched,
    /// A part of the batch makes room.
    frees: bool,
    /// What tests leave out.
    pub(crate) switches: Switches,
}

impl<'a> Plan<'a> {
    /// Begins a batch in a turn; `now` counts if the engine has no clock of its own.
    pub(crate) fn begin(turn: Box<dyn MetaTurn + 'a>, now: Timestamp) -> Result<Self, StoreError> {
        let now = turn.now().unwrap_or(now);
        Self::new(Base::Turn(turn), now)
    }

    /// Begins a batch that is not going to be written.
    pub(crate) fn rehearse(read: Box<dyn MetaRead>, now: Timestamp) -> Result<Self, StoreError> {
        Self::new(Base::Rehearsal { read, wants: RefCell::default() }, now)
    }

    fn new(base: Base<'a>, now: Timestamp) -> Result<Self, StoreError> {
        let fence = base.get(tables::META, COUNTERS)?;
        let counters: CountersRecord = match &fence {
            Some(value) => codec::decode(tables::META, COUNTERS, value)?,
            None => CountersRecord::default(),
        };
        Ok(Self {
            base,
            now,
            accepted: Changes::default(),
            versions_before: counters.version,
            accepted_counters: counters.clone(),
            current: Changes::default(),
            counters,
            fence,
            touched: Touched::default(),
            frees: false,
            switches: Switches::default(),
        })
    }

    /// Keeps what the current operation wrote.
    pub(crate) fn accept(&mut self) {
        self.touched = Touched::default();
        self.accepted.merge(std::mem::take(&mut self.current));
        self.accepted_counters = self.counters.clone();
    }

    /// Drops what the current operation wrote.
    pub(crate) fn reject(&mut self) {
        self.touched = Touched::default();
        self.current = Changes::default();
        self.counters = self.accepted_counters.clone();
    }

    /// True if no accepted operation wrote anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }

    /// What a rehearsal has read below its own changes.
    pub(crate) fn into_wants(self) -> Vec<Want> {
        match self.base {
            Base::Turn(_) => Vec::new(),
            Base::Rehearsal { wants, .. } => wants.into_inner().into_iter().collect(),
        }
    }

    /// What a rehearsal would have written to these tables.
    pub(crate) fn rehearsed(mut self, tables: &[Table]) -> Batch {
        self.accept();
        let mut batch = Batch::default();
        for (table, rows) in self.accepted.0.into_iter().filter(|(of, _)| tables.contains(of)) {
            for (key, change) in rows {
                match change {
                    Change::Put(value) => batch.put.push((table, key, value)),
                    Change::Delete => batch.delete.push((table, key)),
                }
            }
        }
        batch
    }

    /// Notes that a part of the batch makes room.
    pub(crate) fn frees_room(&mut self) {
        self.frees = true;
    }

    /// Makes a batch of all accepted changes, under the condition that no one else committed
    /// meanwhile; no batch if there are none.
    pub(crate) fn seal(self) -> Result<Sealed<'a>, StoreError> {
        if self.is_empty() {
            return Ok(Sealed { base: self.base, batch: None });
        }
        self.seal_always()
    }

    /// The same, with a batch in any case.
    pub(crate) fn seal_always(self) -> Result<Sealed<'a>, StoreError> {
        let (base, batch) = self.into_batch()?;
        Ok(Sealed { base, batch: Some(batch) })
    }

    fn into_batch(mut self) -> Result<(Base<'a>, Batch), StoreError> {
        self.accepted_counters.sequence += 1;
        let counters = codec::encode(tables::META, COUNTERS, &self.accepted_counters)?;
        let expect = self.fence.map_or(Expect::Absent, Expect::Value);
        let mut batch = Batch {
            expect: vec![(tables::META, COUNTERS.to_vec(), expect)],
            put: vec![(tables::META, COUNTERS.to_vec(), counters)],
            frees: self.frees,
            ..Batch::default()
        };
        if self.accepted.0.keys().any(|table| is_small(*table)) {
            let number = NumberRecord(self.accepted_counters.sequence);
            let key = SMALL_ROW.to_vec();
            let value = codec::encode(tables::META, &key, &number)?;
            batch.put.push((tables::META, key, value));
        }
        for (table, rows) in self.accepted.0 {
            for (key, change) in rows {
                match change {
                    Change::Put(value) => batch.put.push((table, key, value)),
                    Change::Delete => batch.delete.push((table, key)),
                }
            }
        }
        Ok((self.base, batch))
    }

    /// Fetches what a rehearsal is going to read; a turn begins with it.
    pub(crate) fn expect(&self, wants: impl FnOnce() -> Vec<Want>) -> Result<(), StoreError> {
        match &self.base {
            Base::Turn(_) => Ok(()),
            Base::Rehearsal { read, .. } => Ok(read.prefetch(&wants())?),
        }
    }

    /// True if a version got its number in this batch, so that no older row can be of it.
    pub(crate) fn is_of_batch(&self, version: u64) -> bool {
        version > self.versions_before
    }

    /// True if this batch has written a row.
    pub(crate) fn has_written(&self, table: Table, key: &[u8]) -> bool {
        matches!(self.change(table, key), Some(Change::Put(_)))
    }

    /// The moment of the batch.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Number that the commit will have.
    pub(crate) fn sequence(&self) -> u64 {
        self.counters.sequence + 1
    }

    /// Numbers for new rows; taken for good if the operation is accepted.
    pub(crate) fn counters(&mut self) -> &mut CountersRecord {
        &mut self.counters
    }

    /// One row, decoded.
    pub(crate) fn get<R: Record>(&self, table: Table, key: &[u8]) -> Result<Option<R>, StoreError> {
        rows::get(self, table, key)
    }

    /// One row as it lies there.
    pub(crate) fn get_bytes(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(MetaRead::get(self, table, key)?)
    }

    /// Inserts or replaces a row.
    pub(crate) fn put<R: Record>(
        &mut self,
        table: Table,
        key: Vec<u8>,
        record: &R,
    ) -> Result<(), StoreError> {
        let value = codec::encode(table, &key, record)?;
        self.current.set(table, key, Change::Put(value));
        Ok(())
    }

    /// Inserts an entry of an index, whose key says all.
    pub(crate) fn put_entry(&mut self, table: Table, key: Vec<u8>) -> Result<(), StoreError> {
        self.put(table, key, &EntryRecord)
    }

    /// Inserts or replaces a row of bytes: a part of a content, which its digest covers.
    pub(crate) fn put_bytes(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.current.set(table, key, Change::Put(value));
    }

    /// Removes a row.
    pub(crate) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.current.set(table, key, Change::Delete);
    }

    /// Adds to a counter. A damaged one is left for verification to find.
    pub(crate) fn add(&mut self, table: Table, key: Vec<u8>, more: i64) -> Result<(), StoreError> {
        let before = match rows::counter(self, table, &key) {
            Err(StoreError::Damaged { .. }) => return Ok(()),
            before => before?,
        };
        match before.saturating_add(more) {
            0 if before == 0 => Ok(()),
            sum => self.put(table, key, &CounterRecord(sum)),
        }
    }

    /// Changes the totals of a feed and notes that something in it changes. Damaged ones are left
    /// for verification to count again.
    pub(crate) fn change_totals(
        &mut self,
        feed: u32,
        change: impl FnOnce(&mut TotalsRecord),
    ) -> Result<(), StoreError> {
        let key = tables::feed(feed);
        let mut totals = match rows::totals(self, feed) {
            Err(StoreError::Damaged { .. }) => return Ok(()),
            totals => totals?,
        };
        change(&mut totals);
        totals.revision = self.sequence();
        totals.changed = self.now.millis();
        self.put(tables::TOTALS, key, &totals)
    }

    /// Notes that something in a feed changes.
    pub(crate) fn touch_feed(&mut self, feed: u32) -> Result<(), StoreError> {
        self.change_totals(feed, |_| {})
    }

    /// Notes that a package, and perhaps one of its versions, is about to be changed: what indexes
    /// need is derived from what it was and what it then is.
    pub(crate) fn touch(
        &mut self,
        feed: u32,
        package: &[u8],
        version: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let mut touched = std::mem::take(&mut self.touched);
        let noted = touched.note(self, feed, package, version);
        self.touched = touched;
        noted
    }

    /// What the current operation has touched.
    pub(crate) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Appends a row to the audit log and chains it to the one before.
    pub(crate) fn audit(&mut self, mut record: AuditRecord) -> Result<u64, StoreError> {
        self.counters.audit += 1;
        let id = self.counters.audit;
        let key = tables::number(id);
        record.chain = [0; 32];
        let value = codec::encode(tables::AUDIT, &key, &record)?;
        record.chain = codec::chain(&self.counters.chain, &key, &value)
            .ok_or_else(|| StoreError::damaged("a new audit row"))?;
        self.counters.chain = record.chain;
        self.put(tables::AUDIT, key, &record)?;
        Ok(id)
    }

    /// Leaves work to maintenance.
    pub(crate) fn job(&mut self, job: &JobRecord) -> Result<(), StoreError> {
        self.counters.job += 1;
        let key = tables::number(self.counters.job);
        self.put(tables::JOB, key, job)
    }

    /// The change that stands for a row; `None` if there is none.
    fn change(&self, table: Table, key: &[u8]) -> Option<&Change> {
        self.current.get(table, key).or_else(|| self.accepted.get(table, key))
    }

    /// The changed rows of a range and what they became, in the order of a scan; no more are looked
    /// at than are asked for.
    fn changed_rows<'s>(
        &'s self,
        table: Table,
        range: &'s KeyRange,
        direction: Direction,
    ) -> impl Iterator<Item = ChangedRow<'s>> {
        let rows = |changes| changed_rows(changes, table, range, direction).peekable();
        let (mut accepted, mut current) = (rows(&self.accepted), rows(&self.current));
        std::iter::from_fn(move || match (accepted.peek(), current.peek()) {
            (Some((one, _)), Some((other, _))) if one == other => {
                accepted.next();
                current.next()
            }
            (Some((one, _)), Some((other, _))) if comes_first(direction, other, one) => {
                current.next()
            }
            (None, _) => current.next(),
            _ => accepted.next(),
        })
    }
}

/// The key of a changed row, and its value if it was not deleted.
type ChangedRow<'c> = (&'c [u8], Option<&'c [u8]>);

fn changed_rows<'c>(
    changes: &'c Changes,
    table: Table,
    range: &'c KeyRange,
    direction: Direction,
) -> impl Iterator<Item = ChangedRow<'c>> {
    let rows = changes.0.get(&table).filter(|_| !is_empty(range));
    let mut rows = rows.map(|rows| rows.range::<[u8], _>(borrowed(range)));
    std::iter::from_fn(move || {
        let (key, change) = match direction {
            Direction::Forward => rows.as_mut()?.next(),
            Direction::Backward => rows.as_mut()?.next_back(),
        }?;
        let value = match change {
            Change::Put(value) => Some(value.as_slice()),
            Change::Delete => None,
        };
        Some((key.as_slice(), value))
    })
}

/// What a plan came to, ready to be written.
pub(crate) struct Sealed<'a> {
    base: Base<'a>,
    batch: Option<Batch>,
}

impl Sealed<'_> {
    /// Writes it, and waits until that is done.
    pub(crate) fn commit(self) -> Result<(), CommitError> {
        match (self.base, self.batch) {
            (Base::Turn(turn), Some(batch)) => turn.commit(batch),
            _ => Ok(()),
        }
    }

    /// Hands it over to be written, as [`MetaTurn::submit`] does; `done` also gets what becomes of
    /// the small tables, or nothing if there was nothing to write.
    pub(crate) fn submit(
        self,
        done: impl FnOnce(Result<Option<Changed>, CommitError>) + Send + 'static,
    ) {
        let Self { base, batch } = self;
        let changed = batch.as_ref().map(Changed::of);
        let done: Done = Box::new(move |outcome| done(outcome.map(|()| changed)));
        match base {
            Base::Turn(turn) => turn.submit(batch, done),
            Base::Rehearsal { .. } => done(Ok(())),
        }
    }
}

#[cfg(test)]
fn contains(range: &KeyRange, key: &[u8]) -> bool {
    let after = match &range.0 {
        Bound::Included(start) => key >= start.as_slice(),
        Bound::Excluded(start) => key > start.as_slice(),
        Bound::Unbounded => true,
    };
    let before = match &range.1 {
        Bound::Included(end) => key <= end.as_slice(),
        Bound::Excluded(end) => key < end.as_slice(),
        Bound::Unbounded => true,
    };
    after && before
}

/// What is left of a range once `key` was visited.
fn beyond(range: KeyRange, key: &[u8], direction: Direction) -> KeyRange {
    match direction {
        Direction::Forward => (Bound::Excluded(key.to_vec()), range.1),
        Direction::Backward => (range.0, Bound::Excluded(key.to_vec())),
    }
}

impl MetaRead for Plan<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        match self.change(table, key) {
            None => self.base.get(table, key),
            Some(Change::Put(value)) => Ok(Some(value.clone())),
            Some(Change::Delete) => Ok(None),
        }
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        scan_by_visits(self, table, &range, direction, limit)
    }

    /// Goes through what lies below in pages: what a rehearsal has read there, a turn fetches.
    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        let changed = || self.changed_rows(table, range, direction);
        let mut merge = Merge::new(changed(), direction, limit);
        if limit == 0 || merge.is_done() {
            return self.base.visit(table, range, direction, limit, visit);
        }
        // One question more for each row that may have gone costs more than a few rows at once.
        let mut size = limit.saturating_add(changed().take(FEW).count());
        let mut range = range.clone();
        loop {
            let (mut seen, mut last, mut flow) = (0, None, ControlFlow::Continue(()));
            self.base.visit(table, &range, direction, size, &mut |key, value| {
                seen += 1;
                last = (seen == size).then(|| key.to_vec());
                flow = merge.stored(key, value, visit);
                flow
            })?;
            if flow.is_break() {
                return Ok(());
            }
            let Some(last) = last else { break };
            range = beyond(range, &last, direction);
            // So that many deleted rows are few pages.
            size = size.saturating_mul(2);
        }
        let _: ControlFlow<()> = merge.rest(visit);
        Ok(())
    }

    fn prefetch(&self, wants: &[Want]) -> Result<(), MetaError> {
        self.base.read().prefetch(wants)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::*;

    const TABLE: Table = Table("test-1");

    /// Rows of one table in memory.
    #[derive(Debug, Clone, Default)]
    struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

    impl MetaRead for Rows {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
            Ok(self.0.get(key).filter(|_| table == TABLE).cloned())
        }

        fn scan(
            &self,
            table: Table,
            range: KeyRange,
            direction: Direction,
            limit: usize,
        ) -> Result<Vec<Row>, MetaError> {
            let rows = self.0.iter().filter(|(key, _)| table == TABLE && contains(&range, key));
            let rows = rows.map(|(key, value)| (key.clone(), value.clone()));
            Ok(match direction {
                Direction::Forward => rows.take(limit).collect(),
                Direction::Backward => rows.rev().take(limit).collect(),
            })
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, i64),
        Delete(u8),
        Accept,
        Reject,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..12_u8, 0..9_i64).prop_map(|(key, value)| Step::Put(key, value)),
            (0..12_u8).prop_map(Step::Delete),
            Just(Step::Accept),
            Just(Step::Reject),
        ]
    }

    fn apply(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, step: &Step) {
        match step {
            Step::Put(key, value) => {
                rows.insert(vec![*key], value.to_be_bytes().to_vec());
            }
            Step::Delete(key) => {
                rows.remove([*key].as_slice());
            }
            Step::Accept | Step::Reject => {}
        }
    }

    fn write(plan: &mut Plan, step: &Step) {
        match step {
            Step::Put(key, value) => {
                plan.put_bytes(TABLE, vec![*key], value.to_be_bytes().to_vec());
            }
            Step::Delete(key) => plan.delete(TABLE, vec![*key]),
            Step::Accept => plan.accept(),
            Step::Reject => plan.reject(),
        }
    }

    fn committed(base: &Rows, batch: Batch) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut rows = base.0.clone();
        for (_, key, value) in batch.put.into_iter().filter(|(table, ..)| *table == TABLE) {
            rows.insert(key, value);
        }
        for (_, key) in batch.delete {
            rows.remove(&key);
        }
        rows
    }

    proptest! {
        #[test]
        fn a_plan_reads_as_its_batch_will(
            base in proptest::collection::btree_map(0..12_u8, 0..9_i64, 0..8),
            steps in proptest::collection::vec(step(), 0..40),
            start in 0..14_u8,
            end in 0..14_u8,
            limit in 1..6_usize,
        ) {
            let base = Rows(
                base.into_iter().map(|(k, v)| (vec![k], v.to_be_bytes().to_vec())).collect(),
            );
            let mut plan =
                Plan::rehearse(Box::new(base.clone()), Timestamp::from_millis(0)).unwrap();
            let mut accepted = base.0.clone();
            let mut current = accepted.clone();
            for step in &steps {
                write(&mut plan, step);
                apply(&mut current, step);
                match step {
                    Step::Accept => accepted = current.clone(),
                    Step::Reject => current = accepted.clone(),
                    _ => {}
                }
                for key in 0..12_u8 {
                    prop_assert_eq!(
                        MetaRead::get(&plan, TABLE, &[key]).unwrap(),
                        current.get([key].as_slice()).cloned()
                    );
                }
                for direction in [Direction::Forward, Direction::Backward] {
                    let range = (Bound::Included(vec![start]), Bound::Excluded(vec![end]));
                    let model = Rows(current.clone()).scan(TABLE, range.clone(), direction, limit);
                    let mut visited = Vec::new();
                    plan.visit(TABLE, &range, direction, limit, &mut |key, value| {
                        visited.push((key.to_vec(), value.to_vec()));
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                    let found = MetaRead::scan(&plan, TABLE, range, direction, limit);
                    prop_assert_eq!(&found.unwrap(), &visited);
                    prop_assert_eq!(visited, model.unwrap());
                }
            }
            plan.reject();
            prop_assert_eq!(committed(&base, plan.into_batch().unwrap().1), accepted);
        }
    }

    #[test]
    fn a_counter_adds_up_over_operations_and_a_damaged_one_stays_as_it_is() {
        let mut base = Rows::default();
        base.0.insert(vec![2], b"damaged".to_vec());
        let mut plan = Plan::rehearse(Box::new(base), Timestamp::from_millis(0)).unwrap();
        let counter = |plan: &Plan<'_>| rows::counter(plan, TABLE, &[1]).unwrap();
        plan.add(TABLE, vec![1], 0).unwrap();
        assert_eq!(MetaRead::get(&plan, TABLE, &[1]).unwrap(), None);
        plan.add(TABLE, vec![1], 3).unwrap();
        plan.accept();
        plan.add(TABLE, vec![1], 4).unwrap();
        assert_eq!(counter(&plan), 7);
        plan.reject();
        assert_eq!(counter(&plan), 3);
        plan.delete(TABLE, vec![1]);
        plan.add(TABLE, vec![1], 5).unwrap();
        assert_eq!(counter(&plan), 5);
        plan.add(TABLE, vec![1], i64::MAX).unwrap();
        assert_eq!(counter(&plan), i64::MAX);
        plan.add(TABLE, vec![2], 1).unwrap();
        assert_eq!(MetaRead::get(&plan, TABLE, &[2]).unwrap().unwrap(), b"damaged");
    }

    #[test]
    fn numbers_of_a_refused_operation_are_given_again() {
        let mut plan =
            Plan::rehearse(Box::new(Rows::default()), Timestamp::from_millis(0)).unwrap();
        plan.counters().version += 1;
        plan.reject();
        plan.counters().version += 1;
        plan.accept();
        assert_eq!(plan.counters().version, 1);
    }
}
