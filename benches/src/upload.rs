use std::io::Read;
use std::sync::Arc;

use anyhow::Result;
use hayloft::{Actor, Store, UploadRequest};
use hayloft_testkit::{StreamedUpack, streamed_upack};
use sha2::digest::Digest;

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contender, Contest, Unit, Work, contest};
use crate::raw::{RawFiles, RawRows};
use crate::stores::{Stores, create_feed, open};

/// The row that stands for an upload's metadata.
const ROW: usize = 1_024;

struct Size {
    name: &'static str,
    payload: u32,
    /// Uploads of each client in a round: of one alone, and of each of 16.
    alone: u32,
    together: u32,
}

const SIZES: [Size; 3] = [
    Size { name: "10 KB (inline)", payload: 10_000, alone: 100, together: 40 },
    Size { name: "1 MiB", payload: 1 << 20, alone: 16, together: 4 },
    Size { name: "64 MiB", payload: 64 << 20, alone: 2, together: 1 },
];

/// Uploads of one client and of 16 at once, and how many commits the latter took.
pub(crate) fn contests(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    let mut found = Vec::new();
    for size in &SIZES {
        for clients in [1, 16] {
            let each = if clients == 1 { size.alone } else { size.together };
            let each = if scale.quick { each.min(2) } else { each };
            found.extend(one(size, clients, each, scale, stores)?);
        }
    }
    Ok(found)
}

/// Makes packages that no one has seen before.
struct Source {
    payload: u32,
    made: std::cell::Cell<u32>,
}

impl Source {
    /// For each client as many packages as it uploads in a round.
    fn round(&self, clients: u32, each: u32) -> Vec<Vec<StreamedUpack>> {
        let package = |_| {
            let number = self.made.get();
            self.made.set(number + 1);
            streamed_upack(&format!("package-{number}"), "1.0.0", self.payload)
        };
        (0..clients).map(|_| (0..each).map(package).collect()).collect()
    }
}

fn one(
    size: &Size,
    clients: u32,
    each: u32,
    scale: Scale,
    stores: &mut Stores,
) -> Result<Vec<Contest>> {
    let (directory, raw) = (stores.directory()?, stores.directory()?);
    let store = open(&directory)?;
    create_feed(&store, "feed")?;
    let files = RawFiles::create(raw.join("files"))?;
    let rows = Arc::new(RawRows::create(&raw.join("rows.redb"))?);
    let source = Source { payload: size.payload, made: std::cell::Cell::new(0) };
    let commits = std::cell::RefCell::new(Vec::new());
    let run = |work: &(dyn Fn(StreamedUpack) -> Result<()> + Sync)| {
        let packages = source.round(clients, each);
        at_once(packages, |packages| packages.into_iter().try_for_each(work))
    };
    // Files are removed between runs, so that a large contest does not fill the disk.
    let write = |work: &(dyn Fn(StreamedUpack) -> Result<()> + Sync)| {
        let time = run(work)?;
        files.clear()?;
        Ok(time)
    };
    let mut contenders = vec![
        Contender::new("hayloft", || {
            let before = store.metrics();
            let time = run(&|package| publish(&store, package))?;
            let after = store.metrics();
            commits.borrow_mut().push(f64::from(u32::try_from(after.commits - before.commits)?));
            Ok(time)
        }),
        Contender::new("one durable file", || write(&|package| files.store(package))),
    ];
    if size.payload < 16_000 {
        contenders.push(Contender::new("one redb row of that size", || {
            run(&|package| rows.store(bytes(package)?))
        }));
    } else {
        contenders.push(Contender::new("durable file, then redb row of 1 KiB", || {
            write(&|package| {
                files.store(package)?;
                rows.store(vec![7; ROW])
            })
        }));
        contenders.push(Contender::new("the same and five digests", || {
            write(&|package| {
                let mut digests = FiveDigests::default();
                files.store_with(package, |piece| digests.update(piece))?;
                digests.finish();
                rows.store(vec![7; ROW])
            })
        }));
    }
    let who = if clients == 1 { "one client" } else { "16 clients" };
    let work = Work { count: clients * each, unit: "package" };
    let row = format!("upload {}, {who}", size.name);
    let mut found = vec![contest(row, work, scale, contenders)?];
    if clients > 1 {
        let ours: Vec<f64> = commits.take().into_iter().skip(1).collect();
        let packages = vec![f64::from(clients * each); ours.len()];
        found.push(Contest {
            row: format!("commits, {}, {who}", size.name),
            unit: Unit::Count("commits"),
            ours,
            baselines: vec![("one for each package", packages)],
        });
    }
    store.close()?;
    fs_err::remove_dir_all(directory)?;
    fs_err::remove_dir_all(raw)?;
    Ok(found)
}

fn publish(store: &Store, mut package: StreamedUpack) -> Result<()> {
    store.upload("feed", &UploadRequest::default(), &mut package, &Actor::named("bench"))?;
    Ok(())
}

fn bytes(package: StreamedUpack) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(package.size())?);
    std::io::copy(&mut package.take(u64::MAX), &mut bytes)?;
    Ok(bytes)
}

/// What a program computes that wants the same digests, one after the other.
#[derive(Default)]
struct FiveDigests {
    md5: md5::Md5,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
    sha512: sha2::Sha512,
    blake3: blake3::Hasher,
}

impl FiveDigests {
    fn update(&mut self, piece: &[u8]) {
        self.md5.update(piece);
        self.sha1.update(piece);
        self.sha256.update(piece);
        self.sha512.update(piece);
        self.blake3.update(piece);
    }

    fn finish(self) {
        std::hint::black_box((
            self.md5.finalize(),
            self.sha1.finalize(),
            self.sha256.finalize(),
            self.sha512.finalize(),
            self.blake3.finalize(),
        ));
    }
}
