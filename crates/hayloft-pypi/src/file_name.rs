use std::collections::BTreeSet;
use std::str::FromStr;

use hayloft_feed::shorten;

use crate::name::normalize;
use crate::{PypiName, PypiVersion, PypiVersionError};

/// Longest file name, in bytes: what file systems hold.
const MAX_LENGTH: usize = 255;

/// The name of a distribution file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileName {
    /// A wheel says all about itself in its name.
    Wheel(Box<WheelName>),
    /// Where the name of a source distribution ends and its version begins is known only to who
    /// knows either.
    Sdist(SdistName),
}

/// `name-version[-build]-python-abi-platform.whl`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WheelName {
    pub(crate) distribution: String,
    pub(crate) version: PypiVersion,
    pub(crate) build: Option<String>,
    pub(crate) python: String,
    pub(crate) abi: String,
    pub(crate) platform: String,
}

/// `name-version.tar.gz`, or `.zip` in old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SdistName {
    pub(crate) stem: String,
    pub(crate) form: SdistForm,
}

/// How a source distribution is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SdistForm {
    TarGz,
    Zip,
}

impl SdistForm {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::TarGz => ".tar.gz",
            Self::Zip => ".zip",
        }
    }
}

/// Text is not the name of a distribution file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileNameError {
    /// Empty, too long, or not one safe path segment.
    #[error("a file name has 1 to {MAX_LENGTH} bytes and neither slashes nor control characters")]
    Unsafe,
    /// A format that no current client uploads.
    #[error("{0} are not accepted; build a wheel (.whl) or a source distribution (.tar.gz)")]
    Obsolete(&'static str),
    /// Neither a wheel nor a source distribution.
    #[error("it ends with none of `.whl`, `.tar.gz` and `.zip`")]
    Extension,
    /// A character that no part of a file name contains.
    #[error("`{}` is not allowed in it", shorten(&.0.to_string()))]
    Character(char),
    /// Too few or too many parts between hyphens.
    #[error(
        "a wheel is named name-version[-build]-python-abi-platform.whl, \
         which makes 5 or 6 parts, but it has {0}"
    )]
    Parts(usize),
    /// Seven parts: the draft of wheel variants.
    #[error("it has a seventh part, as wheel variants have, which are not supported yet")]
    Variant,
    /// The first part of a wheel's name.
    #[error("`{}` is not a project name as wheels write it", shorten(.0))]
    Distribution(String),
    /// The second part of a wheel's name.
    #[error("`{}` is not a version", shorten(text))]
    Version {
        /// As written.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: PypiVersionError,
    },
    /// The build part does not begin with a digit.
    #[error("`{}` is not a build tag, which begins with a digit", shorten(.0))]
    Build(String),
    /// One of the last three parts of a wheel's name.
    #[error("`{}` is not a set of {what} tags", shorten(text))]
    Tags {
        /// `python`, `abi` or `platform`.
        what: &'static str,
        /// As written.
        text: String,
    },
}

impl FileName {
    /// True for two files of one version that differ in nothing but spelling.
    pub(crate) fn is_same_to_installers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wheel(one), Self::Wheel(other)) => {
                let tags = |tags: &str| -> BTreeSet<String> {
                    tags.split('.').map(str::to_ascii_lowercase).collect()
                };
                normalize(&one.distribution) == normalize(&other.distribution)
                    && one.build == other.build
                    && tags(&one.python) == tags(&other.python)
                    && tags(&one.abi) == tags(&other.abi)
                    && tags(&one.platform) == tags(&other.platform)
            }
            // Both are of one project and version, so that only the form tells them apart.
            (Self::Sdist(one), Self::Sdist(other)) => one.form == other.form,
            (Self::Wheel(_), Self::Sdist(_)) | (Self::Sdist(_), Self::Wheel(_)) => false,
        }
    }

    /// The same file under another version; `name` and `old` say where the version stands.
    /// `None` if the file name is not one of `name` and `old`.
    pub(crate) fn retarget(
        &self,
        name: &PypiName,
        old: &PypiVersion,
        new: &PypiVersion,
    ) -> Option<String> {
        match self {
            Self::Wheel(wheel) => (wheel.version == *old
                && normalize(&wheel.distribution) == name.normalized())
            .then(|| wheel.with_version(new)),
            Self::Sdist(sdist) => {
                let (spelled, _) = split_name_and_version(&sdist.stem, name, old)?;
                Some(format!("{spelled}-{new}{}", sdist.form.extension()))
            }
        }
    }
}

