//! The one thread that writes metadata: group commit.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::metrics::Meter;
use crate::mutations::Switches;
use crate::plan::{self, Plan};
use crate::small::{Changed, SmallTables};
use crate::space::{Room, Space};
use crate::{Clock, CommitError, FeedTypes, MetaRead, MetaStore, StoreError, Want, index};

/// Most operations in one commit.
const BATCH_OPERATIONS: usize = 256;
/// Most bytes in one commit, by the operations' own estimate; one operation may be larger.
const BATCH_BYTES: usize = 1 << 20;
/// How long a batch is planned again because other processes came first.
const AGAIN: Duration = Duration::from_secs(10);
/// Operations that may wait; more callers wait for a place.
const QUEUE: usize = 1024;

thread_local! {
    /// True while this thread runs an operation's plan.
    static PLANNING: Cell<bool> = const { Cell::new(false) };
}

/// Fails in a thread that runs a plan, which must not wait for what waits for the writer.
pub(crate) fn check_outside_plan() -> Result<(), StoreError> {
    if PLANNING.get() { Err(StoreError::Reentrant) } else { Ok(()) }
}

/// Marks the thread as running a plan.
struct Planning;

impl Planning {
    fn begin() -> Self {
        PLANNING.set(true);
        Self
    }
}

impl Drop for Planning {
    fn drop(&mut self) {
        PLANNING.set(false);
    }
}

/// An operation on its way through the writer.
trait Operation: Send {
    /// Bytes that it is going to write, roughly.
    fn weight(&self) -> usize;
    fn room(&self) -> Room;
    /// What planning is going to read, as far as that is known.
    fn wants(&self) -> &[Want];
    /// Plans, perhaps not for the first time; true if it was not refused.
    fn plan(&mut self, plan: &mut Plan) -> bool;
    /// Refuses what was planned.
    fn fail(&mut self, error: StoreError);
    /// Answers the caller: with what planning gave, or with why that does not count.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

struct Planned<F, T, E> {
    weight: usize,
    room: Room,
    wants: Vec<Want>,
    plan: F,
    result: Option<Result<T, E>>,
    reply: SyncSender<Result<T, E>>,
}

impl<F, T, E> Operation for Planned<F, T, E>
where
    F: Fn(&mut Plan) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn room(&self) -> Room {
        self.room
    }

    fn wants(&self) -> &[Want] {
        &self.wants
    }

    fn plan(&mut self, plan: &mut Plan) -> bool {
        let result = run(&self.plan, plan);
        let accepted = result.is_ok();
        self.result = Some(result);
        accepted
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let Self { plan, result, reply, .. } = *self;
        // It may hold the caller's last handle of a store but the one that waits for the answer.
        drop(plan);
        let result = match (failure, result) {
            (None, Some(result)) => result,
            (Some(failure), _) => Err(failure.into()),
            (None, None) => Err(StoreError::Closed.into()),
        };
        // A caller that gave up waiting no longer wants to know.
        let _ = reply.send(result);
    }
}

/// Runs a plan. What types and callers bring along must not end all writing: a panic is a refusal,
/// and what was planned by then is dropped like that of any other.
fn run<T, E>(plan: impl Fn(&mut Plan) -> Result<T, E>, on: &mut Plan) -> Result<T, E>
where
    E: From<StoreError>,
{
    let _planning = Planning::begin();
    panic::catch_unwind(AssertUnwindSafe(|| plan(on)))
        .unwrap_or_else(|_| Err(StoreError::Panicked.into()))
}

/// Runs a plan on a snapshot, and tells what it read. Only a refusal can be answered from it: what
/// a snapshot of a shared engine shows may still be lost.
pub(crate) fn rehearse<T, E>(
    snapshot: Box<dyn MetaRead>,
    clock: &dyn Clock,
    types: &FeedTypes,
    plan: impl Fn(&mut Plan) -> Result<T, E>,
) -> Result<Vec<Want>, E>
where
    E: From<StoreError>,
{
    let mut rehearsal = Plan::rehearse(snapshot, clock.now())?;
    run(plan, &mut rehearsal)?;
    // What this comes to is for the turn to tell; here it tells what is read for it.
    let derived = panic::catch_unwind(AssertUnwindSafe(|| index::derive(&mut rehearsal, types)));
    drop(derived);
    Ok(rehearsal.into_wants())
}

