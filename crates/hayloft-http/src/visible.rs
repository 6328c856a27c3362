use std::collections::HashMap;

use crate::{ApiError, Right, Session};

/// Which feeds a caller may see, by the names that records tell. Asks once per name.
#[derive(Debug)]
pub(crate) struct VisibleFeeds {
    session: Session,
    /// Whether the caller sees everything, also what is left of deleted feeds.
    all: bool,
    known: HashMap<String, bool>,
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

    /// Whether a step from one feed to another can be seen; both ends tell of it.
    pub(crate) fn has_either(&mut self, from: &str, to: &str) -> Result<bool, ApiError> {
        Ok(self.has(from)? || self.has(to)?)
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
