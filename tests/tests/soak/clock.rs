//! The clock of a server, which steps.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Tells the server's time by a library that Debian's package `faketime` brings.
#[derive(Debug)]
pub struct SteppingClock {
    library: Option<PathBuf>,
    file: PathBuf,
    offset: i64,
}

impl SteppingClock {
    pub fn new(directory: &Path) -> Self {
        let library = fs_err::read_dir("/usr/lib").ok().and_then(|architectures| {
            let mut paths = architectures
                .flatten()
                .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
            paths.find(|path| path.exists())
        });
        if library.is_none() {
            println!("skipped: clock steps, for there is no libfaketimeMT.so.1");
        }
        let clock = Self { library, file: directory.join("clock"), offset: 0 };
        clock.write();
        clock
    }

    pub fn can_step(&self) -> bool {
        self.library.is_some()
    }

    /// Seconds from now on that the server's time is ahead of this machine's.
    pub fn step(&mut self, seconds: i64) {
        self.offset += seconds;
        self.write();
    }

    pub fn offset(&self) -> i64 {
        self.offset
    }

    fn write(&self) {
        let draft = self.file.with_extension("new");
        fs_err::write(&draft, format!("{:+}\n", self.offset)).unwrap();
        fs_err::rename(draft, &self.file).unwrap();
    }

    /// What a server has to be started with.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let Some(library) = &self.library else { return Vec::new() };
        vec![
            ("LD_PRELOAD", library.into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_DONT_RESET", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}
