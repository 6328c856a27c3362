use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is found out about a request while it is answered, for the log and the counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Facts>>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Facts {
    /// Who asks; `None` until that is known.
    pub(crate) actor: Option<String>,
    /// The feed that is asked for, if there is one of this name.
    pub(crate) feed: Option<String>,
}

impl Noted {
    /// True for the first who tells.
    pub(crate) fn actor(&self, name: &str) -> bool {
        let mut facts = self.lock();
        let first = facts.actor.is_none();
        if first {
            facts.actor = Some(name.to_owned());
        }
        first
    }

    /// The first feed counts: it is the one that a path names.
    pub(crate) fn feed(&self, name: &str) {
        self.lock().feed.get_or_insert_with(|| name.to_owned());
    }

    pub(crate) fn facts(&self) -> Facts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
