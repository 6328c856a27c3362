//! Signed messages: RFC 5652 §5, in BER.
//!
//! Most signatures are in DER, the strict half of BER. Some that the public gallery serves are
//! not: their content comes in pieces under a string of indefinite length. OpenSSL and .NET read
//! those too, and neither minds bytes behind the message.

use std::convert::Infallible;

use bcder::decode::{Constructed, DecodeError, Primitive, SliceSource};
use bcder::{Mode, OctetString, Oid, Tag};

/// Most values in a message. One of an author and a repository, each with a timestamp and all
/// certificates, has some 1,500.
const MOST_VALUES: usize = 100_000;
/// Deepest nesting. Certificates in a timestamp in a countersignature lie some 20 deep.
const DEEPEST: usize = 64;

/// `1.2.840.113549.1.7.2`
pub(crate) const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// `1.2.840.113549.1.9.6`
pub(crate) const COUNTERSIGNATURE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x06];
/// `1.2.840.113549.1.9.16.2.16`
pub(crate) const COMMITMENT: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x10];

/// What is read of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SignedMessage {
    /// What was signed.
    pub(crate) content: Vec<u8>,
    /// How many signed it.
    pub(crate) signers: usize,
    /// Object identifier of what the first signer commits to, in the encoding of BER.
    pub(crate) commitment: Option<Vec<u8>>,
    /// Whether the first signer's signature was signed again.
    pub(crate) countersigned: bool,
}

type Source<'b> = SliceSource<'b>;
type Fault = DecodeError<Infallible>;

/// Reads a message; `None` if it is not one, or more than is read.
pub(crate) fn read(message: &[u8]) -> Option<SignedMessage> {
    measure(message)?;
    Mode::Ber.decode(SliceSource::new(message), outer).ok()
}

/// Walks over all values: no more of them than is read, and no deeper.
fn measure(message: &[u8]) -> Option<()> {
    let mut values = 0_usize;
    let count = |_: Tag, _: bool, depth: usize| {
        values += 1;
        if values > MOST_VALUES {
            Err("too many values".into())
        } else if depth > DEEPEST {
            Err("too deep".into())
        } else {
            Ok(())
        }
    };
    Mode::Ber.decode(SliceSource::new(message), |source| source.skip(count)).ok()
}

fn outer(source: &mut Constructed<'_, Source<'_>>) -> Result<SignedMessage, Fault> {
    source.take_sequence(|outer| {
        Oid(SIGNED_DATA).skip_if(outer)?;
        outer.take_constructed_if(Tag::CTX_0, |data| data.take_sequence(signed_data))
    })
}

fn signed_data(data: &mut Constructed<'_, Source<'_>>) -> Result<SignedMessage, Fault> {
    // The version and the algorithms that signers use.
    data.take_primitive_if(Tag::INTEGER, skip_number)?;
    data.take_set(skip)?;
    let content = data.take_sequence(|content| {
        Oid::skip_in(content)?;
        content.take_constructed_if(Tag::CTX_0, OctetString::take_from)
    })?;
    data.take_opt_constructed_if(Tag::CTX_0, skip)?;
    data.take_opt_constructed_if(Tag::CTX_1, skip)?;
    let mut found = data.take_set(signers)?;
    found.content = content.into_bytes().to_vec();
    Ok(found)
}

fn signers(list: &mut Constructed<'_, Source<'_>>) -> Result<SignedMessage, Fault> {
    let mut found = list.take_sequence(signer)?;
    found.signers = 1;
    while list.take_opt_sequence(skip)?.is_some() {
        found.signers += 1;
    }
    Ok(found)
}

fn signer(signer: &mut Constructed<'_, Source<'_>>) -> Result<SignedMessage, Fault> {
    let mut found = SignedMessage::default();
    signer.take_primitive_if(Tag::INTEGER, skip_number)?;
    // Who: issuer and number, or the identifier of a key.
    signer.skip_one()?;
    signer.take_sequence(skip)?;
    signer.take_opt_constructed_if(Tag::CTX_0, |signed| {
        attributes(signed, |name, values| {
            if name != COMMITMENT || found.commitment.is_some() {
                return values.skip_all();
            }
            let kind = values.take_sequence(|indication| {
                let kind = Oid::take_from(indication)?;
                indication.skip_all()?;
                Ok(kind)
            })?;
            found.commitment = Some(kind.0.to_vec());
            values.skip_all()
        })
    })?;
    signer.take_sequence(skip)?;
    OctetString::take_from(signer)?;
    signer.take_opt_constructed_if(Tag::CTX_1, |unsigned| {
        attributes(unsigned, |name, values| {
            found.countersigned |= name == COUNTERSIGNATURE;
            values.skip_all()
        })
    })?;
    Ok(found)
}

fn skip(rest: &mut Constructed<'_, Source<'_>>) -> Result<(), Fault> {
    rest.skip_all()
}

fn skip_number(number: &mut Primitive<'_, Source<'_>>) -> Result<(), Fault> {
    number.skip_all()
}

/// Hands name and values of each attribute to `visit`.
fn attributes<'b>(
    list: &mut Constructed<'_, Source<'b>>,
    mut visit: impl FnMut(&[u8], &mut Constructed<'_, Source<'b>>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut next = || {
        list.take_opt_sequence(|attribute| {
            let name = Oid::take_from(attribute)?;
            attribute.take_set(|values| visit(&name.0, values))
        })
    };
    while next()?.is_some() {}
    Ok(())
}
