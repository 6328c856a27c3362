//! A data archive of any compression: read or refused, within limits of memory and of what it
//! unfolds to.
#![no_main]

use hayloft_archive::ArWriter;
use hayloft_debian::Debian;
use hayloft_feed::{Account, Limits, Terms};
use hayloft_testkit::{Sample, deb};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 6] =
    ["data.tar", "data.tar.gz", "data.tar.xz", "data.tar.zst", "data.tar.bz2", "data.tar.lzma"];

/// The members of a sound package before its data.
fn beginning() -> &'static [u8] {
    static BEGINNING: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BEGINNING.get_or_init(|| {
        let whole = deb("hay", "1.0", "all").build();
        let data = whole.windows(8).position(|name| name == b"data.tar").unwrap();
        whole[..data].to_vec()
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, data)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*kind) % NAMES.len()];
    let mut archive = ArWriter::new(Vec::new()).unwrap();
    archive.add_member(name, 0, 0o100_644, data.len() as u64, &mut &data[..]).unwrap();
    let archive = archive.finish().unwrap();
    let package = [beginning(), archive.strip_prefix(b"!<arch>\n").unwrap()].concat();
    let mut terms = Terms::default();
    (terms.memory, terms.unfolded, terms.ratio) = (16 << 20, 8 << 20, 30);
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    let package = Sample::new("hay_1.0_all.deb", package).hint("distribution", "sid");
    let found = package.inspect(&Debian, &limits);
    assert!(found.is_ok() || found.is_err_and(|error| error.is_input()));
});
