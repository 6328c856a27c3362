use md5::Md5;
use sha2::Digest;

use super::Package;
use super::containers::{Directories, MODIFIED, borrowed, gzip, tar};

pub(super) fn package(package: &Package, architecture: &str) -> Vec<u8> {
    let note = format!("{} {}\n", package.name, package.version).into_bytes();
    let mut files = vec![(format!("./usr/share/doc/{}/README", package.name), note)];
    files.extend(package.files.iter().cloned());
    let installed: usize = files.iter().map(|(_, bytes)| bytes.len().div_ceil(1024)).sum();
    let control = format!(
        "Package: {}\nVersion: {}\nArchitecture: {architecture}\n\
         Maintainer: Hayloft <hayloft@example.org>\nInstalled-Size: {installed}\n{}\
         Section: misc\nPriority: optional\nDescription: package for tests\n \
         Holds a note and nothing else.\n",
        package.name,
        package.version,
        package.line_fields()
    );
    let sums: String = files
        .iter()
        .map(|(path, bytes)| {
            let sum = data_encoding::HEXLOWER.encode(&Md5::digest(bytes));
            format!("{sum}  {}\n", path.trim_start_matches("./"))
        })
        .collect();
    let control = [("./control", control.as_bytes()), ("./md5sums", sums.as_bytes())];
    let mut archive = b"!<arch>\n".to_vec();
    member(&mut archive, "debian-binary", b"2.0\n");
    member(&mut archive, "control.tar.gz", &gzip(&tar(control, Directories::Named)));
    member(&mut archive, "data.tar.gz", &gzip(&tar(borrowed(&files), Directories::Named)));
    for (name, bytes) in &package.members {
        member(&mut archive, name, bytes);
    }
    archive
}

fn member(archive: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let size = bytes.len();
    let header = format!("{name:<16}{MODIFIED:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 100_644);
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(bytes);
    if size % 2 == 1 {
        archive.push(b'\n');
    }
}
