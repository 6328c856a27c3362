//! Stores to measure on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use hayloft::{Actor, FeedDraft, OpenOptions, Store, UploadRequest};
use hayloft_testkit::streamed_upack;
use tempfile::TempDir;

use crate::clients::at_once;

/// The feed with many packages of [`VERSIONS_EACH`] versions.
pub(crate) const WIDE: &str = "wide";
/// The feed with one package of 1,000 versions.
pub(crate) const DEEP: &str = "deep";
/// Versions of each package in [`WIDE`].
pub(crate) const VERSIONS_EACH: u32 = 10;
/// Versions of the package in [`DEEP`].
pub(crate) const VERSIONS_DEEP: u32 = 1_000;

/// Versions of the largest store that is measured.
pub(crate) const LARGE: u32 = 650_000;

/// Clients that fill a store; many, so that one commit takes in many uploads.
const FILLERS: u32 = 128;

/// The stores of a run, all gone at its end.
#[derive(Debug)]
pub(crate) struct Stores {
    root: TempDir,
    made: u32,
    filled: BTreeMap<u32, PathBuf>,
}

impl Stores {
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        fs_err::create_dir_all(parent)?;
        let root = tempfile::Builder::new().prefix("hayloft-benches-").tempdir_in(parent)?;
        Ok(Self { root, made: 0, filled: BTreeMap::new() })
    }

    /// A directory of its own, which exists.
    pub(crate) fn directory(&mut self) -> Result<PathBuf> {
        self.made += 1;
        let directory = self.root.path().join(self.made.to_string());
        fs_err::create_dir(&directory)?;
        Ok(directory)
    }

    /// A closed store of about so many versions, made when first asked for: [`WIDE`] has them, and
    /// [`DEEP`] a thousand more.
    pub(crate) fn filled(&mut self, versions: u32) -> Result<PathBuf> {
        if let Some(directory) = self.filled.get(&versions) {
            return Ok(directory.clone());
        }
        let directory = self.directory()?;
        let start = Instant::now();
        eprintln!("filling a store with {versions} versions");
        fill(&directory, versions)?;
        eprintln!("filled it in {:.0} s", start.elapsed().as_secs_f64());
        self.filled.insert(versions, directory.clone());
        Ok(directory)
    }
}

/// Opens a store as a server would.
pub(crate) fn open(directory: &Path) -> Result<Store> {
    Store::open(directory, hayloft::feed_types(), OpenOptions::default())
        .with_context(|| format!("`{}` could not be opened", directory.display()))
}

/// Makes a feed for universal packages.
pub(crate) fn create_feed(store: &Store, name: &str) -> Result<()> {
    store.create_feed(FeedDraft::new(name, "universal"), &Actor::named("bench"))?;
    Ok(())
}

/// Uploads a package with `payload` bytes of content.
pub(crate) fn upload(
    store: &Store,
    feed: &str,
    name: &str,
    version: &str,
    payload: u32,
) -> Result<()> {
    let mut package = streamed_upack(name, version, payload);
    store.upload(feed, &UploadRequest::default(), &mut package, &Actor::named("bench"))?;
    Ok(())
}

/// Names in an order unlike that of their numbers, as names in a real feed arrive.
pub(crate) fn package_name(number: u32) -> String {
    format!("package-{:08x}", number.wrapping_mul(0x9e37_79b1))
}

/// All of it through uploads, as clients would do it.
fn fill(directory: &Path, versions: u32) -> Result<()> {
    let store = open(directory)?;
    create_feed(&store, WIDE)?;
    create_feed(&store, DEEP)?;
    let packages = versions / VERSIONS_EACH;
    let clients: Vec<u32> = (0..FILLERS).collect();
    at_once(clients, |client| {
        for package in (client..packages).step_by(usize::try_from(FILLERS)?) {
            let name = package_name(package);
            for version in 0..VERSIONS_EACH {
                upload(&store, WIDE, &name, &format!("1.{version}.0"), 64)?;
            }
        }
        for version in (client..VERSIONS_DEEP).step_by(usize::try_from(FILLERS)?) {
            upload(&store, DEEP, "deep", &format!("1.{version}.0"), 64)?;
        }
        Ok(())
    })?;
    store.close()?;
    Ok(())
}
