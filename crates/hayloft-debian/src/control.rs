use hayloft_feed::shorten;

use crate::relation::{Operator, RelationError, relations};
use crate::stanza::{Field, Stanza, StanzaError};
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
const INDEX_FIELDS: [&str; 7] =
    ["Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Description-md5"];

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
        let variant = stanza.field("Architecture-Variant").map(Field::lossy);
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
            let Some(value) = self.stanza.field(field).map(Field::lossy) else { continue };
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
        self.stanza.field(field).map(Field::lossy)
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
        let fields = self.stanza.fields();
        // One of a kind is enough: a file may have very many fields.
        if let Some(field) = fields.iter().find(|field| field.colon_is_spaced) {
            let name = shorten(field.name);
            warnings.push(format!("the field `{name}` has a blank before its colon"));
        }
        if let Some(field) = fields.iter().find(|field| !field.is_utf8()) {
            warnings.push(format!("the field `{}` is not UTF-8", shorten(field.name)));
        }
        for old in ["Recommended", "Optional", "Class"] {
            if self.stanza.field(old).is_some() {
                warnings.push(format!("the field `{old}` is obsolete; apt does not look at it"));
            }
        }
        for name in INDEX_FIELDS {
            if self.stanza.field(name).is_some() {
                warnings.push(format!(
                    "the field `{name}` is written by indexes; the package's own is left out of them"
                ));
            }
        }
        self.warnings.extend(warnings);
    }
}

