//! What a store is to do, in plain maps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

pub(crate) const START: i64 = 1_800_000_000_000;

/// The bytes of a file, by how they came to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Content {
    Uploaded { name: String, version: String, payload: u64, len: usize },
    Repackaged { source: Box<Self>, to: String, second: i64 },
}

impl Content {
    /// Seed and length of what follows the head.
    pub(crate) fn payload(&self) -> (u64, usize) {
        match self {
            Self::Uploaded { payload, len, .. } => (*payload, *len),
            Self::Repackaged { source, .. } => source.payload(),
        }
    }

    /// How often it was repackaged.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Uploaded { .. } => 0,
            Self::Repackaged { source, .. } => source.depth() + 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) distro: Option<String>,
    pub(crate) content: Content,
    pub(crate) downloads: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Upload,
    Promotion(String),
    Repackaging(String, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) listed: bool,
    pub(crate) allow: Option<bool>,
    pub(crate) deprecated: Option<String>,
    pub(crate) from: From,
    pub(crate) files: Vec<File>,
}

impl Version {
    fn is_blocked(&self) -> bool {
        self.allow == Some(false)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// By the parts of the version.
    pub(crate) versions: BTreeMap<Vec<u64>, Version>,
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feed {
    pub(crate) name: String,
    pub(crate) alternates: Vec<String>,
    pub(crate) overwriting: bool,
    pub(crate) packages: BTreeMap<String, Package>,
}

impl Feed {
    fn names(&self) -> impl Iterator<Item = &String> {
        self.alternates.iter().chain([&self.name])
    }
}

/// A promotion: feeds, name and version.
pub(crate) type Promoted = (String, String, String, String);
/// A repackaging: feeds, name and versions.
pub(crate) type Repackaged = (String, String, String, String, String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// By number.
    pub(crate) feeds: BTreeMap<u32, Feed>,
    next_feed: u32,
    pub(crate) promotions: Vec<Promoted>,
    pub(crate) repackagings: Vec<Repackaged>,
    /// Rows of the audit log.
    pub(crate) changes: usize,
    now: i64,
    /// What the last operation has to answer.
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Unchanged,
    Replaced,
    NoFeed,
    Missing,
    Ambiguous,
    Exists,
    Blocked,
    Same,
}

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Upload {
        at: At,
        distro: Option<String>,
        payload: u64,
        len: usize,
        overwrite: bool,
    },
    Delete(At),
    DeleteFile(At, Option<String>),
    List(At, bool),
    Allow(At, Option<bool>),
    Deprecate(At, Option<String>),
    Promote {
        at: At,
        to: String,
        overwrite: bool,
    },
    Repackage {
        at: At,
        version: String,
        to: Option<String>,
    },
    Tag(At, String),
    Untag(At, String),
    Count(At),
    CreateFeed(String),
    RenameFeed {
        feed: String,
        name: String,
        alternates: Vec<String>,
        overwriting: bool,
    },
    DeleteFeed(String),
    /// Lets time pass, in seconds, and cleans up.
    Maintain(i64),
    Reopen,
}

/// A version of a package of a feed.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) feed: String,
    pub(crate) name: String,
    pub(crate) version: String,
}

