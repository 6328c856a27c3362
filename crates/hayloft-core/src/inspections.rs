//! One budget of memory for all package files that are being read, and a lane of its own for those
//! that are suspiciously costly.
//!
//! A reading begins with a little memory. One that needs more gives up, lets go of what it has and
//! is begun again with more; so nobody waits while holding memory, and the end of every reading
//! lets others through.

mod gate;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hayloft_feed::{Account, Exhausted, FeedTypeError, Inspected, Limits, Terms};

use crate::{OpenOptions, StoreError};
use gate::{Gate, Pass};

/// What nearly every package is read with.
const LITTLE: u64 = 2 << 20;
/// What packages with large manifests or the windows of strong compressors are read with.
const MORE: u64 = 16 << 20;
/// Readings that may wait for the rest of the memory, and for the lane of costly ones; together
/// fewer than the threads of a server that take uploads, so that these are never all waiting.
const MOST_WAITING: (usize, usize) = (32, 16);

/// Compressed data that unfolds to more than this, and more than [`RATIO`] times its size beyond,
/// is suspicious.
const SUSPICIOUS: u64 = 64 << 20;
/// Compressed data that unfolds to more than this, and more than [`RATIO`] times its size beyond,
/// is refused: that much work is a second's, whoever sends it and however little it is.
const HOSTILE: u64 = 1 << 30;
/// Real archives of that size shrink to a tenth, seldom to a thirtieth.
const RATIO: u64 = 30;

/// Admits the readings of package files.
#[derive(Debug)]
pub(crate) struct Inspections {
    /// A quarter of the memory, for many who need little of it.
    shared: Arc<Gate>,
    shared_memory: u64,
    /// The rest, for one at a time.
    whole: Arc<Gate>,
    whole_memory: u64,
    /// For one at a time, which may be costly.
    costly: Arc<Gate>,
    longest: Duration,
}

/// What a reading was let in with; to be kept as long as its result.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Given up first, so that who gets into the lane of costly readings finds it empty.
    _memory: Pass,
    _costly: Option<Pass>,
}

/// One try of a reading.
#[derive(Debug)]
pub(crate) struct Lane<'l> {
    limits: &'l Limits,
    terms: Terms,
    kept: Cell<u64>,
    exhausted: Cell<Option<Exhausted>>,
}

impl Inspections {
    pub(crate) fn new(options: &OpenOptions) -> Self {
        let memory = options.inspection_memory.max(2);
        let shared_memory = memory / 4 + 1;
        Self {
            shared: Gate::new(shared_memory),
            shared_memory,
            whole: Gate::new(1),
            whole_memory: memory - shared_memory,
            costly: Gate::new(1),
            longest: options.costly_inspection_time,
        }
    }

