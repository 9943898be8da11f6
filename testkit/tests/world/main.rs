//! The client in a world that a seed makes: see `testkit::world`.
//!
//! `cargo test -p testkit --test world` plays some thousand seeds, and those of `seeds.rs`, which failed once. A longer soak:
//! `OPENCODE_WORLD_SEEDS=1000000..1050000 cargo test -p testkit --test world soak -- --nocapture`, and one seed again, with
//! more of what happened in it: `OPENCODE_WORLD_SEEDS=17`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stdout, reason = "what the seeds came to")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod batcher;
mod beside;
mod check;
mod conversation;
mod guest;
mod plan;
mod recordings;
mod runner;
mod scenario;
mod seeds;
