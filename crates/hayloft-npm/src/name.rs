use std::fmt;
use std::str::FromStr;

use hayloft_feed::{NameKey, NameKeyError, PackageName};

/// Longest name that a new package may have, scope and slash included.
const LONGEST_NEW_NAME: usize = 214;

/// An npm package name, `name` or `@scope/name`; compares with case.
///
/// Every name that the public registry has ever accepted is a name; [`NpmName::legacy`] tells the
/// ones that a new package may no longer take.
/// Rules: <https://github.com/npm/validate-npm-package-name>
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NpmName {
    scope: Option<Box<str>>,
    name: Box<str>,
}

/// Text is not an npm package name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NpmNameError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// `.`, `_` or `-` in front of an unscoped name, `.` in front of a scoped one.
    #[error("begins with `{0}`")]
    FirstCharacter(char),
    /// Would be a folder or file that means something else.
    #[error("is reserved")]
    Reserved,
    /// A character that a URL must escape.
    #[error("contains `{}`; only characters that need no escape in a URL may stand in a name", .0.escape_debug())]
    Character(char),
    /// Nothing between `@` and `/`, or no `/`.
    #[error("is not of the form @scope/name")]
    Scope,
    /// Too long for a key.
    #[error("cannot be a key")]
    Key(#[source] NameKeyError),
}

/// Why a new package may not take a name that old ones have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyName {
    /// More than 214 characters.
    #[error("has more than 214 characters")]
    Long,
    /// Upper case, which a case-insensitive file system cannot tell apart.
    #[error("contains upper-case letters")]
    UpperCase,
    /// One of `~'!()*` after the scope.
    #[error("contains one of ~ ' ! ( ) *")]
    Special,
    /// Node resolves the name to itself.
    #[error("is the name of a Node.js core module")]
    CoreModule,
}

impl NpmName {
    /// From a scope and a name as the callers of an API spell them.
    ///
    /// The scope may lack its `@` or have it as `%40`; a name without a scope may be a whole
    /// `@scope/name`.
    pub fn from_parts(scope: &str, name: &str) -> Result<Self, NpmNameError> {
        if scope.is_empty() {
            return name.parse();
        }
        let bare = scope.strip_prefix('@').or_else(|| scope.strip_prefix("%40")).unwrap_or(scope);
        Self::scoped(bare, name)
    }

    fn scoped(scope: &str, name: &str) -> Result<Self, NpmNameError> {
        if scope.is_empty() || name.is_empty() {
            return Err(NpmNameError::Scope);
        }
        if name.starts_with('.') {
            return Err(NpmNameError::FirstCharacter('.'));
        }
        only_unescaped(scope)?;
        only_unescaped(name)?;
        Ok(Self { scope: Some(scope.into()), name: name.into() })
    }

    fn unscoped(name: &str) -> Result<Self, NpmNameError> {
        match name.chars().next() {
            None => return Err(NpmNameError::Empty),
            Some(first @ ('.' | '_' | '-')) => return Err(NpmNameError::FirstCharacter(first)),
            Some(_) => only_unescaped(name)?,
        }
        if ["node_modules", "favicon.ico"].iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
            return Err(NpmNameError::Reserved);
        }
        Ok(Self { scope: None, name: name.into() })
    }

    /// Scope with its `@`; empty without one.
    pub fn group(&self) -> String {
        self.scope.as_ref().map(|scope| format!("@{scope}")).unwrap_or_default()
    }

    /// The part after the scope.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first rule for new packages that this name breaks, if any.
    pub fn legacy(&self) -> Option<LegacyName> {
        let scope = self.scope.as_deref().unwrap_or("");
        let length = self.name.len() + self.scope.as_ref().map_or(0, |scope| scope.len() + 2);
        if length > LONGEST_NEW_NAME {
            Some(LegacyName::Long)
        } else if scope.chars().chain(self.name.chars()).any(|letter| letter.is_ascii_uppercase()) {
            Some(LegacyName::UpperCase)
        } else if self.name.contains(['~', '\'', '!', '(', ')', '*']) {
            Some(LegacyName::Special)
        } else if self.scope.is_none() && CORE_MODULES.contains(&&*self.name) {
            Some(LegacyName::CoreModule)
        } else {
            None
        }
    }

    /// As the seam holds it: group with `@`, exact key.
    pub(crate) fn package(&self) -> Result<PackageName, NpmNameError> {
        let group = self.group();
        let key = NameKey::new(&group, &self.name).map_err(NpmNameError::Key)?;
        Ok(PackageName::new(&group, &self.name, key))
    }
}

impl FromStr for NpmName {
    type Err = NpmNameError;

    fn from_str(text: &str) -> Result<Self, NpmNameError> {
        match text.strip_prefix('@') {
            Some(rest) => {
                let (scope, name) = rest.split_once('/').ok_or(NpmNameError::Scope)?;
                Self::scoped(scope, name)
            }
            None => Self::unscoped(text),
        }
    }
}

impl fmt::Display for NpmName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scope) = &self.scope {
            write!(out, "@{scope}/")?;
        }
        out.write_str(&self.name)
    }
}

