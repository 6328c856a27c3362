use hayloft_feed::{PathFault, shorten};

use crate::error::shown;

/// Names in warnings at most.
const NAMED: usize = 3;

/// Collects warnings about names that another system would unpack as something else.
///
/// Public registries serve such packages, so that they are no reason to refuse one.
#[derive(Debug, Default)]
pub struct Portability {
    warnings: Vec<String>,
    more: u64,
}

impl Portability {
    /// Looks at the path of a member.
    pub fn note(&mut self, path: &[u8]) {
        match PathFault::of(path) {
            None | Some(PathFault::Empty) => {}
            Some(fault) if self.warnings.len() < NAMED => {
                self.warnings.push(format!("`{}` {}", shorten(&shown(path)), fault.text()));
            }
            Some(_) => self.more += 1,
        }
    }

    /// The first few, and how many more there are.
    pub fn into_warnings(mut self) -> Vec<String> {
        if self.more > 0 {
            self.warnings.push(format!("{} more files have names like these", self.more));
        }
        self.warnings
    }
}

/// Why unpacking a path would leave the directory, if it would. Two slashes in a row are one to
/// whoever does not cut a path there.
pub fn leaves_directory(path: &[u8]) -> Option<PathFault> {
    PathFault::of(path)
        .filter(|fault| fault.leaves_directory() && *fault != PathFault::EmptyComponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_told_and_the_rest_is_counted() {
        let mut found = Portability::default();
        for path in ["a", "./", "aux", "b.", "c\\d", "nul", "e:f/con"] {
            found.note(path.as_bytes());
        }
        assert_eq!(
            found.into_warnings(),
            [
                "`aux` is the name of a device on Windows",
                "`b.` has a component that ends in a dot or blank",
                "`c\\d` contains a backslash",
                "2 more files have names like these",
            ]
        );
    }

    #[test]
    fn two_slashes_stay_inside() {
        assert_eq!(leaves_directory(b"a//b"), None);
        assert_eq!(leaves_directory(b"a//../b"), Some(PathFault::Parent));
        assert_eq!(leaves_directory(b"//a"), Some(PathFault::Absolute));
    }
}
