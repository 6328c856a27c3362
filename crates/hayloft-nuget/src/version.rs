use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use hayloft_feed::{SortKey, SortKeyError, Stability, Version};

/// Most characters of a version, as written and in its full form.
const LONGEST: usize = 64;

/// A version: one to four numbers, then maybe `-labels`, then maybe `+metadata`.
///
/// Missing numbers are zero and leading zeros do not count, so `1.0`, `01.0.0` and `1.0.0.0` are
/// the same version; so are labels that differ by case, and any metadata. `==` goes by
/// [`NuGetVersion::key`]. Order is [`NuGetVersion::compare`], which is not `Ord`: two versions that
/// are not equal can rank the same, as `1.0.0-0` and `1.0.0--0` do.
///
/// Rule: <https://learn.microsoft.com/nuget/concepts/package-versioning>
#[derive(Debug, Clone)]
pub struct NuGetVersion {
    numbers: [u32; 4],
    labels: Vec<Box<str>>,
    metadata: Option<Box<str>>,
    original: Box<str>,
}

/// Text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NuGetVersionError {
    /// Nothing but blanks.
    #[error("is empty")]
    Empty,
    /// More than 64 characters.
    #[error("has {0} characters, more than the 64 that a version may have")]
    TooLong(usize),
    /// More than four numbers.
    #[error("has {0} numbers, more than the four that a version may have")]
    Numbers(usize),
    /// A field before the labels is not a decimal number.
    #[error("has `{0}` where a number should be")]
    Number(String),
    /// A number is greater than 2147483647.
    #[error("has the number `{0}`, more than the 2147483647 that is allowed")]
    TooLarge(String),
    /// A prerelease label is empty or has a character other than `0-9 A-Z a-z -`.
    #[error("has the label `{0}`; labels consist of 0-9, A-Z, a-z and `-` and are not empty")]
    Label(String),
    /// A prerelease label is a number that begins with zero.
    #[error("has the numeric label `{0}` with a leading zero")]
    LeadingZero(String),
    /// A part of the metadata is empty or has a character other than `0-9 A-Z a-z -`.
    #[error("has the metadata `{0}`; metadata consists of 0-9, A-Z, a-z and `-` between dots")]
    Metadata(String),
    /// A new version is a single number.
    #[error("needs at least two numbers, as in `{0}.0`")]
    SingleNumber(String),
}

impl FromStr for NuGetVersion {
    type Err = NuGetVersionError;

    /// Reads all that clients read, blanks around numbers included.
    fn from_str(text: &str) -> Result<Self, NuGetVersionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NuGetVersionError::Empty);
        }
        let (release, metadata) = match text.split_once('+') {
            Some((release, metadata)) => (release, Some(metadata)),
            None => (text, None),
        };
        let (numbers, labels) = match release.split_once('-') {
            Some((numbers, labels)) => (numbers, Some(labels)),
            None => (release, None),
        };
        Ok(Self {
            numbers: numbers_of(numbers)?,
            labels: labels.map(labels_of).transpose()?.unwrap_or_default(),
            metadata: metadata.map(metadata_of).transpose()?,
            original: text.chars().filter(|letter| !letter.is_whitespace()).collect(),
        })
    }
}

fn numbers_of(text: &str) -> Result<[u32; 4], NuGetVersionError> {
    let count = text.split('.').count();
    let mut numbers = [0; 4];
    if count > numbers.len() {
        return Err(NuGetVersionError::Numbers(count));
    }
    for (number, field) in numbers.iter_mut().zip(text.split('.')) {
        *number = number_of(field.trim())?;
    }
    Ok(numbers)
}

fn number_of(field: &str) -> Result<u32, NuGetVersionError> {
    if field.is_empty() || !field.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NuGetVersionError::Number(hayloft_feed::shorten(field)));
    }
    match field.trim_start_matches('0') {
        "" => Ok(0),
        digits => digits
            .parse::<u32>()
            .ok()
            .filter(|number| i32::try_from(*number).is_ok())
            .ok_or_else(|| NuGetVersionError::TooLarge(hayloft_feed::shorten(field))),
    }
}

fn labels_of(text: &str) -> Result<Vec<Box<str>>, NuGetVersionError> {
    text.split('.')
        .map(|label| {
            if !is_part(label) {
                Err(NuGetVersionError::Label(hayloft_feed::shorten(label)))
            } else if label.len() > 1
                && label.starts_with('0')
                && label.bytes().all(|byte| byte.is_ascii_digit())
            {
                Err(NuGetVersionError::LeadingZero(hayloft_feed::shorten(label)))
            } else {
                Ok(label.into())
            }
        })
        .collect()
}

fn metadata_of(text: &str) -> Result<Box<str>, NuGetVersionError> {
    if text.split('.').all(is_part) {
        Ok(text.into())
    } else {
        Err(NuGetVersionError::Metadata(hayloft_feed::shorten(text)))
    }
}

