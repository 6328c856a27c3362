//! What is known of a store from the answers that it gave.

use std::collections::BTreeMap;

use hayloft_tests::Server;

use crate::kinds::Kind;

/// A version of a package in a feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub feed: String,
    pub name: String,
    pub version: String,
}

impl Place {
    pub fn query(&self) -> String {
        let version = self.version.replace('~', "%7E");
        format!("name={}&version={version}", self.name)
    }

    pub fn download(&self) -> String {
        format!("/api/packages/{}/download?{}", self.feed, self.query())
    }
}

/// What is in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A file with this SHA-256, which nobody knows if the server made it and was not asked.
    There(Option<String>),
    /// Nothing: it was deleted.
    Gone,
    /// The answer to a change never came: that file, or nothing.
    Either(Option<String>),
}

/// How a file can be built again.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub kind: Kind,
    pub size: usize,
}

#[derive(Debug, Clone)]
pub struct Known {
    pub fact: Fact,
    /// `None` for what the server made.
    pub recipe: Option<Recipe>,
}

pub type Facts = BTreeMap<Place, Known>;

/// Holds all facts against the server, and all that the server lists against the facts.
pub fn check(server: &Server, kinds: &[Kind], clients: usize, facts: &Facts) -> usize {
    let mut listed = BTreeMap::new();
    for kind in kinds {
        let own = (0..clients).map(|client| kind.own_feed(client));
        for feed in own.chain([kind.released()]) {
            for entry in server.list(&format!("/api/packages/{feed}/versions")) {
                let text = |property: &str| entry[property].as_str().unwrap().to_owned();
                let place =
                    Place { feed: feed.clone(), name: text("name"), version: text("version") };
                let digest = text("sha256");
                // Whole, and what the row says.
                let file = server.get(&place.download());
                assert_eq!(hayloft_tests::sha256(&file.body), digest, "{place:?}");
                listed.insert(place, digest);
            }
        }
    }
    for (place, Known { fact, .. }) in facts {
        let found = listed.get(place);
        let is_right = |expected: &Option<String>| {
            expected.is_none() || found.is_none() || expected.as_ref() == found
        };
        let holds = match fact {
            Fact::There(digest) => found.is_some() && is_right(digest),
            Fact::Gone => found.is_none(),
            Fact::Either(digest) => is_right(digest),
        };
        assert!(holds, "{place:?}: {fact:?} is known, and there is {found:?}");
    }
    for place in listed.keys() {
        assert!(facts.contains_key(place), "nobody has ever asked for {place:?}");
    }
    listed.len()
}
