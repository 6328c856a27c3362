use std::fmt;

use super::{Deframe, DeframeError, Framing, Piece};

/// Reads the head of a body off its beginning; `None` while more of it has to come.
pub type ReadHead = fn(&[u8]) -> Result<Option<BodyHead>, DeframeError>;

type Read = dyn Fn(&[u8]) -> Result<Option<BodyHead>, DeframeError> + Send;

/// The beginning of a body, up to its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyHead {
    /// Names and values of fields.
    pub fields: Vec<(&'static str, String)>,
    /// Bytes that the head has.
    pub length: usize,
    /// Bytes that the file behind it has.
    pub file: u64,
}

/// A framing of one's own for bodies that are a head and then one file, whose length the head
/// tells.
pub struct HeadThenFile {
    most: usize,
    read: Box<Read>,
    head: Vec<u8>,
    /// Bytes of the file that are still to come, once the head was read.
    left: Option<u64>,
}

impl HeadThenFile {
    /// Bodies whose head has at most so many bytes.
    pub fn new(most: usize, read: ReadHead) -> Self {
        let read = Box::new(read);
        Self { most, read, head: Vec::new(), left: None }
    }

    /// Bodies of two parts, a field of this name and the file, each behind its length in four
    /// bytes, the lowest first.
    pub fn field_then_file(most: usize, name: &'static str) -> Self {
        Self {
            most,
            read: Box::new(move |bytes| two_parts(name, bytes)),
            head: Vec::new(),
            left: None,
        }
    }

    fn file(
        left: &mut u64,
        bytes: &[u8],
        give: &mut dyn FnMut(Piece<'_>) -> Result<(), DeframeError>,
    ) -> Result<(), DeframeError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        *left = left
            .checked_sub(length)
            .ok_or_else(|| DeframeError("the body goes on behind its file".to_owned()))?;
        give(Piece::File(bytes))
    }
}

fn two_parts(name: &'static str, bytes: &[u8]) -> Result<Option<BodyHead>, DeframeError> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some((field, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let Some((file, _)) = rest.split_first_chunk() else { return Ok(None) };
    let field = std::str::from_utf8(field).map_err(|error| DeframeError(error.to_string()))?;
    let fields = vec![(name, field.to_owned())];
    Ok(Some(BodyHead { fields, length: length + 8, file: u32::from_le_bytes(*file).into() }))
}

impl Deframe for HeadThenFile {
    fn push(
        &mut self,
        bytes: &[u8],
        give: &mut dyn FnMut(Piece<'_>) -> Result<(), DeframeError>,
    ) -> Result<(), DeframeError> {
        if let Some(left) = &mut self.left {
            return Self::file(left, bytes, give);
        }
        self.head.extend_from_slice(bytes);
        let Some(head) = (self.read)(&self.head)? else {
            if self.head.len() > self.most {
                let text = format!("the head of the body is over the limit of {} bytes", self.most);
                return Err(DeframeError(text));
            }
            return Ok(());
        };
        for (name, value) in &head.fields {
            give(Piece::Field { name, value })?;
        }
        let left = self.left.insert(head.file);
        let begun = std::mem::take(&mut self.head);
        Self::file(left, begun.get(head.length..).unwrap_or_default(), give)
    }

    fn finish(&mut self) -> Result<(), DeframeError> {
        match self.left {
            Some(0) => Ok(()),
            _ => Err(DeframeError("the body ends early".to_owned())),
        }
    }
}

impl From<HeadThenFile> for Framing {
    fn from(frames: HeadThenFile) -> Self {
        Self::Custom(Box::new(frames))
    }
}

impl fmt::Debug for HeadThenFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HeadThenFile").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte for the length of a text, the text, one byte for the length of the file.
    fn read(bytes: &[u8]) -> Option<BodyHead> {
        let (length, rest) = bytes.split_first()?;
        let (text, rest) = rest.split_at_checked((*length).into())?;
        let file = u64::from(*rest.first()?);
        let text = String::from_utf8_lossy(text).into_owned();
        let length = 2 + text.len();
        Some(BodyHead { fields: vec![("text", text)], length, file })
    }

    fn taken_apart(pieces: &[&[u8]], most: usize) -> Result<String, String> {
        taken_by(HeadThenFile::new(most, |bytes| Ok(read(bytes))), pieces)
    }

    fn taken_by(mut frames: HeadThenFile, pieces: &[&[u8]]) -> Result<String, String> {
        let mut seen = String::new();
        for piece in pieces {
            let mut give = |piece: Piece<'_>| {
                match piece {
                    Piece::Field { name, value } => seen.extend([name, "=", value, ";"]),
                    Piece::File(bytes) => seen += &String::from_utf8_lossy(bytes),
                }
                Ok(())
            };
            frames.push(piece, &mut give).map_err(|error| error.to_string())?;
        }
        frames.finish().map_err(|error| error.to_string())?;
        Ok(seen)
    }

    #[test]
    fn two_parts_behind_their_lengths_come_out_however_they_are_cut() {
        let body = [&b"\x02\0\0\0{}"[..], b"\x03\0\0\0abc"].concat();
        for at in 0..=body.len() {
            let frames = HeadThenFile::field_then_file(100, "told");
            let taken = taken_by(frames, &[&body[..at], &body[at..]]);
            assert_eq!(taken.unwrap(), "told={};abc", "{at}");
        }
        let frames = || HeadThenFile::field_then_file(100, "told");
        assert!(taken_by(frames(), &[&body[..12]]).unwrap_err().contains("early"));
        assert!(taken_by(frames(), &[b"\xff\xff\xff\xff", &[0; 200]]).is_err());
        assert!(taken_by(frames(), &[b"\x01\0\0\0\xff\0\0\0\0"]).is_err());
    }

    #[test]
    fn a_head_and_a_file_come_apart_wherever_they_are_cut() {
        let body = b"\x02ab\x03xyz";
        for at in 0..=body.len() {
            let (first, second) = body.split_at(at);
            assert_eq!(taken_apart(&[first, second], 10).unwrap(), "text=ab;xyz");
        }
        assert!(taken_apart(&[b"\x02ab\x03xy"], 10).unwrap_err().contains("early"));
        assert!(taken_apart(&[b"\x02ab\x03xyz", b"!"], 10).unwrap_err().contains("behind"));
        assert!(taken_apart(&[b"\xff", &[b'a'; 20]], 10).unwrap_err().contains("10 bytes"));
    }
}
