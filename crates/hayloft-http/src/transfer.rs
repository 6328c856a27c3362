//! Bodies between sockets and the store.
//!
//! No body is whole in memory, and no thread waits for a client: the store is called for one chunk
//! at a time, so a slow client costs an open file and a buffer.

mod list;
mod range;
mod receive;
mod send;

pub(crate) use list::{json_list, json_list_within};
pub(crate) use receive::{discard, is_multipart, receive, receive_text};
pub(crate) use send::{FileRequest, Outgoing};

/// Bytes handed over at a time: what a client that stops in the middle holds on to.
const CHUNK: usize = 128 << 10;
