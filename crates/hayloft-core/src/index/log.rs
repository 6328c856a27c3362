//! Logs: what is appended never changes, and appending costs what is appended.

use std::ops::ControlFlow;

use hayloft_feed::{LogHead, Timestamp};
use md5::Md5;
use md5::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

use crate::plan::Plan;
use crate::records::{IndexLinesRecord, IndexLogRecord};
use crate::{Direction, MetaRead, StoreError, codec, rows, tables};

/// Most bytes of a row of lines.
pub(crate) const LINES: usize = 16_000;
/// First byte of the digests' states: names their layout.
const STATES: u8 = 1;
/// Rows read at a time.
const PAGE: usize = 64;

/// The digests over all lines of a log so far.
#[derive(Clone, Default)]
struct States {
    md5: Md5,
    sha256: Sha256,
}

impl States {
    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![STATES];
        bytes.extend_from_slice(&self.md5.serialize());
        bytes.extend_from_slice(&self.sha256.serialize());
        bytes
    }

    /// `None` for bytes of another layout.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (STATES, rest) = bytes.split_first().map(|(first, rest)| (*first, rest))? else {
            return None;
        };
        let length = size_of_val(&SerializedState::<Md5>::default());
        let (md5, sha256) = rest.split_at_checked(length)?;
        Some(Self {
            md5: Md5::deserialize(&md5.try_into().ok()?).ok()?,
            sha256: Sha256::deserialize(&sha256.try_into().ok()?).ok()?,
        })
    }
}

/// A log of a feed with its digests, to be read or appended to.
#[derive(Clone)]
pub(crate) struct Log {
    record: IndexLogRecord,
    states: States,
}

impl Log {
    fn begin(generation: u64, now: i64) -> Self {
        let record = IndexLogRecord {
            generation,
            length: 0,
            revision: 0,
            changed: now,
            digests: Vec::new(),
        };
        Self { record, states: States::default() }
    }

    /// The newest state of a log; `None` if nothing was ever appended.
    pub(crate) fn load(
        read: &dyn MetaRead,
        feed: u32,
        name: &[u8],
    ) -> Result<Option<Self>, StoreError> {
        let key = tables::index_log(feed, name);
        let Some(record) = rows::get::<IndexLogRecord>(read, tables::INDEX_LOG, &key)? else {
            return Ok(None);
        };
        let states = match States::from_bytes(&record.digests) {
            Some(states) => states,
            None => computed(read, feed, name, &record)?,
        };
        Ok(Some(Self { record, states }))
    }

    pub(crate) fn head(&self) -> LogHead {
        LogHead::new(
            self.record.generation,
            self.record.length,
            self.states.md5.clone().finalize().into(),
            self.states.sha256.clone().finalize().into(),
            Timestamp::from_millis(self.record.changed),
        )
    }

    fn append(
        &mut self,
        plan: &mut Plan,
        feed: u32,
        name: &[u8],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        for part in bytes.chunks(LINES) {
            let key = tables::index_lines(feed, name, self.record.generation, self.record.length);
            plan.put(tables::INDEX_LOG, key, &IndexLinesRecord(part.to_vec()))?;
            self.record.length += u64::try_from(part.len()).unwrap_or(u64::MAX);
        }
        self.states.update(bytes);
        Ok(())
    }

    fn write(&mut self, plan: &mut Plan, feed: u32, name: &[u8]) -> Result<(), StoreError> {
        self.record.revision = plan.sequence();
        self.record.changed = plan.now().millis();
        self.record.digests = self.states.to_bytes();
        plan.put(tables::INDEX_LOG, tables::index_log(feed, name), &self.record)
    }
}

/// A change of one log, collected before it is written.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    /// `None`: no log, and none to be written.
    log: Option<Log>,
    /// Whether the log begins anew, and in which generation.
    restarted: bool,
    removed: bool,
    appended: Vec<u8>,
}

impl Pending {
    pub(crate) fn load(read: &dyn MetaRead, feed: u32, name: &[u8]) -> Result<Self, StoreError> {
        Ok(Self { log: Log::load(read, feed, name)?, ..Self::default() })
    }

    pub(crate) fn append(&mut self, bytes: &[u8], sequence: u64, now: Timestamp) -> LogHead {
        let log = self.log.get_or_insert_with(|| Log::begin(sequence, now.millis()));
        self.removed = false;
        self.appended.extend_from_slice(bytes);
        let mut after = log.clone();
        after.states.update(&self.appended);
        after.record.length += u64::try_from(self.appended.len()).unwrap_or(u64::MAX);
        after.record.changed = now.millis();
        after.head()
    }

