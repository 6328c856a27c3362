//! A real store, asked the same and compared.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Read;
use std::sync::Arc;

use hayloft_core::sim::Random;
use hayloft_core::{
    Actor, Allow, AuditQuery, Background, DeleteError, Deprecation, DeprecationChange, FeedDraft,
    FeedError, FeedTypes, FileId, Finding, FindingCode, LatestQuery, Listing, ManualClock,
    OpenOptions, Origin, Overwrite, Overwriting, PackageFile, PromoteError, PromoteRequest,
    PromotionQuery, RepackageError, RepackageRequest, Repair, SelectError, Selector, StatusChange,
    StatusError, Store, Stored, TagError, Timestamp, UploadError, UploadRequest, VerifyLevel,
    VersionsQuery,
};
use hayloft_feed::Qualifiers;
use proptest_state_machine::StateMachineTest;

use crate::plain::{Plain, package};
use crate::reference::{
    Answer, At, Content, Feed, File, From, Operation, Reference, START, Version, parts, text,
};

pub(crate) struct RealStore {
    store: Store,
    clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
}

fn open(directory: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    // Both kinds of places are met by the sizes that occur.
    options.inline_limit = 1_000;
    options.cache = 4 << 20;
    options.clock = clock.clone();
    Store::open(directory.path(), FeedTypes::none().with(Plain), options).unwrap()
}

fn actor() -> Actor {
    Actor::named("tester")
}

impl At {
    fn selector(&self) -> Selector {
        Selector::ungrouped(&self.name, &self.version)
    }
}

fn qualifiers(distro: Option<&String>) -> Qualifiers {
    Qualifiers::from_pairs(distro.map(|distro| ("distro", distro.as_str()))).unwrap()
}

impl StateMachineTest for RealStore {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let store = open(&directory, &clock);
        for feed in ["main", "next"] {
            store.create_feed(FeedDraft::new(feed, "plain"), &actor()).unwrap();
        }
        Self { store, clock, directory }
    }

    fn apply(mut state: Self, reference: &Reference, operation: Operation) -> Self {
        if matches!(operation, Operation::Reopen) {
            state.store.close().unwrap();
            state.store = open(&state.directory, &state.clock);
            return state;
        }
        let answer = state.run(&operation);
        assert_eq!(answer, reference.answer, "{operation:?}");
        state
    }

    fn check_invariants(state: &Self, reference: &Reference) {
        state.compare_feeds(reference);
        state.compare_histories(reference);
        state.compare_digests(reference);
        let rows = state.store.audit_log(&AuditQuery::default()).unwrap();
        assert_eq!(rows.map(Result::unwrap).count(), reference.changes);
        let mut findings: Vec<Finding> = Vec::new();
        let mut report = |finding: &Finding| {
            // A refused upload leaves its file to the next sweep.
            if finding.code != FindingCode::BlobOrphan {
                findings.push(finding.clone());
            }
        };
        state.store.verify(VerifyLevel::Normal, Repair::No, &mut report).unwrap();
        assert_eq!(findings, []);
    }
}

fn answer<T: Debug, E: Debug>(
    result: Result<T, E>,
    done: impl FnOnce(T) -> Answer,
    refused: impl FnOnce(&E) -> Option<Answer>,
) -> Answer {
    match result {
        Ok(value) => done(value),
        Err(error) => refused(&error).unwrap_or_else(|| panic!("{error:?}")),
    }
}

fn stored(stored: Stored) -> Answer {
    match stored {
        Stored::Created => Answer::Done,
        Stored::Unchanged => Answer::Unchanged,
        Stored::Replaced => Answer::Replaced,
    }
}

fn selecting(error: &SelectError) -> Option<Answer> {
    Some(match error {
        SelectError::Feed(_) => Answer::NoFeed,
        SelectError::NotFound { .. } => Answer::Missing,
        SelectError::AmbiguousFile { .. } => Answer::Ambiguous,
        SelectError::Blocked { .. } => Answer::Blocked,
        _ => return None,
    })
}

fn deleting(error: &DeleteError) -> Option<Answer> {
    match error {
        DeleteError::Select(error) => selecting(error),
        _ => None,
    }
}

fn tagging(error: &TagError) -> Option<Answer> {
    match error {
        TagError::Select(error) => selecting(error),
        TagError::NotFound { .. } => Some(Answer::Missing),
        _ => None,
    }
}

fn feeding(error: &FeedError) -> Option<Answer> {
    match error {
        FeedError::NotFound(_) => Some(Answer::NoFeed),
        FeedError::Exists(_) => Some(Answer::Exists),
        _ => None,
    }
}

fn overwrite(replace: bool) -> Overwrite {
    if replace { Overwrite::Replace } else { Overwrite::Refuse }
}

