use hayloft::{ApiKey, Feed, QuickLookup, Store, StoreError};

use super::chosen_texts::ChosenTexts;
use super::{Caller, Credential, Gatekeeper, Refusal, Right, Visitor};
use crate::settings::Settings;

/// Knows callers by the API keys of the store.
///
/// A system key with `full-control` may do everything, one with `feeds` everything but
/// administration. A feed key has its permissions in its feed, or in the feeds of its group by the
/// setting `feed.groups`. A personal key has what the setting `access.rules` gives its user; its
/// text is also the password of that user. Without a credential the setting `anonymous.access` and
/// the rules decide.
///
/// A key whose text the store made up, right or wrong, costs microseconds. One that a person may
/// have chosen costs some milliseconds once, on the threads of [`Gatekeeper::study`], and is
/// remembered by a hash.
#[derive(Debug, Default)]
pub struct KeyGatekeeper {
    chosen: ChosenTexts,
}

impl Gatekeeper for KeyGatekeeper {
    fn identify(&self, store: &Store, visitor: &Visitor) -> Result<Caller, Refusal> {
        let found = match visitor.credential() {
            None => {
                return Ok(Caller { name: "Anonymous".to_owned(), key: None, anonymous: true });
            }
            Some(Credential::Unreadable) => None,
            Some(Credential::Password { user, password }) => {
                self.by_password(store, user, password)?
            }
            Some(Credential::Key(text)) => self.by_text(store, text)?,
        };
        let key = found.ok_or(Refusal::Unknown)?;
        let named = key.grant.user.as_ref().or(key.grant.display_name.as_ref());
        let name = named.map_or("API", String::as_str).to_owned();
        Ok(Caller { name, key: Some(key), anonymous: false })
    }

    fn study(&self, store: &Store, credential: &Credential) -> Result<bool, StoreError> {
        let mut known = false;
        for text in texts(credential) {
            if store.find_key_quickly(text)? == QuickLookup::Slow {
                known |= self.chosen.study(store, text)?;
            }
        }
        Ok(known)
    }

    fn may(
        &self,
        store: &Store,
        caller: &Caller,
        right: Right,
        feed: Option<&Feed>,
    ) -> Result<bool, StoreError> {
        let settings = Settings::of(store);
        let user = match &caller.key {
            None if caller.anonymous => None,
            None => Some(caller.name.as_str()),
            Some(key) if key.grant.kind == "personal" => {
                let Some(user) = &key.grant.user else { return Ok(false) };
                Some(user.as_str())
            }
            Some(key) => return grants(settings, key, right, feed),
        };
        Ok(settings.rules()?.allow(&settings.feed_groups()?, user, right, feed))
    }
}

impl KeyGatekeeper {
    /// A key, or the `user:password` that stands for one.
    fn by_text(&self, store: &Store, text: &str) -> Result<Option<ApiKey>, Refusal> {
        let whole = self.find(store, text);
        if let (Ok(None) | Err(Refusal::Slow), Some((user, password))) =
            (&whole, text.split_once(':'))
            && Settings::of(store).pseudo_keys()?
            // Often the password is a text of the store's, which is found at once.
            && let Some(found) = self.by_password(store, user, password)?
        {
            return Ok(Some(found));
        }
        whole
    }

    /// The key with this text, if the user may show it: `api` any, others their own.
    fn by_password(
        &self,
        store: &Store,
        user: &str,
        text: &str,
    ) -> Result<Option<ApiKey>, Refusal> {
        let found = self.find(store, text)?;
        if user == "api" {
            return Ok(found);
        }
        let own = |key: &ApiKey| {
            let owner = key.grant.user.as_ref();
            key.grant.kind == "personal"
                && owner.is_some_and(|name| name.eq_ignore_ascii_case(user))
        };
        Ok(found.filter(own))
    }

    fn find(&self, store: &Store, text: &str) -> Result<Option<ApiKey>, Refusal> {
        match store.find_key_quickly(text)? {
            QuickLookup::Found(key) => Ok(Some(*key)),
            QuickLookup::Slow => self.chosen.find(store, text),
            _ => Ok(None),
        }
    }
}

/// The texts under which a key may be found.
fn texts(credential: &Credential) -> Vec<&str> {
    match credential {
        Credential::Key(text) => {
            let password = text.split_once(':').map(|(_, password)| password);
            [Some(text.as_str()), password].into_iter().flatten().collect()
        }
        Credential::Password { password, .. } => vec![password],
        Credential::Unreadable => Vec::new(),
    }
}

/// What a system key or feed key gives.
fn grants(
    settings: Settings<'_>,
    key: &ApiKey,
    right: Right,
    feed: Option<&Feed>,
) -> Result<bool, StoreError> {
    let grant = &key.grant;
    let has = |words: &[String], word: &str| words.iter().any(|each| each == word);
    if grant.kind == "system" {
        return Ok(has(&grant.system_apis, "full-control")
            || (right != Right::Administer && has(&grant.system_apis, "feeds")));
    }
    let in_scope = match (&grant.feed, &grant.feed_group, feed) {
        _ if grant.kind != "feed" => false,
        (Some(id), None, Some(feed)) => feed.id == *id,
        (None, Some(group), Some(feed)) => settings.feed_groups()?.have(group, feed),
        _ => false,
    };
    let permitted = |word| has(&grant.package_permissions, word);
    Ok(in_scope
        && match right {
            Right::View | Right::Download => permitted("view"),
            Right::Add => permitted("add"),
            Right::Overwrite | Right::Delete => permitted("delete"),
            Right::SetStatus => permitted("add") || permitted("delete"),
            Right::AcceptPromotion => permitted("promote"),
            Right::ManageFeed | Right::ManageFeeds | Right::Administer => false,
        })
}
