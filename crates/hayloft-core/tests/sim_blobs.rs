//! The place of package files alone on a disk that loses power or fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use hayloft_core::sim::{Fault, FaultKind, Lasting, Mutations, Random, SimFs, SimImage, seed};
use hayloft_core::{BlobKey, BlobStore, Fs, LocalBlobs, Put, StagedFile};

fn content(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; random.index(9_000)];
    random.fill(&mut bytes);
    bytes
}

fn key(bytes: &[u8]) -> BlobKey {
    BlobKey(*blake3::hash(bytes).as_bytes())
}

fn stage(fs: &Arc<dyn Fs>, name: u64, bytes: &[u8]) -> io::Result<StagedFile> {
    let path = Path::new("/store/tmp").join(name.to_string());
    let mut file = fs.create(&path)?;
    file.write_all(bytes)?;
    Ok(StagedFile { path, size: bytes.len() as u64, file: file.into() })
}

fn store(fs: &Arc<dyn Fs>) -> io::Result<LocalBlobs> {
    fs.create_directory(Path::new("/store/tmp"))?;
    fs.sync_directory(Path::new("/store"))?;
    fs.sync_directory(Path::new("/"))?;
    LocalBlobs::create(fs, Path::new("/store/blobs"))
}

fn read(blobs: &LocalBlobs, key: &BlobKey) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::copy(&mut blobs.open(key)?.take(1 << 20), &mut bytes)?;
    Ok(bytes)
}

/// What was published, removed, and when.
struct History {
    published: BTreeMap<BlobKey, (u64, Vec<u8>)>,
    removed: BTreeMap<BlobKey, u64>,
    images: Vec<SimImage>,
}

fn history(seed: u64, mutations: Mutations) -> History {
    let mut random = Random::new(seed);
    let fs = SimFs::new(seed);
    let shared = fs.shared();
    let blobs = store(&shared).unwrap();
    fs.set_mutations(mutations);
    fs.record(fs.changes()..u64::MAX);
    let (mut published, mut removed) = (BTreeMap::new(), BTreeMap::new());
    for number in 0..8 {
        let bytes = content(&mut random);
        let key = key(&bytes);
        let staged = stage(&shared, number, &bytes).unwrap();
        assert_eq!(blobs.put(&key, &staged).unwrap(), Put::Created);
        published.insert(key, (fs.changes(), bytes));
        if random.below(4) == 0 {
            removed.insert(key, fs.changes());
            blobs.delete(&key).unwrap();
        }
    }
    History { published, removed, images: fs.images() }
}

/// Every published content is there in full unless its removal had begun.
fn judge(history: &History, image: &SimImage, seed: u64) -> Result<(), String> {
    let at = format!("seed {seed}, change {}", image.changes());
    let fs = image.reboot(seed).shared();
    let blobs = LocalBlobs::open(&fs, Path::new("/store/blobs")).map_err(|e| e.to_string())?;
    for (key, (when, bytes)) in &history.published {
        if *when > image.changes() {
            continue;
        }
        let removing = history.removed.get(key).is_some_and(|begun| *begun < image.changes());
        match read(&blobs, key) {
            Ok(found) if found == *bytes => {}
            Ok(_) => return Err(format!("{at}: other bytes")),
            Err(error) if error.kind() == io::ErrorKind::NotFound && removing => {}
            Err(error) => return Err(format!("{at}: {error}")),
        }
    }
    for shard in 0..=u8::MAX {
        for key in blobs.list(shard).unwrap() {
            let Some((_, bytes)) = history.published.get(&key) else {
                return Err(format!("{at}: a content that nobody published"));
            };
            // A name is only ever given to flushed bytes, acknowledged or not.
            if read(&blobs, &key).unwrap() != *bytes {
                return Err(format!("{at}: a name of other bytes"));
            }
        }
    }
    if blobs.strange().unwrap().is_empty() { Ok(()) } else { Err(format!("{at}: strange names")) }
}

fn run(seeds: std::ops::Range<u64>, mutations: Mutations) -> Result<usize, String> {
    let mut judged = 0;
    for seed in seeds {
        let history = history(seed, mutations);
        for image in &history.images {
            for luck in 0..4 {
                judge(&history, image, seed * 4 + luck)?;
                judged += 1;
            }
        }
    }
    Ok(judged)
}

#[test]
fn published_contents_survive_a_power_cut_at_every_change() {
    let first = seed(1);
    let judged = run(first..first + 8, Mutations::default()).unwrap();
    println!("{judged} power cuts");
    assert!(judged > 1000);
}

#[test]
fn leaving_out_the_flush_of_the_file_is_noticed() {
    let mutations = Mutations { skip_blob_sync: true, ..Mutations::default() };
    println!("tooth: skip_blob_sync: {}", run(1..9, mutations).unwrap_err());
}

