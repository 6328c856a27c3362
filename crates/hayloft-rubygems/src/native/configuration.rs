use hayloft_feed::native::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientPlace, CommentStyle, encoded,
};

use super::setup::with_key;

/// Files of the clients that have one for all projects.
pub(super) fn configurations(url: &str, key: Option<&str>) -> Vec<ClientConfiguration> {
    let gem = ClientChange {
        variable: None,
        base: ClientBase::Home,
        path: ".gemrc".to_owned(),
        comment: CommentStyle::Hash,
        lines: format!("- {}/\n", with_key(url, key)),
        document: None,
        secret: key.is_some(),
        places: vec![
            ClientPlace::plain(Anchor::After(":sources:")),
            ClientPlace { anchor: Anchor::Empty, before: "---\n:sources:\n", after: "" },
            ClientPlace { anchor: Anchor::End, before: ":sources:\n", after: "" },
        ],
        replaces: Vec::new(),
    };
    let mut configurations = vec![ClientConfiguration { client: "gem", changes: vec![gem] }];
    // Bundler is told by the Gemfile where gems are, and by its settings with which key.
    configurations.extend(key.map(|key| {
        let lines = format!("{}: \"api:{}\"\n", bundler_key(url), encoded(key));
        let bundler = ClientChange {
            variable: Some("BUNDLE_USER_CONFIG"),
            base: ClientBase::Home,
            path: ".bundle/config".to_owned(),
            comment: CommentStyle::Hash,
            lines,
            document: None,
            secret: true,
            places: vec![
                ClientPlace::plain(Anchor::After("---")),
                ClientPlace { anchor: Anchor::Start, before: "---\n", after: "" },
            ],
            replaces: vec![bundler_key(url)],
        };
        ClientConfiguration { client: "bundler", changes: vec![bundler] }
    }));
    configurations
}

/// How Bundler calls the setting of an address.
fn bundler_key(url: &str) -> String {
    format!("BUNDLE_{url}/").replace('-', "___").replace('.', "__").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_called_as_bundler_calls_them() {
        assert_eq!(
            bundler_key("http://127.0.0.1:80/rubygems/my-feed"),
            "BUNDLE_HTTP://127__0__0__1:80/RUBYGEMS/MY___FEED/"
        );
        let found = configurations("http://host/rubygems/a", Some("k/1"));
        assert_eq!(found[0].changes[0].lines, "- http://api:k%2F1@host/rubygems/a/\n");
        assert_eq!(found[1].changes[0].lines, "BUNDLE_HTTP://HOST/RUBYGEMS/A/: \"api:k%2F1\"\n");
        assert_eq!(configurations("http://host/rubygems/a", None).len(), 1);
    }
}
