use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use fs_err as fs;
use hayloft_archive::{TarKind, TarMember, TarReader};
use hayloft_core::{
    Actor, Allow, DeprecationChange, Listing, Overwrite, Promotion, SelectError, Selector, Staged,
    StagingError, StatusChange, Store, Stored, TagError, Timestamp, UploadError, UploadRequest,
};
use hayloft_feed::{FileRole, Limits, Qualifiers};
use sha2::{Digest, Sha256};

use super::record::{FORMAT, FileRecord, Record};
use super::signature::{self, VerifyingKey};
use super::{BLOBS, BundleError, BundleHeader, HEADER, HEADER_NAME, RECORDS, RECORDS_NAME};

/// How a bundle is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// Whether stored files may be replaced by other bytes.
    pub overwrite: Overwrite,
    /// Whose signature the bundle has to have, in the file that [`signature_path`] names.
    ///
    /// [`signature_path`]: super::signature_path
    pub signed_by: Option<VerifyingKey>,
}

/// What a bundle changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Files that were stored.
    pub stored: u64,
    /// Files that were there.
    pub unchanged: u64,
    /// Versions whose status was changed.
    pub statuses: u64,
    /// Tags that were set.
    pub tags: u64,
    /// Records of promotions that are new.
    pub promotions: u64,
}

const CHUNK: usize = 256 << 10;

/// Reads all of a bundle and tells what it is; every digest was right, and the signature, if it has
/// to have one.
pub fn inspect(path: &Path, signed_by: Option<&VerifyingKey>) -> Result<BundleHeader, BundleError> {
    let mut file = fs::File::open(path)?;
    if let Some(key) = signed_by {
        signature::check(path, &mut file, key)?;
    }
    let opened = Opened::read(&mut file)?;
    opened.verify(&mut file)?;
    Ok(opened.header)
}

/// Brings what a bundle holds into a feed of its type. All of it is read and verified before the
/// first change; applied again, it changes nothing.
pub fn apply(
    store: &Store,
    feed: &str,
    path: &Path,
    options: &ApplyOptions,
    actor: &Actor,
) -> Result<Applied, BundleError> {
    let about = store.feed(feed)?;
    let mut file = fs::File::open(path)?;
    if let Some(key) = &options.signed_by {
        signature::check(path, &mut file, key)?;
    }
    let opened = Opened::read(&mut file)?;
    if opened.header.feed_type != about.feed_type {
        let (bundle, feed) = (opened.header.feed_type, about.feed_type);
        return Err(BundleError::OtherType { bundle, feed });
    }
    let here = opened.verify(&mut file)?;
    let job = Job { store, feed: &about.name, options, actor, opened: &opened };
    job.check_elsewhere(&here)?;
    job.run(&mut file)
}

fn damaged(text: impl Into<String>) -> BundleError {
    BundleError::Damaged(text.into())
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.entries = 20_000_000;
    limits.unpacked = u64::MAX / 2;
    limits.metadata = RECORDS;
    limits
}

/// Writes and digests.
pub(super) struct Digesting<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) digest: &'a mut Sha256,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Header and records of a bundle.
pub(super) struct Opened {
    pub(super) header: BundleHeader,
    records: Vec<Record>,
}

type Tar<'a> = TarReader<io::BufReader<&'a mut fs::File>>;

fn begin(file: &mut fs::File) -> Result<Tar<'_>, BundleError> {
    file.seek(SeekFrom::Start(0))?;
    Ok(TarReader::new(io::BufReader::with_capacity(CHUNK, file), &limits()))
}

fn named<'t, 'a>(
    tar: &'t mut Tar<'a>,
    name: &str,
) -> Result<TarMember<'t, io::BufReader<&'a mut fs::File>>, BundleError> {
    let member = tar.next()?.ok_or_else(|| damaged(format!("it ends before `{name}`")))?;
    if member.path() != name.as_bytes() || member.kind() != TarKind::File {
        return Err(damaged(format!("it does not have `{name}` where that belongs")));
    }
    Ok(member)
}

