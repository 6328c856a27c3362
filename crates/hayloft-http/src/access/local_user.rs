use hayloft::{Feed, Store, StoreError};

use super::{Caller, Gatekeeper, Refusal, Right, Visitor};

/// Takes every visitor for one user, who may do everything: a program that has the store's
/// directory open anyway needs no keys.
#[derive(Debug, Clone)]
pub struct LocalUser {
    name: String,
}

impl LocalUser {
    /// `name` goes into records as the actor.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Gatekeeper for LocalUser {
    fn identify(&self, _: &Store, _: &Visitor) -> Result<Caller, Refusal> {
        Ok(Caller { name: self.name.clone(), key: None, anonymous: false })
    }

    fn may(&self, _: &Store, _: &Caller, _: Right, _: Option<&Feed>) -> Result<bool, StoreError> {
        Ok(true)
    }
}
