use std::path::Path;

use anyhow::{Result, ensure};
use hayloft::{LatestQuery, Store, VersionsQuery};
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};

use crate::Scale;
use crate::measure::{Contender, Contest, Work, contest, timed_on_processor};
use crate::raw::Bytes;
use crate::stores::{DEEP, LARGE, Stores, VERSIONS_DEEP, VERSIONS_EACH, WIDE, open, package_name};

const PACKAGES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("pkg-1");
const VERSIONS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("ver-1");
/// Keys of a feed's packages and versions begin with its number.
const WIDE_KEYS: u32 = 1;
const DEEP_KEYS: u32 = 2;

/// Lists of whole feeds and of one package, against reading the same rows with redb alone.
pub(crate) fn contests(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    let mut sizes = vec![1_000];
    if scale.million {
        sizes.push(LARGE);
    }
    let mut found = Vec::new();
    for versions in sizes {
        let directory = stores.filled(versions)?;
        // A copy of the metadata, so that the same pages are read without Hayloft.
        let copy = stores.directory()?.join("copy.redb");
        fs_err::copy(directory.join("meta.redb"), &copy)?;
        found.extend(of_size(versions, scale, &directory, &copy)?);
        fs_err::remove_file(copy)?;
    }
    Ok(found)
}

fn of_size(versions: u32, scale: Scale, store: &Path, copy: &Path) -> Result<Vec<Contest>> {
    let store = open(store)?;
    let database = Database::builder().set_cache_size(store.options().cache).open(copy)?;
    let transaction = database.begin_read()?;
    let packages = transaction.open_table(PACKAGES)?;
    let rows = transaction.open_table(VERSIONS)?;
    let of = if versions == LARGE { "650,000" } else { "1,000" };
    let times = if versions > 1_000 || scale.quick { 1 } else { 50 };
    let repeated = |work: &dyn Fn() -> Result<u32>, expected: u32| {
        timed_on_processor(|| {
            (0..times).try_for_each(|_| {
                let count = work()?;
                ensure!(count == expected, "listed {count} rows instead of {expected}");
                Ok(())
            })
        })
    };
    let all = contest(
        format!("all versions of {of}"),
        Work { count: times * versions, unit: "row" },
        scale,
        vec![
            Contender::new("hayloft", || repeated(&|| list_versions(&store, WIDE, None), versions)),
            Contender::new("redb scan of the same rows", || {
                repeated(&|| scan(&rows, &feed(WIDE_KEYS)), versions)
            }),
        ],
    )?;
    let names = versions / VERSIONS_EACH;
    let latest = contest(
        format!("latest of {names} packages, {of} versions"),
        Work { count: times * names, unit: "row" },
        scale,
        vec![
            Contender::new("hayloft", || repeated(&|| list_latest(&store), names)),
            Contender::new("redb scan of packages, seek of versions", || {
                repeated(&|| seek_latest(&packages, &rows), names)
            }),
        ],
    )?;
    let one = package_name(names / 2);
    let package = package_name(names / 2);
    let many = 100;
    let page = contest(
        format!("versions of one package of {VERSIONS_EACH}, in {of}"),
        Work { count: many, unit: "list" },
        scale,
        vec![
            Contender::new("hayloft", || {
                timed_on_processor(|| {
                    (0..many).try_for_each(|_| list_versions(&store, WIDE, Some(&one)).map(drop))
                })
            }),
            Contender::new("redb scan of the same rows", || {
                let prefix = package_key(WIDE_KEYS, &package);
                timed_on_processor(|| (0..many).try_for_each(|_| scan(&rows, &prefix).map(drop)))
            }),
        ],
    )?;
    let deep = contest(
        format!("versions of one package of {VERSIONS_DEEP}, in {of}"),
        Work { count: times * VERSIONS_DEEP, unit: "row" },
        scale,
        vec![
            Contender::new("hayloft", || {
                repeated(&|| list_versions(&store, DEEP, Some("deep")), VERSIONS_DEEP)
            }),
            Contender::new("redb scan of the same rows", || {
                repeated(&|| scan(&rows, &feed(DEEP_KEYS)), VERSIONS_DEEP)
            }),
        ],
    )?;
    store.close()?;
    Ok(vec![all, latest, page, deep])
}

fn list_versions(store: &Store, feed: &str, name: Option<&str>) -> Result<u32> {
    let query = VersionsQuery { name: name.map(str::to_owned), ..VersionsQuery::default() };
    let mut count = 0;
    for file in store.versions(feed, &query)? {
        std::hint::black_box(file?);
        count += 1;
    }
    Ok(count)
}

fn list_latest(store: &Store) -> Result<u32> {
    let mut count = 0;
    for file in store.latest(WIDE, &LatestQuery::default())? {
        std::hint::black_box(file?);
        count += 1;
    }
    Ok(count)
}

fn feed(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// What the keys of the versions of a package without group begin with.
fn package_key(feed: u32, name: &str) -> Vec<u8> {
    [&feed.to_be_bytes(), b"\x01".as_slice(), name.as_bytes(), b"\0"].concat()
}

/// The first key after all that begin with `prefix`, whose last byte is not the highest.
fn end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

fn scan(rows: &ReadOnlyTable<Bytes, Bytes>, prefix: &[u8]) -> Result<u32> {
    let mut count = 0;
    for row in rows.range::<&[u8]>(prefix..end(prefix).as_slice())? {
        let (key, value) = row?;
        // Copied as a reader outside of the transaction needs it.
        std::hint::black_box((key.value().to_vec(), value.value().to_vec()));
        count += 1;
    }
    Ok(count)
}

fn seek_latest(
    packages: &ReadOnlyTable<Bytes, Bytes>,
    rows: &ReadOnlyTable<Bytes, Bytes>,
) -> Result<u32> {
    let prefix = feed(WIDE_KEYS);
    let mut count = 0;
    for row in packages.range::<&[u8]>(prefix.as_slice()..end(&prefix).as_slice())? {
        let (package, value) = row?;
        std::hint::black_box(value.value().to_vec());
        let end = end(package.value());
        let mut versions = rows.range::<&[u8]>(package.value()..end.as_slice())?;
        if let Some(latest) = versions.next_back() {
            let (key, value) = latest?;
            std::hint::black_box((key.value().to_vec(), value.value().to_vec()));
            count += 1;
        }
    }
    Ok(count)
}
