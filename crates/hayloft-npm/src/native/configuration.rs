use hayloft_feed::native::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientPlace, CommentStyle,
};

use super::setup::Place;

/// Files of npm, which pnpm reads, too, and of both yarns. Of an entry that npm's file has twice
/// the last one counts.
pub(super) fn configurations(url: &str, key: Option<&str>) -> Vec<ClientConfiguration> {
    let Place { place, plain_host } = Place::of(url);
    let token = key.map(|key| format!("//{place}/:_authToken={key}\n")).unwrap_or_default();
    let npm = ClientChange {
        variable: Some("NPM_CONFIG_USERCONFIG"),
        base: ClientBase::Home,
        path: ".npmrc".to_owned(),
        comment: CommentStyle::Hash,
        lines: format!("registry={url}/\n{token}"),
        document: None,
        secret: key.is_some(),
        places: vec![ClientPlace::plain(Anchor::End)],
        replaces: vec!["registry".to_owned()],
    };
    // It shows its token for scoped packages only unless it is told to.
    let always =
        if key.is_some() { format!("//{place}/:always-auth=true\n") } else { String::new() };
    let npm_of_yarn_1 = ClientChange { lines: format!("{}{always}", npm.lines), ..npm.clone() };
    let yarn_1 = ClientChange {
        variable: None,
        path: ".yarnrc".to_owned(),
        lines: format!("registry \"{url}/\"\n"),
        ..npm.clone()
    };
    let key = key.map(|key| format!("npmAuthToken: \"{key}\"\nnpmAlwaysAuth: true\n"));
    let plain = plain_host.map(|host| format!("unsafeHttpWhitelist: [\"{host}\"]\n"));
    let server = format!("npmRegistryServer: \"{url}\"\n");
    let names = ["npmRegistryServer", "npmAuthToken", "npmAlwaysAuth", "unsafeHttpWhitelist"];
    let yarn = ClientChange {
        variable: None,
        path: ".yarnrc.yml".to_owned(),
        lines: [server, key.unwrap_or_default(), plain.unwrap_or_default()].concat(),
        replaces: names.map(str::to_owned).into(),
        ..npm.clone()
    };
    let of = |client, changes| ClientConfiguration { client, changes };
    vec![
        of("npm", vec![npm.clone()]),
        of("pnpm", vec![npm]),
        of("yarn1", vec![yarn_1, npm_of_yarn_1]),
        of("yarn", vec![yarn]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_finds_the_feed_in_its_own_file() {
        let files = configurations("http://localhost:8624/npm/f", Some("secret"));
        let changes: Vec<_> = files.iter().flat_map(|client| &client.changes).collect();
        let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, [".npmrc", ".npmrc", ".yarnrc", ".npmrc", ".yarnrc.yml"]);
        let npm = "registry=http://localhost:8624/npm/f/\n\
                   //localhost:8624/npm/f/:_authToken=secret\n";
        assert_eq!(changes[0].lines, npm);
        assert_eq!(changes[3].lines, format!("{npm}//localhost:8624/npm/f/:always-auth=true\n"));
        assert_eq!(changes[2].lines, "registry \"http://localhost:8624/npm/f/\"\n");
        assert!(changes[4].lines.ends_with("unsafeHttpWhitelist: [\"localhost\"]\n"));
        let secure = configurations("https://[::1]:8624/npm/f", None);
        let yarn = "npmRegistryServer: \"https://[::1]:8624/npm/f\"\n";
        assert_eq!(secure[3].changes[0].lines, yarn);
    }
}
