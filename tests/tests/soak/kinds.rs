//! The six types: their packages, the spellings of versions, and where their clients ask.

use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, upack, wheel};

/// What a feed can hold.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub tag: &'static str,
    build: fn(&str, &str) -> Package,
    candidate: &'static str,
    /// Below the server's address; `{feed}` and `{name}` are filled in.
    native: &'static str,
}

pub const KINDS: [Kind; 6] = [
    Kind {
        tag: "nuget",
        build: nupkg,
        candidate: "-rc.1",
        native: "/nuget/{feed}/v3/flat/{name}/index.json",
    },
    Kind { tag: "npm", build: npm_tgz, candidate: "-rc.1", native: "/npm/{feed}/{name}" },
    Kind { tag: "pypi", build: wheel, candidate: "rc1", native: "/pypi/{feed}/simple/{name}/" },
    Kind {
        tag: "debian",
        build: |name, version| deb(name, version, "all"),
        candidate: "~rc1",
        native: "/debian/{feed}/dists/stable/Release",
    },
    Kind {
        tag: "rubygems",
        build: |name, version| gem(name, version, "ruby"),
        candidate: ".rc1",
        native: "/rubygems/{feed}/info/{name}",
    },
    Kind {
        tag: "universal",
        build: |name, version| upack("", name, version),
        candidate: "-rc.1",
        native: "/upack/{feed}/versions?group=&name={name}",
    },
];

impl Kind {
    /// The feed that one client alone publishes to.
    pub fn own_feed(&self, client: usize) -> String {
        format!("{}-{client}", self.tag)
    }

    /// The feed that all promote to.
    pub fn released(&self) -> String {
        format!("{}-released", self.tag)
    }

    /// The feed of strangers, of which nothing is expected.
    pub fn strange(&self) -> String {
        format!("{}-strange", self.tag)
    }

    /// A version before its release, and the release.
    pub fn versions(&self, number: u64) -> (String, String) {
        (format!("1.{number}.0{}", self.candidate), format!("1.{number}.0"))
    }

    /// A package file, the same whenever it is built.
    pub fn file(&self, name: &str, version: &str, size: usize) -> Vec<u8> {
        (self.build)(name, version).payload(size).build()
    }

    /// A file that unfolds to far more than it is.
    pub fn swollen(&self, name: &str) -> Vec<u8> {
        (self.build)(name, "1.0.0").payload(10).file(self.inside(), vec![0; 4 << 20]).build()
    }

    fn inside(&self) -> &'static str {
        match self.tag {
            "npm" => "package/zeros",
            "debian" => "./usr/zeros",
            _ => "zeros",
        }
    }

    /// What this type's client asks for a package.
    pub fn native(&self, feed: &str, name: &str) -> String {
        self.native.replace("{feed}", feed).replace("{name}", name)
    }
}
