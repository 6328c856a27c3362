use std::io::Write;

use anyhow::Result;
use hayloft::{Background, OpenOptions, Store};
use sha2::digest::Digest;

use crate::Scale;
use crate::measure::{Contender, Contest, Work, contest, timed, timed_on_processor};

/// All five digests in one pass over bytes in memory: what every upload costs at least.
pub(crate) fn contests(scale: Scale) -> Result<Vec<Contest>> {
    [("five digests, 3 MiB, one thread", 3), ("five digests, 15 MiB", 15)]
        .into_iter()
        .map(|(row, mebibytes)| one(row, mebibytes, scale))
        .collect()
}

fn one(row: &str, mebibytes: u32, scale: Scale) -> Result<Contest> {
    let directory = tempfile::tempdir()?;
    let mut options = OpenOptions::default();
    // Staged files up to this size stay in memory, so nothing is measured but hashing.
    options.inline_limit = 16 << 20;
    options.background = Background::Caller;
    let store = Store::open(directory.path(), hayloft::feed_types(), options)?;
    let mut bytes = vec![0_u8; usize::try_from(mebibytes << 20)?];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let bytes = bytes.as_slice();
    let times = if scale.quick { 2 } else { 8 };
    // A helper's time is not that of this thread.
    let has_helper = mebibytes > 4;
    let repeated = |work: &dyn Fn() -> Result<()>| {
        let all = || (0..times).try_for_each(|_| work());
        if has_helper { timed(all) } else { timed_on_processor(all) }
    };
    let contenders = vec![
        Contender::new("hayloft", || {
            repeated(&|| {
                let mut staging = store.stage(None)?;
                staging.write_all(bytes)?;
                std::hint::black_box(staging.finish()?.digests());
                Ok(())
            })
        }),
        Contender::new("each of the five alone, added up", || {
            repeated(&|| {
                alone::<md5::Md5>(bytes);
                alone::<sha1::Sha1>(bytes);
                alone::<sha2::Sha256>(bytes);
                alone::<sha2::Sha512>(bytes);
                std::hint::black_box(blake3::hash(bytes));
                Ok(())
            })
        }),
        Contender::new("MD5 alone", || {
            repeated(&|| {
                alone::<md5::Md5>(bytes);
                Ok(())
            })
        }),
        Contender::new("SHA-512 alone", || {
            repeated(&|| {
                alone::<sha2::Sha512>(bytes);
                Ok(())
            })
        }),
        Contender::new("BLAKE3 alone", || {
            repeated(&|| {
                std::hint::black_box(blake3::hash(bytes));
                Ok(())
            })
        }),
    ];
    contest(row, Work { count: times * mebibytes, unit: "MiB" }, scale, contenders)
}

fn alone<D: Digest>(bytes: &[u8]) {
    std::hint::black_box(D::digest(bytes));
}
