use std::fmt;
use std::str::FromStr;

/// A gem platform in its normal form, such as `ruby`, `java` or `x86_64-linux-musl`.
///
/// Rules: `Gem::Platform` of the RubyGems library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform(Box<str>);

/// Text is not a platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlatformError {
    /// Nothing there, or too much.
    #[error("it has {0} bytes; a platform has 1 to 128")]
    Length(usize),
    /// Outside the alphabet.
    #[error("character {0:?} is not one of A-Z a-z 0-9 . - _")]
    Character(char),
    /// Each of its normal forms has another one.
    #[error("it is not one that the library reads back as it prints it")]
    Unsteady,
}

/// How often a normal form is taken of a normal form; real platforms need none.
const MAX_STEPS: usize = 8;

/// The operating system of what the library does not know.
const UNKNOWN: &str = "unknown";

impl Platform {
    /// The platform of gems without compiled code.
    pub fn ruby() -> Self {
        Self("ruby".into())
    }

    /// Normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for gems that run everywhere.
    pub fn is_ruby(&self) -> bool {
        &*self.0 == "ruby"
    }

    /// From the three parts of an old manifest's mapping.
    pub fn from_parts(
        cpu: Option<&str>,
        os: Option<&str>,
        version: Option<&str>,
    ) -> Result<Self, PlatformError> {
        let parts: Vec<&str> =
            [cpu, os, version].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join("-").parse()
    }
}

fn check(text: &str) -> Result<(), PlatformError> {
    if text.is_empty() || text.len() > 128 {
        return Err(PlatformError::Length(text.len()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
        Some(other) => Err(PlatformError::Character(other)),
        None => Ok(()),
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        check(text)?;
        if text == "ruby" {
            return Ok(Self::ruby());
        }
        let mut form = normal_form(text);
        for _ in 0..MAX_STEPS {
            let next = normal_form(&form);
            if next == form {
                check(&form)?;
                return Ok(Self(form.into()));
            }
            form = next;
        }
        Err(PlatformError::Unsteady)
    }
}

/// As the library prints it, but that what it prints without a processor, such as `java-1.8`, is
/// read back: the library takes `java` for the processor and the rest for unknown.
fn normal_form(text: &str) -> String {
    let (cpu, os) = match text.split_once('-') {
        Some((cpu, rest)) if !rest.is_empty() => (Some(cpu), rest),
        _ => (None, text.trim_end_matches('-')),
    };
    let cpu = cpu.map(|cpu| if is_i386_family(cpu) { "x86" } else { cpu });
    let read = normal(cpu, os);
    if read.1 == UNKNOWN && joined(normal(None, text)) == text {
        return text.to_owned();
    }
    joined(read)
}

fn joined((cpu, os, version): (Option<&str>, &str, Option<&str>)) -> String {
    let parts: Vec<&str> = cpu.into_iter().chain([os]).chain(version).collect();
    parts.join("-")
}

fn is_i386_family(cpu: &str) -> bool {
    matches!(cpu.as_bytes(), [b'i', b'3'..=b'6', b'8', b'6'])
}

/// The operating systems that the library knows, in the order in which it tries them.
fn normal<'t>(cpu: Option<&'t str>, os: &'t str) -> (Option<&'t str>, &'t str, Option<&'t str>) {
    if let Some(version) = suffix(os, "aix") {
        return (cpu, "aix", digits(version.trim_start_matches('-')));
    }
    if os.contains("cygwin") {
        return (cpu, "cygwin", None);
    }
    if let Some(version) = suffix(os, "darwin") {
        return (cpu, "darwin", digits(version.trim_start_matches('-')));
    }
    if os.contains("macruby") {
        return (cpu, "macruby", digits(suffix(os, "macruby").unwrap_or("")));
    }
    if let Some(version) = suffix(os, "freebsd") {
        return (cpu, "freebsd", digits(version.trim_start_matches('-')));
    }
    if os == "java" || os == "jruby" {
        return (cpu, "java", None);
    }
    if let Some(version) = suffix(os, "java") {
        let version = version.trim_start_matches('-');
        return (cpu, "java", (!version.is_empty()).then_some(version));
    }
    for (name, cut) in [("dalvik", "dalvik"), ("dotnet", "dotnet")] {
        if let Some(version) = suffix(os, name) {
            let version = version.trim_start_matches('-');
            return (cpu, cut, (!version.is_empty()).then_some(version));
        }
    }
    if let Some(abi) = suffix(os, "linux") {
        let abi = abi.trim_start_matches('-');
        return (cpu, "linux", (!abi.is_empty()).then_some(abi));
    }
    if os.contains("mingw32") {
        return (cpu, "mingw32", None);
    }
    if let Some(version) = suffix(os, "mingw") {
        let version = version.trim_start_matches('-');
        return (cpu, "mingw", (!version.is_empty()).then_some(version));
    }
    for name in ["mswin32", "mswin64"] {
        if let Some(version) = suffix(os, name) {
            let cpu = cpu.or(if name == "mswin32" { Some("x86") } else { None });
            return (cpu, name, digits(version.trim_start_matches(['_', '-'])));
        }
    }
    if os.contains("netbsdelf") {
        return (cpu, "netbsdelf", None);
    }
    if let Some(version) = suffix(os, "openbsd") {
        return (cpu, "openbsd", dotted(version.trim_start_matches('-')));
    }
    if let Some(version) = suffix(os, "solaris") {
        return (cpu, "solaris", dotted(version.trim_start_matches('-')));
    }
    if os == "wasi" {
        return (cpu, "wasi", None);
    }
    (cpu, UNKNOWN, None)
}

fn suffix<'t>(os: &'t str, name: &str) -> Option<&'t str> {
    os.find(name).and_then(|at| os.get(at + name.len()..))
}

