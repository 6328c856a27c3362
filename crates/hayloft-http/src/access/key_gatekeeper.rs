use hayloft::{ApiKey, Feed, Store, StoreError};

use super::{Caller, Credential, Gatekeeper, Refusal, Right};

/// Knows callers by the API keys of the store.
#[derive(Debug, Clone, Copy)]
pub struct KeyGatekeeper;

impl Gatekeeper for KeyGatekeeper {
    fn identify(&self, store: &Store, credential: Option<&Credential>) -> Result<Caller, Refusal> {
        let text = match credential {
            None => {
                return Ok(Caller { name: "Anonymous".to_owned(), key: None, anonymous: true });
            }
            Some(Credential::Key(text)) => text,
            Some(Credential::Password { .. }) => return Err(Refusal::Unknown),
        };
        let found = match (store.find_key(text)?, text.split_once(':')) {
            (None, Some(("api", rest))) => store.find_key(rest)?,
            (found, _) => found,
        };
        let key = found.ok_or(Refusal::Unknown)?;
        let named = key.grant.user.as_ref().or(key.grant.display_name.as_ref());
        let name = named.map_or("API", String::as_str).to_owned();
        Ok(Caller { name, key: Some(key), anonymous: false })
    }

    fn may(
        &self,
        _: &Store,
        caller: &Caller,
        right: Right,
        feed: Option<&Feed>,
    ) -> Result<bool, StoreError> {
        Ok(caller.key.as_ref().is_some_and(|key| grants(key, right, feed)))
    }
}

fn grants(key: &ApiKey, right: Right, feed: Option<&Feed>) -> bool {
    let has = |words: &[String], word: &str| words.iter().any(|each| each == word);
    let grant = &key.grant;
    if has(&grant.system_apis, "full-control") {
        return true;
    }
    if has(&grant.system_apis, "feeds") {
        return right != Right::Administer;
    }
    let in_scope = match (&grant.feed, feed) {
        (Some(name), Some(feed)) => {
            feed.name.eq_ignore_ascii_case(name)
                || feed.alternates.iter().any(|each| each.eq_ignore_ascii_case(name))
        }
        _ => false,
    };
    let permitted = |word| has(&grant.package_permissions, word);
    in_scope
        && match right {
            Right::View | Right::Download => permitted("view"),
            Right::Add => permitted("add"),
            Right::Overwrite | Right::Delete => permitted("delete"),
            Right::SetStatus => permitted("add") || permitted("delete"),
            Right::AcceptPromotion => permitted("promote"),
            Right::ManageFeed | Right::ManageFeeds | Right::Administer => false,
        }
}
