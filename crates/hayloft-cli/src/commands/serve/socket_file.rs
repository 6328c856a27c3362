//! A server that listens on a socket file.

use std::path::{Path, PathBuf};

use hayloft_http::Listener;

use crate::failure::Failure;

/// A socket file that this server made; removed with this value.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    #[cfg(unix)]
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
impl SocketFile {
    /// Takes the place of a file that a dead server left; called inside of a runtime.
    pub(super) fn bind(path: &Path, mode: u32) -> Result<(Listener, Self), Failure> {
        use std::io::ErrorKind;
        use std::os::unix::fs::FileTypeExt;
        use std::os::unix::net::UnixStream;

        let doing = format!("listen on unix:{}", path.display());
        match fs_err::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                let text = format!("cannot {doing}: there is a file that is no socket");
                return Err(Failure::text(text));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(Failure::io(doing)(error)),
                Ok(_) => {
                    let failure = Failure::text(format!("cannot {doing}: it is in use"));
                    return Err(failure.advise("another program answers there"));
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(doing)(error)),
        }
        Self::bind_anew(path, mode).map_err(Failure::io(doing))
    }

    /// Under another name first: from its first moment the file has the right mode and answers.
    fn bind_anew(path: &Path, mode: u32) -> std::io::Result<(Listener, Self)> {
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::net::UnixListener;

        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let listener = UnixListener::bind(&draft)?;
        let placed = fs_err::set_permissions(&draft, std::fs::Permissions::from_mode(mode))
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| fs_err::rename(&draft, path));
        if let Err(error) = placed {
            let _ = fs_err::remove_file(&draft);
            return Err(error);
        }
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let identity = identity(path);
        Ok((listener.into(), Self { path: path.to_owned(), identity }))
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    let found = fs_err::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have one there by now.
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

#[cfg(not(unix))]
impl SocketFile {
    pub(super) fn bind(_: &Path, _: u32) -> Result<(Listener, Self), Failure> {
        Err(Failure::option("address", "this system has no socket files"))
    }
}
