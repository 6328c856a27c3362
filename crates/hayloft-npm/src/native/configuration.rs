use hayloft_feed::native::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientPlace, CommentStyle,
};

/// Both clients read the file of npm.
pub(super) fn configurations(url: &str, key: Option<&str>) -> Vec<ClientConfiguration> {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let key = key.map(|key| format!("//{place}/:_authToken={key}\n")).unwrap_or_default();
    let lines = format!("registry={url}/\n{key}");
    let change = ClientChange {
        variable: Some("NPM_CONFIG_USERCONFIG"),
        base: ClientBase::Home,
        path: ".npmrc".to_owned(),
        comment: CommentStyle::Hash,
        lines,
        places: vec![ClientPlace::plain(Anchor::End)],
        replaces: vec!["registry".to_owned()],
    };
    ["npm", "pnpm"]
        .map(|client| ClientConfiguration { client, changes: vec![change.clone()] })
        .into()
}
