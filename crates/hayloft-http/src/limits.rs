use std::time::Duration;

/// What one request may cost. The defaults suit a server that strangers reach.
///
/// Limits of connections, which a server has and a router has not, are
/// [`ServeOptions`](crate::ServeOptions).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestLimits {
    /// Largest upload in bytes; `None` is the store's own limit.
    pub max_upload: Option<u64>,
    /// How long one waits for more of a body before the request is given up; 60 s. Bytes that come
    /// at the least rate buy time again, so that a trickle ends as silence does.
    pub patience: Duration,
    /// Bytes in a second at which a body must come on average; 1,024.
    pub least_rate: u64,
    /// A request that takes longer is given up, however fast it goes; 12 hours.
    pub deadline: Duration,
    /// The same for bodies that are read into memory, such as JSON; 60 s.
    pub text_deadline: Duration,
    /// Bytes of a refused body that are read and thrown away, because many clients send all of one
    /// before they look at the answer; 64 MiB.
    pub drain_bytes: u64,
    /// How long that may take; 10 s.
    pub drain_time: Duration,
    /// Bytes of files on their way to clients, for all downloads together; 64 MiB. A download
    /// begins with 128 KiB at most and gets more while its client takes them; with nothing left it
    /// has [`LEAST_CHUNK`](Self::LEAST_CHUNK).
    pub send_memory: usize,
    /// Bytes of answers to native clients that are kept for the next who asks; 32 MiB.
    pub cache_memory: usize,
    /// Threads that hash keys which people chose; a quarter of the cores, at least 1.
    pub key_threads: usize,
    /// Requests that may wait for them; 64.
    pub key_queue: usize,
    /// Keys in a row that an address may get wrong, if making them out is slow; 20.
    pub wrong_keys: u32,
    /// How long until it may try one more; 2 s.
    pub wrong_key_pause: Duration,
    /// Requests in a second of one address, or of one network of version 6; none of them is no
    /// limit, which is the default. Health checks are not counted.
    pub address_rate: u32,
    /// The same for each API key.
    pub key_rate: u32,
    /// How long one may save up requests of those that then come at once; 10 s.
    pub rate_burst: Duration,
}

impl RequestLimits {
    /// Bytes that every download may have on its way.
    pub const LEAST_CHUNK: usize = 16 << 10;
}

impl Default for RequestLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            max_upload: None,
            patience: Duration::from_secs(60),
            least_rate: 1_024,
            deadline: Duration::from_secs(12 * 60 * 60),
            text_deadline: Duration::from_secs(60),
            drain_bytes: 64 << 20,
            drain_time: Duration::from_secs(10),
            send_memory: 64 << 20,
            cache_memory: 32 << 20,
            key_threads: (cores / 4).max(1),
            key_queue: 64,
            wrong_keys: 20,
            wrong_key_pause: Duration::from_secs(2),
            address_rate: 0,
            key_rate: 0,
            rate_burst: Duration::from_secs(10),
        }
    }
}
