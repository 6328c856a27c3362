//! Steps that tests leave out, to prove that they would be missed.

/// Steps of the store's protocol that are left out, so that tests can prove they would notice.
#[cfg(feature = "sim")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct StoreMutations {
    /// What is read of a content is not held against the hashes of its groups.
    pub skip_group_hashes: bool,
    /// Contents are removed before the commit that forbids their use.
    pub remove_before_forbidden: bool,
    /// A content whose count says that nothing uses it is condemned, whatever rows say.
    pub trust_use_counts: bool,
    /// A file is flushed by another descriptor than the one that wrote it.
    pub flush_by_another: bool,
    /// What a refused operation has published stays.
    pub skip_taking_back: bool,
    /// Counts of downloads are added once more after a commit of unknown outcome.
    pub count_again: bool,
    /// The rows that lie in memory are kept when the metadata is opened again.
    pub keep_small_rows: bool,
}

/// The same, as the code asks for it; all off without the simulator.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Switches {
    #[cfg(feature = "sim")]
    pub(crate) mutations: StoreMutations,
}

macro_rules! switches {
    ($($name:ident),* $(,)?) => {
        impl Switches {
            $(
                #[cfg(feature = "sim")]
                pub(crate) fn $name(self) -> bool {
                    self.mutations.$name
                }

                #[cfg(not(feature = "sim"))]
                pub(crate) fn $name(self) -> bool {
                    false
                }
            )*
        }
    };
}

pub(crate) use switches;

switches!(
    skip_group_hashes,
    remove_before_forbidden,
    trust_use_counts,
    flush_by_another,
    skip_taking_back,
    count_again,
    keep_small_rows,
);
