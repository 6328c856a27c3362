use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use hayloft_feed::Account;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::yaml::{self, SourceText, YamlError};

/// Digests of one member of a gem, as stored (compressed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberDigests {
    pub(crate) sha1: String,
    pub(crate) sha256: String,
    pub(crate) sha512: String,
}

/// Computes [`MemberDigests`] over a stream.
#[derive(Debug, Default)]
pub(crate) struct MemberHasher {
    sha1: Sha1,
    sha256: Sha256,
    sha512: Sha512,
}

impl MemberHasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        self.sha512.update(bytes);
    }

    pub(crate) fn finish(self) -> MemberDigests {
        MemberDigests {
            sha1: HEXLOWER.encode(&self.sha1.finalize()),
            sha256: HEXLOWER.encode(&self.sha256.finalize()),
            sha512: HEXLOWER.encode(&self.sha512.finalize()),
        }
    }

    pub(crate) fn of(bytes: &[u8]) -> MemberDigests {
        let mut hasher = Self::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// `checksums.yaml.gz` does not vouch for the members.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumsError {
    /// Not the YAML it should be.
    #[error("`checksums.yaml.gz` is not acceptable YAML")]
    Yaml(#[source] YamlError),
    /// Not a mapping of algorithms to mappings of members.
    #[error("`checksums.yaml.gz` is not a mapping of algorithms to members")]
    Shape,
    /// A digest is not that of the member.
    #[error("the {algorithm} of `{member}` is not the one in `checksums.yaml.gz`")]
    Mismatch {
        /// Such as `SHA256`.
        algorithm: String,
        /// Member of the gem.
        member: String,
    },
    /// A member is listed that the gem does not have.
    #[error("`checksums.yaml.gz` lists `{0}`, which the gem does not contain")]
    NoSuchMember(String),
}

/// Checks every listed digest of an algorithm that is known.
pub(crate) fn verify(
    text: &[u8],
    members: &BTreeMap<String, MemberDigests>,
    account: &Account,
) -> Result<(), ChecksumsError> {
    let source = SourceText::new(text);
    let root = yaml::parse(&source, |_| true, account).map_err(ChecksumsError::Yaml)?;
    for (algorithm, listed) in root.pairs().ok_or(ChecksumsError::Shape)? {
        let algorithm = algorithm.text().ok_or(ChecksumsError::Shape)?;
        for (member, stated) in listed.pairs().ok_or(ChecksumsError::Shape)? {
            let member = member.text().ok_or(ChecksumsError::Shape)?;
            let stated = stated.text().ok_or(ChecksumsError::Shape)?;
            let digests = members
                .get(member)
                .ok_or_else(|| ChecksumsError::NoSuchMember(member.to_owned()))?;
            let actual = match algorithm {
                "SHA1" => &digests.sha1,
                "SHA256" => &digests.sha256,
                "SHA512" => &digests.sha512,
                _ => continue,
            };
            if !actual.eq_ignore_ascii_case(stated) {
                return Err(ChecksumsError::Mismatch {
                    algorithm: algorithm.to_owned(),
                    member: member.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The text of `checksums.yaml` for these members, in this order.
///
/// Hex is always quoted: bare, some digests read as YAML numbers.
pub(crate) fn render(members: &[(&str, &MemberDigests)]) -> String {
    let lines = |hex: fn(&MemberDigests) -> &str| -> Vec<String> {
        members
            .iter()
            .map(|(member, digests)| format!("  {member}: '{}'\n", hex(digests)))
            .collect()
    };
    let sha256 = lines(|digests| &digests.sha256).concat();
    let sha512 = lines(|digests| &digests.sha512).concat();
    format!("---\nSHA256:\n{sha256}SHA512:\n{sha512}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> BTreeMap<String, MemberDigests> {
        ["metadata.gz", "data.tar.gz"]
            .into_iter()
            .map(|name| (name.to_owned(), MemberHasher::of(name.as_bytes())))
            .collect()
    }

    #[test]
    fn what_is_written_is_verified() {
        let members = members();
        let listed: Vec<_> = members.iter().map(|(name, d)| (name.as_str(), d)).collect();
        verify(render(&listed).as_bytes(), &members, &Account::default()).unwrap();
    }

    #[test]
    fn a_wrong_digest_and_a_stranger_are_named() {
        let members = members();
        let wrong = "SHA1:\n  metadata.gz: '00'\n";
        assert!(matches!(
            verify(wrong.as_bytes(), &members, &Account::default()),
            Err(ChecksumsError::Mismatch { member, .. }) if member == "metadata.gz"
        ));
        let stranger = "SHA512:\n  other: abc\n";
        assert!(matches!(
            verify(stranger.as_bytes(), &members, &Account::default()),
            Err(ChecksumsError::NoSuchMember(name)) if name == "other"
        ));
        assert!(matches!(
            verify(b"- a\n", &members, &Account::default()),
            Err(ChecksumsError::Shape)
        ));
    }
}
