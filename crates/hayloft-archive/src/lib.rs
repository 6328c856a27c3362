//! Archives as packages use them: zip, tar, Debian's `ar`, and gzip, xz and zstd streams.
//!
//! Readers are for files from strangers. What two readers of a format could understand in two ways
//! is refused, every number found in a file meets a [`Limits`] before an allocation, and damage is
//! an [`ArchiveError`], never a panic. Rewriters copy what they are not told to change byte for
//! byte, and make equal output of equal input.
//!
//! What is *not* here: unpacking to disk, encryption, other compressions of zip, sparse tar
//! members, and any ecosystem's rule about what a package holds.
//!
//! ```
//! use std::io::Cursor;
//! use hayloft_archive::{Zip, ZipEdit, ZipWriter};
//! use hayloft_feed::Limits;
//!
//! let mut writer = ZipWriter::new(Cursor::new(Vec::new()))?;
//! writer.add("upack.json", None, &mut &br#"{"version":"1.0.0-rc.1"}"#[..])?;
//! let mut package = writer.finish()?;
//!
//! let limits = Limits::default();
//! let mut zip = Zip::open(&mut package, &limits)?;
//! let index = zip.find("upack.json").ok_or("no manifest")?;
//! let old = String::from_utf8(zip.read(index, limits.manifest)?)?;
//! let bytes = old.replace("1.0.0-rc.1", "1.0.0").into_bytes();
//!
//! let mut out = Cursor::new(Vec::new());
//! zip.rewrite(&[ZipEdit::Replace { index, bytes }], &mut out)?;
//! assert_eq!(Zip::open(&mut out, &limits)?.read(0, 100)?, br#"{"version":"1.0.0"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Limits`]: hayloft_feed::Limits

mod ar;
mod bytes;
mod compress;
mod error;
mod links;
mod portability;
mod section;
mod tar;
mod zip;

pub use ar::{ArMember, ArWriter, read_ar};
pub use compress::{
    Compression, Encoder, GzipPart, GzipSum, Trailing, decoder, decoder_with, encoder,
    encoder_within, zlib,
};
pub use error::ArchiveError;
pub use links::Links;
pub use portability::{Portability, leaves_directory};
pub use section::Section;
pub use tar::{
    TarAction, TarAppend, TarEdit, TarEntry, TarKind, TarMember, TarReader, TarWriter,
    read_from_tar, read_in_folder, retarget_packed_tar, rewrite_packed_tar, rewrite_tar,
};
pub use zip::{
    Comments, DosTime, Duplicates, ExtraFields, Zip, ZipEdit, ZipEntry, ZipLayout, ZipMerge,
    ZipOutput, ZipRecord, ZipRules, ZipWriter,
};
