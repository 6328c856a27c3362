//! The shapes that npm gives to fields of package.json when it publishes them.

use crate::value::{Object, Value};

/// `bin` as an object of command names and relative paths; `None` if no command is left.
///
/// A single path is the command `unscoped`.
pub(crate) fn bin(value: &Value, unscoped: &str) -> Option<Object> {
    let pairs: Vec<(String, &Value)> = match value {
        Value::Text(_) => vec![(unscoped.to_owned(), value)],
        // npm cuts list entries at slashes before it looks at other separators.
        Value::List(paths) => paths
            .iter()
            .filter_map(|path| Some((last_segment(path.as_text()?).to_owned(), path)))
            .collect(),
        Value::Object(object) => object.iter().map(|(key, path)| (key.to_owned(), path)).collect(),
        _ => return None,
    };
    let commands: Object = pairs
        .into_iter()
        .filter_map(|(key, path)| {
            let command = base_name(&key.replace(['\\', ':'], "/"));
            let path = rooted(path.as_text()?);
            (!command.is_empty() && !path.is_empty()).then_some((command, Value::Text(path)))
        })
        .collect();
    (!commands.is_empty()).then_some(commands)
}

/// The commands that `directories.bin` stands for, given the files under it as paths from the root
/// of the package.
pub(crate) fn bin_of_folder(folder: &str, files: &[String]) -> Option<Object> {
    let commands: Object = files
        .iter()
        .filter(|file| {
            let inner = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            !inner.split('/').any(|part| part.starts_with('.'))
        })
        .map(|file| (base_name(file), Value::Text(file.clone())))
        .collect();
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
pub(crate) fn dependencies(value: &Value) -> Object {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(_, range)| range.as_text().is_some())
            .map(|(name, range)| (name.to_owned(), range.clone()))
            .collect(),
        Value::List(list) => {
            list.iter().filter_map(Value::as_text).filter_map(dependency).collect()
        }
        Value::Text(text) => text
            .split(|letter: char| letter.is_whitespace() || letter == ',')
            .filter_map(dependency)
            .collect(),
        _ => Object::default(),
    }
}

/// `name@range`, `name range` or a bare name.
fn dependency(text: &str) -> Option<(String, Value)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .skip(1)
        .find(|(_, letter)| matches!(letter, '@' | '<' | '>' | '=') || letter.is_whitespace())
        .map_or(text.len(), |(at, _)| at);
    let (name, range) = text.split_at_checked(end)?;
    let range = range.trim();
    let range = range.strip_prefix('@').unwrap_or(range).trim();
    (!name.is_empty()).then(|| (name.to_owned(), range.into()))
}

/// Names of the dependencies that lie in the tarball; `true` means all of them.
pub(crate) fn bundled(value: &Value, dependencies: Option<&Object>) -> Vec<Value> {
    match value {
        Value::Bool(true) => {
            dependencies.into_iter().flat_map(Object::iter).map(|(name, _)| name.into()).collect()
        }
        Value::List(names) => {
            names.iter().filter(|name| name.as_text().is_some()).cloned().collect()
        }
        Value::Object(object) => object.iter().map(|(name, _)| name.into()).collect(),
        _ => Vec::new(),
    }
}

/// `os`, `cpu` and `libc`: a single text is a list of one.
pub(crate) fn platforms(value: &Value) -> Vec<Value> {
    match value {
        Value::Text(_) => vec![value.clone()],
        Value::List(names) => {
            names.iter().filter(|name| name.as_text().is_some()).cloned().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Value {
        Value::parse(text, 8).unwrap()
    }

    fn shown(object: Option<Object>) -> String {
        object.map_or_else(|| "-".to_owned(), |object| serde_json::to_string(&object).unwrap())
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
        assert_eq!(shown(bin(&read(given), "tool")), want);
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
        assert_eq!(serde_json::to_string(&dependencies(&read(given))).unwrap(), want);
    }

    #[rstest]
    #[case::list(r#"["a",1]"#, r#"["a"]"#)]
    #[case::all("true", r#"["x","y"]"#)]
    #[case::none("false", "[]")]
    #[case::object(r#"{"a":"1"}"#, r#"["a"]"#)]
    fn bundled_dependencies_become_a_list_of_names(#[case] given: &str, #[case] want: &str) {
        let groups = dependencies(&read(r#"{"x":"1","y":"2"}"#));
        let names = bundled(&read(given), Some(&groups));
        assert_eq!(serde_json::to_string(&names).unwrap(), want);
    }
}
