//! Batches on the real OpenCode with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names only the variants it is about")]

mod deaths;
mod ends;
mod flags;
mod fleet;
mod jobs;
mod left;
mod resume;
mod surroundings;
mod world;
