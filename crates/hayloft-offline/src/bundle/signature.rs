//! Signatures of bundles, as minisign makes and checks them: <https://jedisct1.github.io/minisign/>

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use fs_err as fs;
use hayloft_feed::Limits;
use minisign::{PublicKey, PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};

use super::BundleError;

/// Most bytes of a key or a signature, which have a few lines.
const TEXT: u64 = 16 << 10;

/// Whose signature a bundle has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(PublicKey);

/// What bundles are signed with. The debug text does not tell it.
pub struct SigningKey(SecretKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// A key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no public key.
    #[error("this is no public key of minisign: {0}")]
    Public(String),
    /// The text is no secret key, or the password is not its password.
    #[error("this secret key of minisign cannot be used: {0}")]
    Secret(String),
    /// The secret key has a password, which was not given.
    #[error("the secret key has a password")]
    NoPassword,
}

impl VerifyingKey {
    /// A public key as minisign shows it: the line after `RW`, or the whole file with its comment.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let key = if text.lines().count() == 1 {
            PublicKey::from_base64(text)
        } else {
            PublicKeyBox::from_string(text).and_then(PublicKey::from_box)
        };
        key.map(Self).map_err(|error| KeyError::Public(error.to_string()))
    }
}

impl SigningKey {
    /// The text of a secret key file, and its password if it has one. A password costs about a
    /// gibibyte of memory for some seconds: that is how minisign protects it.
    pub fn parse(text: &str, password: Option<String>) -> Result<Self, KeyError> {
        let unusable = |error: minisign::PError| KeyError::Secret(error.to_string());
        // minisign writes no checksum into a key without a password, and the crate asks for one.
        let line = text.lines().nth(1).unwrap_or_default().trim();
        let bytes = BASE64.decode(line.as_bytes());
        let bytes = bytes.map_err(|error| KeyError::Secret(error.to_string()))?;
        let key = SecretKey::from_bytes(&bytes).map_err(unusable)?;
        if !key.is_encrypted() {
            return Ok(Self(key));
        }
        let password = password.ok_or(KeyError::NoPassword)?;
        let key =
            SecretKeyBox::from_string(text).and_then(|key| key.into_secret_key(Some(password)));
        key.map(Self).map_err(unusable)
    }
}

/// Where the signature of a bundle lies: beside it, as minisign looks for it.
pub fn signature_path(bundle: &Path) -> PathBuf {
    let mut name = bundle.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Signs a bundle, or any other file, and puts the signature beside it.
///
/// Reads the file once.
pub fn sign(bundle: &Path, key: &SigningKey) -> Result<PathBuf, BundleError> {
    let name = bundle.file_name().unwrap_or_default().to_string_lossy();
    let comment = format!("file:{}", name.replace(char::is_control, "_"));
    let file = fs::File::open(bundle)?;
    let signature =
        minisign::sign(None, &key.0, file, Some(&comment), Some("signature of a bundle"))
            .map_err(|error| BundleError::Signature(error.to_string()))?;
    let path = signature_path(bundle);
    let draft = path.with_extension("minisig.new");
    let mut out = fs::File::create(&draft)?;
    out.write_all(&signature.to_bytes())?;
    out.sync_all()?;
    fs::rename(draft, &path)?;
    Ok(path)
}

/// Fails unless the bundle has a signature of this key beside it. The file is then at its start.
pub(super) fn check(
    bundle: &Path,
    file: &mut (impl Read + Seek),
    key: &VerifyingKey,
) -> Result<(), BundleError> {
    let path = signature_path(bundle);
    let refused = |text: String| BundleError::Signature(text);
    let signature = match fs::File::open(&path) {
        Ok(mut signature) => {
            Limits::read(&mut signature, TEXT).map_err(|error| refused(error.to_string()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refused(format!("there is none in `{}`", path.display())));
        }
        Err(error) => return Err(error.into()),
    };
    let signature = String::from_utf8_lossy(&signature);
    let signature =
        SignatureBox::from_string(&signature).map_err(|error| refused(error.to_string()))?;
    // The others are over the bytes themselves, which would all be in memory.
    if !signature.is_prehashed() {
        return Err(refused("it is of minisign's old kind, which is not accepted".to_owned()));
    }
    minisign::verify(&key.0, &signature, &mut *file, true, false, false)
        .map_err(|error| refused(error.to_string()))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}
