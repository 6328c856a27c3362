use hayloft_feed::native::{ClientSetup, FeedCard, encoded};

/// What each client is told, as shell lines.
pub(crate) fn lines(_: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
    let source = quoted(&format!("{}/", with_key(url, key)));
    let mut gem = vec![format!("gem sources --add {source}")];
    gem.push(format!("export RUBYGEMS_HOST={}", quoted(url)));
    let mut bundler = Vec::new();
    if let Some(key) = key {
        gem.push(format!("export GEM_HOST_API_KEY={}", quoted(key)));
        let credential = quoted(&format!("api:{}", encoded(key)));
        bundler.push(format!(
            "bundle config set --global {} {credential}",
            quoted(&format!("{url}/"))
        ));
    }
    gem.push("# gem install NAME; gem push NAME-VERSION.gem".to_owned());
    bundler.push(format!("# in the Gemfile: source \"{url}/\""));
    vec![
        ClientSetup { client: "gem", lines: gem },
        ClientSetup { client: "bundler", lines: bundler },
    ]
}

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
        let feed = FeedCard::new("a");
        let setup = lines(&feed, "http://host/rubygems/a", Some("k/'1"));
        assert_eq!(
            setup[0].lines[..3],
            [
                "gem sources --add http://api:k%2F%271@host/rubygems/a/",
                "export RUBYGEMS_HOST=http://host/rubygems/a",
                "export GEM_HOST_API_KEY='k/'\\''1'",
            ]
        );
        assert_eq!(
            setup[1].lines[0],
            "bundle config set --global http://host/rubygems/a/ api:k%2F%271"
        );
        let without = lines(&feed, "https://host/rubygems/a", None);
        assert!(without.iter().flat_map(|setup| &setup.lines).all(|line| !line.contains("api:")));
    }
}
