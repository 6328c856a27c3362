//! The whole command of somebody who has a feed type of their own.

use std::process::ExitCode;

#[path = "../../../crates/hayloft-http/examples/cargo_feed.rs"]
#[allow(dead_code, unreachable_pub, clippy::pedantic, reason = "an example has a main of its own")]
mod cargo_feed;

fn main() -> ExitCode {
    hayloft_cli::run(hayloft::feed_types().with(cargo_feed::Cargo), Vec::new())
}
