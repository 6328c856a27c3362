use hayloft_feed::native::{ClientSetup, FeedCard, encoded};

/// What each client is told, as shell lines.
pub(crate) fn lines(feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
    let simple = quoted(&format!("{}/simple/", with_key(url, key)));
    let legacy = quoted(&format!("{url}/legacy/"));
    let export = |name: &str, value: &str| format!("export {name}={value}");
    let name = quoted(&feed.name);

    let mut pip = vec![export("PIP_INDEX_URL", &simple)];
    if let Some(host) = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()) {
        // pip talks to other hosts than this one only over TLS, unless it is told.
        pip.push(export("PIP_TRUSTED_HOST", &quoted(host)));
    }
    let mut uv = vec![export("UV_DEFAULT_INDEX", &simple), export("UV_PUBLISH_URL", &legacy)];
    let mut twine = vec![export("TWINE_REPOSITORY_URL", &legacy)];
    let mut flit = vec![export("FLIT_INDEX_URL", &legacy)];
    let mut poetry = vec![format!("poetry config repositories.{name} {legacy}")];
    if let Some(key) = key.map(quoted) {
        uv.extend([export("UV_PUBLISH_USERNAME", "api"), export("UV_PUBLISH_PASSWORD", &key)]);
        twine.extend([export("TWINE_USERNAME", "api"), export("TWINE_PASSWORD", &key)]);
        flit.extend([export("FLIT_USERNAME", "api"), export("FLIT_PASSWORD", &key)]);
        poetry.push(format!("poetry config http-basic.{name} api {key}"));
    }
    poetry.extend([
        "# in the folder of a project:".to_owned(),
        format!("poetry source add {name} {}", quoted(&format!("{url}/simple/"))),
        format!("# poetry publish --build --repository {name}"),
    ]);
    pip.push("# pip install NAME".to_owned());
    uv.push("# uv pip install NAME; uv publish dist/*".to_owned());
    twine.push("# twine upload dist/*".to_owned());
    flit.push("# flit publish".to_owned());
    [("pip", pip), ("uv", uv), ("twine", twine), ("poetry", poetry), ("flit", flit)]
        .map(|(client, lines)| ClientSetup { client, lines })
        .into()
}

/// The address with the key in it, which is how pip and uv are told one.
pub(super) fn with_key(url: &str, key: Option<&str>) -> String {
    match (url.split_once("://"), key) {
        (Some((scheme, rest)), Some(key)) => format!("{scheme}://api:{}@{rest}", encoded(key)),
        _ => url.to_owned(),
    }
}

/// A word of a shell line.
fn quoted(text: &str) -> String {
    let plain = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | ':' | '@' | '%')
    };
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_what_was_given() {
        let feed = FeedCard::new("it's");
        let setup = lines(&feed, "http://host:8624/pypi/it%27s", Some("k/1"));
        let pip = setup.iter().find(|setup| setup.client == "pip").unwrap();
        assert_eq!(
            pip.lines,
            [
                "export PIP_INDEX_URL=http://api:k%2F1@host:8624/pypi/it%27s/simple/",
                "export PIP_TRUSTED_HOST=host:8624",
                "# pip install NAME",
            ]
        );
        let poetry = setup.iter().find(|setup| setup.client == "poetry").unwrap();
        assert_eq!(poetry.lines[1], "poetry config http-basic.'it'\\''s' api k/1");
        let without = lines(&feed, "https://host/pypi/a", None);
        let all: Vec<_> = without.iter().flat_map(|setup| &setup.lines).collect();
        assert!(all.iter().all(|line| !line.contains("PASSWORD") && !line.contains("TRUSTED")));
    }
}
