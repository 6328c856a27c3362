use std::fmt;
use std::str::FromStr;

use hayloft_feed::{NameKey, NameKeyError, PackageName};

/// Most characters of a package id.
const LONGEST: usize = 100;

/// A package id: runs of `A-Z a-z 0-9 _` with one `.` or `-` between them, at most 100 characters.
///
/// Keeps its spelling; equality goes by [`PackageId::key`], which ignores case. Ids with letters
/// outside ASCII, which older galleries took, are refused.
#[derive(Debug, Clone)]
pub struct PackageId(Box<str>);

/// Text is not a package id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageIdError {
    /// No character at all.
    #[error("is empty")]
    Empty,
    /// More than 100 characters.
    #[error("has {0} characters, more than the 100 that an id may have")]
    TooLong(usize),
    /// A character that no id has.
    #[error("contains `{}`; only A-Z, a-z, 0-9, `_`, `.` and `-` may stand in an id", .0.escape_debug())]
    Character(char),
    /// `.` or `-` at the start, at the end, or beside another one.
    #[error("has a `.` or `-` that does not stand between two letters or digits")]
    Separator,
}

impl FromStr for PackageId {
    type Err = PackageIdError;

    fn from_str(text: &str) -> Result<Self, PackageIdError> {
        if text.is_empty() {
            return Err(PackageIdError::Empty);
        }
        let separator = |letter: char| matches!(letter, '.' | '-');
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if let Some(letter) = text.chars().find(|letter| !allowed(*letter) && !separator(*letter)) {
            return Err(PackageIdError::Character(letter));
        }
        if text.len() > LONGEST {
            return Err(PackageIdError::TooLong(text.len()));
        }
        if text.split(separator).any(str::is_empty) {
            return Err(PackageIdError::Separator);
        }
        Ok(Self(text.into()))
    }
}

impl PackageId {
    /// As spelled.
    pub fn spelled(&self) -> &str {
        &self.0
    }

    /// In lower case: what equality and URLs go by.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    pub(crate) fn package_name(&self) -> Result<PackageName, NameKeyError> {
        Ok(PackageName::new("", &self.0, NameKey::new("", &self.key())?))
    }
}

impl PartialEq for PackageId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for PackageId {}

impl fmt::Display for PackageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::digits_first("42This1Is4You")]
    #[case::looks_like_a_version("1.2.3.4.Uno")]
    #[case::all_kinds("Nu_Get.Core-IsCool")]
    #[case::underscores_only("__")]
    #[case::one_hundred("a123456789".repeat(10))]
    fn ids_are_kept_as_spelled(#[case] text: String) {
        assert_eq!(text.parse::<PackageId>().unwrap().spelled(), text);
    }

    #[rstest]
    #[case::empty("", PackageIdError::Empty)]
    #[case::star("a*b", PackageIdError::Character('*'))]
    #[case::two_separators("I_.Like.-Sep", PackageIdError::Separator)]
    #[case::leading_dash("-x", PackageIdError::Separator)]
    #[case::trailing_dot("x.", PackageIdError::Separator)]
    #[case::trailing_dash("x-", PackageIdError::Separator)]
    #[case::two_dots("a..b", PackageIdError::Separator)]
    #[case::two_dashes("a--b", PackageIdError::Separator)]
    #[case::template("$id$", PackageIdError::Character('$'))]
    #[case::blank(" ", PackageIdError::Character(' '))]
    #[case::line_break("a\n", PackageIdError::Character('\n'))]
    #[case::cyrillic("пакет", PackageIdError::Character('п'))]
    #[case::accent("páckage", PackageIdError::Character('á'))]
    #[case::kelvin_sign("\u{212a}elvin", PackageIdError::Character('\u{212a}'))]
    #[case::path("a/b", PackageIdError::Character('/'))]
    #[case::too_long("a".repeat(101), PackageIdError::TooLong(101))]
    fn what_is_no_id_is_refused(#[case] text: String, #[case] error: PackageIdError) {
        assert_eq!(text.parse::<PackageId>(), Err(error));
    }

    #[test]
    fn case_does_not_tell_ids_apart() {
        let [upper, lower] = ["NuGet.Core", "nuget.core"]
            .map(|text| text.parse::<PackageId>().unwrap().package_name().unwrap());
        assert_eq!(upper, lower);
        assert_eq!(upper.name(), "NuGet.Core");
    }
}