impl RealStore {
    fn run(&self, operation: &Operation) -> Answer {
        let store = &self.store;
        match operation {
            Operation::Upload { at, distro, payload, len, overwrite: replace } => {
                let mut request =
                    UploadRequest { overwrite: overwrite(*replace), ..UploadRequest::default() };
                request.hints.extend(distro.clone().map(|distro| ("distro".to_owned(), distro)));
                let bytes = package(&at.name, &at.version, *payload, *len);
                let result = store.upload(&at.feed, &request, &mut bytes.as_slice(), &actor());
                answer(
                    result,
                    |done| stored(done.stored),
                    |error| match error {
                        UploadError::Feed(_) => Some(Answer::NoFeed),
                        UploadError::Conflict { .. } => Some(Answer::Exists),
                        _ => None,
                    },
                )
            }
            Operation::Delete(at) => {
                let result = store.delete_version(&at.feed, &at.selector(), &actor());
                answer(result, |_| Answer::Done, deleting)
            }
            Operation::DeleteFile(at, distro) => {
                let selector = at.selector().with_qualifiers(qualifiers(distro.as_ref()));
                let result = store.delete_file(&at.feed, &selector, &actor());
                answer(result, |_| Answer::Done, deleting)
            }
            Operation::List(at, listed) => {
                let listing = if *listed { Listing::Listed } else { Listing::Unlisted };
                self.status(at, &StatusChange { listing: Some(listing), ..StatusChange::default() })
            }
            Operation::Allow(at, allow) => {
                let allow = allow.map(|allow| if allow { Allow::Always } else { Allow::Never });
                self.status(at, &StatusChange { allow: Some(allow), ..StatusChange::default() })
            }
            Operation::Deprecate(at, reason) => {
                let change = match reason {
                    None => DeprecationChange::Clear,
                    Some(reason) => DeprecationChange::Set(Deprecation {
                        reason: Some(reason.clone()),
                        details: None,
                    }),
                };
                let deprecation = Some(change);
                self.status(at, &StatusChange { deprecation, ..StatusChange::default() })
            }
            Operation::Promote { at, to, overwrite: replace } => {
                let mut request = PromoteRequest::new(at.selector(), to);
                request.overwrite = overwrite(*replace);
                answer(
                    store.promote(&at.feed, &request, &actor()),
                    |done| stored(done.stored),
                    |error| match error {
                        PromoteError::Select(error) => selecting(error),
                        PromoteError::Feed(_) => Some(Answer::NoFeed),
                        PromoteError::Conflict { .. } => Some(Answer::Exists),
                        PromoteError::SameFeed { .. } => Some(Answer::Same),
                        _ => None,
                    },
                )
            }
            Operation::Repackage { at, version, to } => {
                let mut request = RepackageRequest::new(at.selector(), version);
                request.to_feed.clone_from(to);
                answer(
                    store.repackage(&at.feed, &request, &actor()),
                    |_| Answer::Done,
                    |error| match error {
                        RepackageError::Select(error) => selecting(error),
                        RepackageError::Feed(_) => Some(Answer::NoFeed),
                        RepackageError::Exists { .. } => Some(Answer::Exists),
                        RepackageError::SameVersion { .. } => Some(Answer::Same),
                        _ => None,
                    },
                )
            }
            Operation::Tag(at, tag) => {
                let result = store.set_tag(&at.feed, tag, &at.selector(), &actor());
                answer(result, |_| Answer::Done, tagging)
            }
            Operation::Untag(at, tag) => {
                let result = store.remove_tag(&at.feed, "", &at.name, tag, &actor());
                answer(result, |_| Answer::Done, tagging)
            }
            Operation::Count(at) => match store.files(&at.feed, &at.selector()) {
                Ok(files) => {
                    store.count_download(files[0].id).unwrap();
                    Answer::Done
                }
                Err(error) => selecting(&error).unwrap(),
            },
            _ => self.run_on_feeds(operation),
        }
    }

    fn run_on_feeds(&self, operation: &Operation) -> Answer {
        let store = &self.store;
        match operation {
            Operation::CreateFeed(name) => {
                let result = store.create_feed(FeedDraft::new(name, "plain"), &actor());
                answer(result, |_| Answer::Done, feeding)
            }
            Operation::RenameFeed { feed, name, alternates, overwriting } => {
                let (name, alternates) = (name.clone(), alternates.clone());
                let overwriting =
                    if *overwriting { Overwriting::Allowed } else { Overwriting::Refused };
                let change = move |draft: &mut FeedDraft| {
                    draft.name.clone_from(&name);
                    draft.alternates.clone_from(&alternates);
                    draft.settings.overwriting = overwriting;
                    Ok(())
                };
                answer(store.update_feed(feed, change, &actor()), |_| Answer::Done, feeding)
            }
            Operation::DeleteFeed(name) => {
                answer(store.delete_feed(name, &actor()), |()| Answer::Done, feeding)
            }
            Operation::Maintain(seconds) => {
                self.clock.step(seconds * 1_000);
                store.run_maintenance().unwrap();
                Answer::Done
            }
            other => panic!("{other:?}"),
        }
    }