impl Opened {
    /// Reads what stands before the contents.
    pub(super) fn read(file: &mut fs::File) -> Result<Self, BundleError> {
        let mut tar = begin(file)?;
        let bytes = named(&mut tar, HEADER_NAME)?.read(HEADER)?;
        let format: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| damaged("its header is no JSON"))?;
        let found = format.get("hayloftBundle").and_then(serde_json::Value::as_u64);
        let found = found.ok_or_else(|| damaged("its header is of something else"))?;
        if found > u64::from(FORMAT) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(BundleError::Newer { found, known: FORMAT });
        }
        let header: BundleHeader =
            serde_json::from_slice(&bytes).map_err(|_| damaged("its header lacks something"))?;
        let bytes = named(&mut tar, RECORDS_NAME)?.read(RECORDS)?;
        if HEXLOWER.encode(&Sha256::digest(&bytes)) != header.records_sha256 {
            return Err(damaged("its records do not have the digest that its header tells"));
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = lines
            .map(serde_json::from_slice)
            .collect::<Result<Vec<Record>, _>>()
            .map_err(|_| damaged("one of its records cannot be read"))?;
        Ok(Self { header, records })
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &FileRecord> {
        self.records.iter().filter_map(|record| match record {
            Record::File(file) => Some(&**file),
            Record::Tags(_) | Record::Promotion(_) => None,
        })
    }

    /// Reads all contents; gives their digests, once each was right.
    fn verify(&self, file: &mut fs::File) -> Result<BTreeSet<String>, BundleError> {
        let known: BTreeMap<&str, u64> =
            self.files().map(|file| (file.sha256.as_str(), file.size)).collect();
        let mut found = BTreeSet::new();
        let mut tar = begin(file)?;
        named(&mut tar, HEADER_NAME)?;
        named(&mut tar, RECORDS_NAME)?;
        while let Some(mut member) = tar.next()? {
            let sha256 = blob_name(&member)?;
            if known.get(sha256.as_str()) != Some(&member.size()) {
                return Err(damaged(format!("no record speaks of `{sha256}`")));
            }
            let mut digest = Sha256::new();
            io::copy(&mut member, &mut Digesting { out: &mut io::sink(), digest: &mut digest })?;
            if HEXLOWER.encode(&digest.finalize()) != sha256 {
                return Err(damaged(format!("the content `{sha256}` has another digest")));
            }
            if !found.insert(sha256) {
                return Err(damaged("it holds a content twice"));
            }
        }
        tar.finish()?;
        if found.len() as u64 != self.header.blobs {
            return Err(damaged("contents are missing"));
        }
        if self.header.since.is_none() && found.len() != known.len() {
            return Err(damaged("contents that its records name are missing"));
        }
        Ok(found)
    }
}

fn blob_name<R>(member: &TarMember<'_, R>) -> Result<String, BundleError> {
    let name = std::str::from_utf8(member.path()).ok().and_then(|path| path.strip_prefix(BLOBS));
    let hex = |name: &&str| {
        name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let name = name.filter(hex).filter(|_| member.kind() == TarKind::File);
    Ok(name.ok_or_else(|| damaged("it holds something that is no content"))?.to_owned())
}

struct Job<'a> {
    store: &'a Store,
    feed: &'a str,
    options: &'a ApplyOptions,
    actor: &'a Actor,
    opened: &'a Opened,
}

