//! What a store can do, one example each.
//!
//! # Open
//!
//! Open a directory, or make a store there; one process owns it at a time.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! let store = hayloft::open(directory.path())?;
//! assert_eq!(store.opened(), Opened::Created);
//! store.close()?;
//!
//! let options = OpenOptions::new().create(Create::Never).max_file_size(1 << 30);
//! let store = hayloft::open_with(directory.path(), options)?;
//! assert_eq!(store.opened(), Opened::Existing);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Feeds
//!
//! Create, find, list, change and delete feeds. A feed answers to its alternate names too.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! let mut draft = FeedDraft::new("apps", "nuget");
//! draft.alternates.push("applications".to_owned());
//! store.create_feed(draft, &me)?;
//! assert_eq!(store.feed("Applications")?.name, "apps");
//!
//! store.update_feed(
//!     "apps",
//!     |feed| {
//!         feed.settings.description = Some("what we ship".to_owned());
//!         Ok(())
//!     },
//!     &me,
//! )?;
//! assert_eq!(store.feeds()?.len(), 1);
//! store.delete_feed("apps", &me)?;
//! assert!(store.feed("apps").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Upload
//!
//! Store all that a reader yields, in one pass; what is refused leaves nothing behind.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! let uploaded = store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! assert_eq!(uploaded.stored, Stored::Created);
//! assert_eq!(uploaded.file.file_name, "Hay.Loft.1.0.0-rc.1.nupkg");
//!
//! let refused = store.upload("apps", &UploadRequest::default(), &mut &b"no zip"[..], &me);
//! assert!(matches!(refused, Err(UploadError::Refused(_))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # List
//!
//! Lists are iterators; a row is read when it is asked for.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! for file in store.latest("apps", &LatestQuery::default())? {
//!     println!("{}", file?.purl);
//! }
//! let query = VersionsQuery::new().name("hay.loft");
//! let versions: Vec<_> = store.versions("apps", &query)?.collect::<Result<_, _>>()?;
//! assert_eq!(versions.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Download
//!
//! A download reads and seeks; its last byte is given out only if the digest matches.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let mut download = store.download("apps", &candidate)?;
//! println!("{} has {} bytes", download.file().file_name, download.file().size);
//! let mut bytes = Vec::new();
//! std::io::Read::read_to_end(&mut download, &mut bytes)?;
//! assert_eq!(bytes, package);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Download counts
//!
//! Who served a file says so; counting costs no commit.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let file = store.file("apps", &candidate)?;
//! store.count_download(file.id)?;
//! assert_eq!(store.file("apps", &candidate)?.file_downloads, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Status
//!
//! Hide, block or deprecate a version. What is `None` stays as it is.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let change = StatusChange {
//!     listing: Some(Listing::Unlisted),
//!     deprecation: Some(DeprecationChange::Set(Deprecation {
//!         reason: Some("use 2.0".to_owned()),
//!         details: None,
//!     })),
//!     ..StatusChange::default()
//! };
//! store.set_status("apps", &candidate, &change, &me)?;
//! assert!(!store.file("apps", &candidate)?.status.is_listed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Repackage
//!
//! The same content under a new version, with the history inside the package.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let mut asked = RepackageRequest::new(candidate, "1.0.0");
//! asked.comments = Some("passed all tests".to_owned());
//! let outcome = store.repackage("apps", &asked, &me)?;
//! assert_eq!(outcome.files[0].version, "1.0.0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promote
//!
//! The same bytes in another feed.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! store.create_feed(FeedDraft::new("released", "nuget"), &me)?;
//! store.promote("apps", &PromoteRequest::new(candidate.clone(), "released"), &me)?;
//! let digests = |feed| store.file(feed, &candidate).map(|file| file.digests);
//! assert_eq!(digests("apps")?, digests("released")?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # History
//!
//! Where a version came from: entries inside the file, and what this store did.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! store.repackage("apps", &RepackageRequest::new(candidate, "1.0.0"), &me)?;
//! let history = store.history("apps", &Selector::ungrouped("Hay.Loft", "1.0.0"))?;
//! let entries: Vec<_> = history.embedded.values().flatten().collect();
//! assert!(entries[0].id.starts_with("Hay.Loft:1.0.0-rc.1:"));
//! assert_eq!(history.repackagings[0].from_version, "1.0.0-rc.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promotions
//!
//! Every promotion and repackaging is kept for ever, also of packages that are gone.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! store.create_feed(FeedDraft::new("released", "nuget"), &me)?;
//! store.promote("apps", &PromoteRequest::new(candidate, "released"), &me)?;
//! let query = PromotionQuery { to_feed: Some("released".to_owned()), ..PromotionQuery::default() };
//! let promotion = store.promotions(&query)?.next().expect("one promotion")?;
//! assert_eq!((promotion.from_feed.as_str(), promotion.user.as_str()), ("apps", "me"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Delete
//!
//! One file, or a version with all its files.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let deleted = store.delete_version("apps", &candidate, &me)?;
//! assert_eq!(deleted.extent, Extent::Package);
//! assert!(matches!(store.download("apps", &candidate), Err(SelectError::NotFound { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Find by hash
//!
//! Which files have this MD5, SHA-1, SHA-256, SHA-512 or BLAKE3, in any feed.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let digest = store.file("apps", &candidate)?.digests.sha256_hex();
//! let found = store.find_by_hash(None, &digest)?;
//! assert_eq!(found[0].feed, "apps");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Audit log
//!
//! Every change with who made it, newest first; each row seals the ones before it.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! let newest = store.audit_log(&AuditQuery::default())?.next().expect("an upload")?;
//! assert_eq!((newest.action.as_str(), newest.actor.as_str()), ("upload", "me"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tags
//!
//! Names that point at versions, such as npm's dist-tags.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! # store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
//! # let package = hayloft_testkit::nupkg("Hay.Loft", "1.0.0-rc.1").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! # let candidate = Selector::ungrouped("Hay.Loft", "1.0.0-rc.1");
//! store.set_tag("apps", "beta", &candidate, &me)?;
//! let package = store.package("apps", "", "Hay.Loft")?;
//! assert_eq!(package.tags["beta"], "1.0.0-rc.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Native clients, without a server
//!
//! What npm, pip, apt and the others ask of a feed is answered by its type; the server is but one
//! who asks. An answer has its validator, headers and the right that it needs; its body is made
//! only when it is written. What changes something is decided by the type, too.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! use hayloft::feed_type::native::{Answer, Fields, Request};
//! # store.create_feed(FeedDraft::new("apps", "npm"), &me)?;
//! # let package = hayloft_testkit::npm_tgz("hay", "1.0.0").build();
//! # store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me)?;
//! let url = "https://packages.example.com/npm/apps";
//! let mut document = Vec::new();
//! store.native("apps", &Request::get("/hay", url), |view, answer| match answer {
//!     Answer::Resource(resource) => {
//!         assert_eq!(resource.media_type, "application/json");
//!         store.write_native(view.feed(), resource.body, &mut document).map(drop)
//!     }
//!     _ => Err(ContentError::NotFound),
//! })??;
//! assert!(String::from_utf8(document)?.contains("/hay/-/hay-1.0.0.tgz"));
//!
//! store.set_tag("apps", "next", &Selector::ungrouped("hay", "1.0.0"), &me)?;
//! let request = Request::get("/-/package/hay/dist-tags/next", url).method("DELETE");
//! let action = {
//!     let view = store.native_view("apps")?;
//!     let protocol = view.native().ok_or(NativeError::NoProtocol)?;
//!     let decided = protocol.decide(&view.view(), &request, &Fields::default(), None);
//!     decided.map_err(|refusal| refusal.text())?
//! };
//! store.act("apps", &action, None, Overwrite::Refuse, &me)?;
//! assert!(!store.package("apps", "", "hay")?.tags.contains_key("next"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # API keys
//!
//! The text of a key is told once; the store keeps a digest of it.
//!
//! ```
//! # use hayloft::*;
//! # let directory = tempfile::tempdir()?;
//! # let store = hayloft::open(directory.path())?;
//! # let me = Actor::named("me");
//! let grant = KeyGrant {
//!     system_apis: vec!["full-control".to_owned()],
//!     kind: "system".to_owned(),
//!     ..KeyGrant::default()
//! };
//! let (key, text) = store.create_key(grant, None, &me)?;
//! assert_eq!(store.find_key(text.reveal())?.map(|found| found.id), Some(key.id));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
