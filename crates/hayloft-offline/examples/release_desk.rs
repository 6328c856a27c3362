//! Releases without a server: packages come in a folder, and leave in a folder that any web server
//! can show, and in one file for a machine that no network reaches.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};

use hayloft::{Actor, FeedDraft, PromoteRequest, RepackageRequest, Selector, Store, VersionsQuery};
use hayloft_offline::{
    ApplyOptions, BundleOptions, ExportOptions, Folder, ImportOptions, apply, create, export,
    import,
};

/// Feeds of the desk: what comes in, and what was released.
const INBOX: &str = "inbox";
const RELEASED: &str = "released";

/// Takes all packages of a folder in, releases those that wait for it, and writes both results.
pub fn release(
    desk: &Store,
    incoming: &Path,
    site: &Path,
    bundle: &Path,
) -> Result<(), Box<dyn Error>> {
    let me = Actor::named("release desk");
    for feed in [INBOX, RELEASED] {
        if desk.feed(feed).is_err() {
            desk.create_feed(FeedDraft::new(feed, "universal"), &me)?;
        }
    }
    let told = |file: &Path, fate: hayloft_offline::Fate<'_>| {
        println!("{}: {fate:?}", file.display());
    };
    let paths = [PathBuf::from(incoming)];
    let taken = import(desk, INBOX, &paths, &ImportOptions::default(), &me, &told)?;
    println!(
        "{} stored, {} there already, {} refused",
        taken.stored, taken.unchanged, taken.refused
    );

    let waiting: Vec<_> =
        desk.versions(INBOX, &VersionsQuery::default())?.collect::<Result<_, _>>()?;
    for candidate in waiting {
        // `1.4.0-rc.2` becomes `1.4.0`, with where it came from written inside.
        let version = candidate.version.clone();
        let Some((release, _)) = version.split_once('-') else { continue };
        let released = Selector::grouped(&candidate.group, &candidate.name, release);
        if desk.file(INBOX, &released).is_ok() {
            continue;
        }
        let asked = RepackageRequest::new(Selector::from(&candidate), release);
        desk.repackage(INBOX, &asked, &me)?;
        desk.promote(INBOX, &PromoteRequest::new(released, RELEASED), &me)?;
        println!("{} {release} is released", candidate.name);
    }

    let folder = Folder::open(site)?;
    export(desk, RELEASED, &folder, &ExportOptions::default(), &mut |_| {})?;
    create(desk, RELEASED, bundle, &BundleOptions::default())?;
    Ok(())
}

/// On the other machine: the whole bundle is verified before the first change.
pub fn receive(store: &Store, feed: &str, bundle: &Path) -> Result<u64, Box<dyn Error>> {
    let me = Actor::named("courier");
    if store.feed(feed).is_err() {
        store.create_feed(FeedDraft::new(feed, "universal"), &me)?;
    }
    Ok(apply(store, feed, bundle, &ApplyOptions::default(), &me)?.stored)
}

#[allow(dead_code, reason = "a test calls what it calls")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match arguments.as_slice() {
        [store, incoming, site, bundle] => {
            let desk = hayloft::open(store)?;
            release(&desk, incoming, site, bundle)?;
            desk.close()?;
        }
        [store, bundle] => {
            let there = hayloft::open(store)?;
            println!("{} packages came", receive(&there, RELEASED, bundle)?);
            there.close()?;
        }
        _ => {
            let text = "name a store, a folder of packages, a folder to fill and a bundle to make; \
                        or a store and a bundle to apply";
            return Err(text.into());
        }
    }
    Ok(())
}
