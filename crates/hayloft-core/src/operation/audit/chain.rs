use crate::plan::COUNTERS;
use crate::records::{AuditRecord, CountersRecord};
use crate::{Action, MetaRead, StoreError, codec, rows, tables};

/// Follows the audit log row by row: each is chained to the one before.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Of the last row.
    pub(crate) number: u64,
    /// Its chain value.
    pub(crate) value: [u8; 32],
    /// False if the last row could not be read, so that nothing follows from it.
    pub(crate) known: bool,
}

/// What is wrong with the audit log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainFault {
    #[error("the rows after {after} and before {before} are missing")]
    Missing { after: u64, before: u64 },
    #[error("row {0} does not follow from the one before")]
    Broken(u64),
    #[error("row {row} cannot be read: {error}")]
    Unreadable { row: u64, error: StoreError },
    /// A repair has put it in the place of one that was damaged.
    #[error("row {0} was lost")]
    Lost(u64),
    #[error("the log ends at row {0}, the last written is another")]
    End(u64),
    #[error("row {0} is not what it was when its chain value was noted")]
    Anchor(u64),
}

impl Default for Chain {
    fn default() -> Self {
        Self { number: 0, value: [0; 32], known: true }
    }
}

impl Chain {
    /// Goes to the next row, and tells what is wrong with the step.
    pub(crate) fn follow(&mut self, key: &[u8], value: &[u8]) -> Vec<ChainFault> {
        let mut faults = Vec::new();
        let found = tables::u64_at(key, 0).unwrap_or_default();
        if found != self.number + 1 {
            faults.push(ChainFault::Missing { after: self.number, before: found });
            self.known = false;
        }
        self.number = found;
        let record: AuditRecord = match codec::decode(tables::AUDIT, key, value) {
            Ok(record) => record,
            Err(error) => {
                // It breaks the chain and is told as what it is.
                self.known = false;
                faults.push(ChainFault::Unreadable { row: found, error });
                return faults;
            }
        };
        if record.action == Action::Lost.as_str() {
            self.known = false;
            faults.push(ChainFault::Lost(found));
            return faults;
        }
        if self.known && codec::chain(&self.value, key, value) != Some(record.chain) {
            faults.push(ChainFault::Broken(found));
        }
        self.value = record.chain;
        self.known = true;
        faults
    }

    /// After the last row: it must be the last that was written.
    pub(crate) fn end(&self, read: &dyn MetaRead) -> Result<Option<ChainFault>, StoreError> {
        let counters: CountersRecord = rows::need(read, tables::META, COUNTERS)?;
        let at_end = self.number == counters.audit && (!self.known || self.value == counters.chain);
        Ok((!at_end).then_some(ChainFault::End(self.number)))
    }
}
