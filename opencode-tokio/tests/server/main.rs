//! Servers, end to end: on the real OpenCode, where only the model is scripted, and on a program that only pretends to
//! be it, for what the real one does not do on demand.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod attach;
mod dropped;
mod failures;
#[path = "../fake/world.rs"]
#[allow(dead_code, reason = "the tests of runs need more of it")]
mod fake_world;
mod guardian;
mod pretended;
mod start;
mod stop;
#[path = "../real/world.rs"]
#[allow(dead_code, reason = "the tests of runs need more of it")]
mod world;
