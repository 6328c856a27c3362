use hayloft_feed::native::{ActionKind, ClientSetup, FeedCard, SampleRequest};

/// One request of each kind; `sample` is a package with version 1.0.0.
pub(super) fn samples() -> Vec<SampleRequest> {
    let reads = [
        "/sample",
        "/@scope%2fsample",
        "/sample/1.0.0",
        "/sample/latest",
        "/sample/-/sample-1.0.0.tgz",
        "/@scope/sample/-/sample-1.0.0.tgz",
        "/-/package/sample/dist-tags",
        "/-/v1/search?text=sample&size=20",
        "/-/ping",
        "/-/whoami",
        "/-/npm/v1/user",
        "/-/npm/v1/tokens",
        "/-/npm/v1/keys",
        "/-/user/org.couchdb.user:sample",
    ];
    let json = "application/json";
    let publish = r#"{"_id":"sample","name":"sample","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"sample","version":"1.0.0"}},"_attachments":{"sample-1.0.0.tgz":{"content_type":"application/octet-stream","data":"H4sIAAAAAAAAAwMAAAAAAAAAAAA=","length":20}}}"#;
    let document = r#"{"_id":"sample","name":"sample","versions":{"1.0.0":{"name":"sample","version":"1.0.0","deprecated":"old"}}}"#;
    let write = |method, path: &str, action| SampleRequest::action(method, path, action);
    let mut samples: Vec<_> = reads.into_iter().map(SampleRequest::read).collect();
    samples.extend([
        write("PUT", "/sample", ActionKind::Upload).body(json, publish),
        write("PUT", "/sample", ActionKind::SetStatus)
            .header("npm-command", "deprecate")
            .body(json, document),
        write("PUT", "/sample/-rev/1-0", ActionKind::Delete).body(json, document),
        write("DELETE", "/sample/-rev/1-0", ActionKind::Delete),
        write("DELETE", "/sample/-/sample-1.0.0.tgz/-rev/1-0", ActionKind::Delete),
        write("PUT", "/-/package/sample/dist-tags/next", ActionKind::Tag).body(json, r#""1.0.0""#),
        write("PUT", "/sample/next", ActionKind::Tag).body(json, r#""1.0.0""#),
        write("POST", "/-/package/sample/dist-tags", ActionKind::Tag)
            .body(json, r#"{"next":"1.0.0"}"#),
        write("PUT", "/-/package/sample/dist-tags", ActionKind::Tag)
            .body(json, r#"{"latest":"1.0.0"}"#),
        write("DELETE", "/-/package/sample/dist-tags/next", ActionKind::Tag),
        write("PUT", "/-/user/org.couchdb.user:sample", ActionKind::Ask)
            .body(json, r#"{"name":"sample","password":"key"}"#),
        write("DELETE", "/-/user/token/key", ActionKind::Ask),
        write("POST", "/-/npm/v1/tokens", ActionKind::Ask).body(json, r#"{"password":"key"}"#),
        write("DELETE", "/-/npm/v1/tokens/token/key", ActionKind::Ask),
        write("POST", "/-/npm/v1/user", ActionKind::Ask).body(json, r#"{"tfa":null}"#),
        write("POST", "/-/npm/v1/security/advisories/bulk", ActionKind::Ask).body(json, "{}"),
        write("POST", "/-/npm/v1/security/audits/quick", ActionKind::Ask).body(json, "{}"),
    ]);
    samples
}

pub(super) fn setup(_: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
    let key = key.unwrap_or("KEY");
    let Place { place, plain_host } = Place::of(url);
    let lines = |program: &str| {
        vec![
            format!("{program} config set registry {url}/"),
            format!("{program} config set //{place}/:_authToken {key}"),
        ]
    };
    // Yarn 1 reads the settings of npm for everything but its registry, and shows its token for
    // scoped packages only unless it is told to; npm itself takes that setting no more.
    let yarn_1 = vec![
        format!("yarn config set registry {url}/"),
        format!("npm config set //{place}/:_authToken {key}"),
        format!("echo '//{place}/:always-auth=true' >> ~/.npmrc"),
    ];
    let mut yarn = vec![
        format!("yarn config set npmRegistryServer {url}"),
        format!("yarn config set npmAuthToken {key}"),
        "yarn config set npmAlwaysAuth true".to_owned(),
    ];
    if let Some(host) = plain_host {
        yarn.push(format!("yarn config set unsafeHttpWhitelist --json '[\"{host}\"]'"));
    }
    vec![
        ClientSetup { client: "npm", lines: lines("npm") },
        ClientSetup { client: "pnpm", lines: lines("pnpm") },
        ClientSetup { client: "yarn1", lines: yarn_1 },
        ClientSetup { client: "yarn", lines: yarn },
    ]
}

/// Where a feed is, as settings name it.
pub(super) struct Place<'u> {
    /// URL without its scheme: what npm binds a token to.
    pub(super) place: &'u str,
    /// The host, if it is reached without encryption.
    pub(super) plain_host: Option<&'u str>,
}

impl<'u> Place<'u> {
    pub(super) fn of(url: &'u str) -> Self {
        let (scheme, place) = url.split_once("://").unwrap_or(("https", url));
        let host = place.split('/').next().unwrap_or(place);
        // What follows the last colon is a port, but for that inside an address of IPv6.
        let host = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => name,
            _ => host,
        };
        Self { place, plain_host: (scheme == "http").then_some(host) }
    }
}
