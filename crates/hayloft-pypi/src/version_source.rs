use std::collections::BTreeMap;
use std::error::Error;

use hayloft_feed::shorten;

use crate::PypiVersion;
use crate::pyproject::{ProjectVersion, Pyproject, PyprojectError};
use crate::setup_cfg::{SetupCfg, SetupCfgError};
use crate::setup_py::SetupPy;

/// Where a build of a source distribution takes its version from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VersionSource {
    /// From `PKG-INFO`: nothing else has to change.
    PackageInfo(Reader),
    /// From a declaration, here with the new version in it.
    Declared {
        /// Path below the top directory.
        path: &'static str,
        /// New content of that file.
        bytes: Vec<u8>,
    },
}

/// Who reads the version from `PKG-INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// `setuptools_scm`, which looks at other places first.
    SetuptoolsScm,
    /// hatchling, calver or pbr.
    Other,
}

/// A source distribution cannot be given another version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionSourceError {
    /// Code decides, or a tool nobody here knows.
    #[error(
        "the source distribution computes its version; \
         repackage the wheel with `qualifier=file=…` (it computes it {how})"
    )]
    Computed {
        /// In short.
        how: &'static str,
    },
    /// A build of the present file would not yield its own version either.
    #[error(
        "`{path}` declares the version `{}`, but the source distribution has {expected}",
        shorten(declared)
    )]
    Disagrees {
        /// Path below the top directory.
        path: &'static str,
        /// As written there.
        declared: String,
        /// By `PKG-INFO`.
        expected: String,
    },
    /// A file that decides about the version cannot be read.
    #[error("`{path}` cannot be changed")]
    File {
        /// Path below the top directory.
        path: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync + 'static>,
    },
    /// `setuptools_scm` would find something that it believes more than `PKG-INFO`.
    #[error(
        "`{path}` in the source distribution overrides its version; \
         repackage the wheel with `qualifier=file=…`"
    )]
    Overridden {
        /// Path below the top directory.
        path: String,
    },
}

impl VersionSourceError {
    fn pyproject(source: PyprojectError) -> Self {
        Self::File { path: PYPROJECT, source: source.into() }
    }

    fn setup_cfg(source: SetupCfgError) -> Self {
        Self::File { path: SETUP_CFG, source: source.into() }
    }
}

pub(crate) const PYPROJECT: &str = "pyproject.toml";
pub(crate) const SETUP_CFG: &str = "setup.cfg";
pub(crate) const SETUP_PY: &str = "setup.py";

/// The files of a source distribution that decide about its version, by path below the top
/// directory.
#[derive(Debug)]
pub(crate) struct BuildFiles<'f> {
    pyproject: Option<Pyproject<'f>>,
    setup_cfg: Option<SetupCfg<'f>>,
    setup_py: Option<SetupPy>,
}

impl<'f> BuildFiles<'f> {
    pub(crate) fn parse(files: &'f BTreeMap<String, Vec<u8>>) -> Result<Self, VersionSourceError> {
        let file = |path: &str| files.get(path).map(Vec::as_slice);
        Ok(Self {
            pyproject: file(PYPROJECT)
                .map(Pyproject::parse)
                .transpose()
                .map_err(VersionSourceError::pyproject)?,
            setup_cfg: file(SETUP_CFG)
                .map(SetupCfg::parse)
                .transpose()
                .map_err(VersionSourceError::setup_cfg)?,
            setup_py: file(SETUP_PY).map(SetupPy::parse),
        })
    }

    /// Finds where a build takes the version from, and changes it there.
    ///
    /// Order: `[project]`, then poetry's table, then `setup.cfg` and `setup.py`.
    pub(crate) fn retarget(
        &self,
        old: &PypiVersion,
        new: &PypiVersion,
    ) -> Result<VersionSource, VersionSourceError> {
        let project = match &self.pyproject {
            None => None,
            Some(pyproject) => {
                pyproject.project_version().map_err(VersionSourceError::pyproject)?
            }
        };
        if let Some((pyproject, project)) = self.pyproject.as_ref().zip(project) {
            return self.of_project(pyproject, project, old, new);
        }
        let backend = self.pyproject.as_ref().and_then(Pyproject::backend);
        match backend.and_then(|backend| backend.split([':', '.']).next()) {
            Some("poetry") => self.of_poetry(old, new),
            Some("pbr") => Ok(VersionSource::PackageInfo(Reader::Other)),
            None | Some("setuptools")
                if !self.pyproject.as_ref().is_some_and(Pyproject::has_backend_path) =>
            {
                self.of_setuptools(old, new)
            }
            _ => Err(VersionSourceError::Computed { how: "by a build backend of its own" }),
        }
    }

