use data_encoding::BASE32_NOPAD;

use crate::plan::Plan;
use crate::records::{KeyPlaceRecord, KeyRecord};
use crate::resolve::FeedHandle;
use crate::{
    Action, Actor, FeedTypes, Kept, Store, StoreError, Timestamp, TooLong, codec, rows, tables,
};

use super::audit::Entry;

/// What a text made up here begins with.
const PREFIX: &str = "hl_";
/// Characters of a text made up here after its beginning: 256 random bits.
const RANDOM_LENGTH: usize = 52;
/// Rounds that make guessing a text which a person chose slow: some milliseconds each time.
const ROUNDS: usize = 50_000;
/// First byte of the digests of texts made up here and of no other, so that the index of digests
/// tells at its end whether there is any chosen text.
const GENERATED: u8 = 0;

/// An API key without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKey {
    /// Never given to another key.
    pub id: u64,
    /// What it may do.
    pub grant: KeyGrant,
    /// When it was created.
    pub created: Timestamp,
}

/// What a key may do and how it is shown. Words are the caller's; the store compares none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyGrant {
    /// `system`, `feed`, `personal` or `other`.
    pub kind: String,
    /// Shown to people, and recorded as the actor.
    pub display_name: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// Of a system key: `full-control`, `feeds` and others.
    pub system_apis: Vec<String>,
    /// Of a feed key: `view`, `add`, `promote`, `delete`.
    pub package_permissions: Vec<String>,
    /// Of a feed key: number of the feed, which is there when the key is created. The key opens
    /// nothing once that feed is deleted, whatever is created under its name.
    pub feed: Option<u32>,
    /// Of a feed key: name of the feed group.
    pub feed_group: Option<String>,
    /// Of a personal key.
    pub user: Option<String>,
    /// `none`, `request`, `response` or `both`.
    pub logging: String,
    /// From then on the key is not found.
    pub expires: Option<Timestamp>,
}

impl KeyGrant {
    fn check(&self) -> Result<(), TooLong> {
        Kept::KeyKind.check_text(&self.kind)?;
        Kept::KeyDisplayName.check_optional(self.display_name.as_ref())?;
        Kept::KeyDescription.check_optional(self.description.as_ref())?;
        Kept::KeyApis.check_list(Kept::KeyApi, &self.system_apis)?;
        Kept::KeyPermissions.check_list(Kept::KeyPermission, &self.package_permissions)?;
        Kept::KeyGroup.check_optional(self.feed_group.as_ref())?;
        Kept::KeyUser.check_optional(self.user.as_ref())?;
        Kept::KeyLogging.check_text(&self.logging)
    }
}

/// The text of a key, known only while it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(pub(crate) String);

impl KeyText {
    /// The text; not kept by the store.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyText(…)")
    }
}

/// What is kept of the text of a key; it leads to the key but not to the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 32]);

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyDigest(…)")
    }
}

/// What can be told of a text within microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuickLookup {
    /// The key with this text.
    Found(Box<ApiKey>),
    /// No key has this text, or the key has expired.
    Unknown,
    /// It may be the text of a key that a person chose: only its [`Store::key_digest`] tells.
    Slow,
}

