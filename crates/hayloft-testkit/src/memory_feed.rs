use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use hayloft_feed::native::{
    Action, Answer, Body, Change, Edit, FeedCard, FeedView, Fields, FragmentEntry, ListingChange,
    Native, Outcome, RefreshOrder, Refusal, Reply, Request, Resource, SearchPage, SearchQuery,
    StagedCard, Subject, UploadOrder, Validator, VersionEntry, ViewError, Want,
};
use hayloft_feed::{
    Arrival, FeedType, FileCard, FileId, Fragment, IndexChange, IndexError, IndexWriter, Inspected,
    Limits, Listing, LogHead, NameKey, PackageHead, PackageName, ReadSeek, SearchRecord, Status,
    TagChange, Timestamp, Upload, Version, VersionChange, VersionState,
};
use md5::{Digest, Md5};
use sha2::Sha256;

/// A feed in memory, to try the index and the documents of a feed type without a store.
///
/// It does what a store does around [`FeedType::inspect`], [`FeedType::index`] and [`Native`], in
/// the plainest way; what it derives step by step can be held against what it derives at once:
/// [`MemoryFeed::assert_rebuilds_equally`].
#[derive(Debug, Clone)]
pub struct MemoryFeed {
    feed_type: Arc<dyn FeedType>,
    card: FeedCard,
    now: Timestamp,
    revision: u64,
    next_file: u64,
    packages: BTreeMap<Vec<u8>, Package>,
    index: Index,
    kept: BTreeMap<[u8; 32], Timestamp>,
    /// Of all files that ever were.
    contents: BTreeMap<[u8; 32], Vec<u8>>,
    secret: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Package {
    head: PackageHead,
    /// By sort key and identity.
    versions: BTreeMap<Place, Stored>,
}

/// Where a version stands in its package: sort key and identity.
type Place = (Vec<u8>, String);

#[derive(Debug, Clone)]
struct Stored {
    version: Version,
    state: VersionState,
    published_by: String,
    files: BTreeMap<u64, File>,
}

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    documents: BTreeMap<String, Vec<u8>>,
}

