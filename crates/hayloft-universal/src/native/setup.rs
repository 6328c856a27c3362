use hayloft_feed::native::{ActionKind, ClientSetup, FeedCard, SampleRequest};

/// One request of each kind; `sample` is a package with version 1.0.0.
pub(super) fn samples() -> Vec<SampleRequest> {
    let reads = [
        "/packages",
        "/packages?group=&name=sample",
        "/versions?group=&name=sample",
        "/versions?group=&name=sample&version=1.0.0&includeFileList=true",
        "/search?term=sample",
        "/meta",
        "/download/sample/1.0.0",
        "/download/sample?latest",
        "/download/sample/1.0.0?contentOnly=zip",
        "/download/sample/1.0.0?contentOnly=tgz",
        "/download-file/sample/1.0.0?path=upack.json",
        "/download-file/sample?latest&path=upack.json",
        "/download-vpack/virtual/1.0.0",
    ];
    let mut samples: Vec<_> = reads.into_iter().map(SampleRequest::read).collect();
    let write = |method, path: &str, action| {
        SampleRequest::action(method, path, action).body("application/zip", "PK")
    };
    samples.extend([
        write("PUT", "/upload", ActionKind::Upload),
        write("POST", "/upload", ActionKind::Upload),
        write("PUT", "/upload/sample/1.0.0", ActionKind::Upload),
        SampleRequest::action("DELETE", "/delete/sample/1.0.0", ActionKind::Delete),
        SampleRequest::action("POST", "/delete/sample/1.0.0", ActionKind::Delete),
    ]);
    samples
}

pub(super) fn setup(feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
    let key = key.unwrap_or("KEY");
    let name = &feed.name;
    let server = url.strip_suffix(&format!("/upack/{name}")).unwrap_or(url);
    vec![
        ClientSetup {
            client: "pgutil",
            lines: vec![
                format!(
                    "pgutil sources add --name={name} --url={server} --feed={name} --api-key={key}"
                ),
                format!("pgutil packages upload --source={name} --input-file=PACKAGE.upack"),
                format!("pgutil upack install --source={name} --package=PACKAGE --target=FOLDER"),
            ],
        },
        ClientSetup {
            client: "curl",
            lines: vec![
                format!("curl --fail -T PACKAGE.upack -H 'X-ApiKey: {key}' {url}/upload"),
                format!("curl --fail -O -J -H 'X-ApiKey: {key}' '{url}/download/PACKAGE?latest'"),
            ],
        },
    ]
}