/// A key could not be created or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no API key {id}")]
    NotFound {
        /// What was asked for.
        id: u64,
    },
    /// The key is to be for a feed that is not there.
    #[error("there is no feed with number {id}")]
    NoSuchFeed {
        /// What was asked for.
        id: u32,
    },
    /// The chosen text is another key's.
    #[error("the text of the API key is in use")]
    InUse,
    /// The chosen text is too easy to guess or too long.
    #[error("an API key has 16 to 256 printable ASCII characters without blanks")]
    Text,
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Makes an API key. With `None` its text is made up here from 256 random bits. The text is not
    /// kept: only a salted digest, and for a text that a person chose a slow one.
    pub fn create_key(
        &self,
        grant: KeyGrant,
        text: Option<&str>,
        actor: &Actor,
    ) -> Result<(ApiKey, KeyText), KeyError> {
        let text = match text {
            Some(text) if is_acceptable(text) => text.to_owned(),
            Some(_) => return Err(KeyError::Text),
            None => generated()?,
        };
        actor.check()?;
        grant.check()?;
        let digest = digest(&self.inner.salt, &text);
        let (types, actor) = (self.types().clone(), actor.clone());
        let key = self
            .inner
            .writer
            .change(4_096, move |plan| create(plan, &types, grant.clone(), digest, &actor))?;
        Ok((key, KeyText(text)))
    }

    /// All API keys by number, expired ones included, but for those whose rows are damaged. Come
    /// from memory.
    pub fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let small = self.inner.small()?;
        Ok(small.keys().map(|(id, record)| shown(id, record.clone())).collect())
    }

    /// The key with this text, unless it has expired.
    ///
    /// Comes from memory for a text of the form that the store makes up, and so does any other as
    /// long as there is no key whose text a person chose; then it costs some milliseconds of
    /// processor. Servers, whom strangers may make work, take the steps one by one:
    /// [`Store::find_key_quickly`], [`Store::key_digest`], [`Store::find_key_by_digest`].
    pub fn find_key(&self, text: &str) -> Result<Option<ApiKey>, StoreError> {
        match self.find_key_quickly(text)? {
            QuickLookup::Found(key) => Ok(Some(*key)),
            QuickLookup::Unknown => Ok(None),
            QuickLookup::Slow => self.find_key_by_digest(&self.key_digest(text)),
        }
    }

    /// What memory tells of a text: everything, unless somebody may have chosen it.
    pub fn find_key_quickly(&self, text: &str) -> Result<QuickLookup, StoreError> {
        if !is_acceptable(text) {
            return Ok(QuickLookup::Unknown);
        }
        if is_generated(text) {
            let found = self.find_key_by_digest(&self.key_digest(text))?;
            return Ok(found.map_or(QuickLookup::Unknown, |key| QuickLookup::Found(Box::new(key))));
        }
        let chosen = self.inner.small()?.has_digest_from(&[GENERATED + 1]);
        Ok(if chosen { QuickLookup::Slow } else { QuickLookup::Unknown })
    }

    /// What the store would keep of this text. Costs some milliseconds of processor for a text that
    /// is not of the form that the store makes up, and reads nothing.
    pub fn key_digest(&self, text: &str) -> KeyDigest {
        KeyDigest(digest(&self.inner.salt, text))
    }

    /// The key whose text has this digest, unless it has expired. Comes from memory.
    pub fn find_key_by_digest(&self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError> {
        let Some((id, record)) = self.inner.small()?.key(&digest.0)? else { return Ok(None) };
        let now = self.now().millis();
        let expired = record.expires.is_some_and(|expires| now >= expires);
        Ok((!expired).then(|| shown(id, KeyRecord::clone(&record))))
    }

    /// Deletes an API key.
    pub fn delete_key(&self, id: u64, actor: &Actor) -> Result<(), KeyError> {
        actor.check()?;
        let actor = actor.clone();
        let types = self.types().clone();
        self.inner.writer.change(4_096, move |plan| {
            let key = tables::number(id);
            let entry = match plan.get::<KeyRecord>(tables::API_KEY, &key) {
                Ok(Some(record)) => {
                    plan.delete(tables::API_KEY_HASH, record.digest.to_vec());
                    entry(plan, &types, Action::KeyDelete, id, &record)?
                }
                Ok(None) => return Err(KeyError::NotFound { id }),
                Err(StoreError::Damaged { .. }) => {
                    let details = Some(serde_json::json!({ "key": id, "damaged": true }));
                    Entry { details, ..Entry::of(Action::KeyDelete) }
                }
                Err(error) => return Err(error.into()),
            };
            unlead(plan, id)?;
            plan.delete(tables::API_KEY, key);
            entry.write(plan, &actor)?;
            Ok(())
        })
    }
}

/// Removes all digests that lead to a key.
pub(super) fn unlead(plan: &mut Plan, id: u64) -> Result<(), StoreError> {
    let mut leading = Vec::new();
    rows::each(plan, tables::API_KEY_HASH, &[], |key, value| {
        let place = rows::left_out(codec::decode(tables::API_KEY_HASH, key, value))?;
        if place == Some(KeyPlaceRecord(id)) {
            leading.push(key.to_vec());
        }
        Ok(())
    })?;
    for digest in leading {
        plan.delete(tables::API_KEY_HASH, digest);
    }
    Ok(())
}

