use crate::bytes::Fields;

/// Sizes and offset that do not fit their fields.
pub(crate) const ZIP64: u16 = 0x0001;
/// Info-ZIP Unicode path: another spelling of the name.
pub(crate) const UNICODE_PATH: u16 = 0x7075;

/// Walks the fields of an extra area.
///
/// Up to three bytes that form no field may stand at the end, as Python's `zipfile` allows: some
/// writers pad with them.
pub(crate) struct Extra<'a>(Fields<'a>);

impl<'a> Extra<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Fields::new(bytes))
    }
}

impl<'a> Iterator for Extra<'a> {
    /// Identifier and payload, or the rest of an area in which a field is longer than the rest.
    type Item = Result<(u16, &'a [u8]), &'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let whole = self.0.rest();
        let id = self.0.u16()?;
        let length = self.0.u16()?;
        if let Some(payload) = self.0.take(length.into()) {
            return Some(Ok((id, payload)));
        }
        self.0 = Fields::new(&[]);
        Some(Err(whole))
    }
}

/// The one field `id` of an extra area; an error if there are two or the area is malformed.
pub(crate) fn find(extra: &[u8], id: u16) -> Result<Option<&[u8]>, &'static str> {
    let mut found = None;
    for field in Extra::new(extra) {
        let (field, payload) = field.map_err(|_| "an extra field is cut off")?;
        if field == id && found.replace(payload).is_some() {
            return Err("an extra field is there twice");
        }
    }
    Ok(found)
}

/// The extra area without the fields `drop`; what cannot be parsed stays.
pub(crate) fn without(extra: &[u8], drop: &[u16]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(extra.len());
    let mut rest = Fields::new(extra);
    loop {
        let start = rest.rest();
        let field = rest.u16().zip(rest.u16());
        let Some((id, _)) = field.filter(|(_, length)| rest.take((*length).into()).is_some())
        else {
            kept.extend_from_slice(start);
            return kept;
        };
        if !drop.contains(&id) {
            let length = start.len().saturating_sub(rest.rest().len());
            kept.extend_from_slice(start.get(..length).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty(b"", Ok(None))]
    #[case::there(b"\x01\0\x02\0ab", Ok(Some(&b"ab"[..])))]
    #[case::second(b"\x05\0\0\0\x01\0\x01\0x", Ok(Some(&b"x"[..])))]
    #[case::padded(b"\x05\0\0\0\0\0\0", Ok(None))]
    #[case::twice(b"\x01\0\0\0\x01\0\0\0", Err("an extra field is there twice"))]
    #[case::cut_off(b"\x05\0\x02\0a", Err("an extra field is cut off"))]
    fn a_field_is_found(#[case] extra: &[u8], #[case] expected: Result<Option<&[u8]>, &str>) {
        assert_eq!(find(extra, 1), expected);
    }

    #[rstest]
    #[case::nothing(b"", b"")]
    #[case::only(b"\x01\0\x02\0ab", b"")]
    #[case::between(b"\x05\0\x01\0x\x01\0\0\0\x06\0\0\0", b"\x05\0\x01\0x\x06\0\0\0")]
    #[case::padding_stays(b"\x01\0\0\0\0\0\0", b"\0\0\0")]
    #[case::malformed_stays(b"\x01\0\0\0\x05\0\xff\0a", b"\x05\0\xff\0a")]
    fn a_field_is_dropped(#[case] extra: &[u8], #[case] expected: &[u8]) {
        assert_eq!(without(extra, &[1]), expected);
    }
}
