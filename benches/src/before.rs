use std::io;
use std::path::Path;

use anyhow::Result;
use hayloft_testkit::streamed_upack;

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contest, Unit, alternate};
use crate::server::{Server, processor_time};
use crate::stores::{Stores, package_name};

/// The commit that the old program is built from, before rows were borrowed and trees were merged.
pub(crate) const COMMIT: &str = "acf9236";
const DEEP: &str = "deep";
const WIDE: &str = "wide";
const FILLERS: u32 = 16;
/// Bytes of a page, of which a write dirties whole ones.
const PAGE: f64 = 4_096.0;
/// Bytes of a package that is published.
const PAYLOAD: u32 = 10_000;

/// Lists and publishes of two releases of the program, each behind a server of its own: what the
/// server's process used of the processor and wrote by its own counters.
pub(crate) fn contests(
    scale: Scale,
    stores: &mut Stores,
    old: &Path,
    new: &Path,
) -> Result<Vec<Contest>> {
    let size = if scale.quick { 50 } else { 1_000 };
    let mut served =
        [Served::start(new, &stores.directory()?)?, Served::start(old, &stores.directory()?)?];
    for server in &served {
        server.fill(size)?;
    }
    let times = if scale.quick { 20 } else { 100 };
    let mut found = Vec::new();
    let lists = [
        (format!("list of {size} versions over HTTP"), format!("{DEEP}/versions?name=deep"), times),
        (format!("latest of {size} packages over HTTP"), format!("{WIDE}/latest"), times),
        (
            format!("versions of one package of {size} over HTTP"),
            format!("{WIDE}/versions?name={}", package_name(size / 2)),
            times * 20,
        ),
    ];
    for (row, target, times) in lists {
        let target = format!("/api/packages/{target}");
        found.extend(alternate(
            scale,
            &mut served,
            COMMIT,
            [(row, Unit::Seconds("list"))],
            |server| {
                let before = server.processor_time()?;
                for _ in 0..times {
                    server.server.ask("GET", &target, &[])?;
                }
                Ok([(server.processor_time()? - before) / f64::from(times)])
            },
        )?);
    }
    let publishes = if scale.quick { 50 } else { 1_000 };
    let rows = [
        ("publish of 10 KB over HTTP, processor".to_owned(), Unit::Seconds("publish")),
        ("publish of 10 KB over HTTP, written".to_owned(), Unit::Count("bytes")),
        ("publish of 10 KB over HTTP, dirtied".to_owned(), Unit::Count("pages")),
    ];
    found.extend(alternate(scale, &mut served, COMMIT, rows, |server| {
        let (time, written) = (server.processor_time()?, server.server.written()?);
        for _ in 0..publishes {
            server.published += 1;
            let version = format!("2.{}.0", server.published);
            server.upload(WIDE, "published", &version, PAYLOAD)?;
        }
        let of = f64::from(publishes);
        let bytes = (server.server.written()? - written) / of;
        Ok([(server.processor_time()? - time) / of, bytes, bytes / PAGE])
    })?);
    Ok(found)
}

/// A server with a store of its own.
struct Served {
    server: Server,
    published: u32,
}

impl Served {
    fn start(program: &Path, directory: &Path) -> Result<Self> {
        let server = Server::start(program, &directory.join("store"), directory)?;
        Ok(Self { server, published: 0 })
    }

    fn fill(&self, size: u32) -> Result<()> {
        eprintln!("filling a store over HTTP");
        for name in [DEEP, WIDE] {
            let feed = format!(r#"{{"name":"{name}","feedType":"universal"}}"#);
            self.server.ask("POST", "/api/management/feeds/create", feed.as_bytes())?;
        }
        at_once((0..FILLERS).collect(), |client| {
            for number in (client..size).step_by(usize::try_from(FILLERS)?) {
                self.upload(DEEP, "deep", &format!("1.{number}.0"), 64)?;
                self.upload(WIDE, &package_name(number), "1.0.0", 64)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn upload(&self, feed: &str, name: &str, version: &str, payload: u32) -> Result<()> {
        let mut package = Vec::new();
        io::copy(&mut streamed_upack(name, version, payload), &mut package)?;
        self.server.ask("PUT", &format!("/api/packages/{feed}/upload"), &package)
    }

    fn processor_time(&self) -> Result<f64> {
        processor_time(self.server.process())
    }
}