#[test]
fn leaving_out_the_flush_of_the_directory_is_noticed() {
    let mutations = Mutations { skip_directory_sync: true, ..Mutations::default() };
    println!("tooth: skip_directory_sync: {}", run(1..9, mutations).unwrap_err());
}

/// Publishes three contents under a fault; false once the fault comes too late to matter.
fn fails_well(fault: Fault, seed: u64) -> bool {
    let at = format!("{fault:?}, seed {seed}");
    let fs = SimFs::new(seed);
    let shared = fs.shared();
    let blobs = store(&shared).unwrap();
    fs.set_fault(Fault { at: fault.at + fs.calls(), ..fault });
    let mut random = Random::new(seed);
    let mut acked = Vec::new();
    for number in 0..3 {
        let bytes = content(&mut random);
        let key = key(&bytes);
        let done = stage(&shared, number, &bytes).and_then(|staged| blobs.put(&key, &staged));
        match done {
            Ok(_) => acked.push((key, bytes)),
            // Until it is opened again, a store with a name in doubt publishes nothing.
            Err(_) if blobs.must_reopen() => break,
            Err(_) => {}
        }
        if random.coin() {
            // A failed size or listing must not harm either.
            let _ = blobs.size(&key);
            let _ = blobs.list(key.0[0]);
        }
    }
    let fired = fs.clear_fault();
    fs.reboot();
    let blobs = LocalBlobs::open(&shared, Path::new("/store/blobs")).unwrap();
    for (key, bytes) in &acked {
        assert_eq!(read(&blobs, key).unwrap(), *bytes, "{at}");
        assert_eq!(blobs.size(key).unwrap(), Some(bytes.len() as u64), "{at}");
    }
    fired
}

#[test]
fn every_failing_call_fails_one_upload_and_harms_no_other() {
    let mut runs = 0;
    for kind in FaultKind::ALL {
        for lasting in [Lasting::Once, Lasting::Until] {
            let mut at = 1;
            while fails_well(Fault { at, kind, lasting }, seed(1) + at) {
                runs += 1;
                at += 1;
            }
        }
    }
    println!("{runs} faults");
    assert!(runs > 50);
}

#[test]
fn a_directory_that_could_not_be_flushed_stops_publishing() {
    let fs = SimFs::new(1);
    let shared = fs.shared();
    let blobs = store(&shared).unwrap();
    let staged = stage(&shared, 1, b"one").unwrap();
    // A publish looks, flushes, protects, looks, renames and flushes the directory: only that
    // last call opens something after the first.
    fs.set_fault(Fault {
        at: fs.calls() + 2,
        kind: FaultKind::TooManyFiles,
        lasting: Lasting::Once,
    });
    assert!(blobs.put(&key(b"one"), &staged).is_err());
    assert!(fs.clear_fault());
    assert!(blobs.must_reopen());
    let staged = stage(&shared, 2, b"two").unwrap();
    assert!(blobs.put(&key(b"two"), &staged).is_err());
    assert!(blobs.delete(&key(b"one")).is_err());
    let blobs = LocalBlobs::open(&shared, Path::new("/store/blobs")).unwrap();
    assert_eq!(blobs.put(&key(b"two"), &staged).unwrap(), Put::Created);
}

#[test]
fn a_staged_file_of_another_length_is_refused() {
    let shared = SimFs::new(1).shared();
    let blobs = store(&shared).unwrap();
    let staged = StagedFile { size: 4, ..stage(&shared, 1, b"one").unwrap() };
    let refused = blobs.put(&key(b"one"), &staged).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    assert_eq!(blobs.size(&key(b"one")).unwrap(), None);
}

#[test]
fn the_same_content_again_replaces_what_rotted() {
    let fs = SimFs::new(1);
    let shared = fs.shared();
    let blobs = store(&shared).unwrap();
    let key = key(b"one");
    blobs.put(&key, &stage(&shared, 1, b"one").unwrap()).unwrap();
    fs.corrupt(&blobs.path(&key), |bytes| bytes[0] ^= 1).unwrap();
    assert_ne!(read(&blobs, &key).unwrap(), b"one");
    assert_eq!(blobs.put(&key, &stage(&shared, 2, b"one").unwrap()).unwrap(), Put::Existed);
    assert_eq!(read(&blobs, &key).unwrap(), b"one");
}

#[test]
fn shards_that_a_copy_left_out_are_made_again() {
    let shared = SimFs::new(1).shared();
    drop(store(&shared).unwrap());
    shared.remove_directory(Path::new("/store/blobs/ab")).unwrap();
    drop(LocalBlobs::open(&shared, Path::new("/store/blobs")).unwrap());
    assert_eq!(shared.list(Path::new("/store/blobs")).unwrap().len(), 256);
}
