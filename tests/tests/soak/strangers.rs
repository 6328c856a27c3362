//! Those who hold on, lie, cut off and send what is none of the formats.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hayloft_core::sim::Random;
use hayloft_tests::Request;

use crate::Ring;
use crate::kinds::KINDS;

/// Connections that are held at once.
const HELD: usize = 40;

/// Comes and goes until the soak is over. What it is answered is not looked at, but for one thing: a
/// server that blames itself.
pub fn haunt(ring: &Ring, seed: u64) -> u64 {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut held: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    let mut visits = 0;
    while !ring.is_over() {
        let Some(address) = ring.address() else { continue };
        visits += 1;
        // A byte now and then is all that a slow one sends.
        held.retain_mut(|(stream, left)| {
            left.pop().is_none_or(|byte| stream.write_all(&[byte]).is_ok())
        });
        if held.len() >= HELD {
            held.swap_remove(random.index(HELD));
        }
        let kind = KINDS[random.index(KINDS.len())];
        let target = format!("/api/packages/{}/upload?distribution=stable", kind.strange());
        let name = format!("strange{visits}");
        let wire = |bytes: Vec<u8>| Request::put(&target, bytes).key(&ring.key()).bytes(address);
        let (bytes, holds) = match random.below(8) {
            // Cut off, or slow, at any place.
            0 | 1 => {
                let mut whole = wire(kind.file(&name, "1.0.0", random.index(40_000)));
                whole.truncate(random.index(whole.len()));
                (whole, random.coin())
            }
            2 => (wire(kind.swollen(&name)), false),
            3 => {
                let mut damaged = kind.file(&name, "1.0.0", 3_000);
                for _ in 0..8 {
                    let at = random.index(damaged.len());
                    damaged[at] ^= 0x55;
                }
                (wire(damaged), false)
            }
            4 => (wire(vec![b'x'; random.index(300_000)]), false),
            5 => {
                let field = "y".repeat(random.index(100_000));
                (
                    format!(
                        "GET /api/management/feeds/list HTTP/1.1\r\nHost: x\r\nX: {field}\r\n\r\n"
                    )
                    .into_bytes(),
                    false,
                )
            }
            6 => {
                let mut noise = vec![0; random.index(2_000)];
                random.fill(&mut noise);
                (noise, random.coin())
            }
            // Asks for a list and never reads it.
            _ => {
                let target = format!("/api/packages/{}/versions", kind.released());
                (Request::get(&target).key(&ring.key()).bytes(address), true)
            }
        };
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        if stream.set_read_timeout(Some(Duration::from_secs(10))).is_err()
            || stream.set_write_timeout(Some(Duration::from_secs(10))).is_err()
            || stream.write_all(&bytes).is_err()
        {
            continue;
        }
        if holds {
            held.push((stream, vec![b'z'; 50]));
            continue;
        }
        // One that waits for more says nothing.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = io::copy(&mut stream.take(2_000), &mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let is_fault = answer.starts_with("HTTP/1.1 500");
        assert!(!is_fault, "seed {seed}, visit {visits}, {}: {answer}", kind.tag);
    }
    visits
}
