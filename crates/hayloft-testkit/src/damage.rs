use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use hayloft_feed::{FeedType, FeedTypeError, Identity, Inspected, Limits, Repackage, Version};

use crate::check::{chain, manifest_is_a_json_object};
use crate::in_memory::{history_entry, length};
use crate::members::{Case, changed, names};
use crate::sample::Sample;

/// Bytes that all damaged copies of one sample may have together; bounds the time of a check.
const BUDGET: usize = 8 << 20;
/// Copies of one sample that are damaged inside of their containers.
const INSIDE: usize = 384;

/// Tiny limits give an error where they must, and never a panic.
pub(crate) fn limits_are_respected(feed_type: &dyn FeedType, sample: &Sample, found: &Inspected) {
    let mut tiny = Limits::default();
    tiny.manifest = 1;
    tiny.metadata = 1;
    assert!(
        sample.inspect(feed_type, &tiny).is_err(),
        "{}: a manifest above the limits must be refused",
        sample.label()
    );
    for which in ["manifest", "metadata", "entries", "unpacked", "entry_name", "depth", "window"] {
        let mut limits = Limits::default();
        match which {
            "manifest" => limits.manifest = 1,
            "metadata" => limits.metadata = 1,
            "entries" => limits.entries = 0,
            "unpacked" => limits.unpacked = 1,
            "entry_name" => limits.entry_name = 1,
            "depth" => limits.depth = 0,
            _ => limits.window = 1,
        }
        let case = format!("a tiny limit on {which}");
        reads_without_panic(feed_type, sample, &found.identity, None, &limits, &case);
    }
}

/// Truncated, flipped and prefixed files are refused or read, without a panic or an I/O error.
pub(crate) fn damaged_files_are_the_files_fault(
    feed_type: &dyn FeedType,
    sample: &Sample,
    found: &Inspected,
    new: &Version,
) {
    let to = feed_type.retarget(&found.identity, new).ok();
    let cases = damaged(sample.bytes()).chain(damaged_inside(sample.bytes()));
    for (case, bytes) in cases {
        let damaged = sample.with_bytes(bytes);
        let limits = Limits::default();
        reads_without_panic(feed_type, &damaged, &found.identity, to.as_ref(), &limits, &case);
    }
    assert!(
        sample.with_bytes(Vec::new()).inspect(feed_type, &Limits::default()).is_err(),
        "{}: an empty file must be refused",
        sample.label()
    );
}

fn reads_without_panic(
    feed_type: &dyn FeedType,
    sample: &Sample,
    from: &Identity,
    to: Option<&Identity>,
    limits: &Limits,
    case: &str,
) {
    let label = sample.label();
    let inspected = catch_unwind(AssertUnwindSafe(|| sample.inspect(feed_type, limits)))
        .unwrap_or_else(|_| panic!("{label}: inspect panicked on {case}"));
    match inspected {
        Ok(found) => manifest_is_a_json_object(sample, &found),
        Err(error) => assert!(
            error.is_input(),
            "{label}: inspect must blame the file, not the storage, on {case}: {}",
            chain(&error)
        ),
    }
    let Some(to) = to else { return };
    let repackaged = catch_unwind(AssertUnwindSafe(|| {
        let mut out = Cursor::new(Vec::new());
        let source = &mut Cursor::new(sample.bytes());
        repackage_between(feed_type, sample, source, &mut out, (from, to), limits)
    }))
    .unwrap_or_else(|_| panic!("{label}: repackage panicked on {case}"));
    if let Err(error) = repackaged {
        assert!(
            error.is_input(),
            "{label}: repackage must blame the file, not the storage, on {case}: {}",
            chain(&error)
        );
    }
}

