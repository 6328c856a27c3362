use std::io::{self, Write};

use crate::TargetName;

/// Where an export goes: a folder, or a store of objects.
///
/// Names are those of [`TargetName`]. What is published under a name is seen whole or not at all.
pub trait Target {
    /// Begins a file that nobody sees before it is published.
    fn draft(&self) -> io::Result<Box<dyn Draft>>;

    /// Reads a file of at most `limit` bytes; `None` if there is none.
    fn read(&self, name: &TargetName, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Shows the content of a file piece by piece; false if there is none.
    fn show(&self, name: &TargetName, visit: &mut dyn FnMut(&[u8])) -> io::Result<bool>;

    /// Length of a file; `None` if there is none.
    fn length(&self, name: &TargetName) -> io::Result<Option<u64>>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, name: &TargetName) -> io::Result<()>;

    /// Shows the names of all files but unpublished ones, in any order, those of records too.
    fn list(&self, visit: &mut dyn FnMut(&TargetName) -> io::Result<()>) -> io::Result<()>;

    /// Returns once all that was published and removed so far survives a loss of power, and is seen
    /// by readers before anything that follows.
    fn settle(&self) -> io::Result<()>;
}

/// A file in the making; dropped without being published, it leaves nothing.
pub trait Draft: Write {
    /// Makes it durable and lets it be seen under a name, in place of what was there.
    fn publish(self: Box<Self>, name: &TargetName) -> io::Result<()>;
}
