use std::ops::ControlFlow;

use data_encoding::{BASE64, HEXLOWER};
use hayloft_feed::native::{Answer, Body, FeedView, Resource, Validator, ViewError};
use hayloft_feed::{LogHead, Timestamp};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::checked;
use super::index::{HEADER_END, Listing};

/// The log of all gems with their versions.
pub(crate) const VERSIONS: &[u8] = b"versions";

const CREATED: &str = "created_at: ";

/// How the compact index calls its files.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// The log of one gem.
pub(crate) fn info_log(name: &str) -> Vec<u8> {
    [b"info/", name.as_bytes()].concat()
}

/// What the log of versions begins with, and all it is while nothing came.
pub(crate) fn versions_header(view: &dyn FeedView) -> String {
    header(view.feed().created)
}

pub(crate) fn header(begun: Timestamp) -> String {
    format!("{CREATED}{}\n{HEADER_END}", begun.to_seconds())
}

/// When the log of versions was begun, as its header says it.
pub(crate) fn begun(view: &dyn FeedView) -> Result<Option<String>, ViewError> {
    let mut begun = None;
    view.read_log(VERSIONS, &mut |piece| {
        let text = String::from_utf8_lossy(piece);
        begun = text.lines().next().and_then(|line| line.strip_prefix(CREATED)).map(str::to_owned);
        ControlFlow::Break(())
    })?;
    Ok(begun)
}

/// `/versions`
pub(crate) fn versions<'a>(view: &dyn FeedView) -> Result<Answer<'a>, ViewError> {
    let Some(head) = view.log(VERSIONS)? else {
        let body = versions_header(view).into_bytes();
        let (md5, sha256) = (Md5::digest(&body).into(), Sha256::digest(&body).into());
        return Ok(text(&md5, &sha256, Body::Bytes(body)));
    };
    Ok(log(VERSIONS.to_vec(), &head))
}

/// `/info/NAME`
pub(crate) fn info<'a>(view: &dyn FeedView, name: &str) -> Result<Answer<'a>, ViewError> {
    let Some(name) = checked(name) else { return Ok(Answer::not_found()) };
    let name = info_log(name.name());
    Ok(view.log(&name)?.map_or_else(Answer::not_found, |head| log(name, &head)))
}

fn log<'a>(name: Vec<u8>, head: &LogHead) -> Answer<'a> {
    let body = Body::Log { log: name, generation: head.generation, length: head.length };
    text(&head.md5, &head.sha256, body)
}

/// Bundler up to 2.4 takes a tag that is not the MD5 of the body for a damaged answer, and newer
/// ones append what a range gives only where they are told the digest of the whole.
fn text<'a>(md5: &[u8; 16], sha256: &[u8; 32], body: Body<'a>) -> Answer<'a> {
    let resource = Resource::new(Validator::exact(HEXLOWER.encode(md5)), TEXT, body)
        .header("Repr-Digest", format!("sha-256=:{}:", BASE64.encode(sha256)));
    Answer::resource(resource)
}

/// `/names`, which no current client asks for.
pub(crate) fn names(view: &dyn FeedView) -> Result<Answer<'_>, ViewError> {
    let head = view.log(VERSIONS)?;
    let state = head.map_or_else(String::new, |head| HEXLOWER.encode(&head.md5));
    let validator = view.validator(0, &["names", &state]);
    let resource = Resource::document(validator, TEXT, move |out| {
        out.write_all(HEADER_END.as_bytes())?;
        for name in Listing::read(view)?.0.into_keys() {
            writeln!(out, "{name}")?;
        }
        Ok(())
    });
    Ok(Answer::resource(resource))
}
