//! What the end-to-end tests share: the program, a server, a plain HTTP client, the corpus of real
//! packages, and the ecosystems' own tools. Each file in `tests/` is one question.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    reason = "helpers of tests panic to fail and say what they skip"
)]

mod answer;
mod bench;
mod corpus;
mod http;
mod meanwhile;
mod process;
mod program;
mod server;
mod tool;
mod tree;
mod wiretap;

pub use answer::Answer;
pub use bench::Bench;
pub use corpus::{Ecosystem, Row, Verdict, ecosystems};
pub use http::{Body, Request, Response, converse};
pub use meanwhile::meanwhile;
pub use process::Process;
pub use program::{Hayloft, Ran};
pub use server::Server;
pub use tool::{
    dotnet, finish, finish_child, has_program, javascript, npm, nuget, nuget_install, pip_install,
    python, rubygems, run,
};
pub use tree::{Tree, tree};
pub use wiretap::Wiretap;

use sha1::Digest;

/// Lower-case hex.
pub fn sha1(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&sha1::Sha1::digest(bytes))
}

/// Lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}
