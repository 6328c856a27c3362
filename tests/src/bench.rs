use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Hayloft, Tree, tree};

/// A store with one feed, and a folder for what comes out of it.
#[derive(Debug)]
pub struct Bench {
    folder: TempDir,
    /// The program on that store.
    pub hayloft: Hayloft,
}

impl Bench {
    /// With a feed `dev` of this type.
    pub fn new(feed_type: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hayloft = Hayloft::on_store(&folder.path().join("store"));
        hayloft.ok(["feeds", "create", "--name=dev", &format!("--type={feed_type}")]);
        Self { folder, hayloft }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder inside of it.
    pub fn fresh(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs_err::create_dir_all(&path).unwrap();
        path
    }

    /// Uploads a file.
    pub fn upload(&self, file: &Path, options: &[&str]) {
        let file = format!("--input-file={}", file.display());
        let command = ["packages", "upload", "--feed=dev", &file];
        self.hayloft.ok(command.iter().chain(options));
    }

    /// Repackages all files of a version.
    pub fn repackage(&self, name: &str, from: &str, to: &str) {
        let [name, from] = [format!("--package={name}"), format!("--version={from}")];
        let to = format!("--new-version={to}");
        self.hayloft.ok(["packages", "repackage", "--feed=dev", &name, &from, &to]);
    }

    /// Downloads the only file of a version under the name that the server gives it.
    pub fn download(&self, name: &str, version: &str) -> PathBuf {
        let [name, version] = [format!("--package={name}"), format!("--version={version}")];
        let list = ["packages", "versions", "--feed=dev", &name, &version, "--json"];
        let found = self.hayloft.json(list);
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        let qualifier = found[0]["qualifier"].as_str().map(|text| format!("--qualifier={text}"));
        let folder = self.fresh("files");
        let to = format!("--output-file={}", folder.display());
        let command = ["packages", "download", "--feed=dev", &name, &version, &to, "--json"]
            .map(str::to_owned);
        let told = self.hayloft.json(command.into_iter().chain(qualifier));
        PathBuf::from(told["file"].as_str().unwrap())
    }

    /// Unpacks with a tool of the system.
    pub fn unpacked(&self, file: &Path, label: &str, unpack: impl Fn(&Path, &Path)) -> Tree {
        let folder = self.fresh(label);
        unpack(file, &folder);
        tree(&folder)
    }
}
