use hayloft_feed::native::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientPlace, CommentStyle,
};

use super::setup::with_key;

/// Files of the clients that have one for all projects.
pub(super) fn configurations(url: &str, key: Option<&str>) -> Vec<ClientConfiguration> {
    let simple = format!("{}/simple/", with_key(url, key));
    let plain = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let trusted = plain.map(|host| format!("trusted-host = {host}\n")).unwrap_or_default();
    let pip = format!("index-url = {}\n{trusted}", simple.replace('%', "%%"));
    let pip = ClientChange {
        variable: Some("PIP_CONFIG_FILE"),
        base: ClientBase::Config,
        path: "pip/pip.conf".to_owned(),
        comment: CommentStyle::Hash,
        lines: pip,
        document: None,
        secret: key.is_some(),
        places: vec![
            ClientPlace::plain(Anchor::After("[global]")),
            ClientPlace { anchor: Anchor::End, before: "[global]\n", after: "" },
        ],
        // A second entry of one name is an error to pip.
        replaces: vec!["index-url".to_owned(), "trusted-host".to_owned()],
    };
    let uv = format!("[[index]]\nname = \"hayloft\"\nurl = \"{simple}\"\ndefault = true\n");
    let uv = ClientChange {
        variable: Some("UV_CONFIG_FILE"),
        base: ClientBase::Config,
        path: "uv/uv.toml".to_owned(),
        comment: CommentStyle::Hash,
        lines: uv,
        document: None,
        secret: key.is_some(),
        places: vec![ClientPlace::plain(Anchor::End)],
        replaces: vec!["index-url".to_owned()],
    };
    [("pip", pip), ("uv", uv)]
        .map(|(client, change)| ClientConfiguration { client, changes: vec![change] })
        .into()
}
