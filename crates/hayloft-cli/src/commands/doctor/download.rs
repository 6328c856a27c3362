//! Whether a package comes as it lies on the server.

use std::io::{self, Read};

use data_encoding::HEXLOWER;
use hayloft_http::wire::PackageVersionInfo;
use sha2::{Digest, Sha256};

use super::{Findings, ask};
use crate::connection::{Answer, Connection, Target, parse};
use crate::failure::Failure;

const CHECK: &str = "download";
/// Packages among which the smallest is looked for.
const SEEN: usize = 100;
/// Bytes that are fetched to find out.
const LARGEST: u64 = 64 << 20;

/// Fetches one package of a feed; nothing is told of a feed without one.
pub(super) fn check(
    findings: &mut Findings<'_>,
    connection: &Connection,
    feed: &str,
) -> Result<(), Failure> {
    let target = Target::new(&["api", "packages", feed, "latest"]);
    let Some(answer) = ask(findings, CHECK, connection, target)? else { return Ok(()) };
    // What the key may not is told by others.
    let Ok(answer) = answer.success() else { return Ok(()) };
    let Some(package) = smallest(answer)? else { return Ok(()) };
    let named = format!("{feed}: {} {}", package.name, package.version);
    let target = Target::new(&["api", "packages", feed, "download"])
        .query("name", Some(&package.name))
        .query("version", Some(&package.version))
        .query("group", package.group.as_deref())
        .query("qualifier", package.qualifier.as_deref());
    let Some(answer) = ask(findings, CHECK, connection, target)? else { return Ok(()) };
    if matches!(answer.status, 401 | 403) {
        let advice = "ask for a key that may download in it";
        return findings.bad(CHECK, format!("{named} is refused"), advice);
    }
    let answer = match answer.success() {
        Ok(answer) => answer,
        Err(failure) => return findings.failed(CHECK, &failure),
    };
    let advice = "something between, such as a proxy, a cache or a scanner, changes or cuts files";
    match digest(answer.body) {
        Ok(found) if Some(&found) == package.sha256.as_ref() => findings
            .good(CHECK, format!("{named} came as the server has it, {} bytes", package.size)),
        Ok(found) => {
            let text =
                format!("{named} came with the SHA-256 {found}, which the server does not list");
            findings.bad(CHECK, text, advice)
        }
        Err(error) => findings.bad(CHECK, format!("{named} did not come whole: {error}"), advice),
    }
}

fn smallest(answer: Answer) -> Result<Option<PackageVersionInfo>, Failure> {
    let mut best: Option<PackageVersionInfo> = None;
    let mut seen = 0;
    let read = answer.each(&mut |element| {
        let file: PackageVersionInfo = parse(element.get())?;
        seen += 1;
        let fits = file.allow_download != Some(false) && file.sha256.is_some();
        let better = best.as_ref().is_none_or(|best| file.size < best.size);
        if fits && better && file.size <= LARGEST {
            best = Some(file);
        }
        if seen == SEEN { Err(Failure::Closed) } else { Ok(()) }
    });
    match read {
        Ok(()) | Err(Failure::Closed) => Ok(best),
        Err(failure) => Err(failure),
    }
}

fn digest(body: Box<dyn Read + Send>) -> io::Result<String> {
    let mut sha256 = Sha256::new();
    io::copy(&mut body.take(LARGEST + 1), &mut Sink(&mut sha256))?;
    Ok(HEXLOWER.encode(&sha256.finalize()))
}

struct Sink<'a>(&'a mut Sha256);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
