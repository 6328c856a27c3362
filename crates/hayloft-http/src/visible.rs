use std::collections::HashMap;

use hayloft::{Origin, PackageFile};

use crate::{ApiError, Right, Session};

/// Which feeds a caller may see, by the names that records tell. Asks once per name.
#[derive(Debug)]
pub(crate) struct VisibleFeeds {
    session: Session,
    /// Whether the caller sees everything, also what is left of deleted feeds.
    all: bool,
    known: HashMap<String, bool>,
}

/// Which ends of a step can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    from: bool,
    to: bool,
}

impl Seen {
    /// Takes out of a step what is not to be seen.
    pub(crate) fn blank<'a>(
        self,
        from: &'a mut String,
        to: &'a mut String,
        told: [&'a mut String; 2],
    ) {
        if !self.from {
            from.clear();
        }
        if !self.to {
            to.clear();
        }
        if !(self.from && self.to) {
            told.into_iter().for_each(String::clear);
        }
    }
}

impl VisibleFeeds {
    pub(crate) fn of(session: &Session) -> Result<Self, ApiError> {
        let all = session.may(Right::View, None)?;
        Ok(Self { session: session.clone(), all, known: HashMap::new() })
    }

    /// Whether any feed at all can be seen.
    pub(crate) fn any(&self) -> Result<bool, ApiError> {
        if self.all {
            return Ok(true);
        }
        for feed in self.session.store().feeds()? {
            if self.session.may(Right::View, Some(&feed))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What can be seen of a step from one feed to another; `None` if that is nothing. Who sees one
    /// end learns that there was a step, but neither where it led nor who made it and why.
    pub(crate) fn step(&mut self, from: &str, to: &str) -> Result<Option<Seen>, ApiError> {
        let seen = Seen { from: self.has(from)?, to: self.has(to)? };
        Ok((seen.from || seen.to).then_some(seen))
    }

    /// Takes out who brought a file here from a feed that cannot be seen: what a step is told of
    /// without its other end does not say who made it.
    pub(crate) fn blank_publisher(&mut self, file: &mut PackageFile) -> Result<(), ApiError> {
        let (Origin::Promoted { from_feed: from } | Origin::Repackaged { from_feed: from, .. }) =
            &file.origin
        else {
            return Ok(());
        };
        if !self.has(from)? {
            file.published_by.clear();
        }
        Ok(())
    }

    fn has(&mut self, name: &str) -> Result<bool, ApiError> {
        if self.all {
            return Ok(true);
        }
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let visible = match self.session.store().feed(name) {
            Ok(feed) => self.session.may(Right::View, Some(&feed))?,
            Err(hayloft::LookupError::Feed(_)) => false,
            Err(error) => return Err(error.into()),
        };
        self.known.insert(name.to_owned(), visible);
        Ok(visible)
    }
}
