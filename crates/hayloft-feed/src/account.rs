use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

/// What one reading of a package file has taken of the memory and work that it may take.
///
/// The running side of [`Limits`](crate::Limits), which carries it: clones share. Without
/// [`Terms`] nothing runs out. A feed type charges what it allocates in proportion to its input,
/// before it does: [`Limits::load`](crate::Limits::load) and the readers of archives do so by
/// themselves, a parser says what its tree will take. When something has run out every further
/// charge fails, and whoever gave the account decides whether the file is read again under better
/// terms; so an error needs no form of its own to be told apart.
///
/// ```
/// use hayloft_feed::{Account, Exhausted, Terms};
///
/// let mut terms = Terms::default();
/// terms.memory = 1000;
/// let account = Account::new(terms);
/// account.charge(600)?;
/// {
///     let _buffer = account.hold(300)?;
/// }
/// account.charge(400)?;
/// assert_eq!(account.charge(1), Err(Exhausted::Memory { limit: 1000 }));
/// # Ok::<(), Exhausted>(())
/// ```
#[derive(Clone, Default)]
pub struct Account(Option<Arc<State>>);

/// How much an [`Account`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Bytes of memory that may be held at one time.
    pub memory: u64,
    /// Bytes that all compressed data may unfold to, whatever its size.
    pub unfolded: u64,
    /// How many bytes more each compressed byte may unfold to.
    pub ratio: u64,
    /// When it is too late.
    pub until: Option<Instant>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { memory: u64::MAX, unfolded: u64::MAX, ratio: 0, until: None }
    }
}

/// What ran out while a package file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Exhausted {
    /// Memory.
    #[error("it takes more than {limit} bytes of memory to be read")]
    Memory {
        /// Bytes allowed.
        limit: u64,
    },
    /// Compressed data unfolds far beyond what real packages do.
    #[error("its compressed data unfolds to far more than that of any real package")]
    Swollen,
    /// Time.
    #[error("it takes too long to be read")]
    Time,
}

struct State {
    terms: Terms,
    held: AtomicU64,
    packed: AtomicU64,
    unfolded: AtomicU64,
    exhausted: AtomicU8,
}

const MEMORY: u8 = 1;
const SWOLLEN: u8 = 2;
const TIME: u8 = 3;

impl Account {
    /// An account under these terms, of which nothing is taken yet.
    pub fn new(terms: Terms) -> Self {
        Self(Some(Arc::new(State {
            terms,
            held: AtomicU64::new(0),
            packed: AtomicU64::new(0),
            unfolded: AtomicU64::new(0),
            exhausted: AtomicU8::new(0),
        })))
    }

    /// Takes memory that is kept until the reading ends.
    pub fn charge(&self, bytes: u64) -> Result<(), Exhausted> {
        let Some(state) = &self.0 else { return Ok(()) };
        state.check()?;
        let taken = state.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= state.terms.memory)
        });
        taken.map(drop).map_err(|_| state.exhaust(MEMORY))
    }

    /// Takes memory that is given back when what is returned is dropped.
    pub fn hold(&self, bytes: u64) -> Result<Hold, Exhausted> {
        self.charge(bytes)?;
        Ok(Hold { account: self.clone(), bytes })
    }

    /// Notes that `packed` more bytes of compressed data were unfolded to `unfolded` more.
    pub fn unfold(&self, packed: u64, unfolded: u64) -> Result<(), Exhausted> {
        let Some(state) = &self.0 else { return Ok(()) };
        state.check()?;
        let add = |sum: &AtomicU64, more: u64| {
            sum.fetch_add(more, Ordering::Relaxed).saturating_add(more)
        };
        let packed = add(&state.packed, packed);
        let unfolded = add(&state.unfolded, unfolded);
        let most = state.terms.unfolded.saturating_add(packed.saturating_mul(state.terms.ratio));
        if unfolded > most { Err(state.exhaust(SWOLLEN)) } else { Ok(()) }
    }

    /// What has run out, if anything.
    pub fn exhausted(&self) -> Option<Exhausted> {
        self.0.as_ref().and_then(|state| state.exhausted())
    }

    /// Bytes of memory taken at present.
    pub fn held(&self) -> u64 {
        self.0.as_ref().map_or(0, |state| state.held.load(Ordering::Relaxed))
    }
}

