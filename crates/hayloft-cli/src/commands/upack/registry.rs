use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;
use fs_err as fs;
use hayloft::Limits;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Bytes of a register.
const LARGEST: u64 = 64 << 20;
/// From this age on nobody is taken to hold a lock any more.
const STALE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Registration {
    #[serde(default)]
    pub(super) group: Option<String>,
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) feed_url: Option<String>,
    #[serde(default)]
    pub(super) installation_date: Option<String>,
    #[serde(default)]
    pub(super) installation_reason: Option<String>,
    /// The text of the format calls it otherwise than its programs.
    #[serde(default, alias = "installationUsing")]
    pub(super) installed_using: Option<String>,
    #[serde(default, alias = "installationBy")]
    pub(super) installed_by: Option<String>,
    /// What other programs wrote.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

impl Registration {
    /// Group and name, compared without case.
    pub(super) fn is(&self, package: &str) -> bool {
        self.full_name().eq_ignore_ascii_case(package)
    }

    pub(super) fn full_name(&self) -> String {
        match self.group.as_deref() {
            None | Some("") => self.name.clone(),
            Some(group) => format!("{group}/{}", self.name),
        }
    }
}

/// The register of the user's installed packages, which all programs of the format share.
#[derive(Debug)]
pub(super) struct Registry {
    directory: PathBuf,
}

impl Registry {
    /// In the home directory.
    pub(super) fn of_user() -> Result<Self, Failure> {
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let home = home.ok_or_else(|| Failure::text("there is no home directory"))?;
        Ok(Self { directory: home.join(".upack") })
    }

    /// What is registered.
    pub(super) fn list(&self) -> Result<Vec<Registration>, Failure> {
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock("list packages")?;
        self.read()
    }

    /// Reads, changes and writes the register while no other program does.
    pub(super) fn change<T>(
        &self,
        doing: &str,
        change: impl FnOnce(&mut Vec<Registration>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        fs::create_dir_all(&self.directory).map_err(Failure::io("make the register"))?;
        let _lock = self.lock(doing)?;
        let mut installed = self.read()?;
        let changed = change(&mut installed)?;
        self.write(&installed).map_err(Failure::io("write the register"))?;
        Ok(changed)
    }

    fn file(&self) -> PathBuf {
        self.directory.join("installedPackages.json")
    }

    /// A register that cannot be read is an error: to take it for empty would lose it.
    fn read(&self) -> Result<Vec<Registration>, Failure> {
        let path = self.file();
        let mut file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::io("read the register")(error)),
        };
        let context = || format!("the register `{}` cannot be read", path.display());
        let bytes = Limits::read(&mut file, LARGEST)
            .map_err(|error| Failure::Other(anyhow::Error::new(error).context(context())))?;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        serde_json::from_slice(text)
            .map_err(|error| Failure::Other(anyhow::Error::new(error).context(context())))
    }

    fn write(&self, installed: &[Registration]) -> io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(&self.directory)?;
        serde_json::to_writer_pretty(&mut draft, installed)?;
        draft.flush()?;
        draft.persist(self.file())?;
        Ok(())
    }

    /// Waits until no other program holds the register.
    fn lock(&self, doing: &str) -> Result<Lock, Failure> {
        let path = self.directory.join(".lock");
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(anyhow::Error::new)?;
        let token = HEXLOWER.encode(&token);
        loop {
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    let text = format!("hayloft: {doing}\n{token}\n");
                    file.write_all(text.as_bytes()).map_err(Failure::io("lock the register"))?;
                    return Ok(Lock { path, token });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if is_stale(&path) {
                        // Gone already is as good.
                        let _ = fs::remove_file(&path);
                    } else {
                        thread::sleep(BETWEEN_TRIES);
                    }
                }
                Err(error) => return Err(Failure::io("lock the register")(error)),
            }
        }
    }
}

fn is_stale(path: &Path) -> bool {
    let Ok(modified) = fs::metadata(path).and_then(|about| about.modified()) else { return false };
    let Ok(modified) = Timestamp::try_from(modified) else { return true };
    Timestamp::now().duration_since(modified).unsigned_abs() > STALE
}

/// Held while the register is read or written.
struct Lock {
    path: PathBuf,
    token: String,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let text =
            fs::File::open(&self.path).ok().and_then(|mut file| Limits::read(&mut file, 4096).ok());
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if text.is_some_and(|text| text.lines().nth(1) == Some(&self.token)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(text: &str) -> (tempfile::TempDir, Registry) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("installedPackages.json"), text).unwrap();
        let registry = Registry { directory: directory.path().to_owned() };
        (directory, registry)
    }

    #[test]
    fn keeps_what_other_programs_wrote() {
        let (_directory, registry) = registry(
            r#"[{"group":"G","name":"n","version":"1.0.0","installationBy":"ann","custom":[1]}]"#,
        );
        registry.change("test", |_| Ok(())).unwrap();
        let installed = registry.list().unwrap();
        let [package] = installed.as_slice() else { panic!("{installed:?}") };
        assert!(package.is("g/N"));
        assert_eq!(package.installed_by.as_deref(), Some("ann"));
        assert_eq!(package.others["custom"], serde_json::json!([1]));
    }

    #[test]
    fn a_broken_register_is_refused_and_stays() {
        let (directory, registry) = registry("[{");
        assert!(registry.change("test", |_| Ok(())).is_err());
        let text = fs::read_to_string(directory.path().join("installedPackages.json")).unwrap();
        assert_eq!(text, "[{");
        assert!(!directory.path().join(".lock").exists());
    }

    #[test]
    fn only_an_old_lock_of_others_is_broken() {
        let (directory, registry) = registry("[]");
        let path = directory.path().join(".lock");
        fs::write(&path, "other\ntoken\n").unwrap();
        assert!(!is_stale(&path));
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(old).unwrap();
        assert!(registry.list().unwrap().is_empty());
        assert!(!path.exists());
    }

    #[test]
    fn a_lock_that_others_took_over_stays() {
        let (directory, registry) = registry("[]");
        let path = directory.path().join(".lock");
        let lock = registry.lock("test").unwrap();
        fs::write(&path, "other\ntoken\n").unwrap();
        drop(lock);
        assert!(path.exists());
    }
}
