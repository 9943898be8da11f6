//! Drives OpenCode without any async runtime: threads, a process, a plain socket. The guide to
//! embedding this crate.
//!
//! ```text
//! cargo run -p opencode-proto --example blocking -- run 'Which licence does this project have?'
//! opencode serve --port 4242 &
//! cargo run -p opencode-proto --example blocking -- turn 127.0.0.1:4242 'Which licence does it have?'
//! ```
//!
//! `run` needs `opencode` on the path (or in `OPENCODE_BINARY`); `turn` takes the server's password
//! from `OPENCODE_SERVER_PASSWORD`.
//!
//! Both have the same shape. Threads do the blocking work and send the results to one loop, by a
//! channel. The loop owns the machines: it carries out their actions up to the wait, waits for the
//! next input or for the due time, and passes that on. Nothing else decides anything.

// A program does the I/O that the crate must not do.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]

mod http;
mod run;
mod turn;

use std::env;
use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["run", prompt] => run::run(prompt),
        ["turn", address, prompt] => turn::turn(address, prompt),
        _ => Err("usage: blocking run PROMPT | blocking turn HOST:PORT PROMPT".into()),
    }
}

/// The next input, `None` when it is time to look at the clock.
fn wait<T>(inputs: &Receiver<T>, wake: Option<Instant>) -> Result<Option<T>> {
    let Some(wake) = wake else { return Ok(Some(inputs.recv()?)) };
    match inputs.recv_timeout(wake.saturating_duration_since(Instant::now())) {
        Ok(input) => Ok(Some(input)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(error @ RecvTimeoutError::Disconnected) => Err(error.into()),
    }
}