impl State {
    fn exhausted(&self) -> Option<Exhausted> {
        match self.exhausted.load(Ordering::Relaxed) {
            MEMORY => Some(Exhausted::Memory { limit: self.terms.memory }),
            SWOLLEN => Some(Exhausted::Swollen),
            TIME => Some(Exhausted::Time),
            _ => None,
        }
    }

    /// What ran out first stays.
    fn exhaust(&self, what: u8) -> Exhausted {
        let first = self.exhausted.compare_exchange(0, what, Ordering::Relaxed, Ordering::Relaxed);
        match first.err().unwrap_or(what) {
            MEMORY => Exhausted::Memory { limit: self.terms.memory },
            SWOLLEN => Exhausted::Swollen,
            _ => Exhausted::Time,
        }
    }

    fn check(&self) -> Result<(), Exhausted> {
        if let Some(exhausted) = self.exhausted() {
            return Err(exhausted);
        }
        match self.terms.until {
            Some(until) if Instant::now() > until => Err(self.exhaust(TIME)),
            _ => Ok(()),
        }
    }
}

/// Two accounts are equal if what one takes is gone from the other.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Account {}

impl fmt::Debug for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self.0.as_ref().map(|state| &state.terms);
        out.debug_struct("Account").field("terms", &terms).field("held", &self.held()).finish()
    }
}

/// Memory taken from an [`Account`]; dropping gives it back.
#[derive(Debug)]
#[must_use = "dropping gives the memory back"]
pub struct Hold {
    account: Account,
    bytes: u64,
}

impl Hold {
    /// Takes more.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        self.account.charge(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Bytes taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Leaves the memory taken until the reading ends.
    pub fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(state) = &self.account.0 {
            state.held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn account(change: impl FnOnce(&mut Terms)) -> Account {
        let mut terms = Terms::default();
        change(&mut terms);
        Account::new(terms)
    }

    #[test]
    fn memory_runs_out_and_stays_so() {
        let account = account(|terms| terms.memory = 100);
        let mut hold = account.hold(60).unwrap();
        hold.grow(40).unwrap();
        assert_eq!((hold.bytes(), account.held()), (100, 100));
        assert_eq!(account.charge(1), Err(Exhausted::Memory { limit: 100 }));
        drop(hold);
        assert_eq!(account.held(), 0);
        assert_eq!(account.charge(1), Err(Exhausted::Memory { limit: 100 }));
        assert_eq!(account.unfold(0, 0), Err(Exhausted::Memory { limit: 100 }));
        assert_eq!(account.exhausted(), Some(Exhausted::Memory { limit: 100 }));
    }

    #[test]
    fn what_is_kept_is_not_given_back() {
        let account = account(|terms| terms.memory = 100);
        account.hold(60).unwrap().keep();
        assert_eq!(account.held(), 60);
        assert!(account.charge(u64::MAX).is_err());
    }

    #[test]
    fn compressed_data_may_unfold_by_its_size() {
        let account = account(|terms| (terms.unfolded, terms.ratio) = (1000, 10));
        account.unfold(0, 1000).unwrap();
        account.unfold(5, 50).unwrap();
        assert_eq!(account.unfold(1, 11), Err(Exhausted::Swollen));
        assert_eq!(account.exhausted(), Some(Exhausted::Swollen));
    }

    #[test]
    fn time_runs_out() {
        let now = Instant::now();
        let late = account(|terms| terms.until = now.checked_sub(Duration::from_secs(1)));
        assert_eq!(late.charge(0), Err(Exhausted::Time));
        let early = account(|terms| terms.until = now.checked_add(Duration::from_secs(3600)));
        assert_eq!(early.charge(0), Ok(()));
    }

    #[test]
    fn nothing_runs_out_without_terms() {
        let account = Account::default();
        account.charge(u64::MAX).unwrap();
        account.charge(u64::MAX).unwrap();
        account.unfold(1, u64::MAX).unwrap();
        assert_eq!((account.held(), account.exhausted()), (0, None));
        assert_eq!(account, Account::default());
        assert_ne!(account, Account::new(Terms::default()));
    }
}
