//! What a test does to a store behind its back.

use std::ops::Bound;

use crate::records::BlobRecord;
use crate::{Direction, MetaRead, Store, StoreError, codec, tables};

impl Store {
    /// Lets contents be removed while an upload needs them, as if nothing were ever pinned, to
    /// prove that tests would notice.
    pub fn skip_pins(&self) {
        self.inner.pins.ignore();
    }

    /// Says of each content that nothing uses it, as a count would that has rotted.
    pub fn forget_uses(&self) -> Result<(), StoreError> {
        self.inner.writer.change::<(), StoreError>(1, |plan| {
            let all = (Bound::Unbounded, Bound::Unbounded);
            for (key, value) in plan.scan(tables::BLOB, all, Direction::Forward, usize::MAX)? {
                if let Ok(row) = codec::decode::<BlobRecord>(tables::BLOB, &key, &value) {
                    plan.put(tables::BLOB, key, &BlobRecord { uses: 0, ..row })?;
                }
            }
            Ok(())
        })
    }
}
