use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::cipher;
use crate::failure::Failure;

/// pgutil's config file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) sources: Vec<Source>,
}

/// A server with a name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_feed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted_token: Option<String>,
}

/// How secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    Hidden,
    Plain,
}

impl Source {
    /// Without credentials and feed.
    pub(crate) fn new(name: &str, url: &str) -> Self {
        Self { name: name.to_owned(), url: url.to_owned(), ..Self::default() }
    }

    /// The API key.
    pub(crate) fn key(&self) -> Option<String> {
        self.token.clone().or_else(|| cipher::reveal(self.encrypted_token.as_deref()?))
    }

    /// The password that goes with the user name.
    pub(crate) fn secret(&self) -> Option<String> {
        self.password.clone().or_else(|| cipher::reveal(self.encrypted_password.as_deref()?))
    }

    /// Whether anything secret is kept.
    pub(crate) fn has_secret(&self) -> bool {
        let kept = [&self.password, &self.token, &self.encrypted_password, &self.encrypted_token];
        kept.iter().any(|secret| secret.is_some())
    }

    /// Keeps an API key.
    pub(crate) fn set_key(&mut self, key: &str, secrets: Secrets) -> Result<(), Failure> {
        let (plain, hidden) = kept(key, secrets)?;
        (self.token, self.encrypted_token) = (plain, hidden);
        Ok(())
    }

    /// Keeps a password.
    pub(crate) fn set_password(&mut self, password: &str, secrets: Secrets) -> Result<(), Failure> {
        let (plain, hidden) = kept(password, secrets)?;
        (self.password, self.encrypted_password) = (plain, hidden);
        Ok(())
    }
}

fn kept(secret: &str, secrets: Secrets) -> Result<(Option<String>, Option<String>), Failure> {
    Ok(match secrets {
        Secrets::Plain => (Some(secret.to_owned()), None),
        Secrets::Hidden => (None, Some(cipher::hide(secret).map_err(anyhow::Error::new)?)),
    })
}

impl Config {
    /// What the file holds; nothing if there is none.
    pub(crate) fn load() -> Result<Self, Failure> {
        let Some(path) = path() else { return Ok(Self::default()) };
        match fs::read(&path) {
            Ok(bytes) => parsed(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::io("read the config file")(error)),
        }
    }

    /// Writes the file, for its owner's eyes.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let path =
            path().ok_or_else(|| Failure::text("there is no home directory for a config file"))?;
        let write = || {
            let directory = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(directory)?;
            // Temporary files can be read by their owner alone.
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(Failure::io(format_args!("write `{}`", path.display())))
    }

    /// The source of this name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name.eq_ignore_ascii_case(name))
    }
}

fn parsed(path: &Path, bytes: &[u8]) -> Result<Config, Failure> {
    // The original writes a byte order mark now and then.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(text).map_err(|error| {
        let context = format!("the config file `{}` is not what pgutil writes", path.display());
        Failure::Other(anyhow::Error::new(error).context(context))
    })
}

/// Where pgutil has its file. Without a `~/.config` it would be in the current directory there,
/// which finds other sources in every directory; here it is not.
fn path() -> Option<PathBuf> {
    let directory =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        directory("APPDATA")?
    } else {
        directory("XDG_CONFIG_HOME").or_else(|| Some(std::env::home_dir()?.join(".config")))?
    };
    Some(base.join("pgutil").join("pgutil.config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pgutil_writes() {
        let text = b"\xef\xbb\xbf{ \"sources\": [ { \"name\": \"Default\", \"url\": \"https://h/\",
            \"defaultFeed\": \"f\", \"username\": \"u\", \"password\": \"p\",
            \"encryptedToken\": \"AAECAwQFBgcICQoLDA0OD5JGwUiy8JVlMh4s/i+soGQ=\" } ] }";
        let config = parsed(Path::new("x"), text).unwrap();
        let source = config.find("default").unwrap();
        assert_eq!(source.default_feed.as_deref(), Some("f"));
        assert_eq!(source.secret().as_deref(), Some("p"));
        assert_eq!(source.key().as_deref(), Some("secret token"));
    }

    #[test]
    fn absent_values_are_left_out() {
        let mut source = Source::new("a", "http://h");
        source.set_key("k", Secrets::Plain).unwrap();
        let text = serde_json::to_string(&source).unwrap();
        assert_eq!(text, r#"{"name":"a","url":"http://h","token":"k"}"#);
        source.set_key("k", Secrets::Hidden).unwrap();
        assert!(!serde_json::to_string(&source).unwrap().contains("\"token\""));
        assert_eq!(source.key().as_deref(), Some("k"));
    }
}
