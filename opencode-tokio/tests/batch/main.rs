//! Batches on the real OpenCode, end to end: only the model is scripted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of many")]

mod deaths;
mod ends;
mod fleet;
mod jobs;
mod resume;
mod world;