    fn status(&self, at: &At, change: &StatusChange) -> Answer {
        answer(
            self.store.set_status(&at.feed, &at.selector(), change, &actor()),
            |done| if done.changed { Answer::Done } else { Answer::Unchanged },
            |error| match error {
                StatusError::Select(error) => selecting(error),
                _ => None,
            },
        )
    }

    fn compare_feeds(&self, reference: &Reference) {
        let found: Vec<u32> = self.store.feeds().unwrap().iter().map(|feed| feed.id).collect();
        let mut expected: Vec<u32> = reference.feeds.keys().copied().collect();
        expected.sort_by_key(|id| reference.feeds[id].name.to_ascii_lowercase());
        assert_eq!(found, expected);
        for (id, expected) in &reference.feeds {
            let feed = self.store.feed_by_id(*id).unwrap().unwrap();
            assert_eq!((&feed.name, &feed.alternates), (&expected.name, &expected.alternates));
            for name in expected.alternates.iter().chain([&expected.name]) {
                assert_eq!(self.store.feed(&name.to_ascii_uppercase()).unwrap().id, *id);
            }
            self.compare_packages(&feed.name, expected);
            self.compare_lists(&feed.name, expected);
        }
        for name in ["main", "next", "old"] {
            assert_eq!(self.store.feed(name).ok().map(|feed| feed.id), reference.feed(name));
        }
    }

    fn compare_packages(&self, feed: &str, expected: &Feed) {
        let packages: Vec<_> =
            self.store.packages(feed, None).unwrap().map(Result::unwrap).collect();
        assert_eq!(packages.len(), expected.packages.len());
        for (found, (name, expected)) in packages.iter().zip(&expected.packages_by_key()) {
            assert_eq!(found.name, *name);
            assert_eq!(found.versions, expected.versions.len() as u64);
            assert_eq!(found.tags, expected.tags);
            let latest = expected.versions.keys().next_back().map(|parts| text(parts));
            assert_eq!(found.latest, latest);
            assert_eq!(found.latest_stable, latest);
        }
        let versions = expected.packages.values().flat_map(|package| package.versions.values());
        let files: Vec<_> = versions.clone().flat_map(|version| &version.files).collect();
        let stats = self.store.feed_stats(feed).unwrap();
        assert_eq!(stats.packages, expected.packages.len() as u64);
        assert_eq!(stats.versions, versions.count() as u64);
        assert_eq!(stats.files, files.len() as u64);
        let mut distros: BTreeMap<String, u64> = BTreeMap::new();
        for file in files {
            if let Some(distro) = &file.distro {
                *distros.entry(distro.clone()).or_default() += 1;
            }
        }
        let facets = self.store.facets(feed).unwrap();
        assert_eq!(facets.get("distro").cloned().unwrap_or_default(), distros);
    }

    fn compare_lists(&self, feed: &str, expected: &Feed) {
        let listed = self.store.versions(feed, &VersionsQuery::default()).unwrap();
        let mut listed = listed.map(Result::unwrap);
        let latest = self.store.latest(feed, &LatestQuery::default()).unwrap();
        let mut latest = latest.map(Result::unwrap);
        let mut bytes = 0;
        for (name, package) in expected.packages_by_key() {
            let all = package.versions.values().flat_map(|version| &version.files);
            let package_downloads: u64 = all.map(|file| file.downloads).sum();
            for (at, (version, expected)) in package.versions.iter().rev().enumerate() {
                let version_downloads: u64 = expected.files.iter().map(|file| file.downloads).sum();
                for file in &expected.files {
                    let found = listed.next().unwrap();
                    assert_eq!((&found.name, &found.version), (&name, &text(version)));
                    compare_file(&found, expected, file);
                    let downloads = (version_downloads, package_downloads);
                    assert_eq!((found.version_downloads, found.package_downloads), downloads);
                    if at == 0 {
                        assert_eq!(latest.next().unwrap(), found);
                    }
                    bytes += found.size;
                    self.compare_content(feed, &found, expected, &file.content);
                }
            }
        }
        assert_eq!((listed.next(), latest.next()), (None, None));
        assert_eq!(self.store.feed_stats(feed).unwrap().bytes, bytes);
    }

