//! The shapes that npm gives to fields of package.json when it publishes them.

use hayloft_feed::json::quoted;

use crate::value::{Object, Raw};

/// Commands, and dependencies in the forms of the first years, of which no package has more than
/// some dozens; what follows is left out.
const MOST_LISTED: usize = 10_000;

/// `bin` as an object of command names and relative paths; `None` if no command is left.
///
/// A single path is the command `unscoped`.
pub(crate) fn bin<'t>(value: Raw<'t>, unscoped: &str) -> Option<Object<'t>> {
    let mut pairs = Vec::new();
    if let Some(path) = value.as_text() {
        pairs.extend(command(unscoped, &path));
    } else if let Some(object) = value.as_object() {
        let paths = object.iter().filter_map(|(key, path)| command(key, &path.as_text()?));
        pairs.extend(paths.take(MOST_LISTED));
    } else if value.is_list() {
        value.texts(&mut |path| {
            if pairs.len() < MOST_LISTED {
                // npm cuts list entries at slashes before it looks at other separators.
                pairs.extend(command(last_segment(&path), &path));
            }
        });
    }
    (!pairs.is_empty()).then(|| Object::of_texts(pairs.into_iter()))
}

fn command(key: &str, path: &str) -> Option<(String, String)> {
    let command = base_name(&key.replace(['\\', ':'], "/"));
    let path = rooted(path);
    (!command.is_empty() && !path.is_empty()).then_some((command, path))
}

/// The commands that `directories.bin` stands for, given the files under it as paths from the root
/// of the package.
pub(crate) fn bin_of_folder(folder: &str, files: &[String]) -> Option<Object<'static>> {
    let shown = files.iter().filter(|file| {
        let inner = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
        !inner.split('/').any(|part| part.starts_with('.'))
    });
    let commands = Object::of_texts(shown.map(|file| (base_name(file), file)));
    (!commands.is_empty()).then_some(commands)
}

/// A path as seen from the root of the package, which `..` cannot leave; no slash in front.
pub(crate) fn rooted(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut rooted = parts.join("/");
    if path.ends_with('/') && !rooted.is_empty() {
        rooted.push('/');
    }
    rooted
}

/// The last segment, if it names something.
fn base_name(path: &str) -> String {
    match last_segment(path) {
        "." | ".." => String::new(),
        name => name.to_owned(),
    }
}

fn last_segment(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// A group of dependencies as an object of strings; what is not a string is dropped.
///
/// Packages of the first years hold an empty list here, or a list of `name@range`.
pub(crate) fn dependencies(value: Raw<'_>) -> Object<'_> {
    if let Some(mut object) = value.as_object() {
        object.retain_texts();
        return object;
    }
    let mut pairs = Vec::new();
    if let Some(text) = value.as_text() {
        let parts = text.split(|letter: char| letter.is_whitespace() || letter == ',');
        pairs.extend(parts.filter_map(dependency).take(MOST_LISTED));
    } else if value.is_list() {
        value.texts(&mut |text| {
            if pairs.len() < MOST_LISTED {
                pairs.extend(dependency(&text));
            }
        });
    }
    Object::of_texts(pairs.into_iter())
}

/// `name@range`, `name range` or a bare name.
fn dependency(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .skip(1)
        .find(|(_, letter)| matches!(letter, '@' | '<' | '>' | '=') || letter.is_whitespace())
        .map_or(text.len(), |(at, _)| at);
    let (name, range) = text.split_at_checked(end)?;
    let range = range.trim();
    let range = range.strip_prefix('@').unwrap_or(range).trim();
    (!name.is_empty()).then(|| (name.to_owned(), range.to_owned()))
}

/// Names of the dependencies that lie in the tarball, as a JSON list; `true` means all of them.
pub(crate) fn bundled(value: Raw<'_>, dependencies: Option<&Object<'_>>) -> Option<String> {
    let mut list = List::default();
    if value.is("true") {
        dependencies.into_iter().flat_map(Object::iter).for_each(|(name, _)| list.push(name));
    } else if let Some(object) = value.as_object() {
        object.iter().for_each(|(name, _)| list.push(name));
    } else if value.is_list() {
        value.texts(&mut |name| list.push(&name));
    }
    list.print()
}

/// `os`, `cpu` and `libc` as a JSON list: a single text is a list of one.
pub(crate) fn platforms(value: Raw<'_>) -> Option<String> {
    let mut list = List::default();
    if let Some(name) = value.as_text() {
        list.push(&name);
    } else if value.is_list() {
        value.texts(&mut |name| list.push(&name));
    }
    list.print()
}

/// A JSON list of texts being written.
#[derive(Default)]
struct List(String);

impl List {
    fn push(&mut self, text: &str) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        self.0.push_str(&quoted(text));
    }

    /// `None` without elements.
    fn print(mut self) -> Option<String> {
        self.0.push(']');
        self.0.starts_with('[').then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shown(object: Option<Object<'_>>) -> String {
        object.map_or_else(|| "-".to_owned(), |object| object.print())
    }

    #[rstest]
    #[case::single(r#""./cli.js""#, r#"{"tool":"cli.js"}"#)]
    #[case::backslashes(r#"{"a":".\\bin\\a"}"#, r#"{"a":"bin/a"}"#)]
    #[case::list(r#"["./bin/a","b",7]"#, r#"{"a":"bin/a","b":"b"}"#)]
    #[case::climbing(
        r#"{"../../a":"../../etc/x","..":"b","c:d\\e":"f"}"#,
        r#"{"a":"etc/x","e":"f"}"#
    )]
    #[case::nothing_left(r#"{"a":1,"":"b","c":"./"}"#, "-")]
    #[case::empty(r#""""#, "-")]
    #[case::other("true", "-")]
    fn commands_get_names_and_paths_inside_the_package(#[case] given: &str, #[case] want: &str) {
        assert_eq!(shown(bin(Raw(given), "tool")), want);
    }

    #[test]
    fn a_folder_of_commands_leaves_out_hidden_files() {
        let files = ["bin/a", "bin/sub/b", "bin/.hidden", "bin/.git/c"].map(str::to_owned);
        assert_eq!(shown(bin_of_folder("bin", &files)), r#"{"a":"bin/a","b":"bin/sub/b"}"#);
    }

    #[rstest]
    #[case::object(r#"{"a":"^1","b":1,"c":"npm:d@2"}"#, r#"{"a":"^1","c":"npm:d@2"}"#)]
    #[case::empty_list("[]", "{}")]
    #[case::list(
        r#"["a","b@1","@s/c@~2","d >= 3",["e"]]"#,
        r#"{"a":"","b":"1","@s/c":"~2","d":">= 3"}"#
    )]
    #[case::text(r#""a@1, b""#, r#"{"a":"1","b":""}"#)]
    #[case::other("7", "{}")]
    fn dependencies_become_an_object_of_ranges(#[case] given: &str, #[case] want: &str) {
        assert_eq!(dependencies(Raw(given)).print(), want);
    }

    #[rstest]
    #[case::list(r#"["a",1]"#, r#"["a"]"#)]
    #[case::all("true", r#"["x","y"]"#)]
    #[case::none("false", "-")]
    #[case::empty("[]", "-")]
    #[case::object(r#"{"a":"1"}"#, r#"["a"]"#)]
    fn bundled_dependencies_become_a_list_of_names(#[case] given: &str, #[case] want: &str) {
        let groups = dependencies(Raw(r#"{"x":"1","y":"2"}"#));
        let names = bundled(Raw(given), Some(&groups));
        assert_eq!(names.as_deref().unwrap_or("-"), want);
    }
}
