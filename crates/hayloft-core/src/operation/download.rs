use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;

use crate::publish::{BlobReader, Opening};
use crate::records::{FileValue, VersionPlaceRecord, VersionRecord};
use crate::{
    FileId, Manifests, MetaRead, PackageFile, SelectError, Selector, Store, StoreError, file_rows,
    fragments, rows, tables,
};

/// A stored file being read, from its start.
///
/// Keeps the bytes readable although the file may be deleted meanwhile. Damage shows as an error
/// of kind `InvalidData` before the last byte is handed out, never as wrong bytes; see
/// [`VerifyOnRead`](crate::VerifyOnRead).
#[derive(Debug)]
pub struct Download {
    file: PackageFile,
    reader: BlobReader,
}

impl Download {
    /// The same bytes under another file name.
    #[must_use]
    pub fn called(mut self, file_name: String) -> Self {
        self.file.file_name = file_name;
        self
    }

    pub(crate) fn new(file: PackageFile, reader: BlobReader) -> Self {
        Self { file, reader }
    }

    /// The file, its length and digests.
    pub fn file(&self) -> &PackageFile {
        &self.file
    }

    /// Fills `into` with the next bytes and holds nothing for those behind: for whoever has very
    /// many downloads open for clients that are slow. Each call verifies the groups of 256 KiB that
    /// it touches as a whole, where other reads keep the last one; read in multiples of them.
    pub fn read_piece(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.reader.read_piece(into)
    }
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reader.read(into)
    }
}

impl Seek for Download {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}

impl Store {
    /// Opens a file for reading. Blocked versions are an error. Does not count as a download: see
    /// [`Store::count_download`].
    pub fn download(&self, feed: &str, selector: &Selector) -> Result<Download, SelectError> {
        // A second attempt serves a file that was replaced while the first one was under way.
        for _ in 0..2 {
            let (reading, handle) = self.inner.read_feed(feed, |feed| feed.wants(selector))?;
            let read = reading.rows();
            let version = handle.select_version(read, selector)?;
            let place = handle.select_file(&version.record, selector)?;
            if version.status()?.is_blocked() {
                return Err(SelectError::Blocked { package: version.spelled() });
            }
            let file = self
                .inner
                .context
                .files(read, &handle, &version, &[place], Manifests::Omitted)?
                .pop();
            let value = version.record.files.get(place);
            let (Some(file), Some(value)) = (file, value) else {
                return Err(handle.not_found(selector));
            };
            drop(reading);
            match self.inner.open_blob(&value.digests, value.size)? {
                Opening::Open(reader) => return Ok(Download { file, reader }),
                Opening::Gone => {}
            }
        }
        Err(StoreError::damaged(format!("the content of `{}`", selector.shown())).into())
    }

    /// Counts one download of a file, without a commit. Survives a crash of the process; a loss of
    /// power may lose the last ten seconds.
    pub fn count_download(&self, file: FileId) -> Result<(), StoreError> {
        if self.inner.is_closed() {
            return Err(StoreError::Closed);
        }
        let file = self.inner.own_file(file)?;
        if self.inner.staging.space.is_read_only() {
            return Ok(());
        }
        self.inner.context.downloads.count(file);
        let counted = self.inner.meter.downloads.fetch_add(1, Ordering::Relaxed);
        if counted.is_multiple_of(1_024) {
            self.inner.maintenance.wake_for_counts(self.inner.context.downloads.waiting());
        }
        Ok(())
    }

    /// The manifest of a file as JSON text; `None` once the file is gone.
    pub fn manifest(&self, file: FileId) -> Result<Option<String>, StoreError> {
        let file = self.inner.own_file(file)?;
        let snapshot = self.inner.snapshot()?;
        let Some((key, value)) = stored_file(snapshot.as_ref(), file)? else { return Ok(None) };
        file_rows::manifest(snapshot.as_ref(), &key, value.number, &value.file_name).map(Some)
    }

    /// A document that the feed type has kept with a file; `None` if there is none of that name.
    pub fn document(&self, file: FileId, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let file = self.inner.own_file(file)?;
        document_of(self.inner.snapshot()?.as_ref(), file, name)
    }
}

/// A document that the feed type has kept with a file.
pub(crate) fn document_of(
    read: &dyn MetaRead,
    file: FileId,
    name: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((key, value)) = stored_file(read, file)? else { return Ok(None) };
    let Some(at) = value.documents.iter().position(|known| known == name) else {
        return Ok(None);
    };
    let missing = || StoreError::damaged(format!("a document of `{}`", value.file_name));
    let kind = tables::document_kind(at).ok_or_else(missing)?;
    let found = fragments::read(read, &key, value.number, kind)?;
    found.ok_or_else(missing).map(Some)
}

/// A file by its number, and the key of its version.
fn stored_file(
    read: &dyn MetaRead,
    file: FileId,
) -> Result<Option<(Vec<u8>, FileValue)>, StoreError> {
    let place: Option<VersionPlaceRecord> =
        rows::get(read, tables::VERSION_ID, &tables::number(file.version))?;
    let Some(place) = place else { return Ok(None) };
    let version: Option<VersionRecord> = rows::version(read, &place.key)?;
    let value = version
        .and_then(|version| version.files.into_iter().find(|known| known.number == file.number));
    Ok(value.map(|value| (place.key, value)))
}
