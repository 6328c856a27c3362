use std::io::{self, Read};
use std::sync::LazyLock;

use flate2::Crc;
use hayloft_feed::json::quoted;

use crate::damage::Noise;

const BLOCK: usize = 1 << 16;
/// The noise that is repeated.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut noise = Noise(0x1234_5678_9abc_def1);
    (0..BLOCK).map(|_| noise.byte()).collect()
});
const PAYLOAD: &str = "package/payload.bin";

/// A universal package of any size below 4 GiB that is made while it is read, so that it takes no
/// memory: its one file is stored, not deflated.
#[derive(Debug, Clone)]
pub struct StreamedUpack {
    head: Vec<u8>,
    payload: u64,
    tail: Vec<u8>,
    at: u64,
}

/// A universal package without group whose payload has `size` bytes; reads as the whole file.
pub fn streamed_upack(name: &str, version: &str, size: u32) -> StreamedUpack {
    let manifest =
        format!("{{\n  \"name\": {},\n  \"version\": {}\n}}\n", quoted(name), quoted(version));
    let files = [
        Stored::new("upack.json", crc([manifest.as_bytes()]), length(manifest.len())),
        Stored::new(PAYLOAD, crc(pieces(&NOISE, size)), size),
    ];
    let mut head = Vec::new();
    let mut directory = Vec::new();
    for (file, content) in files.iter().zip([manifest.as_bytes(), &[]]) {
        file.directory_entry(length(head.len()), &mut directory);
        file.local_header(&mut head);
        head.extend_from_slice(content);
    }
    let end = End { at: length(head.len()) + size, length: length(directory.len()) };
    let mut tail = directory;
    end.write(&mut tail);
    StreamedUpack { head, payload: size.into(), tail, at: 0 }
}

impl StreamedUpack {
    /// Length of the whole file in bytes.
    pub fn size(&self) -> u64 {
        long(self.head.len()) + self.payload + long(self.tail.len())
    }

    /// What comes next, up to the end of its part.
    fn rest(&self) -> &[u8] {
        let head = long(self.head.len());
        let (part, at, end) = match self.at.checked_sub(head) {
            None => (&self.head, self.at, head),
            Some(at) if at < self.payload => {
                (&*NOISE, at % long(BLOCK), self.payload - (at - at % long(BLOCK)))
            }
            Some(at) => (&self.tail, at - self.payload, u64::MAX),
        };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let part = part.get(..place(end)).unwrap_or(part);
        part.get(place(at)..).unwrap_or_default()
    }
}

impl Read for StreamedUpack {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.rest().read(into)?;
        self.at += long(read);
        Ok(read)
    }
}

/// A file that lies in the archive as it is, of 1980-01-01.
struct Stored {
    path: &'static str,
    crc: u32,
    size: u32,
}

impl Stored {
    fn new(path: &'static str, crc: u32, size: u32) -> Self {
        Self { path, crc, size }
    }

    fn local_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x03\x04");
        self.shared_fields(out);
        out.extend_from_slice(self.path.as_bytes());
    }

    fn directory_entry(&self, at: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x01\x02\x14\0");
        self.shared_fields(out);
        // Comment, disk and attributes: none.
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(self.path.as_bytes());
    }

    fn shared_fields(&self, out: &mut Vec<u8>) {
        // Version 2.0, no flags, stored, midnight, the first day.
        out.extend_from_slice(b"\x14\0\0\0\0\0\0\0\x21\0");
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        let name = u16::try_from(self.path.len()).expect("paths here are short");
        out.extend_from_slice(&name.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }
}

/// The end of the central directory.
struct End {
    at: u32,
    length: u32,
}

impl End {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }
}

fn pieces(block: &[u8], size: u32) -> impl Iterator<Item = &[u8]> {
    let size = usize::try_from(size).expect("a length fits memory");
    let rest = block.get(..size % BLOCK).unwrap_or_default();
    std::iter::repeat_n(block, size / BLOCK).chain([rest])
}

fn crc<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> u32 {
    let mut crc = Crc::new();
    for piece in pieces {
        crc.update(piece);
    }
    crc.sum()
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("manifests are short")
}

fn long(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a length fits 64 bits")
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Read};

    use rstest::rstest;
    use zip::ZipArchive;

    use super::{BLOCK, streamed_upack};

    #[rstest]
    #[case::empty(0)]
    #[case::less_than_a_block(100)]
    #[case::whole_blocks(2 * BLOCK)]
    #[case::blocks_and_a_rest(3 * BLOCK + 7)]
    fn another_reader_finds_every_byte(#[case] size: usize) {
        let package = streamed_upack("tools", "1.0.0", u32::try_from(size).unwrap());
        let declared = package.size();
        let bytes = drained(package);
        assert_eq!(u64::try_from(bytes.len()).unwrap(), declared);

        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 2);
        let manifest = drained(archive.by_name("upack.json").unwrap());
        assert!(String::from_utf8(manifest).unwrap().contains("\"1.0.0\""));
        // Reading to the end compares the checksum.
        let payload = archive.by_name("package/payload.bin").unwrap();
        assert_eq!(drained(payload).len(), size);
    }

    fn drained(mut content: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        io::copy(&mut content, &mut bytes).unwrap();
        bytes
    }
}
