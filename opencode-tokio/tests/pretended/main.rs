//! Turns on a server that only pretends to be OpenCode, by tokio's clock, which a test can stop. What every adapter has to
//! show is in `conformance.rs`.
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of many")]
#![cfg(target_os = "linux")]

mod silence;
mod still;
