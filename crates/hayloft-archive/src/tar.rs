//! Tar streams: read member by member, or copied with edits and no other change.

mod blocks;
mod entry;
mod header;
mod packed;
mod pax;
mod reader;
mod rename;
mod rewrite;
mod writer;

pub use entry::{TarEntry, TarKind};
pub use packed::{read_from_tar, read_in_folder, retarget_packed_tar, rewrite_packed_tar};
pub use reader::{TarMember, TarReader};
pub use rewrite::{TarAction, TarAppend, TarEdit, rewrite_tar};
pub use writer::TarWriter;

use crate::ArchiveError;
use crate::error::shown;

/// Bytes of a block.
const BLOCK: usize = 512;

fn damaged(fault: &'static str) -> ArchiveError {
    ArchiveError::Damaged { format: "tar", fault }
}

fn damaged_entry(name: &[u8], fault: &'static str) -> ArchiveError {
    ArchiveError::DamagedEntry { format: "tar", name: shown(name), fault }
}

/// Bytes of padding after `size` bytes of data.
fn padding(size: u64) -> u64 {
    (512 - size % 512) % 512
}