fn is_part(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl NuGetVersion {
    /// Reads a version under which something new may be stored: as clients read it, and also at
    /// least two numbers and at most 64 characters, as written and in full.
    pub fn parse_new(text: &str) -> Result<Self, NuGetVersionError> {
        let version: Self = text.parse()?;
        let length = version.original.len().max(version.to_string().len());
        if length > LONGEST {
            return Err(NuGetVersionError::TooLong(length));
        }
        if !text.split(['-', '+']).next().is_some_and(|numbers| numbers.contains('.')) {
            return Err(NuGetVersionError::SingleNumber(version.original.into_string()));
        }
        Ok(version)
    }

    /// As written, without blanks.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// `major.minor.patch`, the fourth number unless it is zero, and the labels as spelled.
    pub fn normalized(&self) -> String {
        let mut text = self.release();
        for (at, label) in self.labels.iter().enumerate() {
            text.push(if at == 0 { '-' } else { '.' });
            text.push_str(label);
        }
        text
    }

    /// The normalized form without labels.
    pub(crate) fn release(&self) -> String {
        match self.numbers {
            [major, minor, patch, 0] => format!("{major}.{minor}.{patch}"),
            [major, minor, patch, revision] => format!("{major}.{minor}.{patch}.{revision}"),
        }
    }

    /// The normalized form in lower case: what equality, storage and URLs go by.
    pub fn key(&self) -> String {
        self.normalized().to_ascii_lowercase()
    }

    /// The four numbers.
    pub fn numbers(&self) -> [u32; 4] {
        self.numbers
    }

    /// The part after `+`.
    pub fn metadata(&self) -> Option<&str> {
        self.metadata.as_deref()
    }

    /// True if there are labels.
    pub fn is_prerelease(&self) -> bool {
        !self.labels.is_empty()
    }

    /// True if clients older than SemVer 2 cannot read it: several labels, or metadata.
    pub fn is_semver2(&self) -> bool {
        self.labels.len() > 1 || self.metadata.is_some()
    }

    /// Where two versions stand in the order of releases. Metadata and the case of labels do not
    /// count.
    ///
    /// A label counts as a number if it fits a signed 32-bit one, a leading dash being its sign;
    /// clients do so, although it puts `-9999999999` above `-10000000000`.
    pub fn compare(&self, other: &Self) -> Ordering {
        let labels = || match (self.is_prerelease(), other.is_prerelease()) {
            (true, true) => self
                .labels
                .iter()
                .map(|label| Label::of(label))
                .cmp(other.labels.iter().map(|label| Label::of(label))),
            (one, other) => other.cmp(&one),
        };
        self.numbers.cmp(&other.numbers).then_with(labels)
    }

    /// Bytes that order as [`NuGetVersion::compare`] does.
    ///
    /// Four numbers, then `02` for a release, or for a prerelease `01`, its labels and `00`. A
    /// label is `01` and four bytes, or `02` and text in lower case.
    pub fn sort_key(&self) -> Result<SortKey, SortKeyError> {
        let mut key = SortKey::builder();
        for number in self.numbers {
            key = key.number(&number.to_string())?;
        }
        if !self.is_prerelease() {
            return Ok(key.mark(2).finish());
        }
        key = key.mark(1);
        for label in &self.labels {
            key = match Label::of(label) {
                Label::Number(number) => {
                    key.mark(1).fixed((number.cast_unsigned() ^ 0x8000_0000).to_be_bytes())
                }
                Label::Text(text) => key.mark(2).text(&text)?,
            };
        }
        Ok(key.mark(0).finish())
    }

    pub(crate) fn version(&self) -> Result<Version, SortKeyError> {
        let stability =
            if self.is_prerelease() { Stability::Prerelease } else { Stability::Stable };
        Ok(Version::new(&self.original, &self.key(), self.sort_key()?, stability))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Number(i32),
    Text(String),
}

impl Label {
    fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_ascii_lowercase()), Self::Number)
    }
}