    fn compare_content(
        &self,
        feed: &str,
        file: &PackageFile,
        version: &Version,
        content: &Content,
    ) {
        let selector =
            Selector::ungrouped(&file.name, &file.version).with_qualifiers(file.qualifiers.clone());
        // A file without a distro is one of several that fit.
        let ambiguous = file.qualifiers.is_empty() && version.files.len() > 1;
        let mut download = match self.store.download(feed, &selector) {
            Ok(download) => download,
            Err(SelectError::AmbiguousFile { .. }) if ambiguous => return,
            Err(SelectError::Blocked { .. }) if version.allow == Some(false) => return,
            Err(error) => panic!("{error:?}"),
        };
        assert!(!ambiguous && version.allow != Some(false));
        assert_eq!(*download.file(), *file);
        let mut bytes = Vec::new();
        std::io::copy(&mut download.by_ref(), &mut bytes).unwrap();
        let (payload, len) = content.payload();
        let mut expected = vec![0; len];
        Random::new(payload).fill(&mut expected);
        let head = format!("plain {} {}\n", file.name, file.version);
        assert!(bytes.starts_with(head.as_bytes()) && bytes.ends_with(&expected));
        assert_eq!(bytes.len() as u64, file.size);
        let history = self.store.history(feed, &selector).unwrap();
        let depth: usize = history.embedded.values().map(Vec::len).sum();
        assert_eq!(depth, content.depth());
    }

    fn compare_histories(&self, reference: &Reference) {
        let promotions = |query: &PromotionQuery| -> Vec<_> {
            self.store
                .promotions(query)
                .unwrap()
                .map(Result::unwrap)
                .map(|row| (row.from_feed, row.to_feed, row.name, row.version))
                .collect()
        };
        assert_eq!(promotions(&PromotionQuery::default()), reference.promotions);
        for name in ["a", "B"] {
            let query = PromotionQuery { name: Some(name.to_owned()), ..PromotionQuery::default() };
            let of_name = reference.promotions.iter().filter(|row| row.2 == name);
            assert_eq!(promotions(&query), of_name.cloned().collect::<Vec<_>>());
        }
        let repackagings: Vec<_> = self
            .store
            .repackagings(&PromotionQuery::default())
            .unwrap()
            .map(Result::unwrap)
            .map(|row| (row.from_feed, row.to_feed, row.name, row.from_version, row.to_version))
            .collect();
        assert_eq!(repackagings, reference.repackagings);
    }

    /// Files with the same bytes have the same digest, and no others.
    fn compare_digests(&self, reference: &Reference) {
        let mut by_content: BTreeMap<&Content, Vec<FileId>> = BTreeMap::new();
        let mut digests: BTreeMap<[u8; 32], (&Content, [u8; 20])> = BTreeMap::new();
        for feed in reference.feeds.values() {
            let listed = self.store.versions(&feed.name, &VersionsQuery::default()).unwrap();
            for file in listed.map(Result::unwrap) {
                let version = &feed.packages[&file.name].versions[&parts(&file.version)];
                let same = |known: &&File| qualifiers(known.distro.as_ref()) == file.qualifiers;
                let content = &version.files.iter().find(same).unwrap().content;
                by_content.entry(content).or_default().push(file.id);
                let known = digests.insert(file.digests.sha256, (content, file.digests.sha1));
                assert!(known.is_none_or(|(known, _)| known == content));
            }
        }
        assert_eq!(by_content.len(), digests.len());
        for (sha256, (content, sha1)) in digests {
            by_content.get_mut(content).unwrap().sort_unstable();
            for digest in [sha256.as_slice(), sha1.as_slice()] {
                let digest = data_encoding::HEXUPPER.encode(digest);
                let found = self.store.find_by_hash(None, &digest).unwrap();
                let mut found: Vec<FileId> = found.iter().map(|found| found.file.id).collect();
                found.sort_unstable();
                assert_eq!(found, by_content[content]);
            }
        }
    }
}

fn compare_file(found: &PackageFile, version: &Version, file: &File) {
    assert_eq!(found.qualifiers, qualifiers(file.distro.as_ref()));
    assert_eq!(found.file_downloads, file.downloads);
    assert_eq!(found.status.is_listed(), version.listed);
    assert_eq!(found.status.allow.map(|allow| allow == Allow::Always), version.allow);
    let deprecated = found.status.deprecated.as_ref().and_then(|known| known.reason.clone());
    assert_eq!(deprecated, version.deprecated);
    let origin = match &version.from {
        From::Upload => Origin::Uploaded,
        From::Promotion(from) => Origin::Promoted { from_feed: from.clone() },
        From::Repackaging(from, old) => {
            Origin::Repackaged { from_feed: from.clone(), from_version: old.clone() }
        }
    };
    assert_eq!(found.origin, origin);
}

impl Feed {
    /// Packages in the order of lists.
    fn packages_by_key(&self) -> Vec<(String, &crate::reference::Package)> {
        self.packages.iter().map(|(name, package)| (name.clone(), package)).collect()
    }
}
