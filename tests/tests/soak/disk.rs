//! A small disk, which is filled and freed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft::engine::{Fs as _, RealFs};
use tempfile::TempDir;

/// A file system in memory where mounting is allowed, else a folder that is never full.
#[derive(Debug)]
pub struct SmallDisk {
    directory: TempDir,
    is_mounted: bool,
}

impl SmallDisk {
    pub fn new(mebibytes: u64) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .output();
        let is_mounted = mounted.is_ok_and(|done| done.status.success());
        if !is_mounted {
            println!("skipped: full disks, for nothing can be mounted here");
        }
        Self { directory, is_mounted }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn can_be_full(&self) -> bool {
        self.is_mounted
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes all but so many bytes.
    pub fn fill(&self, left: u64) {
        let mut file = File::create(self.filler()).unwrap();
        let mut length = 1 << 20;
        while length > 0 {
            let available = RealFs.available(self.path()).unwrap();
            if available <= left || file.write_all(&vec![7; length]).is_err() {
                length /= 2;
            }
        }
    }

    pub fn free(&self) {
        if self.filler().exists() {
            fs_err::remove_file(self.filler()).unwrap();
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_mounted {
            let done = Command::new("umount").arg("-l").arg(self.path()).status();
            if !done.is_ok_and(|status| status.success()) {
                println!("{} stays mounted", self.path().display());
            }
        }
    }
}
