use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Gives each client its work in a thread of its own and tells how long all took together, from
/// the moment that the last one is ready.
pub(crate) fn at_once<T: Send>(
    clients: Vec<T>,
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<Duration> {
    let ready = Barrier::new(clients.len() + 1);
    let (ready, work) = (&ready, &work);
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|client| {
                scope.spawn(move || {
                    ready.wait();
                    work(client)
                })
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        Ok(start.elapsed())
    })
}
