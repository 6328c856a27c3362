use hayloft_feed::shorten;

use crate::relation::{Operator, RelationError, relations};
use crate::stanza::{Stanza, StanzaError};
use crate::{
    Architecture, ArchitectureError, DebianName, DebianNameError, DebianVersion, DebianVersionError,
};

/// Fields that name other packages, in the order in which dpkg lists them.
const RELATION_FIELDS: [&str; 9] = [
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Breaks",
    "Conflicts",
    "Replaces",
    "Provides",
];

/// Fields that an index writes itself. apt takes the last of two, and fails on the whole index if
/// a `Description-md5` is not one.
const INDEX_FIELDS: [&str; 8] =
    ["Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Description-md5", "Conffiles"];

/// Which of the three families of binary packages a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// An ordinary package.
    Deb,
    /// A package for the installer, indexed apart from the others.
    Udeb,
    /// Debug symbols, as Ubuntu calls them.
    Ddeb,
}

impl PackageKind {
    /// Extension of the file, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Udeb => "udeb",
            Self::Ddeb => "ddeb",
        }
    }
}

/// A checked `control` file.
#[derive(Debug, Clone)]
pub struct Control<'t> {
    /// All fields.
    pub stanza: Stanza<'t>,
    /// `Package`
    pub name: DebianName,
    /// `Version`
    pub version: DebianVersion,
    /// `Architecture`
    pub architecture: Architecture,
    /// `Architecture-Variant`, such as `amd64v3`
    pub variant: Option<Architecture>,
    /// Source package that this one is built from.
    pub source_name: String,
    /// Version of the source package.
    pub source_version: String,
    /// Accepted although a strict reading forbids it.
    pub warnings: Vec<String>,
}

