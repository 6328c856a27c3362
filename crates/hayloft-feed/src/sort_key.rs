use std::fmt;

/// Bytes whose order under `memcmp` is an ecosystem's own version order.
///
/// Built from prefix-free parts by [`SortKeyBuilder`], so that "latest" is a range scan and no
/// comparison ever calls back into a feed type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(Box<[u8]>);

impl SortKey {
    /// Starts an empty key.
    pub fn builder() -> SortKeyBuilder {
        SortKeyBuilder(Vec::with_capacity(24))
    }

    /// A key as a store has kept it: the bytes of [`SortKey::as_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SortKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SortKey({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Appends parts to a [`SortKey`].
#[derive(Debug, Clone)]
pub struct SortKeyBuilder(Vec<u8>);

/// A part cannot be written into a sort key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortKeyError {
    /// Not ASCII digits only.
    #[error("is not a decimal number")]
    NotANumber,
    /// More digits than a key holds.
    #[error("has {0} digits, more than the 254 that a version number may have")]
    TooManyDigits(usize),
    /// A NUL byte would end the text early.
    #[error("contains a NUL character")]
    Nul,
}

impl SortKeyBuilder {
    /// Appends a non-negative decimal number of any size up to 254 digits.
    ///
    /// Leading zeros do not count: `01` and `1` give the same bytes. One byte of length, then the
    /// digits; zero is the single byte 0.
    pub fn number(mut self, digits: &str) -> Result<Self, SortKeyError> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SortKeyError::NotANumber);
        }
        let significant = digits.trim_start_matches('0');
        let length = u8::try_from(significant.len())
            .ok()
            .filter(|length| *length < 255)
            .ok_or(SortKeyError::TooManyDigits(significant.len()))?;
        self.0.push(length);
        self.0.extend_from_slice(significant.as_bytes());
        Ok(self)
    }

    /// Appends numbers of an own.
    #[must_use]
    pub fn numbers(self, numbers: impl IntoIterator<Item = u64>) -> Self {
        numbers.into_iter().fold(self, |key, number| {
            let digits = number.to_string();
            // Such a number has 20 digits at most.
            key.clone().number(&digits).unwrap_or(key)
        })
    }

    /// Appends text, ended by a NUL byte, ordered by its bytes.
    pub fn text(mut self, text: &str) -> Result<Self, SortKeyError> {
        if text.bytes().any(|byte| byte == 0) {
            return Err(SortKeyError::Nul);
        }
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        Ok(self)
    }

    /// Appends one byte that tells kinds of parts apart.
    #[must_use]
    pub fn mark(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Appends the prerelease of a semantic version, without its hyphen, so that it sorts as those
    /// rules say: numbers by value before texts, less fields before more, all before the release,
    /// which has an empty one.
    pub fn prerelease(mut self, fields: &str) -> Result<Self, SortKeyError> {
        if fields.is_empty() {
            return Ok(self.mark(2));
        }
        self = self.mark(1);
        for field in fields.split('.') {
            let is_number = !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
            self =
                if is_number { self.mark(1).number(field)? } else { self.mark(2).text(field)? };
        }
        Ok(self.mark(0))
    }

    /// Appends bytes of a fixed length.
    #[must_use]
    pub fn fixed<const N: usize>(mut self, bytes: [u8; N]) -> Self {
        self.0.extend_from_slice(&bytes);
        self
    }

    /// The finished key.
    pub fn finish(self) -> SortKey {
        SortKey(self.0.into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> SortKey {
        SortKey::builder().number(digits).unwrap().finish()
    }

    #[test]
    fn numbers_order_by_value_not_by_text() {
        let ascending = ["0", "1", "9", "10", "99", "100", "18446744073709551616"];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
        assert_eq!(number("007"), number("7"));
        assert_eq!(number("000").as_bytes(), [0]);
        assert_eq!(SortKey::from_bytes(number("12").as_bytes()), number("12"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(SortKey::builder().number("").unwrap_err(), SortKeyError::NotANumber);
        assert_eq!(SortKey::builder().number("1a").unwrap_err(), SortKeyError::NotANumber);
        let long = "9".repeat(255);
        assert_eq!(SortKey::builder().number(&long).unwrap_err(), SortKeyError::TooManyDigits(255));
        assert_eq!(SortKey::builder().text("a\0").unwrap_err(), SortKeyError::Nul);
    }
}