impl WheelName {
    fn with_version(&self, version: &PypiVersion) -> String {
        let build = self.build.as_ref().map(|build| format!("-{build}")).unwrap_or_default();
        let Self { distribution, python, abi, platform, .. } = self;
        format!("{distribution}-{version}{build}-{python}-{abi}-{platform}.whl")
    }

    /// True if `stated` are all combinations of one python, one abi and one platform tag, which is
    /// how `WHEEL` lists them.
    pub(crate) fn has_tags(&self, stated: &BTreeSet<&str>) -> bool {
        let mut tags = BTreeSet::new();
        for python in self.python.split('.') {
            for abi in self.abi.split('.') {
                for platform in self.platform.split('.') {
                    tags.insert(format!("{python}-{abi}-{platform}"));
                }
            }
        }
        tags.iter().map(String::as_str).eq(stated.iter().copied())
    }
}

/// Splits `stem` at the hyphen that has `name` before it and `version` after it, both compared as
/// the ecosystem compares them.
pub(crate) fn split_name_and_version<'t>(
    stem: &'t str,
    name: &PypiName,
    version: &PypiVersion,
) -> Option<(&'t str, &'t str)> {
    // Longer ones match no name and version, and each hyphen costs a look at all of it.
    let stem = stem.get(..).filter(|stem| stem.len() <= 4 * MAX_LENGTH)?;
    stem.match_indices('-').filter_map(|(at, _)| Some((stem.get(..at)?, stem.get(at + 1..)?))).find(
        |(spelled, text)| {
            normalize(spelled) == name.normalized()
                && text.chars().all(is_allowed)
                && text.parse::<PypiVersion>().is_ok_and(|found| found == *version)
        },
    )
}

/// As [`split_name_and_version`] where the version is not known; the first hyphen that fits.
pub(crate) fn split_name<'t>(stem: &'t str, name: &PypiName) -> Option<(&'t str, PypiVersion)> {
    let stem = stem.get(..).filter(|stem| stem.len() <= 4 * MAX_LENGTH)?;
    stem.match_indices('-').find_map(|(at, _)| {
        let (spelled, text) = (stem.get(..at)?, stem.get(at + 1..)?);
        (normalize(spelled) == name.normalized() && text.chars().all(is_allowed))
            .then(|| Some((spelled, text.parse().ok()?)))?
    })
}

/// Checks that `text` is one safe path segment of the characters that distribution files have.
pub(crate) fn check_segment(text: &str) -> Result<(), FileNameError> {
    if text.is_empty()
        || text.len() > MAX_LENGTH
        || text.chars().any(|character| character.is_control() || matches!(character, '/' | '\\'))
        || matches!(text, "." | "..")
    {
        return Err(FileNameError::Unsafe);
    }
    match text.chars().find(|&character| !is_allowed(character)) {
        Some(character) => Err(FileNameError::Character(character)),
        None => Ok(()),
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        check_segment(text)?;
        let (stem, form) = if let Some(stem) = text.strip_suffix(".whl") {
            (stem, None)
        } else if let Some(stem) = text.strip_suffix(".tar.gz") {
            (stem, Some(SdistForm::TarGz))
        } else if let Some(stem) = text.strip_suffix(".zip") {
            (stem, Some(SdistForm::Zip))
        } else {
            return Err(foreign(text));
        };
        match form {
            None => wheel(stem).map(|wheel| Self::Wheel(Box::new(wheel))),
            Some(form) => Ok(Self::Sdist(SdistName { stem: stem.to_owned(), form })),
        }
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '+' | '!')
}

fn foreign(text: &str) -> FileNameError {
    let lower = text.to_ascii_lowercase();
    [
        (".egg", "eggs"),
        (".exe", "Windows installers"),
        (".msi", "Windows installers"),
        (".rpm", "RPM packages"),
        (".deb", "Debian packages"),
        (".dmg", "disk images"),
        (".tar.bz2", "bzip2 archives"),
        (".tar.xz", "xz archives"),
        (".tar.z", "compress archives"),
        (".tgz", "archives named .tgz"),
        (".tar", "uncompressed archives"),
    ]
    .into_iter()
    .find(|(extension, _)| lower.ends_with(extension))
    .map_or(FileNameError::Extension, |(_, what)| FileNameError::Obsolete(what))
}

