use std::env;
use std::path::{Path, PathBuf};

/// The packages of one feed type.
#[derive(Debug)]
pub struct Ecosystem {
    /// Tag of the feed type.
    pub feed_type: &'static str,
    /// A prerelease that no package of the corpus has.
    pub candidate: &'static str,
    /// A release that no package of the corpus has.
    pub release: &'static str,
    /// Options of an upload.
    pub upload: &'static [&'static str],
    /// In the order of the indexes.
    pub rows: Vec<Row>,
}

/// One file, as its index describes it.
#[derive(Debug)]
pub struct Row {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name.
    pub file: String,
    /// Lower-case hex.
    pub sha256: String,
    /// With the group before it.
    pub name: String,
    /// As indexed.
    pub version: String,
    /// Options that name this file among those of its version.
    pub options: Vec<String>,
    /// What an upload of it does.
    pub verdict: Verdict,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored and can be repackaged.
    Sound,
    /// It is stored with another file, and goes where that goes.
    Companion,
    /// It is stored, but repackaging is refused for this reason.
    Fixed(&'static str),
    /// It is refused for this reason.
    Broken(&'static str),
}

const DEBIAN: &[&str] = &["--distribution=bookworm", "--component=contrib"];

/// The whole corpus, which `HAYLOFT_CORPUS` names; says so and gives nothing if it is absent.
pub fn ecosystems() -> Vec<Ecosystem> {
    let corpus = env::var_os("HAYLOFT_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"),
        PathBuf::from,
    );
    if !corpus.is_dir() {
        println!("skipped: there is no corpus at {}; see HAYLOFT_CORPUS", corpus.display());
        return Vec::new();
    }
    let ecosystem = |feed_type, candidate, release, upload, folders: &[&str]| Ecosystem {
        feed_type,
        candidate,
        release,
        upload,
        rows: folders.iter().flat_map(|folder| rows(&corpus.join(folder), feed_type)).collect(),
    };
    vec![
        ecosystem("nuget", "77.1.0-rc.1", "77.1.0", &[], &["nuget"]),
        ecosystem("universal", "77.1.0-rc.1", "77.1.0", &[], &["upack"]),
        ecosystem("npm", "77.1.0-rc.1", "77.1.0", &[], &["npm"]),
        ecosystem("pypi", "77.1rc1", "77.1", &[], &["pypi"]),
        ecosystem("debian", "7:77.1~rc.1-1", "7:77.1-1", DEBIAN, &["debian", "debian/odd"]),
        ecosystem("rubygems", "77.1.0.rc1", "77.1.0", &[], &["rubygems", "rubygems/odd"]),
    ]
}

fn rows(folder: &Path, feed_type: &str) -> Vec<Row> {
    let index = fs_err::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut lines = index.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let cell = |name: &str| {
                let at = columns.iter().position(|column| *column == name)?;
                cells.get(at).copied()
            };
            let file = cell("file").unwrap().to_owned();
            let about = [cell("verdict"), cell("remarks")].map(Option::unwrap_or_default);
            let options = match feed_type {
                "debian" => vec![
                    format!("--arch={}", cell("arch").unwrap()),
                    "--distro=bookworm".to_owned(),
                    "--component=contrib".to_owned(),
                ],
                "pypi" => vec![format!("--filename={file}")],
                "rubygems" => vec![format!("--platform={}", platform(&file, cell("platform")))],
                _ => Vec::new(),
            };
            Row {
                path: folder.join(&file),
                sha256: cell("sha256").unwrap().to_owned(),
                name: cell("name").or(cell("id")).unwrap().to_owned(),
                version: cell("version").unwrap().to_owned(),
                options,
                verdict: verdict(feed_type, &file, about),
                file,
            }
        })
        .collect()
}

/// One gem writes its platform as a mapping, which the index gives as `ruby`.
fn platform(file: &str, indexed: Option<&str>) -> String {
    match file {
        "ok-platform-array.gem" => "x86-mswin32-60".to_owned(),
        _ => indexed.unwrap().to_owned(),
    }
}

/// What the index says, in the words that each type's index has for it.
fn verdict(feed_type: &str, file: &str, [verdict, remarks]: [&str; 2]) -> Verdict {
    let broken = match feed_type {
        "nuget" => remarks.starts_with("NEGATIVE"),
        "debian" => verdict.ends_with("reject") || verdict.ends_with("policy forbids"),
        "rubygems" if verdict.is_empty() => {
            ["must be rejected", "gem refuses it", "pre-0.8 format"]
                .iter()
                .any(|words| remarks.contains(words))
        }
        "rubygems" => verdict != "accept",
        _ => false,
    };
    let reason = REFUSALS.iter().find(|(refused, _)| *refused == file).map(|(_, reason)| *reason);
    match (broken, reason) {
        (true, Some(reason)) => Verdict::Broken(reason),
        (true, None) => panic!("{file}: {verdict} {remarks}: the reason of its refusal is unknown"),
        (false, Some(_)) => panic!("{file}: is refused, but its index says: {verdict} {remarks}"),
        (false, None) if file.ends_with(".snupkg") => Verdict::Companion,
        (false, None) if COMPUTED.contains(&file) => {
            Verdict::Fixed("the source distribution computes its version")
        }
        (false, None) => Verdict::Sound,
    }
}

