/// What a `setup.py` may do about the version, judged by its tokens, without running it.
///
/// Only tools that take the version from `PKG-INFO` make a computed version safe to change; any
/// other sign that the script deals with a version counts as the script setting it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "signs that occur in any combination")]
pub(crate) struct SetupPy {
    /// `use_scm_version` of `setuptools_scm`.
    pub(crate) uses_scm: bool,
    /// `use_calver` of `calver`, or `pbr`.
    pub(crate) uses_package_info: bool,
    /// A keyword, variable or key named `version`.
    pub(crate) names_version: bool,
    /// `**`, behind which a version may hide.
    pub(crate) unpacks_keywords: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Name(&'t str),
    /// Without prefix and quotation marks, escapes as written.
    Text(&'t str),
    Other(char),
}

impl SetupPy {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut found = Self::default();
        let mut tokens = Tokens(&text).peekable();
        let mut before = None;
        while let Some(token) = tokens.next() {
            let after = tokens.peek().copied();
            let assigned = matches!(after, Some(Token::Other('=' | ':')));
            match token {
                Token::Name("use_scm_version") if assigned => found.uses_scm = true,
                Token::Text("use_scm_version") => found.uses_scm = true,
                Token::Name("use_calver" | "pbr") if assigned => found.uses_package_info = true,
                Token::Text("use_calver") => found.uses_package_info = true,
                Token::Name("version") if before != Some(Token::Other('.')) => {
                    found.names_version = true;
                }
                Token::Text("version") => found.names_version = true,
                Token::Other('*') if before == Some(Token::Other('*')) => {
                    found.unpacks_keywords = true;
                }
                _ => {}
            }
            before = Some(token);
        }
        found
    }
}

struct Tokens<'t>(&'t str);

impl<'t> Tokens<'t> {
    fn cut(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }

    /// The text up to the closing mark; an unclosed literal ends with the file, or with its line
    /// if it is not a triple-quoted one.
    fn literal(&mut self) -> &'t str {
        let mark = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|mark| self.0.starts_with(mark))
            .unwrap_or("\"");
        self.cut(mark.len());
        let mut escaped = false;
        for (at, character) in self.0.char_indices() {
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if self.0.get(at..).is_some_and(|rest| rest.starts_with(mark))
                || (mark.len() == 1 && character == '\n')
            {
                let content = self.cut(at);
                self.cut(mark.len());
                return content;
            }
        }
        std::mem::take(&mut self.0)
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let first = self.0.chars().next()?;
            if first == '#' {
                let length = self.0.find('\n').unwrap_or(self.0.len());
                self.cut(length);
            } else if first.is_whitespace() || first == '\\' {
                self.cut(first.len_utf8());
            } else if matches!(first, '"' | '\'') {
                return Some(Token::Text(self.literal()));
            } else if first.is_alphanumeric() || first == '_' {
                let length = self
                    .0
                    .find(|character: char| !character.is_alphanumeric() && character != '_')
                    .unwrap_or(self.0.len());
                let name = self.cut(length);
                let is_prefix =
                    name.len() <= 2 && name.chars().all(|letter| "rRbBuUfF".contains(letter));
                if is_prefix && self.0.starts_with(['"', '\'']) {
                    return Some(Token::Text(self.literal()));
                }
                return Some(Token::Name(name));
            } else {
                self.cut(first.len_utf8());
                return Some(Token::Other(first));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOTHING: SetupPy = SetupPy {
        uses_scm: false,
        uses_package_info: false,
        names_version: false,
        unpacks_keywords: false,
    };

    #[rstest]
    #[case::bare("from setuptools import setup\nsetup()\n", NOTHING)]
    #[case::scm("setup(use_scm_version=True)", SetupPy { uses_scm: true, ..NOTHING })]
    #[case::scm_in_dict("d = {'use_scm_version': {}}", SetupPy { uses_scm: true, ..NOTHING })]
    #[case::pbr("setup(setup_requires=['pbr>=2.0.0'], pbr=True)", SetupPy { uses_package_info: true, ..NOTHING })]
    #[case::pbr_required("setup(setup_requires=['pbr'])", NOTHING)]
    #[case::calver("setup(use_calver=True)", SetupPy { uses_package_info: true, ..NOTHING })]
    #[case::keyword("setup(version='1.0')", SetupPy { names_version: true, ..NOTHING })]
    #[case::variable("version = x\n", SetupPy { names_version: true, ..NOTHING })]
    #[case::key("setup(**{'version': 1})", SetupPy { names_version: true, unpacks_keywords: true, ..NOTHING })]
    #[case::raw_key("d[r\"version\"]", SetupPy { names_version: true, ..NOTHING })]
    #[case::unpacked("setup(**config)", SetupPy { unpacks_keywords: true, ..NOTHING })]
    #[case::comment("# version='1'\nsetup()", NOTHING)]
    #[case::attribute("if sys.version < '3': pass", NOTHING)]
    #[case::longer_names("python_version = version_info", NOTHING)]
    #[case::in_text("setup(d='the version', e=\"\"\"version = \"1\" \n\"\"\")", NOTHING)]
    #[case::escaped_quote("a = 'x\\'' ; version = 1", SetupPy { names_version: true, ..NOTHING })]
    #[case::unclosed("a = 'x\nversion=1", SetupPy { names_version: true, ..NOTHING })]
    #[case::unclosed_triple("a = '''x\nversion=1", NOTHING)]
    #[case::ends_in_a_mark("'", NOTHING)]
    fn signs_are_found(#[case] text: &str, #[case] expected: SetupPy) {
        assert_eq!(SetupPy::parse(text.as_bytes()), expected);
    }
}
