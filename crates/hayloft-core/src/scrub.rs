//! Reading all contents now and then, so that rot is found before someone needs what it hit.

use std::ops::Bound;
use std::sync::PoisonError;

use crate::metrics::Meter;
use crate::records::{BlobRecord, BlobState, Health};
use crate::store::Inner;
use crate::{BlobKey, Direction, StoreError, codec, rows, tables};

/// In how many milliseconds each content is read once.
const PERIOD: i64 = 30 * 24 * 60 * 60 * 1000;
/// Rows read at a time.
const PAGE: usize = 64;

/// Digests are spread evenly, so each content has its moment in a period by its digest: the work is
/// spread over the period whatever the store holds, and nothing has to be remembered.
fn position(now: i64) -> u64 {
    let share = u128::try_from(now.rem_euclid(PERIOD)).unwrap_or_default();
    let whole = u128::try_from(PERIOD).unwrap_or(1);
    u64::try_from((share << 64) / whole).unwrap_or(u64::MAX)
}

impl Inner {
    /// Reads the contents whose moment has come since the last call, and marks those that are not what
    /// they should be.
    pub(crate) fn scrub(&self) -> Result<(), StoreError> {
        let to = position(self.options.clock.now().millis());
        let from = {
            let mut scrubbed =
                self.maintenance.scrubbed.lock().unwrap_or_else(PoisonError::into_inner);
            scrubbed.replace(to)
        };
        let Some(from) = from else { return Ok(()) };
        // A clock that stepped back, or far ahead, is no reason to read everything.
        if to.wrapping_sub(from) > u64::MAX / 2 {
            return Ok(());
        }
        if from <= to {
            return self.scrub_range(from, Some(to));
        }
        self.scrub_range(from, None)?;
        self.scrub_range(0, Some(to))
    }

    fn scrub_range(&self, from: u64, to: Option<u64>) -> Result<(), StoreError> {
        let end = to.map_or(Bound::Unbounded, |to| Bound::Excluded(to.to_be_bytes().to_vec()));
        let mut start = Bound::Included(from.to_be_bytes().to_vec());
        loop {
            let range = (start, end.clone());
            let page = self.snapshot()?.scan(tables::BLOB, range, Direction::Forward, PAGE)?;
            for (key, value) in &page {
                if self.stops() {
                    return Ok(());
                }
                let record = codec::decode::<BlobRecord>(tables::BLOB, key, value);
                // Uses lie beside contents, and bad rows are for verification.
                if let (Ok(blob), Ok(record)) = (<[u8; 32]>::try_from(key.as_slice()), record) {
                    self.scrub_content(BlobKey(blob), &record)?;
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => start = Bound::Excluded(key.clone()),
                _ => return Ok(()),
            }
        }
    }

    fn scrub_content(&self, blob: BlobKey, record: &BlobRecord) -> Result<(), StoreError> {
        if record.state == BlobState::Deleting || record.health == Health::Damaged {
            return Ok(());
        }
        Meter::count(&self.meter.blobs_scrubbed);
        if self.is_stored_well(self.snapshot()?.as_ref(), &blob, record)? {
            return Ok(());
        }
        // It may have been removed or replaced meanwhile: only what is still so counts.
        let snapshot = self.snapshot()?;
        let now = rows::get::<BlobRecord>(snapshot.as_ref(), tables::BLOB, &blob.0)?;
        if let Some(now) = now.filter(|now| now.state != BlobState::Deleting)
            && !self.is_stored_well(snapshot.as_ref(), &blob, &now)?
        {
            drop(snapshot);
            self.mark_damaged(blob);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_goes_once_through_all_digests() {
        assert_eq!(position(0), 0);
        assert_eq!(position(PERIOD / 2), 1 << 63);
        assert_eq!(position(PERIOD), 0);
        assert!(position(PERIOD - 1) > u64::MAX - (1 << 40));
        assert_eq!(position(-PERIOD / 4), 3 << 62);
    }
}
