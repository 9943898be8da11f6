//! Turns on a fake server, on tokio's clock, which a test can pause. The required behaviour of
//! every adapter is tested in `conformance.rs`.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names only the variants it is about")]
#![cfg(target_os = "linux")]

mod paused;
mod silence;
