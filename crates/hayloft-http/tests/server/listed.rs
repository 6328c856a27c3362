//! Rights as the text of a key.

use hayloft::{Feed, Store, StoreError};
use hayloft_http::{Caller, Credential, Gatekeeper, Refusal, Right, Visitor};

/// Callers have the rights that their key lists, such as `view+add` in all feeds, or
/// `view:mine+add:mine` in one; the key `bad` is unknown, and without a key one has none.
#[derive(Debug)]
pub(crate) struct Listed;

impl Gatekeeper for Listed {
    fn identify(&self, _: &Store, visitor: &Visitor) -> Result<Caller, Refusal> {
        let (name, anonymous) = match visitor.credential() {
            None => ("", true),
            Some(Credential::Key(key)) if key != "bad" => (key.as_str(), false),
            Some(_) => return Err(Refusal::Unknown),
        };
        Ok(Caller { name: name.to_owned(), key: None, anonymous })
    }

    fn may(
        &self,
        _: &Store,
        caller: &Caller,
        right: Right,
        feed: Option<&Feed>,
    ) -> Result<bool, StoreError> {
        let right = format!("{right:?}").to_lowercase();
        let feed = feed.map_or("*", |feed| feed.name.as_str());
        Ok(caller
            .name
            .split('+')
            .any(|granted| granted == right || granted == format!("{right}:{feed}")))
    }
}
