use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use fs_err as fs;
use hayloft::Limits;
use hayloft_archive::Zip;
use sha2::{Digest, Sha256};

use super::script::Downloaded;
use crate::failure::Failure;

/// Holds a promoted file against its source, and both against what the feeds say.
pub(super) fn promoted(source: &Downloaded, target: &Downloaded) -> Result<String, Failure> {
    let (one, other) = (sha256(&source.path)?, sha256(&target.path)?);
    let stated = [&source.sha256, &target.sha256];
    if one != other || stated.iter().any(|stated| stated.as_deref() != Some(&one)) {
        let text = format!("{} and {} do not hold the same file", source.feed, target.feed);
        return Err(Failure::text(text));
    }
    let short = one.get(..16).unwrap_or(&one);
    let (from, to) = (&source.feed, &target.feed);
    Ok(format!("  {from} and {to} hold the same bytes: SHA-256 {short}..."))
}

/// Holds a repackaged archive against its source: what is equal, and what is not.
pub(super) fn repackaged(source: &Path, result: &Path) -> Result<String, Failure> {
    let (before, after) = (entries(source)?, entries(result)?);
    let equal = before.iter().filter(|(path, entry)| after.get(*path) == Some(*entry)).count();
    let changed: Vec<&str> = after
        .iter()
        .filter(|(path, entry)| before.get(*path) != Some(*entry))
        .map(|(path, _)| path.as_str())
        .collect();
    let all = before.len();
    Ok(format!("  {equal} of {all} files as they were built; written anew: {}", changed.join(", ")))
}

fn sha256(path: &Path) -> Result<String, Failure> {
    let mut digest = Sha256::new();
    let mut file = fs::File::open(path).map_err(Failure::io("read the download"))?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read =
            io::Read::read(&mut file, &mut buffer).map_err(Failure::io("read the download"))?;
        if read == 0 {
            return Ok(HEXLOWER.encode(&digest.finalize()));
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Length and checksum of each file in an archive.
fn entries(path: &Path) -> Result<BTreeMap<String, (u64, u32)>, Failure> {
    let mut file = fs::File::open(path).map_err(Failure::io("read the download"))?;
    let zip = Zip::open(&mut file, &Limits::default()).map_err(anyhow::Error::new)?;
    let entry = |entry: &hayloft_archive::ZipEntry| {
        (entry.path().to_owned(), (entry.size(), entry.crc32()))
    };
    Ok(zip.entries().iter().map(entry).collect())
}