/// What plans are rehearsed on.
#[derive(Clone)]
struct Rehearsals {
    meta: Arc<dyn MetaStore>,
    clock: Arc<dyn Clock>,
    types: FeedTypes,
}

/// What callers need to have something written.
#[derive(Clone)]
struct Entrance {
    queue: SyncSender<Box<dyn Operation>>,
    /// Where plans are rehearsed; an engine that is not shared needs none of that.
    rehearsals: Option<Rehearsals>,
}

/// The way to the writer thread.
pub(crate) struct Writer {
    /// `None` once closed.
    entrance: Mutex<Option<Entrance>>,
    space: Arc<Space>,
    /// An engine that is shared has a disk of its own.
    is_shared: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: Arc<AtomicBool>,
    /// The engine is being opened again.
    away: AtomicBool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Writer").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn start(below: Below, space: Arc<Space>) -> Result<Self, StoreError> {
        let writer = Self {
            entrance: Mutex::new(None),
            space,
            is_shared: below.meta.is_shared(),
            thread: Mutex::new(None),
            stopped: Arc::default(),
            away: AtomicBool::new(false),
        };
        writer.enter(below)?;
        Ok(writer)
    }

    /// Lets nothing more through to an engine that has failed; what waits is refused.
    pub(crate) fn leave(&self) {
        self.away.store(true, Ordering::Release);
        self.stop();
        self.close();
    }

    /// Begins to write to an engine.
    pub(crate) fn enter(&self, below: Below) -> Result<(), StoreError> {
        let (queue, operations) = mpsc::sync_channel(QUEUE);
        let rehearsals = self.is_shared.then(|| Rehearsals {
            meta: below.meta.clone(),
            clock: below.clock.clone(),
            types: below.types.clone(),
        });
        self.stopped.store(false, Ordering::Release);
        let thread = Thread { below, stopped: self.stopped.clone() };
        let thread = thread::Builder::new()
            .name("hayloft-writer".to_owned())
            .spawn(move || thread.run(&operations))
            .map_err(StoreError::io("start a thread for", "the writer"))?;
        let mut entrance = self.entrance.lock().unwrap_or_else(PoisonError::into_inner);
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        *entrance = Some(Entrance { queue, rehearsals });
        drop(entrance);
        self.away.store(false, Ordering::Release);
        Ok(())
    }

    fn entrance(&self) -> Result<Entrance, StoreError> {
        let entrance = self.entrance.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_away = self.away.load(Ordering::Acquire);
        entrance.ok_or(if is_away { StoreError::Stopped } else { StoreError::Closed })
    }

    /// Runs `plan` in the writer and waits until what it wrote is durable.
    ///
    /// `plan` is to be a pure function of what it reads: it may run several times, of which the
    /// last one counts. It must not wait for anything; a change inside it is refused.
    pub(crate) fn change<T, E>(
        &self,
        weight: usize,
        plan: impl Fn(&mut Plan) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.change_expecting(Room::Needed, weight, Vec::new(), plan)
    }

    /// The same for changes that make room, or that the store itself cannot do without.
    pub(crate) fn change_freeing<T, E>(
        &self,
        weight: usize,
        plan: impl Fn(&mut Plan) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.change_expecting(Room::Freed, weight, Vec::new(), plan)
    }

    /// The same, where `hints` tell what the plan is going to read, as far as that is known and
    /// saves anything.
    pub(crate) fn change_expecting<T, E>(
        &self,
        room: Room,
        weight: usize,
        hints: Vec<Want>,
        plan: impl Fn(&mut Plan) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        check_outside_plan()?;
        let wants = self.rehearsed(hints, &plan)?;
        self.send(room, weight, wants, plan)
    }

    /// What a plan reads, where that has to be known.
    fn rehearsed<T, E>(
        &self,
        mut hints: Vec<Want>,
        plan: impl Fn(&mut Plan) -> Result<T, E>,
    ) -> Result<Vec<Want>, E>
    where
        E: From<StoreError>,
    {
        match self.entrance()?.rehearsals {
            None => Ok(Vec::new()),
            Some(Rehearsals { meta, clock, types }) => {
                hints.push(plan::counters_wanted());
                let snapshot = meta.snapshot(&hints).map_err(StoreError::from)?;
                rehearse(snapshot, clock.as_ref(), &types, &plan)
            }
        }
    }

    /// Runs in the writer what was rehearsed, or needs no rehearsal; `wants` is what it reads.
    pub(crate) fn change_rehearsed<T, E>(
        &self,
        weight: usize,
        wants: Vec<Want>,
        plan: impl Fn(&mut Plan) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        check_outside_plan()?;
        self.send(Room::Needed, weight, wants, plan)
    }

    fn send<T, E>(
        &self,
        room: Room,
        weight: usize,
        wants: Vec<Want>,
        plan: impl Fn(&mut Plan) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if room == Room::Needed && !self.is_shared {
            self.space.check()?;
        } else {
            self.space.check_writable()?;
        }
        let Entrance { queue, .. } = self.entrance()?;
        let (reply, answer) = mpsc::sync_channel(1);
        let operation = Planned { weight, room, wants, plan, result: None, reply };
        queue.send(Box::new(operation)).map_err(|_| StoreError::Closed)?;
        drop(queue);
        answer.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Refuses all further changes: something failed whose outcome is not known.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// True once changes are refused.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Lets the thread finish what waits and end.
    pub(crate) fn close(&self) {
        drop(self.entrance.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread ended by a panic");
        }
    }
}

