use std::ops::Range;

/// What a `setup.cfg` says about the version, by span.
///
/// Read as Python's `configparser` does: comments fill whole lines, indented lines continue a
/// value, the first `=` or `:` ends a key.
#[derive(Debug)]
pub(crate) struct SetupCfg<'t> {
    text: &'t str,
    version: Option<Range<usize>>,
    tags_version: bool,
}

/// A `setup.cfg` cannot be read as `setuptools` would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupCfgError {
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// The version is given twice, or for all sections at once.
    #[error("gives the version in more than one place")]
    Repeated,
    /// The version has continuation lines.
    #[error("gives the version on more than one line")]
    Folded,
}

impl<'t> SetupCfg<'t> {
    pub(crate) fn parse(bytes: &'t [u8]) -> Result<Self, SetupCfgError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SetupCfgError::Encoding)?;
        let mut found = Self { text, version: None, tags_version: false };
        let mut section = "";
        let mut sections_of_metadata = 0;
        let mut in_version = false;
        let mut in_option = false;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let content = line.trim();
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with([' ', '\t']) && in_option {
                if in_version {
                    return Err(SetupCfgError::Folded);
                }
                continue;
            }
            in_version = false;
            if let Some((name, _)) =
                content.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'))
            {
                section = name;
                in_option = false;
                sections_of_metadata += usize::from(section == "metadata");
                if sections_of_metadata > 1 {
                    return Err(SetupCfgError::Repeated);
                }
                continue;
            }
            in_option = true;
            let Some((key, value)) = content.split_once(['=', ':']) else { continue };
            match (section, key.trim_end()) {
                ("metadata", "version") if found.version.is_none() => {
                    let value = value.trim();
                    let offset = line.find(content).unwrap_or(0) + content.len() - value.len();
                    found.version = Some(start + offset..start + offset + value.len());
                    in_version = true;
                }
                ("metadata" | "DEFAULT", "version") => return Err(SetupCfgError::Repeated),
                ("egg_info", "tag_build" | "tag-build") => {
                    found.tags_version |= !value.trim().is_empty();
                }
                ("egg_info", "tag_date" | "tag-date") => {
                    found.tags_version |=
                        !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "false");
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The value of `version` in `[metadata]`; empty counts as none.
    pub(crate) fn version(&self) -> Option<&'t str> {
        self.text.get(self.version.clone()?).filter(|value| !value.is_empty())
    }

    /// True if a build appends something to the version.
    pub(crate) fn tags_version(&self) -> bool {
        self.tags_version
    }

    /// The text with `version` as a literal.
    pub(crate) fn with_version(&self, version: &str) -> String {
        self.version.as_ref().map_or_else(
            || self.text.to_owned(),
            |span| hayloft_feed::json::replaced(self.text, span, version),
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::equals("[metadata]\nname = a\nversion = 1.0\n", "[metadata]\nname = a\nversion = 2\n")]
    #[case::colon("[metadata]\nversion:1.0\n", "[metadata]\nversion:2\n")]
    #[case::line_ends("[metadata]\r\nversion=1.0\r\n", "[metadata]\r\nversion=2\r\n")]
    #[case::computed("[metadata]\nversion = attr: a.b\n", "[metadata]\nversion = 2\n")]
    #[case::comment_after_key("[metadata]\nversion = 1.0\n# c\n", "[metadata]\nversion = 2\n# c\n")]
    #[case::other_section_first(
        "[x]\nversion = 9\n[metadata]\nversion=1",
        "[x]\nversion = 9\n[metadata]\nversion=2"
    )]
    #[case::in_a_value(
        "[metadata]\nlong = a\n  version = 9\nversion=1",
        "[metadata]\nlong = a\n  version = 9\nversion=2"
    )]
    fn the_version_is_replaced_and_nothing_else(#[case] text: &str, #[case] changed: &str) {
        let found = SetupCfg::parse(text.as_bytes()).unwrap();
        assert!(found.version().is_some());
        assert_eq!(found.with_version("2"), changed);
    }

    #[rstest]
    #[case::no_section("[x]\nversion = 1\n")]
    #[case::continuation("[metadata]\nname = a\n version = 1\n")]
    #[case::comment("[metadata]\n# version = 1\n;version = 1\n")]
    #[case::empty("[metadata]\nversion =\n")]
    #[case::case("[metadata]\nVersion = 1\n")]
    fn other_mentions_do_not_count(#[case] text: &str) {
        assert_eq!(SetupCfg::parse(text.as_bytes()).unwrap().version(), None);
    }

    #[rstest]
    #[case::twice("[metadata]\nversion=1\nversion=2\n", SetupCfgError::Repeated)]
    #[case::two_sections("[metadata]\nversion=1\n[metadata]\n", SetupCfgError::Repeated)]
    #[case::default("[DEFAULT]\nversion=1\n", SetupCfgError::Repeated)]
    #[case::folded("[metadata]\nversion =\n  1\n", SetupCfgError::Folded)]
    fn doubtful_versions_are_refused(#[case] text: &str, #[case] error: SetupCfgError) {
        assert_eq!(SetupCfg::parse(text.as_bytes()).unwrap_err(), error);
    }

    #[rstest]
    #[case::as_written_into_sdists("[egg_info]\ntag_build = \ntag_date = 0\n", false)]
    #[case::build("[egg_info]\ntag_build = .dev1\n", true)]
    #[case::date("[egg_info]\ntag_date = true\n", true)]
    fn version_tags_are_seen(#[case] text: &str, #[case] tags: bool) {
        assert_eq!(SetupCfg::parse(text.as_bytes()).unwrap().tags_version(), tags);
    }
}
