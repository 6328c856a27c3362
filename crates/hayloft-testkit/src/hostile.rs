use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use hayloft_feed::{Account, Exhausted, FeedType, FeedTypeError, Limits, Terms};

use crate::Sample;
use crate::check::chain;

/// How packages of a type are put together, for [`check_hostile`]: what the tables put into them
/// comes from there.
///
/// What an ecosystem's packages cannot hold stays `None`.
pub trait Workshop {
    /// A sound package.
    fn sound(&self) -> Sample;

    /// A package with one more entry, whose path is written as it stands and is unpacked by
    /// clients.
    fn with_entry(&self, path: &str) -> Option<Sample> {
        let _ = path;
        None
    }

    /// A package that unfolds to at least so many zeros, all of which a reader has to pass.
    fn swollen(&self, zeros: usize) -> Option<Sample> {
        let _ = zeros;
        None
    }

    /// Packages whose manifest holds `count` of something, by what it is.
    fn repeated(&self, count: usize) -> Vec<(&'static str, Sample)>;

    /// Packages whose manifest is nested so deeply, by what it is.
    fn nested(&self, depth: usize) -> Vec<(&'static str, Sample)> {
        let _ = depth;
        Vec::new()
    }

    /// Packages that clients could read in two ways, by what they are; all are to be refused.
    fn ambiguous(&self) -> Vec<(String, Sample)>;

    /// Runs `work` and tells the most bytes of memory that it held, if they can be counted.
    fn heap(&self, work: &mut dyn FnMut()) -> Option<u64> {
        work();
        None
    }
}

/// Paths that lead out of the folder that a package is unpacked into, on some system.
pub const PATHS_THAT_LEAVE: [&str; 16] = [
    "/etc/cron.d/x",
    "//etc/cron.d/x",
    "../x",
    "../../../../etc/cron.d/x",
    "a/../../../x",
    "a/../../../../../../../../x",
    "C:/x",
    "C:x",
    "c:\\x",
    "\\x",
    "\\\\host\\share\\x",
    "\\\\?\\C:\\x",
    "..\\..\\..\\x",
    "a\\..\\..\\..\\..\\x",
    "a/..\\../..\\../..\\x",
    "../../../../../../../../../../x",
];

/// Paths that some system takes for others than they seem.
pub const ODD_PATHS: [&str; 18] = [
    "a//b",
    "a//etc/cron.d/x",
    "./a",
    "a/./b",
    "a/.. /x",
    "a/... /x",
    "con",
    "a/NUL.txt",
    "a/com1",
    "a/b.",
    "a/b ",
    "a:stream",
    "a\u{1b}[2Jb",
    "a\nb",
    "a\u{9b}b",
    "a\u{202e}b",
    "a\\b",
    "%2e%2e/x",
];

/// Memory that a reading is given, and what buffers may take beside it.
const MEMORY: u64 = 8 << 20;
const BESIDE: u64 = 4 << 20;
/// How much longer twice the input may take.
const TWICE: u32 = 3;
/// Below this a measurement says nothing.
const SHORTEST: Duration = Duration::from_millis(40);

/// Holds a feed type against tables of hostile files: paths, archives that can be read in two ways,
/// data that unfolds without end, manifests that repeat and nest.
///
/// # Panics
///
/// With the file that was accepted, that made the type panic, or that cost too much.
pub fn check_hostile(feed_type: &dyn FeedType, workshop: &dyn Workshop) {
    // What is refused for another reason would prove nothing.
    accepted(feed_type, &workshop.sound(), "the workshop's sound package");
    for path in ["plain.txt", "a/b/c"] {
        if let Some(sample) = workshop.with_entry(path) {
            accepted(feed_type, &sample, &format!("an entry `{path}`"));
        }
    }
    for (what, sample) in workshop.repeated(1) {
        accepted(feed_type, &sample, &format!("a manifest with few {what}"));
    }
    for (what, sample) in workshop.nested(1) {
        accepted(feed_type, &sample, &format!("a manifest with {what} of one level"));
    }
    for path in PATHS_THAT_LEAVE {
        if let Some(sample) = workshop.with_entry(path) {
            refused(feed_type, &sample, &format!("an entry `{}`", path.escape_debug()));
        }
    }
    for path in ODD_PATHS {
        if let Some(sample) = workshop.with_entry(path) {
            let _ = answered(feed_type, &sample, &Limits::default(), path);
        }
    }
    for (what, sample) in workshop.ambiguous() {
        refused(feed_type, &sample, &what);
    }
    for depth in [100, 10_000, 200_000] {
        for (what, sample) in workshop.nested(depth) {
            let _ =
                answered(feed_type, &sample, &Limits::default(), &format!("{what} {depth} deep"));
        }
    }
    within_the_account(feed_type, workshop);
    in_linear_time(feed_type, workshop);
    if let Some(sample) = workshop.swollen(4 << 20) {
        let limits = limited(|terms| (terms.unfolded, terms.ratio) = (1 << 20, 16));
        let result = answered(feed_type, &sample, &limits, "data that unfolds to 4 MiB of zeros");
        assert!(
            result.is_err() && limits.account.exhausted() == Some(Exhausted::Swollen),
            "{}: what data unfolds to must be charged to the account",
            sample.label()
        );
    }
}

fn accepted(feed_type: &dyn FeedType, sample: &Sample, case: &str) {
    if let Err(error) = sample.inspect(feed_type, &Limits::default()) {
        panic!("{}: {case} must be accepted: {}", sample.label(), chain(&error));
    }
}

fn limited(change: impl FnOnce(&mut Terms)) -> Limits {
    let mut terms = Terms::default();
    change(&mut terms);
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    limits
}

fn answered(
    feed_type: &dyn FeedType,
    sample: &Sample,
    limits: &Limits,
    case: &str,
) -> Result<(), FeedTypeError> {
    let result = catch_unwind(AssertUnwindSafe(|| sample.inspect(feed_type, limits).map(drop)))
        .unwrap_or_else(|_| panic!("{}: inspect panicked on {case}", sample.label()));
    if let Err(error) = &result {
        assert!(
            error.is_input(),
            "{}: inspect must blame the file on {case}: {}",
            sample.label(),
            chain(error)
        );
    }
    result
}

fn refused(feed_type: &dyn FeedType, sample: &Sample, case: &str) {
    let result = answered(feed_type, sample, &Limits::default(), case);
    assert!(result.is_err(), "{}: {case} must be refused", sample.label());
}

/// Whatever a file holds, reading it takes no more than the account gives.
fn within_the_account(feed_type: &dyn FeedType, workshop: &dyn Workshop) {
    for (what, sample) in workshop.repeated(200_000) {
        let limits = limited(|terms| terms.memory = MEMORY);
        let mut work = || drop(sample.inspect(feed_type, &limits));
        if let Some(taken) = workshop.heap(&mut work) {
            assert!(
                taken <= MEMORY + BESIDE,
                "{}: 200,000 {what} took {taken} bytes of memory where {MEMORY} were given",
                sample.label()
            );
        }
    }
}

/// How long this thread has worked: a machine that is busy with something else does not matter.
#[cfg(unix)]
fn worked() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// How long this program has run.
#[cfg(not(unix))]
fn worked() -> Duration {
    static BEGUN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed()
}

/// Twice as much costs about twice as long.
fn in_linear_time(feed_type: &dyn FeedType, workshop: &dyn Workshop) {
    let time = |sample: &Sample| {
        let run = |_| {
            let begun = worked();
            drop(sample.inspect(feed_type, &Limits::default()));
            worked().saturating_sub(begun)
        };
        (0..5).map(run).min().unwrap_or_default()
    };
    let single = workshop.repeated(20_000);
    let double = workshop.repeated(40_000);
    for ((what, single), (_, double)) in single.iter().zip(&double) {
        let (once, twice) = (time(single), time(double));
        assert!(
            twice < SHORTEST || twice < once * TWICE,
            "{}: 20,000 {what} took {once:?}, 40,000 took {twice:?}",
            single.label()
        );
    }
}
