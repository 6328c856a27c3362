//! Operations on a store, made up by chance from few names so that they meet each other.

use hayloft_core::sim::Random;
use hayloft_core::{
    Allow, Deprecation, DeprecationChange, FeedDraft, KeyGrant, Listing, Overwrite, PromoteRequest,
    RepackageRequest, Selector, StatusChange, StoreError, UploadRequest, VersionsQuery,
};

use super::{Engine, FEEDS, actor, package};

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Upload {
        feed: &'static str,
        name: &'static str,
        version: u64,
        content: u64,
        len: usize,
    },
    Delete {
        feed: &'static str,
        name: &'static str,
        version: u64,
    },
    Status {
        feed: &'static str,
        name: &'static str,
        version: u64,
        change: u64,
    },
    Promote {
        name: &'static str,
        version: u64,
    },
    Repackage {
        name: &'static str,
        version: u64,
        to: u64,
    },
    Tag {
        feed: &'static str,
        name: &'static str,
        version: u64,
    },
    Setting {
        value: u64,
    },
    Key {
        text: u64,
    },
    Count {
        feed: &'static str,
    },
    CreateFeed {
        name: &'static str,
    },
    DeleteFeed {
        name: &'static str,
    },
    /// Lets time pass, in milliseconds, and cleans up.
    Maintain {
        step: i64,
    },
    Reopen,
}

/// One of each, for runs over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    UploadSmall,
    UploadLarge,
    Replace,
    Delete,
    Status,
    Promote,
    Repackage,
    Tag,
    Setting,
    CreateFeed,
    DeleteFeed,
    Maintain,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::UploadSmall,
        Self::UploadLarge,
        Self::Replace,
        Self::Delete,
        Self::Status,
        Self::Promote,
        Self::Repackage,
        Self::Tag,
        Self::Setting,
        Self::CreateFeed,
        Self::DeleteFeed,
        Self::Maintain,
    ];

    /// The operation, for a store that holds version 1 of `a` in `main`.
    pub(crate) fn operation(self) -> Operation {
        let (feed, name) = ("main", "a");
        match self {
            Self::UploadSmall => Operation::Upload { feed, name, version: 2, content: 2, len: 100 },
            Self::UploadLarge => {
                Operation::Upload { feed, name, version: 2, content: 2, len: 70_000 }
            }
            Self::Replace => Operation::Upload { feed, name, version: 1, content: 3, len: 30_000 },
            Self::Delete => Operation::Delete { feed, name, version: 1 },
            Self::Status => Operation::Status { feed, name, version: 1, change: 2 },
            Self::Promote => Operation::Promote { name, version: 1 },
            Self::Repackage => Operation::Repackage { name, version: 1, to: 9 },
            Self::Tag => Operation::Tag { feed, name, version: 1 },
            Self::Setting => Operation::Setting { value: 7 },
            Self::CreateFeed => Operation::CreateFeed { name: "more" },
            Self::DeleteFeed => Operation::DeleteFeed { name: feed },
            Self::Maintain => Operation::Maintain { step: 2 * 86_400_000 },
        }
    }
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    /// Refused by the rules; nothing changed.
    Refused,
    /// The store failed; nothing changed, as far as is known.
    Failed(String),
}

fn ended<T, E: std::error::Error + 'static>(result: Result<T, E>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) if blames_the_store(&error) => Outcome::Failed(chain(&error)),
        Err(_) => Outcome::Refused,
    }
}

fn blames_the_store(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<StoreError>() || error.is::<std::io::Error>() {
            return true;
        }
        next = error.source();
    }
    // A transparent variant is its source, and shows as no link of the chain.
    format!("{error:?}").contains("Store(")
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

