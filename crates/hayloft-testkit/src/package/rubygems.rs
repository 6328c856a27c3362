use sha2::{Digest, Sha256, Sha512};

use super::Package;
use super::containers::{Directories, borrowed, gzip, tar};

pub(super) fn package(package: &Package, platform: &str) -> Vec<u8> {
    let library = format!("lib/{}.rb", package.name);
    let code = format!("# {} {}\n", package.name, package.version).into_bytes();
    let mut files = vec![(library, code)];
    files.extend(package.files.iter().cloned());
    let metadata = gzip(metadata(package, platform, &files).as_bytes());
    let data = gzip(&tar(borrowed(&files), Directories::Implied));
    let sums = gzip(checksums(&metadata, &data).as_bytes());
    let members = [
        ("metadata.gz", metadata.as_slice()),
        ("data.tar.gz", data.as_slice()),
        ("checksums.yaml.gz", sums.as_slice()),
    ];
    tar(members.into_iter().chain(borrowed(&package.members)), Directories::Implied)
}

fn checksums(metadata: &[u8], data: &[u8]) -> String {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    format!(
        "---\nSHA256:\n  metadata.gz: '{}'\n  data.tar.gz: '{}'\n\
         SHA512:\n  metadata.gz: '{}'\n  data.tar.gz: '{}'\n",
        hex(&Sha256::digest(metadata)),
        hex(&Sha256::digest(data)),
        hex(&Sha512::digest(metadata)),
        hex(&Sha512::digest(data)),
    )
}

fn metadata(package: &Package, platform: &str, files: &[(String, Vec<u8>)]) -> String {
    let files: String = files.iter().map(|(path, _)| format!("- {path}\n")).collect();
    // Bare `1` and `1.0` would be YAML numbers.
    let version = if package.version.matches('.').count() < 2 {
        format!("'{}'", package.version)
    } else {
        package.version.clone()
    };
    format!(
        "--- !ruby/object:Gem::Specification\nname: {}\nversion: !ruby/object:Gem::Version\n  \
         version: {version}\nplatform: {platform}\nauthors:\n- Hayloft\nautorequire:\n\
         bindir: bin\ncert_chain: []\ndate: 1980-01-02 00:00:00.000000000 Z\n{}\
         description: A package for tests\nemail:\nexecutables: []\nextensions: []\n\
         extra_rdoc_files: []\nfiles:\n{files}homepage: https://example.org\nlicenses:\n- MIT\n\
         metadata: {{}}\npost_install_message:\nrdoc_options: []\nrequire_paths:\n- lib\n\
         required_ruby_version: !ruby/object:Gem::Requirement\n  requirements:\n  - - \">=\"\n    \
         - !ruby/object:Gem::Version\n      version: '0'\n\
         required_rubygems_version: !ruby/object:Gem::Requirement\n  requirements:\n  - - \">=\"\n    \
         - !ruby/object:Gem::Version\n      version: '0'\n\
         requirements: []\nrubygems_version: 3.5.0\nsigning_key:\nspecification_version: 4\n\
         summary: A package for tests\ntest_files: []\n",
        package.name,
        dependencies(package),
    )
}

/// The added fields; `dependencies` is empty unless it is one of them.
fn dependencies(package: &Package) -> String {
    let fields = package.line_fields();
    if package.fields.iter().any(|(name, _)| name == "dependencies") {
        fields
    } else {
        format!("dependencies: []\n{fields}")
    }
}