pub(crate) fn parts(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

pub(crate) fn text(parts: &[u64]) -> String {
    parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

fn any_of(choices: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    proptest::sample::select(choices).prop_map(str::to_owned)
}

fn feed() -> impl Strategy<Value = String> + Clone {
    any_of(&["main", "main", "main", "next", "Next", "old", "MAIN"])
}

fn version() -> impl Strategy<Value = String> + Clone {
    any_of(&["1", "2", "10", "1.0", "1.2"])
}

fn at() -> impl Strategy<Value = At> {
    (feed(), any_of(&["a", "a", "B"]), version()).prop_map(|(feed, name, version)| At {
        feed,
        name,
        version,
    })
}

fn distro() -> impl Strategy<Value = Option<String>> {
    prop_oneof![3 => Just(None), 1 => any_of(&["sid", "buster"]).prop_map(Some)]
}

fn upload() -> impl Strategy<Value = Operation> {
    let len = prop_oneof![Just(20_usize), Just(20_usize), Just(3_000), Just(20_000)];
    (at(), distro(), 0..3_u64, len, any::<bool>()).prop_map(
        |(at, distro, payload, len, overwrite)| Operation::Upload {
            at,
            distro,
            payload,
            len,
            overwrite,
        },
    )
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Self> {
        let feed = |name: &str| Feed {
            name: name.to_owned(),
            alternates: Vec::new(),
            overwriting: true,
            packages: BTreeMap::new(),
        };
        Just(Self {
            feeds: [(1, feed("main")), (2, feed("next"))].into(),
            next_feed: 3,
            promotions: Vec::new(),
            repackagings: Vec::new(),
            changes: 2,
            now: START,
            answer: Answer::Done,
        })
        .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Operation> {
        let tag = || any_of(&["latest", "beta"]);
        prop_oneof![
            10 => upload(),
            2 => at().prop_map(Operation::Delete),
            2 => (at(), distro()).prop_map(|(at, distro)| Operation::DeleteFile(at, distro)),
            1 => (at(), any::<bool>()).prop_map(|(at, listed)| Operation::List(at, listed)),
            1 => (at(), any::<Option<bool>>()).prop_map(|(at, allow)| Operation::Allow(at, allow)),
            1 => (at(), proptest::option::of(any_of(&["old", "bad"])))
                .prop_map(|(at, reason)| Operation::Deprecate(at, reason)),
            4 => (at(), feed(), any::<bool>())
                .prop_map(|(at, to, overwrite)| Operation::Promote { at, to, overwrite }),
            4 => (at(), version(), proptest::option::of(feed()))
                .prop_map(|(at, version, to)| Operation::Repackage { at, version, to }),
            1 => (at(), tag()).prop_map(|(at, tag)| Operation::Tag(at, tag)),
            1 => (at(), tag()).prop_map(|(at, tag)| Operation::Untag(at, tag)),
            2 => at().prop_map(Operation::Count),
            1 => feed().prop_map(Operation::CreateFeed),
            1 => (feed(), feed(), proptest::collection::vec(feed(), 0..3), any::<bool>()).prop_map(
                |(feed, name, alternates, overwriting)| Operation::RenameFeed {
                    feed,
                    name,
                    alternates,
                    overwriting,
                }
            ),
            1 => feed().prop_map(Operation::DeleteFeed),
            1 => prop_oneof![Just(1_i64), Just(700), Just(200_000)].prop_map(Operation::Maintain),
            2 => Just(Operation::Reopen),
        ]
        .boxed()
    }

    fn apply(mut state: Self, operation: &Operation) -> Self {
        let before = state.clone();
        match state.run(operation) {
            Ok(answer) => state.answer = answer,
            // What is refused changes nothing.
            Err(answer) => state = Self { answer, ..before },
        }
        state
    }
}

impl Reference {
    /// The number of the feed with this name.
    pub(crate) fn feed(&self, name: &str) -> Option<u32> {
        let has = |feed: &Feed| feed.names().any(|known| known.eq_ignore_ascii_case(name));
        self.feeds.iter().find(|(_, feed)| has(feed)).map(|(id, _)| *id)
    }

    pub(crate) fn version(&self, at: &At) -> Result<(u32, &Version), Answer> {
        let id = self.feed(&at.feed).ok_or(Answer::NoFeed)?;
        let package = self.feeds[&id].packages.get(&at.name).ok_or(Answer::Missing)?;
        Ok((id, package.versions.get(&parts(&at.version)).ok_or(Answer::Missing)?))
    }

    fn version_mut(&mut self, at: &At) -> Result<&mut Version, Answer> {
        let (id, _) = self.version(at)?;
        let packages = &mut self.feeds.get_mut(&id).unwrap().packages;
        Ok(packages.get_mut(&at.name).unwrap().versions.get_mut(&parts(&at.version)).unwrap())
    }

    fn run(&mut self, operation: &Operation) -> Result<Answer, Answer> {
        match operation {
            Operation::Upload { at, distro, payload, len, overwrite } => {
                let id = self.feed(&at.feed).ok_or(Answer::NoFeed)?;
                let content = Content::Uploaded {
                    name: at.name.clone(),
                    version: at.version.clone(),
                    payload: *payload,
                    len: *len,
                };
                let file = File { distro: distro.clone(), content, downloads: 0 };
                let new = Version {
                    listed: true,
                    allow: None,
                    deprecated: None,
                    from: From::Upload,
                    files: vec![file],
                };
                let answer = self.add(id, &at.name, &at.version, new, *overwrite)?;
                self.changes += usize::from(answer != Answer::Unchanged);
                Ok(answer)
            }
            Operation::Delete(at) => {
                let (id, _) = self.version(at)?;
                self.remove(id, at);
                Ok(Answer::Done)
            }
            Operation::DeleteFile(at, distro) => self.delete_file(at, distro.as_ref()),
            Operation::List(at, listed) => {
                let listed = *listed;
                self.set(at, |version| version.listed = listed)
            }
            Operation::Allow(at, allow) => {
                let allow = *allow;
                self.set(at, |version| version.allow = allow)
            }
            Operation::Deprecate(at, reason) => {
                let reason = reason.clone();
                self.set(at, |version| version.deprecated = reason)
            }
            Operation::Promote { at, to, overwrite } => self.promote(at, to, *overwrite),
            Operation::Repackage { at, version, to } => self.repackage(at, version, to.as_deref()),
            Operation::Tag(at, tag) => {
                let (id, _) = self.version(at)?;
                let package = self.package(id, &at.name);
                let before = package.tags.insert(tag.clone(), at.version.clone());
                self.changes += usize::from(before.as_ref() != Some(&at.version));
                Ok(Answer::Done)
            }
            Operation::Untag(at, tag) => {
                let id = self.feed(&at.feed).ok_or(Answer::NoFeed)?;
                let packages = &mut self.feeds.get_mut(&id).unwrap().packages;
                let package = packages.get_mut(&at.name).ok_or(Answer::Missing)?;
                package.tags.remove(tag).ok_or(Answer::Missing)?;
                self.changes += 1;
                Ok(Answer::Done)
            }
            Operation::Count(at) => {
                self.version_mut(at)?.files[0].downloads += 1;
                Ok(Answer::Done)
            }
            Operation::CreateFeed(name) => {
                if self.feed(name).is_some() {
                    return Err(Answer::Exists);
                }
                let feed = Feed {
                    name: name.clone(),
                    alternates: Vec::new(),
                    overwriting: true,
                    packages: BTreeMap::new(),
                };
                self.feeds.insert(self.next_feed, feed);
                self.next_feed += 1;
                self.changes += 1;
                Ok(Answer::Done)
            }
            Operation::RenameFeed { feed, name, alternates, overwriting } => {
                self.rename(feed, name, alternates, *overwriting)
            }
            Operation::DeleteFeed(name) => {
                let id = self.feed(name).ok_or(Answer::NoFeed)?;
                self.feeds.remove(&id);
                self.changes += 1;
                Ok(Answer::Done)
            }
            Operation::Maintain(seconds) => {
                self.now += seconds * 1_000;
                Ok(Answer::Done)
            }
            Operation::Reopen => Ok(Answer::Done),
        }
    }

    fn package(&mut self, id: u32, name: &str) -> &mut Package {
        self.feeds.get_mut(&id).unwrap().packages.entry(name.to_owned()).or_default()
    }

    /// Adds the files of `new` to a version, which is made if it is missing.
    fn add(
        &mut self,
        id: u32,
        name: &str,
        version: &str,
        new: Version,
        overwrite: bool,
    ) -> Result<Answer, Answer> {
        let allowed = overwrite && self.feeds[&id].overwriting;
        let Some(known) = self.package(id, name).versions.get_mut(&parts(version)) else {
            self.package(id, name).versions.insert(parts(version), new);
            return Ok(Answer::Done);
        };
        let mut answer = Answer::Unchanged;
        for file in new.files {
            match known.files.iter_mut().find(|known| known.distro == file.distro) {
                None => {
                    known.files.push(file);
                    if answer == Answer::Unchanged {
                        answer = Answer::Done;
                    }
                }
                Some(same) if same.content == file.content => {}
                Some(_) if !allowed => return Err(Answer::Exists),
                Some(other) => {
                    other.content = file.content;
                    known.from = new.from.clone();
                    if answer == Answer::Unchanged {
                        answer = Answer::Replaced;
                    }
                }
            }
        }
        Ok(answer)
    }

    fn remove(&mut self, id: u32, at: &At) {
        let package = self.package(id, &at.name);
        package.versions.remove(&parts(&at.version));
        package.tags.retain(|_, version| *version != at.version);
        if package.versions.is_empty() {
            self.feeds.get_mut(&id).unwrap().packages.remove(&at.name);
        }
        self.changes += 1;
    }

    fn delete_file(&mut self, at: &At, distro: Option<&String>) -> Result<Answer, Answer> {
        let (id, version) = self.version(at)?;
        let fits = |file: &File| distro.is_none() || file.distro.as_ref() == distro;
        let found: Vec<usize> = version
            .files
            .iter()
            .enumerate()
            .filter(|(_, file)| fits(file))
            .map(|(at, _)| at)
            .collect();
        match (found.as_slice(), version.files.len()) {
            ([], _) => Err(Answer::Missing),
            ([_], 1) => {
                self.remove(id, at);
                Ok(Answer::Done)
            }
            ([only], _) => {
                let only = *only;
                self.version_mut(at)?.files.remove(only);
                self.changes += 1;
                Ok(Answer::Done)
            }
            _ => Err(Answer::Ambiguous),
        }
    }

    fn set(&mut self, at: &At, set: impl FnOnce(&mut Version)) -> Result<Answer, Answer> {
        let version = self.version_mut(at)?;
        let before = version.clone();
        set(version);
        if *version == before {
            return Ok(Answer::Unchanged);
        }
        self.changes += 1;
        Ok(Answer::Done)
    }

    fn promote(&mut self, at: &At, to: &str, overwrite: bool) -> Result<Answer, Answer> {
        let from = self.feed(&at.feed).ok_or(Answer::NoFeed)?;
        let to = self.feed(to).ok_or(Answer::NoFeed)?;
        if from == to {
            return Err(Answer::Same);
        }
        let (_, source) = self.version(at)?;
        if source.is_blocked() {
            return Err(Answer::Blocked);
        }
        let files = source.files.iter().map(|file| File { downloads: 0, ..file.clone() });
        let new = Version {
            allow: None,
            from: From::Promotion(self.feeds[&from].name.clone()),
            files: files.collect(),
            ..source.clone()
        };
        let answer = self.add(to, &at.name, &at.version, new, overwrite)?;
        self.record_promotion(from, to, &at.name, &at.version);
        self.changes += 1;
        Ok(answer)
    }

    fn record_promotion(&mut self, from: u32, to: u32, name: &str, version: &str) {
        let (from, to) = (self.feeds[&from].name.clone(), self.feeds[&to].name.clone());
        self.promotions.push((from, to, name.to_owned(), version.to_owned()));
    }

    fn repackage(&mut self, at: &At, version: &str, to: Option<&str>) -> Result<Answer, Answer> {
        let from = self.feed(&at.feed).ok_or(Answer::NoFeed)?;
        let to = match to {
            Some(to) => self.feed(to).ok_or(Answer::NoFeed)?,
            None => from,
        };
        let (_, source) = self.version(at)?;
        if source.is_blocked() {
            return Err(Answer::Blocked);
        }
        if at.version == version {
            return Err(Answer::Same);
        }
        let second = self.now / 1_000;
        let rewritten = |file: &File| File {
            distro: file.distro.clone(),
            content: Content::Repackaged {
                source: Box::new(file.content.clone()),
                to: version.to_owned(),
                second,
            },
            downloads: 0,
        };
        let from_name = self.feeds[&from].name.clone();
        let new = Version {
            listed: true,
            allow: None,
            deprecated: None,
            from: From::Repackaging(from_name.clone(), at.version.clone()),
            files: source.files.iter().map(rewritten).collect(),
        };
        if self.package(to, &at.name).versions.contains_key(&parts(version)) {
            return Err(Answer::Exists);
        }
        self.add(to, &at.name, version, new, false)?;
        let to_name = self.feeds[&to].name.clone();
        let (name, old) = (at.name.clone(), at.version.clone());
        self.repackagings.push((from_name, to_name, name, old, version.to_owned()));
        if from != to {
            self.record_promotion(from, to, &at.name, version);
        }
        self.changes += 1;
        Ok(Answer::Done)
    }

    fn rename(
        &mut self,
        feed: &str,
        name: &str,
        alternates: &[String],
        overwriting: bool,
    ) -> Result<Answer, Answer> {
        let id = self.feed(feed).ok_or(Answer::NoFeed)?;
        let known = &self.feeds[&id];
        let renamed = Feed {
            name: name.to_owned(),
            alternates: alternates.to_vec(),
            overwriting,
            packages: known.packages.clone(),
        };
        if renamed == *known {
            return Ok(Answer::Done);
        }
        let mut names: Vec<_> = renamed.names().map(|name| name.to_ascii_lowercase()).collect();
        let all = names.len();
        let taken = |name: &String| self.feed(name).is_some_and(|other| other != id);
        let is_taken = names.iter().any(taken);
        names.sort_unstable();
        names.dedup();
        if is_taken || names.len() < all {
            return Err(Answer::Exists);
        }
        self.feeds.insert(id, renamed);
        self.changes += 1;
        Ok(Answer::Done)
    }
}
