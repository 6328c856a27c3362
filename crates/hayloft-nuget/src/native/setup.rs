use hayloft_feed::native::ClientSetup;

/// Says that the password is a key.
pub(super) const USER: &str = "api";

/// Lines for each client. Current clients refuse plain http unless their configuration allows it,
/// which a line of the shell cannot say for all of them: where that is so, a comment tells.
pub(crate) fn lines(feed: &str, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
    let (feed, url) = (word(feed), url.trim_end_matches('/'));
    let (v3, v2) = (word(&format!("{url}/v3/index.json")), word(&format!("{url}/v2")));
    let key = key.map(word);
    let shown = key.clone().unwrap_or_else(|| "KEY".to_owned());
    let plain = url.starts_with("http://");
    let setup = |client, lines| ClientSetup { client, lines };
    let credentials = |flags: &str| {
        key.as_ref().map_or_else(String::new, |key| {
            let mut text = format!(" {}", flags.replace("USER", USER));
            text = text.replace("KEY", key);
            text
        })
    };
    let insecure = if plain { " --allow-insecure-connections" } else { "" };
    let mut dotnet = vec![format!(
        "dotnet nuget add source {v3} --name {feed}{}{insecure}",
        credentials("--username USER --password KEY --store-password-in-clear-text")
    )];
    if plain {
        dotnet.push("# before .NET 9, leave out --allow-insecure-connections".to_owned());
    }
    dotnet.push(format!("# dotnet nuget push PACKAGE.nupkg --source {feed} --api-key {shown}"));
    let nuget = vec![
        format!(
            "nuget sources add -Name {feed} -Source {v3}{}",
            credentials("-UserName USER -Password KEY -StorePasswordInClearText")
        ),
        format!("# nuget push PACKAGE.nupkg -Source {feed} -ApiKey {shown}"),
    ];
    let choco = vec![
        format!(
            "choco source add --name={feed} --source={v2}{}",
            credentials("--user=USER --password=KEY")
        ),
        format!("# choco push PACKAGE.nupkg --source={v2} --api-key={shown}"),
    ];
    let mut powershell = Vec::new();
    let register = format!("Register-PSResourceRepository -Name {feed} -Uri {v2} -Trusted");
    powershell.push(format!("pwsh -Command {}", word(&register)));
    powershell.push(format!(
        "# Install-PSResource MODULE -Repository {feed} -Credential (Get-Credential)"
    ));
    let paket = vec![
        key.as_ref().map_or_else(
            || format!("# in paket.dependencies: source {v3}"),
            |key| format!("paket config add-credentials {v3} --username {USER} --password {key}"),
        ),
        format!("echo {} >> paket.dependencies", word(&format!("source {url}/v3/index.json"))),
    ];
    vec![
        setup("dotnet", dotnet),
        setup("nuget", nuget),
        setup("choco", choco),
        setup("powershell", powershell),
        setup("paket", paket),
    ]
}

/// A text as one word of a POSIX shell.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~/:@%+,=".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_the_key_and_are_safe_to_paste() {
        let all = lines("a b", "https://host/nuget/a%20b", Some("k'; rm -rf ~"));
        let text: Vec<String> = all.into_iter().flat_map(|setup| setup.lines).collect();
        assert_eq!(
            text.first().unwrap(),
            "dotnet nuget add source https://host/nuget/a%20b/v3/index.json --name 'a b' \
             --username api --password 'k'\\''; rm -rf ~' --store-password-in-clear-text"
        );
        assert!(text.iter().any(|line| line.contains("--source=https://host/nuget/a%20b/v2")));
        let open = lines("a", "http://host/nuget/a", None);
        let nuget = &open.iter().find(|setup| setup.client == "nuget").unwrap().lines[0];
        assert_eq!(nuget, "nuget sources add -Name a -Source http://host/nuget/a/v3/index.json");
    }
}