/// What JavaScript's `encodeURIComponent` leaves alone.
fn only_unescaped(text: &str) -> Result<(), NpmNameError> {
    let escaped = |letter: &char| {
        !letter.is_ascii_alphanumeric()
            && !matches!(letter, '-' | '_' | '.' | '!' | '~' | '*' | '\'' | '(' | ')')
    };
    text.chars().find(escaped).map_or(Ok(()), |letter| Err(NpmNameError::Character(letter)))
}

/// Modules that `require` finds without a package, as the validator of npm 11 lists them. The ones
/// with a slash or colon are no names anyway.
const CORE_MODULES: &[&str] = &[
    "_http_agent",
    "_http_client",
    "_http_common",
    "_http_incoming",
    "_http_outgoing",
    "_http_server",
    "_stream_duplex",
    "_stream_passthrough",
    "_stream_readable",
    "_stream_transform",
    "_stream_wrap",
    "_stream_writable",
    "_tls_common",
    "_tls_wrap",
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("left-pad")]
    #[case::digits("123")]
    #[case::inner_dots("a..b")]
    #[case::scoped("@acme/widget")]
    #[case::scoped_digits("@123/4")]
    #[case::scoped_underscore("@a/_b")]
    #[case::scoped_hyphen("@a/-b")]
    #[case::scope_with_dot("@.a/b")]
    #[case::scope_with_underscore("@_a/b")]
    #[case::scoped_node_modules("@a/node_modules")]
    #[case::scoped_core_module("@a/events")]
    fn names_of_today_are_accepted(#[case] text: &str) {
        let name: NpmName = text.parse().unwrap();
        assert_eq!(name.to_string(), text);
        assert_eq!(name.legacy(), None);
    }

    #[rstest]
    #[case::upper_case("JSONStream", LegacyName::UpperCase)]
    #[case::upper_case_scope("@Acme/a", LegacyName::UpperCase)]
    #[case::special("crazy!", LegacyName::Special)]
    #[case::scoped_special("@a/b~", LegacyName::Special)]
    #[case::core_module("events", LegacyName::CoreModule)]
    #[case::long(&"a".repeat(215), LegacyName::Long)]
    #[case::long_with_scope(&format!("@b/{}", "a".repeat(212)), LegacyName::Long)]
    fn names_of_old_are_accepted_and_told_apart(#[case] text: &str, #[case] why: LegacyName) {
        assert_eq!(text.parse::<NpmName>().unwrap().legacy(), Some(why));
    }

    #[test]
    fn the_longest_new_name_has_214_characters() {
        assert_eq!("a".repeat(214).parse::<NpmName>().unwrap().legacy(), None);
        let scoped = format!("@b/{}", "a".repeat(211));
        assert_eq!(scoped.parse::<NpmName>().unwrap().legacy(), None);
    }

    #[rstest]
    #[case::empty("", NpmNameError::Empty)]
    #[case::dot(".foo", NpmNameError::FirstCharacter('.'))]
    #[case::underscore("_foo", NpmNameError::FirstCharacter('_'))]
    #[case::hyphen("-foo", NpmNameError::FirstCharacter('-'))]
    #[case::scoped_dot("@a/.b", NpmNameError::FirstCharacter('.'))]
    #[case::scoped_parent("@a/..", NpmNameError::FirstCharacter('.'))]
    #[case::trailing_space("foo ", NpmNameError::Character(' '))]
    #[case::slash("a/b", NpmNameError::Character('/'))]
    #[case::two_slashes("@a/b/c", NpmNameError::Character('/'))]
    #[case::accent("föö", NpmNameError::Character('ö'))]
    #[case::percent("foo%2fbar", NpmNameError::Character('%'))]
    #[case::colon("a:b", NpmNameError::Character(':'))]
    #[case::no_scope("@/b", NpmNameError::Scope)]
    #[case::no_name("@a/", NpmNameError::Scope)]
    #[case::no_slash("@a", NpmNameError::Scope)]
    #[case::node_modules("Node_Modules", NpmNameError::Reserved)]
    #[case::favicon("favicon.ico", NpmNameError::Reserved)]
    fn what_no_registry_ever_took_is_refused(#[case] text: &str, #[case] error: NpmNameError) {
        assert_eq!(text.parse::<NpmName>(), Err(error));
    }

    #[test]
    fn a_scope_is_one_however_it_is_spelled() {
        for (scope, name) in
            [("@acme", "widget"), ("acme", "widget"), ("%40acme", "widget"), ("", "@acme/widget")]
        {
            let parsed = NpmName::from_parts(scope, name).unwrap();
            assert_eq!((parsed.group().as_str(), parsed.name()), ("@acme", "widget"));
        }
        assert_eq!(NpmName::from_parts("@", "a"), Err(NpmNameError::Scope));
        assert_eq!(NpmName::from_parts("@a", "@b/c"), Err(NpmNameError::Character('@')));
    }

    #[test]
    fn keys_tell_case_apart() {
        let key = |text: &str| text.parse::<NpmName>().unwrap().package().unwrap().key().clone();
        assert_ne!(key("JSONStream"), key("jsonstream"));
        let long = "a".repeat(1025).parse::<NpmName>().unwrap();
        assert_eq!(long.package().unwrap_err(), NpmNameError::Key(NameKeyError::TooLong(1025)));
    }
}