fn digits(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).filter(|digits| !digits.is_empty())
}

fn dotted(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    text.get(..end).filter(|version| !version.is_empty())
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ruby", "ruby")]
    #[case("x86_64-linux", "x86_64-linux")]
    #[case("x86_64-linux-gnu", "x86_64-linux-gnu")]
    #[case("x86_64-linux-musl", "x86_64-linux-musl")]
    #[case("arm-linux-gnueabihf", "arm-linux-gnueabihf")]
    #[case("i686-linux", "x86-linux")]
    #[case("arm64-darwin-22", "arm64-darwin-22")]
    #[case("universal-darwin", "universal-darwin")]
    #[case("universal-java-11", "universal-java-11")]
    #[case("java", "java")]
    #[case("jruby", "java")]
    #[case("mswin32", "x86-mswin32")]
    #[case("i386-mswin32", "x86-mswin32")]
    #[case("x64-mswin64_140", "x64-mswin64-140")]
    #[case("x64-mingw-ucrt", "x64-mingw-ucrt")]
    #[case("x86-mingw32", "x86-mingw32")]
    #[case("x86-solaris-2.10", "x86-solaris-2.10")]
    #[case("x86-freebsd14", "x86-freebsd-14")]
    #[case("foobar", "unknown")]
    #[case::version_without_a_processor("java1.8", "java-1.8")]
    #[case::system_version("darwin9", "darwin-9")]
    #[case::windows_library("mswin64_60", "mswin64-60")]
    #[case::unknown_with_a_processor("sparc-plan9", "sparc-unknown")]
    #[case::noise("x87mingw31_64hPu", "mingw-31_64hPu")]
    #[case::two_systems("javalinuxgnu", "java-linux-gnu")]
    fn normal_forms_are_those_of_the_library(#[case] text: &str, #[case] normal: &str) {
        let platform: Platform = text.parse().unwrap();
        assert_eq!(platform.as_str(), normal);
        let again: Platform = normal.parse().unwrap();
        assert_eq!(again, platform, "the normal form is its own normal form");
    }

    #[test]
    fn paths_and_commands_are_no_platforms() {
        assert_eq!("../x".parse::<Platform>(), Err(PlatformError::Character('/')));
        assert!("x86-mswin32\n system('id')#".parse::<Platform>().is_err());
        assert_eq!("".parse::<Platform>(), Err(PlatformError::Length(0)));
    }
}
