//! Each built-in feed type against the tables of hostile files; one that is left out fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use hayloft_testkit::{
    Package, Sample, Workshop, check_hostile, deb, gem, npm_tgz, nupkg, sdist, upack, wheel,
};
use hayloft_tests::{Request, Server};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How one format is put together.
struct Builder {
    package: fn() -> Package,
    /// Where entries that clients unpack begin; nothing where none are judged.
    entries: Option<&'static str>,
    /// Field and value of the manifest with so many of something.
    repeated: fn(usize) -> Vec<(&'static str, Package)>,
    nested: fn(usize) -> Vec<(&'static str, Package)>,
    ambiguous: fn() -> Vec<(&'static str, Vec<u8>)>,
    /// Where a file of zeros lies that a reader has to pass.
    swells: Option<&'static str>,
}

impl Builder {
    fn zeros(&self, count: usize) -> Option<Package> {
        Some((self.package)().file(self.swells?, vec![0; count]))
    }
}

fn sample(package: &Package) -> Sample {
    Sample::new(&package.file_name(), package.build()).hint("distribution", "sid")
}

impl Workshop for Builder {
    fn sound(&self) -> Sample {
        sample(&(self.package)())
    }

    fn with_entry(&self, path: &str) -> Option<Sample> {
        let below = self.entries?;
        // A path that does not begin where entries do is one of its own.
        let rooted = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
        let path = if rooted { path.to_owned() } else { format!("{below}{path}") };
        Some(sample(&(self.package)().file(&path, b"x".as_slice())))
    }

    fn swollen(&self, zeros: usize) -> Option<Sample> {
        Some(sample(&self.zeros(zeros)?))
    }

    fn repeated(&self, count: usize) -> Vec<(&'static str, Sample)> {
        let all = (self.repeated)(count).into_iter();
        all.map(|(what, package)| (what, sample(&package))).collect()
    }

    fn nested(&self, depth: usize) -> Vec<(&'static str, Sample)> {
        let all = (self.nested)(depth).into_iter();
        all.map(|(what, package)| (what, sample(&package))).collect()
    }

    fn ambiguous(&self) -> Vec<(String, Sample)> {
        let name = (self.package)().file_name();
        let of = |bytes| Sample::new(&name, bytes).hint("distribution", "sid");
        (self.ambiguous)().into_iter().map(|(what, bytes)| (what.to_owned(), of(bytes))).collect()
    }

    fn heap(&self, work: &mut dyn FnMut()) -> Option<u64> {
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        work();
        u64::try_from(ALLOCATOR.peak_usage().saturating_sub(before)).ok()
    }
}

/// Memory and time are those of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(package: fn() -> Package, count: usize) -> Vec<(&'static str, Package)> {
    let list = |element: &str| format!("[{}{element}]", format!("{element},").repeat(count));
    let members: Vec<_> = (0..count).map(|number| format!("\"k{number}\":0")).collect();
    vec![
        ("numbers", package().field("x", &list("0"))),
        ("empty lists", package().field("x", &list("[]"))),
        ("empty objects", package().field("x", &list("{}"))),
        ("members", package().field("x", &format!("{{{}}}", members.join(",")))),
        ("keywords", package().field("keywords", &list("\"a\""))),
        ("tags", package().field("tags", &list("\"a\""))),
        ("texts with escapes", package().field("x", &list("\"\\u0061\""))),
    ]
}

fn nested_json(package: fn() -> Package, depth: usize) -> Vec<(&'static str, Package)> {
    vec![
        ("lists", package().field("x", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)))),
        (
            "objects",
            package().field("x", &format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth))),
        ),
    ]
}

fn lines(package: fn() -> Package, count: usize) -> Vec<(&'static str, Package)> {
    let mut many = package();
    for number in 0..count.min(60_000) {
        many = many.field(&format!("X-{number}"), "y");
    }
    let long = vec!["a"; count].join(", ");
    vec![("fields", many), ("words of one field", package().field("Keywords", &long))]
}

fn twice(bytes: &[u8]) -> Vec<u8> {
    [bytes, bytes].concat()
}

fn npm() -> Package {
    npm_tgz("hay", "1.0.0")
}

fn universal() -> Package {
    upack("", "hay", "1.0.0")
}

fn nuget() -> Package {
    nupkg("hay", "1.0.0")
}

fn python_wheel() -> Package {
    wheel("hay", "1.0.0")
}

fn python_sdist() -> Package {
    sdist("hay", "1.0.0")
}

fn debian() -> Package {
    deb("hay", "1.0.0", "all")
}

fn ruby() -> Package {
    gem("hay", "1.0.0", "ruby")
}

