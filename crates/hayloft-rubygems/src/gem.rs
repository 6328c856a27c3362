use std::collections::BTreeMap;
use std::io::{self, Read, SeekFrom};

use data_encoding::HEXLOWER;
use hayloft_archive::{ArchiveError, Compression, TarKind, TarReader, Trailing, decoder_with};
use hayloft_feed::{
    Digests, FeedType, FeedTypeError, HistoryEntry, HistoryError, Identity, Inspected, Limits,
    PathFault, ReadError, ReadSeek, json,
};
use serde::Serialize;

use crate::checksums::{self, ChecksumsError, MemberDigests, MemberHasher};
use crate::files;
use crate::gemspec::{self, Gemspec, GemspecError, Parsed};
use crate::native::fragments_of_gem;
use crate::{RubyGems, TAG, platform_qualifiers};

/// What the `gem` command allows a specification or a list of checksums to unfold to.
const METADATA_LIMIT: u64 = 10 << 20;
const SIGNATURE_LIMIT: u64 = 1 << 20;
/// Some hundred steps.
const HISTORY_LIMIT: u64 = 256 << 10;
/// How much of a file RubyGems looks at to know its format.
const START: u64 = 20;

pub(crate) const HISTORY: &str = "repackage_history.json";
pub(crate) const CHECKSUMS: &str = "checksums.yaml.gz";
pub(crate) const DATA: &str = "data.tar.gz";
/// Ends the name of the signature over a member.
const SIGNATURE: &str = ".sig";

/// A file is not a gem that can be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GemError {
    /// From before RubyGems 0.8.
    #[error("it is a Ruby script of the format before RubyGems 0.8; build the gem anew")]
    OldFormat,
    /// A member is not one of a gem.
    #[error("a gem has no member `{}`", hayloft_feed::shorten(.0))]
    UnknownMember(String),
    /// A member stands twice, or plain and compressed.
    #[error("the gem has more than one `{}`", hayloft_feed::shorten(.0))]
    DuplicateMember(String),
    /// A member that every gem has is missing.
    #[error("the gem has no `{0}`")]
    MissingMember(&'static str),
    /// A member is a link or a folder.
    #[error("member `{0}` is not a file")]
    NotAFile(String),
    /// The specification breaks a rule.
    #[error("the gem's specification is not acceptable")]
    Gemspec(#[source] GemspecError),
    /// The checksums do not fit.
    #[error("the gem's checksums do not hold")]
    Checksums(#[source] ChecksumsError),
    /// The chain of certificates vouches for signatures that are not there.
    #[error("the gem names certificates but `{0}` is not signed")]
    Unsigned(String),
    /// A path of the gem's files leaves the folder of the gem.
    #[error("`{}` in `data.tar.gz` {fault}", hayloft_feed::shorten(.path))]
    Path {
        /// The path of a file, or where a link leads.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The embedded history cannot be read.
    #[error("`repackage_history.json` is not a repackaging history")]
    History(#[source] HistoryError),
}

/// Everything that one pass over a gem finds.
#[derive(Debug)]
pub(crate) struct Contents {
    /// `metadata.gz`, or `metadata` in very old gems.
    pub(crate) metadata_member: String,
    /// The specification, decompressed.
    pub(crate) metadata: Vec<u8>,
    pub(crate) digests: BTreeMap<String, MemberDigests>,
    pub(crate) signatures: Vec<String>,
    pub(crate) history: Option<String>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn refused(error: GemError) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: Box::new(error) }
}

pub(crate) fn damaged(error: ArchiveError) -> FeedTypeError {
    error.into_feed_type_error(TAG)
}

/// Reads and checks a whole gem; its files are walked but not kept.
pub(crate) fn read(content: &mut dyn ReadSeek, limits: &Limits) -> Result<Contents, FeedTypeError> {
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    refuse_old_format(content)?;
    let mut metadata = None;
    let mut checksums = None;
    let mut found = Contents {
        metadata_member: String::new(),
        metadata: Vec::new(),
        digests: BTreeMap::new(),
        signatures: Vec::new(),
        history: None,
        warnings: Vec::new(),
    };
    let mut seen = Vec::new();
    let mut reader = TarReader::plain(content, limits);
    while let Some(mut member) = reader.next().map_err(damaged)? {
        let name = String::from_utf8_lossy(member.path()).into_owned();
        if member.kind() != TarKind::File {
            return Err(refused(GemError::NotAFile(name)));
        }
        // `gem` takes whichever of the two kinds of metadata comes last.
        let role = if name == "metadata" { "metadata.gz" } else { name.as_str() };
        if seen.iter().any(|other| other == role) {
            return Err(refused(GemError::DuplicateMember(name)));
        }
        seen.push(role.to_owned());
        let mut stored = HashingReader::new(&mut member);
        match name.as_str() {
            "metadata" => {
                metadata =
                    Some(limited(&mut stored, METADATA_LIMIT.min(limits.manifest), &name, limits)?);
            }
            "metadata.gz" => {
                metadata = Some(inflated(&mut stored, METADATA_LIMIT, &name, limits)?);
            }
            CHECKSUMS => {
                checksums = Some(inflated(&mut stored, METADATA_LIMIT, &name, limits)?);
            }
            DATA => {
                let mut plain = gunzip(&mut stored, limits)?;
                found.warnings = files::check(&mut plain, limits)?;
            }
            HISTORY => {
                let bytes =
                    limited(&mut stored, HISTORY_LIMIT.min(limits.manifest), &name, limits)?;
                found.history = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
            signature if is_signature(signature) => {
                limited(&mut stored, SIGNATURE_LIMIT, &name, limits)?;
                found.signatures.push(name.clone());
            }
            _ => return Err(refused(GemError::UnknownMember(name))),
        }
        let digests = stored.finish().map_err(|e| damaged(ArchiveError::from_io(e)))?;
        if matches!(name.as_str(), "metadata" | "metadata.gz") {
            found.metadata_member.clone_from(&name);
        }
        found.digests.insert(name, digests);
    }
    reader.finish().map_err(damaged)?;
    found.metadata = metadata.ok_or_else(|| refused(GemError::MissingMember("metadata.gz")))?;
    if !found.digests.contains_key(DATA) {
        return Err(refused(GemError::MissingMember(DATA)));
    }
    if let Some(text) = checksums {
        checksums::verify(&text, &found.digests, &limits.account)
            .map_err(|error| refused(GemError::Checksums(error)))?;
    }
    Ok(found)
}

fn refuse_old_format(content: &mut dyn ReadSeek) -> Result<(), FeedTypeError> {
    let start = {
        let mut start = Vec::new();
        io::copy(&mut content.take(START), &mut start).map_err(FeedTypeError::Io)?;
        start
    };
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    if start.windows(8).any(|window| window == b"MD5SUM =") {
        return Err(refused(GemError::OldFormat));
    }
    Ok(())
}

fn is_signature(name: &str) -> bool {
    name.strip_suffix(SIGNATURE)
        .is_some_and(|signed| matches!(signed, "metadata" | "metadata.gz" | DATA | CHECKSUMS))
}

fn limited(
    reader: &mut dyn Read,
    limit: u64,
    name: &str,
    limits: &Limits,
) -> Result<Vec<u8>, FeedTypeError> {
    limits.load(reader, limit).map_err(|error| match error {
        ReadError::Io(error) => damaged(ArchiveError::from_io(error)),
        ReadError::Exhausted(exhausted) => damaged(exhausted.into()),
        _ => damaged(ArchiveError::TooLarge { what: format!("`{name}`"), limit }),
    })
}

fn inflated(
    stored: &mut dyn Read,
    limit: u64,
    name: &str,
    limits: &Limits,
) -> Result<Vec<u8>, FeedTypeError> {
    let mut plain = gunzip(stored, limits)?;
    limited(&mut plain, limit.min(limits.manifest), name, limits)
}

/// RubyGems reads the first gzip member alone, other tools all of them.
fn gunzip<'s>(
    stored: &'s mut dyn Read,
    limits: &Limits,
) -> Result<Box<dyn Read + 's>, FeedTypeError> {
    decoder_with(Compression::Gzip, Box::new(stored), limits, Trailing::OneMember).map_err(damaged)
}

/// Passes bytes on and digests them.
struct HashingReader<'r> {
    inner: &'r mut dyn Read,
    hasher: MemberHasher,
}

impl<'r> HashingReader<'r> {
    fn new(inner: &'r mut dyn Read) -> Self {
        Self { inner, hasher: MemberHasher::default() }
    }

    /// Digests what was not read yet, too.
    fn finish(mut self) -> io::Result<MemberDigests> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.hasher.finish())
    }
}

