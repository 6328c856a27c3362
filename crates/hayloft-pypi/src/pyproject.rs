use std::ops::Range;

use hayloft_feed::json::replaced;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::PypiVersion;
use crate::name::normalize;

/// Largest `pyproject.toml` that is looked at, in bytes; its values take a hundred times as much.
const MAX_LENGTH: usize = 256 << 10;

/// What a `pyproject.toml` says about build backend and version, by span.
#[derive(Debug)]
pub(crate) struct Pyproject<'t> {
    text: &'t str,
    root: DeTable<'t>,
}

/// A `pyproject.toml` cannot be read, or not be changed safely.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PyprojectError {
    /// Larger than any real one.
    #[error("has more than {MAX_LENGTH} bytes")]
    TooLarge,
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// Not well-formed.
    #[error("is not TOML: {}", hayloft_feed::shorten(.0))]
    Syntax(String),
    /// Static and dynamic at once, or neither.
    #[error("does not say whether the version is static or dynamic")]
    Undecided,
    /// The edit would not have the effect it should.
    #[error("states the version in a form that cannot be changed")]
    Form,
}

/// A literal in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) value: String,
    span: Range<usize>,
}

/// What `[project]` says about the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProjectVersion {
    Static(Literal),
    Dynamic,
}

impl<'t> Pyproject<'t> {
    pub(crate) fn parse(bytes: &'t [u8]) -> Result<Self, PyprojectError> {
        if bytes.len() > MAX_LENGTH {
            return Err(PyprojectError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PyprojectError::Encoding)?;
        let root = DeTable::parse(text)
            .map_err(|error| PyprojectError::Syntax(error.message().to_owned()))?
            .into_inner();
        Ok(Self { text, root })
    }

    fn value(&self, path: &[&str]) -> Option<&Spanned<DeValue<'t>>> {
        let (last, tables) = path.split_last()?;
        let mut table = &self.root;
        for key in tables {
            table = table.get(*key)?.get_ref().as_table()?;
        }
        table.get(*last)
    }

    fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.value(path)?.get_ref().as_str()
    }

    /// True if there is such a table or value.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.value(path).is_some()
    }

    /// The build backend, if one is named.
    pub(crate) fn backend(&self) -> Option<&str> {
        self.text_at(&["build-system", "build-backend"])
    }

    /// True if the backend is part of the source distribution.
    pub(crate) fn has_backend_path(&self) -> bool {
        self.has(&["build-system", "backend-path"])
    }

    /// What the build needs, as written.
    fn build_requirements(&self) -> impl Iterator<Item = &str> {
        self.value(&["build-system", "requires"])
            .and_then(|value| value.get_ref().as_array())
            .into_iter()
            .flat_map(|array| array.iter())
            .filter_map(|element| element.get_ref().as_str())
    }

    /// True if the build needs `setuptools-scm[simple]`, which acts without any table.
    pub(crate) fn requires_simple_scm(&self) -> bool {
        self.build_requirements().any(|requirement| {
            let (name, rest) = split_requirement(requirement);
            normalize(name) == "setuptools-scm"
                && rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).is_some_and(
                    |(extras, _)| extras.split(',').any(|extra| extra.trim() == "simple"),
                )
        })
    }

    /// True if the build asks for a hatchling older than 1.22, which does not read `PKG-INFO`.
    pub(crate) fn requires_old_hatchling(&self) -> bool {
        let Ok(first_reading) = "1.22".parse::<PypiVersion>() else { return true };
        self.build_requirements().any(|requirement| {
            let (name, rest) = split_requirement(requirement);
            normalize(name) == "hatchling"
                && rest.split(';').next().unwrap_or_default().split(',').any(|clause| {
                    let found = ["==", "<=", "~=", "<"].iter().find_map(|&operator| {
                        Some((operator, clause.trim().strip_prefix(operator)?))
                    });
                    found.is_some_and(|(operator, bound)| {
                        let bound = bound.trim().trim_end_matches(".*").parse::<PypiVersion>();
                        bound.is_ok_and(|bound| {
                            bound < first_reading || (operator == "<" && bound == first_reading)
                        })
                    })
                })
        })
    }

    /// What `[project]` says; `None` without such a table.
    pub(crate) fn project_version(&self) -> Result<Option<ProjectVersion>, PyprojectError> {
        if !self.has(&["project"]) {
            return Ok(None);
        }
        let is_dynamic =
            self.dynamic_fields().any(|field| field.get_ref().as_str() == Some("version"));
        match (self.literal(&["project", "version"]), is_dynamic) {
            (Some(literal), false) => Ok(Some(ProjectVersion::Static(literal))),
            (None, true) if !self.has(&["project", "version"]) => Ok(Some(ProjectVersion::Dynamic)),
            _ => Err(PyprojectError::Undecided),
        }
    }

    /// The version that poetry's own table states.
    pub(crate) fn poetry_version(&self) -> Option<Literal> {
        self.literal(&["tool", "poetry", "version"])
    }

    fn literal(&self, path: &[&str]) -> Option<Literal> {
        let value = self.value(path)?;
        Some(Literal { value: value.get_ref().as_str()?.to_owned(), span: value.span() })
    }

    fn dynamic_fields(&self) -> impl Iterator<Item = &Spanned<DeValue<'t>>> {
        self.value(&["project", "dynamic"])
            .and_then(|value| value.get_ref().as_array())
            .into_iter()
            .flat_map(|array| array.iter())
    }

    /// The file with other text in place of `literal`, in the same quotation marks.
    pub(crate) fn with_literal(
        &self,
        literal: &Literal,
        version: &str,
    ) -> Result<String, PyprojectError> {
        let written = self.text.get(literal.span.clone()).unwrap_or_default();
        let mark = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|mark| written.starts_with(mark))
            .ok_or(PyprojectError::Form)?;
        Ok(replaced(self.text, &literal.span, &format!("{mark}{version}{mark}")))
    }

    /// The file with a dynamic version made static: `version` is set and leaves `dynamic`.
    pub(crate) fn with_static_version(&self, version: &str) -> Result<String, PyprojectError> {
        let (key, value) = self
            .value(&["project"])
            .and_then(|project| project.get_ref().as_table())
            .and_then(|project| project.get_key_value("dynamic"))
            .ok_or(PyprojectError::Form)?;
        let elements: Vec<_> = self.dynamic_fields().collect();
        let at = elements
            .iter()
            .position(|element| element.get_ref().as_str() == Some("version"))
            .ok_or(PyprojectError::Form)?;
        let spans: Vec<_> = elements.iter().map(|element| element.span()).collect();
        let cut = match (at.checked_sub(1).and_then(|before| spans.get(before)), spans.get(at)) {
            (_, Some(own)) if spans.get(at + 1).is_some() => {
                own.start..spans.get(at + 1).map_or(own.end, |next| next.start)
            }
            (Some(before), Some(own)) => before.end..own.end,
            (None, Some(_)) => value.span().start + 1..value.span().end.saturating_sub(1),
            (_, None) => return Err(PyprojectError::Form),
        };
        let without = replaced(self.text, &cut, "");
        let start = key.span().start;
        let before = self.text.get(..start).ok_or(PyprojectError::Form)?;
        let line = before.get(before.rfind('\n').map_or(0, |at| at + 1)..).unwrap_or_default();
        // In an inline table the new pair stands in the same line, else in one of its own, with
        // the same indentation or dotted prefix.
        let added = if line.contains('{') {
            format!("version = \"{version}\", ")
        } else {
            let line_end = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
            format!("version = \"{version}\"{line_end}{line}")
        };
        let changed = replaced(&without, &(start..start), &added);
        self.check_static(&changed, version)?;
        Ok(changed)
    }

    /// Reads the edited text back: only the version may have moved.
    fn check_static(&self, changed: &str, version: &str) -> Result<(), PyprojectError> {
        let edited = Pyproject::parse(changed.as_bytes())?;
        let moved = match edited.project_version()? {
            Some(ProjectVersion::Static(literal)) => literal.value == version,
            _ => false,
        };
        let remaining = |of: &Pyproject<'_>| -> Vec<String> {
            of.dynamic_fields()
                .filter_map(|field| field.get_ref().as_str())
                .filter(|field| *field != "version")
                .map(str::to_owned)
                .collect()
        };
        let size = |of: &Pyproject<'_>| {
            let project = of.value(&["project"]).and_then(|value| value.get_ref().as_table());
            (of.root.len(), project.map_or(0, toml::map::Map::len))
        };
        let (tables, fields) = size(self);
        if moved && remaining(self) == remaining(&edited) && size(&edited) == (tables, fields + 1) {
            Ok(())
        } else {
            Err(PyprojectError::Form)
        }
    }
}

