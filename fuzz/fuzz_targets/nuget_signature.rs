//! Any bytes as signature of a package: what is accepted states the package's hash, and goes when
//! the package is written again.
#![no_main]

use data_encoding::BASE64;
use hayloft_nuget::{Manifest, NuGet};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

const NUSPEC: &[u8] = b"<package><metadata><id>A</id><version>1.0</version>\
    <authors>x</authors><description>y</description></metadata></package>";
/// In the input, where the hash of the package goes.
const HASH: &[u8] = b"p8nUowzzISfi2VnB+slr3T4h7EMvMGpt28CHO1ceNxQ=";

fuzz_target!(|bytes: &[u8]| {
    let unsigned = archive(&[("A.nuspec", NUSPEC)]);
    let hash = BASE64.encode(&Sha256::digest(&unsigned));
    let mut message = bytes.to_vec();
    if let Some(at) = message.windows(HASH.len()).position(|found| found == HASH) {
        message[at..at + HASH.len()].copy_from_slice(hash.as_bytes());
    }
    let package = archive(&[("A.nuspec", NUSPEC), (".signature.p7s", &message)]);
    let Ok(found) = hayloft_testkit::inspect(&NuGet, &package, None, &[]) else { return };
    let manifest: Manifest = serde_json::from_str(&found.manifest).unwrap();
    let signature = manifest.signature.unwrap();
    assert_eq!(signature.hash_algorithm, "SHA256");
    assert!(
        message.windows(hash.len()).any(|part| part == hash.as_bytes()) || is_in_pieces(&message)
    );
    let entry = hayloft_testkit::history_entry(&found.identity, &package);
    let (_, done) =
        hayloft_testkit::repackage(&NuGet, &package, &found.identity, "2.0", &entry).unwrap();
    assert_eq!(done.signatures_removed, [".signature.p7s"]);
});

/// Whether there is a string of constructed form, over whose pieces the hash may be spread.
fn is_in_pieces(message: &[u8]) -> bool {
    message.contains(&0x24)
}

/// A zip archive of stored entries without attributes, as clients want a signature to lie.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut local, mut central) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let offset = u32::try_from(local.len()).unwrap().to_le_bytes();
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let fixed: [&[u8]; 6] = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0],
            &crc(data).to_le_bytes(),
            &length,
            &length,
            &name_length,
            &[0, 0],
        ];
        let fixed = fixed.concat();
        local.extend([b"PK\x03\x04", &fixed[..], name.as_bytes(), data].concat());
        central.extend(
            [b"PK\x01\x02\x14\x00", &fixed[..], &[0; 10], &offset, name.as_bytes()].concat(),
        );
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let size = u32::try_from(central.len()).unwrap().to_le_bytes();
    let start = u32::try_from(local.len()).unwrap().to_le_bytes();
    [&local[..], &central, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &start, &[0, 0]].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1))
        })
    })
}
