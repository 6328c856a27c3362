use crate::failure::Failure;

/// A path below which a server has everything, such as `/packages`; empty for none.
pub(super) fn parse(text: &str) -> Result<String, Failure> {
    let path = text.trim_end_matches('/');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_letter);
    match path.strip_prefix('/') {
        None if path.is_empty() => Ok(String::new()),
        Some(inner) if inner.split('/').all(is_part) => Ok(path.to_owned()),
        _ => Err(Failure::option("base-path", "give a plain path such as /packages")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some(""))]
    #[case("/", Some(""))]
    #[case("/packages", Some("/packages"))]
    #[case("/a/b-c/", Some("/a/b-c"))]
    #[case("packages", None)]
    #[case("/a//b", None)]
    #[case("/a/../b", None)]
    #[case("/{a}", None)]
    #[case("/a b", None)]
    fn base_paths_are_plain(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(parse(text).ok().as_deref(), expected);
    }
}
