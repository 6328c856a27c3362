use hayloft_feed::native::{ActionKind, ClientSetup, FeedCard, SampleRequest};

/// One request of each kind.
pub(super) fn samples() -> Vec<SampleRequest> {
    let digest = "0".repeat(64);
    let (half, _) = digest.split_at(32);
    let index = "/dists/stable/main/binary-amd64";
    let reads = [
        "/dists/stable/InRelease".to_owned(),
        "/dists/stable/Release".to_owned(),
        "/dists/stable/Release.gpg".to_owned(),
        format!("{index}/Packages"),
        format!("{index}/Packages.gz"),
        format!("{index}/by-hash/SHA256/{digest}"),
        format!("/pool/main/s/sample/{half}/sample_1.0.0_all.deb"),
        "/keys/sample.asc".to_owned(),
        "/keys/sample.gpg".to_owned(),
    ];
    let media_type = "application/vnd.debian.binary-package";
    let upload = |method, path| {
        SampleRequest::action(method, path, ActionKind::Upload).body(media_type, "!<arch>\n")
    };
    let mut samples: Vec<_> = reads.into_iter().map(SampleRequest::read).collect();
    samples.push(upload("PUT", "/upload/stable/main"));
    samples.push(upload("POST", "/upload/stable/main/sample_1.0.0_all.deb"));
    samples
}

pub(super) fn setup(feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
    let name = file_name(&feed.name);
    let signed = format!("/etc/apt/keyrings/hayloft-{name}.asc");
    let source = format!("/etc/apt/sources.list.d/hayloft-{name}.sources");
    let login = format!("/etc/apt/auth.conf.d/hayloft-{name}.conf");
    let segment = hayloft_feed::native::encoded(&feed.name);
    let key = key.unwrap_or("KEY");
    let credential = format!("-H 'X-ApiKey: {key}' ");
    let mut apt = vec![
        "# as root; distribution and component as they were uploaded to".to_owned(),
        "install -d -m 755 /etc/apt/auth.conf.d".to_owned(),
        format!("install -m 600 /dev/null {login}"),
        // Without a scheme apt sends it over https alone.
        format!("printf 'machine {url}/ login api password {key}\\n' > {login}"),
    ];
    let trust = if cfg!(feature = "openpgp") {
        apt.push("install -d -m 755 /etc/apt/keyrings".to_owned());
        apt.push(format!("curl -fsS {credential}-o {signed} {url}/keys/{segment}.asc"));
        format!("Signed-By: {signed}\\n")
    } else {
        "Trusted: yes\\n".to_owned()
    };
    apt.push(format!(
        "printf 'Types: deb\\nURIs: {url}\\nSuites: stable\\nComponents: main\\n{trust}' > {source}"
    ));
    apt.push("apt-get update".to_owned());
    let curl = vec![format!("curl -fsS {credential}-T FILE.deb {url}/upload/stable/main/")];
    vec![ClientSetup { client: "apt", lines: apt }, ClientSetup { client: "curl", lines: curl }]
}

/// apt takes no other characters in the names of its files.
fn file_name(feed: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    feed.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_all_that_apt_needs() {
        let setups =
            setup(&FeedCard::new("My feed"), "http://host:8624/debian/My%20feed", Some("k1"));
        let apt = setups.first().unwrap().lines.join("\n");
        for part in [
            "machine http://host:8624/debian/My%20feed/ login api password k1",
            "URIs: http://host:8624/debian/My%20feed",
            "/etc/apt/sources.list.d/hayloft-My-feed.sources",
            "apt-get update",
        ] {
            assert!(apt.contains(part), "{apt}");
        }
        let without = setup(&FeedCard::new("a"), "http://h/debian/a", None);
        assert!(without.first().unwrap().lines.join("\n").contains("api password KEY"));
    }
}