/// What the type has derived.
#[derive(Debug, Clone, Default)]
struct Index {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    subjects: BTreeMap<Vec<u8>, Subject>,
    logs: BTreeMap<Vec<u8>, Log>,
    search: BTreeMap<Vec<u8>, SearchRecord>,
    stale: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Log {
    generation: u64,
    bytes: Vec<u8>,
    changed: Timestamp,
}

impl Log {
    fn head(&self) -> LogHead {
        LogHead::new(
            self.generation,
            u64::try_from(self.bytes.len()).unwrap_or(u64::MAX),
            Md5::digest(&self.bytes).into(),
            Sha256::digest(&self.bytes).into(),
            self.changed,
        )
    }
}

/// A document or file as a client would get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Status code.
    pub status: u16,
    /// Media type.
    pub media_type: String,
    /// The entity tag without quotes, if it is a resource.
    pub tag: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Got {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl MemoryFeed {
    /// An empty feed of this name at a fixed time.
    pub fn new(feed_type: Arc<dyn FeedType>, name: &str) -> Self {
        Self {
            feed_type,
            card: FeedCard::new(name),
            now: Timestamp::from_millis(1_767_323_045_000),
            revision: 0,
            next_file: 0,
            packages: BTreeMap::new(),
            index: Index::default(),
            kept: BTreeMap::new(),
            contents: BTreeMap::new(),
            secret: None,
        }
    }

    /// Moves the clock.
    pub fn step(&mut self, millis: i64) {
        self.now = Timestamp::from_millis(self.now.millis() + millis);
    }

    /// Settings of the feed as the type sees them.
    pub fn settings(&mut self, json: &str) {
        json.clone_into(&mut self.card.settings);
    }

    /// What a native delete does here.
    pub fn deletes(&mut self, deletes: ListingChange) {
        self.card.deletes = deletes;
    }

    /// Stores a file as an upload without hints would.
    pub fn upload(&mut self, file_name: &str, bytes: &[u8]) -> Outcome {
        let order = UploadOrder { file_name: Some(file_name.to_owned()), ..UploadOrder::default() };
        self.store(&order, bytes).unwrap_or_else(|refusal| panic!("{file_name}: {refusal:?}"))
    }

    /// Stores a file as an action orders.
    pub fn store(&mut self, order: &UploadOrder, bytes: &[u8]) -> Result<Outcome, Refusal> {
        let digests = crate::digests(bytes);
        let mut content = Cursor::new(bytes);
        let upload =
            Upload::new(&mut content, u64::try_from(bytes.len()).unwrap_or(u64::MAX), &digests)
                .with_file_name(order.file_name.as_deref())
                .with_hints(&order.hints);
        let inspected = self
            .feed_type
            .inspect(upload, &Limits::default())
            .map_err(|error| Refusal::Invalid(chain(&error)))?;
        let identity = &inspected.identity;
        if let Some((name, version)) = &order.expect
            && (*name != identity.package || *version != identity.version)
        {
            return Err(Refusal::Invalid("the file is another package".to_owned()));
        }
        self.add(order, bytes, digests, inspected)
    }

    fn add(
        &mut self,
        order: &UploadOrder,
        bytes: &[u8],
        digests: hayloft_feed::Digests,
        inspected: Inspected,
    ) -> Result<Outcome, Refusal> {
        let Inspected { identity, manifest, fragments, documents, role, warnings, .. } = inspected;
        let key = identity.package.key().as_bytes().to_vec();
        let place = place(&identity.version);
        let before_head = self.packages.get(&key).map(|package| package.head.clone());
        let before = self.packages.get(&key).and_then(|package| package.versions.get(&place));
        let before_state = before.map(|stored| stored.state.clone());
        let existing = before.and_then(|stored| {
            stored.state.files.iter().find(|file| {
                file.qualifiers == identity.qualifiers
                    || self.feed_type.are_one_file(&file.qualifiers, &identity.qualifiers)
            })
        });
        if let Some(file) = existing {
            if file.digests != digests {
                return Err(Refusal::Conflict(format!("{} exists already", file.file_name)));
            }
            if order.existing == hayloft_feed::native::Existing::Conflicts {
                return Err(Refusal::Conflict(format!("{} exists already", file.file_name)));
            }
            return Ok(Outcome::Uploaded {
                package: identity.package.clone(),
                version: identity.version.text().to_owned(),
                file: Box::new(file.clone()),
                new: false,
                revision: before_head.map_or(0, |head| head.revision),
                warnings,
            });
        }
        let package = self.packages.entry(key.clone()).or_insert_with(|| Package {
            head: PackageHead::new(identity.package.clone(), 0),
            versions: BTreeMap::new(),
        });
        if package.versions.is_empty() {
            package.head.created = self.now;
        }
        let stored = package.versions.entry(place.clone()).or_insert_with(|| Stored {
            version: identity.version.clone(),
            state: VersionState::new(Status::default(), self.now, Vec::new()),
            published_by: "tester".to_owned(),
            files: BTreeMap::new(),
        });
        self.next_file += 1;
        self.contents.insert(digests.sha256, bytes.to_vec());
        let number = u32::try_from(stored.state.files.len()).unwrap_or(u32::MAX);
        let id = FileId::new(1, self.next_file, number);
        let file_name = self.feed_type.file_name(&identity);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut card = FileCard::new(id, role, &file_name, size, digests);
        card.qualifiers = identity.qualifiers.clone();
        card.published = self.now;
        "tester".clone_into(&mut card.published_by);
        card.documents = documents.iter().map(|document| document.name.clone()).collect();
        stored.state.files.push(card.clone());
        let manifest = Fragment { kind: Fragment::MANIFEST, bytes: manifest.into_bytes() };
        stored.state.fragments.push((number, manifest));
        for fragment in fragments {
            assert!(fragment.kind != Fragment::MANIFEST, "kind 0 is the manifest");
            stored.state.fragments.push((number, fragment));
        }
        stored.state.fragments.sort_by_key(|(file, fragment)| (*file, fragment.kind));
        let documents =
            documents.into_iter().map(|document| (document.name, document.bytes)).collect();
        stored.files.insert(self.next_file, File { bytes: bytes.to_vec(), documents });
        for tag in &order.tags {
            let text = identity.version.text().to_owned();
            package.head.tags.insert(tag.clone(), text);
        }
        let arrival = if order.tags.is_empty() { Arrival::Untagged } else { Arrival::Tagged };
        let arrived = Some((arrival, identity.version.clone()));
        let touched = vec![(place, before_state)];
        self.changed(&identity.package, before_head.as_ref(), touched, arrived.as_ref());
        Ok(Outcome::Uploaded {
            package: identity.package.clone(),
            version: identity.version.text().to_owned(),
            file: Box::new(card),
            new: true,
            revision: self.revision,
            warnings,
        })
    }

    /// Changes a package as an action orders.
    pub fn edit(&mut self, edit: &Edit) -> Result<Outcome, Refusal> {
        let key = edit.package.key().as_bytes().to_vec();
        let Some(package) = self.packages.get(&key) else {
            return Err(Refusal::NotFound(None));
        };
        if edit.expect.is_some_and(|expected| expected != package.head.revision) {
            return Err(Refusal::Conflict("the package was changed meanwhile".to_owned()));
        }
        let before_head = package.head.clone();
        let before: BTreeMap<_, _> = package
            .versions
            .iter()
            .map(|(place, stored)| (place.clone(), stored.state.clone()))
            .collect();
        let mut work = package.clone();
        for change in &edit.changes {
            apply(&mut work, change, self.card.deletes)?;
        }
        let touched: Vec<_> = before
            .iter()
            .filter(|(place, state)| {
                work.versions.get(*place).is_none_or(|now| {
                    now.state.status != state.status || now.state.files != state.files
                })
            })
            .map(|(place, state)| (place.clone(), Some(state.clone())))
            .collect();
        let changed = !touched.is_empty() || work.head.tags != before_head.tags;
        if changed {
            self.packages.insert(key.clone(), work);
            self.changed(&edit.package, Some(&before_head), touched, None);
        }
        let revision = self.packages.get(&key).map(|package| package.head.revision);
        Ok(Outcome::Edited { changed, revision, at: self.now })
    }

    fn changed(
        &mut self,
        name: &PackageName,
        before_head: Option<&PackageHead>,
        touched: Vec<(Place, Option<VersionState>)>,
        arrived: Option<&(Arrival, Version)>,
    ) {
        self.revision += 1;
        self.card.revision = self.revision;
        self.card.changed = self.now;
        let key = name.key().as_bytes().to_vec();
        if self.packages.get(&key).is_some_and(|package| package.versions.is_empty()) {
            self.packages.remove(&key);
        }
        let mut versions = Vec::new();
        for (place, before) in touched {
            let package = self.packages.get(&key);
            let after = package.and_then(|package| package.versions.get(&place));
            let version = after.map(|stored| stored.version.clone());
            let version = version.unwrap_or_else(|| {
                self.feed_type.version(&place.1).expect("the identity of a version is one")
            });
            let after = after.map(|stored| stored.state.clone());
            let before = before.map(|mut state| {
                state.fragments.clear();
                state
            });
            versions.push(VersionChange::new(version, before, after));
        }
        if let Some(package) = self.packages.get_mut(&key) {
            package.settle(&*self.feed_type, arrived);
            package.head.revision = self.revision;
            package.head.changed = self.now;
        }
        let after = self.packages.get(&key).map(|package| package.head.clone());
        let change = IndexChange::new(name, before_head, after.as_ref(), &versions, self.now);
        self.derive(&change);
        self.card.packages = u64::try_from(self.packages.len()).unwrap_or(u64::MAX);
    }

    fn derive(&mut self, change: &IndexChange<'_>) {
        let mut out = Writer {
            index: self.index.clone(),
            name: change.name.key().as_bytes().to_vec(),
            revision: self.revision,
            now: change.now,
        };
        self.feed_type.index(change, self, &mut out).expect("the index is derived");
        self.index = out.index;
    }

    /// Lets the type tidy its logs, as maintenance does.
    pub fn tidy(&mut self) {
        let mut out = Writer {
            index: self.index.clone(),
            name: Vec::new(),
            revision: self.revision,
            now: self.now,
        };
        self.feed_type.tidy(self, self.now, &mut out).expect("the index is tidied");
        self.index = out.index;
    }

    /// Derives the index of every package anew and holds it against what the changes made.
    pub fn assert_rebuilds_equally(&self) {
        let mut fresh = Self { index: Index::default(), ..self.clone() };
        let names: Vec<_> =
            self.packages.values().map(|package| package.head.name.clone()).collect();
        for name in names {
            let found = hayloft_feed::rebuild_change(self, name.key()).expect("a view in memory");
            let (head, versions) = found.expect("a package that is there");
            let change = IndexChange::new(&name, None, Some(&head), &versions, self.now);
            fresh.derive(&change);
        }
        let state = |index: &Index| -> BTreeMap<Vec<u8>, Vec<u8>> {
            let rows = index.rows.iter().filter(|(key, _)| !self.feed_type.is_history(key));
            rows.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let (kept, fresh_rows) = (state(&self.index), state(&fresh.index));
        assert_eq!(kept, fresh_rows, "index rows differ from rebuilt ones");
        assert_eq!(self.index.search, fresh.index.search, "search records differ");
        let normal = |index: &Index| -> BTreeMap<Vec<u8>, Vec<u8>> {
            let logs = index.logs.iter();
            logs.map(|(name, log)| {
                (name.clone(), self.feed_type.normal_form(name, log.bytes.clone()))
            })
            .filter(|(_, bytes)| !bytes.is_empty())
            .collect()
        };
        assert_eq!(normal(&self.index), normal(&fresh.index), "logs differ from rebuilt ones");
    }

    /// The protocol of the type.
    pub fn native(&self) -> &dyn Native {
        self.feed_type.native().expect("the type speaks a protocol")
    }

    /// Answers a GET of a path (with its query) below `http://host/prefix/feed`.
    pub fn get(&mut self, path: &str) -> Got {
        self.get_with(path, &[])
    }

    /// Answers a GET with headers, whose names are in lower case.
    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Got {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let url = self.url();
        let request = Request::get(path, &url).query(query).headers(&headers);
        self.resolve(&request)
    }

    fn url(&self) -> String {
        format!("http://host/{}/{}", self.native().prefix(), self.card.name)
    }

    /// Answers a read.
    pub fn resolve(&mut self, request: &Request<'_>) -> Got {
        let feed_type = self.feed_type.clone();
        let native = feed_type.native().expect("the type speaks a protocol");
        let subject = {
            match native.resolve(self, request).expect("a view in memory") {
                Answer::Refresh(subject) => subject,
                other => return self.got(request, other),
            }
        };
        self.refresh(&subject);
        let again = request.refreshed();
        let answer = native.resolve(self, &again).expect("a view in memory");
        assert!(!matches!(answer, Answer::Refresh(_)), "a refreshed request is answered");
        self.got(request, answer)
    }

    /// Refreshes a subject, as its first read does.
    pub fn refresh(&mut self, subject: &[u8]) {
        let feed_type = self.feed_type.clone();
        let native = feed_type.native().expect("the type speaks a protocol");
        let order = RefreshOrder::new(self.now, self.secret.as_deref(), [7; 32]);
        let found = native.refresh(self, subject, &order).expect("a view in memory");
        let Some(refresh) = found else { return };
        if let Some((key, value)) = &refresh.expect {
            assert_eq!(self.index.rows.get(key), value.as_ref(), "nobody else refreshes here");
        }
        self.revision += 1;
        for key in &refresh.remove {
            self.index.rows.remove(key);
        }
        self.index.rows.extend(refresh.put);
        for subject in refresh.bump {
            let now = Subject { revision: self.revision, changed: self.now };
            self.index.subjects.insert(subject, now);
        }
        self.kept.extend(refresh.keep);
        if refresh.secret.is_some() {
            self.secret = refresh.secret;
        }
        self.index.stale.remove(subject);
    }

    fn got(&self, request: &Request<'_>, answer: Answer<'_>) -> Got {
        match answer {
            Answer::Resource(resource) => self.rendered(request, resource),
            Answer::Reply(reply) => replied(reply),
            Answer::Refused(refusal) => replied(self.native().refuse(request, &refusal)),
            Answer::Redirect(redirect) => Got {
                status: redirect.status,
                media_type: String::new(),
                tag: None,
                headers: vec![("location", redirect.location)],
                body: Vec::new(),
            },
            other => panic!("{other:?} is not for this feed"),
        }
    }

    fn rendered(&self, request: &Request<'_>, resource: Resource<'_>) -> Got {
        let tag = match &resource.validator {
            Validator::Derived(bytes) => data_encoding::HEXLOWER.encode(bytes),
            Validator::Exact(text) => text.clone(),
        };
        let mut body = Vec::new();
        match resource.body {
            Body::Bytes(bytes) => body = bytes,
            Body::Render(render) => (render.0)(&mut body).expect("a document is rendered"),
            Body::Log { log, generation, length } => {
                let found = self.index.logs.get(&log).expect("the log is there");
                assert_eq!(found.generation, generation, "an old generation was named");
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                body = found.bytes.iter().copied().take(length).collect();
            }
            Body::Rows { keys, length } => {
                for key in keys {
                    body.extend(self.index.rows.get(&key).expect("the row is there"));
                }
                assert_eq!(u64::try_from(body.len()).ok(), Some(length));
            }
            Body::File(id) => match self.file(id) {
                Some((_, stored)) if stored.state.status.is_blocked() => {
                    let refusal = Refusal::Forbidden("the version is blocked".to_owned());
                    return replied(self.native().refuse(request, &refusal));
                }
                Some((file, _)) => body.clone_from(&file.bytes),
                None => panic!("no file has the number {id:?}"),
            },
            Body::Content { sha256, .. } => {
                let content = self.contents.get(&sha256);
                body.clone_from(content.expect("a file of the feed has or had this content"));
            }
            Body::Document { file, name } => {
                let (file, _) = self.file(file).expect("the file is there");
                body.clone_from(file.documents.get(&name).expect("the document is there"));
            }
            Body::Extract(extract) => {
                let (file, _) = self.file(extract.file).expect("the file is there");
                let mut content = Cursor::new(&file.bytes);
                if (extract.extract)(&mut content, &mut body).is_err() {
                    return replied(self.native().refuse(request, &Refusal::NotFound(None)));
                }
            }
            Body::Assemble(order) => {
                let mut contents: Vec<Cursor<Vec<u8>>> = Vec::new();
                for id in &order.files {
                    match self.file(*id) {
                        Some((_, stored)) if stored.state.status.is_blocked() => {
                            let refusal = Refusal::Forbidden("a part is blocked".to_owned());
                            return replied(self.native().refuse(request, &refusal));
                        }
                        Some((file, _)) => contents.push(Cursor::new(file.bytes.clone())),
                        None => panic!("no file has the number {id:?}"),
                    }
                }
                let mut files: Vec<&mut dyn ReadSeek> =
                    contents.iter_mut().map(|content| content as &mut dyn ReadSeek).collect();
                if (order.assemble)(&mut files, &mut body).is_err() {
                    return replied(self.native().refuse(request, &Refusal::NotFound(None)));
                }
            }
            other => panic!("{other:?} is not known here"),
        }
        Got {
            status: 200,
            media_type: resource.media_type.into_owned(),
            tag: Some(tag),
            headers: resource.headers,
            body,
        }
    }

    fn file(&self, id: FileId) -> Option<(&File, &Stored)> {
        let mut versions = self.packages.values().flat_map(|package| package.versions.values());
        versions.find_map(|stored| Some((stored.files.get(&id.version)?, stored)))
    }

    fn cards(&self) -> impl Iterator<Item = (&Stored, &FileCard)> {
        self.packages
            .values()
            .flat_map(|package| package.versions.values())
            .flat_map(|stored| stored.state.files.iter().map(move |card| (stored, card)))
    }

    /// Does what a request with an already taken apart body asks for, and words the outcome.
    pub fn act(&mut self, request: &Request<'_>, fields: &Fields, file: Option<&[u8]>) -> Reply {
        let feed_type = self.feed_type.clone();
        let native = feed_type.native().expect("the type speaks a protocol");
        let staged = file.map(|bytes| {
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            StagedCard::new(size, crate::digests(bytes), None)
        });
        let done = native
            .route(request)
            .and_then(|intake| intake.ok_or(Refusal::NotFound(None)))
            .and_then(|_| native.decide(self, request, fields, staged.as_ref()))
            .and_then(|action| {
                let outcome = match &action {
                    Action::Upload(order) => self.store(order, file.unwrap_or_default())?,
                    Action::Edit(edit) => self.edit(edit)?,
                    Action::LogIn { key, user } => Outcome::LoggedIn {
                        key: key.clone(),
                        user: user.clone().unwrap_or_default(),
                    },
                    _ => Outcome::Answered,
                };
                Ok((action, outcome))
            });
        match done {
            Ok((Action::Reply(reply), _)) => reply,
            Ok((action, outcome)) => native.answer(request, &action, &outcome),
            Err(refusal) => native.refuse(request, &refusal),
        }
    }
}

impl Package {
    /// Brings pointers and tags in line with the versions, as a store does after each change.
    fn settle(&mut self, feed_type: &dyn FeedType, arrived: Option<&(Arrival, Version)>) {
        let visible =
            |stored: &&Stored| stored.state.status.is_listed() && !stored.state.status.is_blocked();
        let highest = self.versions.values().rev().find(visible).map(|s| s.version.clone());
        let stable = |stored: &&Stored| {
            visible(stored) && stored.version.stability() == hayloft_feed::Stability::Stable
        };
        let highest_stable = self.versions.values().rev().find(stable).map(|s| s.version.clone());
        self.head.versions = u64::try_from(self.versions.len()).unwrap_or(u64::MAX);
        self.head.latest = highest.as_ref().map(|version| version.text().to_owned());
        self.head.latest_stable = highest_stable.as_ref().map(|v| v.text().to_owned());
        let texts: BTreeSet<_> = self.versions.values().map(|s| s.version.text()).collect();
        let tags: BTreeMap<_, _> = self
            .head
            .tags
            .iter()
            .filter(|(_, text)| texts.contains(text.as_str()))
            .map(|(tag, text)| (tag.clone(), text.clone()))
            .collect();
        let mut change = TagChange::new(&tags).highest(highest.as_ref(), highest_stable.as_ref());
        if let Some((arrival, version)) = arrived {
            change = change.arrived(*arrival, version);
        }
        self.head.tags = feed_type.tags(&change);
    }
}

fn place(version: &Version) -> Place {
    (version.sort_key().as_bytes().to_vec(), version.identity().to_owned())
}

fn apply(package: &mut Package, change: &Change, deletes: ListingChange) -> Result<(), Refusal> {
    let missing = |version: &Version| {
        Refusal::NotFound(Some(format!("the version {version} does not exist")))
    };
    match change {
        Change::RemoveAll => package.versions.clear(),
        Change::RemoveTag(tag) => {
            if package.head.tags.remove(tag).is_none() {
                return Err(Refusal::NotFound(Some(format!("there is no tag {tag}"))));
            }
        }
        Change::SetTag(tag, version) => {
            let stored = package.versions.get(&place(version)).ok_or_else(|| missing(version))?;
            let text = stored.version.text().to_owned();
            package.head.tags.insert(tag.clone(), text);
        }
        Change::Remove(version, None) => {
            package.versions.remove(&place(version)).ok_or_else(|| missing(version))?;
        }
        Change::List(version, ListingChange::Delete) if deletes == ListingChange::Delete => {
            package.versions.remove(&place(version)).ok_or_else(|| missing(version))?;
        }
        Change::Remove(version, Some(qualifiers)) => {
            let place = place(version);
            let stored = package.versions.get_mut(&place).ok_or_else(|| missing(version))?;
            stored.state.files.retain(|file| file.qualifiers != *qualifiers);
            if stored.state.files.is_empty() {
                package.versions.remove(&place);
            }
        }
        Change::List(version, listing) => {
            let status = status(package, version).ok_or_else(|| missing(version))?;
            status.listing = match listing {
                ListingChange::List => Listing::Listed,
                ListingChange::Unlist | ListingChange::Delete => Listing::Unlisted,
            };
        }
        Change::Allow(version, allow) => {
            status(package, version).ok_or_else(|| missing(version))?.allow = *allow;
        }
        Change::Deprecate(version, deprecation) => {
            let status = status(package, version).ok_or_else(|| missing(version))?;
            status.deprecated.clone_from(deprecation);
        }
        other => panic!("{other:?} is not known here"),
    }
    Ok(())
}

fn status<'a>(package: &'a mut Package, version: &Version) -> Option<&'a mut Status> {
    Some(&mut package.versions.get_mut(&place(version))?.state.status)
}

fn replied(reply: Reply) -> Got {
    Got {
        status: reply.status,
        media_type: reply.media_type.into_owned(),
        tag: None,
        headers: reply.headers,
        body: reply.body,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

struct Writer {
    index: Index,
    name: Vec<u8>,
    revision: u64,
    now: Timestamp,
}

impl IndexWriter for Writer {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        for (length, limit) in [(key.len(), 1024), (value.len(), Fragment::LONGEST)] {
            if length > limit {
                return Err(IndexError::TooLarge { length, limit });
            }
        }
        self.index.rows.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), IndexError> {
        self.index.rows.remove(key);
        Ok(())
    }

    fn bump(&mut self, subject: &[u8]) -> Result<(), IndexError> {
        let now = Subject { revision: self.revision, changed: self.now };
        self.index.subjects.insert(subject.to_vec(), now);
        Ok(())
    }

    fn append(&mut self, log: &[u8], bytes: &[u8]) -> Result<LogHead, IndexError> {
        let found = self.index.logs.entry(log.to_vec()).or_insert_with(|| Log {
            generation: 1,
            bytes: Vec::new(),
            changed: self.now,
        });
        found.bytes.extend_from_slice(bytes);
        found.changed = self.now;
        Ok(found.head())
    }

    fn restart(&mut self, log: &[u8]) -> Result<LogHead, IndexError> {
        let generation = self.index.logs.get(log).map_or(0, |found| found.generation) + 1;
        let fresh = Log { generation, bytes: Vec::new(), changed: self.now };
        let head = fresh.head();
        self.index.logs.insert(log.to_vec(), fresh);
        Ok(head)
    }

    fn remove_log(&mut self, log: &[u8]) -> Result<(), IndexError> {
        self.index.logs.remove(log);
        Ok(())
    }

    fn search(&mut self, record: Option<&SearchRecord>) -> Result<(), IndexError> {
        match record {
            Some(record) => self.index.search.insert(self.name.clone(), record.clone()),
            None => self.index.search.remove(&self.name),
        };
        Ok(())
    }

    fn stale(&mut self, subject: &[u8]) -> Result<(), IndexError> {
        self.index.stale.insert(subject.to_vec());
        Ok(())
    }
}

impl MemoryFeed {
    fn show(stored: &Stored, want: &Want<'_>, show: &mut dyn FnMut(&VersionEntry<'_>)) {
        let mut entry =
            VersionEntry::new(&stored.version, &stored.state.status, stored.state.published);
        entry.published_by = &stored.published_by;
        if want.files {
            entry.files = &stored.state.files;
        }
        let fragments: Vec<_> = stored
            .state
            .fragments
            .iter()
            .filter(|(_, fragment)| want.has(fragment.kind))
            .map(|(file, fragment)| FragmentEntry {
                file: *file,
                kind: fragment.kind,
                bytes: &fragment.bytes,
            })
            .collect();
        entry.fragments = &fragments;
        show(&entry);
    }
}

impl FeedView for MemoryFeed {
    fn feed(&self) -> &FeedCard {
        &self.card
    }