    pub(crate) fn restart(&mut self, sequence: u64, now: Timestamp) -> LogHead {
        // Several operations of one commit may begin it anew.
        let after = self.log.as_ref().map_or(0, |log| log.record.generation + 1);
        let generation = sequence.max(after);
        let fresh = Log::begin(generation, now.millis());
        let head = fresh.head();
        *self = Self { log: Some(fresh), restarted: true, ..Self::default() };
        head
    }

    pub(crate) fn is_something(&self) -> bool {
        self.restarted || self.removed || !self.appended.is_empty()
    }

    pub(crate) fn size(&self) -> usize {
        self.appended.len()
    }

    pub(crate) fn remove(&mut self) {
        *self = Self { removed: true, ..Self::default() };
    }

    /// Writes the rows; true if a generation's lines were left behind.
    pub(crate) fn write(
        mut self,
        plan: &mut Plan,
        feed: u32,
        name: &[u8],
    ) -> Result<bool, StoreError> {
        if self.removed {
            plan.delete(tables::INDEX_LOG, tables::index_log(feed, name));
            return Ok(true);
        }
        if let Some(log) = &mut self.log
            && (self.restarted || !self.appended.is_empty())
        {
            log.append(plan, feed, name, &self.appended)?;
            log.write(plan, feed, name)?;
        }
        Ok(self.restarted)
    }
}

/// False if the digests that a head goes on from are not those of its bytes.
pub(crate) fn is_sound(record: &IndexLogRecord, bytes: &[u8]) -> bool {
    let mut states = States::default();
    states.update(bytes);
    States::from_bytes(&record.digests).is_none_or(|kept| kept.to_bytes() == states.to_bytes())
}

fn computed(
    read: &dyn MetaRead,
    feed: u32,
    name: &[u8],
    record: &IndexLogRecord,
) -> Result<States, StoreError> {
    let mut states = States::default();
    read_lines(read, feed, name, record.generation, 0..record.length, &mut |bytes| {
        states.update(bytes);
        ControlFlow::Continue(())
    })?;
    Ok(states)
}

/// Shows the bytes of a generation of a log in a range of offsets, in order. Fails if some are
/// gone.
pub(crate) fn read_lines(
    read: &dyn MetaRead,
    feed: u32,
    name: &[u8],
    generation: u64,
    span: std::ops::Range<u64>,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let missing = || StoreError::damaged("a log of an index");
    let prefix = tables::index_log_generation(feed, name, generation);
    let mut at = span.start;
    // The row that holds the first byte may begin before it.
    let upto = tables::index_lines(feed, name, generation, span.start);
    let mut range = tables::prefixed_upto(&prefix, &upto);
    let mut direction = Direction::Backward;
    let mut limit = 1;
    while at < span.end {
        let page = read.scan(tables::INDEX_LOG, range, direction, limit)?;
        let Some((last, _)) = page.last() else { return Err(missing()) };
        let next = tables::prefixed_after(&prefix, last);
        for (key, value) in &page {
            let begins = tables::u64_at(key, prefix.len()).ok_or_else(missing)?;
            let IndexLinesRecord(bytes) = codec::decode(tables::INDEX_LOG, key, value)?;
            let skip = at.checked_sub(begins).ok_or_else(missing)?;
            let bytes = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..));
            let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(missing)?;
            let left = usize::try_from(span.end - at).unwrap_or(usize::MAX);
            let bytes = bytes.get(..left).unwrap_or(bytes);
            at += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if visit(bytes).is_break() {
                return Ok(());
            }
            if at >= span.end {
                return Ok(());
            }
        }
        (range, direction, limit) = (next, Direction::Forward, PAGE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_go_on_where_they_were_written() {
        let mut states = States::default();
        states.update(b"first line\n");
        let mut again = States::from_bytes(&states.to_bytes()).unwrap();
        states.update(b"second\n");
        again.update(b"second\n");
        assert_eq!(states.md5.finalize(), again.md5.finalize());
        assert_eq!(states.sha256.finalize(), again.sha256.finalize());
        assert!(States::from_bytes(b"").is_none());
        assert!(States::from_bytes(&[STATES, 1, 2]).is_none());
        assert!(States::from_bytes(&[9; 300]).is_none());
    }
}
