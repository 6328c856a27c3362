use hayloft_feed::{Identity, Qualifiers, QualifiersError, Version, shorten};

use crate::file_name::{FileName, FileNameError, check_segment};
use crate::{PypiName, PypiVersion};

/// The one qualifier: which file of a version.
pub(crate) const FILE: &str = "file";

/// What clients call it: the Packages API, its command line, and package URLs.
pub(crate) const FILE_KEYS: [&str; 3] = [FILE, "filename", "file_name"];

/// A qualifier is not one of Python packages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QualifierError {
    /// Another key than that of the file.
    #[error("`{}` is unknown; files are told apart by `file`", shorten(.0))]
    Unknown(String),
    /// Two of its names with different values.
    #[error("`file` is given twice with different values")]
    Ambiguous,
    /// Not a file name.
    #[error("`file` is not a file name")]
    File(#[source] FileNameError),
    /// The file name does not contain the version where it should.
    #[error("`file` is not named after {0}")]
    Unrelated(String),
    /// Cannot be written as a qualifier.
    #[error("`file` cannot be a qualifier")]
    Form(#[source] QualifiersError),
}

/// Brings the names of the one qualifier together.
pub(crate) fn normalized(asked: &Qualifiers) -> Result<Qualifiers, QualifierError> {
    let mut file: Option<&str> = None;
    for (key, value) in asked.iter() {
        if !FILE_KEYS.contains(&key) {
            return Err(QualifierError::Unknown(key.to_owned()));
        }
        if file.is_some_and(|file| !file.eq_ignore_ascii_case(value)) {
            return Err(QualifierError::Ambiguous);
        }
        check_segment(value).map_err(QualifierError::File)?;
        file = file.or(Some(value));
    }
    Qualifiers::from_pairs(file.map(|file| (FILE, file))).map_err(QualifierError::Form)
}

/// True if installers take the two files of one version for the same: the name spelled otherwise,
/// or tags in another order.
pub(crate) fn name_one_file(one: &Qualifiers, other: &Qualifiers) -> bool {
    let parsed = |qualifiers: &Qualifiers| qualifiers.get(FILE)?.parse::<FileName>().ok();
    parsed(one).zip(parsed(other)).is_some_and(|(one, other)| one.is_same_to_installers(&other))
}

/// The qualifier of the same file under another version.
pub(crate) fn retargeted(
    file: &str,
    from: &Identity,
    version: &Version,
) -> Result<Qualifiers, QualifierError> {
    let name: FileName = file.parse().map_err(QualifierError::File)?;
    let parsed = |version: &Version| version.text().parse::<PypiVersion>().ok();
    let renamed = from
        .package
        .name()
        .parse::<PypiName>()
        .ok()
        .zip(parsed(&from.version).zip(parsed(version)))
        .and_then(|(package, (old, new))| name.retarget(&package, &old, &new))
        .ok_or_else(|| {
            QualifierError::Unrelated(format!("{} {}", from.package.name(), from.version))
        })?;
    check_segment(&renamed).map_err(QualifierError::File)?;
    Qualifiers::from_pairs([(FILE, renamed)]).map_err(QualifierError::Form)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("", "")]
    #[case::file("file=a-1.zip", "file=a-1.zip")]
    #[case::filename("FileName=a-1.zip", "file=a-1.zip")]
    #[case::standard_key("file_name=a-1.zip", "file=a-1.zip")]
    #[case::agreeing("file_name=a-1.zip&file=A-1.zip", "file=A-1.zip")]
    fn all_names_of_the_qualifier_are_one(#[case] asked: &str, #[case] expected: &str) {
        assert_eq!(normalized(&asked.parse().unwrap()).unwrap().to_string(), expected);
    }

    #[rstest]
    #[case::spelled("a_b-1.0-py3-none-any.whl", "A.b-1-py3-none-any.whl", true)]
    #[case::order("a-1-py2.py3-none-any.whl", "a-1-py3.py2-none-any.whl", true)]
    #[case::other_build("a-1-1-py3-none-any.whl", "a-1-2-py3-none-any.whl", false)]
    #[case::other_platform("a-1-py3-none-win32.whl", "a-1-py3-none-any.whl", false)]
    #[case::sdists("a.b-1.0.tar.gz", "A_b-1.tar.gz", true)]
    #[case::forms("a-1.0.tar.gz", "a-1.0.zip", false)]
    #[case::kinds("a-1.0.tar.gz", "a-1.0-py3-none-any.whl", false)]
    fn files_are_one_where_installers_see_one(
        #[case] one: &str,
        #[case] other: &str,
        #[case] expected: bool,
    ) {
        let file = |name| Qualifiers::from_pairs([(FILE, name)]).unwrap();
        assert_eq!(name_one_file(&file(one), &file(other)), expected);
        assert_eq!(name_one_file(&file(other), &file(one)), expected);
    }

    #[rstest]
    #[case::unknown("arch=x", QualifierError::Unknown("arch".to_owned()))]
    #[case::disagreeing("file=a&filename=b", QualifierError::Ambiguous)]
    #[case::path("file=a%2Fb", QualifierError::File(FileNameError::Unsafe))]
    #[case::stream("file=a%3Ab", QualifierError::File(FileNameError::Character(':')))]
    fn other_qualifiers_are_refused(#[case] asked: &str, #[case] error: QualifierError) {
        assert_eq!(normalized(&asked.parse().unwrap()).unwrap_err(), error);
    }
}
