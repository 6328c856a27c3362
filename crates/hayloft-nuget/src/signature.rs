use std::io::{self, Read, SeekFrom};
use std::ops::Range;

use data_encoding::BASE64;
use hayloft_archive::{ZipEntry, ZipLayout};
use hayloft_feed::{FeedTypeError, ReadSeek, shorten};
use sha2::digest::DynDigest;
use sha2::{Sha256, Sha384, Sha512};

use crate::package::PackageError;
use crate::{Signature, SignatureKind, cms};

/// `1.2.840.113549.1.9.16.6.1`
const AUTHOR: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x06, 0x01];
/// `1.2.840.113549.1.9.16.6.2`
const REPOSITORY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x06, 0x02];

/// A signature does not hold, or clients would not look at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Clients read it only where it is stored plainly.
    #[error("it is {0}; clients accept only a stored entry without flags and attributes")]
    Entry(&'static str),
    /// Clients do not accept signed archives with 64-bit records.
    #[error("the archive has zip64 records, which signed packages must not have")]
    Zip64,
    /// Not a CMS message with content and a signer.
    #[error("it is not a signed message")]
    Message,
    /// Clients want exactly one.
    #[error("it has {0} signers; clients accept only one")]
    Signers(usize),
    /// The content does not state a hash.
    #[error("its content states no hash of the package")]
    Statement,
    /// The content states several, of which clients would choose one.
    #[error("its content states more than one hash of the package")]
    Statements,
    /// A hash that is not SHA-256, SHA-384 or SHA-512.
    #[error("it states a hash of the unknown algorithm `{0}`")]
    Algorithm(String),
    /// The package was changed after it was signed.
    #[error("the package was changed after it was signed; sign it again or remove the signature")]
    Changed,
}

/// Clients look for these properties before they read the signature.
pub(crate) fn check_entry(entry: &ZipEntry) -> Result<(), SignatureError> {
    if !entry.is_stored() {
        Err(SignatureError::Entry("compressed"))
    } else if entry.flags() != 0 {
        Err(SignatureError::Entry("flagged"))
    } else if entry.external_attributes() != 0 {
        Err(SignatureError::Entry("given attributes"))
    } else {
        Ok(())
    }
}