impl Drop for Writer {
    /// The thread holds the metadata open; who drops the writer may want to open it again at once.
    fn drop(&mut self) {
        self.close();
    }
}

/// What the writer works on.
pub(crate) struct Below {
    pub(crate) meta: Arc<dyn MetaStore>,
    pub(crate) types: FeedTypes,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) small: Arc<SmallTables>,
    /// What tests leave out.
    pub(crate) switches: Switches,
}

struct Thread {
    below: Below,
    stopped: Arc<AtomicBool>,
}

/// What it takes to end a batch, wherever its commit ends. It does not keep the engine: that would
/// be closed by whoever is done last, perhaps long after its owner was told that it is.
#[derive(Clone)]
struct Aftermath {
    meta: Weak<dyn MetaStore>,
    is_shared: bool,
    meter: Arc<Meter>,
    small: Arc<SmallTables>,
    stopped: Arc<AtomicBool>,
}

type Operations = Vec<Box<dyn Operation>>;

impl Thread {
    fn run(&self, operations: &Receiver<Box<dyn Operation>>) {
        let mut first = operations.recv().ok();
        while let Some(operation) = first.take() {
            let mut bytes = operation.weight();
            let mut batch = vec![operation];
            // No timer: a lone caller waits for no one, and many meet while a commit runs.
            while batch.len() < BATCH_OPERATIONS && bytes < BATCH_BYTES {
                let Ok(next) = operations.try_recv() else { break };
                if bytes.saturating_add(next.weight()) > BATCH_BYTES {
                    first = Some(next);
                    break;
                }
                bytes += next.weight();
                batch.push(next);
            }
            self.serve(batch);
            if first.is_none() {
                first = operations.recv().ok();
            }
        }
    }

    /// Plans a batch and has it written. The engine may still be at the one before, which then is
    /// what this one is planned on: all answers wait for their own commit, those of refusals and of
    /// what changes nothing too, since it may be the one before that they follow from.
    fn serve(&self, mut batch: Operations) {
        if self.stopped.load(Ordering::Acquire) {
            return answer(batch, Some(&StoreError::Stopped));
        }
        if self.below.meta.is_shared() {
            let outcome = self.commit_shared(&mut batch);
            return answer(batch, outcome.err().as_ref());
        }
        let planned =
            self.plan(&mut batch).and_then(|(plan, accepted)| Ok((plan.seal()?, accepted)));
        match planned {
            Ok((sealed, accepted)) => {
                let after = self.aftermath();
                sealed.submit(move |outcome| after.settle(batch, accepted, outcome));
            }
            Err(failure) => answer(batch, Some(&failure)),
        }
    }

    fn aftermath(&self) -> Aftermath {
        let Below { meta, meter, small, .. } = &self.below;
        Aftermath {
            meta: Arc::downgrade(meta),
            is_shared: meta.is_shared(),
            meter: meter.clone(),
            small: small.clone(),
            stopped: self.stopped.clone(),
        }
    }

