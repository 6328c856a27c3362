//! Removing the contents that nothing uses any more.

use std::sync::{PoisonError, RwLockWriteGuard};

use crate::codec::shown;
use crate::metrics::Meter;
use crate::pins::Claim;
use crate::plan::Plan;
use crate::records::{BlobRecord, BlobState, Place};
use crate::store::Inner;
use crate::{BlobKey, StoreError, Want, blob_rows, rows, tables};

/// Bytes that a commit writes for a content, roughly.
const WEIGHT: usize = 512;

/// A content that may be removed, and the job that says so.
#[derive(Debug, Clone)]
pub(crate) struct Suspect {
    pub(crate) blob: BlobKey,
    pub(crate) job: Option<Vec<u8>>,
}

/// What is to become of a suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its use is forbidden: the file goes, then the row.
    Doomed,
    /// There is nothing to remove, or it is used again.
    Spared,
    /// Its time has not come.
    Waiting,
}

impl Inner {
    /// Removes those of some contents that nothing uses and whose grace period is over: first their
    /// use is forbidden, durably, then their files are removed, then their rows, each for all of them
    /// at once. A crash in between leaves a step that is run again. Jobs that are done go with it.
    ///
    /// Gives the last failure of removing a file, which stops no other.
    ///
    /// Does nothing while a backup reads: its snapshot may name any of them. Jobs stay until then.
    pub(crate) fn collect(&self, suspects: &[Suspect]) -> Result<Option<StoreError>, StoreError> {
        let Ok(_no_backup) = self.collecting.try_read() else { return Ok(None) };
        let mut claims: Vec<Claim> = Vec::new();
        let (mut due, mut done) = (Vec::new(), Vec::new());
        {
            let snapshot = self.snapshot()?;
            self.prefetch(snapshot.as_ref(), || {
                suspects.iter().map(|one| Want::Row(tables::BLOB, one.blob.0.to_vec())).collect()
            })?;
            let now = self.options.clock.now().millis();
            for suspect in suspects {
                let row = rows::get::<BlobRecord>(snapshot.as_ref(), tables::BLOB, &suspect.blob.0);
                match rows::left_out(row)? {
                    // A damaged row is for verification to judge.
                    None => {}
                    Some(row) => match judge(row.map(|row| row.state), now, self.options.grace) {
                        Verdict::Waiting => {}
                        Verdict::Spared => done.extend(suspect.job.clone()),
                        Verdict::Doomed => {
                            if let Some(claim) = self.pins.claim(suspect.blob) {
                                claims.push(claim);
                                due.push(suspect.clone());
                            }
                        }
                    },
                }
            }
        }
        let verdicts = if self.options.switches().remove_before_forbidden() {
            vec![Verdict::Doomed; due.len()]
        } else {
            self.forbid(&due)?
        };
        let mut removed = Vec::new();
        let mut failure = None;
        for (suspect, verdict) in due.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Waiting => {}
                Verdict::Spared => done.extend(suspect.job),
                Verdict::Doomed => match self.blobs.delete(&suspect.blob) {
                    Ok(()) => {
                        done.extend(suspect.job);
                        removed.push(suspect.blob);
                    }
                    Err(error) => {
                        let what = format!("content {}", shown(&suspect.blob.0));
                        tracing::error!(%error, "{what} was not removed and is tried again later");
                        failure = Some(StoreError::io("remove", what)(error));
                    }
                },
            }
        }
        self.finish_collection(removed, done)?;
        Ok(failure)
    }

    /// Keeps all contents until the guard is dropped; waits for a collection that is under way. It
    /// lives in memory alone, so that it ends with the process.
    pub(crate) fn hold_collection(&self) -> RwLockWriteGuard<'_, ()> {
        self.collecting.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no backup keeps all contents.
    pub(crate) fn await_collection(&self) {
        drop(self.collecting.read().unwrap_or_else(PoisonError::into_inner));
    }

    /// Forbids the use of claimed contents.
    fn forbid(&self, due: &[Suspect]) -> Result<Vec<Verdict>, StoreError> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let blobs: Vec<BlobKey> = due.iter().map(|suspect| suspect.blob).collect();
        let grace = self.options.grace;
        self.writer.change_freeing(due.len() * WEIGHT, move |plan| {
            blobs.iter().map(|blob| forbid(plan, blob, grace)).collect()
        })
    }

    fn finish_collection(
        &self,
        removed: Vec<BlobKey>,
        done: Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        if removed.is_empty() && done.is_empty() {
            return Ok(());
        }
        let count = removed.len();
        self.writer.change_freeing::<(), StoreError>(
            (count + done.len()) * WEIGHT,
            move |plan| {
                for blob in &removed {
                    if let Some(row) = plan.get::<BlobRecord>(tables::BLOB, &blob.0)? {
                        blob_rows::remove_blob(plan, blob, &row);
                    }
                }
                for job in &done {
                    plan.delete(tables::JOB, job.clone());
                }
                Ok(())
            },
        )?;
        (0..count).for_each(|_| Meter::count(&self.meter.blobs_collected));
        Ok(())
    }
}

fn judge(state: Option<BlobState>, now: i64, grace: i64) -> Verdict {
    match state {
        None | Some(BlobState::Live) => Verdict::Spared,
        Some(BlobState::Deleting) => Verdict::Doomed,
        // A clock that stepped back makes a content stay longer, never shorter.
        Some(BlobState::Condemned(since)) if now.saturating_sub(since) >= grace => Verdict::Doomed,
        Some(BlobState::Condemned(_)) => Verdict::Waiting,
    }
}

fn forbid(plan: &mut Plan, blob: &BlobKey, grace: i64) -> Result<Verdict, StoreError> {
    let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &blob.0)? else {
        return Ok(Verdict::Spared);
    };
    let trusted = plan.switches.trust_use_counts() && row.uses == 0;
    if row.place != Place::File || (!trusted && blob_rows::is_used(plan, blob, &row)?) {
        return Ok(Verdict::Spared);
    }
    let verdict = judge(Some(row.state), plan.now().millis(), grace);
    if verdict == Verdict::Doomed && row.state != BlobState::Deleting {
        row.state = BlobState::Deleting;
        plan.put(tables::BLOB, blob.0.to_vec(), &row)?;
    }
    Ok(verdict)
}