fn wheel(stem: &str) -> Result<WheelName, FileNameError> {
    let parts: Vec<&str> = stem.split('-').collect();
    let (distribution, version, build, python, abi, platform) = match *parts.as_slice() {
        [distribution, version, python, abi, platform] => {
            (distribution, version, None, python, abi, platform)
        }
        [distribution, version, build, python, abi, platform] => {
            (distribution, version, Some(build), python, abi, platform)
        }
        [_, _, _, _, _, _, _] => return Err(FileNameError::Variant),
        _ => return Err(FileNameError::Parts(parts.len())),
    };
    if distribution.contains("__") || distribution.parse::<PypiName>().is_err() {
        return Err(FileNameError::Distribution(distribution.to_owned()));
    }
    if let Some(build) = build
        && !(build.starts_with(|character: char| character.is_ascii_digit())
            && build.chars().all(|character| {
                character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
            }))
    {
        return Err(FileNameError::Build(build.to_owned()));
    }
    let starts_with_letter =
        |tag: &str| tag.starts_with(|character: char| character.is_ascii_alphabetic());
    Ok(WheelName {
        distribution: distribution.to_owned(),
        version: version
            .parse()
            .map_err(|source| FileNameError::Version { text: version.to_owned(), source })?,
        build: build.map(str::to_owned),
        python: tags(python, "python", starts_with_letter)?,
        abi: tags(abi, "abi", |_| true)?,
        platform: tags(platform, "platform", |_| true)?,
    })
}

