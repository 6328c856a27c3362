//! Packages in code: one builder for all ecosystems, one file per format.

mod containers;
mod debian;
mod npm;
mod nuget;
mod publish;
mod pypi;
mod rubygems;
mod streamed;
mod universal;

pub(crate) use containers::gzip;
pub use streamed::{StreamedUpack, streamed_upack};

use hayloft_feed::json::quoted;

use crate::damage::Noise;

/// A small package that its ecosystem's own tools accept, before it is written.
#[derive(Debug, Clone)]
pub struct Package {
    format: Format,
    group: String,
    name: String,
    version: String,
    fields: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    members: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    Nupkg,
    Snupkg,
    Upack,
    Vpack { contents: String },
    Npm,
    Wheel,
    Sdist,
    Deb { architecture: String },
    Gem { platform: String },
}

/// A NuGet package with an empty library folder.
pub fn nupkg(id: &str, version: &str) -> Package {
    Package::new(Format::Nupkg, "", id, version)
}

/// The symbol package of a NuGet package.
pub fn snupkg(id: &str, version: &str) -> Package {
    Package::new(Format::Snupkg, "", id, version)
}

/// A universal package; `group` may be empty.
pub fn upack(group: &str, name: &str, version: &str) -> Package {
    Package::new(Format::Upack, group, name, version)
}

/// A virtual universal package; `contents` is the JSON array of what it is assembled from.
pub fn vpack(group: &str, name: &str, version: &str, contents: &str) -> Package {
    Package::new(Format::Vpack { contents: contents.to_owned() }, group, name, version)
}

/// An npm package; `name` may begin with a scope, as in `@scope/name`.
pub fn npm_tgz(name: &str, version: &str) -> Package {
    Package::new(Format::Npm, "", name, version)
}

/// A pure Python wheel with one module. The version is given in normal form.
pub fn wheel(name: &str, version: &str) -> Package {
    Package::new(Format::Wheel, "", name, version)
}

/// A Python source distribution with one module and its own build backend, so that installing it
/// needs no network. The version is given in normal form.
pub fn sdist(name: &str, version: &str) -> Package {
    Package::new(Format::Sdist, "", name, version)
}

/// A Debian binary package with a file below `/usr/share`.
pub fn deb(name: &str, version: &str, architecture: &str) -> Package {
    Package::new(Format::Deb { architecture: architecture.to_owned() }, "", name, version)
}

/// A Ruby gem with one library file; `platform` is `ruby` for all platforms.
pub fn gem(name: &str, version: &str, platform: &str) -> Package {
    Package::new(Format::Gem { platform: platform.to_owned() }, "", name, version)
}

impl Package {
    fn new(format: Format, group: &str, name: &str, version: &str) -> Self {
        Self {
            format,
            group: group.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            fields: Vec::new(),
            files: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Adds `size` bytes of content that do not compress, where the ecosystem puts content.
    #[must_use]
    pub fn payload(self, size: usize) -> Self {
        let mut noise = Noise(0x1234_5678_9abc_def1);
        let bytes: Vec<u8> = (0..size).map(|_| noise.byte()).collect();
        let path = match &self.format {
            Format::Nupkg | Format::Snupkg => "content/payload.bin".to_owned(),
            Format::Upack | Format::Vpack { .. } | Format::Npm => "package/payload.bin".to_owned(),
            Format::Wheel => format!("{}/payload.bin", pypi::module(&self.name)),
            Format::Deb { .. } => format!("./usr/share/{}/payload.bin", self.name),
            Format::Sdist | Format::Gem { .. } => "payload.bin".to_owned(),
        };
        self.file(&path, bytes)
    }

    /// Adds a file at `path`: of the archive for nuget, universal, npm (beginning with `package/`)
    /// and wheels, below the top directory of a source distribution, of the inner data archive of
    /// a `.deb` (beginning with `./`) or gem.
    #[must_use]
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), bytes.into()));
        self
    }

    /// Adds a member at the end of the outer archive of a `.deb` or gem, such as `_gpgorigin` or
    /// `data.tar.gz.sig`; elsewhere the same as [`Package::file`].
    #[must_use]
    pub fn member(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let outer = matches!(self.format, Format::Deb { .. } | Format::Gem { .. });
        let list = if outer { &mut self.members } else { &mut self.files };
        list.push((name.to_owned(), bytes.into()));
        self
    }

    /// Adds a field to the manifest, in the manifest's own syntax: JSON text in `upack.json` and
    /// `package.json`, XML text in a nuspec, header text in `METADATA` and `control`, YAML in a
    /// gem. A field that the builder writes itself cannot be replaced.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the ecosystem's own packing tool calls the file.
    pub fn file_name(&self) -> String {
        let Self { name, version, .. } = self;
        match &self.format {
            Format::Nupkg => format!("{name}.{version}.nupkg"),
            Format::Snupkg => format!("{name}.{version}.snupkg"),
            Format::Upack => format!("{name}-{version}.upack"),
            Format::Vpack { .. } => format!("{name}-{version}.vpack"),
            Format::Npm => {
                format!("{}-{version}.tgz", name.trim_start_matches('@').replace('/', "-"))
            }
            Format::Wheel => format!("{}-{version}-py3-none-any.whl", pypi::module(name)),
            Format::Sdist => format!("{}-{version}.tar.gz", pypi::module(name)),
            Format::Deb { architecture } => {
                let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
                format!("{name}_{version}_{architecture}.deb")
            }
            Format::Gem { platform } if platform == "ruby" => format!("{name}-{version}.gem"),
            Format::Gem { platform } => format!("{name}-{version}-{platform}.gem"),
        }
    }

    /// The file. Equal packages give equal bytes.
    pub fn build(&self) -> Vec<u8> {
        match &self.format {
            Format::Nupkg => nuget::package(self),
            Format::Snupkg => nuget::symbols(self),
            Format::Upack => universal::package(self),
            Format::Vpack { contents } => universal::virtual_package(self, contents),
            Format::Npm => npm::package(self),
            Format::Wheel => pypi::wheel(self),
            Format::Sdist => pypi::sdist(self),
            Format::Deb { architecture } => debian::package(self, architecture),
            Format::Gem { platform } => rubygems::package(self, platform),
        }
    }

    /// The added fields as further properties of a JSON object, each with a comma before it.
    fn json_fields(&self) -> String {
        self.fields.iter().map(|(name, value)| format!(",\n  {}: {value}", quoted(name))).collect()
    }

    /// The added fields as `name: value` lines.
    fn line_fields(&self) -> String {
        self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }
}
