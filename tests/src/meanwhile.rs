use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Does `again` with 0, 1, 2, … in a thread of its own as long as `body` runs, once at
/// least; gives how often that was and what `body` gives. A `body` that panics ends it as well.
pub fn meanwhile<T>(again: impl Fn(usize) + Sync, body: impl FnOnce() -> T) -> (usize, T) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let rounds = scope.spawn(|| {
            let mut round = 0;
            loop {
                again(round);
                round += 1;
                if over.load(Ordering::Relaxed) {
                    return round;
                }
            }
        });
        let raised = Raised(&over);
        let given = body();
        drop(raised);
        (rounds.join().unwrap(), given)
    })
}

/// Is raised when it goes.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
