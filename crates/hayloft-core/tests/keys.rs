//! What finding a key by its text costs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic to fail")]

use hayloft_core::{Actor, FeedTypes, KeyGrant, OpenOptions, QuickLookup, Store, Timestamp};
use tempfile::TempDir;

const CHOSEN: &str = "correct-horse-battery";

fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), FeedTypes::none(), OpenOptions::default()).unwrap();
    (directory, store)
}

fn create(store: &Store, text: Option<&str>) -> (u64, String) {
    let made = store.create_key(KeyGrant::default(), text, &Actor::system()).unwrap();
    (made.0.id, made.1.reveal().to_owned())
}

#[test]
fn only_a_chosen_key_makes_unknown_texts_slow() {
    let (_directory, store) = store();
    let quickly = |text: &str| store.find_key_quickly(text).unwrap();
    let (id, text) = create(&store, None);
    let made_up = format!("hl_{}", "a".repeat(52));
    assert!(matches!(quickly(&text), QuickLookup::Found(key) if key.id == id));
    assert_eq!([quickly(CHOSEN), quickly(&made_up)], [QuickLookup::Unknown, QuickLookup::Unknown]);

    let (chosen, _) = create(&store, Some(CHOSEN));
    assert_eq!(quickly(CHOSEN), QuickLookup::Slow);
    assert_eq!(quickly("correct-horse-batterx"), QuickLookup::Slow);
    assert_eq!(quickly(&made_up), QuickLookup::Unknown);
    assert!(matches!(quickly(&text), QuickLookup::Found(key) if key.id == id));
    for (impossible, why) in [("short", "its length"), ("with a blank in it", "its letters")] {
        assert_eq!(quickly(impossible), QuickLookup::Unknown, "{why}");
    }
    let digest = store.key_digest(CHOSEN);
    assert_eq!(store.find_key_by_digest(&digest).unwrap().unwrap().id, chosen);
    assert_eq!(store.find_key(CHOSEN).unwrap().unwrap().id, chosen);

    store.delete_key(chosen, &Actor::system()).unwrap();
    assert_eq!(quickly(CHOSEN), QuickLookup::Unknown);
    assert_eq!(store.find_key_by_digest(&digest).unwrap(), None);
}

#[test]
fn an_expired_key_is_unknown_at_once() {
    let (_directory, store) = store();
    let grant = KeyGrant { expires: Some(Timestamp::from_millis(1)), ..KeyGrant::default() };
    let (_, text) = store.create_key(grant, None, &Actor::system()).unwrap();
    assert_eq!(store.find_key_quickly(text.reveal()).unwrap(), QuickLookup::Unknown);
}
