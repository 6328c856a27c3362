//! Stored rows with changed ones over them: what a plan and the log show.

use std::iter::Peekable;
use std::ops::ControlFlow;

use crate::{Direction, Visit};

/// Fits the changed rows of a range in between its stored ones, in the order of a scan. Each comes
/// with what it became, `None` if it is gone.
pub(crate) struct Merge<C: Iterator> {
    changed: Peekable<C>,
    direction: Direction,
    /// Rows that may still be shown.
    left: usize,
}

impl<C, K, V> Merge<C>
where
    C: Iterator<Item = (K, Option<V>)>,
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    pub(crate) fn new(changed: C, direction: Direction, limit: usize) -> Self {
        Self { changed: changed.peekable(), direction, left: limit }
    }

    /// True if no changed row is left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.changed.peek().is_none()
    }

    /// Shows the changed rows that come before a stored one, and then what became of that one.
    pub(crate) fn stored(&mut self, key: &[u8], value: &[u8], visit: Visit<'_>) -> ControlFlow<()> {
        while let Some((next, _)) = self.changed.peek()
            && !comes_first(self.direction, key, next.as_ref())
        {
            let replaces = next.as_ref() == key;
            self.show_changed(visit)?;
            if replaces {
                return ControlFlow::Continue(());
            }
        }
        self.show(key, value, visit)
    }

    /// Shows the changed rows that come after all stored ones.
    pub(crate) fn rest(&mut self, visit: Visit<'_>) -> ControlFlow<()> {
        while !self.is_done() {
            self.show_changed(visit)?;
        }
        ControlFlow::Continue(())
    }

    fn show_changed(&mut self, visit: Visit<'_>) -> ControlFlow<()> {
        match self.changed.next() {
            Some((key, Some(value))) => self.show(key.as_ref(), value.as_ref(), visit),
            _ => ControlFlow::Continue(()),
        }
    }

    fn show(&mut self, key: &[u8], value: &[u8], visit: Visit<'_>) -> ControlFlow<()> {
        self.left = self.left.saturating_sub(1);
        visit(key, value)?;
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// True if a scan meets `one` before `other`.
pub(crate) fn comes_first(direction: Direction, one: &[u8], other: &[u8]) -> bool {
    match direction {
        Direction::Forward => one < other,
        Direction::Backward => one > other,
    }
}
