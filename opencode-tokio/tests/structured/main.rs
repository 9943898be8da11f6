//! Typed answers, on the real OpenCode with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names only the variants it is about")]

#[path = "../common/adapter.rs"]
mod adapter;
mod again;
mod attempts;
mod fits;
#[expect(dead_code, reason = "the tests of `fake_server` use all of it")]
#[path = "../fake_server/paused.rs"]
mod paused;
mod refused;
mod time;
mod types;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
