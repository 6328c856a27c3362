//! A real small file system that is filled to its last byte, and freed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use hayloft_core::{
    Actor, Background, FeedDraft, FeedTypes, OpenOptions, Repair, Selector, Store, UploadRequest,
    VerifyLevel,
};
use plain::{Plain, package};

/// A file system in memory, gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where mounting is not allowed.
    fn mount(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(done) if done.status.success() => Some(Self(directory)),
            Ok(done) => {
                println!("SKIPPED: mount: {}", String::from_utf8_lossy(&done.stderr));
                None
            }
            Err(error) => {
                println!("SKIPPED: mount: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.path().join("filler")).unwrap();
        let mut length = 1 << 20;
        while length > 0 {
            if file.write_all(&vec![7; length]).is_err() {
                length /= 2;
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(self.path()).status();
        if !done.is_ok_and(|status| status.success()) {
            println!("{} stays mounted", self.path().display());
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.grace = 0;
    options.cache = 4 << 20;
    options.log.half = 1 << 20;
    options.log.spare = 1 << 20;
    options
}

fn open(directory: &Path, options: OpenOptions) -> Store {
    Store::open(directory, FeedTypes::none().with(Plain), options).unwrap()
}

fn upload(store: &Store, number: u64) -> bool {
    let bytes = package("alpha", &number.to_string(), number, 200_000);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).is_ok()
}

fn selector(number: u64) -> Selector {
    Selector::ungrouped("alpha", number.to_string().as_str())
}

fn read_all(store: &Store, stored: u64) {
    for number in 0..stored {
        let mut bytes = Vec::new();
        let mut download = store.download("main", &selector(number)).unwrap();
        io::copy(&mut download, &mut bytes).unwrap();
        assert!(bytes == package("alpha", &number.to_string(), number, 200_000), "{number}");
    }
}

#[test]
fn a_disk_that_is_full_to_its_last_byte_serves_and_is_freed_by_deletes() {
    let Some(disk) = Disk::mount("32m") else { return };
    let directory = disk.path().join("store");
    let store = open(&directory, options());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    let mut stored = 0;
    while upload(&store, stored) {
        stored += 1;
        assert!(stored < 1_000);
    }
    assert!(stored > 50, "{stored}");
    disk.fill();
    assert!(!upload(&store, stored));
    read_all(&store, stored);
    store.close().unwrap();
    drop(store);

    // A start without a byte left, for reading alone and for all.
    let store = open(&directory, options().read_only());
    read_all(&store, stored);
    store.close().unwrap();
    drop(store);
    let store = open(&directory, options());
    read_all(&store, stored);
    assert!(!upload(&store, stored));
    for number in 0..stored / 2 {
        store.delete_version("main", &selector(number), &Actor::api()).unwrap();
    }
    store.run_maintenance().unwrap();
    assert!(store.metrics().blobs_collected >= stored / 2);
    for number in 0..10 {
        assert!(upload(&store, number), "{number}");
    }
    store.close().unwrap();
    drop(store);
    let store = open(&directory, options());
    let mut findings = Vec::new();
    let report = &mut |finding: &_| findings.push(format!("{finding:?}"));
    store.verify(VerifyLevel::Deep, Repair::No, report).unwrap();
    assert_eq!(findings, [""; 0]);
}
