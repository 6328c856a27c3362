/// One change to make while an archive is copied. An entry may be named by one edit only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZipEdit {
    /// Other data; name, time and attributes stay. Deflated unless the old data was stored.
    Replace {
        /// Which entry.
        index: usize,
        /// The new data.
        bytes: Vec<u8>,
    },
    /// Leave the entry out.
    Remove {
        /// Which entry.
        index: usize,
    },
    /// Another name, written as given; the data stays compressed as it is.
    Rename {
        /// Which entry.
        index: usize,
        /// The new name.
        name: String,
    },
    /// Both.
    ReplaceAndRename {
        /// Which entry.
        index: usize,
        /// The new name.
        name: String,
        /// The new data.
        bytes: Vec<u8>,
    },
    /// A new entry after all others: deflated, mode 0644, time 1980-01-01.
    Append {
        /// Its name.
        name: String,
        /// Its data.
        bytes: Vec<u8>,
    },
}

/// Which extra fields a copied entry has. Zip64 fields are always written as needed, and a Unicode
/// path field is dropped from an entry that is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExtraFields {
    /// Those it had, in the local header and in the directory.
    #[default]
    Kept,
    /// Those of the directory in both places, so that local headers hold nothing of their own.
    OfDirectory,
}

/// Whether comments of entries and of the archive are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Comments {
    /// Yes.
    #[default]
    Kept,
    /// No.
    Dropped,
}

/// How [`Zip::rewrite_with`](crate::Zip::rewrite_with) writes what it copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZipOutput {
    /// Which extra fields copied entries have.
    pub extra_fields: ExtraFields,
    /// Whether comments are copied.
    pub comments: Comments,
}