/// A requirement's name and what follows it.
fn split_requirement(requirement: &str) -> (&str, &str) {
    let requirement = requirement.trim();
    let end = requirement
        .find(|character: char| {
            !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_' | '.')
        })
        .unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at_checked(end).unwrap_or((requirement, ""));
    (name, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Pyproject<'_> {
        Pyproject::parse(text.as_bytes()).unwrap()
    }

    #[rstest]
    #[case::double_quotes(
        "[project]\nname = 'a'\nversion = \"1.0\" # now\n",
        "[project]\nname = 'a'\nversion = \"2\" # now\n"
    )]
    #[case::single_quotes("[project]\nversion = '1.0'\n", "[project]\nversion = '2'\n")]
    #[case::triple_quotes("[project]\nversion = '''1.0'''\n", "[project]\nversion = '''2'''\n")]
    #[case::dotted("project.version = \"1.0\"\n", "project.version = \"2\"\n")]
    #[case::inline("project = { version = \"1.0\" }\n", "project = { version = \"2\" }\n")]
    #[case::line_ends("[project]\r\nversion=\"1.0\"\r\n", "[project]\r\nversion=\"2\"\r\n")]
    #[case::escapes("[project]\nversion = \"\\u0031.0\"\n", "[project]\nversion = \"2\"\n")]
    fn a_static_version_is_replaced(#[case] text: &str, #[case] changed: &str) {
        let pyproject = read(text);
        let Some(ProjectVersion::Static(literal)) = pyproject.project_version().unwrap() else {
            panic!("the version is static");
        };
        assert_eq!(literal.value, "1.0");
        assert_eq!(pyproject.with_literal(&literal, "2").unwrap(), changed);
    }

    #[rstest]
    #[case::alone(
        "[project]\nname = 'a'\ndynamic = [\"version\"]\n",
        "[project]\nname = 'a'\nversion = \"2\"\ndynamic = []\n"
    )]
    #[case::first(
        "[project]\ndynamic = [\"version\", 'readme']\n",
        "[project]\nversion = \"2\"\ndynamic = ['readme']\n"
    )]
    #[case::last(
        "[project]\ndynamic = ['readme', \"version\"]\n",
        "[project]\nversion = \"2\"\ndynamic = ['readme']\n"
    )]
    #[case::lines(
        "[project]\r\ndynamic = [\r\n  'version',\r\n]\r\n[tool.x]\r\n",
        "[project]\r\nversion = \"2\"\r\ndynamic = []\r\n[tool.x]\r\n"
    )]
    #[case::lines_with_comments(
        "[project]\n  dynamic = [\n    'readme', # r\n    'version', # v\n  ]\n",
        "[project]\n  version = \"2\"\n  dynamic = [\n    'readme', # v\n  ]\n"
    )]
    #[case::dotted(
        "project.dynamic = ['version']\nproject.name = 'a'\n",
        "project.version = \"2\"\nproject.dynamic = []\nproject.name = 'a'\n"
    )]
    #[case::inline(
        "project = { name = 'a', dynamic = ['version'] }\n",
        "project = { name = 'a', version = \"2\", dynamic = [] }\n"
    )]
    #[case::quoted_key(
        "[project]\n\"dynamic\" = ['version']\n",
        "[project]\nversion = \"2\"\n\"dynamic\" = []\n"
    )]
    fn a_dynamic_version_is_made_static(#[case] text: &str, #[case] changed: &str) {
        let pyproject = read(text);
        assert_eq!(pyproject.project_version().unwrap(), Some(ProjectVersion::Dynamic));
        assert_eq!(pyproject.with_static_version("2").unwrap(), changed);
    }

    #[rstest]
    #[case::both("[project]\nversion = '1'\ndynamic = ['version']\n")]
    #[case::neither("[project]\nname = 'a'\n")]
    #[case::number("[project]\nversion = 1.0\n")]
    #[case::number_and_dynamic("[project]\nversion = 1.0\ndynamic = ['version']\n")]
    fn undecided_versions_are_refused(#[case] text: &str) {
        assert!(matches!(read(text).project_version(), Err(PyprojectError::Undecided)));
    }

    #[rstest]
    #[case::syntax(b"[project\n")]
    #[case::repeated(b"[project]\nversion='1'\nversion='2'\n")]
    #[case::encoding(b"a = '\xff'\n")]
    fn other_text_is_refused(#[case] bytes: &[u8]) {
        assert!(Pyproject::parse(bytes).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let text = format!("a = {}", "[".repeat(100_000));
        assert!(Pyproject::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn without_a_project_table_nothing_is_said() {
        assert_eq!(read("[tool.poetry]\nversion = '1'\n").project_version().unwrap(), None);
    }

    #[rstest]
    #[case::upper_bound("hatchling<1.22", true)]
    #[case::exact("hatchling==1.21.1", true)]
    #[case::compatible("hatchling ~= 1.18", true)]
    #[case::lower_bound("hatchling>=1.18", false)]
    #[case::newer("hatchling==1.25.*", false)]
    #[case::other("hatch-vcs<1", false)]
    fn old_hatchlings_are_known(#[case] requirement: &str, #[case] old: bool) {
        let text = format!("build-system.requires = [\"{requirement}\"]");
        assert_eq!(read(&text).requires_old_hatchling(), old);
    }

    #[rstest]
    #[case::simple("setuptools_scm[toml, simple]>=9", true)]
    #[case::plain("setuptools-scm>=8", false)]
    #[case::other("simple", false)]
    fn the_simple_extra_is_known(#[case] requirement: &str, #[case] simple: bool) {
        let text = format!("build-system.requires = [\"{requirement}\"]");
        assert_eq!(read(&text).requires_simple_scm(), simple);
    }
}
