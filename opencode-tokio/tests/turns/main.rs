//! Sessions and turns, end to end: on the real OpenCode, where only the model is scripted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

mod aborts;
mod answers;
mod deaths;
mod ends;
mod errors;
mod faults;
mod inputs;
mod kinds;
mod live;
mod load;
mod operations;
mod permissions;
mod questions;
mod views;
mod world;