impl Read for HashingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// What a gem is, from its specification.
pub(crate) fn specification(contents: &Contents, limits: &Limits) -> Result<Parsed, FeedTypeError> {
    let parsed = gemspec::parse(&contents.metadata, &limits.account)
        .map_err(|error| refused(GemError::Gemspec(error)))?;
    if parsed.gemspec.certificates > 0 {
        let unsigned = contents
            .digests
            .keys()
            .filter(|name| name.strip_suffix(SIGNATURE).is_none() && *name != HISTORY)
            .find(|name| !contents.signatures.contains(&format!("{name}{SIGNATURE}")));
        if let Some(name) = unsigned {
            return Err(refused(GemError::Unsigned(name.clone())));
        }
    }
    Ok(parsed)
}

pub(crate) fn history(
    contents: &Contents,
    limits: &Limits,
) -> Result<Vec<HistoryEntry>, FeedTypeError> {
    match &contents.history {
        Some(text) => {
            let tree = json::tree_size(text.as_bytes());
            limits.account.charge(tree).map_err(|exhausted| damaged(exhausted.into()))?;
            HistoryEntry::parse_list(text).map_err(|error| refused(GemError::History(error)))
        }
        None => Ok(Vec::new()),
    }
}

/// What the store keeps of a gem.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'g> {
    #[serde(flatten)]
    gemspec: &'g Gemspec,
    signed: bool,
}

pub(crate) fn inspect(
    rubygems: RubyGems,
    content: &mut dyn ReadSeek,
    digests: &Digests,
    limits: &Limits,
) -> Result<Inspected, FeedTypeError> {
    let contents = read(content, limits)?;
    let parsed = specification(&contents, limits)?;
    let identity = Identity {
        package: rubygems.package_name("", parsed.name.as_str())?,
        version: rubygems.version(parsed.version.as_str())?,
        qualifiers: platform_qualifiers(&parsed.platform)?,
    };
    let fragments = fragments_of_gem(&parsed.gemspec, &HEXLOWER.encode(&digests.sha256));
    let manifest = Manifest { gemspec: &parsed.gemspec, signed: !contents.signatures.is_empty() };
    let manifest = serde_json::to_string(&manifest).map_err(|e| FeedTypeError::Io(e.into()))?;
    let history = history(&contents, limits)?;
    let mut warnings = contents.warnings;
    if !contents.digests.contains_key(CHECKSUMS) {
        warnings.push("the gem has no checksums.yaml.gz; its members are not vouched for".into());
    }
    Ok(Inspected::new(identity, manifest)
        .with_fragments(fragments)
        .with_history(history)
        .with_warnings(warnings))
}
