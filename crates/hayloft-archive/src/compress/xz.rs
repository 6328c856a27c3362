use std::io::{self, BufRead, Read};

use lzma_rust2::XzReader;

use super::gzip::only_zeros;

/// Reads one xz stream, behind which nothing but zeros may be.
pub(crate) struct SingleXzReader<R: Read>(XzReader<R>);

impl<R: BufRead> SingleXzReader<R> {
    pub(crate) fn new(input: R, kibibytes: u32) -> Self {
        Self(XzReader::new_mem_limit(input, false, kibibytes))
    }
}

impl<R: BufRead> Read for SingleXzReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        if read == 0 && !into.is_empty() {
            only_zeros(self.0.inner_mut())?;
        }
        Ok(read)
    }
}
