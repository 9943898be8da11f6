//! Run mode on a program that only pretends to be OpenCode, for what the real one does not do on demand.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod binary;
mod cancel;
mod deadlines;
mod dropped;
mod ends;
mod environment;
mod events;
mod guardian;
mod held;
mod imagined;
mod input;
mod log;
mod output;
mod pacing;
mod program;
mod retry;
mod secrets;
mod spawn;
mod stream;
mod time;
mod tools;
mod version;
mod world;