impl Job<'_> {
    /// What an earlier bundle brought has to be there.
    fn check_elsewhere(&self, here: &BTreeSet<String>) -> Result<(), BundleError> {
        for file in self.opened.files().filter(|file| !here.contains(&file.sha256)) {
            let missing = || BundleError::Missing { file: file.file_name.clone() };
            let found = self.store.file(self.feed, &select(file)?);
            let found = found.map_err(|error| match error {
                SelectError::Store(error) => BundleError::Store(error),
                _ => missing(),
            })?;
            if HEXLOWER.encode(&found.digests.sha256) != file.sha256 {
                return Err(missing());
            }
        }
        Ok(())
    }

    fn run(&self, file: &mut fs::File) -> Result<Applied, BundleError> {
        let mut applied = Applied::default();
        let mut by_content: BTreeMap<&str, Vec<&FileRecord>> = BTreeMap::new();
        for record in self.opened.files() {
            by_content.entry(&record.sha256).or_default().push(record);
        }
        let mut tar = begin(file)?;
        named(&mut tar, HEADER_NAME)?;
        named(&mut tar, RECORDS_NAME)?;
        while let Some(mut member) = tar.next()? {
            let sha256 = blob_name(&member)?;
            let mut users = by_content.remove(sha256.as_str()).unwrap_or_default();
            users.sort_by_key(|file| file.companion);
            let first = self.stage(&mut member)?;
            if HEXLOWER.encode(&first.digests().sha256) != sha256 {
                return Err(damaged("it changed while it was read"));
            }
            for user in users {
                let staged = self.stage(&mut first.read()?)?;
                match self.upload(user, staged)? {
                    Stored::Unchanged => applied.unchanged += 1,
                    Stored::Created | Stored::Replaced => applied.stored += 1,
                }
            }
        }
        applied.unchanged += by_content.values().map(|files| files.len() as u64).sum::<u64>();
        self.state(&mut applied)?;
        Ok(applied)
    }

    fn stage(&self, content: &mut dyn Read) -> Result<Staged, BundleError> {
        let mut staging = self.store.stage(None)?;
        let refused = |error: StagingError| match error {
            StagingError::Store(error) => BundleError::Store(error),
            other => damaged(other.to_string()),
        };
        io::copy(content, &mut staging).map_err(|error| {
            match error.downcast::<StagingError>() {
                Ok(error) => refused(error),
                Err(error) => error.into(),
            }
        })?;
        staging.finish().map_err(refused)
    }

    fn upload(&self, file: &FileRecord, staged: Staged) -> Result<Stored, BundleError> {
        let request = UploadRequest {
            file_name: Some(file.file_name.clone()),
            // Types that place a file by what the request says call that as its qualifiers.
            hints: file.qualifiers.clone(),
            overwrite: self.options.overwrite,
            published: Some((Timestamp::from_millis(file.published), file.published_by.clone())),
            ..UploadRequest::default()
        };
        match self.store.upload_staged(self.feed, &request, staged, self.actor) {
            Ok(uploaded) => {
                let found = &uploaded.file;
                let same = found.name == file.name && found.version == file.version;
                if uploaded.stored == Stored::Created && !same {
                    tracing::warn!(file = file.file_name, "a file of a bundle is called otherwise");
                }
                Ok(uploaded.stored)
            }
            Err(UploadError::Store(error)) => Err(error.into()),
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let reason = format!("{error}{cause}");
                Err(BundleError::Refused { file: file.file_name.clone(), reason })
            }
        }
    }

    /// Statuses, tags and records, once all files are there.
    fn state(&self, applied: &mut Applied) -> Result<(), BundleError> {
        let mut versions = BTreeSet::new();
        let mut promotions = Vec::new();
        for record in &self.opened.records {
            match record {
                Record::File(file) => {
                    let version = (&file.group, &file.name, &file.version);
                    if file.companion || !versions.insert(version) {
                        continue;
                    }
                    let selector = Selector::grouped(&file.group, &file.name, &file.version);
                    let listing = if file.unlisted { Listing::Unlisted } else { Listing::Listed };
                    let change = StatusChange {
                        listing: Some(listing),
                        allow: file.always_allowed.then_some(Some(Allow::Always)),
                        deprecation: Some(match file.deprecation() {
                            Some(deprecation) => DeprecationChange::Set(deprecation),
                            None => DeprecationChange::Clear,
                        }),
                    };
                    let done = self.store.set_status(self.feed, &selector, &change, self.actor)?;
                    applied.statuses += u64::from(done.changed);
                }
                Record::Tags(tags) => {
                    let before = self.store.package(self.feed, &tags.group, &tags.name)?.tags;
                    for (tag, version) in &tags.tags {
                        if before.get(tag) == Some(version) {
                            continue;
                        }
                        let selector = Selector::grouped(&tags.group, &tags.name, version);
                        match self.store.set_tag(self.feed, tag, &selector, self.actor) {
                            Ok(_) => applied.tags += 1,
                            // The tag of a blocked version, which is not in the bundle.
                            Err(TagError::Select(SelectError::NotFound { .. })) => {}
                            Err(error) => return Err(error.into()),
                        }
                    }
                }
                Record::Promotion(one) => promotions.push(one),
            }
        }
        let about = self.store.feed(self.feed)?;
        for some in promotions.chunks(500) {
            let shown: Vec<Promotion> = some
                .iter()
                .map(|one| {
                    let mut shown = Promotion::new(&about.feed_type, &one.group, &one.name);
                    shown.from_feed.clone_from(&one.from_feed);
                    shown.to_feed.clone_from(&one.to_feed);
                    shown.version.clone_from(&one.version);
                    shown.date = one.date();
                    shown.user.clone_from(&one.user);
                    shown.comments.clone_from(&one.comments);
                    shown
                })
                .collect();
            applied.promotions += self.store.adopt_promotions(self.feed, &shown, self.actor)?;
        }
        Ok(())
    }
}

fn select(file: &FileRecord) -> Result<Selector, BundleError> {
    let qualifiers = Qualifiers::from_pairs(&file.qualifiers);
    let qualifiers = qualifiers.map_err(|_| damaged("a record has malformed qualifiers"))?;
    let mut selector =
        Selector::grouped(&file.group, &file.name, &file.version).with_qualifiers(qualifiers);
    if file.companion {
        selector.role = FileRole::Companion;
    }
    Ok(selector)
}