/// A disk that fails is an I/O error, or a broken store would look like broken packages.
pub(crate) fn broken_storage_is_not_the_files_fault(
    feed_type: &dyn FeedType,
    sample: &Sample,
    found: &Inspected,
    new: &Version,
) {
    let label = sample.label();
    let limits = Limits::default();
    let error = sample
        .inspect_from(feed_type, &mut Broken, &limits)
        .err()
        .unwrap_or_else(|| panic!("{label}: inspect succeeded although nothing could be read"));
    assert!(
        !error.is_input(),
        "{label}: inspect must answer `Io` if the storage fails, not: {}",
        chain(&error)
    );
    let Ok(to) = feed_type.retarget(&found.identity, new) else { return };
    if !sample.is_repackageable() {
        return;
    }
    let source = &mut Cursor::new(sample.bytes());
    let pair = (&found.identity, &to);
    let error = repackage_between(feed_type, sample, source, &mut Broken, pair, &limits)
        .err()
        .unwrap_or_else(|| panic!("{label}: repackage succeeded although nothing was written"));
    assert!(
        !error.is_input(),
        "{label}: repackage must answer `Io` if the storage fails, not: {}",
        chain(&error)
    );
}

fn repackage_between(
    feed_type: &dyn FeedType,
    sample: &Sample,
    source: &mut Cursor<&[u8]>,
    out: &mut dyn hayloft_feed::WriteSeek,
    (from, to): (&Identity, &Identity),
    limits: &Limits,
) -> Result<(), FeedTypeError> {
    let entry = history_entry(from, sample.bytes());
    let size = length(sample.bytes());
    let order = Repackage::new(source, size, from, to, &entry, out);
    feed_type.repackage(order, limits).map(drop)
}

/// A file on a disk that fails at every access.
struct Broken;

fn broken<T>() -> io::Result<T> {
    Err(io::Error::other("the disk is broken"))
}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        broken()
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        broken()
    }
    fn flush(&mut self) -> io::Result<()> {
        broken()
    }
}

impl Seek for Broken {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        broken()
    }
}

/// Damaged copies with what was done to each, the same on every run.
fn damaged(sound: &[u8]) -> impl Iterator<Item = Case> {
    let rounds = (BUDGET / sound.len().max(1)).clamp(8, 512);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let truncated = (0..rounds).map(move |round| {
        let length = sound.len() * round / rounds;
        (format!("the first {length} bytes"), sound.iter().take(length).copied().collect())
    });
    let tails = (1..=32.min(sound.len())).map(|missing| {
        let kept = sound.iter().take(sound.len() - missing).copied().collect();
        (format!("the file without its last {missing} bytes"), kept)
    });
    let flipped = (0..rounds).map(move |_| {
        let at = noise.below(sound.len());
        let bit = noise.below(8);
        let mut bytes = sound.to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
        (format!("the file with bit {bit} of byte {at} flipped"), bytes)
    });
    let mut noise = Noise(7);
    let prefixed = [1, 17, 512, 4096].into_iter().map(move |length| {
        let mut bytes: Vec<u8> = (0..length).map(|_| noise.byte()).collect();
        bytes.extend_from_slice(sound);
        (format!("the file after {length} bytes of noise"), bytes)
    });
    let doubled = [("the file twice", [sound, sound].concat())];
    let doubled = doubled.into_iter().map(|(case, bytes)| (case.to_owned(), bytes));
    truncated.chain(tails).chain(flipped).chain(prefixed).chain(doubled)
}

/// Copies whose innermost files are damaged, one at a time, below compression and sums.
fn damaged_inside(sound: &[u8]) -> Vec<Case> {
    let files = names(sound).len().max(1);
    let copies = (BUDGET / sound.len().max(1)).min(INSIDE);
    let rounds = (copies / files).max(6) / 3;
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    changed(sound, &mut |file| {
        let mut cases = vec![("nothing in place".to_owned(), Vec::new())];
        for _ in 0..rounds {
            let length = noise.below(file.len());
            let kept = file.iter().take(length).copied().collect();
            cases.push((format!("the first {length} bytes"), kept));
            let (at, bit) = (noise.below(file.len()), noise.below(8));
            let mut flipped = file.to_vec();
            if let Some(byte) = flipped.get_mut(at) {
                *byte ^= 1 << bit;
            }
            cases.push((format!("bit {bit} of byte {at} flipped"), flipped));
            let (at, letter) = (noise.below(file.len()), noise.byte());
            let mut longer = file.to_vec();
            longer.insert(at, letter);
            cases.push((format!("a byte {letter} before byte {at}"), longer));
        }
        cases
    })
}

/// Xorshift: noise that is the same on every run and does not compress.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("a length fits 64 bits");
        usize::try_from(self.next() % bound).expect("below a length")
    }
}
