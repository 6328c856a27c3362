//! Reading all contents now and then, so that rot is found before someone needs what it hit.

use std::ops::Bound;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::metrics::Meter;
use crate::plan::Plan;
use crate::records::{BlobRecord, BlobState, Health, NumberRecord};
use crate::store::Inner;
use crate::{BlobKey, Direction, StoreError, codec, rows, tables};

/// In how many milliseconds each content is read once.
const PERIOD: i64 = 30 * 24 * 60 * 60 * 1000;
/// Rows read at a time.
const PAGE: usize = 64;

/// How much of a period, in milliseconds, is read again after a crash at most.
const KEPT_EVERY: i64 = 60 * 60 * 1000;
/// Key of the moment, in milliseconds, up to which contents were read.
pub(crate) const SCRUBBED_ROW: &[u8] = b"scrubbed";

/// Digests are spread evenly, so each content has its moment in a period by its digest, and the work
/// is spread over the period whatever the store holds.
fn position(now: i64) -> u64 {
    let share = u128::try_from(now.rem_euclid(PERIOD)).unwrap_or_default();
    let whole = u128::try_from(PERIOD).unwrap_or(1);
    u64::try_from((share << 64) / whole).unwrap_or(u64::MAX)
}

/// How much of a period, in milliseconds, so much of all digests takes.
fn share(digests: u64) -> i64 {
    let whole = u128::try_from(PERIOD).unwrap_or_default();
    i64::try_from((u128::from(digests) * whole) >> 64).unwrap_or_default()
}

/// How far contents were read, as it is known and as it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scrubbed {
    until: i64,
    kept: i64,
}

/// Begins with the moment at which a store is made.
pub(crate) fn begin(plan: &mut Plan) -> Result<(), StoreError> {
    let kept = plan.get::<NumberRecord>(tables::META, SCRUBBED_ROW)?;
    if kept.is_none() { keep(plan, plan.now().millis()) } else { Ok(()) }
}

fn keep(plan: &mut Plan, until: i64) -> Result<(), StoreError> {
    let until = NumberRecord(u64::try_from(until).unwrap_or_default());
    plan.put(tables::META, SCRUBBED_ROW.to_vec(), &until)
}

impl Inner {
    /// Reads the contents whose moment has come since it was done last, before this start too, and
    /// marks those that are not what they should be.
    pub(crate) fn scrub(&self, slice: Option<Duration>) -> Result<(), StoreError> {
        let mut scrubbed = self.maintenance.scrubbed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.options.clock.now().millis();
        let Scrubbed { mut until, mut kept } = match *scrubbed {
            Some(scrubbed) => scrubbed,
            None => self.kept_scrubbed(now)?,
        };
        let end = slice.map(|slice| Instant::now() + slice);
        // A clock that stepped back is no reason to wait until it is there again, and one period is
        // enough whatever time has gone by.
        until = until.clamp(now.saturating_sub(PERIOD - 1), now);
        until = match self.scrub_between(position(until), position(now), end)? {
            None => now,
            Some(reached) => until.saturating_add(share(reached.wrapping_sub(position(until)))),
        };
        if until.abs_diff(kept) >= KEPT_EVERY.unsigned_abs() {
            self.writer.change_freeing::<(), StoreError>(64, move |plan| keep(plan, until))?;
            kept = until;
        }
        *scrubbed = Some(Scrubbed { until, kept });
        Ok(())
    }

    fn kept_scrubbed(&self, now: i64) -> Result<Scrubbed, StoreError> {
        let kept = rows::get::<NumberRecord>(self.snapshot()?.as_ref(), tables::META, SCRUBBED_ROW);
        let kept =
            rows::left_out(kept)?.flatten().and_then(|NumberRecord(kept)| i64::try_from(kept).ok());
        let until = kept.unwrap_or(now);
        Ok(Scrubbed { until, kept: until })
    }

    /// Reads from one digest up to another; gives the one that it has come to, if it was told to stop
    /// or other work has its turn.
    fn scrub_between(
        &self,
        from: u64,
        to: u64,
        end: Option<Instant>,
    ) -> Result<Option<u64>, StoreError> {
        if from <= to {
            return self.scrub_range(from, Some(to), end);
        }
        match self.scrub_range(from, None, end)? {
            None => self.scrub_range(0, Some(to), end),
            stopped => Ok(stopped),
        }
    }

    fn scrub_range(
        &self,
        from: u64,
        to: Option<u64>,
        end: Option<Instant>,
    ) -> Result<Option<u64>, StoreError> {
        let last = to.map_or(Bound::Unbounded, |to| Bound::Excluded(to.to_be_bytes().to_vec()));
        let mut start = Bound::Included(from.to_be_bytes().to_vec());
        loop {
            let range = (start, last.clone());
            let page = self.snapshot()?.scan(tables::BLOB, range, Direction::Forward, PAGE)?;
            for (at, (key, value)) in page.iter().enumerate() {
                let is_late = at > 0 && end.is_some_and(|end| Instant::now() >= end);
                if (is_late || self.stops())
                    && let Some(reached) = tables::u64_at(key, 0)
                {
                    return Ok(Some(reached));
                }
                let record = codec::decode::<BlobRecord>(tables::BLOB, key, value);
                // Uses lie beside contents, and bad rows are for verification.
                if let (Ok(blob), Ok(record)) = (<[u8; 32]>::try_from(key.as_slice()), record) {
                    self.scrub_content(BlobKey(blob), &record)?;
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => start = Bound::Excluded(key.clone()),
                _ => return Ok(None),
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
        assert_eq!((share(1 << 63), share(0)), (PERIOD / 2, 0));
    }
}
