use hayloft_feed::native::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientDocument, ClientPlace,
    CommentStyle, FeedCard,
};

/// Files of apt: where the feed is with the key that it signs with, and the key that is shown to
/// it. All users may read the first one, or `apt-cache` fails for them.
pub(super) fn configurations(
    feed: &FeedCard,
    url: &str,
    key: Option<&str>,
) -> Vec<ClientConfiguration> {
    let signs = cfg!(feature = "openpgp");
    let trust = if signs { "Signed-By:\n" } else { "Trusted: yes\n" };
    // Entries are apart by empty lines.
    let source = format!(
        "\n# Distribution and component as they were uploaded to.\nTypes: deb\nURIs: {url}\n\
         Suites: stable\nComponents: main\n{trust}"
    );
    let source = ClientChange {
        variable: None,
        base: ClientBase::System,
        path: "etc/apt/sources.list.d/hayloft.sources".to_owned(),
        comment: CommentStyle::Hash,
        lines: source,
        document: signs.then(|| ClientDocument {
            path: vec!["keys".to_owned(), format!("{}.asc", feed.name)],
            begins: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
            indent: " ",
            empty: " .",
        }),
        secret: false,
        places: vec![ClientPlace::plain(Anchor::End)],
        replaces: Vec::new(),
    };
    let login = key.map(|key| ClientChange {
        path: "etc/apt/auth.conf.d/hayloft.conf".to_owned(),
        // Without a scheme apt sends it over https alone.
        lines: format!("machine {url}/ login api password {key}\n"),
        document: None,
        secret: true,
        ..source.clone()
    });
    let changes = [Some(source), login].into_iter().flatten().collect();
    vec![ClientConfiguration { client: "apt", changes }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_shown_is_in_a_file_of_its_own() {
        let url = "http://host:8624/debian/My%20feed";
        let found = configurations(&FeedCard::new("My feed"), url, Some("k1"));
        let [source, login] = found[0].changes.as_slice() else { panic!("{found:?}") };
        assert!(source.lines.contains(&format!("\nURIs: {url}\n")) && !source.secret);
        assert!(!source.lines.contains("k1"));
        assert_eq!(login.lines, format!("machine {url}/ login api password k1\n"));
        assert!(login.secret && login.document.is_none());
        let path = source.document.as_ref().map(|document| document.path.as_slice());
        let signed: &[String] = &["keys".to_owned(), "My feed.asc".to_owned()];
        assert_eq!(path, cfg!(feature = "openpgp").then_some(signed));
        assert_eq!(configurations(&FeedCard::new("a"), url, None)[0].changes.len(), 1);
    }
}