impl PartialEq for NuGetVersion {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for NuGetVersion {}

/// The full form: normalized, with metadata.
impl fmt::Display for NuGetVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.normalized())?;
        match &self.metadata {
            Some(metadata) => write!(out, "+{metadata}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> NuGetVersion {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::one_number("1", "1.0.0")]
    #[case::two_numbers("1.0", "1.0.0")]
    #[case::zero_revision("1.0.0.0", "1.0.0")]
    #[case::leading_zeros("004.0.01.0", "4.0.1")]
    #[case::revision_and_labels("1.0.0009.01-1.1+A", "1.0.9.1-1.1")]
    #[case::labels_keep_case("1.022-Beta", "1.22.0-Beta")]
    #[case::dash_in_label("1.3.42.200930-RC-2", "1.3.42.200930-RC-2")]
    #[case::odd_labels("0.1.2--B2.-.C.-A0-", "0.1.2--B2.-.C.-A0-")]
    #[case::dashes_only("0.1.2----+----", "0.1.2----")]
    #[case::blanks("   19   .   19   ", "19.19.0")]
    fn is_normalized(#[case] text: &str, #[case] normalized: &str) {
        assert_eq!(read(text).normalized(), normalized);
    }

    #[rstest]
    #[case::blank("  ", NuGetVersionError::Empty)]
    #[case::five_numbers("1.2.3.4.5", NuGetVersionError::Numbers(5))]
    #[case::prefix("v1.0.0", NuGetVersionError::Number("v1".into()))]
    #[case::letters("1.2.3.Beta", NuGetVersionError::Number("Beta".into()))]
    #[case::fullwidth_digit("\u{ff11}.0.0", NuGetVersionError::Number("\u{ff11}".into()))]
    #[case::inner_blank("1 9", NuGetVersionError::Number("1 9".into()))]
    #[case::no_numbers("-1.1.1.1", NuGetVersionError::Number(String::new()))]
    #[case::too_large("1.2147483648", NuGetVersionError::TooLarge("2147483648".into()))]
    #[case::empty_label("1.4.7-", NuGetVersionError::Label(String::new()))]
    #[case::star("1.4.7-*", NuGetVersionError::Label("*".into()))]
    #[case::leading_zero("0.1.2-02", NuGetVersionError::LeadingZero("02".into()))]
    #[case::second_plus("0.1.2+2+A", NuGetVersionError::Metadata("2+A".into()))]
    #[case::empty_metadata("0.1.2+", NuGetVersionError::Metadata(String::new()))]
    fn what_is_no_version_is_refused(#[case] text: &str, #[case] error: NuGetVersionError) {
        assert_eq!(text.parse::<NuGetVersion>(), Err(error));
    }

    #[test]
    fn new_versions_have_two_numbers_and_at_most_64_characters() {
        assert_eq!(
            NuGetVersion::parse_new("1-a.b"),
            Err(NuGetVersionError::SingleNumber("1-a.b".into()))
        );
        let longest = format!("1.0.0-{}", "a".repeat(58));
        assert_eq!(NuGetVersion::parse_new(&longest).unwrap().original(), longest);
        let longer_in_full = format!("1.0-{}", "a".repeat(60));
        assert_eq!(NuGetVersion::parse_new(&longer_in_full), Err(NuGetVersionError::TooLong(66)));
        assert_eq!(NuGetVersion::parse_new("1 . 0 -beta").unwrap().original(), "1.0-beta");
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for text in ["1.0", "1.0.0", "1.0.0.0", "01.0", "1.0.0+x"] {
            assert_eq!(read(text), read("1.0.0"), "{text}");
        }
        assert_eq!(read("1.0.0-BETA.X+AA"), read("1.0.0-beta.x+aa"));
        assert_ne!(read("1.0.0-0"), read("1.0.0--0"));
    }

    #[test]
    fn versions_ascend_as_clients_sort_them() {
        let ascending = [
            "1.0.0--5",
            "1.0.0--4",
            "1.0.0--1",
            "1.0.0-0",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-11",
            "1.0.0-10000000000",
            "1.0.0-1a",
            "1.0.0-9999999999",
            "1.0.0-alpha",
            "1.0.0-alpha.0",
            "1.0.0-alpha10",
            "1.0.0-alpha2",
            "1.0.0-rc.2",
            "1.0.0-rc.10",
            "1.0.0-Z",
            "1.0.0",
            "1.0.0.1-a",
            "1.0.0.1",
        ]
        .map(read);
        for pair in ascending.windows(2) {
            assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{} {}", pair[0], pair[1]);
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let number = prop_oneof![Just("0".to_owned()), "[0-9]{1,3}", "[12][0-9]{9}"];
        let label = prop_oneof!["-{0,2}[0-9]{1,3}", "-?[0-9]{9,11}", "[0-9A-Za-z-]{1,3}"];
        let labels = prop::collection::vec(label, 0..4).prop_map(|labels| labels.join("."));
        (prop::collection::vec(number, 1..5), labels, "(\\+[0-9a-zA-Z-]{1,3})?").prop_map(
            |(numbers, labels, metadata)| {
                let dash = if labels.is_empty() { "" } else { "-" };
                format!("{}{dash}{labels}{metadata}", numbers.join("."))
            },
        )
    }

    fn version() -> impl Strategy<Value = NuGetVersion> {
        text().prop_filter_map("not a version", |text| text.parse().ok())
    }

    proptest! {
        #[test]
        fn the_full_form_reads_back(version in version()) {
            let again = read(&version.to_string());
            prop_assert_eq!(again.to_string(), version.to_string());
            prop_assert_eq!(again, version);
        }

        #[test]
        fn sort_keys_order_as_compare_does(one in version(), other in version()) {
            let keys = (one.sort_key().unwrap(), other.sort_key().unwrap());
            prop_assert_eq!(keys.0.cmp(&keys.1), one.compare(&other));
            let prefix = keys.0.as_bytes().starts_with(keys.1.as_bytes());
            prop_assert!(!prefix || keys.0 == keys.1);
        }

        #[test]
        fn equal_versions_have_equal_sort_keys(version in version()) {
            let other = read(&version.key().to_ascii_uppercase());
            prop_assert_eq!(&version, &other);
            prop_assert_eq!(version.sort_key().unwrap(), other.sort_key().unwrap());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = text.parse::<NuGetVersion>();
        }
    }
}
