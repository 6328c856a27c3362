//! As much of ASN.1's distinguished encoding as finding a signed statement needs.

/// A part of the encoding: its tag and what it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'b> {
    pub(crate) tag: u8,
    pub(crate) body: &'b [u8],
}

pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const CONTEXT_0: u8 = 0xa0;
pub(crate) const CONTEXT_1: u8 = 0xa1;

/// The parts that lie one behind the other in `bytes`; ends at the first that is damaged.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'b>(pub(crate) &'b [u8]);

impl<'b> Iterator for Parts<'b> {
    type Item = Part<'b>;

    fn next(&mut self) -> Option<Part<'b>> {
        let (part, rest) = split(self.0)?;
        self.0 = rest;
        Some(part)
    }
}

impl<'b> Part<'b> {
    /// The parts inside.
    pub(crate) fn parts(self) -> Parts<'b> {
        Parts(self.body)
    }
}

impl<'b> Parts<'b> {
    /// The next part if it has this tag, which is then behind us.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Part<'b>> {
        let (part, rest) = split(self.0).filter(|(part, _)| part.tag == tag)?;
        self.0 = rest;
        Some(part)
    }
}

fn split(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // Tags above 30 do not occur in signatures.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0_u32, |sum, digit| sum << 8 | u32::from(*digit));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let (body, rest) = rest.split_at_checked(length)?;
    Some((Part { tag, body }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_found_by_tag_and_length() {
        let bytes = [0x30, 0x06, 0x06, 0x01, 0x2a, 0x04, 0x81, 0x00, 0x31, 0x00];
        let mut parts = Parts(&bytes);
        let mut inner = parts.expect(SEQUENCE).unwrap().parts();
        assert!(inner.expect(OCTETS).is_none());
        assert_eq!(inner.expect(OBJECT).unwrap().body, [0x2a]);
        assert_eq!(inner.expect(OCTETS).unwrap().body, [0_u8; 0]);
        assert!(inner.next().is_none());
        assert_eq!(parts.next().unwrap().tag, SET);
        assert!(parts.next().is_none());
    }

    #[test]
    fn lengths_beyond_the_end_are_no_part() {
        for bytes in [&[0x30, 0x01][..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80, 0, 0]]
        {
            assert!(Parts(bytes).next().is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Parts(&bytes).count() <= bytes.len());
        }
    }
}