fn required(stanza: &Stanza<'_>, name: &'static str) -> Result<String, ControlError> {
    stanza.field(name).map(Field::lossy).ok_or(ControlError::Missing(name))
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
    let Some(text) = stanza.field("Source").map(Field::lossy) else {
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MINIMAL: &str = "Package: zz\nVersion: 1.0-1\nArchitecture: amd64\n\
        Maintainer: A <a@b>\nDescription: d\n";

    fn with(lines: &str) -> String {
        format!("{MINIMAL}{lines}")
    }

    fn error_of(text: &str) -> ControlError {
        Control::parse(text.as_bytes()).unwrap_err()
    }

    fn warnings_of(text: &str) -> Vec<String> {
        Control::parse(text.as_bytes()).unwrap().warnings
    }

    #[test]
    fn a_plain_control_file_has_no_warnings() {
        let control = Control::parse(MINIMAL.as_bytes()).unwrap();
        assert_eq!(control.name.as_str(), "zz");
        assert_eq!(control.version.as_str(), "1.0-1");
        assert_eq!(control.architecture.as_str(), "amd64");
        assert_eq!(
            (control.source_name.as_str(), control.source_version.as_str()),
            ("zz", "1.0-1")
        );
        assert_eq!(control.warnings, Vec::<String>::new());
    }

    #[rstest]
    #[case::name("zy", "zy", "1.0-1")]
    #[case::version("zy (2:3)", "zy", "2:3")]
    #[case::no_blank("zy(3)", "zy", "3")]
    #[case::upper_case("Zy_x", "Zy_x", "1.0-1")]
    fn the_source_package_is_read(#[case] value: &str, #[case] name: &str, #[case] version: &str) {
        let text = with(&format!("Source: {value}\n"));
        let control = Control::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (control.source_name.as_str(), control.source_version.as_str()),
            (name, version)
        );
    }

    #[rstest]
    #[case::traversal("../../etc")]
    #[case::slash("a/b")]
    #[case::words("a b c")]
    #[case::open("a (1")]
    #[case::no_version("a ()")]
    #[case::odd_version("a (1_2)")]
    #[case::dots("..")]
    fn a_source_that_is_no_pool_directory_is_refused(#[case] value: &str) {
        let error = error_of(&with(&format!("Source: {value}\n")));
        assert!(matches!(error, ControlError::Value { field: "Source", .. }), "{error:?}");
    }

    #[rstest]
    #[case("Package")]
    #[case("Version")]
    #[case("Architecture")]
    fn three_fields_are_mandatory(#[case] field: &'static str) {
        let text = MINIMAL.replace(field, "X-Other");
        assert!(matches!(error_of(&text), ControlError::Missing(missing) if missing == field));
    }

    #[rstest]
    #[case::upper_case_name(MINIMAL.replace("zz", "Zz"), "the control file names the package `Zz`")]
    #[case::two_lines(MINIMAL.replace("zz", "zz\n yy"), "the control file names the package `zz\\n yy`")]
    #[case::version(MINIMAL.replace("1.0-1", "1_0"), "the control file gives the version `1_0`")]
    #[case::wildcard(MINIMAL.replace("amd64", "any"), "the control file gives the field `Architecture` as `any`")]
    #[case::variant(
        with("Architecture-Variant: a/b\n"),
        "the control file gives the field `Architecture-Variant` as `a/b`"
    )]
    #[case::relation(
        with("Depends: a b\n"),
        "the field `Depends` of the control file cannot be read"
    )]
    #[case::alternatives(
        with("Provides: a | b\n"),
        "the field `Provides` of the control file has alternatives; separate them by `,`"
    )]
    #[case::multi_arch(
        with("Multi-Arch: weird\n"),
        "the field `Multi-Arch` of the control file is `weird`; it must be `no`, `same`, `foreign` or `allowed`"
    )]
    #[case::all_and_same(MINIMAL.replace("amd64", "all") + "Multi-Arch: same\n", "the field `Multi-Arch` of the control file is `same`; it must be another value for a package of the architecture `all`")]
    #[case::essential(
        with("Essential: maybe\n"),
        "the field `Essential` of the control file is `maybe`; it must be `yes` or `no`"
    )]
    #[case::database(
        with("status: install ok installed\n"),
        "the control file has the field `Status`, which only dpkg's own database has; leave it out"
    )]
    #[case::revision(
        with("Revision: 3\n"),
        "the control file has the obsolete field `Revision`; write its value into `Version`"
    )]
    fn what_dpkg_or_apt_refuses_is_refused(#[case] text: String, #[case] message: &str) {
        assert_eq!(error_of(&text).to_string(), message);
    }

    #[rstest]
    #[case::no_maintainer(MINIMAL.replace("Maintainer", "X-Other"), "the control file has no `Maintainer` field")]
    #[case::no_description(MINIMAL.replace("Description", "X-Other"), "the control file has no `Description` field")]
    #[case::letter_version(MINIMAL.replace("1.0-1", "v1"), "the version does not begin with a digit; dpkg builds no such package")]
    #[case::spaced_colon(
        with("Section : misc\n"),
        "the field `Section` has a blank before its colon"
    )]
    #[case::obsolete(
        with("Recommended: b\n"),
        "the field `Recommended` is obsolete; apt does not look at it"
    )]
    #[case::index_field(
        with("SHA256: 00\n"),
        "the field `SHA256` is written by indexes; the package's own is left out of them"
    )]
    #[case::provides(
        with("Provides: a (>= 1)\n"),
        "`Provides` has `a (>= 1)`, which is no exact version"
    )]
    #[case::bound(with("Depends: a (>= _x)\n"), "`Depends` has `a (>= _x)`, whose version is none")]
    fn what_both_tolerate_is_a_warning(#[case] text: String, #[case] warning: &str) {
        assert_eq!(warnings_of(&text), [warning]);
    }

    #[rstest]
    #[case::nothing("", None, PackageKind::Deb)]
    #[case::extension("", Some("a_1_all.udeb"), PackageKind::Udeb)]
    #[case::symbols("", Some("a_1_all.DDEB"), PackageKind::Ddeb)]
    #[case::section("Section: debian-installer\n", None, PackageKind::Udeb)]
    #[case::component_section(
        "Section: contrib/debian-installer\n",
        Some("a.deb"),
        PackageKind::Udeb
    )]
    #[case::stated("Package-Type: ddeb\n", Some("a.deb"), PackageKind::Ddeb)]
    #[case::stated_wins(
        "Package-Type: deb\nSection: debian-installer\n",
        Some("a.udeb"),
        PackageKind::Deb
    )]
    #[case::unknown("Package-Type: weird\n", None, PackageKind::Deb)]
    fn the_kind_is_stated_or_told_by_section_and_extension(
        #[case] lines: &str,
        #[case] file_name: Option<&str>,
        #[case] kind: PackageKind,
    ) {
        let text = with(lines);
        assert_eq!(Control::parse(text.as_bytes()).unwrap().kind(file_name), kind);
    }

    #[test]
    fn exact_pins_on_the_own_version_are_found_however_spelled() {
        let text = with(
            "Depends: liba (= 1.0-1), libb (= 0:1.0-1) | libc (= 1.0-2),\n libd (>= 1.0-1)\n\
             Breaks: libe:any (=1.0-1)\nProvides: libf (= 1.0-1)\nPre-Depends: libg (= 1.0-01)\n",
        );
        assert_eq!(
            Control::parse(text.as_bytes()).unwrap().exact_pins(),
            [
                "Pre-Depends: libg (= 1.0-01)",
                "Depends: liba (= 1.0-1)",
                "Depends: libb (= 0:1.0-1)",
                "Breaks: libe:any (=1.0-1)",
            ]
        );
    }
}