/// A `control` file does not describe a binary package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The text is not one stanza.
    #[error("the control file cannot be read")]
    Stanza(#[source] StanzaError),
    /// A mandatory field is not there.
    #[error("the control file has no `{0}` field")]
    Missing(&'static str),
    /// `Package` holds no name.
    #[error("the control file names the package `{}`", shorten(.text))]
    Name {
        /// The value.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: DebianNameError,
    },
    /// `Version` holds no version.
    #[error("the control file gives the version `{}`", shorten(.text))]
    Version {
        /// The value.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: DebianVersionError,
    },
    /// `Architecture` or `Architecture-Variant` holds none.
    #[error("the control file gives the field `{field}` as `{}`", shorten(.text))]
    Architecture {
        /// The field.
        field: &'static str,
        /// The value.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: ArchitectureError,
    },
    /// A field that names other packages is malformed.
    #[error("the field `{field}` of the control file cannot be read")]
    Relation {
        /// The field.
        field: &'static str,
        /// What is wrong in it.
        #[source]
        source: RelationError,
    },
    /// `Provides` has alternatives.
    #[error("the field `Provides` of the control file has alternatives; separate them by `,`")]
    Alternatives,
    /// A field has a value that dpkg refuses.
    #[error("the field `{field}` of the control file is `{}`; it must be {expected}", shorten(.text))]
    Value {
        /// The field.
        field: &'static str,
        /// The value.
        text: String,
        /// What dpkg takes.
        expected: &'static str,
    },
    /// A field that no package may bring.
    #[error(
        "the control file has the field `{0}`, which only dpkg's own database has; leave it out"
    )]
    DatabaseField(&'static str),
    /// A field that dpkg adds to the version and apt does not.
    #[error("the control file has the obsolete field `{0}`; write its value into `Version`")]
    Revision(&'static str),
}

impl<'t> Control<'t> {
    /// Reads and checks the text of a `control` file.
    ///
    /// What dpkg or apt cannot read is refused, because one such stanza breaks the whole index it
    /// gets into.
    pub fn parse(text: &'t [u8]) -> Result<Self, ControlError> {
        let stanza = Stanza::parse(text).map_err(ControlError::Stanza)?;
        let word = |name: &'static str| required(&stanza, name);
        let (name, version) = (word("Package")?, word("Version")?);
        let name = name.parse().map_err(|source| ControlError::Name { text: name, source })?;
        let version: DebianVersion =
            version.parse().map_err(|source| ControlError::Version { text: version, source })?;
        let architecture = architecture("Architecture", word("Architecture")?)?;
        let variant = stanza.field("Architecture-Variant").map(|field| field.lossy());
        let variant = variant.map(|text| self::architecture("Architecture-Variant", text));
        let (source_name, source_version) = source(&stanza, &name, &version)?;
        let mut control = Self {
            variant: variant.transpose()?,
            warnings: Vec::new(),
            stanza,
            name,
            version,
            architecture,
            source_name,
            source_version,
        };
        control.check_values()?;
        control.check_relations()?;
        control.warn();
        Ok(control)
    }

    /// Relations that name exactly this version, other than `Provides`: what was built from the
    /// same source. Each as `Field: name (= version)`.
    pub fn exact_pins(&self) -> Vec<String> {
        let mut pins = Vec::new();
        for field in RELATION_FIELDS.into_iter().filter(|field| *field != "Provides") {
            let Some(value) = self.stanza.field(field).map(|found| found.lossy()) else { continue };
            for relation in relations(&value).unwrap_or_default() {
                if let Some((Operator::Equal, version)) = relation.bound
                    && self.equals(version)
                {
                    pins.push(format!("{field}: {}", relation.text));
                }
            }
        }
        pins
    }

    /// True if dpkg takes `version` for the one of this package.
    fn equals(&self, version: &str) -> bool {
        version
            .parse::<DebianVersion>()
            .is_ok_and(|version| version.sort_key() == self.version.sort_key())
    }

    /// Which family the package belongs to. The extension of the uploaded file counts only where
    /// the control file is silent, as it is in most packages of Debian's installer.
    pub fn kind(&self, file_name: Option<&str>) -> PackageKind {
        let extension = file_name.and_then(|name| name.rsplit_once('.')).map(|(_, last)| last);
        let is = |kind: PackageKind, word: &str| word.eq_ignore_ascii_case(kind.extension());
        let known = [PackageKind::Deb, PackageKind::Udeb, PackageKind::Ddeb];
        let of_word = |word: &str| known.into_iter().find(|kind| is(*kind, word));
        let stated = self.text("Package-Type").and_then(|word| of_word(&word));
        if let Some(kind) = stated {
            return kind;
        }
        let section = self.text("Section").unwrap_or_default();
        if section.rsplit('/').next() == Some("debian-installer") {
            return PackageKind::Udeb;
        }
        extension.and_then(of_word).unwrap_or(PackageKind::Deb)
    }

    /// The value of a field as text.
    pub fn text(&self, field: &str) -> Option<String> {
        self.stanza.field(field).map(|field| field.lossy())
    }

    /// True for a field that an index repeats.
    pub(crate) fn is_indexed(field: &str) -> bool {
        !INDEX_FIELDS.iter().any(|name| name.eq_ignore_ascii_case(field))
    }

    fn check_values(&self) -> Result<(), ControlError> {
        let wanted = [
            (
                "Multi-Arch",
                &["no", "same", "foreign", "allowed"][..],
                "`no`, `same`, `foreign` or `allowed`",
            ),
            ("Essential", &["yes", "no"], "`yes` or `no`"),
            ("Protected", &["yes", "no"], "`yes` or `no`"),
        ];
        for (field, words, expected) in wanted {
            let Some(text) = self.text(field) else { continue };
            if !words.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
                return Err(ControlError::Value { field, text, expected });
            }
        }
        if self.architecture.as_str() == "all"
            && self.text("Multi-Arch").is_some_and(|value| value.eq_ignore_ascii_case("same"))
        {
            let (field, text) = ("Multi-Arch", "same".to_owned());
            let expected = "another value for a package of the architecture `all`";
            return Err(ControlError::Value { field, text, expected });
        }
        for field in ["Status", "Config-Version", "Triggers-Pending", "Triggers-Awaited"] {
            if self.stanza.field(field).is_some() {
                return Err(ControlError::DatabaseField(field));
            }
        }
        for field in ["Revision", "Package-Revision", "Package_Revision"] {
            if self.stanza.field(field).is_some() {
                return Err(ControlError::Revision(field));
            }
        }
        Ok(())
    }

    fn check_relations(&mut self) -> Result<(), ControlError> {
        for field in RELATION_FIELDS {
            let Some(value) = self.text(field) else { continue };
            let read =
                relations(&value).map_err(|source| ControlError::Relation { field, source })?;
            if field == "Provides" && value.contains('|') {
                return Err(ControlError::Alternatives);
            }
            let odd = read.iter().find_map(|relation| {
                let (operator, version) = relation.bound?;
                if field == "Provides" && operator != Operator::Equal {
                    return Some(format!(
                        "`Provides` has `{}`, which is no exact version",
                        shorten(relation.text)
                    ));
                }
                version.parse::<DebianVersion>().is_err().then(|| {
                    format!("`{field}` has `{}`, whose version is none", shorten(relation.text))
                })
            });
            self.warnings.extend(odd);
        }
        Ok(())
    }

    fn warn(&mut self) {
        let mut warnings = Vec::new();
        for field in ["Maintainer", "Description"] {
            if self.stanza.field(field).is_none() {
                warnings.push(format!("the control file has no `{field}` field"));
            }
        }
        if !self.version.begins_with_digit() {
            warnings.push(
                "the version does not begin with a digit; dpkg builds no such package".to_owned(),
            );
        }
        for field in self.stanza.fields() {
            let name = shorten(field.name);
            if field.colon_is_spaced {
                warnings.push(format!("the field `{name}` has a blank before its colon"));
            }
            if !field.is_utf8() {
                warnings.push(format!("the field `{name}` is not UTF-8"));
            }
            if ["Recommended", "Optional", "Class"]
                .iter()
                .any(|old| old.eq_ignore_ascii_case(field.name))
            {
                warnings.push(format!("the field `{name}` is obsolete; apt does not look at it"));
            }
            if !Self::is_indexed(field.name) {
                warnings.push(format!("the field `{name}` is written by indexes; the package's own is left out of them"));
            }
        }
        self.warnings.extend(warnings);
    }
}

