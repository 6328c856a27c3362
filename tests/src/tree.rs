use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The files of an unpacked package: path to mode and content.
pub type Tree = BTreeMap<String, (u32, Vec<u8>)>;

/// Everything below a directory; the content of a link is its target.
pub fn tree(directory: &Path) -> Tree {
    let mut found = Tree::new();
    walk(directory, directory, &mut found);
    found
}

fn walk(root: &Path, directory: &Path, found: &mut Tree) {
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = fs_err::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if about.is_dir() {
            walk(root, &path, found);
            continue;
        }
        let content = if about.is_symlink() {
            fs_err::read_link(&path).unwrap().to_string_lossy().into_owned().into_bytes()
        } else {
            fs_err::read(&path).unwrap()
        };
        found.insert(name, (about.permissions().mode(), content));
    }
}
