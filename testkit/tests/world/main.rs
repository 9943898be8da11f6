//! The client in worlds that are made from seeds: see `testkit::scenario`, which also has the
//! command for longer soaks.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stdout, reason = "counts of the seeds")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test names only the variants that it is about"
)]

mod recordings;
mod seeds;
mod two_turns;
