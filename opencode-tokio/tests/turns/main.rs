//! Sessions and turns, end to end: on the real OpenCode, where only the model is scripted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod answers;
mod world;