    fn of_project(
        &self,
        pyproject: &Pyproject<'_>,
        project: ProjectVersion,
        old: &PypiVersion,
        new: &PypiVersion,
    ) -> Result<VersionSource, VersionSourceError> {
        let bytes = match project {
            ProjectVersion::Static(literal) => {
                agrees(PYPROJECT, &literal.value, old)?;
                pyproject.with_literal(&literal, &new.to_string())
            }
            ProjectVersion::Dynamic => {
                if let Some(reader) = self.reader_of_package_info(pyproject)? {
                    return Ok(VersionSource::PackageInfo(reader));
                }
                pyproject.with_static_version(&new.to_string())
            }
        };
        let bytes = bytes.map_err(VersionSourceError::pyproject)?.into_bytes();
        Ok(VersionSource::Declared { path: PYPROJECT, bytes })
    }

    /// Who reads a dynamic version from `PKG-INFO`; `None` if nobody does, so that it has to be
    /// made static. Where `PKG-INFO` is read it is not, since generated `_version.py` files are
    /// then written anew.
    fn reader_of_package_info(
        &self,
        pyproject: &Pyproject<'_>,
    ) -> Result<Option<Reader>, VersionSourceError> {
        if pyproject.has_backend_path() {
            return Ok(None);
        }
        let setup_py = self.setup_py.unwrap_or_default();
        let backend = pyproject.backend().unwrap_or("setuptools.build_meta");
        match backend.split([':', '.']).next() {
            Some("hatchling") if !pyproject.requires_old_hatchling() => Ok(Some(Reader::Other)),
            Some("pbr") => Ok(Some(Reader::Other)),
            Some("setuptools") => {
                self.refuse_version_tags()?;
                let declared = pyproject.has(&["tool", "setuptools", "dynamic", "version"]);
                let scm = pyproject.has(&["tool", "setuptools_scm"])
                    || pyproject.requires_simple_scm()
                    || setup_py.uses_scm;
                match (scm, setup_py.uses_package_info) {
                    (false, false) => Ok(None),
                    _ if declared => Err(VersionSourceError::Computed {
                        how: "in two ways, of which one reads PKG-INFO",
                    }),
                    (true, _) => Ok(Some(Reader::SetuptoolsScm)),
                    (false, true) => Ok(Some(Reader::Other)),
                }
            }
            _ => Ok(None),
        }
    }

    fn of_poetry(
        &self,
        old: &PypiVersion,
        new: &PypiVersion,
    ) -> Result<VersionSource, VersionSourceError> {
        let declared = self
            .pyproject
            .as_ref()
            .and_then(|pyproject| pyproject.poetry_version().map(|literal| (pyproject, literal)));
        let Some((pyproject, literal)) = declared else {
            return Err(VersionSourceError::Computed { how: "without declaring one to poetry" });
        };
        agrees(PYPROJECT, &literal.value, old)?;
        let bytes = pyproject
            .with_literal(&literal, &new.to_string())
            .map_err(VersionSourceError::pyproject)?
            .into_bytes();
        Ok(VersionSource::Declared { path: PYPROJECT, bytes })
    }

    fn of_setuptools(
        &self,
        old: &PypiVersion,
        new: &PypiVersion,
    ) -> Result<VersionSource, VersionSourceError> {
        let setup_py = self.setup_py.unwrap_or_default();
        let declared = self
            .setup_cfg
            .as_ref()
            .and_then(|setup_cfg| setup_cfg.version().map(|version| (setup_cfg, version)));
        let scm = setup_py.uses_scm
            || self
                .pyproject
                .as_ref()
                .is_some_and(|pyproject| pyproject.has(&["tool", "setuptools_scm"]));
        self.refuse_version_tags()?;
        if scm || setup_py.uses_package_info {
            if setup_py.names_version || declared.is_some() {
                return Err(VersionSourceError::Computed { how: "in more than one way" });
            }
            let reader = if scm { Reader::SetuptoolsScm } else { Reader::Other };
            return Ok(VersionSource::PackageInfo(reader));
        }
        let Some((setup_cfg, version)) = declared else {
            return Err(VersionSourceError::Computed { how: "in setup.py" });
        };
        if setup_py.names_version || setup_py.unpacks_keywords {
            return Err(VersionSourceError::Computed { how: "in setup.py beside setup.cfg" });
        }
        if !["attr:", "file:"].iter().any(|directive| version.starts_with(directive)) {
            agrees(SETUP_CFG, version, old)?;
        }
        let bytes = setup_cfg.with_version(&new.to_string()).into_bytes();
        Ok(VersionSource::Declared { path: SETUP_CFG, bytes })
    }