/// Source distributions whose code computes the version.
const COMPUTED: [&str; 7] = [
    "ordereddict-1.1.tar.gz",
    "six-1.16.0.tar.gz",
    "zope.event-4.5.0.tar.gz",
    "Flask-Login-0.4.1.tar.gz",
    "azure-nspkg-3.0.2.zip",
    "pyreadline-2.1.zip",
    "foursquare-1!2020.1.30.tar.gz",
];

/// What the refusal of each broken file says.
const REFUSALS: &[(&str, &str)] = &[
    ("Zip64Package.Corrupted.1.0.0.nupkg", "zip64 locator points outside the file"),
    ("DuplicateReadmeFiles.nupkg", "more than one entry `README.md`"),
    ("PackageWithDoubleBackwardSlash.1.0.0.nupkg", "two backslashes in a row"),
    ("PackageWithDoubleForwardSlash.1.0.0.nupkg", "more than one entry `lib/malformedfile.txt`"),
    (
        "InvalidDependencyVersionRange.0.1.0.nupkg",
        "`NuGet.Versioning` has the version range `[15.106.0.preview]`",
    ),
    ("EmptyDependencyId.0.1.0.nupkg", "a dependency with the id ``: is empty"),
    ("lax-uppercase-name.deb", "has `Z` at position 0"),
    ("bad-no-architecture.deb", "the control file has no `Architecture` field"),
    ("bad-no-version.deb", "the control file has no `Version` field"),
    ("bad-no-package.deb", "the control file has no `Package` field"),
    ("bad-two-stanzas.deb", "has a second stanza at line "),
    ("bad-duplicate-field.deb", "has the field `Version` a second time in line "),
    ("bad-comment-line.deb", "has a comment in line "),
    ("bad-empty-value.deb", "has no value for the field `"),
    ("bad-blank-line-in-value.deb", "of blanks only; write ` .`"),
    ("bad-no-final-newline.deb", "lacks the newline at the end of its last line "),
    ("bad-arch-wildcard.deb", "is no architecture that a binary package can have"),
    ("bad-arch-list.deb", "is not one word of"),
    ("bad-version-underscore.deb", "has `_` in its upstream version"),
    ("bad-name-slash.deb", "has `/` at position "),
    ("bad-format-3.0.deb", "`debian-binary` holds `3.0\\n`"),
    ("bad-debian-binary-no-newline.deb", "`debian-binary` holds `2.0`"),
    ("bad-member-between.deb", "stands where `data.tar` must"),
    ("bad-data-before-control.deb", "stands where `control.tar` must"),
    ("bad-two-control-members.deb", "the member `control.tar."),
    ("bad-no-data.deb", "there is no `data.tar` member"),
    ("bad-control-bz2.deb", "the member `control.tar.bz2` is compressed in a way"),
    ("bad-truncated.deb", "entry `data.tar.xz` of the ar archive is damaged: its data is cut off"),
    ("bad-ar-size-not-digit.deb", "its size is not a decimal number"),
    ("bad-ar-fmag.deb", "a member header does not end as it must"),
    ("bad-odd-no-pad.deb", "its padding is missing"),
    ("bad-characters-1.0.0.gem", "a header has a wrong checksum"),
    ("bad-date-1.0.0.gem", "`1017-13-09 00:00:00.000000000 Z` is not a date"),
    ("broken-1.0.0.gem", "the gem has no `metadata.gz`"),
    ("dos-1.0.0.gem", "the gem has no `data.tar.gz`"),
    ("exploit.gem", "the gem has no `data.tar.gz`"),
    ("ill-formatted-platform-1.0.0.10.gem", "is not text or a mapping of cpu, os and version"),
    ("one-ruby-0.0.1.gem", "the format before RubyGems 0.8; build the gem anew"),
    ("bad-alias-bomb.gem", "line 40: an alias is allowed inside requirements only"),
    ("bad-both-metadata-kinds.gem", "the gem has more than one `metadata.gz`"),
    ("bad-checksum-mismatch.gem", "the SHA256 of `metadata.gz` is not the one in"),
    ("bad-class-openstruct.gem", "tag `!ruby/object:OpenStruct` is not allowed"),
    ("bad-data-not-gzip.gem", "invalid gzip header"),
    ("bad-data-traversal.gem", "`../../evil.rb` in `data.tar.gz` contains `..`"),
    ("bad-duplicate-metadata.gem", "the gem has more than one `metadata.gz`"),
    ("bad-extra-member.gem", "a gem has no member `surprise.txt`"),
    ("bad-metadata-12mb.gem", "`metadata.gz` is larger than the limit of "),
    ("bad-name-missing.gem", "the specification has no `name`"),
    ("bad-name-path.gem", "the gem's name `../evil` is not valid"),
    ("bad-no-data.gem", "the gem has no `data.tar.gz`"),
    ("bad-no-metadata.gem", "the gem has no `metadata.gz`"),
    ("bad-not-a-spec.gem", "the metadata is not a Gem::Specification"),
    ("bad-platform-path.gem", "the gem's platform `../../x` is not valid"),
    ("bad-symbol.gem", "symbol `:evil` is not allowed"),
    ("bad-truncated.gem", "it is cut off within a header"),
    ("bad-version-dash-path.gem", "the gem's version `1.0/../../x` is not valid"),
    ("bad-version-newline.gem", "the gem's version `1.0\\n2.0` is not valid"),
];
