use std::fmt::Write;

use hayloft_feed::native::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientPlace, CommentStyle,
};

use super::setup::USER;

/// The same file in the place of each client: dotnet has its own, nuget.exe under mono another.
pub(super) fn configurations(feed: &str, url: &str, key: Option<&str>) -> Vec<ClientConfiguration> {
    let configuration = |client, base, path: &str| {
        let change = |places: &[ClientPlace], lines| ClientChange {
            variable: None,
            base,
            path: path.to_owned(),
            comment: CommentStyle::Xml,
            lines,
            document: None,
            secret: key.is_some(),
            places: places.to_vec(),
            replaces: Vec::new(),
        };
        let mut changes = vec![change(&SOURCES, source(feed, url))];
        changes.extend(key.map(|key| change(&CREDENTIALS, credentials(feed, key))));
        ClientConfiguration { client, changes }
    };
    vec![
        configuration("dotnet", ClientBase::Home, ".nuget/NuGet/NuGet.Config"),
        configuration("nuget", ClientBase::Config, "NuGet/NuGet.Config"),
    ]
}

/// Into the section if there is one, else with it into the document.
const SOURCES: [ClientPlace; 3] = [
    ClientPlace::plain(Anchor::After("<packageSources>")),
    ClientPlace {
        anchor: Anchor::After("<configuration>"),
        before: "<packageSources>\n",
        after: "</packageSources>\n",
    },
    ClientPlace {
        anchor: Anchor::Empty,
        before: "<configuration>\n<packageSources>\n",
        after: "</packageSources>\n</configuration>\n",
    },
];

const CREDENTIALS: [ClientPlace; 2] = [
    ClientPlace::plain(Anchor::After("<packageSourceCredentials>")),
    ClientPlace {
        anchor: Anchor::After("<configuration>"),
        before: "<packageSourceCredentials>\n",
        after: "</packageSourceCredentials>\n",
    },
];

fn source(feed: &str, url: &str) -> String {
    let (feed, index) = (attribute(feed), attribute(&format!("{url}/v3/index.json")));
    // Clients from .NET 9 on refuse plain http otherwise; others do not look at it.
    let insecure =
        if url.starts_with("http://") { " allowInsecureConnections=\"true\"" } else { "" };
    format!("<add key=\"{feed}\" value=\"{index}\" protocolVersion=\"3\"{insecure} />\n")
}

fn credentials(feed: &str, key: &str) -> String {
    let (element, key) = (element(feed), attribute(key));
    format!(
        "<{element}>\n<add key=\"Username\" value=\"{USER}\" />\n\
         <add key=\"ClearTextPassword\" value=\"{key}\" />\n</{element}>\n"
    )
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// The name of a feed as that of an element, which its clients write with escapes.
fn element(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        let first = letter.is_ascii_alphabetic() || letter == '_';
        if first || (at > 0 && (letter.is_ascii_digit() || matches!(letter, '-' | '.'))) {
            text.push(letter);
        } else {
            // A text takes all that is written into it.
            let _ = write!(text, "_x{:04X}_", u32::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_elements() {
        assert_eq!(element("dev-1.x"), "dev-1.x");
        assert_eq!(element("1 a"), "_x0031__x0020_a");
    }
}
