//! Changes that bring contents along.

use crate::metrics::Meter;
use crate::pins::Pin;
use crate::plan::Plan;
use crate::publish::Publish;
use crate::store::Inner;
use crate::versions::{AddError, NewFile};
use crate::{Staged, StoreError};

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

impl Inner {
    /// Makes the contents of files durable and runs a plan that uses them. If one of them went away
    /// meanwhile, nothing of the plan stands: it is published again, and planned from the start.
    pub(crate) fn store_files<T, E>(
        &self,
        staged: &[&Staged],
        mut files: Vec<NewFile>,
        plan: impl Fn(&mut Plan, &[NewFile]) -> Result<T, Unstored<E>> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut publish = vec![Publish::IfMissing; files.len()];
        for _ in 0..ATTEMPTS {
            let mut pins: Vec<Pin> = Vec::with_capacity(files.len());
            for ((file, staged), publish) in files.iter_mut().zip(staged).zip(&publish) {
                let (pin, source) = self.publish(staged, *publish)?;
                file.source = source;
                pins.push(pin);
            }
            let weight = files.iter().map(NewFile::weight).sum();
            let (planned, with) = (plan.clone(), files.clone());
            let stored = self.writer.change(weight, move |plan| planned(plan, &with));
            drop(pins);
            match stored {
                Ok(stored) => return Ok(stored),
                Err(Unstored::Refused(error)) => return Err(error),
                Err(Unstored::Gone(at)) => {
                    if let Some(publish) = publish.get_mut(at) {
                        *publish = Publish::Again;
                    }
                }
            }
        }
        Err(StoreError::damaged("a content just stored").into())
    }

    /// Counts files that were stored.
    pub(crate) fn count_stored(&self, files: usize) {
        (0..files).for_each(|_| Meter::count(&self.meter.files_stored));
    }
}