    fn refuse_version_tags(&self) -> Result<(), VersionSourceError> {
        if self.setup_cfg.as_ref().is_some_and(SetupCfg::tags_version) {
            return Err(VersionSourceError::Computed { how: "with a tag from setup.cfg" });
        }
        Ok(())
    }
}

fn agrees(
    path: &'static str,
    declared: &str,
    expected: &PypiVersion,
) -> Result<(), VersionSourceError> {
    if declared.parse::<PypiVersion>().is_ok_and(|declared| declared == *expected) {
        return Ok(());
    }
    Err(VersionSourceError::Disagrees {
        path,
        declared: declared.to_owned(),
        expected: expected.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SETUPTOOLS: &str = "build-system.build-backend = 'setuptools.build_meta'\n";

    fn retarget(files: &[(&str, &str)]) -> Result<VersionSource, VersionSourceError> {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        BuildFiles::parse(&files)?.retarget(&"1.0".parse().unwrap(), &"2.0".parse().unwrap())
    }

    #[rstest]
    #[case::scm_in_setup_py(&[(SETUP_PY, "setup(use_scm_version=True)")], Reader::SetuptoolsScm)]
    #[case::scm_table_alone(
        &[(PYPROJECT, "[tool.setuptools_scm]\n"), (SETUP_CFG, "[metadata]\nname=a\n")],
        Reader::SetuptoolsScm
    )]
    #[case::scm_table_and_project(
        &[(PYPROJECT, "[project]\ndynamic=['version']\n[tool.setuptools_scm]\n")],
        Reader::SetuptoolsScm
    )]
    #[case::simple_scm(
        &[(PYPROJECT, "[build-system]\nrequires=['setuptools-scm[simple]']\n[project]\ndynamic=['version']\n")],
        Reader::SetuptoolsScm
    )]
    #[case::hatchling(
        &[(PYPROJECT, "[build-system]\nbuild-backend='hatchling.build'\n[project]\ndynamic=['version']\n")],
        Reader::Other
    )]
    #[case::calver(&[(SETUP_PY, "setup(use_calver=True)")], Reader::Other)]
    #[case::pbr(&[(SETUP_PY, "setup(pbr=True)"), (SETUP_CFG, "[metadata]\nname=a\n")], Reader::Other)]
    #[case::pbr_backend(&[(PYPROJECT, "build-system.build-backend='pbr.build'")], Reader::Other)]
    fn some_builds_read_the_package_info(#[case] files: &[(&str, &str)], #[case] reader: Reader) {
        assert_eq!(retarget(files).unwrap(), VersionSource::PackageInfo(reader));
    }

    #[rstest]
    #[case::project(&[(PYPROJECT, "[project]\nversion='1.0.0'\n")], "[project]\nversion='2.0'\n")]
    #[case::project_beside_setup_py(
        &[(PYPROJECT, "[project]\nversion='1'\n"), (SETUP_PY, "setup(version='1')")],
        "[project]\nversion='2.0'\n"
    )]
    #[case::poetry(
        &[(PYPROJECT, "build-system.build-backend='poetry.core.masonry.api'\n[tool.poetry]\nversion='1'\n")],
        "build-system.build-backend='poetry.core.masonry.api'\n[tool.poetry]\nversion='2.0'\n"
    )]
    #[case::setup_cfg(&[(SETUP_CFG, "[metadata]\nversion=1\n")], "[metadata]\nversion=2.0\n")]
    #[case::setup_cfg_beside_pyproject(
        &[(PYPROJECT, SETUPTOOLS), (SETUP_CFG, "[metadata]\nversion=1\n"), (SETUP_PY, "setup()")],
        "[metadata]\nversion=2.0\n"
    )]
    #[case::setup_cfg_attribute(
        &[(SETUP_CFG, "[metadata]\nversion=attr: a.__version__\n")],
        "[metadata]\nversion=2.0\n"
    )]
    #[case::dynamic_of_flit(
        &[(PYPROJECT, "build-system.build-backend='flit_core.buildapi'\n[project]\ndynamic=['version']\n")],
        "build-system.build-backend='flit_core.buildapi'\n[project]\nversion = \"2.0\"\ndynamic=[]\n"
    )]
    #[case::dynamic_of_setuptools(
        &[(PYPROJECT, "[project]\ndynamic=['version']\n[tool.setuptools.dynamic]\nversion={attr='a'}\n")],
        "[project]\nversion = \"2.0\"\ndynamic=[]\n[tool.setuptools.dynamic]\nversion={attr='a'}\n"
    )]
    #[case::hatchling_that_builds_itself(
        &[(PYPROJECT, "[build-system]\nbuild-backend='hatchling.x'\nbackend-path=['.']\n[project]\ndynamic=['version']\n")],
        "[build-system]\nbuild-backend='hatchling.x'\nbackend-path=['.']\n[project]\nversion = \"2.0\"\ndynamic=[]\n"
    )]
    #[case::old_hatchling(
        &[(PYPROJECT, "[build-system]\nbuild-backend='hatchling.build'\nrequires=['hatchling<1.20']\n[project]\ndynamic=['version']\n")],
        "[build-system]\nbuild-backend='hatchling.build'\nrequires=['hatchling<1.20']\n[project]\nversion = \"2.0\"\ndynamic=[]\n"
    )]
    fn declared_versions_are_changed(#[case] files: &[(&str, &str)], #[case] changed: &str) {
        let VersionSource::Declared { bytes, .. } = retarget(files).unwrap() else {
            panic!("the version is declared");
        };
        assert_eq!(String::from_utf8(bytes).unwrap(), changed);
    }

    #[rstest]
    #[case::literal_in_code(&[(SETUP_PY, "setup(version='1.0')")], "`qualifier=file=…` (it computes it in setup.py)")]
    #[case::nothing(&[], "computes its version")]
    #[case::unknown_backend(&[(PYPROJECT, "build-system.build-backend='x.y'")], "backend of its own")]
    #[case::old_flit(
        &[(PYPROJECT, "build-system.build-backend='flit_core.buildapi'\n[tool.flit.metadata]\n")],
        "backend of its own"
    )]
    #[case::setuptools_from_within(
        &[(PYPROJECT, "[build-system]\nbuild-backend='setuptools.build_meta'\nbackend-path=['.']\n"), (SETUP_CFG, "[metadata]\nversion=1\n")],
        "backend of its own"
    )]
    #[case::cfg_and_code(
        &[(SETUP_CFG, "[metadata]\nversion=1.0\n"), (SETUP_PY, "setup(version=x)")],
        "beside setup.cfg"
    )]
    #[case::cfg_and_keywords(
        &[(SETUP_CFG, "[metadata]\nversion=1.0\n"), (SETUP_PY, "setup(**x)")],
        "beside setup.cfg"
    )]
    #[case::scm_and_cfg(
        &[(SETUP_CFG, "[metadata]\nversion=1.0\n"), (SETUP_PY, "setup(use_scm_version=True)")],
        "more than one way"
    )]
    #[case::scm_and_dynamic_table(
        &[(PYPROJECT, "[project]\ndynamic=['version']\n[tool.setuptools_scm]\n[tool.setuptools.dynamic]\nversion={attr='a'}\n")],
        "in two ways"
    )]
    #[case::tagged(
        &[(SETUP_CFG, "[metadata]\nversion=1.0\n[egg_info]\ntag_build=.dev1\n")],
        "tag from setup.cfg"
    )]
    #[case::poetry_without_version(
        &[(PYPROJECT, "build-system.build-backend='poetry.core.masonry.api'\n[tool.poetry]\nname='a'\n")],
        "poetry"
    )]
    #[case::other_version(&[(PYPROJECT, "[project]\nversion='1.1'\n")], "declares the version `1.1`")]
    #[case::other_version_in_cfg(&[(SETUP_CFG, "[metadata]\nversion=0\n")], "declares the version `0`")]
    #[case::not_toml(&[(PYPROJECT, "[")], "`pyproject.toml` cannot be changed")]
    #[case::doubtful_cfg(&[(SETUP_CFG, "[metadata]\nversion=1\nversion=1\n")], "`setup.cfg` cannot")]
    fn other_versions_are_refused(#[case] files: &[(&str, &str)], #[case] message: &str) {
        let error = retarget(files).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}