    /// Runs `work` with memory of the budget, again with more if that was too little. The result
    /// of a try that ran out is dropped, whatever it is. Fails if too many others wait.
    pub(crate) fn run<T, E: From<StoreError>>(
        &self,
        limits: &Limits,
        mut work: impl FnMut(&Lane<'_>) -> Result<T, E>,
    ) -> Result<(T, Admission), E> {
        let panicked = || StoreError::Panicked.into();
        let mut work = |lane: &Lane<'_>| guarded(|| work(lane), panicked);
        let done = self.run_behind(MOST_WAITING, limits, &mut work);
        done.unwrap_or_else(|| Err(StoreError::Busy.into()))
    }

    /// As [`Inspections::run`], and waits behind however many others.
    pub(crate) fn run_however_long<T>(
        &self,
        limits: &Limits,
        mut work: impl FnMut(&Lane<'_>) -> Result<T, FeedTypeError>,
    ) -> Result<(T, Admission), FeedTypeError> {
        let panicked = || FeedTypeError::refused("", "reading it panicked, which is a bug");
        let mut work = |lane: &Lane<'_>| guarded(|| work(lane), panicked);
        loop {
            if let Some(done) = self.run_behind((usize::MAX, usize::MAX), limits, &mut work) {
                return done;
            }
        }
    }

    /// `None` if more than `most_waiting` wait already.
    fn run_behind<T, E>(
        &self,
        most_waiting: (usize, usize),
        limits: &Limits,
        work: &mut dyn FnMut(&Lane<'_>) -> Result<T, E>,
    ) -> Option<Result<(T, Admission), E>> {
        let sizes = [LITTLE, MORE].map(|size| size.min(self.shared_memory));
        let mut sizes = sizes.into_iter();
        let (mut size, mut costly) = (sizes.next(), false);
        loop {
            let admission = self.admit(size, costly, most_waiting)?;
            let mut terms = Terms::default();
            terms.memory = size.unwrap_or(self.whole_memory);
            terms.unfolded = if costly { HOSTILE } else { SUSPICIOUS };
            terms.ratio = RATIO;
            terms.until = costly.then(|| Instant::now().checked_add(self.longest)).flatten();
            let lane = Lane { limits, terms, kept: Cell::new(0), exhausted: Cell::new(None) };
            let result = work(&lane);
            match lane.exhausted.get() {
                Some(Exhausted::Memory { .. }) if size.is_some() => size = sizes.next(),
                Some(Exhausted::Swollen) if !costly => costly = true,
                _ => return Some(result.map(|result| (result, admission))),
            }
        }
    }

    /// `None` is the rest of the memory. Who waits for the memory of others may hold the lane of
    /// costly readings, for those who hold memory never wait for it.
    fn admit(
        &self,
        size: Option<u64>,
        costly: bool,
        most_waiting: (usize, usize),
    ) -> Option<Admission> {
        let costly = if costly { Some(self.costly.enter(1, most_waiting.1)?) } else { None };
        let memory = match size {
            Some(size) => self.shared.enter(size, usize::MAX),
            None => self.whole.enter(1, most_waiting.0),
        };
        Some(Admission { _memory: memory?, _costly: costly })
    }
}

/// Runs what calls a feed type, whose panic must not be that of the caller.
fn guarded<T, E>(
    work: impl FnOnce() -> Result<T, E>,
    panicked: impl FnOnce() -> E,
) -> Result<T, E> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

impl Lane<'_> {
    /// Reads one file, with what memory earlier ones have left.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Limits) -> T) -> T {
        let mut terms = self.terms;
        terms.memory = terms.memory.saturating_sub(self.kept.get());
        let mut limits = self.limits.clone();
        limits.account = Account::new(terms);
        let result = work(&limits);
        if let Some(exhausted) = limits.account.exhausted() {
            self.exhausted.set(Some(exhausted));
        }
        result
    }

    /// Whether time ran out.
    pub(crate) fn is_late(&self) -> bool {
        self.exhausted.get() == Some(Exhausted::Time)
    }

    /// Counts what is kept of a file while others are read.
    pub(crate) fn keep(&self, found: &Inspected) {
        let documents = found.documents.iter().map(|document| document.bytes.len());
        let bytes = documents.fold(found.manifest.len(), usize::saturating_add);
        // Twice, for it is prepared for the rows.
        let kept = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2);
        self.kept.set(self.kept.get().saturating_add(kept));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn inspections(memory: u64) -> Inspections {
        let options = OpenOptions { inspection_memory: memory, ..OpenOptions::default() };
        Inspections::new(&options)
    }

    /// Reads something that takes `bytes`.
    fn take(lane: &Lane<'_>, bytes: u64) -> Result<u64, StoreError> {
        lane.read(|limits| limits.account.charge(bytes))
            .map_err(|_| StoreError::damaged("much"))?;
        Ok(lane.terms.memory)
    }

    #[test]
    fn a_reading_gets_as_much_memory_as_it_needs() {
        let inspections = inspections(256 << 20);
        let limits = Limits::default();
        for (bytes, expected) in [
            (0, LITTLE),
            (LITTLE, LITTLE),
            (LITTLE + 1, MORE),
            (MORE + 1, inspections.whole_memory),
            (inspections.whole_memory, inspections.whole_memory),
        ] {
            let (got, _) = inspections.run(&limits, |lane| take(lane, bytes)).unwrap();
            assert_eq!(got, expected);
        }
        let mut tries = 0;
        let refused = inspections.run(&limits, |lane| {
            tries += 1;
            take(lane, inspections.whole_memory + 1)
        });
        assert!(matches!(refused, Err(StoreError::Damaged { .. })));
        assert_eq!(tries, 3);
        assert!(inspections.shared_memory + inspections.whole_memory == 256 << 20);
    }

    #[test]
    fn all_readings_together_stay_within_the_budget() {
        const BUDGET: u64 = 64 << 20;
        let inspections = inspections(BUDGET);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..16_u64 {
                let (inspections, held, most) = (&inspections, &held, &most);
                scope.spawn(move || {
                    for round in 0..20 {
                        let bytes = [1 << 10, 1 << 20, 10 << 20, 40 << 20];
                        let bytes = bytes[usize::try_from((thread + round) % 4).unwrap()];
                        let result = inspections.run(&Limits::default(), |lane| {
                            take(lane, bytes)?;
                            let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                            most.fetch_max(now, Ordering::SeqCst);
                            thread::yield_now();
                            held.fetch_sub(bytes, Ordering::SeqCst);
                            Ok::<_, StoreError>(())
                        });
                        result.unwrap();
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= BUDGET);
    }

    #[test]
    fn a_costly_reading_keeps_nobody_waiting_but_other_costly_ones() {
        let inspections = inspections(256 << 20);
        let limits = Limits::default();
        let swollen = |lane: &Lane<'_>| -> Result<bool, StoreError> {
            let unfolded = lane.read(|limits| limits.account.unfold(0, SUSPICIOUS + 1));
            unfolded.map_err(|_| StoreError::damaged("swollen"))?;
            Ok(lane.terms.until.is_some())
        };
        let (started, go_on) = (Barrier::new(2), Barrier::new(2));
        let tries = AtomicUsize::new(0);
        thread::scope(|scope| {
            let costly = scope.spawn(|| {
                let done = inspections.run(&limits, |lane| {
                    let timed = swollen(lane)?;
                    started.wait();
                    go_on.wait();
                    Ok::<_, StoreError>(timed)
                });
                done.unwrap().0
            });
            started.wait();
            let second = scope.spawn(|| {
                let done = inspections.run(&limits, |lane| {
                    tries.fetch_add(1, Ordering::SeqCst);
                    swollen(lane)
                });
                done.unwrap().0
            });
            while inspections.costly.waiting() == 0 {
                thread::yield_now();
            }
            for bytes in [1, LITTLE + 1, MORE + 1] {
                inspections.run(&limits, |lane| take(lane, bytes)).unwrap();
            }
            assert_eq!(tries.load(Ordering::SeqCst), 1);
            go_on.wait();
            assert!(costly.join().unwrap());
            assert!(second.join().unwrap());
            assert_eq!(tries.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn what_is_hostile_is_refused_in_the_costly_lane() {
        let inspections = inspections(256 << 20);
        let mut tries = 0;
        let refused = inspections.run(&Limits::default(), |lane| {
            tries += 1;
            lane.read(|limits| limits.account.unfold(0, HOSTILE + 1))
                .map_err(|_| StoreError::damaged("swollen"))
        });
        assert!(refused.is_err());
        assert_eq!(tries, 2);
    }

    #[test]
    fn what_is_kept_of_a_file_is_missing_for_the_next() {
        let inspections = inspections(256 << 20);
        let mut tries = 0;
        let ((), _) = inspections
            .run(&Limits::default(), |lane| {
                tries += 1;
                lane.kept.set(LITTLE);
                take(lane, 1).map(drop)
            })
            .unwrap();
        assert_eq!(tries, 2);
    }

    #[test]
    fn too_many_who_wait_are_sent_away() {
        let inspections = inspections(256 << 20);
        let (started, go_on) = (Barrier::new(2), Barrier::new(2));
        let limits = Limits::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                let done = inspections.run(&limits, |lane| {
                    take(lane, MORE + 1)?;
                    started.wait();
                    go_on.wait();
                    Ok::<_, StoreError>(())
                });
                done.unwrap();
            });
            started.wait();
            let waiting: Vec<_> = (0..MOST_WAITING.0)
                .map(|_| {
                    // What it was let in with goes at once, not when it is joined: those before it
                    // may wait for that.
                    scope.spawn(|| inspections.run(&limits, |lane| take(lane, MORE + 1)).map(drop))
                })
                .collect();
            while inspections.whole.waiting() < MOST_WAITING.0 {
                thread::yield_now();
            }
            let refused = inspections.run(&limits, |lane| take(lane, MORE + 1));
            assert!(matches!(refused, Err(StoreError::Busy)));
            inspections.run(&limits, |lane| take(lane, LITTLE)).unwrap();
            go_on.wait();
            for waiting in waiting {
                waiting.join().unwrap().unwrap();
            }
        });
    }
}