    /// Plans a batch on the newest state; tells how many were not refused.
    fn plan(&self, batch: &mut Operations) -> Result<(Plan<'_>, u64), StoreError> {
        let Below { meta, clock, .. } = &self.below;
        let wants: Vec<Want> = batch.iter().flat_map(|one| one.wants()).cloned().collect();
        let mut plan = Plan::begin(meta.turn(&wants)?, clock.now())?;
        plan.switches = self.below.switches;
        let mut accepted = 0;
        for operation in batch.iter_mut() {
            if self.planned(operation.as_mut(), &mut plan) {
                plan.accept();
                if operation.room() == Room::Freed {
                    plan.frees_room();
                }
                accepted += 1;
            } else {
                plan.reject();
            }
        }
        Ok((plan, accepted))
    }

    /// Commits to an engine that others write to, planning again if one of them came first.
    fn commit_shared(&self, batch: &mut Operations) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            let (plan, accepted) = self.plan(batch)?;
            if accepted == 0 {
                return Ok(());
            }
            // Even what changes nothing is written: such an engine may show what it then loses,
            // unless a later commit of ours stands.
            match plan.seal_always()?.commit() {
                Ok(()) => {
                    self.aftermath().count(accepted);
                    return Ok(());
                }
                Err(CommitError::Conflict) if begun.elapsed() < AGAIN => {}
                Err(error) => return Err(self.aftermath().failed(error)),
            }
        }
    }

    /// Plans an operation and what follows from it for indexes; true if it was not refused.
    fn planned(&self, operation: &mut dyn Operation, plan: &mut Plan) -> bool {
        if !operation.plan(plan) {
            return false;
        }
        // A type's hook must not end all writing either.
        let derived =
            panic::catch_unwind(AssertUnwindSafe(|| index::derive(plan, &self.below.types)))
                .unwrap_or(Err(StoreError::Panicked));
        match derived {
            Ok(()) => true,
            Err(error) => {
                operation.fail(error);
                false
            }
        }
    }
}

impl Aftermath {
    /// Gives the answers once a commit has ended.
    fn settle(
        &self,
        batch: Operations,
        accepted: u64,
        outcome: Result<Option<Changed>, CommitError>,
    ) {
        let failure = match outcome {
            Ok(None) => None,
            Ok(Some(changed)) => {
                if !changed.is_empty() {
                    self.small.apply(&changed);
                }
                self.count(accepted);
                None
            }
            Err(error) => Some(self.failed(error)),
        };
        answer(batch, failure.as_ref());
    }

    fn count(&self, accepted: u64) {
        Meter::count(&self.meter.commits);
        self.meter.changes.fetch_add(accepted, Ordering::Relaxed);
        self.meter.largest_batch.fetch_max(accepted, Ordering::Relaxed);
    }

    fn failed(&self, error: CommitError) -> StoreError {
        tracing::error!(%error, "a commit failed");
        match error {
            CommitError::NoSpace { available, needed } => {
                StoreError::NoSpace { available, floor: needed }
            }
            CommitError::Rejected(_) => {
                if self.meta.upgrade().is_none_or(|meta| meta.must_reopen()) {
                    self.stopped.store(true, Ordering::Release);
                }
                StoreError::NotStored(Arc::new(error))
            }
            // Only another writer on the same store can make the fence fail.
            CommitError::Conflict => {
                self.stop_unless_shared();
                StoreError::NotStored(Arc::new(error))
            }
            CommitError::Unknown(_) => {
                self.stop_unless_shared();
                StoreError::Unknown(Arc::new(error))
            }
        }
    }

    /// A shared engine is its own judge of what it holds; any other has to be opened anew.
    fn stop_unless_shared(&self) {
        if !self.is_shared {
            self.small.forget();
            self.stopped.store(true, Ordering::Release);
        }
    }
}

