//! Changes that bring contents along.

use crate::collection::Suspect;
use crate::metrics::Meter;
use crate::pins::Pin;
use crate::plan::{self, Plan};
use crate::publish::{Publish, Way};
use crate::records::{BlobRecord, BlobState, Health};
use crate::store::Inner;
use crate::versions::{AddError, NewFile};
use crate::writer::{check_outside_plan, rehearse};
use crate::{BlobKey, MetaRead, Staged, StoreError, Want, blob_rows, rows, tables};

/// How often contents are published again because they went away meanwhile.
const ATTEMPTS: usize = 8;

/// Why a plan that uses contents came to nothing.
#[derive(Debug)]
pub(crate) enum Unstored<E> {
    /// The content of the file at this place went away after it was seen.
    Gone(usize),
    Refused(E),
}

impl<E: From<StoreError>> From<StoreError> for Unstored<E> {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl<E> Unstored<E> {
    /// What adding files refused, in the words of the operation.
    pub(crate) fn of(error: AddError, refused: impl FnOnce(AddError) -> E) -> Self {
        match error {
            AddError::Gone(at) => Self::Gone(at),
            other => Self::Refused(refused(other)),
        }
    }
}

/// Contents on their way into an operation.
struct Begun {
    pins: Vec<Pin>,
    snapshot: Box<dyn MetaRead>,
    ways: Vec<Way>,
}

impl Inner {
    /// Makes the contents of files durable and runs a plan that uses them. If one of them went away
    /// meanwhile, nothing of the plan stands: it is published again, and planned from the start.
    /// `hints` tells what the plan is going to read, as far as that is known.
    pub(crate) fn store_files<T, E>(
        &self,
        staged: &[&Staged],
        mut files: Vec<NewFile>,
        hints: impl Fn() -> Vec<Want>,
        plan: impl Fn(&mut Plan, &[NewFile]) -> Result<T, Unstored<E>> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        check_outside_plan()?;
        let mut publish = vec![Publish::IfMissing; files.len()];
        for _ in 0..ATTEMPTS {
            let Begun { pins, snapshot, ways } = self.begin_storing(staged, &publish, &hints)?;
            for (file, way) in files.iter_mut().zip(&ways) {
                file.source = way.source.clone();
            }
            let weight = files.iter().map(NewFile::weight).sum();
            let (planned, with) = (plan.clone(), files.clone());
            let planned = move |plan: &mut Plan| planned(plan, &with);
            // A refusal that a snapshot shows already needs no content published.
            let rehearsed = if self.is_shared() {
                rehearse(snapshot, self.options.clock.as_ref(), &self.context.types, &planned)
            } else {
                drop(snapshot);
                Ok(Vec::new())
            };
            let mut published = Vec::new();
            let stored = match rehearsed {
                Ok(wants) => {
                    for (staged, way) in staged.iter().zip(ways) {
                        if let Some(file) = way.file {
                            self.put(&staged.key(), &file)?;
                            published.push(staged.key());
                        }
                    }
                    self.writer.change_rehearsed(weight, wants, planned)
                }
                Err(refused) => Err(refused),
            };
            drop(pins);
            match stored {
                Ok(stored) => return Ok(stored),
                Err(Unstored::Refused(error)) => {
                    self.take_back(&published);
                    return Err(error);
                }
                Err(Unstored::Gone(at)) => {
                    if let Some(publish) = publish.get_mut(at) {
                        *publish = Publish::Again;
                    }
                }
            }
        }
        Err(StoreError::damaged("a content just stored").into())
    }

    /// Removes what was published for an operation that was refused. Where others write too, or
    /// where it is not known what a commit has left, that is for the sweep.
    fn take_back(&self, published: &[BlobKey]) {
        if self.is_shared() || self.is_closed() || self.writer.is_stopped() {
            return;
        }
        if self.options.switches().skip_taking_back() {
            return;
        }
        for blob in published {
            if let Err(error) = self.unpublish(*blob) {
                tracing::warn!(%error, "the content of a refused operation is left to the sweep");
            }
        }
    }

    /// Pins contents, which must hold until a row that uses them is durable, and tells by a snapshot
    /// how they come with an operation.
    fn begin_storing(
        &self,
        staged: &[&Staged],
        publish: &[Publish],
        hints: impl Fn() -> Vec<Want>,
    ) -> Result<Begun, StoreError> {
        loop {
            let pins: Vec<Pin> = staged.iter().map(|staged| self.pins.pin(staged.key())).collect();
            let mut wants = Vec::new();
            if self.is_shared() {
                for staged in staged {
                    let key = staged.key();
                    wants.push(Want::Row(tables::BLOB, key.0.to_vec()));
                    wants.push(blob_rows::uses_wanted(&key));
                }
                wants.push(plan::counters_wanted());
                wants.extend(hints());
            }
            let snapshot = self.snapshot_with(&wants)?;
            let mut ways = Vec::with_capacity(staged.len());
            let mut leaving = None;
            for (staged, publish) in staged.iter().zip(publish) {
                let key = staged.key();
                let row = rows::get(snapshot.as_ref(), tables::BLOB, &key.0);
                // A damaged row is made anew by the operation that uses the content.
                let row: Option<BlobRecord> = rows::left_out(row)?.flatten();
                let mut publish = *publish;
                match &row {
                    Some(BlobRecord { state: BlobState::Deleting, .. }) => leaving = Some(key),
                    // Who sends a content again is told that it is stored only after it was read.
                    Some(row)
                        if row.health == Health::Good
                            && publish == Publish::IfMissing
                            && !self.is_stored_well(snapshot.as_ref(), &key, row)? =>
                    {
                        self.mark_damaged(key);
                        publish = Publish::Again;
                    }
                    _ => {}
                }
                ways.push(Way::of(staged, row.as_ref(), publish));
            }
            let Some(leaving) = leaving else { return Ok(Begun { pins, snapshot, ways }) };
            // Left over from a crash: nothing may use the content before it is gone.
            drop((snapshot, pins));
            // While a backup keeps all contents, asking again and again would find the same.
            self.await_collection();
            if let Some(error) = self.collect(&[Suspect { blob: leaving, job: None }])? {
                return Err(error);
            }
        }
    }

    /// Counts files that were stored.
    pub(crate) fn count_stored(&self, files: usize) {
        (0..files).for_each(|_| Meter::count(&self.meter.files_stored));
    }
}
