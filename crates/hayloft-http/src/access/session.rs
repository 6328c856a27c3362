use std::sync::Arc;

use hayloft::{Actor, Feed, Overwrite, Store};

use super::{Caller, Gatekeeper, Noted, Refusal, Right, Visitor};
use crate::ApiError;

/// What came of a visitor's credential.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It was made out.
    Session(Box<Session>),
    /// Only [`Gatekeeper::study`] can make it out.
    Slow,
}

/// One request of a visitor whose credential was checked.
#[derive(Debug, Clone)]
pub struct Session {
    store: Store,
    gatekeeper: Arc<dyn Gatekeeper>,
    visitor: Visitor,
    caller: Caller,
}

impl Session {
    pub(crate) fn begin(
        store: &Store,
        gatekeeper: Arc<dyn Gatekeeper>,
        visitor: Visitor,
    ) -> Result<Begun, ApiError> {
        let caller = match gatekeeper.identify(store, &visitor) {
            Err(Refusal::Unknown) if visitor.lenient => {
                gatekeeper.identify(store, &visitor.clone().showing_none())
            }
            other => other,
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(Refusal::Slow) => return Ok(Begun::Slow),
            Err(Refusal::Unknown) => return Err(ApiError::unknown_key()),
            Err(Refusal::Store(error)) => return Err(error.into()),
        };
        #[cfg(feature = "serve")]
        if let Some(guest) = visitor.guest.as_ref().filter(|_| !caller.anonymous) {
            guest.is_known();
        }
        let session = Self { store: store.clone(), gatekeeper, visitor, caller };
        Ok(Begun::Session(Box::new(session)))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn noted(&self) -> &Noted {
        &self.visitor.noted
    }

    /// Who asks, for records.
    pub fn actor(&self) -> Actor {
        Actor {
            name: self.caller.name.clone(),
            key_id: self.caller.key.as_ref().map(|key| key.id),
            address: self.visitor.address.map(|address| address.to_string()),
        }
    }

    /// Whether the caller has this right.
    pub fn may(&self, right: Right, feed: Option<&Feed>) -> Result<bool, ApiError> {
        Ok(self.gatekeeper.may(&self.store, &self.caller, right, feed)?)
    }

    /// Fails unless the caller has this right.
    pub fn demand(&self, right: Right, feed: Option<&Feed>) -> Result<(), ApiError> {
        if self.may(right, feed)? { Ok(()) } else { Err(self.denied()) }
    }

    /// Whether the caller may replace what is in a feed, for the store.
    pub(crate) fn overwrite(&self, feed: &Feed) -> Result<Overwrite, ApiError> {
        let may = self.may(Right::Overwrite, Some(feed))?;
        Ok(if may { Overwrite::Replace } else { Overwrite::Refuse })
    }

    /// The feed with this name, if the caller has these rights in it. Whoever may not even know
    /// which feeds there are gets the same answer for all names.
    pub fn feed(&self, name: &str, rights: &[Right]) -> Result<Feed, ApiError> {
        let feed = match self.store.feed(name) {
            Ok(feed) => feed,
            Err(hayloft::LookupError::Feed(error)) => {
                let known = !self.caller.anonymous || self.may(Right::View, None)?;
                return Err(if known { error.into() } else { self.denied() });
            }
            Err(other) => return Err(other.into()),
        };
        self.visitor.noted.feed(&feed.name);
        for right in rights {
            self.demand(*right, Some(&feed))?;
        }
        Ok(feed)
    }

    /// The answer to a caller without the right that a request needs.
    pub fn denied(&self) -> ApiError {
        if self.visitor.native && self.caller.anonymous && self.visitor.credential.is_none() {
            ApiError::unauthorized()
        } else {
            ApiError::forbidden()
        }
    }
}
