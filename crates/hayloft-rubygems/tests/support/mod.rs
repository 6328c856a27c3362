//! Gems put together byte by byte, and the real client that reads them.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

/// The top of a specification; fields may follow.
pub(crate) const SPECIFICATION: &str = "--- !ruby/object:Gem::Specification\nname: hay\n\
    version: !ruby/object:Gem::Version\n  version: 1.0.0\nplatform: ruby\n";

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Tar members as written, with no library to correct them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.member(path, EntryType::Regular, "", content.as_ref())
    }

    pub(crate) fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.member(path, kind, target, b"")
    }

    pub(crate) fn member(self, path: &str, kind: EntryType, target: &str, data: &[u8]) -> Self {
        self.member_with(path, kind, target, data, |_| {})
    }

    pub(crate) fn member_with(
        mut self,
        path: &str,
        kind: EntryType,
        target: &str,
        data: &[u8],
        edit: impl FnOnce(&mut [u8; 512]),
    ) -> Self {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        edit(header.as_mut_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// The files of a sound gem, packed.
pub(crate) fn data() -> Vec<u8> {
    gzip(&Tar::default().file("lib/hay.rb", "module Hay; end\n").end())
}

/// A gem with this specification.
pub(crate) fn gem(specification: &str) -> Vec<u8> {
    Tar::default()
        .file("metadata.gz", gzip(specification.as_bytes()))
        .file("data.tar.gz", data())
        .end()
}

/// A gem with these files.
pub(crate) fn with_files(files: Tar) -> Vec<u8> {
    let specification = gzip(SPECIFICATION.as_bytes());
    Tar::default().file("metadata.gz", specification).file("data.tar.gz", gzip(&files.end())).end()
}

/// An error with all its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Reads each file named on a line of its input with the real library, and answers a line: what it
/// is, or `-` if it cannot be read.
const READ: &str = r#"
require "rubygems/package"
require "json"
ARGF.each_line do |path|
  begin
    $stderr = File.open(File::NULL, "w")
    spec = Gem::Package.new(path.chomp).spec
    needs = spec.runtime_dependencies.map { |d| [d.name, d.requirement.as_list.sort] }
    puts JSON.generate({ name: spec.name, version: spec.version.to_s,
      platform: spec.platform.to_s, needs: needs, ruby: spec.required_ruby_version.as_list.sort,
      files: Gem::Package.new(path.chomp).contents.sort })
  rescue Exception => e
    puts "- #{e.class}"
  end
end
"#;

/// What RubyGems reads in each file; `None`, with a printed reason, if it is not there.
pub(crate) fn read_by_rubygems(folder: &Path, gems: &[Vec<u8>]) -> Option<Vec<String>> {
    let ruby = Command::new("ruby").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !ruby.is_ok_and(|status| status.success()) {
        println!("skipped: no ruby on this machine");
        return None;
    }
    let mut list = String::new();
    for (at, gem) in gems.iter().enumerate() {
        let path = folder.join(format!("{at}.gem"));
        std::fs::write(&path, gem).unwrap();
        list.push_str(&format!("{}\n", path.display()));
    }
    let names = folder.join("names");
    std::fs::write(&names, list).unwrap();
    let output = Command::new("ruby").args(["-e", READ]).arg(&names).output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<String> = answers.lines().map(str::to_owned).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answers.len(), gems.len(), "{errors}");
    Some(answers)
}