fn required(stanza: &Stanza<'_>, name: &'static str) -> Result<String, ControlError> {
    stanza.field(name).map(|field| field.lossy()).ok_or(ControlError::Missing(name))
}

fn architecture(field: &'static str, text: String) -> Result<Architecture, ControlError> {
    text.parse().map_err(|source| ControlError::Architecture { field, text, source })
}

/// Name and version of the source package: `Source: name (version)`, where the parts that are the
/// same as the binary package's may be missing.
fn source(
    stanza: &Stanza<'_>,
    name: &DebianName,
    version: &DebianVersion,
) -> Result<(String, String), ControlError> {
    let Some(text) = stanza.field("Source").map(|field| field.lossy()) else {
        return Ok((name.as_str().to_owned(), version.as_str().to_owned()));
    };
    let (source, rest) =
        text.split_once([' ', '\t', '(']).map_or((text.as_str(), ""), |(source, _)| {
            (source, text.get(source.len()..).unwrap_or("").trim_ascii())
        });
    let bracketed =
        rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(str::trim_ascii);
    let source_version = match (rest, bracketed) {
        ("", _) => Some(version.as_str().to_owned()),
        (_, Some(text)) => {
            text.parse::<DebianVersion>().ok().map(|version| version.as_str().to_owned())
        }
        _ => None,
    };
    // The name becomes a directory of the pool.
    let is_name = source.starts_with(|first: char| first.is_ascii_alphanumeric())
        && source.len() <= 255
        && source.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte));
    match source_version {
        Some(source_version) if is_name => Ok((source.to_owned(), source_version)),
        _ => Err(ControlError::Value {
            field: "Source",
            expected: "a source package's name, then perhaps its version in parentheses",
            text,
        }),
    }
}
