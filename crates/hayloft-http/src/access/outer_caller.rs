use hayloft::{Feed, Store, StoreError};

use super::{Caller, Credential, Gatekeeper, KeyGatekeeper, Refusal, Right, Visitor};

/// Believes a layer around the router that names the caller, by a [`Caller`] in the extensions of
/// the request; whom no layer names is up to another gatekeeper, as are all rights.
///
/// With the [`KeyGatekeeper`] a caller without a key has the rights that the setting `access.rules`
/// gives to the user of that name.
#[derive(Debug, Default)]
pub struct OuterCaller<G = KeyGatekeeper> {
    inner: G,
}

impl<G> OuterCaller<G> {
    /// Asks `inner` for all that no outer layer tells.
    pub fn or(inner: G) -> Self {
        Self { inner }
    }
}

impl<G: Gatekeeper> Gatekeeper for OuterCaller<G> {
    fn identify(&self, store: &Store, visitor: &Visitor) -> Result<Caller, Refusal> {
        match visitor.extension::<Caller>() {
            Some(caller) => Ok(caller.clone()),
            None => self.inner.identify(store, visitor),
        }
    }

    fn study(&self, store: &Store, credential: &Credential) -> Result<bool, StoreError> {
        self.inner.study(store, credential)
    }

    fn may(
        &self,
        store: &Store,
        caller: &Caller,
        right: Right,
        feed: Option<&Feed>,
    ) -> Result<bool, StoreError> {
        self.inner.may(store, caller, right, feed)
    }
}
