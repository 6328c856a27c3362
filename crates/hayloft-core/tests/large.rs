//! Contents, and a store, beyond what 32 bits count.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and report what they saw"
)]

#[path = "engine/plain.rs"]
#[expect(dead_code, reason = "packages of this test are made as they are read")]
mod plain;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Instant;

use hayloft_core::{
    Actor, Background, FeedDraft, FeedTypes, FindingCode, Fs, OpenOptions, RealFs, Repair,
    Selector, Store, UploadRequest, VerifyLevel,
};
use plain::Plain;

/// More than 32 bits count, and no multiple of anything.
const SIZE: u64 = (4 << 30) + (300 << 20) + 12_345;
const BLOCK: u64 = 64 << 10;

/// A file whose every block tells where it is.
struct Content {
    head: Vec<u8>,
    at: u64,
}

impl Content {
    fn new(version: u64) -> Self {
        Self { head: format!("plain large {version}\n[]\n").into_bytes(), at: 0 }
    }

    /// What lies at an offset.
    fn expected(&self, at: u64, length: usize) -> Vec<u8> {
        let end = SIZE.min(at + length as u64);
        (at..end).map(|at| self.byte(at)).collect()
    }

    fn byte(&self, at: u64) -> u8 {
        if let Some(byte) = self.head.get(usize::try_from(at).unwrap()) {
            return *byte;
        }
        let (block, within) = (at / BLOCK, usize::try_from(at % BLOCK).unwrap());
        block.to_be_bytes().get(within).copied().unwrap_or(0)
    }
}

impl Read for Content {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = (SIZE - self.at).min(BLOCK - self.at % BLOCK);
        let length = into.len().min(usize::try_from(left).unwrap());
        let into = &mut into[..length];
        into.fill(0);
        let first = usize::try_from(self.at % BLOCK).unwrap();
        let special = if self.at < BLOCK { self.head.len() } else { 8 };
        for (at, byte) in into.iter_mut().enumerate().take(special.saturating_sub(first)) {
            *byte = self.byte(self.at + at as u64);
        }
        self.at += length as u64;
        Ok(length)
    }
}

fn open(directory: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.grace = 0;
    Store::open(directory, FeedTypes::none().with(Plain), options).unwrap()
}

fn selector(version: u64) -> Selector {
    Selector::ungrouped("large", version.to_string().as_str())
}

fn read_at(store: &Store, version: u64, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut download = store.download("main", &selector(version)).unwrap();
    download.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    loop {
        match download.read(&mut bytes[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[test]
#[ignore = "writes 9 GiB; `cargo xtask soak --large` runs it"]
fn contents_of_more_than_four_and_a_store_of_more_than_eight_gibibytes_are_whole() {
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let free = RealFs.available(directory.path()).unwrap();
    assert!(free > 12 << 30, "this needs 12 GiB of disk, and {} MiB are free", free >> 20);
    let path = directory.path().join("store");
    let store = open(&path);
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    for version in [1, 2] {
        let start = Instant::now();
        let request = UploadRequest::default();
        store.upload("main", &request, &mut Content::new(version), &Actor::api()).unwrap();
        println!("stored {} MiB in {:?}", SIZE >> 20, start.elapsed());
    }
    drop(store);
    let store = open(&path);
    assert_eq!(store.feed_stats("main").unwrap().bytes, 2 * SIZE);
    for version in [1, 2] {
        assert_eq!(store.file("main", &selector(version)).unwrap().size, SIZE);
        let content = Content::new(version);
        // Across every border that a number of 32 bits, or of 31, could fall off.
        for border in [0, 2_u64 << 30, 4 << 30, SIZE] {
            let at = border.saturating_sub(70_000);
            let found = read_at(&store, version, at, 140_000).unwrap();
            assert!(found == content.expected(at, 140_000), "version {version} at {at}");
        }
    }
    let mut whole = store.download("main", &selector(2)).unwrap();
    let mut expected = Content::new(2);
    let (mut one, mut other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut length = 0;
    loop {
        let read = whole.read(&mut one).unwrap();
        if read == 0 {
            break;
        }
        expected.read_exact(&mut other[..read]).unwrap();
        assert!(one[..read] == other[..read], "at {length}");
        length += read as u64;
    }
    assert_eq!(length, SIZE);
    drop(whole);
    let sound = findings(&store);
    assert!(sound.is_empty(), "{sound:?}");

    // Rot behind 4 GiB is found there, and nowhere else.
    drop(store);
    let rotten = rot(&path, (4 << 30) + 5_000);
    let store = open(&path);
    let at = |version| read_at(&store, version, (4 << 30) - 600_000, 1_000);
    assert!(at(1).is_ok() && at(2).is_ok());
    let hit = |version| read_at(&store, version, (4 << 30) + 4_900, 200);
    assert_eq!(usize::from(hit(1).is_err()) + usize::from(hit(2).is_err()), 1, "{rotten}");
    let found = findings(&store);
    assert_eq!(found, [FindingCode::BlobDigest; 1]);

    store.delete_version("main", &selector(1), &Actor::api()).unwrap();
    store.delete_version("main", &selector(2), &Actor::api()).unwrap();
    store.run_maintenance().unwrap();
    assert_eq!(store.feed_stats("main").unwrap().bytes, 0);
    assert!(RealFs.available(directory.path()).unwrap() + (1 << 30) > free - (1 << 30));
    assert_eq!(findings(&store), []);
}

fn findings(store: &Store) -> Vec<FindingCode> {
    let mut found = Vec::new();
    let report = &mut |finding: &hayloft_core::Finding| found.push(finding.code);
    store.verify(VerifyLevel::Normal, Repair::No, report).unwrap();
    found
}

/// Changes one byte of one content.
fn rot(store: &Path, at: u64) -> String {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
    let shards = std::fs::read_dir(store.join("blobs")).unwrap();
    let mut files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let path = files.next().unwrap().unwrap().path();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = std::fs::File::options().write(true).read(true).open(&path).unwrap();
    file.write_all_at(b"x", at).unwrap();
    path.display().to_string()
}