fn answer(batch: Operations, failure: Option<&StoreError>) {
    for operation in batch {
        operation.answer(failure.map(StoreError::again));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::SettingRecord;
    use crate::{Fs, RealFs, RedbOptions, RedbStore, SystemClock, tables};

    type Waiting = (Box<dyn Operation>, Receiver<Result<u8, StoreError>>);

    fn operation(plan: impl Fn(&mut Plan) -> Result<u8, StoreError> + Send + 'static) -> Waiting {
        let (reply, answer) = mpsc::sync_channel(1);
        (
            Box::new(Planned {
                weight: 1,
                room: Room::Needed,
                wants: Vec::new(),
                plan,
                result: None,
                reply,
            }),
            answer,
        )
    }

    fn set(plan: &mut Plan, key: &str) -> Result<(), StoreError> {
        plan.put(tables::SETTING, key.as_bytes().to_vec(), &SettingRecord(key.to_owned()))
    }

    fn is_set(plan: &Plan, key: &str) -> bool {
        plan.get::<SettingRecord>(tables::SETTING, key.as_bytes()).unwrap().is_some()
    }

    #[test]
    fn an_operation_that_is_refused_or_panics_takes_no_other_of_its_batch_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let path = directory.path().join("meta.redb");
        let meta = RedbStore::create(&fs, &path, &RedbOptions::default()).unwrap();
        let below = Below {
            types: FeedTypes::none(),
            meta: Arc::new(meta),
            clock: Arc::new(SystemClock),
            meter: Arc::default(),
            small: Arc::default(),
            switches: Switches::default(),
        };
        let thread = Thread { below, stopped: Arc::default() };
        let (batch, answers): (Vec<_>, Vec<_>) = [
            operation(|plan| {
                set(plan, "first")?;
                plan.counters().version += 1;
                Ok(1)
            }),
            operation(|plan| {
                set(plan, "second")?;
                plan.counters().version += 1;
                Err(StoreError::damaged("what was asked for"))
            }),
            operation(|plan| {
                set(plan, "third")?;
                panic!("a feed type is broken");
            }),
            operation(|plan| {
                assert!(is_set(plan, "first") && !is_set(plan, "second") && !is_set(plan, "third"));
                set(plan, "fourth")?;
                plan.counters().version += 1;
                Ok(u8::try_from(plan.counters().version).unwrap())
            }),
        ]
        .into_iter()
        .unzip();
        thread.serve(batch);
        let answers: Vec<_> = answers.iter().map(|answer| answer.recv().unwrap()).collect();
        assert!(
            matches!(
                answers.as_slice(),
                [
                    Ok(1),
                    Err(StoreError::Damaged { .. }),
                    Err(StoreError::Panicked),
                    // The number that the refused operation took was given again.
                    Ok(2)
                ]
            ),
            "{answers:?}"
        );
        let snapshot = thread.below.meta.snapshot(&[]).unwrap();
        let there = |key: &str| snapshot.get(tables::SETTING, key.as_bytes()).unwrap().is_some();
        assert_eq!(["first", "second", "third", "fourth"].map(there), [true, false, false, true]);
        let metrics = thread.below.meter.read();
        assert_eq!((metrics.commits, metrics.changes), (1, 2));
        let plan = Plan::rehearse(snapshot, thread.below.clock.now()).unwrap();
        assert!(is_set(&plan, "fourth"));
    }

    /// Tells when it is dropped whether the answer had been sent by then.
    struct Captured {
        answer: Arc<Mutex<Receiver<Result<u8, StoreError>>>>,
        answered: Arc<AtomicBool>,
    }

    impl Drop for Captured {
        fn drop(&mut self) {
            let answered = self.answer.lock().unwrap().try_recv().is_ok();
            self.answered.store(answered, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_a_plan_holds_is_gone_before_its_caller_is_answered() {
        // Else a caller's last handle of the store could go in the writer, and wait there for it.
        let (reply, answer) = mpsc::sync_channel(1);
        let answered = Arc::new(AtomicBool::new(true));
        let answer = Arc::new(Mutex::new(answer));
        let captured = Captured { answer: answer.clone(), answered: answered.clone() };
        let plan = move |_: &mut Plan| {
            let _held = &captured;
            Ok::<_, StoreError>(1)
        };
        let (room, result) = (Room::Needed, Some(Ok(1)));
        let operation = Planned { weight: 1, room, wants: Vec::new(), plan, result, reply };
        Box::new(operation).answer(None);
        assert!(!answered.load(Ordering::SeqCst));
        assert!(matches!(answer.lock().unwrap().try_recv(), Ok(Ok(1))));
    }
}