fn create(
    plan: &mut Plan,
    types: &FeedTypes,
    grant: KeyGrant,
    digest: [u8; 32],
    actor: &Actor,
) -> Result<ApiKey, KeyError> {
    if plan.get::<KeyPlaceRecord>(tables::API_KEY_HASH, &digest)?.is_some() {
        return Err(KeyError::InUse);
    }
    if let Some(id) = grant.feed
        && FeedHandle::by_id(plan, types, id)?.is_none()
    {
        return Err(KeyError::NoSuchFeed { id });
    }
    Kept::Keys.check(rows::count(plan, tables::API_KEY)? + 1)?;
    plan.counters().key += 1;
    let id = plan.counters().key;
    let record = KeyRecord {
        kind: grant.kind,
        display_name: grant.display_name,
        description: grant.description,
        system_apis: grant.system_apis,
        package_permissions: grant.package_permissions,
        feed: grant.feed,
        feed_group: grant.feed_group,
        user: grant.user,
        logging: grant.logging,
        expires: grant.expires.map(Timestamp::millis),
        created: plan.now().millis(),
        digest,
    };
    plan.put(tables::API_KEY, tables::number(id), &record)?;
    plan.put(tables::API_KEY_HASH, digest.to_vec(), &KeyPlaceRecord(id))?;
    entry(plan, types, Action::KeyCreate, id, &record)?.write(plan, actor)?;
    Ok(shown(id, record))
}

fn entry(
    plan: &Plan,
    types: &FeedTypes,
    action: Action,
    id: u64,
    record: &KeyRecord,
) -> Result<Entry, StoreError> {
    let feed = match record.feed {
        Some(feed) => rows::readable(FeedHandle::by_id(plan, types, feed))?.flatten(),
        None => None,
    };
    Ok(Entry {
        feed: feed.map(|feed| feed.record.name).unwrap_or_default(),
        details: Some(serde_json::json!({
            "key": id,
            "kind": record.kind,
            "displayName": record.display_name,
        })),
        ..Entry::of(action)
    })
}

/// What is kept of a key's text.
fn digest(salt: &[u8; 32], text: &str) -> [u8; 32] {
    let generated = is_generated(text);
    let mut hash = blake3::keyed_hash(salt, text.as_bytes());
    if !generated {
        for _ in 0..ROUNDS {
            hash = blake3::keyed_hash(hash.as_bytes(), text.as_bytes());
        }
    }
    marked(hash.into(), generated)
}

fn marked(mut digest: [u8; 32], generated: bool) -> [u8; 32] {
    let [first, ..] = &mut digest;
    *first = if generated { GENERATED } else { (*first).max(GENERATED + 1) };
    digest
}

fn is_acceptable(text: &str) -> bool {
    (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// True for a text of the form that is made up here, which nobody can guess.
fn is_generated(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.len() == RANDOM_LENGTH
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
    })
}

fn generated() -> Result<String, StoreError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| StoreError::io("read", "random bytes")(std::io::Error::other(error)))?;
    Ok(format!("{PREFIX}{}", BASE32_NOPAD.encode(&random).to_ascii_lowercase()))
}

fn shown(id: u64, record: KeyRecord) -> ApiKey {
    ApiKey {
        id,
        grant: KeyGrant {
            kind: record.kind,
            display_name: record.display_name,
            description: record.description,
            system_apis: record.system_apis,
            package_permissions: record.package_permissions,
            feed: record.feed,
            feed_group: record.feed_group,
            user: record.user,
            logging: record.logging,
            expires: record.expires.map(Timestamp::from_millis),
        },
        created: Timestamp::from_millis(record.created),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_texts_are_long_and_of_their_form() {
        let (one, other) = (generated().unwrap(), generated().unwrap());
        assert_ne!(one, other);
        assert!(is_generated(&one) && is_acceptable(&one));
        assert!(!is_generated("hl_password"));
    }

    #[test]
    fn the_first_byte_of_a_digest_tells_chosen_texts_apart() {
        assert_eq!(digest(&[1; 32], &generated().unwrap())[0], GENERATED);
        assert_ne!(digest(&[0; 32], "correct-horse-battery")[0], GENERATED);
        assert_eq!(marked([0; 32], false)[..2], [1, 0]);
        assert_eq!(marked([9; 32], false), [9; 32]);
    }

    #[test]
    fn digests_depend_on_salt_and_text() {
        let text = "correct-horse-battery";
        assert_ne!(digest(&[0; 32], text), digest(&[1; 32], text));
        assert_ne!(digest(&[0; 32], text), digest(&[0; 32], "correct-horse-battery2"));
        assert_eq!(digest(&[0; 32], text), digest(&[0; 32], text));
    }
}