fn tags(
    text: &str,
    what: &'static str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, FileNameError> {
    let is_tag = |tag: &str| {
        !tag.is_empty()
            && tag.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
            && fits(tag)
    };
    if text.split('.').all(is_tag) {
        Ok(text.to_owned())
    } else {
        Err(FileNameError::Tags { what, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn wheel_name(text: &str) -> WheelName {
        match text.parse().unwrap() {
            FileName::Wheel(wheel) => *wheel,
            FileName::Sdist(_) => panic!("{text} is a wheel"),
        }
    }

    #[rstest]
    #[case::plain("six-1.10.0-py2.py3-none-any.whl", "six", "1.10.0", None)]
    #[case::build(
        "mkl_fft-1.3.6-58-cp310-cp310-manylinux2014_x86_64.whl",
        "mkl_fft",
        "1.3.6",
        Some("58")
    )]
    #[case::epoch("composition-8!6.75309-py2.py3-none-any.whl", "composition", "8!6.75309", None)]
    #[case::local(
        "Foo.Bar-1.2.3+corp.4-py3-none-linux_x86_64.whl",
        "Foo.Bar",
        "1.2.3+corp.4",
        None
    )]
    #[case::not_normal("certifi-2015.04.28-py2.py3-none-any.whl", "certifi", "2015.4.28", None)]
    fn wheel_names_are_taken_apart(
        #[case] text: &str,
        #[case] distribution: &str,
        #[case] version: &str,
        #[case] build: Option<&str>,
    ) {
        let wheel = wheel_name(text);
        assert_eq!(wheel.distribution, distribution);
        assert_eq!(wheel.version.to_string(), version);
        assert_eq!(wheel.build.as_deref(), build);
    }

    #[rstest]
    #[case::too_few("foo-1.0.whl", "it has 2")]
    #[case::double_underscore("foo__bar-1.0-py3-none-any.whl", "not a project name")]
    #[case::bad_version("foobar-1.x-py3-none-any.whl", "not a version")]
    #[case::epoch_escaped("foo-1_2.0-py3-none-any.whl", "not a version")]
    #[case::bad_build("foo-1.0-abc-py3-none-any.whl", "not a build tag")]
    #[case::seventh("foo-1.0-200-py3-none-any-junk.whl", "seventh part")]
    #[case::eight("foo-1.0-200-py3-none-any-junk-y.whl", "it has 8")]
    #[case::empty_python("foo-1.0--none-any.whl", "python tags")]
    #[case::empty_member("foo-1.0-py3.-none-any.whl", "python tags")]
    #[case::no_name("-1.0-py3-none-any.whl", "not a project name")]
    #[case::interpreter_version("playlyfe-0.1.1-2.7.6-none-any.whl", "python tags")]
    #[case::extension("foo-1.0-py3-none-any.wheel", "none of")]
    #[case::egg("foo-1.0-py3.7.egg", "eggs are not accepted")]
    #[case::installer("foo-1.0.win32.EXE", "Windows installers")]
    #[case::bzip2("foo-1.0.tar.bz2", "bzip2 archives")]
    #[case::tgz("foo-1.0.tgz", "archives named .tgz")]
    #[case::path("a/foo-1.0.tar.gz", "slashes")]
    #[case::backslash("a\\foo-1.0.tar.gz", "slashes")]
    #[case::control("foo-1.0\n.tar.gz", "control")]
    #[case::blank("foo- 1.0.tar.gz", "` ` is not allowed")]
    #[case::not_ascii("föö-1.0.tar.gz", "`ö` is not allowed")]
    #[case::empty("", "1 to 255 bytes")]
    fn other_names_are_refused(#[case] text: &str, #[case] message: &str) {
        let error = text.parse::<FileName>().unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }

    #[rstest]
    #[case::modern("typing_extensions-4.12.2", "typing-extensions", "4.12.2", "typing_extensions")]
    #[case::hyphens("python-dateutil-2.8.2", "python_dateutil", "2.8.2", "python-dateutil")]
    #[case::hyphen_in_version("docutils-0.15.1-post1", "docutils", "0.15.1.post1", "docutils")]
    #[case::implicit_post("foo-1.0-1", "foo", "1.0.post1", "foo")]
    #[case::dots("zope.event-4.5.0", "zope-event", "4.5", "zope.event")]
    #[case::epoch("foursquare-1!2020.1.30", "foursquare", "1!2020.1.30", "foursquare")]
    #[case::digits_in_name("pdm-pep517-1.1.2", "pdm-pep517", "1.1.2", "pdm-pep517")]
    fn sdist_stems_split_where_the_metadata_says(
        #[case] stem: &str,
        #[case] name: &str,
        #[case] version: &str,
        #[case] spelled: &str,
    ) {
        let found = split_name_and_version(stem, &name.parse().unwrap(), &version.parse().unwrap());
        assert_eq!(found.map(|(spelled, _)| spelled), Some(spelled));
    }

    #[test]
    fn a_stem_of_another_project_does_not_split() {
        let split = |stem: &str| {
            split_name_and_version(stem, &"foo".parse().unwrap(), &"1.0".parse().unwrap()).is_some()
        };
        assert!(split("FOO-1"));
        assert!(!split("foo-1.1"));
        assert!(!split("bar-1.0"));
        assert!(!split("foo1.0"));
    }

    #[rstest]
    #[case::wheel("Foo_B-1.0-58-cp27-cp27mu-any.whl", "Foo_B-2.0rc1-58-cp27-cp27mu-any.whl")]
    #[case::sdist("foo.b-1.0.tar.gz", "foo.b-2.0rc1.tar.gz")]
    #[case::zip("foo-b-1.0.zip", "foo-b-2.0rc1.zip")]
    fn retargeting_replaces_the_version_alone(#[case] old: &str, #[case] new: &str) {
        let name: FileName = old.parse().unwrap();
        let retargeted = name.retarget(
            &"foo-b".parse().unwrap(),
            &"1".parse().unwrap(),
            &"2.0-rc.1".parse().unwrap(),
        );
        assert_eq!(retargeted.as_deref(), Some(new));
    }

    #[test]
    fn tag_sets_expand_to_their_cross_product() {
        let wheel = wheel_name("a-1-py2.py3-none-x_1.x_2.whl");
        let all = ["py2-none-x_1", "py2-none-x_2", "py3-none-x_1", "py3-none-x_2"];
        assert!(wheel.has_tags(&all.into()));
        assert!(!wheel.has_tags(&all.into_iter().skip(1).collect()));
        assert!(!wheel.has_tags(&all.into_iter().chain(["py3-abi3-x_1"]).collect()));
    }
}
