//! What lies in the store's directories.

use std::path::Path;

use super::run::Run;
use crate::codec::shown;
use crate::layout::Layout;
use crate::{BlobKey, Finding, FindingCode, Repair, StoreError};

/// Files of contents whose rows are asked for together.
const TOGETHER: usize = 500;

impl Run<'_> {
    /// Nothing lies in the store's directories that does not belong there.
    pub(super) fn directories(&mut self) -> Result<(), StoreError> {
        let mut waiting = Vec::new();
        for shard in 0..=u8::MAX {
            let inner = &self.store.inner;
            let listed =
                inner.blobs.list(shard).map_err(StoreError::io("list", inner.layout.blobs()))?;
            waiting.extend(listed);
            if waiting.len() >= TOGETHER || shard == u8::MAX {
                for blob in inner.without_rows(&std::mem::take(&mut waiting))? {
                    self.blob_file(blob)?;
                }
            }
        }
        let inner = &self.store.inner;
        let strange =
            inner.blobs.strange().map_err(StoreError::io("list", inner.layout.blobs()))?;
        for path in strange {
            self.strange(&path)?;
        }
        let root = self.store.directory().to_owned();
        let names = self.store.inner.fs.list(&root).map_err(StoreError::io("list", &root))?;
        for entry in names.iter().filter(|entry| !Layout::is_own(&entry.name)) {
            self.strange(&root.join(&entry.name))?;
        }
        Ok(())
    }

    fn blob_file(&mut self, blob: BlobKey) -> Result<(), StoreError> {
        let inner = &self.store.inner;
        // A file's row names it, only the row of the content is missing; that was told already.
        if self.rowless.contains(&blob.0) || !inner.is_orphan(blob)? {
            return Ok(());
        }
        let repaired = self.repair == Repair::Derived;
        if repaired && !inner.sweep_orphan(blob)? {
            return Ok(());
        }
        let text = format!("no row names the file of content {}", shown(&blob.0));
        self.emit(&Finding { code: FindingCode::BlobOrphan, text, repaired });
        Ok(())
    }

    fn strange(&mut self, path: &Path) -> Result<(), StoreError> {
        let text = format!("`{}` is none of the store's", path.display());
        let repaired = self.repair == Repair::Derived;
        if repaired {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let target = self.quarantine_place(&name)?;
            let fs = self.store.inner.fs.as_ref();
            fs.rename(path, &target).map_err(StoreError::io("rename", path))?;
        }
        self.emit(&Finding { code: FindingCode::StrangeFile, text, repaired });
        Ok(())
    }
}
