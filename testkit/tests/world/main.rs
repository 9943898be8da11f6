//! The client in worlds that are made from seeds: see `testkit::world`.
//!
//! `cargo test -p testkit --test world` plays 2,000 seeds, and the seeds of `seeds.rs` that failed
//! once. A longer soak: `OPENCODE_WORLD_SEEDS=1000000..1050000 cargo test -p testkit --test world
//! soak -- --nocapture`. One seed again, with a longer trace: `OPENCODE_WORLD_SEEDS=17` and
//! `OPENCODE_WORLD_TRACE=500`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stdout, reason = "counts of the seeds")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names only the variants that it is about"
)]

mod batch_user;
mod check;
mod plan;
mod recordings;
mod run_user;
mod scenario;
mod seeds;
mod server_user;
mod session_user;
mod two_turns;