impl Operation {
    pub(crate) fn any(random: &mut Random) -> Self {
        let feed = FEEDS[random.index(FEEDS.len())];
        let name = ["a", "b", "c"][random.index(3)];
        let version = 1 + random.below(4);
        match random.below(20) {
            0..=7 => Self::Upload {
                feed,
                name,
                version,
                content: random.below(4),
                len: [0, 300, 5_000, 40_000][random.index(4)],
            },
            8..=9 => Self::Delete { feed, name, version },
            10..=11 => Self::Status { feed, name, version, change: random.below(5) },
            12 => Self::Promote { name, version },
            13 => Self::Repackage { name, version, to: 10 + random.below(4) },
            14 => Self::Tag { feed, name, version },
            15 => match random.below(3) {
                0 => Self::Setting { value: random.below(3) },
                1 => Self::Key { text: random.below(3) },
                _ => Self::Count { feed },
            },
            16 if random.below(3) == 0 => Self::DeleteFeed { name: feed },
            16 => Self::CreateFeed { name: feed },
            17 => Self::Reopen,
            _ => Self::Maintain { step: [1_000, 700_000, 2 * 86_400_000][random.index(3)] },
        }
    }

    /// Runs it; `Reopen` is for the caller.
    pub(crate) fn run(&self, engine: &Engine) -> Outcome {
        let store = &engine.store;
        let actor = actor();
        match self {
            Self::Upload { feed, name, version, content, len } => {
                let bytes = package(name, &version.to_string(), *content, *len);
                let request =
                    UploadRequest { overwrite: Overwrite::Replace, ..UploadRequest::default() };
                ended(store.upload(feed, &request, &mut bytes.as_slice(), &actor))
            }
            Self::Delete { feed, name, version } => {
                ended(store.delete_version(feed, &exact(name, *version), &actor))
            }
            Self::Status { feed, name, version, change } => {
                let mut status = StatusChange::default();
                match change {
                    0 => status.listing = Some(Listing::Unlisted),
                    1 => status.listing = Some(Listing::Listed),
                    2 => status.allow = Some(Some(Allow::Never)),
                    3 => status.allow = Some(None),
                    _ => {
                        status.deprecation = Some(DeprecationChange::Set(Deprecation {
                            reason: Some("old".to_owned()),
                            details: None,
                        }));
                    }
                }
                ended(store.set_status(feed, &exact(name, *version), &status, &actor))
            }
            Self::Promote { name, version } => {
                let request = PromoteRequest {
                    source: exact(name, *version),
                    to_feed: "next".to_owned(),
                    comments: Some("ready".to_owned()),
                    overwrite: Overwrite::Replace,
                };
                ended(store.promote("main", &request, &actor))
            }
            Self::Repackage { name, version, to } => {
                let request = RepackageRequest {
                    source: exact(name, *version),
                    new_version: to.to_string(),
                    to_feed: None,
                    comments: None,
                    url: None,
                };
                ended(store.repackage("main", &request, &actor))
            }
            Self::Tag { feed, name, version } => {
                ended(store.set_tag(feed, "beta", &exact(name, *version), &actor))
            }
            Self::Setting { value } => {
                let value = (*value > 0).then(|| value.to_string());
                ended(store.set_setting("colour", value.as_deref(), &actor))
            }
            Self::Key { text } => {
                let text = format!("0123456789abcdef{text}");
                ended(store.create_key(KeyGrant::default(), Some(&text), &actor))
            }
            Self::Count { feed } => {
                let query = VersionsQuery::default();
                let Ok(files) = store.versions(feed, &query) else { return Outcome::Refused };
                for file in files.flatten() {
                    if let Err(error) = store.count_download(file.id) {
                        return ended::<(), _>(Err(error));
                    }
                }
                Outcome::Done
            }
            Self::CreateFeed { name } => {
                ended(store.create_feed(FeedDraft::new(*name, "plain"), &actor))
            }
            Self::DeleteFeed { name } => ended(store.delete_feed(name, &actor)),
            Self::Maintain { step } => {
                engine.clock.step(*step);
                ended(store.run_maintenance())
            }
            Self::Reopen => Outcome::Refused,
        }
    }
}

pub(crate) fn exact(name: &str, version: u64) -> Selector {
    Selector::ungrouped(name, version.to_string())
}