    fn validator(&self, revision: u64, parts: &[&str]) -> Validator {
        let mut hash = blake3::Hasher::new();
        hash.update(self.card.name.as_bytes()).update(&revision.to_be_bytes());
        for part in parts {
            hash.update(&[0]).update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        hash.finalize_xof().fill(&mut bytes);
        Validator::Derived(bytes)
    }

    fn subject(&self, subject: &[u8]) -> Result<Subject, ViewError> {
        Ok(self.index.subjects.get(subject).copied().unwrap_or_default())
    }

    fn package(&self, name: &NameKey) -> Result<Option<PackageHead>, ViewError> {
        Ok(self.packages.get(name.as_bytes()).map(|package| package.head.clone()))
    }

    fn versions(
        &self,
        name: &NameKey,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let Some(package) = self.packages.get(name.as_bytes()) else { return Ok(()) };
        let mut versions: Vec<_> = package.versions.values().collect();
        if want.newest_first {
            versions.reverse();
        }
        for stored in versions {
            let mut flow = ControlFlow::Continue(());
            Self::show(stored, want, &mut |entry| flow = visit(entry));
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn version(
        &self,
        name: &NameKey,
        version: &Version,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>),
    ) -> Result<bool, ViewError> {
        let package = self.packages.get(name.as_bytes());
        let stored = package.and_then(|package| package.versions.get(&place(version)));
        if let Some(stored) = stored {
            Self::show(stored, want, visit);
        }
        Ok(stored.is_some())
    }

    fn packages(
        &self,
        after: Option<&NameKey>,
        visit: &mut dyn FnMut(&PackageHead) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let after = after.map(NameKey::as_bytes);
        let later = self
            .packages
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        for (_, package) in later {
            if visit(&package.head).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.index.rows.get(key).cloned())
    }

    fn rows(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let rows = self.index.rows.iter().filter(|(key, _)| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after)
        });
        for (key, value) in rows {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn log(&self, log: &[u8]) -> Result<Option<LogHead>, ViewError> {
        Ok(self.index.logs.get(log).map(Log::head))
    }

    fn read_log(
        &self,
        log: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        if let Some(log) = self.index.logs.get(log) {
            for piece in log.bytes.chunks(16_000) {
                if visit(piece).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn search(&self, query: &SearchQuery<'_>) -> Result<SearchPage, ViewError> {
        let matches = |record: &SearchRecord| {
            record.flags & query.flags == query.flags
                && query.words.iter().enumerate().all(|(at, word)| {
                    let last = at + 1 == query.words.len();
                    record.terms.iter().any(|term| {
                        if last { term.starts_with(word.as_str()) } else { term == word }
                    })
                })
        };
        let mut hits: Vec<_> = self
            .index
            .search
            .iter()
            .filter(|(_, record)| matches(record))
            .filter_map(|(key, _)| Some(&self.packages.get(key)?.head))
            .collect();
        let words = query.words.join(" ");
        hits.sort_by_key(|head| !head.name.name().eq_ignore_ascii_case(&words));
        let total = u64::try_from(hits.len()).unwrap_or(u64::MAX);
        let skip = usize::try_from(query.skip).unwrap_or(usize::MAX);
        let page = hits.into_iter().skip(skip).take(query.take).cloned().collect();
        Ok(SearchPage::new(total, page))
    }

    fn has_content(&self, sha256: &[u8; 32]) -> Result<bool, ViewError> {
        let of_feed = self.cards().any(|(stored, card)| {
            card.digests.sha256 == *sha256 && !stored.state.status.is_blocked()
        });
        Ok(of_feed || self.kept.get(sha256).is_some_and(|until| *until > self.now))
    }

    fn document(&self, file: FileId, name: &str) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.file(file).and_then(|(file, _)| file.documents.get(name).cloned()))
    }

    fn counts_revision(&self) -> Result<u64, ViewError> {
        Ok(0)
    }
}
