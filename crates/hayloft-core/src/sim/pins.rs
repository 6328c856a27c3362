//! The one mutation that is not the disk's.

use crate::Store;

impl Store {
    /// Lets contents be removed while an upload needs them, as if nothing were ever pinned, to
    /// prove that tests would notice.
    pub fn skip_pins(&self) {
        self.inner.pins.ignore();
    }
}