/// How the formats of a feed type are put together.
#[expect(clippy::too_many_lines, reason = "a table")]
fn workshops(tag: &str) -> Vec<Builder> {
    let none = |_| Vec::new();
    match tag {
        "npm" => vec![Builder {
            package: npm,
            entries: Some("package/"),
            repeated: |count| json(npm, count),
            nested: |depth| nested_json(npm, depth),
            ambiguous: || {
                vec![
                    ("two manifests", npm().file("package/package.json", b"{}".as_slice()).build()),
                    (
                        "a manifest in another root",
                        npm().file("./package.json", b"{}".as_slice()).build(),
                    ),
                ]
            },
            swells: Some("package/zeros"),
        }],
        "universal" => vec![Builder {
            package: universal,
            entries: Some("package/"),
            repeated: |count| json(universal, count),
            nested: |depth| nested_json(universal, depth),
            ambiguous: || {
                let file = universal().build();
                vec![
                    (
                        "another manifest",
                        universal().file("./upack.json", b"{}".as_slice()).build(),
                    ),
                    ("two archives", twice(&file)),
                ]
            },
            swells: None,
        }],
        "nuget" => vec![Builder {
            package: nuget,
            entries: Some("content/"),
            repeated: |count| {
                let tags = "a ".repeat(count);
                let groups = "<group/>".repeat(count);
                vec![
                    ("tags", nuget().field("tags", &tags)),
                    ("groups", nuget().field("dependencies", &groups)),
                ]
            },
            nested: |depth| {
                let nested = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
                vec![("elements", nuget().field("x", &nested))]
            },
            ambiguous: || {
                vec![
                    (
                        "two manifests",
                        nuget().file("other.nuspec", b"<package/>".as_slice()).build(),
                    ),
                    (
                        "names that differ by case",
                        nuget().file("HAY.nuspec", b"x".as_slice()).build(),
                    ),
                    ("two archives", twice(&nuget().build())),
                ]
            },
            swells: None,
        }],
        "pypi" => vec![
            Builder {
                package: python_wheel,
                entries: Some(""),
                repeated: |count| lines(python_wheel, count),
                nested: none,
                ambiguous: || {
                    let other = "hay-1.0.0.dist-info/../hay-1.0.0.dist-info/METADATA";
                    vec![
                        (
                            "another spelling of a file",
                            python_wheel().file(other, b"x".as_slice()).build(),
                        ),
                        ("two archives", twice(&python_wheel().build())),
                    ]
                },
                swells: None,
            },
            Builder {
                package: python_sdist,
                entries: Some(""),
                repeated: |count| lines(python_sdist, count),
                nested: none,
                ambiguous: || vec![("two archives", twice(&python_sdist().build()))],
                swells: Some("hay-1.0.0/zeros"),
            },
        ],
        "rubygems" => vec![Builder {
            package: ruby,
            entries: Some(""),
            repeated: |count| {
                let list = "\n- a".repeat(count);
                vec![("texts of a list", ruby().field("x_list", &list))]
            },
            nested: |depth| {
                let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
                vec![("lists", ruby().field("x_list", &nested))]
            },
            ambiguous: || {
                vec![
                    ("two specifications", ruby().member("metadata.gz", b"x".as_slice()).build()),
                    (
                        "a specification in two forms",
                        ruby().member("metadata", b"x".as_slice()).build(),
                    ),
                ]
            },
            swells: None,
        }],
        "debian" => vec![Builder {
            package: debian,
            // dpkg unpacks them into `/` as root, beside scripts that root runs.
            entries: None,
            repeated: |count| lines(debian, count),
            nested: none,
            ambiguous: || {
                vec![
                    (
                        "two control archives",
                        debian().member("control.tar.gz", b"x".as_slice()).build(),
                    ),
                    ("two data archives", debian().member("data.tar.xz", b"x".as_slice()).build()),
                    ("two archives", twice(&debian().build())),
                ]
            },
            swells: Some("usr/share/zeros"),
        }],
        other => panic!("the feed type {other} has no hostile files; add a workshop for it here"),
    }
}

/// A server that is sent all of it goes on; what each file costs it is printed.
#[test]
fn a_server_withstands_hostile_files() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("store"));
    let mut costs = Vec::new();
    for feed_type in hayloft::feed_types().iter() {
        let tag = feed_type.tag();
        server.create_feed(tag, tag);
        for workshop in workshops(tag) {
            let named = |(what, package): (&str, Package)| (what.to_owned(), package.build());
            let mut files = vec![("nothing odd".to_owned(), (workshop.package)().build())];
            files.extend((workshop.repeated)(60_000).into_iter().map(named));
            files.extend((workshop.nested)(100_000).into_iter().map(named));
            let ambiguous = (workshop.ambiguous)().into_iter();
            files.extend(ambiguous.map(|(what, bytes)| (what.to_owned(), bytes)));
            let zeros = workshop.zeros(96 << 20).map(|package| package.build());
            files.extend(zeros.map(|bytes| ("96 MiB of zeros".to_owned(), bytes)));
            let name = (workshop.package)().file_name();
            for (what, bytes) in files {
                let length = bytes.len();
                let begun = server.process().processor_time();
                let target = format!("/api/packages/{tag}/upload?filename={name}&distribution=sid");
                let sent = server.send(Request::put(&target, bytes));
                assert!(sent.status < 500, "{tag}, {what}: {}", sent.text());
                let next = costs.len();
                let again = format!(r#""name":"hay","version":"1.0.0","newVersion":"1.1.{next}""#);
                let again = format!(r#"{{"feed":"{tag}",{again}}}"#);
                let again = server.send(Request::post("/api/repackaging/repackage").json(&again));
                assert!(again.status < 500, "{tag}, {what}: {}", again.text());
                let odd = what != "nothing odd";
                assert!(odd || (sent.status, again.status) == (200, 200), "{}", again.text());
                let cost = server.process().processor_time().saturating_sub(begun);
                costs.push((
                    cost,
                    format!("{tag}, {what}: {length} bytes, {}, {}", sent.status, again.status),
                ));
            }
        }
    }
    costs.sort();
    for (cost, what) in costs.iter().rev() {
        println!("{cost:?} of processor: {what}");
    }
    server.get("/health");
}

#[test]
fn every_feed_type_withstands_hostile_files() {
    let _alone = alone();
    let types = hayloft::feed_types();
    let mut failed = Vec::new();
    for feed_type in types.iter() {
        for workshop in workshops(feed_type.tag()) {
            let check = || check_hostile(feed_type.as_ref(), &workshop);
            if let Err(error) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
                let text = error.downcast_ref::<String>().cloned().unwrap_or_default();
                failed.push(format!("{}: {text}", feed_type.tag()));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
