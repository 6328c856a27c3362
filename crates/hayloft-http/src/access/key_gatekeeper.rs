use hayloft::{ApiKey, Feed, Store, StoreError};

use super::rules::is_called;
use super::{Caller, Credential, Gatekeeper, Refusal, Right};
use crate::settings::Settings;

/// Knows callers by the API keys of the store.
///
/// A system key with `full-control` may do everything, one with `feeds` everything but
/// administration. A feed key has its permissions in its feed, or in the feeds of its group by the
/// setting `feed.groups`. A personal key has what the setting `access.rules` gives its user; its
/// text is also the password of that user. Without a credential the setting `anonymous.access` and
/// the rules decide.
#[derive(Debug, Clone, Copy)]
pub struct KeyGatekeeper;

impl Gatekeeper for KeyGatekeeper {
    fn identify(&self, store: &Store, credential: Option<&Credential>) -> Result<Caller, Refusal> {
        let found = match credential {
            None => {
                return Ok(Caller { name: "Anonymous".to_owned(), key: None, anonymous: true });
            }
            Some(Credential::Unreadable) => None,
            Some(Credential::Password { user, password }) => by_password(store, user, password)?,
            Some(Credential::Key(text)) => match (store.find_key(text)?, text.split_once(':')) {
                (None, Some((user, password))) if Settings::of(store).pseudo_keys()? => {
                    by_password(store, user, password)?
                }
                (found, _) => found,
            },
        };
        let key = found.ok_or(Refusal::Unknown)?;
        let named = key.grant.user.as_ref().or(key.grant.display_name.as_ref());
        let name = named.map_or("API", String::as_str).to_owned();
        Ok(Caller { name, key: Some(key), anonymous: false })
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

/// The key with this text, if the user may show it: `api` any, others their own.
fn by_password(store: &Store, user: &str, text: &str) -> Result<Option<ApiKey>, StoreError> {
    let found = store.find_key(text)?;
    if user == "api" {
        return Ok(found);
    }
    let own = |key: &ApiKey| {
        let owner = key.grant.user.as_ref();
        key.grant.kind == "personal" && owner.is_some_and(|name| name.eq_ignore_ascii_case(user))
    };
    Ok(found.filter(own))
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
        (Some(name), None, Some(feed)) => is_called(feed, name),
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
