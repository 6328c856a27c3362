//! Bodies between sockets and the store.
//!
//! No body is whole in memory, and no thread waits for a client: the store is called for one chunk
//! at a time, so a slow client costs an open file and a buffer. Buffers of what is sent come from
//! one budget.

mod list;
mod memory;
mod range;
mod receive;
mod send;

pub(crate) use list::json_list;
pub(crate) use memory::SendMemory;
pub(crate) use range::Part;
pub use receive::receive;
pub(crate) use receive::{
    FileWriter, SMALL_TEXT, TextBody, discard, is_multipart, next_frame, receive_text,
    receive_text_of, upload_limit,
};
pub use send::{FileRequest, Outgoing};

/// Bytes of an upload that are written at a time.
const CHUNK: usize = 128 << 10;