/// Checks the hash that a signature states against the archive without the signature.
///
/// No certificate is looked at: this finds damage and careless edits, not forgery.
pub(crate) fn check(
    content: &mut dyn ReadSeek,
    layout: &ZipLayout,
    index: usize,
    message: &[u8],
) -> Result<Signature, FeedTypeError> {
    let fault = |error| PackageError::Signature(error).refused();
    if layout.zip64_end.is_some() || layout.zip64_locator.is_some() {
        return Err(fault(SignatureError::Zip64));
    }
    let statement = read(message).map_err(fault)?;
    let mut digest = statement.algorithm.digest();
    hash_without(content, layout, index, &mut *digest).map_err(FeedTypeError::Io)?;
    if *digest.finalize() != *statement.hash {
        return Err(fault(SignatureError::Changed));
    }
    Ok(Signature {
        kind: statement.kind,
        countersigned: statement.countersigned,
        hash_algorithm: statement.algorithm.name().to_owned(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn of(object_identifier: &str) -> Option<Self> {
        match object_identifier {
            "2.16.840.1.101.3.4.2.1" => Some(Self::Sha256),
            "2.16.840.1.101.3.4.2.2" => Some(Self::Sha384),
            "2.16.840.1.101.3.4.2.3" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    fn digest(self) -> Box<dyn DynDigest> {
        match self {
            Self::Sha256 => Box::<Sha256>::default(),
            Self::Sha384 => Box::<Sha384>::default(),
            Self::Sha512 => Box::<Sha512>::default(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Statement {
    algorithm: Algorithm,
    hash: Vec<u8>,
    kind: Option<SignatureKind>,
    countersigned: bool,
}

/// Reads the message and what it states.
fn read(message: &[u8]) -> Result<Statement, SignatureError> {
    let message = cms::read(message).ok_or(SignatureError::Message)?;
    if message.signers != 1 {
        return Err(SignatureError::Signers(message.signers));
    }
    let text = str::from_utf8(&message.content).map_err(|_| SignatureError::Statement)?;
    let mut hashes = text.lines().filter_map(|line| line.trim().split_once("-Hash:"));
    let (name, hash) = hashes.next().ok_or(SignatureError::Statement)?;
    if hashes.next().is_some() {
        return Err(SignatureError::Statements);
    }
    let algorithm = Algorithm::of(name).ok_or_else(|| SignatureError::Algorithm(shorten(name)))?;
    let hash = BASE64.decode(hash.as_bytes()).map_err(|_| SignatureError::Statement)?;
    let kind = match message.commitment.as_deref() {
        Some(AUTHOR) => Some(SignatureKind::Author),
        Some(REPOSITORY) => Some(SignatureKind::Repository),
        _ => None,
    };
    Ok(Statement { algorithm, hash, kind, countersigned: message.countersigned })
}

/// Hashes the archive as it would be without the entry `index`: its record and its directory
/// header are cut out, and what counts or points behind it is lowered.
fn hash_without(
    content: &mut dyn ReadSeek,
    layout: &ZipLayout,
    index: usize,
    digest: &mut dyn DynDigest,
) -> io::Result<()> {
    let cut = layout.records.get(index).ok_or(io::ErrorKind::InvalidInput)?;
    let cut_length = cut.local.end - cut.local.start;
    hash(content, 0..cut.local.start, digest)?;
    hash(content, cut.local.end..layout.directory.start, digest)?;
    for (at, record) in layout.records.iter().enumerate() {
        if at == index {
            continue;
        }
        let mut header = bytes(content, record.central.clone())?;
        if record.local.start > cut.local.start {
            lower::<4>(&mut header, 42, cut_length)?;
        }
        digest.update(&header);
    }
    let mut end = bytes(content, layout.end.clone())?;
    lower::<2>(&mut end, 8, 1)?;
    lower::<2>(&mut end, 10, 1)?;
    lower::<4>(&mut end, 12, cut.central.end - cut.central.start)?;
    lower::<4>(&mut end, 16, cut_length)?;
    digest.update(&end);
    Ok(())
}

fn hash(
    content: &mut dyn ReadSeek,
    range: Range<u64>,
    digest: &mut dyn DynDigest,
) -> io::Result<()> {
    content.seek(SeekFrom::Start(range.start))?;
    let mut rest = content.take(range.end.saturating_sub(range.start));
    let mut buffer = vec![0; 64 << 10];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => digest.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A header or the end record: at most some 200 KB by its format.
fn bytes(content: &mut dyn ReadSeek, range: Range<u64>) -> io::Result<Vec<u8>> {
    content.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    let mut rest = content.take(range.end.saturating_sub(range.start));
    io::copy(&mut rest, &mut bytes)?;
    Ok(bytes)
}

/// Lowers a little-endian number of `N` bytes.
fn lower<const N: usize>(record: &mut [u8], at: usize, by: u64) -> io::Result<()> {
    let place = record.get_mut(at..at.saturating_add(N)).ok_or(io::ErrorKind::UnexpectedEof)?;
    let value = place.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let lowered = value.wrapping_sub(by).to_le_bytes();
    for (byte, new) in place.iter_mut().zip(lowered) {
        *byte = new;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use hayloft_archive::Zip;
    use hayloft_feed::Limits;
    use rstest::rstest;
    use sha2::Digest;

    use super::*;

    const OCTETS: u8 = 0x04;
    const PIECES: u8 = 0x24;
    const OBJECT: u8 = 0x06;
    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    const CONTEXT_0: u8 = 0xa0;
    const CONTEXT_1: u8 = 0xa1;

    fn part(tag: u8, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], &body[..]].concat()
    }

    /// Of indefinite length: two zero bytes end it.
    fn open(tag: u8, body: &[&[u8]]) -> Vec<u8> {
        [&[tag, 0x80], &body.concat()[..], &[0, 0]].concat()
    }

    fn signer(kind: &[u8]) -> Vec<u8> {
        let commitment = part(SET, &[&part(SEQUENCE, &[&part(OBJECT, &[kind])])]);
        let attribute = part(SEQUENCE, &[&part(OBJECT, &[cms::COMMITMENT]), &commitment]);
        let other = part(SEQUENCE, &[&part(OBJECT, &[&[42, 3]]), &part(SET, &[&part(2, &[&[1]])])]);
        let counter = part(SEQUENCE, &[&part(OBJECT, &[cms::COUNTERSIGNATURE]), &part(SET, &[])]);
        part(
            SEQUENCE,
            &[
                &part(2, &[&[1]]),
                &part(SEQUENCE, &[]),
                &part(SEQUENCE, &[]),
                &part(CONTEXT_0, &[&other, &attribute]),
                &part(SEQUENCE, &[]),
                &part(OCTETS, &[]),
                &part(CONTEXT_1, &[&other, &counter]),
            ],
        )
    }

    /// A message without any certificate over `octets`, the encoded content.
    fn message_over(octets: &[u8], signers: &[&[u8]]) -> Vec<u8> {
        let octets = part(CONTEXT_0, &[octets]);
        let inner = part(SEQUENCE, &[&part(OBJECT, &[&[42]]), &octets]);
        let certificates = part(CONTEXT_0, &[]);
        let signers = part(SET, signers);
        let data =
            part(SEQUENCE, &[&part(2, &[&[1]]), &part(SET, &[]), &inner, &certificates, &signers]);
        part(SEQUENCE, &[&part(OBJECT, &[cms::SIGNED_DATA]), &part(CONTEXT_0, &[&data])])
    }

    fn message(content: &str, kind: &[u8]) -> Vec<u8> {
        message_over(&part(OCTETS, &[content.as_bytes()]), &[&signer(kind)])
    }

    fn statement() -> String {
        let hash = BASE64.encode(&[7; 48]);
        format!("Version:1\r\n\r\n2.16.840.1.101.3.4.2.2-Hash:{hash}\r\n\r\n")
    }

    #[test]
    fn a_message_is_read_to_its_statement_and_kind() {
        let found = read(&message(&statement(), REPOSITORY)).unwrap();
        let expected = Statement {
            algorithm: Algorithm::Sha384,
            hash: vec![7; 48],
            kind: Some(SignatureKind::Repository),
            countersigned: true,
        };
        assert_eq!(found, expected);
        let author = read(&message(&statement(), AUTHOR)).unwrap();
        assert_eq!(author.kind, Some(SignatureKind::Author));
    }

    #[test]
    fn content_in_pieces_of_indefinite_length_is_read() {
        let text = statement();
        let (first, rest) = text.as_bytes().split_at(20);
        let pieces = [part(OCTETS, &[first]), part(OCTETS, &[rest])].concat();
        let nested =
            open(PIECES, &[&part(OCTETS, &[first]), &open(PIECES, &[&part(OCTETS, &[rest])])]);
        for octets in [open(PIECES, &[&pieces]), part(PIECES, &[&pieces]), nested] {
            let message = message_over(&octets, &[&signer(AUTHOR)]);
            assert_eq!(read(&message).unwrap().hash, [7; 48]);
            let followed = [&message[..], b"\0\0"].concat();
            assert_eq!(read(&followed).unwrap().hash, [7; 48]);
        }
        let other = open(PIECES, &[&part(2, &[&[1]])]);
        let message = message_over(&other, &[&signer(AUTHOR)]);
        assert_eq!(read(&message), Err(SignatureError::Message));
    }

    #[rstest]
    #[case::nothing(Vec::new(), SignatureError::Message)]
    #[case::text(b"-----BEGIN PKCS7-----".to_vec(), SignatureError::Message)]
    #[case::no_signer(message_over(&part(OCTETS, &[]), &[]), SignatureError::Message)]
    #[case::two_signers(
        message_over(&part(OCTETS, &[]), &[&signer(AUTHOR), &signer(REPOSITORY)]),
        SignatureError::Signers(2)
    )]
    #[case::no_hash(message("Version:1\n", AUTHOR), SignatureError::Statement)]
    #[case::two_hashes(message(&statement().repeat(2), AUTHOR), SignatureError::Statements)]
    #[case::no_base64(message("2.16.840.1.101.3.4.2.1-Hash:!", AUTHOR), SignatureError::Statement)]
    #[case::weak_hash(
        message("1.3.14.3.2.26-Hash:AAAA", AUTHOR),
        SignatureError::Algorithm("1.3.14.3.2.26".into())
    )]
    #[case::deep((0..200).fold(Vec::new(), |inner, _| part(SEQUENCE, &[&inner])), SignatureError::Message)]
    #[case::deep_and_open([0x30, 0x80].repeat(100_000), SignatureError::Message)]
    #[case::deep_pieces(
        message_over(&(0..200).fold(part(OCTETS, &[]), |inner, _| open(PIECES, &[&inner])), &[]),
        SignatureError::Message
    )]
    #[case::many(open(SEQUENCE, &[&[5, 0].repeat(200_000)]), SignatureError::Message)]
    fn what_states_no_hash_is_refused(#[case] message: Vec<u8>, #[case] error: SignatureError) {
        assert_eq!(read(&message), Err(error));
    }

    #[test]
    fn cut_off_messages_are_refused() {
        let whole = message("2.16.840.1.101.3.4.2.1-Hash:AAAA", AUTHOR);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), Err(SignatureError::Message), "{length}");
        }
    }

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut local = Vec::new();
        let mut central = Vec::new();
        for (name, data) in entries {
            let offset = u32::try_from(local.len()).unwrap();
            let length = u32::try_from(data.len()).unwrap().to_le_bytes();
            let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
            let common = [
                &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..],
                &crc(data).to_le_bytes(),
                &length,
                &length,
                &name_length,
                &[0, 0],
            ]
            .concat();
            local.write_all(&[b"PK\x03\x04", &common[..], name.as_bytes(), data].concat()).unwrap();
            central
                .write_all(
                    &[
                        b"PK\x01\x02\x14\x00",
                        &common[..],
                        &[0; 10],
                        &offset.to_le_bytes(),
                        name.as_bytes(),
                    ]
                    .concat(),
                )
                .unwrap();
        }
        let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
        let size = u32::try_from(central.len()).unwrap().to_le_bytes();
        let start = u32::try_from(local.len()).unwrap().to_le_bytes();
        [&local[..], &central, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &start, b"\x03\0end"]
            .concat()
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                sum >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1))
            })
        })
    }

    #[test]
    fn the_hash_is_that_of_the_archive_without_the_signature() {
        let entries = [("a", &b"first"[..]), ("b", b""), ("c/d", b"third")];
        let unsigned = Sha256::digest(archive(&entries));
        for at in 0..=entries.len() {
            let mut signed = entries.to_vec();
            signed.insert(at, (".signature.p7s", b"any bytes"));
            let signed = archive(&signed);
            let mut content = Cursor::new(signed.clone());
            let layout = Zip::open(&mut content, &Limits::default()).unwrap().layout().clone();
            let mut digest = Algorithm::Sha256.digest();
            hash_without(&mut Cursor::new(signed), &layout, at, &mut *digest).unwrap();
            assert_eq!(*digest.finalize(), *unsigned, "signature at {at}");
        }
    }
}
