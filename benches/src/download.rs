use std::io::{self, Read};

use anyhow::{Context, Result};
use hayloft::Selector;

use crate::Scale;
use crate::measure::{Contender, Contest, Work, contest, timed};
use crate::stores::{Stores, create_feed, open, upload};

/// Reading stored packages back, warm, against reading the same bytes from a file.
pub(crate) fn contests(scale: Scale, stores: &mut Stores) -> Result<Vec<Contest>> {
    let store = open(&stores.directory()?)?;
    create_feed(&store, "feed")?;
    let raw = stores.directory()?;
    let mut found = Vec::new();
    for (row, payload, times) in [
        ("download 10 KB (inline)", 10_000, 2_000),
        ("download 1 MiB", 1 << 20, 200),
        ("download 64 MiB", 64 << 20, 4),
    ] {
        let times = if scale.quick { 2 } else { times };
        let version = format!("1.0.{payload}");
        upload(&store, "feed", "package", &version, payload)?;
        let asked = Selector::ungrouped("package", &version);
        let path = raw.join(&version);
        let mut copy = fs_err::File::create(&path)?;
        io::copy(&mut store.download("feed", &asked)?, &mut copy)?;
        let mut buffer = vec![0; 128 << 10];
        let mut other = buffer.clone();
        let contenders = vec![
            Contender::new("hayloft, digest checked", || {
                timed(|| {
                    (0..times).try_for_each(|_| drain(store.download("feed", &asked)?, &mut buffer))
                })
            }),
            Contender::new("open and read a file", || {
                timed(|| (0..times).try_for_each(|_| drain(fs_err::File::open(&path)?, &mut other)))
            }),
        ];
        found.push(contest(row, Work { count: times, unit: "file" }, scale, contenders)?);
    }
    store.close().context("the store of downloads could not be closed")?;
    Ok(found)
}

fn drain(mut content: impl Read, buffer: &mut [u8]) -> Result<()> {
    while content.read(buffer)? > 0 {
        std::hint::black_box(&mut *buffer);
    }
    Ok(())
}
