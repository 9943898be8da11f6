//! Turns on a server that only pretends to be OpenCode: what the real one does not do on demand, or did once.
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of many")]

mod events;
mod looks;
mod old;
mod refusals;
mod silence;
mod still;
mod world;
